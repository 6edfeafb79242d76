"""Whether a spec can be trained at all, found out without data and without arithmetic."""

from __future__ import annotations

import math

import torch
from torch import nn

import normmods
from trainables.bounds import check_bounds
from trainables.data.catalog import DatasetInfo
from trainables.data.lookup import dataset_info
from trainables.dry_run import DryRun
from trainables.errors import Infeasible, describe_error
from trainables.evaluate import (
    eval_batch_size,
    side_by_side,
    uses_batch_statistics,
    uses_precise_statistics,
)
from trainables.models.build import build_model, prepare_convolutions
from trainables.models.catalog import with_defaults
from trainables.models.custom import (
    require_called,
    require_logits,
    require_norms,
    require_repeatable,
    require_sizes,
)
from trainables.norms import SeededNorms
from trainables.observe import layer_at
from trainables.optim import lr_for
from trainables.seeding import SeededGlobalRng, generator
from trainables.spec import Dimensions, TrialSpec, is_custom

SMALL_RUN = 70_000 * 16**2
"""Pixels of a batch times the width's square (to which a convolution's arithmetic is in
proportion) up to which a small network is checked by running it: that takes less time than what
torch imports for its first forward pass on the meta device (2.5 s)."""


def check(spec: TrialSpec) -> Dimensions:
    """Build the spec's model and run it once in training, once in test mode, without a data set.

    This takes milliseconds: it runs on the meta device, without arithmetic, unless model and
    batch are small. A norm that cannot run there (because it looks at values) is run on the CPU.
    A user's own model is built on the CPU besides, to see that a seed decides its weights.

    Raises:
        ValueError: a value out of bounds, or an unknown name or option.
        Infeasible: the batch is larger than the training set, a layer refuses its input, or a
            norm's output does not depend on its input; the message names the layer. So does a
            user's own model that is not one (see `trainables.models.custom`).
        DataUnavailable: a user's own data set is not one (see `trainables.data.custom`).
    """
    data = check_values(spec)
    try:
        return _dry_run(spec, data, dry_run_device(spec))
    except Infeasible as error:
        if "meta" not in str(error.__cause__).lower():
            raise
    return _dry_run(spec, data, torch.device("cpu"))


def check_values(spec: TrialSpec) -> DatasetInfo:
    """The part of `check` that builds nothing; returns the data set's entry as limited."""
    check_bounds(spec)
    with_defaults(spec.model)
    lr_for(spec, epoch=1)
    data = dataset_info(spec.data)
    size = spec.optimizer_batch_size
    if size % spec.batch_size:
        raise ValueError(
            f"`optimizer_batch_size` must be a multiple of batch_size, but got "
            f"optimizer_batch_size={size} and batch_size={spec.batch_size}"
        )
    if size > data.num_train:
        name = "batch_size" if size == spec.batch_size else "optimizer_batch_size"
        raise Infeasible(
            f"`{name} <= num_train` must hold, but got {name}={size} and "
            f"num_train={data.num_train}: an epoch would have no step"
        )
    return data


def dry_run_device(spec: TrialSpec) -> torch.device:
    """Where the spec's model is tried: on the CPU if that is quick, else on the meta device."""
    width = with_defaults(spec.model).width
    pixels = spec.batch_size * math.prod(dataset_info(spec.data).shape[1:])
    return torch.device("cpu" if width and pixels * width**2 <= SMALL_RUN else "meta")


def _dry_run(spec: TrialSpec, data: DatasetInfo, device: torch.device) -> Dimensions:
    norms = SeededNorms(spec.norm, seed=spec.seed)
    with SeededGlobalRng(spec.seed, "init"):
        with device:
            model = build_model(
                spec.model, in_channels=data.shape[0], num_classes=data.num_classes, norm=norms
            )
        if is_custom(spec.model.name):
            require_norms(spec.model, model, norms.built)
            require_sizes(spec.model, model)
        if spec.train.watch is not None:
            layer_at(model, spec.train.watch)
        unprepared = _prepare(model, data)
        run = DryRun(model, norms.built, spec, device)
        logits = run.forward((spec.batch_size, *data.shape), is_training=True)
        require_logits(spec.model, logits, spec.batch_size, data.num_classes)
        if unprepared is not None:
            raise Infeasible(f"{spec.norm.name}: {_told(unprepared)}") from unprepared
        for path in run.norms:
            for shape in run.calls.shapes.get(path, []):
                if len(shape) == 4 and math.prod(shape[2:]) == 1:
                    _refuse_constant(spec, path, norms.another(run.layers[path], shape[1]), shape)
        _test(run, data)
        run.require_watched()
        if is_custom(spec.model.name):
            require_called(spec.model, run.uncalled(), num_norms=len(run.norms))
    if is_custom(spec.model.name):
        require_repeatable(with_defaults(spec.model), data.shape[0], data.num_classes)
    return Dimensions(
        num_classes=data.num_classes,
        num_train=data.num_train,
        num_test=data.num_test,
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        updates_per_epoch=data.num_train // spec.optimizer_batch_size,
    )


def _prepare(model: nn.Module, data: DatasetInfo) -> Exception | None:
    """Prepare the model; returns an exception, since a run may say which layer is at fault."""
    try:
        prepare_convolutions(model, data.shape)
    except Exception as error:
        for layer in model.modules():
            if isinstance(layer, normmods.Norm):
                layer.prepared = True
        return error
    return None


def _told(error: Exception) -> str:
    return " ".join(str(error).split()) if isinstance(error, ValueError) else describe_error(error)


@torch.inference_mode()
def _test(run: DryRun, data: DatasetInfo) -> None:
    """Run a test batch under the ways of getting test statistics that might not work."""
    # A larger test batch could do no harm that a smaller one does not, and of the statistics
    # that are tested side by side only the test batch's own can.
    model, spec, device = run.model.eval(), run.spec, run.device
    shape = (min(spec.batch_size, eval_batch_size(model, spec)), *data.shape)
    if uses_precise_statistics(model):
        normmods.recompute_precise(model, [torch.ones(spec.batch_size, *data.shape, device=device)])
    logits = run.forward(shape, is_training=False)
    require_logits(spec.model, logits, shape[0], data.num_classes)
    if "batch" in side_by_side(model, spec.train) and not uses_batch_statistics(model):
        with normmods.using_eval_statistics(model, "batch"):
            shape = (eval_batch_size(model, spec), *data.shape)
            run.forward(shape, is_training=False)


def _refuse_constant(spec: TrialSpec, path: str, layer: nn.Module, shape: torch.Size) -> None:
    """Raise `Infeasible` for a new `layer` that maps any two inputs of `shape` to the same.

    One value a statistic is its own mean: some layers then return their bias without a word.
    """
    normmods.prepare(layer).train()
    stream = generator(spec.seed, "norm", "probe")
    with torch.no_grad():
        first, second = (layer(torch.randn(shape, generator=stream)) for _ in range(2))
    if torch.allclose(first, second, atol=1e-4):
        raise Infeasible(
            f"{path} ({type(layer).__name__}) returns the same for every input of shape "
            f"{tuple(shape)}: each of its statistics is taken over one value"
        )

"""Checks that a spec can be trained, made without data and mostly without arithmetic."""

from __future__ import annotations

import math

import torch
from torch import nn

import normmods
from trainables.data.catalog import DatasetInfo
from trainables.data.lookup import dataset_info
from trainables.dry_run import DryRun
from trainables.errors import Infeasible, describe_error
from trainables.evaluate import (
    eval_batch_size,
    requested_eval_statistics,
    uses_batch_statistics,
    uses_precise_statistics,
)
from trainables.models.build import build_model, prepare_convolutions
from trainables.models.catalog import complete_model_spec
from trainables.models.custom import (
    require_called,
    require_logits,
    require_norms,
    require_repeatable_weights,
    require_sizes,
)
from trainables.norms import SeededNorms
from trainables.observe import layer_at
from trainables.optim import learning_rate_at
from trainables.seeding import SeededGlobalRng, derive_stream_seed, seeded_generator
from trainables.spec import Dimensions, TrialSpec, is_custom

MAX_CPU_COST = 70_000 * 16**2
"""Pixels of a batch times the width's square (to which a convolution's arithmetic is in
proportion) up to which a small network is checked by running it: that takes less time than what
torch imports for its first forward pass on the meta device (2.5 s)."""


def check_feasibility(spec: TrialSpec) -> Dimensions:
    """Check that a spec can be trained, and return the counts of its model and data.

    The spec's model is built and run once in training and once in test mode, without a data set, on
    the meta device: this takes milliseconds. Small models, and norms that look at values, run on
    the CPU. A custom model is also built twice on the CPU, to see that a seed decides its weights.

    Args:
        spec: the trial to check.

    Returns:
        Numbers of classes, examples, parameters and optimizer steps.

    Raises:
        ValueError: a value out of bounds, or an unknown name or option.
        Infeasible: the batch is larger than the training set, a layer refuses its input, a norm's
            output does not depend on its input, or a custom model breaks the rules of
            `trainables.models.custom`; the message names the layer.
        DataUnavailable: a custom data set breaks the rules of `trainables.data.custom`.

    Examples:
        >>> spec = TrialSpec(
        ...     norm=NormSpec(name="groupnorm", options={"num_groups": 4}),
        ...     batch_size=8,
        ...     seed=0,
        ...     data=DataSpec(name="digits", num_train=800),
        ...     model=ModelSpec(name="resnet8", width=4),
        ...     train=TrainSpec(
        ...         epochs=30,
        ...         optimizer=OptimizerSpec(lr=0.05, weight_decay=5e-4),
        ...         schedule=ScheduleSpec(name="multistep", milestones=(15, 25)),
        ...     ),
        ... )
        >>> dimensions = check_feasibility(spec)
        >>> isinstance(dimensions, Dimensions), dimensions.updates_per_epoch
        (True, 100)
    """
    data = check_values(spec)
    try:
        return _dry_run(spec, data, dry_run_device(spec))
    except Infeasible as error:
        if "meta" not in str(error.__cause__).lower():
            raise
    return _dry_run(spec, data, torch.device("cpu"))


def check_values(spec: TrialSpec) -> DatasetInfo:
    """Check the spec's values without building a model, and return the limited data set's entry.

    Raises as `check_feasibility`.
    """
    complete_model_spec(spec.model)
    learning_rate_at(spec, epoch=1)
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
    """Return the device for the model's dry run: the CPU if that is quick, else the meta device."""
    width = complete_model_spec(spec.model).width
    pixels = spec.batch_size * math.prod(dataset_info(spec.data).shape[1:])
    return torch.device("cpu" if width and pixels * width**2 <= MAX_CPU_COST else "meta")


def _dry_run(spec: TrialSpec, data: DatasetInfo, device: torch.device) -> Dimensions:
    """Build the spec's model on `device`, run it on batches of ones, and return its dimensions."""
    seed = derive_stream_seed(spec)
    norms = SeededNorms(spec.norm, seed=seed)
    with SeededGlobalRng(seed, "init"):
        with device:
            model = build_model(
                spec.model, in_channels=data.shape[0], num_classes=data.num_classes, norm=norms
            )
        if is_custom(spec.model.name):
            require_norms(spec.model, model, norms.built)
            require_sizes(spec.model, model)
        if spec.train.watch is not None:
            layer_at(model, spec.train.watch)
        unprepared = _try_prepare(model, data)
        run = DryRun(model, norms.built, spec, device)
        logits = run.forward((spec.batch_size, *data.shape), is_training=True)
        require_logits(spec.model, logits, spec.batch_size, data.num_classes)
        if unprepared is not None:
            raise Infeasible(f"{spec.norm.name}: {_error_text(unprepared)}") from unprepared
        for path in run.norms:
            for shape in run.calls.shapes.get(path, []):
                if len(shape) == 4 and math.prod(shape[2:]) == 1:
                    _require_varying_output(
                        spec, path, norms.build_another(run.layers[path], shape[1]), shape
                    )
        _dry_run_test(run, data)
        run.require_watched()
        if is_custom(spec.model.name):
            require_called(spec.model, run.uncalled_norms(), num_norms=len(run.norms))
    if is_custom(spec.model.name):
        require_repeatable_weights(complete_model_spec(spec.model), data.shape[0], data.num_classes)
    return Dimensions(
        num_classes=data.num_classes,
        num_train=data.num_train,
        num_test=data.num_test,
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        updates_per_epoch=data.num_train // spec.optimizer_batch_size,
    )


def _try_prepare(model: nn.Module, data: DatasetInfo) -> Exception | None:
    """Prepare the model's convolutions; return the exception of a failure instead of raising it.

    A later dry run may name the layer at fault, which is the better message.
    """
    try:
        prepare_convolutions(model, data.shape)
    except Exception as error:
        for layer in model.modules():
            if isinstance(layer, normmods.Norm):
                layer.prepared = True
        return error
    return None


def _error_text(error: Exception) -> str:
    """Return the error's message on one line, preceded by its type unless it is a `ValueError`."""
    return " ".join(str(error).split()) if isinstance(error, ValueError) else describe_error(error)


@torch.inference_mode()
def _dry_run_test(run: DryRun, data: DatasetInfo) -> None:
    """Run a test batch under each kind of test statistics that can fail."""
    # A larger test batch could do no harm that a smaller one does not, and of the statistics
    # that are tested side by side only the test batch's own can.
    model, spec, device = run.model.eval(), run.spec, run.device
    shape = (min(spec.batch_size, eval_batch_size(model, spec)), *data.shape)
    if uses_precise_statistics(model):
        normmods.recompute_precise(model, [torch.ones(spec.batch_size, *data.shape, device=device)])
    logits = run.forward(shape, is_training=False)
    require_logits(spec.model, logits, shape[0], data.num_classes)
    if "batch" in requested_eval_statistics(model, spec.train) and not uses_batch_statistics(model):
        with normmods.using_eval_statistics(model, "batch"):
            shape = (eval_batch_size(model, spec), *data.shape)
            run.forward(shape, is_training=False)


def _require_varying_output(
    spec: TrialSpec, path: str, layer: nn.Module, shape: torch.Size
) -> None:
    """Raise `Infeasible` for a new `layer` with equal outputs for any two inputs of `shape`.

    One value a statistic is its own mean: some layers then return their bias without an error.
    """
    normmods.prepare(layer).train()
    stream = seeded_generator(derive_stream_seed(spec), "norm", "probe")
    with torch.no_grad():
        first, second = (layer(torch.randn(shape, generator=stream)) for _ in range(2))
    if torch.allclose(first, second, atol=1e-4):
        raise Infeasible(
            f"{path} ({type(layer).__name__}) returns the same for every input of shape "
            f"{tuple(shape)}: each of its statistics is taken over one value"
        )

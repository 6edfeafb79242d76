"""Detection of values that layers change in training and that `state_dict` does not hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from trainables.data.catalog import DatasetInfo
from trainables.data.lookup import dataset_info
from trainables.models.build import build_model, prepare_convolutions
from trainables.norms import SeededNorms
from trainables.seeding import SeededGlobalRng, derive_stream_seed, seeded_generator
from trainables.spec import TrialSpec, is_custom

FEW_IMAGES = 8
"""Images of the first attempt's batches, where the spec's batch is larger."""

TOLERANCE = 1e-5
"""Largest difference, as a share of the largest value, that counts as rounding."""


def describe_unsaved_state(spec: TrialSpec) -> list[str]:
    """Return a line for each group of layers whose training state a resumed trial would lose.

    The custom norm or model of `spec` is built twice on the CPU. One network is trained on a
    first batch (without updates of parameters) and its `state_dict` is loaded into the other,
    as resuming does; both are then given a second batch. An attribute that differs between the
    two before and after the second batch is state that `state_dict` does not hold. What a layer
    keeps of its last batch alone (a cached activation) is the same again after the second batch.

    Returns no line for built-in norms in built-in models, and for a cell that cannot run.
    """
    if not (is_custom(spec.norm.name) or is_custom(spec.model.name)):
        return []
    for size in dict.fromkeys((min(spec.batch_size, FEW_IMAGES), spec.batch_size)):
        try:
            return _compare_networks(spec, size)
        except Exception:  # the cell's own check says what is wrong
            continue
    return []


def _compare_networks(spec: TrialSpec, batch_size: int) -> list[str]:
    """Return the lines of `describe_unsaved_state` from batches of `batch_size` images."""
    data = dataset_info(spec.data)
    (trained, norms), (resumed, _) = _build_model(spec, data), _build_model(spec, data)
    _run_batch(trained, spec, (batch_size, *data.shape), batch=0)
    resumed.load_state_dict(trained.state_dict())
    differing = set(_find_differing_attributes(trained, resumed))
    for model in (trained, resumed):
        _run_batch(model, spec, (batch_size, *data.shape), batch=1)
    names = [found for found in _find_differing_attributes(trained, resumed) if found in differing]
    paths = dict(trained.named_modules())
    in_norms = {part for norm in norms for part in norm.modules()}
    groups: dict[tuple[str, str, bool], dict[str, list[str]]] = {}
    for path, name in names:
        layer = paths[path]
        is_norms = layer in in_norms
        whose = f"{spec.norm.name} in {spec.model.name}" if is_norms else f"model {spec.model.name}"
        is_buffer = name in layer._non_persistent_buffers_set
        layers = groups.setdefault((whose, type(layer).__name__, is_buffer), {})
        layers.setdefault(path or "the model", []).append(name)
    return [_format_warning(*key, layers) for key, layers in groups.items()]


def _build_model(spec: TrialSpec, data: DatasetInfo) -> tuple[nn.Module, list[nn.Module]]:
    """Return the spec's model as a trial builds it, and the norm layers in it."""
    seed = derive_stream_seed(spec)
    norms = SeededNorms(spec.norm, seed=seed)
    with SeededGlobalRng(seed, "init"):
        model = build_model(
            spec.model, in_channels=data.shape[0], num_classes=data.num_classes, norm=norms
        )
        prepare_convolutions(model, data.shape)
    return model, norms.built


@torch.no_grad()
def _run_batch(model: nn.Module, spec: TrialSpec, shape: tuple[int, ...], *, batch: int) -> None:
    """Run the model in training mode on the random batch of this number."""
    seed = derive_stream_seed(spec)
    images = torch.randn(shape, generator=seeded_generator(seed, "norm", "resuming", batch))
    with SeededGlobalRng(seed, "norm", "resuming", batch):
        model.train()(images)


def _find_differing_attributes(first: nn.Module, second: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield (path, name) of the attributes, but parameters and saved buffers, that differ."""
    others = dict(second.named_modules())
    for path, layer in first.named_modules():
        if path not in others:
            continue
        ours, theirs = _get_unsaved_attributes(layer), _get_unsaved_attributes(others[path])
        yield from ((path, name) for name in ours if not _are_equal(ours[name], theirs.get(name)))


def _get_unsaved_attributes(layer: nn.Module) -> dict[str, Any]:
    """Return the layer's attributes and buffers that `state_dict` leaves out, by name."""
    of_torch = vars(nn.Module())
    plain = {name: value for name, value in vars(layer).items() if name not in of_torch}
    return plain | {name: layer._buffers.get(name) for name in layer._non_persistent_buffers_set}


def _are_equal(first: Any, second: Any) -> bool:
    """Whether two attributes hold the same numbers; other things than numbers count as equal."""
    numbers = bool | int | float | complex | np.ndarray | np.generic | torch.Tensor
    if isinstance(first, nn.Module):
        return True
    if isinstance(first, numbers) and isinstance(second, numbers):
        return _are_close(torch.as_tensor(first), torch.as_tensor(second))
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        keys = first.keys() | second.keys()
        return all(_are_equal(first.get(key), second.get(key)) for key in keys)
    if isinstance(first, list | tuple | deque) and isinstance(second, list | tuple | deque):
        return len(first) == len(second) and all(map(_are_equal, first, second))
    return (first is None) == (second is None)


def _are_close(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two tensors are equal, or, if floating, differ by rounding alone."""
    if first.shape != second.shape:
        return False
    if not (first.is_floating_point() and second.is_floating_point()):
        return bool((first == second).all())
    ours, theirs = first.detach().double(), second.detach().double()
    largest = torch.cat([ours.reshape(-1), theirs.reshape(-1), ours.new_zeros(1)]).nan_to_num()
    return torch.allclose(
        ours, theirs, rtol=0, atol=TOLERANCE * float(largest.abs().max()), equal_nan=True
    )


def _format_warning(whose: str, kind: str, is_buffer: bool, layers: Mapping[str, list[str]]) -> str:
    """Return the warning about one kind of layer and the attributes that a resumed trial loses.

    Args:
        whose: the norm or model that contains the layers.
        kind: class of the layers.
        is_buffer: whether the attributes are buffers with `persistent=False`.
        layers: names of the attributes, by the layers' paths.
    """
    path, more = next(iter(layers)), len(layers) - 1
    names = list(dict.fromkeys(name for of_layer in layers.values() for name in of_layer))
    where = f"{path} ({kind}){f' and {more} more' if more else ''}"
    change = "change" if more else "changes"
    one = len(names) == 1
    which = f"which {'is no parameter or buffer' if one else 'are no parameters or buffers'}"
    if is_buffer:
        which = f"which {'is a buffer' if one else 'are buffers'} with persistent=False"
    return (
        f"{whose}: {where} {change} {' and '.join(f'`{name}`' for name in names)} in training, "
        f"{which}: a resumed trial loses {'it' if one else 'them'}; use "
        f"{'persistent=True' if is_buffer else 'register_buffer'}"
    )

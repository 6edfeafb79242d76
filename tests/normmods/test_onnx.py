"""Every layer exported to ONNX by both of torch's exporters, run by onnxruntime."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable

import numpy as np
import onnxruntime
import pytest
import torch
from prepared_norms import NAMES, batch, convolutional, prepared, trained
from torch import Tensor, nn

import normmods

CASES = [
    *((name, "ema") for name in NAMES),
    *((name, "batch") for name in NAMES if "eval_statistics" in normmods.options(name)),
    ("batchnorm", "precise"),
]
OF_ONE_SIZE = ("ghostbatchnorm", "batch")
EXPORTERS = [False, True]


def exported(model: nn.Module, x: Tensor, *, dynamo: bool, any_size: bool) -> bytes:
    """The model in ONNX; `any_size` for any batch size and map."""
    file, options = io.BytesIO(), {}
    axes = {0: "batch", 2: "height", 3: "width"}
    if any_size and dynamo:
        dimensions = {at: torch.export.Dim(name) for at, name in axes.items()}
        options["dynamic_shapes"] = (dimensions,)
    elif any_size:
        options["dynamic_axes"] = {"x": axes, "y": axes}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (x,), file, dynamo=dynamo, input_names=["x"], output_names=["y"], **options
        )
    return file.getvalue()


def run(model: bytes, x: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": np.ascontiguousarray(x.numpy())})
    return torch.from_numpy(y)


class SideBySide(nn.Module):
    """Many layers of one input, so that one export, which takes seconds, serves them all."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([layer(x) for layer in self.layers])


def evaluated(name: str, choice: str) -> nn.Module:
    layer = trained(prepared(name))
    if choice == "precise":
        normmods.recompute_precise(layer, [batch(1), batch(2)])
    if hasattr(layer, "eval_statistics"):
        layer.eval_statistics = choice
    return layer.eval()


def held_to_torch(cases: list[tuple[str, str]], *, dynamo: bool, sizes: tuple[int, ...]) -> None:
    layers = [evaluated(*case) for case in cases]
    any_size = len(sizes) > 1
    model = exported(SideBySide(layers).eval(), batch(4), dynamo=dynamo, any_size=any_size)
    for size in sizes:
        x = batch(5, size)
        x = torch.cat([x, x.flip(2)], 2) if any_size else x
        for case, layer, y in zip(cases, layers, run(model, x), strict=True):
            torch.testing.assert_close(
                y,
                layer(x).detach(),
                rtol=1e-5,
                atol=1e-5,
                msg=lambda text, case=case: f"{case}: {text}",
            )


OF_ANY_SIZE = [case for case in CASES if case != OF_ONE_SIZE]


@pytest.mark.parametrize("case", OF_ANY_SIZE, ids="-".join)
def test_a_layer_in_evaluation_is_exported_by_the_older_exporter(case: tuple[str, str]) -> None:
    held_to_torch([case], dynamo=False, sizes=(4, 7))


def test_every_layer_in_evaluation_is_exported_by_the_newer_exporter() -> None:
    held_to_torch(OF_ANY_SIZE, dynamo=True, sizes=(4, 7))


@pytest.mark.parametrize("dynamo", EXPORTERS)
def test_ghost_batches_of_the_test_batch_are_exported_for_one_size(dynamo: bool) -> None:
    held_to_torch([OF_ONE_SIZE], dynamo=dynamo, sizes=(4,))


@pytest.mark.parametrize("dynamo", EXPORTERS)
@pytest.mark.parametrize("name", ["groupnorm_ws", "mabn"])
def test_a_model_with_its_convolutions_says_the_same(name: str, dynamo: bool) -> None:
    model, x = convolutional(name).eval(), torch.randn(2, 3, 6, 6)
    found = run(exported(model, x, dynamo=dynamo, any_size=False), x)
    torch.testing.assert_close(found, model(x).detach(), rtol=1e-5, atol=1e-5)


def test_an_unprepared_layer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"normmods\.prepare"):
        exported(normmods.build("mabn", 8).eval(), batch(), dynamo=False, any_size=False)

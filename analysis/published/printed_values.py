"""The figures that the two papers print, from `published.yaml`: single numbers, without seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from analysis.schema import Results
from analysis.sources.raw_results import RawResults, build_results, make_empty_curves

SOURCE = Path(__file__).with_name("published.yaml")
PAPERS = {"assocnorm": "AssocNorm (2019)", "renorm_debias": "renorm_debias"}

Measure = Literal["test_error", "test_top5_error", "epochs_to_threshold"]
EPOCHS_TO_ERROR = 40.0
"""Percent: the convergence table counts epochs to 60 % accuracy."""


@dataclass(frozen=True)
class Published:
    """A printed figure: an error in percent, or epochs to `EPOCHS_TO_ERROR`.

    `paper` is a key of `PAPERS`, `table` where it stands, `model` a network's name, `norm` a name
    with those options that are not the paper's own. `about`: the paper itself gives it roughly.
    """

    paper: str
    table: str
    dataset: str
    model: str
    norm: str
    batch_size: int
    value: float
    measure: Measure = "test_error"
    about: bool = False

    @property
    def where(self) -> str:
        """Paper, table and network, for a reader."""
        return f"{PAPERS[self.paper]}, {self.table}, {self.model}"


@cache
def content() -> dict[str, Any]:
    """The whole of `published.yaml`."""
    import yaml

    found: dict[str, Any] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    return found


@cache
def figures() -> tuple[Published, ...]:
    """Every printed figure of a norm at a batch size; accuracies are turned into errors."""
    return (*_assocnorm(content()["assocnorm"]), *_renorm(content()["renorm_debias"]))


def table3() -> Results:
    """The AssocNorm paper's Table 3 as trials of one seed: CIFAR-10, ResNet-101."""
    rows = [
        {
            "norm": item.norm,
            "batch_size": item.batch_size,
            "seed": 0,
            "outcome": "completed",
            "test_error": item.value,
            "chance_error": 90.0,
            "num_test": 10_000,
            "dataset": item.dataset,
            "model": item.model,
            "trial_id": f"{item.norm}-{item.batch_size}",
            "sweep": "table3",
        }
        for item in figures()
        if item.table == "Table 3"
    ]
    return build_results(RawResults("table3", rows, make_empty_curves(), reference="assocnorm"))


def _assocnorm(paper: dict[str, Any]) -> Iterator[Published]:
    name, model = "assocnorm", paper["protocol"]["model"]
    table = paper["table3"]
    for norm, errors in table["top1_error"].items():
        for size, error in zip(table["batch_sizes"], errors, strict=True):
            yield Published(name, "Table 3", table["dataset"], model, norm, size, error)
    for number in (1, 2):
        table = paper[f"table{number}"]
        place = (name, f"Table {number}", table["dataset"], model)
        for norm, error in table["top1_error"].items():
            yield Published(*place, norm, 64, error)
        for norm, error in table.get("top5_error", {}).items():
            yield Published(*place, norm, 64, error, "test_top5_error")
    table = paper["table5"]
    for bias, error in table["top1_error"].items():
        norm = "assocnorm" if bias == "after" else f"assocnorm(bias={bias})"
        place = (name, "Table 5", table["dataset"], model)
        yield Published(*place, norm, table["batch_size"], error)


def _renorm(paper: dict[str, Any]) -> Iterator[Published]:
    name, dataset = "renorm_debias", paper["dataset"]
    for model, norms in paper["top1_accuracy"].items():
        about = model in paper["about_accuracy"]
        for norm, accuracies in norms.items():
            for size, accuracy in accuracies.items():
                error = round(100 - accuracy, 2)
                place = (name, "accuracy table", dataset, model)
                yield Published(*place, norm, size, error, about=about)
    for model, norms in paper["epochs_to_60_percent"].items():
        for norm, epochs in norms.items():
            place = (name, "convergence table", dataset, model)
            yield Published(*place, norm, 5, epochs, "epochs_to_threshold")

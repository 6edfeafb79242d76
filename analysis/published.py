"""The figures that the two papers print, from `published.yaml`: single numbers, without seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.schema import Trials
from analysis.sources.assemble import Found, assemble, empty_curves

SOURCE = Path(__file__).with_name("published.yaml")


@dataclass(frozen=True)
class Published:
    """A printed test error, percent. `model` is a network's name, `table` where it stands."""

    paper: str
    table: str
    dataset: str
    model: str
    norm: str
    batch_size: int
    error: float


@cache
def figures() -> tuple[Published, ...]:
    """Every printed error by norm and batch size; accuracies are turned into errors."""
    import yaml

    content = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    return (*_assocnorm(content["assocnorm"]), *_renorm(content["renorm_debias"]))


@cache
def protocol() -> Mapping[str, str]:
    """How the AssocNorm paper trained, by the names that a trial's settings have."""
    import yaml

    printed = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))["assocnorm"]["protocol"]
    names = {
        "model": "model.name",
        "epochs": "train.epochs",
        "lr": "train.optimizer.lr",
        "milestones": "train.schedule.milestones",
        "gamma": "train.schedule.gamma",
        "momentum": "train.optimizer.momentum",
        "weight_decay": "train.optimizer.weight_decay",
        "lr_scaling": "train.lr_scaling",
    }
    return {names[key]: str(value) for key, value in printed.items() if key in names}


def table3() -> Trials:
    """The AssocNorm paper's Table 3 as trials of one seed: CIFAR-10, ResNet-101."""
    rows = [
        {
            "norm": item.norm,
            "batch_size": item.batch_size,
            "seed": 0,
            "outcome": "completed",
            "test_error": item.error,
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
    return assemble(Found("table3", rows, empty_curves(), reference="assocnorm"))


def matching(trials: pd.DataFrame) -> list[Published]:
    """Printed figures for the data set, norms and batch sizes of `trials`, best source first."""
    found: dict[tuple[str, int], Published] = {}
    cells = set(zip(trials["norm"].map(printed_norm), trials["batch_size"], strict=True))
    models = {model.split("_")[0] for model in trials["model"]}
    whole = set(trials.loc[trials["edition"] == "", "dataset"])
    for item in figures():
        known = item.dataset in whole and (item.norm, item.batch_size) in cells
        key = (item.norm, item.batch_size)
        if known and (
            key not in found or (item.model in models and found[key].model not in models)
        ):
            found[key] = item
    return list(found.values())


def printed_norm(label: str) -> str:
    """The papers' name for a norm: its own with their 32 groups, empty with other options."""
    name, _, options = label.partition("(")
    return name if options in ("", "num_groups=32)") else ""


def _assocnorm(paper: dict[str, Any]) -> Iterator[Published]:
    name, model = "AssocNorm (2019)", paper["protocol"]["model"]
    table = paper["table3"]
    for norm, errors in table["top1_error"].items():
        for size, error in zip(table["batch_sizes"], errors, strict=True):
            yield Published(name, "Table 3", table["dataset"], model, norm, size, error)
    for number in (1, 2):
        table = paper[f"table{number}"]
        for norm, error in table["top1_error"].items():
            yield Published(name, f"Table {number}", table["dataset"], model, norm, 64, error)


def _renorm(paper: dict[str, Any]) -> Iterator[Published]:
    for model, norms in paper["top1_accuracy"].items():
        for norm, accuracies in norms.items():
            for size, accuracy in accuracies.items():
                error = round(100 - accuracy, 2)
                yield Published(
                    "renorm_debias", "accuracy table", paper["dataset"], model, norm, size, error
                )

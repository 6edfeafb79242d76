"""A made-up sweep, as records in a folder and as runs in a real MLflow store."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

NORMS = ("batchnorm", "groupnorm(num_groups=8)", "assocnorm")
LEVELS = {"batchnorm": (6.4, 1.5), "groupnorm(num_groups=8)": (7.0, 0.05), "assocnorm": (6.2, 0.18)}
REFERENCE = "groupnorm(num_groups=8)"
NOT_METRICS = {"epoch", "timestamp_ms"}
STARTED_MS = 1_767_323_045_000
"""2026-01-02 03:04:05 UTC."""


def make_sweep(
    *,
    norms: tuple[str, ...] = NORMS,
    batch_sizes: tuple[int, ...] = (64, 16, 4, 2),
    num_seeds: int = 3,
    num_epochs: int = 5,
    seed: int = 0,
    sd: float = 0.15,
    num_train: int | None = None,
) -> dict[str, Any]:
    """A sweep's name, what it expects, and a record for every trial of it."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, sd, num_seeds)
    trials, records = [], {}
    for replicate in range(num_seeds):
        for norm in norms:
            for size in batch_sizes:
                level, slope = LEVELS.get(norm, (6.0 + len(norm) / 10, 0.3))
                final = level + slope * np.log2(max(batch_sizes) / size)
                final += shared[replicate] + rng.normal(0, sd)
                label = {"norm": norm, "batch_size": size, "seed": replicate, "variant": ""}
                record = _record(label, final, num_epochs, num_train)
                trials.append({"trial_id": record["trial_id"], **label})
                records[record["trial_id"]] = record
    return {
        "sweep": {
            "name": "small",
            "experiment": "small",
            "reference": REFERENCE if REFERENCE in norms else None,
            "trials": trials,
        },
        "records": records,
    }


def _record(
    label: dict[str, Any], final: float, num_epochs: int, num_train: int | None
) -> dict[str, Any]:
    name, _, options = label["norm"].partition("(")
    spec = {
        "norm": {"name": name, "options": {"num_groups": 8} if options else {}},
        "batch_size": label["batch_size"],
        "seed": label["seed"],
        "data": {"name": "digits", "augment": "none", "num_train": num_train, "num_test": None},
        "model": {"name": "allcnn", "stem": "cifar", "width": 8},
        "train": {
            "epochs": num_epochs,
            "optimizer": {"name": "sgd", "lr": 0.1},
            "schedule": {"name": "multistep", "milestones": [3], "gamma": 0.1},
        },
    }
    text = json.dumps(spec, sort_keys=True).encode()
    updates = 1437 // label["batch_size"]
    return {
        "record_version": 1,
        "trial_id": hashlib.sha256(text).hexdigest()[:12],
        "spec_version": 1,
        "spec": spec,
        "outcome": "completed",
        "num_classes": 10,
        "chance_error": 90.0,
        "num_train": 1437,
        "num_test": 360,
        "num_parameters": 1234,
        "attempts": [
            {
                "started": "2026-01-02T03:04:05+00:00",
                "ended": "2026-01-02T04:05:06+00:00",
                "host": "there",
            }
        ],
        "epochs": [
            _epoch(epoch, final + 40.0 * 0.4**epoch, updates, num_epochs)
            for epoch in range(1, num_epochs + 1)
        ],
        "provenance": {
            "code_version": "0.1.0",
            "python": "3.11.7",
            "packages": {"torch": "2.11.0", "numpy": "2.4.0"},
            "device": "cpu",
            "host": "there",
        },
        "error": None,
    }


def _epoch(epoch: int, error: float, updates: int, num_epochs: int) -> dict[str, Any]:
    return {
        "timestamp_ms": 1_700_000_000_000 + 1000 * epoch,
        "epoch": epoch,
        "train_loss": error / 50,
        "train_error": error * 0.8,
        "test_loss": error / 40,
        "test_error": error,
        "best_test_error": error,
        "lr": 0.1 if epoch <= num_epochs * 0.6 else 0.01,
        "num_updates": updates * epoch,
        "train_s": 1.5,
        "eval_s": 0.25,
    }


def record_statistics(sweep: dict[str, Any], norm: str, offsets: dict[str, float]) -> None:
    """Let the trials of `norm` record each `test_error_*` that `offsets` names, in every epoch.

    Points above `test_error`, per halving of the batch from 128 on, and a little by seed.
    """
    for record, trial in zip(sweep["records"].values(), sweep["sweep"]["trials"], strict=True):
        if trial["norm"] == norm:
            halvings = np.log2(128 / trial["batch_size"]) + 0.1 * trial["seed"]
            for epoch in record["epochs"]:
                epoch |= {
                    f"test_error_{kind}": epoch["test_error"] + offset * halvings
                    for kind, offset in offsets.items()
                }


def diverge(record: dict[str, Any], epoch: int) -> None:
    """Let the trial diverge in `epoch` (1-based): that epoch has no finite loss or error."""
    record["outcome"] = "diverged"
    del record["epochs"][epoch:]
    record["epochs"][-1] |= {"train_loss": None, "test_loss": None, "test_error": None}


def write_folder(sweep: dict[str, Any], storage: Path, *, exist_ok: bool = False) -> Path:
    """The sweep's folder with `sweep.json` and a record per trial."""
    folder = storage / sweep["sweep"]["name"]
    folder.mkdir(parents=True, exist_ok=exist_ok)
    (folder / "sweep.json").write_text(json.dumps(sweep["sweep"]))
    for trial_id, record in sweep["records"].items():
        home = folder / "trials" / trial_id
        home.mkdir(parents=True, exist_ok=exist_ok)
        (home / "record.json").write_text(json.dumps(record))
    return folder


def write_mlflow(
    sweep: dict[str, Any], uri: str, artifacts: Path, asked: list[dict[str, Any]] | None = None
) -> None:
    """The same in MLflow: a flat run per trial, and what is asked for as experiment tags."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

    client = MlflowClient(uri)
    about = sweep["sweep"]
    experiment = client.create_experiment(
        about["experiment"],
        artifact_location=artifacts.as_uri(),
        tags=dict(_tags({**about, "trials": asked or about["trials"]})),
    )
    labels = {trial["trial_id"]: trial for trial in about["trials"]}
    for trial_id, record in sweep["records"].items():
        run = client.create_run(experiment, run_name=trial_id, start_time=STARTED_MS)
        metrics = [
            Metric(key, float(value), epoch["timestamp_ms"], epoch["epoch"])
            for epoch in record["epochs"]
            for key, value in epoch.items()
            if key not in NOT_METRICS and value is not None
        ]
        client.log_batch(
            run.info.run_id,
            metrics=metrics,
            params=[Param(key, text) for key, text in _params(record["spec"]).items()],
            tags=[RunTag(key, text) for key, text in _run_tags(record, labels[trial_id]).items()],
        )
        if record["outcome"]:
            client.set_terminated(run.info.run_id, end_time=STARTED_MS + 3_661_000)
    client.create_run(experiment, run_name="REPORT", tags={"sweep.kind": "report"})


def _tags(about: dict[str, Any]) -> list[tuple[str, str]]:
    blocks = [
        {
            "norm": norm,
            "variant": "",
            "batch_sizes": list(dict.fromkeys(t["batch_size"] for t in about["trials"])),
            "seeds": list(dict.fromkeys(t["seed"] for t in about["trials"])),
        }
        for norm in dict.fromkeys(trial["norm"] for trial in about["trials"])
    ]
    tags = [(f"sweep.expected.{about['name']}", json.dumps(blocks))]
    if "asked_ids" in about:
        half = len(about["asked_ids"]) // 2
        for key, ids in (("", about["asked_ids"][:half]), (":2", about["asked_ids"][half:])):
            tags.append((f"sweep.trials.{about['name']}{key}", json.dumps(ids)))
    if about.get("left_out"):
        tags.append((f"sweep.left_out.{about['name']}", json.dumps(about["left_out"])))
    if "grid" in about:
        tags.append((f"sweep.grid.{about['name']}", json.dumps(about["grid"])))
    if about["reference"]:
        tags.append((f"sweep.reference.{about['name']}", about["reference"]))
    return tags


def _params(spec: dict[str, Any]) -> dict[str, str]:
    params = {"norm": spec["norm"]["name"]}
    params |= {f"norm.{key}": str(value) for key, value in spec["norm"]["options"].items()}
    for key in ("batch_size", "seed"):
        params[key] = str(spec[key])
    return params | {
        f"{part}.{key}": str(value)
        for part in ("data", "model", "train", "train.optimizer", "train.schedule")
        for key, value in _at(spec, part).items()
        if not isinstance(value, dict)
    }


def _at(spec: dict[str, Any], path: str) -> dict[str, Any]:
    for key in path.split("."):
        spec = spec[key]
    return spec


def _run_tags(record: dict[str, Any], label: dict[str, Any]) -> dict[str, str]:
    return {
        "norm": label["norm"],
        "sweep.trial_id": record["trial_id"],
        "sweep.name": label.get("sweep", "small"),
        "sweep.record_digest": hashlib.sha256(json.dumps(record).encode()).hexdigest()[:16],
        "sweep.variant": label["variant"],
        "sweep.outcome": record["outcome"] or "running",
        "sweep.chance_error": str(record["chance_error"]),
        "sweep.num_classes": str(record["num_classes"]),
        "sweep.num_test": str(record["num_test"]),
        "sweep.spec_version": str(record["spec_version"]),
        "sweep.code_version": record["provenance"]["code_version"],
        "sweep.device": record["provenance"]["device"],
        "sweep.host": record["provenance"]["host"],
        "sweep.python": record["provenance"]["python"],
        "sweep.packages": json.dumps(record["provenance"]["packages"]),
        **({"sweep.edition": record["edition"]} if "edition" in record else {}),
        **({"sweep.preset": json.dumps(record["preset"])} if "preset" in record else {}),
    }

"""Four ways of training the same trials: the sweep's own, and what people would use instead.

Run as a script, this is one of the others: `tune`, `joblib`, or `one` trial for `xargs`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SLOTS = 2

LAYOUT: dict[str, Any] = {
    "name": "bench",
    "data": {"name": "digits"},
    "model": {"name": "resnet8"},
    "reference": "batchnorm",
}


@dataclass(frozen=True)
class Trained:
    """When a trial's training began and ended, in seconds of the epoch, and how long it trained."""

    begun: float
    ended: float
    training_s: float


def spec_of(seed: int, epochs: int) -> Any:
    """The same trial for everybody; two norms take turns."""
    from trainables.spec import DataSpec, ModelSpec, NormSpec, OptimizerSpec, TrainSpec, TrialSpec

    return TrialSpec(
        norm=NormSpec(name=("batchnorm", "groupnorm")[seed % 2]),
        batch_size=16,
        seed=seed // 2,
        data=DataSpec(name="digits"),
        model=ModelSpec(name="resnet8"),
        train=TrainSpec(epochs=epochs, optimizer=OptimizerSpec(lr=0.02)),
    )


def train_alone(seed: int, epochs: int, on_epoch: Callable[[Any], None] = lambda _: None) -> str:
    """Train one trial in this process; a line of what became of it."""
    import torch

    from trainables import train

    torch.set_num_threads(1)
    begun: float | None = None
    training_s = 0.0
    for metrics in train(spec_of(seed, epochs)):
        seconds = metrics.train_s + metrics.eval_s
        begun = begun or time.time() - seconds
        training_s += seconds
        on_epoch(metrics)
    return json.dumps([begun, time.time(), training_s])


def run_sweep(grid: dict[str, Any], folder: Path) -> int:
    """Train a grid in a folder; the largest resident memory of the driver, in bytes.

    It is the process's own: what `wait4` tells is that of the largest worker.
    """
    (folder / "grid.yaml").write_text(yaml.safe_dump(grid))
    command = [sys.executable, "-m", "sweep", "run", "grid.yaml"]
    with open(folder / "log.txt", "w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        peak = 0
        while process.poll() is None:
            peak = max(peak, peak_memory(process.pid))
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit((folder / "log.txt").read_text())
    return peak


def peak_memory(pid: int) -> int:
    """The most that a process has had resident so far, in bytes; 0 where there is no `/proc`."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def recorded(folder: Path) -> list[Trained]:
    """What the records say of each trial."""
    found = []
    for file in (folder / "runs").glob("*/trials/*/record.json"):
        epochs = json.loads(file.read_text())["epochs"]
        seconds = [epoch["train_s"] + epoch["eval_s"] for epoch in epochs]
        ends = [epoch["timestamp_ms"] / 1000 for epoch in epochs]
        found.append(Trained(ends[0] - seconds[0], ends[-1], sum(seconds)))
    return found


def with_sweep(trials: int, epochs: int, folder: Path) -> list[Trained]:
    """Our own command, with records, checkpoints and MLflow."""
    grid = {
        **LAYOUT,
        "factors": {"norm": ["batchnorm", "groupnorm"], "batch_size": [16], "seed": trials // 2},
        "train": {"epochs": epochs, "optimizer": {"lr": 0.02}},
    }
    run_sweep(grid, folder)
    return recorded(folder)


def with_ray_tune(trials: int, epochs: int, folder: Path) -> list[Trained]:
    """A function that reports each epoch, given to a Tuner."""
    return lines_of([sys.executable, __file__, "tune", str(trials), str(epochs)], folder)


def with_processes(trials: int, epochs: int, folder: Path) -> list[Trained]:
    """A process for each trial."""
    seeds = "\n".join(map(str, range(trials)))
    command = ["xargs", "-P", str(SLOTS), "-I", "{}", sys.executable, __file__, "one", "{}"]
    return lines_of([*command, str(epochs)], folder, seeds)


def with_joblib(trials: int, epochs: int, folder: Path) -> list[Trained]:
    """A pool of processes that train one trial after another."""
    return lines_of([sys.executable, __file__, "joblib", str(trials), str(epochs)], folder)


def lines_of(command: list[str], folder: Path, given: str = "") -> list[Trained]:
    """Run a command that prints a line for each trial."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=env, input=given, capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    return [Trained(*json.loads(line)) for line in lines]


def tune_script(trials: int, epochs: int) -> None:
    """What Ray's documentation would have one write."""
    import ray
    from ray import tune

    ray.init(address="local", num_cpus=SLOTS)  # and no cluster that happens to run here

    def objective(config: dict[str, Any]) -> None:
        line = train_alone(
            config["seed"], epochs, lambda metrics: tune.report({"test_error": metrics.test_error})
        )
        tune.report({"line": line})

    results = tune.Tuner(
        tune.with_resources(objective, {"cpu": 1}),
        param_space={"seed": tune.grid_search(list(range(trials)))},
        tune_config=tune.TuneConfig(max_concurrent_trials=SLOTS),
        run_config=tune.RunConfig(storage_path=os.path.abspath("tune"), verbose=0),
    ).fit()
    for result in results:
        print(result.metrics["line"] if result.metrics else "")


def joblib_script(trials: int, epochs: int) -> None:
    """A pool of two."""
    from joblib import Parallel, delayed

    tasks = (delayed(train_alone)(seed, epochs) for seed in range(trials))
    print("\n".join(Parallel(n_jobs=SLOTS)(tasks)))


CONTENDERS = {
    "sweep run": with_sweep,
    "ray tune": with_ray_tune,
    "xargs -P 2": with_processes,
    "joblib": with_joblib,
}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["one", seed, epochs]:
            print(train_alone(int(seed), int(epochs)))
        case ["tune", trials, epochs]:
            tune_script(int(trials), int(epochs))
        case ["joblib", trials, epochs]:
            joblib_script(int(trials), int(epochs))

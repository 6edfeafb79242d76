"""What a large sweep asks of the driver, the storage and MLflow, measured with simulated trials.

    python -m benchmarks.scale --trials 200 --epochs 5

Ray Tune, the records and the export are real, but an epoch takes no time: a trial's whole cost is
its bookkeeping. CPU seconds are told from waiting, so that they travel between machines.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml
from ray import tune

GRID = {
    "name": "scale",
    "data": {"name": "digits"},
    "model": {"name": "resnet8"},
    "resources": {"cpu": 1, "gpu": 0},
}


class Simulated(tune.Trainable):
    """Commits records as a worker does, of epochs that were never trained."""

    def setup(self, config: dict[str, Any]) -> None:
        from sweep.execution.assignment import Assignment
        from sweep.records.record import Record, SweepFolder
        from sweep.records.storage import Storage

        given = Assignment.from_dict(config["assignments"][0])
        self.folder = SweepFolder(Storage.at(given.sweep_uri)).trial(given.spec.trial_id)
        self.record = Record.of(given.spec)
        self.num_epochs = given.spec.train.epochs

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        from trainables.spec import Outcome

        simulate_epoch(self.record)
        done = len(self.record.epochs) == self.num_epochs
        self.record.outcome = Outcome.COMPLETED if done else None
        self.folder.save(self.record)
        told = {
            "epochs": len(self.record.epochs),
            "test_error": 50.0,
            "epoch_s": 0.0,
            "outcome": "completed" if done else None,
            "error": None,
            "stopped_for": None,
            "notices": [],
        }
        return {"trials": {self.record.trial_id: told}, "broken": None, "done": done}


def simulate_epoch(record: Any) -> None:
    """Add an epoch whose every value is different."""
    from trainables.spec import EpochMetrics

    epoch = len(record.epochs) + 1
    falling = 50.0 / epoch
    record.add_epoch(
        EpochMetrics(
            epoch=epoch, train_loss=falling, train_error=falling, test_loss=falling,
            test_error=falling, best_test_error=falling, lr=0.1, num_updates=epoch,
            train_s=10.0, eval_s=1.0,
        )
    )  # fmt: skip


def grid_of(trials: int, epochs: int) -> Any:
    """A grid of so many trials, 50 to a seed."""
    from sweep.grid.model import load_grid

    norms = ["batchnorm", *({"name": "groupnorm", "num_groups": 2**i} for i in range(4))]
    sizes = [2**i for i in range(1, 11)]
    factors = {"norm": norms, "batch_size": sizes, "seed": max(1, trials // 50)}
    layout = {**GRID, "factors": factors, "train": {"epochs": epochs}}
    Path("grid.yaml").write_text(yaml.safe_dump(layout))
    return load_grid("grid.yaml")


@contextmanager
def measured(what: str, number: int, unit: str) -> Iterator[None]:
    """Print the CPU and wall seconds of a block, in all and per unit."""
    process = psutil.Process()
    before, start = process.cpu_times(), time.perf_counter()
    yield
    after, wall = process.cpu_times(), time.perf_counter() - start
    cpu = after.user + after.system - before.user - before.system
    each = f"{1000 * cpu / number:.2f} ms CPU, {1000 * wall / number:.2f} ms per {unit}"
    memory = process.memory_info().rss / 1e6
    print(f"{what}: {cpu:.1f} s CPU, {wall:.1f} s; {each}; {memory:.0f} MB resident", flush=True)


def drive(grid: Any, slots: int) -> None:
    """The driver: Tune's loop, the board, and the export in a process of its own."""
    import ray

    from sweep.execution import trainable as worker
    from sweep.pipeline import run

    worker.TrialTrainable = Simulated  # type: ignore[misc,assignment]
    init = ray.init
    ray.init = lambda **options: init(**{**options, "num_cpus": slots})
    results = sum(trial.spec.train.epochs for trial in grid.trials)
    with measured("driver and MLflow", results, "epoch"):
        run(grid)
    ray.init = init


def read_and_ship(grid: Any) -> None:
    """What the records weigh, how long `status` reads them, how long `sync` takes from nothing."""
    from sweep.planning.trial_states import read_trial_states
    from sweep.records.record import Record
    from sweep.tracking.export import export_all

    number = len(grid.trials)
    with measured("plan, which reads every record", number, "trial"):
        plan = read_trial_states(grid)
    results = sum(len(record.epochs) for record in plan.records.values())
    os.environ["MLFLOW_TRACKING_URI"] = os.environ.get("SCALE_TRACKING_URI", "sqlite:///anew.db")
    with measured(f"sync of {results} epochs", results, "epoch"):
        shipped = export_all(grid)
    assert not shipped.error, shipped.error
    longest = Record.of(grid.trials[0].spec)
    for _ in range(350):
        simulate_epoch(longest)
    print(f"a record of 350 epochs: {len(longest.to_json()) / 1e3:.0f} kB", flush=True)


def main() -> None:
    """Measure both in an empty folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--slots", type=int, default=16)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        os.chdir(folder)
        os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///mlflow.db"
        grid = grid_of(given.trials, given.epochs)
        print(f"{len(grid.trials)} trials of {given.epochs} epochs, {given.slots} at a time")
        drive(grid, given.slots)
        read_and_ship(grid)
        os.chdir("/")


if __name__ == "__main__":
    main()

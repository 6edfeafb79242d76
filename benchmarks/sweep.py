"""What a sweep costs beyond its training, beside what people would use instead.

    python -m benchmarks.sweep overhead [--trials 200] [--rounds 1]
    python -m benchmarks.sweep growth [--trials 2000]
    python -m benchmarks.sweep startup

`overhead`: trials of about a second at two slots. The time from the first training step to the
last, over the sum of the training times over the slots, of `python -m sweep run` and of three
others that train the same trials and keep nothing but a line each: Ray Tune as its documentation
shows it, a Python process per trial under `xargs -P 2`, and a joblib pool. They take turns.
`growth`: trials of one update; the last 200 against the first 200, and the driver's memory.
`startup`: from the command to the first training step, over `ray.init` and one worker's imports.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SLOTS = 2
NUM_EDGE = 200
"""`growth` compares so many trials at either end."""

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


def with_sweep(trials: int, epochs: int, folder: Path) -> list[Trained]:
    """Our own command, with records, checkpoints and MLflow."""
    grid = {
        **LAYOUT,
        "factors": {"norm": ["batchnorm", "groupnorm"], "batch_size": [16], "seed": trials // 2},
        "train": {"epochs": epochs, "optimizer": {"lr": 0.02}},
    }
    run_sweep(grid, folder)
    return recorded(folder)


def run_sweep(grid: dict[str, Any], folder: Path) -> int:
    """Train a grid in a folder; the largest resident memory of the driver, in bytes."""
    (folder / "grid.yaml").write_text(yaml.safe_dump(grid))
    command = [sys.executable, "-m", "sweep", "run", "grid.yaml"]
    with open(folder / "log.txt", "w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit((folder / "log.txt").read_text())
    return usage.ru_maxrss * 1024


def recorded(folder: Path) -> list[Trained]:
    """What the records say of each trial."""
    found = []
    for file in (folder / "runs").glob("*/trials/*/record.json"):
        epochs = json.loads(file.read_text())["epochs"]
        seconds = [epoch["train_s"] + epoch["eval_s"] for epoch in epochs]
        ends = [epoch["timestamp_ms"] / 1000 for epoch in epochs]
        found.append(Trained(ends[0] - seconds[0], ends[-1], sum(seconds)))
    return found


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


def overhead(trials: int, rounds: int) -> None:
    """Print each contender's time over the ideal, the median of the rounds."""
    seconds = json.loads(train_alone(0, 3))[2] / 3
    epochs = max(1, round(1 / seconds))
    print(f"{trials} trials of {epochs} epochs, about {epochs * seconds:.2f} s; {SLOTS} slots")
    ratios: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, contender in CONTENDERS.items():
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                ratios[name].append(over_ideal(contender(trials, epochs, Path(folder)), trials))
            print(f"  {name:<12} {ratios[name][-1]:.3f}", flush=True)
    print(f"{'':<12} time over the ideal")
    for name, values in ratios.items():
        print(f"{name:<12} {statistics.median(values):>19.3f}")


def over_ideal(trained: Iterable[Trained], trials: int) -> float:
    """First step to last, over the sum of the training times over the slots."""
    trained = list(trained)
    assert len(trained) == trials, f"{len(trained)} of {trials} trials were trained"
    span = max(t.ended for t in trained) - min(t.begun for t in trained)
    return span * SLOTS / sum(t.training_s for t in trained)


def growth(trials: int) -> None:
    """Print the time per trial at either end of a long sweep of trivial ones."""
    grid = {
        **LAYOUT,
        "data": {"name": "digits", "num_train": 32, "num_test": 20},
        "model": {"name": "resnet8", "width": 4},
        "factors": {"norm": ["batchnorm"], "batch_size": [32], "seed": trials},
        "train": {"epochs": 1},
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        memory = run_sweep(grid, Path(folder))
        ends = sorted(trained.ended for trained in recorded(Path(folder)))
    first = (ends[NUM_EDGE] - ends[0]) / NUM_EDGE
    last = (ends[-1] - ends[-1 - NUM_EDGE]) / NUM_EDGE
    print(
        f"{trials} trials: {1000 * first:.0f} ms each in the first {NUM_EDGE}, "
        f"{1000 * last:.0f} ms in the last: ratio {last / first:.2f}; "
        f"the driver's memory {memory / 1e6:.0f} MB"
    )


FLOOR = """
import time
import ray

@ray.remote
def imports():
    import torch, trainables.training, sweep.training.attempt, ray.tune
    return time.time()

ray.init(address="local", logging_level="error", include_dashboard=False)
print(ray.get(imports.remote()))
ray.shutdown()
"""


def startup(rounds: int) -> None:
    """Print seconds from the command to the first training step, and those of the floor."""
    ours, floor = [], []
    grid = {
        **LAYOUT,
        "factors": {"norm": ["batchnorm"], "batch_size": [16], "seed": 1},
        "train": {"epochs": 1},
    }
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            start = time.time()
            run_sweep(grid, Path(folder))
            ours.append(recorded(Path(folder))[0].begun - start)
            start = time.time()
            done = subprocess.run(
                [sys.executable, "-c", FLOOR], cwd=folder, capture_output=True, check=True
            )
            floor.append(float(done.stdout.split()[-1]) - start)
    mine, least = statistics.median(ours), statistics.median(floor)
    print(f"first training step after {mine:.1f} s; floor {least:.1f} s; ratio {mine / least:.2f}")


def main() -> None:
    """Measure, or be one of those that are measured."""
    if sys.argv[1:2] == ["one"]:
        print(train_alone(int(sys.argv[2]), int(sys.argv[3])))
    elif sys.argv[1:2] == ["tune"]:
        tune_script(int(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["joblib"]:
        joblib_script(int(sys.argv[2]), int(sys.argv[3]))
    else:
        parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
        parser.add_argument("what", choices=["overhead", "growth", "startup"])
        parser.add_argument("--trials", type=int)
        parser.add_argument("--rounds", type=int)
        given = parser.parse_args()
        if given.what == "overhead":
            overhead(given.trials or 200, given.rounds or 1)
        elif given.what == "growth":
            growth(given.trials or 2000)
        else:
            startup(given.rounds or 3)


if __name__ == "__main__":
    main()

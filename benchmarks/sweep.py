"""What a sweep costs beyond its training, beside what people would use instead.

    python -m benchmarks.sweep overhead [--trials 200] [--rounds 1]
    python -m benchmarks.sweep growth [--trials 2000]
    python -m benchmarks.sweep startup
    python -m benchmarks.sweep forecast
    python -m benchmarks.sweep tracking

With `--publish` a measure is kept for the documentation's tables.

`overhead`: trials of about a second at two slots. The time from the first training step to the
last, over the sum of the training times over the slots, of `norm-sweep run` and of three
others that train the same trials and keep nothing but a line each: Ray Tune as its documentation
shows it, a Python process per trial under `xargs -P 2`, and a joblib pool. They take turns.
`growth`: trials of one update; the last 200 against the first 200, and the driver's memory.
`startup`: from the command to the first training step, over `ray.init` and one worker's imports.
`forecast`: what `plan` says of the quickstart after its first seed, over what the other seeds take;
and how close their order comes to slots that are never idle.
`tracking`: what the driver spends on an epoch's way to MLflow; the workers spend nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path

import yaml

from benchmarks.contenders import (
    CONTENDERS,
    LAYOUT,
    SLOTS,
    Trained,
    recorded,
    run_sweep,
    train_alone,
)
from benchmarks.published import publish

Figures = dict[str, float]

NUM_EDGE = 200
"""`growth` compares so many trials at either end."""


def overhead(trials: int, rounds: int) -> Figures:
    """Each contender's time over the ideal, the median of the rounds."""
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
    medians = {name: statistics.median(values) for name, values in ratios.items()}
    for name, ratio in medians.items():
        print(f"{name:<12} {ratio:>19.3f}")
    return {"trials": trials, **medians}


def over_ideal(trained: Iterable[Trained], trials: int) -> float:
    """First step to last, over the sum of the training times over the slots."""
    trained = list(trained)
    assert len(trained) == trials, f"{len(trained)} of {trials} trials were trained"
    span = max(t.ended for t in trained) - min(t.begun for t in trained)
    return span * SLOTS / sum(t.training_s for t in trained)


def growth(trials: int) -> Figures:
    """The time per trial at either end of a long sweep of trivial ones, and the driver's memory."""
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
    return {"trials": trials, "first_s": first, "last_s": last, "memory_bytes": memory}


FLOOR = """
import time
import ray

@ray.remote
def imports():
    import torch, trainables.training, sweep.execution.attempt, ray.tune
    return time.time()

ray.init(address="local", logging_level="error", include_dashboard=False)
print(ray.get(imports.remote()))
ray.shutdown()
"""


def startup(rounds: int) -> Figures:
    """Seconds from the command to the first training step, and those of the floor."""
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
    return {"first_step_s": mine, "floor_s": least}


def forecast(rounds: int) -> Figures:
    """What was foretold after the quickstart's first seed over what the others then took."""
    foretold, over_bound = [], []
    grid = yaml.safe_load(Path("grids/quickstart.yaml").read_text(encoding="utf-8"))
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="bench-") as place:
            folder = Path(place)
            run_sweep({**grid, "factors": {**grid["factors"], "seed": 1}}, folder)
            first = {trained.begun for trained in recorded(folder)}
            (folder / "grid.yaml").write_text(yaml.safe_dump(grid))
            command = [sys.executable, "-m", "sweep", "plan", "grid.yaml", "--json"]
            plan = subprocess.run(command, cwd=folder, check=True, capture_output=True)
            run_sweep(grid, folder)
            others = [trained for trained in recorded(folder) if trained.begun not in first]
        took = max(t.ended for t in others) - min(t.begun for t in others)
        foretold.append(json.loads(plan.stdout)["left_s"] / took)
        lengths = [trained.ended - trained.begun for trained in others]
        over_bound.append(took / max(sum(lengths) / SLOTS, *lengths))
    found = {
        "foretold": statistics.median(foretold),
        "makespan_over_bound": statistics.median(over_bound),
    }
    print(
        f"after the first seed, foretold over taken: {found['foretold']:.2f}; "
        f"makespan over its lower bound: {found['makespan_over_bound']:.2f}"
    )
    return found


def tracking(epochs: int) -> Figures:
    """What it costs a sweep that an epoch goes to MLflow, while a server takes them in."""
    from sweep.grid.model import load_grid
    from sweep.planning.trial_states import read_trial_states
    from sweep.tracking.exporter import Exporter

    grid = {
        **LAYOUT,
        "factors": {"norm": ["batchnorm"], "batch_size": [64], "seed": 1},
        "train": {"epochs": 1},
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        run_sweep(grid, Path(folder))
        with chdir(folder):
            read = load_grid("grid.yaml")
            trial_id = next(iter(read_trial_states(read).records))
            shipper = Exporter(read)
            spent = []
            for _ in range(epochs):
                start = time.perf_counter()
                shipper.notify_change(trial_id)
                shipper.poll_reachability()
                spent.append(time.perf_counter() - start)
                time.sleep(0.005)
            shipper.finish()
    median, high = statistics.median(spent), sorted(spent)[int(0.99 * epochs)]
    print(
        f"tracking: {1e3 * median:.3f} ms of an epoch, {1e3 * high:.3f} ms at the 99th percentile"
    )
    return {"median_s": median, "percentile_99_s": high}


def main() -> None:
    """Measure one of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["overhead", "growth", "startup", "forecast", "tracking"])
    parser.add_argument("--trials", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--publish", action="store_true", help="for the documentation's tables")
    given = parser.parse_args()
    match given.what:
        case "overhead":
            figures = overhead(given.trials or 200, given.rounds or 1)
        case "growth":
            figures = growth(given.trials or 2000)
        case "startup":
            figures = startup(given.rounds or 5)
        case "forecast":
            figures = forecast(given.rounds or 3)
        case _:
            figures = tracking(given.trials or 1000)
    if given.publish:
        publish(f"sweep-{given.what}", figures)


if __name__ == "__main__":
    main()

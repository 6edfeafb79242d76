"""The measurements of a grid's cells on GPUs, stored beside the records for later runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from sweep.grid.expand import GridTrial
from sweep.planning.feasibility import FeasibleGrid
from sweep.records.record import SweepFolder
from sweep.resources.gpu_sharing.throughput import ThroughputProbe
from sweep.wording import count_noun
from trainables.spec import ScheduleSpec

MEASUREMENTS_FILE = "sharing.json"


@dataclass(frozen=True)
class Setting:
    """Where a cell was measured: the names of the GPUs, and the state of NVIDIA's MPS if known."""

    gpus: str
    mps: str | None = None


@dataclass(frozen=True)
class CellMeasurement:
    """The probe of a cell, where it was made, and the cell's name."""

    probe: ThroughputProbe
    setting: Setting
    cell: str


def workload_id(grid: FeasibleGrid, trial: GridTrial) -> str:
    """Return an id of the computation of a trial's cell, whatever its seeds and epochs."""
    same = replace(trial.spec.train, epochs=1, schedule=ScheduleSpec())
    spec = replace(trial.spec, seed=0, train=same)
    graphs = "-graphs" if grid.resources.cuda_graphs else ""
    return f"{spec.trial_id}-{seeds_side_by_side(grid, trial)}{graphs}"


def seeds_side_by_side(grid: FeasibleGrid, trial: GridTrial) -> int | str:
    """Return how many seeds of the trial's cell a worker trains as one network, or `auto`."""
    is_fusable = (trial.norm, trial.variant) not in grid.not_fusable
    return 1 if not is_fusable else grid.resources.seeds_per_trainable


def save(folder: SweepFolder, measurements: Mapping[str, CellMeasurement]) -> None:
    """Store measurements, by `workload_id`, in place of those that are stored."""
    rows = [
        {
            "workload": workload,
            "cell": measured.cell,
            **asdict(measured.setting),
            **asdict(measured.probe),
        }
        for workload, measured in measurements.items()
    ]
    folder.storage.write(MEASUREMENTS_FILE, json.dumps(rows, indent=1).encode() + b"\n")


def load(folder: SweepFolder) -> dict[str, CellMeasurement]:
    """Return the stored measurements by `workload_id`; empty where there are no readable ones."""
    try:
        rows = json.loads(folder.storage.read(MEASUREMENTS_FILE))
        return {str(row["workload"]): _parse_row(row) for row in rows}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # cells are measured again


def _parse_row(row: Mapping[str, object]) -> CellMeasurement:
    """Return the measurement that a stored row holds."""
    rates = row["steps_per_s"]
    assert isinstance(rates, dict)
    probe = ThroughputProbe(
        int(str(row["process_bytes"])),
        int(str(row["device_bytes"])),
        {int(number): float(rate) for number, rate in rates.items()},
    )
    mps = row["mps"]
    setting = Setting(str(row["gpus"]), None if mps is None else str(mps))
    return CellMeasurement(probe, setting, str(row["cell"]))


def summarise_measurements(per_gpu: Mapping[str, int]) -> str:
    """Return `8 trials per GPU in 12 cells, 1 in 6` for trials per GPU by cell."""
    numbers = sorted(Counter(per_gpu.values()).items(), reverse=True)
    if len(numbers) == 1:
        return f"{count_noun(numbers[0][0], 'trial')} per GPU"
    first, *others = [(number, count_noun(cells, "cell")) for number, cells in numbers]
    parts = [f"{count_noun(first[0], 'trial')} per GPU in {first[1]}"]
    return ", ".join(parts + [f"{number} in {cells}" for number, cells in others])

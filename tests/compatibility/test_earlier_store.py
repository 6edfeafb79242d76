"""The present program goes on with a store that an earlier one made, and finds the same in it.

`store/` was made on 2026-11-30 by version 0.1.0 (`0.1.0+7206fe74ff37` in its records), the last one
before `sweep` was put in the order that its data flow:

    norm-sweep run single.yaml
    norm-sweep run side-by-side.yaml
    norm-sweep run interrupted.yaml     # SIGINT once a record had four epochs

Then the checkpoints of finished trials and all but the last of the interrupted ones were deleted,
and in the records the host, process ids and the kernel's version replaced. `expected/` is what the
same version, on the same machine, made of this store; `finished/` is a copy with all checkpoints:

    for grid in single side-by-side interrupted; do
      norm-sweep plan $grid.yaml --json > plan-$grid.json
      norm-sweep sync $grid.yaml
    done
    for grid in single side-by-side; do
      norm-sweep report runs/$grid --out report/$grid
    done
    (cd finished && norm-sweep run interrupted.yaml)
    python stored_values.py . expected

That version knew no `seeding`: its streams derive from the seed alone, which a grid now asks for by
`seeding: per_seed`. The line is added to the grids of each copy, as a user would add it, and the
digests of the grids in `expected/mlflow.json` are those with the line.

Of the reports the tables are kept. Trained bits are compared where processor and torch are those of
`expected/machine.json`; other machines skip this and say so. What a later version changes on
purpose is changed in `expected/` by hand, with a line in the changelog.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from stored_values import (
    GRIDS,
    REPORTED,
    describe_machine,
    read_mlflow_rows,
    read_plan,
    read_results,
)
from typer.testing import CliRunner
from user_folder import Folder

STORE = Path(__file__).parent / "store"
EXPECTED = Path(__file__).parent / "expected"
INTERRUPTED = {"50b9cbe5c0a1": (4, 200), "16a7dbbe5079": (1, 200)}  # its checkpoint: epochs, steps
TABLES: dict[str, tuple[list[str], list[str]]] = {
    "errors": (["norm", "batch_size"], []),
    "trials": (["trial_id"], []),
    "measures": (["norm"], ["auec", "degradation", "relative", "slope", "last_octave"]),
    "gaps": (["norm", "measure", "batch_size"], ["difference", "pairing_correlation", "welch_p"]),
}
"""Tables of a report: the columns that name a row, and those that are compared, if not all."""
REPRODUCED = {
    "single": ["batchnorm-bs004-s0", "groupnorm-bs016-s1", "assocnorm-bs004-s0"],
    "custom layer": ["scaled:Scaled-bs004-s1"],
    "side by side": ["batchnorm-bs008-s1", "groupnorm-bs008-s2"],
}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the store as the working folder; the import path is left as it was."""
    path = sys.path[:]
    copied = copy_store(tmp_path / "copy")
    monkeypatch.chdir(copied)
    yield copied
    sys.path[:] = path
    sys.modules.pop("scaled", None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A copy of the store in which the interrupted sweep was run to its end."""
    folder = Folder(copy_store(tmp_path_factory.mktemp("finished") / "copy"))
    succeed(folder, "run", "interrupted.yaml")
    return folder


def copy_store(target: Path) -> Path:
    """Copy the store, and add to its grids what goes on with its trials."""
    shutil.copytree(STORE, target, ignore=shutil.ignore_patterns("__pycache__"))
    for grid in GRIDS:
        with (target / f"{grid}.yaml").open("a", encoding="utf-8") as file:
            file.write("seeding: per_seed\n")
    return target


def succeed(folder: Folder, *arguments: str) -> str:
    """Type a command in a process of its own; return what it printed."""
    result = folder.sweep(*arguments, OMP_NUM_THREADS="1")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def bytes_in(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def without_grid(content: bytes) -> bytes:
    """Return the bytes of `sweep.json` without the grid's identity."""
    return json.dumps({**json.loads(content), "grid": None}).encode()


def read_table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"batch_size": str}).fillna({"batch_size": ""})


def expected(name: str) -> Any:
    return json.loads((EXPECTED / f"{name}.json").read_text(encoding="utf-8"))


def skip_unless_bits_are_comparable(*parts: str) -> None:
    """Skip the rest of a test where other bits are to be expected, and say what differs."""
    made, here = expected("machine"), describe_machine()
    different = [
        f"{part}: {here[part]}, not {made[part]}" for part in parts if made[part] != here[part]
    ]
    if different:
        pytest.skip(f"bits are those of another machine: {'; '.join(different)}")


@pytest.mark.parametrize("grid", GRIDS)
def test_a_plan_finds_every_trial_by_its_id_and_misses_only_the_interrupted(
    grid: str, store: Path
) -> None:
    from sweep.cli.app import app

    before = bytes_in(store / "runs")
    result = CliRunner().invoke(app, ["plan", f"{grid}.yaml", "--json"])
    assert result.exit_code == 0, result.output
    plan = read_plan(result.stdout)
    assert plan == expected("plans")[grid]
    missing = {trial["trial_id"] for trial in plan["missing"]}
    assert missing == (set(INTERRUPTED) if grid == "interrupted" else set())
    assert bytes_in(store / "runs") == before


@pytest.mark.parametrize("grid", GRIDS)
def test_a_grid_of_that_version_as_it_was_is_told_what_goes_on_with_its_trials(
    grid: str, store: Path
) -> None:
    from sweep.cli.app import app

    shutil.copy(STORE / f"{grid}.yaml", store)
    result = CliRunner().invoke(app, ["plan", f"{grid}.yaml"], env={"COLUMNS": "400"})
    assert result.exit_code == 0, result.output
    num = len(list((store / "runs" / grid / "trials").iterdir()))
    message = f"{num} of this grid's {num} trials have a record with `seeding: per_seed`"
    assert message in result.output
    result = CliRunner().invoke(app, ["plan", f"{grid}.yaml", "--set", "seeding=per_seed"])
    assert result.exit_code == 0, result.output
    assert "a record with `seeding" not in result.output


def test_a_record_is_written_as_it_was_read() -> None:
    from sweep.records.record import parse_record

    files = sorted(STORE.glob("runs/*/trials/*/record.json"))
    assert len(files) == 24
    for file in files:
        content = file.read_bytes()
        assert parse_record(content, str(file)).to_json() == content, file


@pytest.mark.parametrize("grid", REPORTED)
def test_a_report_from_records_measures_the_same(grid: str, store: Path) -> None:
    """Errors, trials, measures per seed and differences are those of the earlier version.

    Its sentences, families and intervals are not: what a report asks of these numbers has changed
    since (level and robustness are declared, with simultaneous intervals), and so have its figures.
    """
    from analysis.cli import app

    before = bytes_in(store / "runs")
    result = CliRunner().invoke(app, ["report", f"runs/{grid}", "--out", f"report/{grid}"])
    assert result.exit_code == 0, result.output
    assert bytes_in(store / "runs") == before
    for name, (key, columns) in TABLES.items():
        now, earlier = (
            read_table(folder / "report" / grid / "tables" / f"{name}.csv").set_index(key)
            for folder in (store, EXPECTED)
        )
        compared = columns or list(earlier)
        pd.testing.assert_frame_equal(now.loc[earlier.index, compared], earlier[compared])


@pytest.mark.slow
@pytest.mark.parametrize("grid", REPORTED)
def test_running_a_finished_sweep_again_trains_nothing_and_leaves_its_bytes(
    grid: str, store: Path
) -> None:
    before = bytes_in(store / "runs" / grid)
    assert "trained now: 0" in succeed(Folder(store), "run", f"{grid}.yaml")
    after = bytes_in(store / "runs" / grid)
    for contents in (before, after):  # the digest of the grid's file is the new one
        contents["sweep.json"] = without_grid(contents["sweep.json"])
    assert {name: after.get(name) for name in before} == before
    assert read_mlflow_rows(store / "mlflow.db")[grid] == expected("mlflow")[grid]


@pytest.mark.slow
def test_interrupted_trials_go_on_from_their_checkpoints(finished: Folder) -> None:
    earlier = {
        trial: json.loads((STORE / f"runs/interrupted/trials/{trial}/record.json").read_text())
        for trial in INTERRUPTED
    }
    records = finished.records("interrupted")
    assert set(records) == set(earlier)
    for trial, record in records.items():
        old = earlier[trial]
        assert record["outcome"] == "completed"
        assert [epoch["epoch"] for epoch in record["epochs"]] == list(range(1, 13))
        assert record["epochs"][: len(old["epochs"])] == old["epochs"]
        first, second = record["attempts"]
        assert [first] == old["attempts"]
        assert (second["from_epoch"], second["from_step"]) == INTERRUPTED[trial]
        assert list(record) == list(old)
        assert {tuple(epoch) for epoch in record["epochs"]} == {tuple(old["epochs"][0])}
        assert list(second) == [key for key in first if key != "stopped_for"]
        assert all(math.isfinite(epoch["test_loss"]) for epoch in record["epochs"])


@pytest.mark.slow
def test_interrupted_trials_come_to_the_same_bits(finished: Folder) -> None:
    skip_unless_bits_are_comparable("processor", "torch")
    results = read_results(finished.path / "runs/interrupted/trials")
    assert results == expected("results")["interrupted"]


@pytest.mark.slow
@pytest.mark.parametrize("grid", REPORTED)
def test_training_afresh_comes_to_the_same_bits(grid: str, store: Path) -> None:
    skip_unless_bits_are_comparable("processor", "torch")
    shutil.rmtree(store / "runs" / grid)
    succeed(Folder(store), "run", f"{grid}.yaml")
    assert read_results(store / "runs" / grid / "trials") == expected("results")[grid]


@pytest.mark.slow
def test_a_new_mlflow_store_gets_the_same_rows(store: Path) -> None:
    before = bytes_in(store / "runs")
    for grid in GRIDS:
        succeed(Folder(store), "sync", f"{grid}.yaml")
    rows = read_mlflow_rows(store / "mlflow.db")
    for grid in GRIDS:
        assert rows[grid] == expected("mlflow")[grid]
    assert set(rows) == set(GRIDS)
    assert bytes_in(store / "runs") == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "trial"), [(kind, trial) for kind, trials in REPRODUCED.items() for trial in trials]
)
def test_a_trial_is_reproduced(kind: str, trial: str, store: Path) -> None:
    skip_unless_bits_are_comparable("processor", "torch")
    grid = "side-by-side.yaml" if kind == "side by side" else "single.yaml"
    printed = succeed(Folder(store), "reproduce", grid, trial)
    # Seeds side by side have other bits than one alone, which is what `reproduce` trains.
    assert ("alike" if kind == "side by side" else "final weights: same bits") in printed

"""Seeds that a later run added after a possible look are told from seeds planned together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from synthetic_sweep import make_sweep, write_folder

from analysis.findings import compute_findings
from analysis.options import ReportOptions
from analysis.reporting.summary import summarize_findings, write_answer
from analysis.sources.load_results import load_results
from analysis.statistics.added_seeds import AddedSeeds, find_added_seeds
from analysis.statistics.comparison import build_comparisons


def run_of(seed: int, runs: dict[int, str], *, overlap: bool = False) -> dict[str, Any]:
    """An attempt of one seed: seeds one hour after the other, or all in the same hours."""
    start = 10 if overlap else 10 + seed
    return {
        "started": f"2026-01-02T{start}:00:00+00:00",
        "ended": f"2026-01-02T{start}:{50 if overlap else 40}:00+00:00",
        "driver": runs[seed],
    }


def sweep_of(runs: dict[int, str], tmp_path: Path, *, overlap: bool = False) -> Path:
    sweep = make_sweep(num_seeds=len(runs), num_epochs=2)
    for record in sweep["records"].values():
        record["attempts"] = [run_of(record["spec"]["seed"], runs, overlap=overlap)]
    return write_folder(sweep, tmp_path)


def find(runs: dict[int, str], tmp_path: Path, **how: bool) -> AddedSeeds | None:
    (comparison,) = build_comparisons(load_results(sweep_of(runs, tmp_path, **how)))
    return find_added_seeds(comparison)


def test_seeds_of_a_later_run_are_recognised(tmp_path: Path) -> None:
    runs = {0: "one", 1: "one", 2: "one", 3: "two", 4: "two"}
    assert find(runs, tmp_path) == AddedSeeds((0, 1, 2), (3, 4))


@pytest.mark.parametrize(
    ("runs", "overlap"),
    [
        (dict.fromkeys(range(5), "one"), False),
        ({0: "one", 1: "one", 2: "one", 3: "two", 4: "two"}, True),
        ({0: "one", 1: "one", 2: "two", 3: "two"}, False),
        (dict.fromkeys(range(5), ""), False),
    ],
    ids=["one run", "at the same time", "after two seeds, which give no p", "runs not stated"],
)
def test_seeds_that_were_planned_together_are_not(
    runs: dict[int, str], overlap: bool, tmp_path: Path
) -> None:
    assert find(runs, tmp_path, overlap=overlap) is None


def test_the_report_says_that_its_5_percent_no_longer_holds(tmp_path: Path) -> None:
    folder = sweep_of({0: "one", 1: "one", 2: "one", 3: "two"}, tmp_path)
    found = compute_findings(load_results(folder), ReportOptions())
    said = "Seed 3 was begun by a later run, when all trials of seeds 0 to 2 had ended"
    for lines in (write_answer(found[0]), summarize_findings(found)):
        (line,) = [line for line in lines if line.startswith(said)]
        assert "the 5 % of false claims no longer holds" in line


def test_a_norm_that_is_added_later_adds_no_seed(tmp_path: Path) -> None:
    sweep = make_sweep(num_seeds=4, num_epochs=2)
    for record in sweep["records"].values():
        is_new = record["spec"]["norm"]["name"] == "assocnorm"
        runs = dict.fromkeys(range(4), "two" if is_new else "one")
        record["attempts"] = [run_of(record["spec"]["seed"], runs)]
    (comparison,) = build_comparisons(load_results(write_folder(sweep, tmp_path)))
    assert find_added_seeds(comparison) is None

"""The report on a sweep with `looks.json` states the rule and what was decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from synthetic_sweep import make_sweep, write_folder

from analysis.errors import AnalysisError
from analysis.interface import write_report
from analysis.reporting.looks_note import describe_looks
from analysis.sources.load_results import load_results


def make_looks() -> dict[str, Any]:
    """Two looks: at the second one a contrast stays open."""
    names = {"variant": "", "norm": "assocnorm"}
    numbers = {"estimate": -1.2, "half_width": 0.5, "p": 0.0004, "boundary": 0.001}
    level = {**names, "measure": "level", "decision": "different", **numbers}
    still_open = {**names, "measure": "robustness", "decision": "open", **numbers}
    return {
        "version": 1,
        "rule": {
            "first": 3,
            "last": 12,
            "reference": "batchnorm",
            "seeding": "per_seed",
            "alpha": 0.05,
            "spending_exponent": 1.5,
            "margins": {"": 0.5},
            "contrasts": [level, still_open],
        },
        "looks": [
            {"num_seeds": 3, "contrasts": [level, still_open]},
            {"num_seeds": 4, "contrasts": [{**still_open, "p": None, "half_width": None}]},
        ],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made: Path = write_folder(make_sweep(num_seeds=3, batch_sizes=(16, 2)), tmp_path)
    (made / "looks.json").write_text(json.dumps(make_looks()))
    return made


def test_the_rule_and_every_decision_are_stated(folder: Path) -> None:
    rule, decided = describe_looks(load_results(folder))
    for said in (
        "decided against batchnorm, looking after every seed from 3 to at most 12",
        "the last look was after 4. The 2 contrasts, of all variants together, are one family",
        "5 % (n/12)^1.5",
        "Student's t",
        "within 0.5 points",
        "do not account for the looks",
        "small/looks.json",
    ):
        assert said in rule
    assert decided == (
        "Decided by looks: assocnorm: level different after 3 seeds (−1.20 ± 0.50 points, "
        "p 0.0004, boundary 0.001); robustness undecided after 4 seeds (−1.20 points)."
    )


def test_the_report_has_the_notes_and_is_written_anew_after_a_look(
    folder: Path, tmp_path: Path
) -> None:
    page = write_report(folder, tmp_path / "report").page.with_suffix(".md")
    assert "Decided by looks: assocnorm: level different" in page.read_text()
    looks = make_looks()
    looks["looks"].pop()
    (folder / "looks.json").write_text(json.dumps(looks))
    write_report(folder, tmp_path / "report")
    assert "robustness undecided after 3 seeds" in page.read_text()


def test_a_sweep_of_fixed_seeds_has_no_such_notes(folder: Path) -> None:
    (folder / "looks.json").unlink()
    assert not list(describe_looks(load_results(folder)))


@pytest.mark.parametrize("content", ['{"version": 2, "looks": [1]}', '{"version": 1}', "[]", "{"])
def test_a_damaged_file_is_named(folder: Path, content: str) -> None:
    (folder / "looks.json").write_text(content)
    with pytest.raises(AnalysisError, match=r"looks\.json"):
        load_results(folder)

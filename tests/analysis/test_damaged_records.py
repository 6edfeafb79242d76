"""Records that no report can be made of: one line that names the file and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from synthetic_sweep import make_sweep, write_folder

from analysis.errors import AnalysisError
from analysis.sources.load_results import load_results


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"record_version": 99}, "has record_version 99, but this program knows versions up to 1"),
        (
            {"spec": {}},
            "lacks 'data'; put back a copy of it, or delete it to train",
        ),
        ({"provenance": 3}, "is not a record: "),
    ],
)
def test_a_record_of_another_kind_is_named(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    folder = write_folder(make_sweep(num_seeds=1, batch_sizes=(16, 2)), tmp_path)
    other = next((folder / "trials").glob("*/record.json"))
    other.write_text(json.dumps({**json.loads(other.read_text()), **changes}))
    with pytest.raises(AnalysisError, match=f"{other.parent.name}.record.json {said}"):
        load_results(folder)


def test_a_seed_beyond_the_integers_of_a_table_is_one_line(tmp_path: Path) -> None:
    folder = write_folder(make_sweep(num_seeds=1, batch_sizes=(16, 2)), tmp_path)
    sweep = json.loads((folder / "sweep.json").read_text())
    for trial in sweep["trials"]:
        trial["seed"] = 2**63
    (folder / "sweep.json").write_text(json.dumps(sweep))
    with pytest.raises(AnalysisError, match=f"`seed` must hold whole numbers from .* has {2**63}$"):
        load_results(folder)

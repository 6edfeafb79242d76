from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn
from trial_specs import shrink_trial

from trainables.data.load import load_dataset
from trainables.stepping import compile_cache
from trainables.stepping.policy import CompileStatistics

SPEC = shrink_trial()
CELL = "{}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(compile_cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_is_written_is_read() -> None:
    assert compile_cache.read_statistics(CELL) is None
    for known in (CompileStatistics(12.5, 0.6), CompileStatistics(3.0)):
        compile_cache.write_statistics(CELL, known)
        assert compile_cache.read_statistics(CELL) == known


def test_a_note_that_cannot_be_read_or_written_is_none(folder: Path) -> None:
    compile_cache.write_statistics(CELL, CompileStatistics(1.0, 0.5))
    (file,) = (folder / "compilation").iterdir()
    for content in ("", "{}", "[1]", '{"compile_s": "x", "share": 1}'):
        file.write_text(content)
        assert compile_cache.read_statistics(CELL) is None
    file.unlink()
    (folder / "compilation").rmdir()
    (folder / "compilation").write_text("in the way")
    compile_cache.write_statistics(CELL, CompileStatistics(1.0, 0.5))
    assert compile_cache.read_statistics(CELL) is None


def test_cells_are_told_apart_by_what_the_time_depends_on_and_seeds_are_not() -> None:
    data = load_dataset(SPEC.data)
    others = [shrink_trial(batch_size=4), shrink_trial(norm="groupnorm")]
    cells = {compile_cache.cell_key(spec, data) for spec in (SPEC, *others)}
    assert len(cells | {compile_cache.cell_key(SPEC, data, num_networks=2)}) == 4
    same = {
        compile_cache.cell_key(spec, data)
        for spec in (shrink_trial(seed=5), shrink_trial(epochs=7))
    }
    assert same == {compile_cache.cell_key(SPEC, data)}


def test_more_layers_are_expected_to_take_longer() -> None:
    one = nn.Sequential(nn.ReLU())
    assert compile_cache.estimate_statistics(one).compile_s == compile_cache.LAYER_COMPILE_S
    assert (
        compile_cache.estimate_statistics(nn.Sequential(one, nn.Linear(2, 2))).compile_s
        == 2 * compile_cache.LAYER_COMPILE_S
    )
    assert compile_cache.estimate_statistics(one).share is None

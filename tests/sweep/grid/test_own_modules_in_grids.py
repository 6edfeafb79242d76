"""A user's own model and data set in a grid: read, completed, refused in lines."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import probe_data
import pytest
from small_grids import complaints, factors, load
from users_module import DATA, MINE, MODEL

import trainables
from sweep.errors import RefusedError
from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.grid.preset_changes import Preset
from sweep.grid.presets import apply_preset, find_preset_changes
from sweep.pipeline import rehearse
from sweep.planning.feasibility import check_feasibility, require_data
from sweep.planning.warnings import grid_notes
from trainables import DataUnavailable, Trial
from trainables.data import custom as own


@pytest.fixture(autouse=True)
def mine() -> None:
    Path("mine.py").write_text(MINE)


def ids(grid: Grid) -> list[str]:
    return [trial.trial_id for trial in grid.trials]


def test_both_are_read_with_their_options_completed_and_every_cell_is_tried() -> None:
    grid = load(model={**MODEL, "options": {"width": 6}}, data=DATA)
    kept = check_feasibility(grid)
    assert (kept.trials, kept.skipped) == (grid.trials, ())
    for trial in grid.trials:
        assert trial.spec.model.options == {"width": 6, "slope": 0.5}
        assert trial.spec.data.options == {"size": 6, "shuffled": False}
        assert find_preset_changes(grid, trial.spec) is None
    require_data(grid, download=True)


def test_a_default_that_is_written_out_is_the_same_trial() -> None:
    stated = {**MODEL, "options": {"slope": 0.5, "width": 4}}
    assert ids(load(model=MODEL, data=DATA)) == ids(load(model=stated, data=DATA))
    one, other = ({**MODEL, "options": {"slope": slope}} for slope in (1, 1.0))
    assert ids(load(model=one)) == ids(load(model=other))


def test_an_option_may_be_a_further_factor_and_be_overridden() -> None:
    grid = load(
        **factors(**{"model.options.width": [4, 8], "data.options.size": [6, 7]}),
        model=MODEL,
        data=DATA,
        overrides=[{"when": {"batch_size": 8}, "set": {"model.options.slope": 0.1}}],
    )
    assert len(set(ids(grid))) == 2 * 2 * 2 * 2 * 2
    assert str(grid.trials[0].variant) == "model.options.width=4, data.options.size=6"
    found = {(t.spec.batch_size, t.spec.model.options["slope"]) for t in grid.trials}
    assert found == {(16, 0.5), (8, 0.1)}
    assert {trial.spec.data.options["size"] for trial in grid.trials} == {6, 7}


def test_own_and_built_in_ones_can_be_compared() -> None:
    grid = load(**factors(**{"model.name": ["mine:net", "resnet8"]}), model={"name": "mine:net"})
    assert {t.spec.model.name: t.spec.model.width for t in grid.trials} == {
        "mine:net": None,
        "resnet8": 16,
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": {"name": "mine:nett"}}, "model: model 'mine:nett': mine has no 'nett'; did you"),
        ({"model": {"name": "nowhere:net"}}, "model: model 'nowhere:net': there is no module 'now"),
        (
            {"model": {**MODEL, "width": 8}},
            "model: model mine:net has no option width, but got wid",
        ),
        ({"model": {**MODEL, "options": {"wide": 8}}}, "model: model 'mine:net' has no option 'wi"),
        ({"model": {**MODEL, "options": 3}}, "model.options: expected a mapping, found 3"),
        ({"model": {"name": "resnet8", "options": {"a": 1}}}, "model: model resnet8 has no `opti"),
        (
            {"data": {"name": "mine:blub"}},
            "data: data set 'mine:blub': mine has no 'blub'; did you",
        ),
        (
            {"data": {**DATA, "options": {"size": 0}}},
            "data: data set 'mine:blobs': train_images: e",
        ),
        (
            {"data": {**DATA, "options": {"size": -1}}},
            "data: data set 'mine:blobs' cannot be read:",
        ),
        ({"data": {**DATA, "num_train": 521}}, "data: `1 <= num_train <= 520` must hold for mine:"),
        (
            {"data": {**DATA, "root": "here"}},
            "data.root: is of no use to 'mine:blobs', which has no",
        ),
        (factors(**{"model.options": [{"width": 1}]}), "factors.model.options: unknown factor"),
    ],
)
def test_each_mistake_is_one_complaint(changes: dict[str, Any], expected: str) -> None:
    (complaint,) = complaints(**changes)
    assert complaint.startswith(expected)


def test_data_that_are_not_the_same_twice_are_refused_before_anything_starts() -> None:
    grid = load(data={**DATA, "options": {"shuffled": True}})
    with pytest.raises(RefusedError, match="has other images or labels in another process"):
        require_data(grid, download=True)


def test_a_model_that_cannot_run_is_a_cell_that_cannot() -> None:
    grid = load(model={**MODEL, "options": {"width": -1}}, data=DATA)
    with pytest.raises(RefusedError, match=r"no cell of .* can run: mend it, or take it out"):
        check_feasibility(grid)


def test_the_small_preset_keeps_both_and_takes_a_part_of_the_data() -> None:
    small = apply_preset(load(model=MODEL, data=DATA, train={"epochs": 40}), Preset.SMALL)
    (spec,) = {trial.spec.data for trial in small.trials}
    assert (spec.name, spec.num_train, spec.num_test) == ("mine:blobs", 512, 80)
    assert {trial.spec.model.name for trial in small.trials} == {"mine:net"}
    assert "mine:blobs (512 training and 80 test images)" in str(small.preset)


ONE_CELL: dict[str, Any] = {"batch_size": [4], "seed": 1}


def test_torchs_group_norm_is_named_with_its_groups() -> None:
    level = {"name": "torch.nn:GroupNorm", "num_groups": 2}
    (trial,) = load(factors={"norm": [level], **ONE_CELL}).trials
    assert trial.spec.norm.options["num_groups"] == 2
    assert "num_channels" not in trial.spec.norm.options
    trainables.check_feasibility(trial.spec)


def test_an_option_called_name_stands_under_options() -> None:
    Path("named.py").write_text(
        "from torch import nn\n"
        "def layer(channels, *, name='plain', num_channels=4):\n"
        "    assert name == 'other'\n"
        "    return nn.GroupNorm(channels // num_channels, channels)\n"
    )
    level = {"name": "named:layer", "num_channels": 2, "options": {"name": "other"}}
    (trial,) = load(factors={"norm": [level], **ONE_CELL}).trials
    assert trial.spec.norm.options == {"name": "other", "num_channels": 2}
    trainables.check_feasibility(trial.spec)
    (line,) = complaints(factors={"norm": [{**level, "options": {"nam": "other"}}], **ONE_CELL})
    assert "has no option 'nam'; did you mean 'name'?" in line


def test_a_model_of_ones_own_keeps_its_initial_weights_unless_told() -> None:
    kept, replaced = (
        load(model={**MODEL, **more}) for more in ({}, {"initial_weights": "replaced"})
    )
    assert {trial.spec.model.initial_weights for trial in kept.trials} == {"own"}
    assert {trial.spec.model.initial_weights for trial in replaced.trials} == {None}
    lines = [line for line in grid_notes(kept) if "model.initial_weights: replaced" in line]
    assert len(lines) == 1
    assert not grid_notes(replaced)


FILED = """
import numpy as np

def load(root: str = "files", level: int = 0) -> dict:
    data = dict(np.load(f"{root}/data.npz"))
    return {**data, "num_classes": int(data["num_classes"])}
"""


def filed(folder: Path, **changes: Any) -> None:
    folder.mkdir()
    np.savez(folder / "data.npz", **{**probe_data.blobs(), **changes})


def test_data_with_a_stated_root_are_identified_by_their_bits() -> None:
    Path("filed.py").write_text(FILED)
    for name in ("files", "moved"):
        filed(Path(name))
    other = probe_data.blobs()["test_images"] // 2
    filed(Path("other"), test_images=other)

    def trial(root: str | None) -> GridTrial:
        own.clear_custom_data_cache()
        stated = {} if root is None else {"root": root}
        grid = load(data={"name": "filed:load", **stated}, **factors(norm=["groupnorm"], seed=1))
        assert pickle.loads(pickle.dumps(grid)).trials == grid.trials
        return grid.trials[0]

    without = trial(None)
    assert dict(without.spec.data.options) == {"root": "files", "level": 0}
    assert without.spec.data.digest == ""
    first = trial("files")
    assert dict(first.spec.data.options) == {"level": 0}
    assert (
        first.trial_id == trial("moved").trial_id == trial(str(Path("moved").absolute())).trial_id
    )
    assert len({first.trial_id, trial("other").trial_id, without.trial_id}) == 3


def test_a_trial_reads_its_data_from_the_stated_root_and_refuses_others() -> None:
    Path("filed.py").write_text(FILED)
    filed(Path("moved"))
    filed(Path("other"), test_images=probe_data.blobs()["test_images"] // 2)
    grid = load(data={"name": "filed:load", "root": "moved"}, **factors(seed=1))
    require_data(grid, download=False)
    own.clear_custom_data_cache()
    own.set_custom_data_root(None)
    trial = Trial(grid.trials[0].spec, data_root=grid.data_root, device="cpu")
    assert trial.dimensions.num_test == 50
    own.clear_custom_data_cache()
    with pytest.raises(DataUnavailable, match="other images or labels than are asked for"):
        Trial(grid.trials[0].spec, data_root="other", device="cpu")


def test_a_dry_run_checks_that_data_are_the_same_in_another_process() -> None:
    grid = load(data={**DATA, "options": {"shuffled": True}})
    with pytest.raises(RefusedError, match="has other images or labels in another process"):
        rehearse(grid)

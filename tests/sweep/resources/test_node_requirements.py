from __future__ import annotations

from pathlib import Path

import pytest
from small_grids import load
from users_module import DATA, MINE

from sweep.planning.feasibility import custom_data_sets
from sweep.resources.node_requirements import NodeRequirements, missing_requirements
from trainables import data
from trainables.data import custom as own


def needs(digest: str | None = None) -> NodeRequirements:
    """What a grid of the user's own data set needs, in a storage with a marker."""
    Path("mine.py").write_text(MINE)
    (spec,) = custom_data_sets(load(data=DATA))
    Path("runs").mkdir()
    Path("runs/marker").write_bytes(b"seen")
    return NodeRequirements(
        sweep_uri=str(Path("runs").absolute()),
        marker="marker",
        data_names=(spec.name, "digits"),
        data_root=None,
        modules=("mine",),
        custom_data=((spec, digest or data.read_custom_data(spec).digest),),
    )


def test_a_node_with_all_that_is_needed_answers() -> None:
    assert missing_requirements(needs(), "reply") == []
    assert Path("runs/reply").read_bytes() == b"seen"


def test_a_node_with_other_images_is_told_from_the_driver() -> None:
    (line,) = missing_requirements(needs("another"), "reply")
    assert line.startswith("data set 'mine:blobs' has other images or labels than for the driver")


def test_a_node_on_which_the_data_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given = needs()
    own.clear_custom_data_cache()
    monkeypatch.setattr("mine.blobs", lambda **_: 1 / 0)
    (line,) = missing_requirements(given, "reply")
    assert line == "data set 'mine:blobs' cannot be read: ZeroDivisionError: division by zero"

"""Attempts are written with the bytes that they were read with, whichever version wrote them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from sweep.records.attempt_info import AttemptInfo

START = {"id": "1d475f1f", "started": "2026-11-30T15:58:31+00:00", "host": "node", "pid": 1}
PLACE = {"device": "cpu", "driver": "", "source": "", "data": "", "from_epoch": 0, "from_step": 0}


@pytest.mark.parametrize(
    "written",
    [
        {**START, **PLACE, "ended": None},
        {**START, **PLACE, "ended": None, "fused": 4, "compiled": [[0, None]]},
        {**START, **PLACE, "ended": "then", "compiled": [[3, 9]], "fused": 2, "stopped_for": "x"},
        {"started": "then", "host": "node", "ended": None},  # an earlier version
        {**START, "added_later": {"a": [1, None]}, **PLACE, "ended": None},  # a later version
    ],
)
def test_an_attempt_is_written_as_it_was_read(written: dict[str, Any]) -> None:
    info = AttemptInfo.from_json(written)
    assert json.dumps(info.to_json()) == json.dumps(written)
    assert info == AttemptInfo.from_json(dict(reversed(written.items())))


def test_fields_that_gain_a_value_are_written_behind_the_others() -> None:
    info = AttemptInfo(id="a", started="now", host="node", from_epoch=0, from_step=0)
    assert info.to_json()["ended"] is None
    later = replace(replace(info, fused=2), compiled=[[0, None]], ended="then")
    assert list(later.to_json()) == [*info.to_json(), "fused", "compiled"]
    assert later.to_json()["ended"] == "then"
    assert info.fused is None

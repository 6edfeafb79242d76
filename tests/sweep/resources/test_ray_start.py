"""A Ray that is late is started once more and waited for; one that fails otherwise is not."""

from __future__ import annotations

import time
from typing import Any

import pytest
import ray
from ray._private import services

from sweep.resources.ray_compat import extended_node_wait
from sweep.resources.ray_start import start_local_ray

AS_RAY_SAYS_IT = (
    "The current node timed out during startup. This could happen because some of the raylet "
    "failed to startup or the GCS has become overloaded."
)


class Starts:
    """`ray.init`, which fails with these errors one after the other, and then works."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.num = list(errors), 0

    def __call__(self, **_: Any) -> None:
        self.num += 1
        if self.errors:
            raise self.errors.pop(0)


def test_what_is_late_is_started_once_more_and_a_line_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starts, said = Starts(Exception(AS_RAY_SAYS_IT)), list[str]()
    monkeypatch.setattr(ray, "init", starts)
    start_local_ray({}, said.append)
    assert starts.num == 2
    (line,) = said
    assert "was not up within 30 s" in line
    assert "waited for up to 180 s" in line


def test_what_is_late_twice_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = Starts(Exception(AS_RAY_SAYS_IT), Exception(AS_RAY_SAYS_IT))
    monkeypatch.setattr(ray, "init", starts)
    with pytest.raises(Exception, match="timed out"):
        start_local_ray({}, lambda line: None)
    assert starts.num == 2


def test_another_error_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = Starts(OSError(28, "No space left on device"))
    monkeypatch.setattr(ray, "init", starts)
    with pytest.raises(OSError, match="No space"):
        start_local_ray({}, lambda line: None)
    assert starts.num == 1


def test_a_patient_start_waits_for_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    there_at = time.monotonic() + 1.2

    def node(*_: object) -> str:
        if time.monotonic() < there_at:
            raise RuntimeError("no such node")
        return "node"

    monkeypatch.setattr(services, "get_node", node)
    asked: Any = services
    with extended_node_wait(60):
        assert asked.get_node("address", "id") == "node"
    assert services.get_node is node


def test_a_patient_start_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def node(*_: object) -> str:
        raise RuntimeError("no such node")

    monkeypatch.setattr(services, "get_node", node)
    asked: Any = services
    with extended_node_wait(0.2), pytest.raises(RuntimeError, match="no such node"):
        asked.get_node("address", "id")

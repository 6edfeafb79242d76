from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from ray.air._internal import usage
from ray.tune import Trainable
from ray.tune.execution import class_cache

from sweep.resources.ray_compat import replaced_attribute, skip_tune_startup


class Idle(Trainable):
    def step(self) -> dict[str, Any]:
        return {"done": True}


def wanted_of_a_worker() -> object:
    """What Tune asks of a worker for a trainable, beyond what any of Ray's has."""
    actor_class = class_cache._ActorClassCache().get(Idle)
    return actor_class._default_options.get("runtime_env")


def test_tune_asks_for_no_worker_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in class_cache.ENV_VARS_TO_PROPAGATE:
        monkeypatch.delenv(name, raising=False)
    assert wanted_of_a_worker()
    with skip_tune_startup():
        assert not wanted_of_a_worker()
    assert wanted_of_a_worker()


TELL = """
import sys
from ray.air._internal import usage
from ray.tune import Callback
from sweep.resources.ray_compat import skip_tune_startup
with skip_tune_startup():
    usage.tag_callbacks([Callback()])
print("mlflow" in sys.modules)
"""


def test_tune_imports_no_tracker() -> None:
    told = subprocess.run([sys.executable, "-c", TELL], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False"]


def test_a_ray_without_such_details_is_left_as_it_is() -> None:
    for module, name in (("ray.no_such_module", "x"), ("ray.air._internal.usage", "no_such")):
        with replaced_attribute(module, name, 1):
            assert not hasattr(usage, "no_such")
    with replaced_attribute("ray.air._internal.usage", "tag_callbacks", 1):
        assert usage.tag_callbacks == 1
    assert callable(usage.tag_callbacks)

from __future__ import annotations

import pytest

from trainables.spec import TrainSpec
from trainables.stepping.compile_support import missing_compiler, reason_not_compilable


def test_what_is_read_at_every_step_keeps_steps_from_being_compiled() -> None:
    assert reason_not_compilable(TrainSpec(epochs=1, extra_metrics=("gradient_norm",))) is None
    assert "`watch`" in str(reason_not_compilable(TrainSpec(epochs=1, watch="stem")))
    assert "clipped" in str(
        reason_not_compilable(TrainSpec(epochs=1, extra_metrics=("clipped_fraction",)))
    )


@pytest.mark.parametrize(("device", "variable"), [("cpu", "CXX"), ("cuda", "CC")])
def test_a_compiler_that_is_not_there_is_named(
    device: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "no-such-compiler -O2")
    assert f"no-such-compiler -O2; {variable}" in str(missing_compiler(device))
    monkeypatch.setenv(variable, "true -O2")
    assert missing_compiler(device) is None
    monkeypatch.delenv(variable)
    monkeypatch.setenv("PATH", "")
    assert missing_compiler(device) is not None

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from trial_specs import shrink_trial

from trainables import Trial
from trainables.workload import DeviceMemory, Workload


@pytest.mark.parametrize("width", [1, 2, None])
def test_trials_train_for_a_time_and_their_weights_stay(
    width: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainables.workload.LEAD_S", 0.01)
    spec = shrink_trial("groupnorm", epochs=1)
    workload = Workload([spec, replace(spec, seed=1)], width=width, device="cpu")
    workload.warm_up()
    assert workload.train_for(0.1) > 0  # which is many epochs of a trial that has one
    fresh = Trial(spec, device="cpu").model.parameters()
    for found, expected in zip(workload._trials[0].model.parameters(), fresh, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_of_a_cpu_no_memory_is_told() -> None:
    workload = Workload([shrink_trial(epochs=1)], device="cpu")
    workload.warm_up()
    assert workload.memory() == DeviceMemory(0, 0, 0, 0)

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from sweep.resources.ray_compat import PENDING_VARIABLE, limit_pending_trials

SHORT_TRIALS = """
import json, os, sys, tempfile, time
import ray
from ray import tune
from sweep.resources.ray_compat import RAY_VARIABLES, limit_pending_trials
from sweep.execution.trial_order import OrderedScheduler

os.environ.update(RAY_VARIABLES)

class Short(tune.Trainable):
    "The worker that is started for the second trial takes its time."
    def setup(self, config):
        if config["number"] == 1:
            time.sleep(4)
    def reset_config(self, config):
        self.config = config
        return True
    def step(self):
        time.sleep(0.2)
        return {"pid": os.getpid(), "at": time.time(), "done": True}

ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
with tempfile.TemporaryDirectory() as folder, limit_pending_trials(3):
    results = tune.Tuner(
        tune.with_resources(Short, {"cpu": 1}),
        param_space={"number": tune.grid_search(list(range(40)))},
        tune_config=tune.TuneConfig(scheduler=OrderedScheduler(), reuse_actors=True),
        run_config=tune.RunConfig(
            storage_path=folder,
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()
print(json.dumps([[r.config["number"], r.metrics["pid"], r.metrics["at"]] for r in results]))
ray.shutdown()
"""


def test_a_worker_on_its_way_to_a_trial_is_not_ended_for_one_that_is_free() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHORT_TRIALS], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    trials = json.loads(done.stdout.splitlines()[-1])
    pids = {number: pid for number, pid, _ in trials}
    assert pids[1] != pids[0]
    sooner = [number for number, _, at in trials if at < trials[1][2] and number != 1]
    assert len(sooner) >= 5, "none was trained while the second worker started"
    assert {pids[number] for number in sooner} == {pids[0]}
    by_first = [number for number, pid, _ in sorted(trials, key=lambda t: t[2]) if pid == pids[0]]
    assert by_first == sorted(by_first)


def test_what_the_user_has_set_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PENDING_VARIABLE, raising=False)
    with limit_pending_trials(3):
        assert os.environ[PENDING_VARIABLE] == "3"
    assert PENDING_VARIABLE not in os.environ
    monkeypatch.setenv(PENDING_VARIABLE, "9")
    with limit_pending_trials(3):
        assert os.environ[PENDING_VARIABLE] == "9"
    assert os.environ[PENDING_VARIABLE] == "9"

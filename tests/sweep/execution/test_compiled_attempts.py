"""Attempts whose steps run compiled: what the record says of them, and what it takes to repeat."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from small_assignments import step, without_times
from small_grids import factors, load, make_plan

from sweep.execution.assignment import Assignment
from sweep.execution.attempt import Attempt
from sweep.execution.reproduce import reproduce
from sweep.planning.plan import Plan
from sweep.records.record import Record
from sweep.tracking.tags import run_tags
from trainables.spec import Outcome
from trainables.stepping import compile_cache


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(compile_cache.CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


def plan_of(storage: str) -> Plan:
    one = factors(norm=["batchnorm"], batch_size=[16], seed=1)
    model = {"name": "probe_models:net"}
    return make_plan(load(storage=storage, model=model, resources={"compile": True}, **one))


def attempt_at(plan: Plan) -> Attempt:
    (trial,) = plan.grid.trials
    return Attempt(
        Assignment(
            spec=trial.spec,
            sweep_uri=plan.folder.storage.uri,
            data_root=None,
            import_paths=plan.grid.import_paths,
            device="cpu",
            num_threads=1,
            compilation=plan.grid.resources.compile,
        )
    )


def train(plan: Plan, epochs_an_attempt: int) -> Record:
    """Train the plan's trial, each attempt being gone after so many epochs."""
    while True:
        attempt = attempt_at(plan)
        for _ in range(epochs_an_attempt):
            step(attempt)
            if attempt.is_done:
                return attempt.record


def test_an_interrupted_trial_ends_in_the_same_bits() -> None:
    whole, parts = train(plan_of("whole"), 100), train(plan_of("parts"), 1)
    assert [len(record.attempts) for record in (whole, parts)] == [1, 3]
    assert whole.outcome is parts.outcome is Outcome.COMPLETED
    assert without_times(whole) == without_times(parts)
    assert whole.weights_digest == parts.weights_digest
    assert whole.compiled == parts.compiled == [[0, None]]


@pytest.mark.slow
def test_reproduce_compiles_the_same_steps_and_says_where_it_cannot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = train(plan_of("runs"), 100)
    plan = plan_of("runs")
    (trial,) = plan.grid.trials
    assert run_tags(record, trial, "small")["sweep.compiled"] == "from step 0 on"
    lines: list[str] = []
    assert reproduce(plan, trial, lines.append)
    assert lines[0] == "compiled as its record says: from step 0 on"
    monkeypatch.setenv("CXX", "no-such-compiler")
    reproduce(plan, trial, lines.append)
    assert any("there is no C++ compiler (no-such-compiler" in line for line in lines)


def test_where_nothing_compiles_the_attempt_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    attempt = attempt_at(plan_of("runs"))
    while not attempt.is_done:
        step(attempt)
    assert attempt.record.outcome is Outcome.COMPLETED
    assert attempt.record.compiled == []
    (notice,) = attempt.notices
    assert notice.startswith("steps are not compiled: there is no C++ compiler")

"""When steps are compiled, for given times: no clock is read here."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trainables.stepping.policy import (
    MARGIN,
    MAX_RELATIVE_TIME,
    AutoPolicy,
    CompileStatistics,
    FixedRanges,
    StepTimes,
    is_worth_compiling,
)

STRETCH = 100


class Timed:
    """A trial whose steps take what they are said to take."""

    def __init__(
        self, policy: AutoPolicy, eager_s: float, compiled_s: float, compile_s: float
    ) -> None:
        self.policy, self.eager_s, self.compiled_s = policy, eager_s, compiled_s
        self.compile_s = compile_s
        self.seconds = 0.0
        self.was_compiled: list[bool] = []

    def run(self) -> None:
        is_compiled = False
        for number in range(0, self.policy.num_steps, STRETCH):
            wanted = self.policy.should_compile(number)
            if wanted and not is_compiled:
                self.seconds += self.compile_s
                self.policy.record_compilation(self.compile_s)
            is_compiled = wanted
            seconds = STRETCH * (self.compiled_s if is_compiled else self.eager_s)
            self.policy.observe(STRETCH, seconds, compiled=is_compiled)
            self.seconds += seconds
            self.was_compiled.append(is_compiled)


def timed(
    num_steps: int, known: CompileStatistics, eager_s: float, compiled_s: float, compile_s: float
) -> Timed:
    trial = Timed(AutoPolicy(num_steps, known), eager_s, compiled_s, compile_s)
    trial.run()
    return trial


def test_a_short_trial_stays_eager_and_a_long_one_is_compiled() -> None:
    known = CompileStatistics(compile_s=20, share=0.6)
    assert not any(timed(10_000, known, 2e-3, 1.2e-3, 20).was_compiled)
    long = timed(100_000, known, 2e-3, 1.2e-3, 20)
    assert long.was_compiled[-1]
    assert not long.was_compiled[0]
    assert long.seconds < 0.75 * 100_000 * 2e-3


def test_compiled_steps_that_are_no_faster_are_given_up_and_it_is_learnt() -> None:
    learnt: list[CompileStatistics] = []
    policy = AutoPolicy(1_000_000, CompileStatistics(compile_s=20), learnt.append)
    trial = Timed(policy, 2e-3, 1.99e-3, 15)
    trial.run()
    assert any(trial.was_compiled)
    assert not trial.was_compiled[-1]
    assert trial.was_compiled.count(True) < 10
    (found,) = learnt
    assert found.compile_s == 15
    assert found.share is not None
    assert abs(found.share - 1.99 / 2) < 1e-9
    assert not any(timed(1_000_000, found, 2e-3, 1.99e-3, 15).was_compiled)


@given(
    num_steps=st.integers(1, 100_000),
    eager_s=st.floats(1e-4, 1),
    share=st.floats(0.2, 2),
    compile_s=st.floats(1, 600),
    is_known=st.booleans(),
)
def test_no_trial_loses_more_than_it_may(
    num_steps: int, eager_s: float, share: float, compile_s: float, is_known: bool
) -> None:
    """However slow compiled steps turn out: lost is what was said, and a few stretches' excess."""
    known = CompileStatistics(compile_s, share if is_known else None)
    trial = timed(num_steps, known, eager_s, share * eager_s, compile_s)
    eager_total_s = len(trial.was_compiled) * STRETCH * eager_s
    stretches = trial.was_compiled.count(True) if not trial.was_compiled[-1] else 4 + 0.3 / eager_s
    excess_s = max(0.0, share - 1) * eager_s * STRETCH * stretches
    assert trial.seconds <= eager_total_s * (1 + (1 - MAX_RELATIVE_TIME)) + excess_s


@given(left=st.integers(0, 10**6), share=st.none() | st.floats(0.1, 1.5), cost=st.floats(0.1, 1000))
def test_fewer_steps_never_repay_more(left: int, share: float | None, cost: float) -> None:
    known = CompileStatistics(cost, share)
    if is_worth_compiling(known, 1e-3, left):
        assert is_worth_compiling(known, 1e-3, left + 1000)
        assert MARGIN * cost <= left * 1e-3


def test_a_few_short_stretches_do_not_decide_how_long_a_step_takes() -> None:
    """After a pause a stretch may be of one step, which then takes what a whole stretch costs."""
    stretches = StepTimes()
    for num_steps, step_s in ((500, 9.0), (1, 0.1), (400, 0.001), (1, 0.1), (300, 0.002)):
        stretches.add(num_steps, num_steps * step_s)
    assert stretches.step_s == 0.001


def test_given_steps_are_those_steps() -> None:
    policy = FixedRanges([[3, 5], [8, None]])
    assert [n for n in range(12) if policy.should_compile(n)] == [3, 4, 8, 9, 10, 11]
    assert [policy.next_change(n) for n in (0, 3, 4, 5, 8)] == [3, 5, 5, 8, None]
    assert not any(FixedRanges([]).should_compile(n) for n in range(5))

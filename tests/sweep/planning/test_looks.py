"""Which trials looks ask for, when the next look is due, and what a grid must not change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from made_up_looks import SEEDS, make_history
from small_grids import factors, feasible, load, make_plan, record_of, save

from sweep.errors import RefusedError
from sweep.grid.model import Grid
from sweep.planning.looks import (
    count_possible_trials,
    find_due_look,
    make_look_request,
    require_same_rule,
)
from sweep.planning.plan import Plan
from sweep.planning.trial_states import read_states_after, read_trial_states, save_expected
from sweep.records.look_history import OPEN, save_looks
from trainables.spec import Outcome

NORMS = ["batchnorm", "groupnorm", "instancenorm"]
LEVELS = [(norm, "level") for norm in NORMS[1:]]
RISES = [(norm, "robustness") for norm in NORMS[1:]]
ALL_OPEN = dict.fromkeys([*LEVELS, *RISES], OPEN)


def load_looked_at(**changes: Any) -> Grid:
    return load(**factors(**{"norm": NORMS, "batch_size": [16, 8, 4], "seed": SEEDS, **changes}))


def plan_after(grid: Grid, *looks: dict[tuple[str, str], str]) -> Plan:
    """The plan with these looks, after the third seed and on."""
    plan = make_plan(grid)
    if looks:
        save_looks(plan.folder, make_history(grid, *looks))
    return make_plan(grid)


def missing_cells(plan: Plan, seed: int) -> set[tuple[str, int]]:
    return {(t.norm, t.spec.batch_size) for t in plan.missing() if t.spec.seed == seed}


def finish(plan: Plan, *, outcome: Outcome = Outcome.COMPLETED) -> Plan:
    """The plan after each of its missing trials got an outcome."""
    records = [record_of(trial, 3, outcome) for trial in plan.missing()]
    return save(load_looked_at(), *records)


def test_before_a_look_the_first_seeds_of_every_cell_are_planned() -> None:
    plan = plan_after(load_looked_at())
    assert len(plan.missing()) == len(plan.grid.trials) == 3 * 9
    assert {trial.spec.seed for trial in plan.missing()} == {0, 1, 2}
    assert count_possible_trials(plan) == 3 * 9


def test_open_contrasts_alone_get_another_seed_in_their_cells() -> None:
    decided = ALL_OPEN | {("groupnorm", "level"): "different"}
    decided |= dict.fromkeys([("instancenorm", "level"), ("instancenorm", "robustness")], "equal")
    plan = plan_after(load_looked_at(), decided)
    assert missing_cells(plan, 3) == {(n, b) for n in ("batchnorm", "groupnorm") for b in (16, 4)}
    assert not missing_cells(plan, 4)
    assert count_possible_trials(plan) == 2 * 4


def test_the_reference_goes_on_while_any_other_does() -> None:
    decided = ALL_OPEN | {("groupnorm", "level"): "different"}
    decided |= {("groupnorm", "robustness"): "not distinguishable"}
    plan = plan_after(load_looked_at(), decided)
    assert {norm for norm, _ in missing_cells(plan, 3)} == {"batchnorm", "instancenorm"}


def test_when_all_is_decided_no_trial_is_missing_and_no_look_is_due() -> None:
    finish(plan_after(load_looked_at()))
    plan = plan_after(load_looked_at(), dict.fromkeys(ALL_OPEN, "different"))
    assert not plan.missing()
    assert find_due_look(plan) is None
    assert count_possible_trials(plan) == 0


def test_a_look_waits_for_every_outcome_of_its_seed() -> None:
    grid = load_looked_at()
    plan = plan_after(grid)
    assert find_due_look(plan) is None
    *most, last = plan.missing()
    save(grid, *(record_of(trial, 3, Outcome.COMPLETED) for trial in most), record_of(last, 2))
    assert find_due_look(make_plan(grid)) is None
    for outcome in (Outcome.FAILED, Outcome.DIVERGED):  # an outcome, if not a good one
        plan = save(grid, record_of(last, 2, outcome))
        assert find_due_look(plan) == 3
    assert find_due_look(plan_after(grid, ALL_OPEN)) is None
    assert find_due_look(finish(plan_after(grid, ALL_OPEN))) == 4
    assert find_due_look(make_plan(load(**factors()))) is None


def test_trials_of_failed_outcome_that_are_tried_again_are_waited_for() -> None:
    grid = load_looked_at()
    plan = finish(plan_after(grid), outcome=Outcome.FAILED)
    assert find_due_look(plan) == 3
    assert find_due_look(make_plan(grid, [Outcome.FAILED])) is None


def test_after_a_run_the_states_are_those_of_the_trials_that_were_asked_for() -> None:
    grid = load_looked_at()
    before = finish(plan_after(grid))
    save_looks(before.folder, make_history(grid, ALL_OPEN))
    after = read_states_after(read_trial_states(grid))
    assert len(after.missing()) == 9
    save_expected(after)
    listed = json.loads(after.folder.storage.read("sweep.json"))["trials"]
    assert len(listed) == 4 * 9


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": {**SEEDS, "to": 7}}, "seeds from 3 to 6"),
        ({"seed": {**SEEDS, "from": 4}}, "seeds from 3 to 6"),
        ({"norm": NORMS[:2]}, "other norms, batch sizes or settings"),
        ({"norm": [*NORMS, "layernorm"]}, "other norms, batch sizes or settings"),
        ({"batch_size": [16, 8]}, "other norms, batch sizes or settings"),
        ({"norm": NORMS[::-1]}, "the reference batchnorm"),
    ],
)
def test_a_grid_that_has_changed_since_its_first_look_is_refused(
    changes: dict[str, Any], said: str
) -> None:
    plan = plan_after(load_looked_at(), ALL_OPEN)
    changed = load_looked_at(**changes)
    require_same_rule(changed, None)  # nothing was looked at
    with pytest.raises(RefusedError, match=said) as caught:
        require_same_rule(changed, plan.looks)
    assert len(caught.value.messages) == 1
    assert "runs/small/looks.json" in str(caught.value)
    with pytest.raises(RefusedError, match=said):
        make_plan(changed)


def test_cells_that_may_be_infeasible_are_not_missed_before_they_are_tried() -> None:
    grid = load(**factors(norm=NORMS, batch_size=[16, 8, 4], seed=SEEDS), infeasible="skip")
    kept = tuple(trial for trial in grid.trials if trial.norm != "instancenorm")
    history = make_history(feasible(grid, trials=kept), dict.fromkeys(ALL_OPEN, OPEN))
    require_same_rule(grid, history)
    require_same_rule(feasible(grid, trials=kept), history)
    with pytest.raises(RefusedError):
        require_same_rule(feasible(grid), history)


def test_a_request_declares_every_contrast_and_tells_every_outcome() -> None:
    grid = load_looked_at()
    plan = finish(plan_after(grid))
    request = make_look_request(plan, 3)
    rule = request["rule"]
    assert (rule["first"], rule["last"], rule["reference"]) == (3, 6, "batchnorm")
    named = {(c["norm"], c["measure"]) for c in rule["contrasts"]}
    assert named == {*LEVELS, *RISES}
    assert all(c["batch_sizes"] == [16, 8, 4] for c in rule["contrasts"])
    assert (request["looks"], request["num_seeds"]) == ([], 3)
    assert len(request["trials"]) == 27
    first = request["trials"][0]
    assert (first["outcome"], first["test_error"], first["chance_error"]) == ("completed", 20, 90)
    json.dumps(request)


def test_the_variants_of_a_grid_are_one_family() -> None:
    grid = load(**factors(seed={**SEEDS, "to": 3}, **{"train.optimizer.lr": [0.1, 0.02]}))
    plan = save(grid, *(record_of(trial, 3, Outcome.COMPLETED) for trial in grid.trials))
    contrasts = make_look_request(plan, 3)["rule"]["contrasts"]
    variants = {contrast["variant"] for contrast in contrasts}
    assert variants == {"train.optimizer.lr=0.1", "train.optimizer.lr=0.02"}
    assert len(contrasts) == 4


def test_batch_sizes_that_a_norm_lacks_are_in_no_contrast() -> None:
    grid = load(
        **factors(norm=NORMS, batch_size=[16, 8, 4], seed=SEEDS),
        exclude=[{"norm": "instancenorm", "batch_size": [4, 8]}],
    )
    plan = save(grid, *(record_of(t, 3, Outcome.COMPLETED) for t in make_plan(grid).missing()))
    found = make_look_request(plan, 3)["rule"]["contrasts"]
    assert {(c["norm"], c["measure"]) for c in found} == set(LEVELS)
    assert all(c["batch_sizes"] == [16] for c in found)


def test_a_grid_with_nothing_in_common_is_refused() -> None:
    grid = load(
        **factors(batch_size=[16, 8], seed=SEEDS),
        exclude=[{"norm": "batchnorm", "batch_size": 8}, {"norm": "groupnorm", "batch_size": 16}],
    )
    plan = save(grid, *(record_of(t, 3, Outcome.COMPLETED) for t in make_plan(grid).missing()))
    with pytest.raises(RefusedError, match="nothing to decide"):
        make_look_request(plan, 3)

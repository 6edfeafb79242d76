"""Looks as `looks.json` has them, made up: what is decided is given, and nothing is computed."""

from __future__ import annotations

from collections.abc import Mapping

from sweep.grid.model import Grid
from sweep.planning.looks import list_first_trials
from sweep.records.look_history import (
    OPEN,
    ContrastAtLook,
    DeclaredContrast,
    Look,
    LookHistory,
    LookRule,
)

SEEDS = {"until": "decided", "from": 3, "to": 6}
NEEDED = {"level": (16, 8, 4), "robustness": (16, 4)}


def make_history(grid: Grid, *looks: Mapping[tuple[str, str], str]) -> LookHistory:
    """The looks from the third seed on.

    Each look has the decision by norm and measure of the contrasts that were open before it.
    """
    assert grid.seed_looks is not None
    norms = [norm for norm in dict.fromkeys(t.norm for t in grid.trials) if norm != "batchnorm"]
    contrasts = tuple(
        DeclaredContrast(
            variant="",
            norm=norm,
            measure=measure,
            batch_sizes=(16, 8, 4),
            needed_batch_sizes=needed,
        )
        for norm in norms
        for measure, needed in NEEDED.items()
    )
    rule = LookRule(
        first=grid.seed_looks.first,
        last=grid.seed_looks.last,
        reference="batchnorm",
        seeding="per_seed",
        alpha=0.05,
        spending_exponent=1.5,
        margins={"": 0.5},
        contrasts=contrasts,
        boundaries=((0.01, 0.01, 0.01, 0.01),) * len(contrasts),
    )
    return LookHistory(
        version=1,
        trial_ids=list_first_trials(grid.trials),
        rule=rule,
        looks=tuple(make_look(grid.seed_looks.first + i, look) for i, look in enumerate(looks)),
    )


def make_look(num_seeds: int, decisions: Mapping[tuple[str, str], str]) -> Look:
    return Look(
        num_seeds=num_seeds,
        contrasts=tuple(
            ContrastAtLook(
                variant="",
                norm=norm,
                measure=measure,
                decision=decision,
                is_complete=True,
                estimate=-1.2,
                standard_error=0.4,
                df=2.0,
                p=0.03 if decision == OPEN else 0.001,
                boundary=0.004,
                half_width=1.5,
            )
            for (norm, measure), decision in decisions.items()
        ),
        taken="2026-01-02T03:04:05+00:00",
    )

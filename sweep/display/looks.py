"""What is decided and what is open, in words, of seeds that are trained until it is decided."""

from __future__ import annotations

from sweep.grid.layout import SeedsUntilDecided
from sweep.planning.looks import count_possible_trials
from sweep.planning.trial_states import TrialStates
from sweep.records.look_history import ContrastAtLook, LookHistory
from sweep.wording import count_noun


def describe_looks(states: TrialStates) -> list[str]:
    """Return a line on how far the decisions are, and one for each norm; none for fixed seeds."""
    declared = states.grid.seed_looks
    if declared is None:
        return []
    lines = describe_decisions(states.looks) if states.looks else [_describe_first_look(declared)]
    possible = count_possible_trials(states)
    if possible:
        lines[0] += f"; up to {count_noun(possible, 'trial')} of later seeds may follow"
    return lines


def describe_decisions(history: LookHistory) -> list[str]:
    """Return a line on how many contrasts are decided, and one for each norm of each variant."""
    latest = history.latest()
    num_decided = sum(not item.is_open for _, item in latest.values())
    rule, num_seeds = history.rule, history.last_look.num_seeds
    head = f"decided after {num_seeds} of at most {rule.last} seeds: "
    lines = [f"{head}{num_decided} of {len(latest)} differences from {rule.reference}"]
    by_norm: dict[str, list[str]] = {}
    for (variant, norm, measure), (at, item) in latest.items():
        label = f"{norm} · {variant}" if variant else norm
        by_norm.setdefault(label, []).append(f"{measure} {describe_contrast(item, at)}")
    return lines + [f"{label}: {'; '.join(parts)}" for label, parts in by_norm.items()]


def describe_contrast(item: ContrastAtLook, num_seeds: int) -> str:
    """Return `different after 4 seeds (-1.20 points)`, or `open (p 0.03, needs 0.004)`."""
    if not item.is_open:
        text = f"{item.decision} after {num_seeds} seeds"
        return text if item.estimate is None else f"{text} ({item.estimate:+.2f} points)"
    if not item.is_complete:
        return "open (a trial has no result)"
    if item.p is None:
        return "open (no spread between seeds)"
    return f"open (p {item.p:.2g}, needs {item.boundary:.2g})"


def _describe_first_look(declared: SeedsUntilDecided) -> str:
    return (
        f"differences from the reference are first looked at after {declared.first} seeds; at most "
        f"{declared.last} seeds are trained"
    )

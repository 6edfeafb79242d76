"""Notes on a sweep that trained seeds until its contrasts were decided: the rule, the decisions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from analysis.formatting import format_signed, join_words
from analysis.schema import Results
from analysis.sources.source_location import LOOKS_FILE

TESTS = {
    "per_seed": "each contrast by Student's t over its values per seed",
    "per_cell": "batch sizes as independent samples, with Satterthwaite's degrees of freedom",
}
"""The test of a contrast, by what the random streams of its trials depend on."""


def describe_looks(results: Results) -> Iterator[str]:
    """Yield notes on the looks at each sweep: by what rule seeds were added, what was decided."""
    for sweep, content in results.looks.items():
        yield from _describe_sweep_looks(sweep, content)


def _describe_sweep_looks(sweep: str, content: dict[str, Any]) -> list[str]:
    """Return the notes on one sweep, from the content of its `looks.json`."""
    rule, looks = content["rule"], content["looks"]
    latest = {
        (item["variant"], item["norm"], item["measure"]): (look["num_seeds"], item)
        for look in looks
        for item in look["contrasts"]
    }
    return [_describe_rule(rule, looks, sweep), *_describe_decisions(latest)]


def _describe_rule(rule: dict[str, Any], looks: list[dict[str, Any]], sweep: str) -> str:
    num_contrasts, exponent = len(rule["contrasts"]), rule["spending_exponent"]
    margins = join_words([f"{value:g}" for value in dict.fromkeys(rule["margins"].values())])
    return (
        f"Seeds were trained until level and robustness of each norm were decided against "
        f"{rule['reference']}, looking after every seed from {rule['first']} to at most "
        f"{rule['last']}; the last look was after {looks[-1]['num_seeds']}. The {num_contrasts} "
        f"contrasts, of all variants together, are one family. After n seeds at most "
        f"{100 * rule['alpha']:g} % (n/{rule['last']})^{exponent:g} of error was spent, and a "
        f"contrast that was claimed passed its share on (Holm). Tested: "
        f"{TESTS[rule['seeding']]}. Equal means: within {margins} points at the boundary's level; "
        f"a contrast was given up once p was high. Intervals and p elsewhere in this report do "
        f"not account for the looks: claims on these contrasts are those below (also in "
        f"{sweep}/{LOOKS_FILE})."
    )


def _describe_decisions(latest: dict[Any, tuple[int, dict[str, Any]]]) -> list[str]:
    """Return a line for each norm of each variant."""
    by_norm: dict[str, list[str]] = {}
    for (variant, norm, measure), (num_seeds, item) in latest.items():
        label = f"{norm} ({variant})" if variant else norm
        by_norm.setdefault(label, []).append(f"{measure} {_describe_contrast(item, num_seeds)}")
    return [f"Decided by looks: {label}: {'; '.join(parts)}." for label, parts in by_norm.items()]


def _describe_contrast(item: dict[str, Any], num_seeds: int) -> str:
    """Return the decision with its estimate and the interval at the boundary's level, in points."""
    decision = "undecided" if item["decision"] == "open" else item["decision"]
    text = f"{decision} after {num_seeds} seeds"
    if item["estimate"] is None:
        return text
    width = "" if item["half_width"] is None else f" ± {item['half_width']:.2f}"
    p = "" if item["p"] is None else f", p {item['p']:.2g}, boundary {item['boundary']:.2g}"
    return f"{text} ({format_signed(item['estimate'])}{width} points{p})"

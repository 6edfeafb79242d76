"""Sentences on norms that cannot be paired with the reference, seed by seed."""

from __future__ import annotations

from analysis.formatting import join_words
from analysis.statistics.comparison import Comparison


def describe_unpaired(comparison: Comparison, scope: str) -> list[str]:
    """Return a sentence on why nothing can be paired, before Welch's results (Welch 1947).

    Args:
        comparison: norms of which none has a complete seed in common with the reference.
        scope: beginning of the sentence: the batch sizes that it holds for.
    """
    name = comparison.reference
    whole = [norm for norm in comparison.norms if len(comparison.auec[norm])]
    if not whole:
        return [f"{scope}: no norm has a seed with a result at every batch size."]
    if name not in whole:
        # a reference beside which no other norm could be compared is not suggested
        other = f"; try --reference {whole[0]}" if len(whole) > 1 else ""
        return [f"{scope}: the reference {describe_incomplete_norm(comparison, name)}{other}."]
    if whole == [name]:
        return [
            f"{scope}: no norm but the reference {name} has a seed with a result at every batch "
            "size."
        ]
    others = [norm for norm in whole if norm != name]
    apart = f"{join_words(whole)} have no seed in common, so nothing can be paired"
    if len(others) > 1:
        apart = (
            f"{name} has no seed in common with {join_words(others, len(others))}, so nothing can "
        )
        apart += "be paired with it"
    return [
        f"{scope}, {apart}. Unpaired, by Welch's test, which sees less and takes each norm's seeds "
        "for a sample of their own:",
    ]


def describe_incomplete_norm(comparison: Comparison, norm: str) -> str:
    """Return a clause that `norm` has no complete seed, with its batch sizes without a result."""
    sizes = comparison.common_batch_sizes
    without = [size for size in sizes if not len(comparison.get_errors(size).get(norm, ()))]
    lacks = f" (none at {join_words(without)})" if without else ""
    return f"{norm} has no seed with a result at every batch size{lacks}"

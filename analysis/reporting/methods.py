"""Explanations of how the report's numbers are computed, printed at its end."""

from __future__ import annotations

UNVERIFIED_PAIRING_METHOD = (
    "Gap",
    "Differences are taken between rows of one seed. That one seed gave every norm the same "
    "initial weights, data order or split is assumed: the table does not say so. Welch's unpaired "
    "result, which assumes nothing of the kind, and the correlation are in tables/gaps.csv.",
)
METHODS = (
    ("Error", "Of the last epoch, never the best one, which is chosen on the test set."),
    (
        "Interval",
        "Student's t over seeds, 95 %. Simulated, a mean of 3, 5 or 10 seeds is covered 95.0 % of "
        "the time if seeds are normal, and 91.1, 90.1 and 90.8 % if they are log-normal (sigma "
        "0.6). None is given below three seeds.",
    ),
    (
        "Gap",
        "Differences are taken seed by seed, as a seed gives every norm the same initial weights "
        "and data order; Welch's unpaired result and the correlation are in tables/gaps.csv.",
    ),
    (
        "Claims",
        "One family is declared, of the whole report: each norm's AUEC against the reference's, on "
        "every data set, network and variant, adjusted together by Holm. Intervals are each "
        "comparison's own, the verdict is Holm's. Everything else is exploratory: the differences "
        "from the reference at all batch sizes are one family, those "
        "between the other norms, which only decide whether the lowest is set apart, another. "
        "Equality is claimed only by two one-sided tests within the stated margin.",
    ),
    (
        "Diverged",
        "A diverged trial is a result. It counts at the error of guessing in every measure; the "
        "mean over the survivors stands beside it.",
    ),
    (
        "AUEC",
        "Area under error against log2 of the batch size by trapezoids, divided by the range: the "
        "error averaged over batch sizes. Only seeds that have every batch size enter.",
    ),
)

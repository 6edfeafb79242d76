"""Explanations of how the report's numbers are computed, printed at its end."""

from __future__ import annotations

from analysis.statistics.contrasts import ContrastTest

UNVERIFIED_PAIRING_METHOD = (
    "Gap",
    "Differences are taken between rows of one seed. That one seed gave every norm the same "
    "initial weights, data order or split is assumed: the table does not say so. Welch's unpaired "
    "result, which assumes nothing of the kind, and the correlation are in tables/gaps.csv.",
)
TEST_METHODS = {
    ContrastTest.COMBINED: (
        "Combined over batch sizes, since the random streams of these trials depend on (seed, "
        "batch size): batch sizes are independent replicates by design. The paired differences of "
        "each batch size have a variance of their own, and a contrast the sum of these, weighted, "
        "with Satterthwaite's degrees of freedom (1946), in which the noisiest batch size counts "
        "double. The exact p of flipping the signs of all "
        "differences (Fisher 1935) stands beside in tables/gaps.csv, p_sign_flip; no verdict rests "
        "on it."
    ),
    ContrastTest.PAIRED: (
        "Student's t on the contrast of each seed, since the random streams of these trials depend "
        "on the seed alone: differences of one seed at several batch sizes are not independent."
    ),
    ContrastTest.UNPAIRED: (
        "Welch's (1947), since no norm has a seed in common with the reference, so that nothing "
        "can be paired."
    ),
}
"""Why a comparison has its test, by the test."""

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
        "One family is declared, of the whole report: for each norm, on every data set, network "
        "and variant, its level (AUEC) and its robustness (D, the rise from the largest batch to "
        "the smallest) against the reference's, adjusted together by Holm. A difference that is "
        "not significant is called equivalent, or a norm as robust, where its simultaneous "
        "interval lies within the stated margin; else the question is left undecided. Everything "
        "else is exploratory: the differences from the reference at all batch sizes are one "
        "family, those between the other norms, which only decide whether the lowest is set apart, "
        "another.",
    ),
    (
        "Simultaneous intervals",
        "Of m contrasts with r rejected by Holm, those that are not rejected have intervals of "
        "level 1 - 0.05 / (m - r), which hold together with the rejections (Strassburger and Bretz "
        "2008, Guilbaud 2008). A rejected contrast has Bonferroni's interval, 1 - 0.05 / m, where "
        "that leaves out 0, else the interval of its step; jointly, only its side of 0 is certain.",
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

"""The report's figures in order, each with its title, caption and alternative text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure

from analysis.figures import (
    degradation_map,
    error_by_batch_size,
    forest,
    learning_curves,
    level_and_slope,
    norm_statistics,
    published_and_measured,
    time_to_threshold,
)
from analysis.figures.recorded_curves import (
    describe_curves,
    describe_watched_layer,
    make_curve_drawer,
)
from analysis.findings import Findings


@dataclass(frozen=True)
class ReportFigure:
    """A figure of the report: the stem of its files, its title and texts, and the figure."""

    stem: str
    title: str
    caption: str
    alt: str
    figure: Figure


DrawFunction = Callable[[Findings], Figure | None]

_LINES = (
    "every trial a line, or where they are many every norm's mean over those that go on; a cross "
    "where one diverged."
)

_FIGURES: tuple[tuple[str, str, str, str, DrawFunction], ...] = (
    (
        "error-by-batch-size",
        "Error against batch size",
        "Last epoch's test error. Every dot is a trial, the line their mean, the band its 95 % t "
        "interval (none below three seeds).",
        error_by_batch_size.ALT,
        error_by_batch_size.draw_error_by_batch_size,
    ),
    (
        "degradation",
        "What a smaller batch costs",
        "Rise of test error over the largest batch size, percentage points, ± half the width of "
        "its 95 % t interval; norms from the lowest average error to the highest.",
        degradation_map.ALT,
        degradation_map.draw_degradation_map,
    ),
    (
        "level-and-slope",
        "Level and slope",
        "How good a norm is on average, and how steep, are two things. Bars are 95 % t intervals. "
        "An error that falls and rises again may have a slope of 0: the table has its worst rise.",
        level_and_slope.ALT,
        level_and_slope.draw_level_and_slope,
    ),
    (
        "forest",
        "Difference in level and robustness",
        "AUEC (level) and the rise D from the largest batch to the smallest (robustness), minus "
        "the reference's, with simultaneous 95 % intervals, which leave out 0 exactly where the p "
        "adjusted by Holm is below 0.05. Shaded: differences of at most {margin} points, taken to "
        "be none.",
        forest.ALT,
        forest.draw_forest,
    ),
    (
        "learning-curves",
        "Learning curves",
        "Test error after every epoch, every trial a line; where the learning rate drops a few "
        "times dotted verticals mark it, and a cross the last finite error of a trial that "
        "diverged. Where trials are many, the mean over those that go on is bold.",
        learning_curves.ALT,
        learning_curves.draw_learning_curves,
    ),
    (
        "training-loss",
        "Training loss",
        f"Mean loss over the training examples of each epoch; {_LINES}",
        describe_curves("the mean training loss"),
        make_curve_drawer("train_loss", "training loss"),
    ),
    (
        "time-to-threshold",
        "Not yet at the threshold",
        "Fraction of trials whose test error has not yet stayed at or below {threshold} % for "
        "three evaluations (Kaplan-Meier); diverged trials count as never reaching it.",
        time_to_threshold.ALT,
        time_to_threshold.draw_time_to_threshold,
    ),
    (
        "norm-statistics",
        "The same norm, tested with other statistics",
        "What training harms shows under every kind of statistics; what only testing harms goes "
        "away when they are recomputed. Bands are 95 % t intervals.",
        norm_statistics.ALT,
        norm_statistics.draw_norm_statistics,
    ),
    *(
        (
            metric.replace("_", "-"),
            title,
            f"{what}; {_LINES}",
            describe_curves(what),
            make_curve_drawer(metric, label),
        )
        for metric, title, label, what in (
            (
                "activation_mean",
                "Mean of a layer's outputs over training",
                "mean of the layer's outputs",
                "Mean of all outputs of {watched} in the training batches of each epoch",
            ),
            (
                "activation_variance",
                "Variance of a layer's outputs over training",
                "variance of the layer's outputs",
                "Variance of all outputs of {watched} in the training batches of each epoch",
            ),
            (
                "gradient_norm",
                "Gradient norm over training",
                "L2 norm of the gradient",
                "L2 norm of the whole gradient, mean over the updates of each epoch",
            ),
            (
                "clipped_fraction",
                "How often the correction was clipped",
                "fraction clipped in training",
                "Fraction of channels whose r or d was clipped, mean over the layers and steps of "
                "each epoch",
            ),
        )
    ),
    (
        "published",
        "Measured and published",
        "Measured means with 95 % t intervals; hollow diamonds as printed, without seeds. {source}",
        published_and_measured.ALT,
        published_and_measured.draw_published_and_measured,
    ),
)


def draw_figures(findings: Findings, suffix: str) -> Iterator[ReportFigure]:
    """Yield every figure with data in the findings; `suffix` ends the stems of their files."""
    words = {
        "margin": f"{findings.margin:g}",
        "threshold": f"{findings.threshold or 0:g}",
        "watched": describe_watched_layer(findings),
        "source": published_and_measured.describe_published_source(findings),
    }
    for stem, title, caption, described, draw in _FIGURES:
        figure = draw(findings)
        if figure is not None:
            texts = (caption.format(**words), described.format(**words))
            yield ReportFigure(f"{stem}{suffix}", title, *texts, figure)

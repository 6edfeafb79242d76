"""What the link to an experiment opens in MLflow: which charts, how grouped, which columns.

MLflow keeps a page that somebody shares as an experiment's tag, and opens it where a link names the
tag. It documents neither, so views are written for the versions in which tests have seen the charts
drawn; with another one the link opens MLflow's own page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sweep.grid.model import Grid

KNOWN_TO = ("3.17.",)
"""Beginnings of the MLflow versions whose views these are."""

OF_TRAINING = "workflowType=machine_learning"
"""Has MLflow show what is for training models, and not what is for language models."""

CELL = "sweep.cell"
COLOUR = "mlflow.runColor"
TAG = "mlflow.sharedViewState."
LONGEST_VIEW = 4000
FETCHED_AT_ONCE = 100
"""Runs that MLflow's page reads before it is asked for more."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6f4e9c", "#555555")
"""Okabe and Ito's, for eyes of every kind, but for the last two: a norm's, in the grid's order."""

COLUMNS = (
    "tags.`norm`",
    "params.`batch_size`",
    "params.`seed`",
    "tags.`sweep.outcome`",
    "metrics.`test_error`",
    "metrics.`best_test_error`",
    "metrics.`train_loss`",
)


@dataclass(frozen=True)
class ChartView:
    """A page of a sweep's runs: the tag's key, and what the page is to show."""

    key: str
    state: dict[str, Any]

    @property
    def tag(self) -> tuple[str, str]:
        """Key and value of the experiment's tag."""
        return f"{TAG}{self.key}", json.dumps(self.state, separators=(",", ":"))


def query(key: str) -> str:
    """What follows an experiment's address to open a view there."""
    return f"{urlencode({'viewStateShareKey': key, 'compareRunsMode': 'CHART'})}&{OF_TRAINING}"


def means_key(sweep: str) -> str:
    """The view of the cells, each the mean over its seeds."""
    return f"means-{sweep}"


def seeds_key(sweep: str) -> str:
    """The view of every seed by itself, in its norm's colour."""
    return f"seeds-{sweep}"


def chart_views(grid: Grid) -> tuple[ChartView, ChartView]:
    """The two views of a sweep: its cells, and its seeds."""
    return (
        ChartView(means_key(grid.name), _state(grid, grouped=True)),
        ChartView(seeds_key(grid.name), _state(grid, grouped=False)),
    )


def norm_colours(grid: Grid) -> dict[str, str]:
    """The colour of each norm's runs where they are not grouped."""
    norms = dict.fromkeys(trial.norm for trial in grid.trials)
    return {norm: COLOURS[i % len(COLOURS)] for i, norm in enumerate(norms)}


def _state(grid: Grid, *, grouped: bool) -> dict[str, Any]:
    few = len(grid.trials) <= FETCHED_AT_ONCE
    state = {
        "searchFilter": f"tags.sweep.name = '{grid.name}'",
        # By name the norms and sizes come in order; of many, one seed of every cell comes first.
        "orderByKey": "tags.`mlflow.runName`" if few else "attributes.start_time",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "runsHiddenMode": "SHOW_ALL",
        "selectedColumns": COLUMNS,
        "compareRunCharts": list(_charts()),
        "compareRunSections": list(_sections(grouped=grouped)),
        "isAccordionReordered": True,
        "autoRefreshEnabled": True,
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": True,
        "groupBy": _by_cell() if grouped else None,
    }
    folded = {f"tag.{CELL}.{trial.cell_name}": False for trial in grid.trials} if grouped else {}
    is_short = len(json.dumps({**state, "groupsExpanded": folded})) < LONGEST_VIEW
    return {**state, "groupsExpanded": folded if is_short else {}}


def _by_cell() -> dict[str, Any]:
    keys = [{"mode": "tag", "groupByData": CELL}]
    return {"aggregateFunction": "average", "groupByKeys": keys}


def _charts() -> Iterator[dict[str, Any]]:
    yield _by_size("test_error")
    yield _chart("BAR", "error-by-cell", "errors", metricKey="test_error")
    yield _by_size("train_error")
    for metric in ("test_error", "train_loss", "train_error", "test_loss"):
        yield _chart(
            "LINE",
            f"curve-of-{metric}",
            "curves",
            metricKey=metric,
            selectedMetricKeys=[metric],
            xAxisKey="step",
            scaleType="linear",
            xAxisScaleType="linear",
            lineSmoothness=0,
            useGlobalLineSmoothing=False,
        )


def _by_size(metric: str) -> dict[str, Any]:
    size, error = {"key": "batch_size", "type": "PARAM"}, {"key": metric, "type": "METRIC"}
    return _chart("SCATTER", f"{metric}-by-size", "errors", xaxis=size, yaxis=error)


def _chart(kind: str, name: str, section: str, **more: Any) -> dict[str, Any]:
    own = {"type": kind, "uuid": name, "metricSectionId": section, **more}
    return {**own, "runsCountToCompare": 100, "deleted": False, "isGenerated": False}


def _sections(*, grouped: bool) -> Iterator[dict[str, Any]]:
    """MLflow adds a chart of each further metric to the last two, which begin folded."""
    titles = {
        "errors": "Error (%) by batch size, last epoch",
        "curves": f"Learning curves, {'mean over seeds' if grouped else 'every seed'}",
        "model": "Model metrics",
        "system": "System metrics",
    }
    for name, title in titles.items():
        is_open = name in ("errors", "curves")
        yield {"uuid": name, "name": title, "display": is_open, "isReordered": True}

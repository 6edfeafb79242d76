"""The views that a link to an experiment opens in MLflow: charts, groups of runs, columns.

MLflow keeps a page that somebody shares as an experiment's tag, and opens it where a link names the
tag. It documents neither, so views are written for the versions in which tests have seen the charts
drawn; with another one the link opens MLflow's own page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict
from urllib.parse import urlencode

from sweep.grid.model import Grid

MLFLOW_VERSIONS = ("3.17.",)
"""Beginnings of the MLflow versions in which these views have been seen drawn."""

MODEL_TRAINING = "workflowType=machine_learning"
"""Part of an address by which MLflow shows its pages for training, not for language models."""

CELL = "sweep.cell"
COLOUR = "mlflow.runColor"
TAG = "mlflow.sharedViewState."
LONGEST_VIEW = 4000
FETCHED_AT_ONCE = 100
"""Runs that MLflow's page reads before a person asks for more."""

RUNS_COMPARED = 100
"""Runs that a chart draws at most."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6f4e9c", "#555555")
"""Colours of the norms, in the grid's order; all but the last two are Okabe and Ito's palette."""

COLUMNS = (
    "tags.`norm`",
    "params.`batch_size`",
    "params.`seed`",
    "tags.`sweep.outcome`",
    "metrics.`test_error`",
    "metrics.`best_test_error`",
    "metrics.`train_loss`",
)


class GroupKey(TypedDict):
    """A tag by which MLflow groups runs."""

    mode: Literal["tag"]
    groupByData: str


class Grouping(TypedDict):
    """How MLflow groups runs, and what it shows of a group."""

    aggregateFunction: Literal["average"]
    groupByKeys: list[GroupKey]


class Axis(TypedDict):
    """The metric or parameter along an axis of a scatter plot."""

    key: str
    type: Literal["PARAM", "METRIC"]


class Chart(TypedDict):
    """A chart; which of the optional keys it has depends on its type."""

    type: Literal["BAR", "LINE", "SCATTER"]
    uuid: str
    metricSectionId: str
    metricKey: NotRequired[str]
    selectedMetricKeys: NotRequired[list[str]]
    xAxisKey: NotRequired[str]
    scaleType: NotRequired[str]
    xAxisScaleType: NotRequired[str]
    lineSmoothness: NotRequired[int]
    useGlobalLineSmoothing: NotRequired[bool]
    xaxis: NotRequired[Axis]
    yaxis: NotRequired[Axis]
    runsCountToCompare: int
    deleted: bool
    isGenerated: bool


class Section(TypedDict):
    """A section of charts; `display` says whether it is unfolded."""

    uuid: str
    name: str
    display: bool
    isReordered: bool


class ViewState(TypedDict):
    """The state of MLflow's page of an experiment, by the names that MLflow gives its parts."""

    searchFilter: str
    orderByKey: str
    orderByAsc: bool
    startTime: str
    lifecycleFilter: str
    modelVersionFilter: str
    datasetsFilter: list[str]
    runsHiddenMode: str
    selectedColumns: Sequence[str]
    compareRunCharts: list[Chart]
    compareRunSections: list[Section]
    isAccordionReordered: bool
    autoRefreshEnabled: bool
    hideEmptyCharts: bool
    useGroupedValuesInCharts: bool
    groupBy: Grouping | None
    groupsExpanded: dict[str, bool]


@dataclass(frozen=True)
class ChartView:
    """A view of a sweep's runs: the key by which a link names it, and the state of the page."""

    key: str
    state: ViewState

    @property
    def tag(self) -> tuple[str, str]:
        """Key and value of the experiment's tag that stores the view."""
        return f"{TAG}{self.key}", json.dumps(self.state, separators=(",", ":"))


def make_view_query(key: str) -> str:
    """Return the query part of an experiment's URL that opens the view with this key."""
    return f"{urlencode({'viewStateShareKey': key, 'compareRunsMode': 'CHART'})}&{MODEL_TRAINING}"


def means_key(sweep: str) -> str:
    """Return the key of the view that shows each cell as the mean over its seeds."""
    return f"means-{sweep}"


def seeds_key(sweep: str) -> str:
    """Return the key of the view that shows every seed, in its norm's colour."""
    return f"seeds-{sweep}"


def chart_views(grid: Grid) -> tuple[ChartView, ChartView]:
    """Return the two views of a sweep: its cells, and its seeds."""
    return (
        ChartView(means_key(grid.name), _build_view_state(grid, grouped=True)),
        ChartView(seeds_key(grid.name), _build_view_state(grid, grouped=False)),
    )


def norm_colours(grid: Grid) -> dict[str, str]:
    """Return the colour of each norm's runs, for the view in which seeds are not grouped."""
    norms = dict.fromkeys(trial.norm for trial in grid.trials)
    return {norm: COLOURS[i % len(COLOURS)] for i, norm in enumerate(norms)}


def _build_view_state(grid: Grid, *, grouped: bool) -> ViewState:
    """Return the state of the page that shows a grid's runs, grouped by cell or each by itself."""
    all_at_once = len(grid.trials) <= FETCHED_AT_ONCE
    state: ViewState = {
        "searchFilter": f"tags.sweep.name = '{grid.name}'",
        # By name the norms and sizes come in order; of many, one seed of every cell comes first.
        "orderByKey": "tags.`mlflow.runName`" if all_at_once else "attributes.start_time",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "runsHiddenMode": "SHOW_ALL",
        "selectedColumns": COLUMNS,
        "compareRunCharts": list(_build_charts()),
        "compareRunSections": list(_build_sections(grouped=grouped)),
        "isAccordionReordered": True,
        "autoRefreshEnabled": True,
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": True,
        "groupBy": _group_by_cell() if grouped else None,
        "groupsExpanded": {},
    }
    if grouped:
        folded = {f"tag.{CELL}.{trial.cell_name}": False for trial in grid.trials}
        with_folded: ViewState = {**state, "groupsExpanded": folded}
        if len(json.dumps(with_folded)) < LONGEST_VIEW:
            return with_folded
    return state


def _group_by_cell() -> Grouping:
    """Return the grouping of runs by cell, with the mean over seeds."""
    return {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "tag", "groupByData": CELL}],
    }


def _build_charts() -> Iterator[Chart]:
    """Yield the charts in their order: errors by batch size, errors by cell, learning curves."""
    yield _scatter_by_batch_size("test_error")
    yield {
        "type": "BAR",
        "uuid": "error-by-cell",
        "metricSectionId": "errors",
        "metricKey": "test_error",
        "runsCountToCompare": RUNS_COMPARED,
        "deleted": False,
        "isGenerated": False,
    }
    yield _scatter_by_batch_size("train_error")
    for metric in ("test_error", "train_loss", "train_error", "test_loss"):
        yield {
            "type": "LINE",
            "uuid": f"curve-of-{metric}",
            "metricSectionId": "curves",
            "metricKey": metric,
            "selectedMetricKeys": [metric],
            "xAxisKey": "step",
            "scaleType": "linear",
            "xAxisScaleType": "linear",
            "lineSmoothness": 0,
            "useGlobalLineSmoothing": False,
            "runsCountToCompare": RUNS_COMPARED,
            "deleted": False,
            "isGenerated": False,
        }


def _scatter_by_batch_size(metric: str) -> Chart:
    """Return a scatter chart of a metric against the batch size."""
    return {
        "type": "SCATTER",
        "uuid": f"{metric}-by-size",
        "metricSectionId": "errors",
        "xaxis": {"key": "batch_size", "type": "PARAM"},
        "yaxis": {"key": metric, "type": "METRIC"},
        "runsCountToCompare": RUNS_COMPARED,
        "deleted": False,
        "isGenerated": False,
    }


def _build_sections(*, grouped: bool) -> Iterator[Section]:
    """Yield the sections of charts.

    MLflow adds a chart of each further metric to the last two sections, which begin folded.
    """
    titles = {
        "errors": "Error (%) by batch size, last epoch",
        "curves": f"Learning curves, {'mean over seeds' if grouped else 'every seed'}",
        "model": "Model metrics",
        "system": "System metrics",
    }
    for name, title in titles.items():
        is_open = name in ("errors", "curves")
        yield {"uuid": name, "name": title, "display": is_open, "isReordered": True}

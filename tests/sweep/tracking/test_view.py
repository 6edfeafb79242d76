from __future__ import annotations

import json
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow_store import Query
from small_grids import factors, load, record_of

from sweep.tracking import store
from sweep.tracking.tracker import Tracker
from sweep.tracking.view import COLOURS, LONGEST_VIEW, chart_views, norm_colours
from trainables.spec import Outcome

PLAIN = "http://127.0.0.1:5000/#/experiments/1/runs"
ASKED = "compareRunsMode=CHART&workflowType=machine_learning"


def test_the_link_opens_the_view_that_the_experiment_holds(query: Query) -> None:
    tracker = Tracker(load())
    assert tracker.link.link == f"{PLAIN}?viewStateShareKey=means-small&{ASKED}"
    tags: dict[str, Any] = dict(query("select key, value from experiment_tags"))
    means = json.loads(tags["mlflow.sharedViewState.means-small"])
    assert means["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "sweep.cell"}]
    assert means["groupBy"]["aggregateFunction"] == "average"
    assert json.loads(tags["mlflow.sharedViewState.seeds-small"])["groupBy"] is None


def test_what_a_view_names_is_there_in_the_runs(query: Query) -> None:
    """MLflow draws nothing for a metric, param, tag or group that it does not find."""
    grid = load()
    tracker = Tracker(grid)
    tracker.export(record_of(trial, 2, Outcome.COMPLETED) for trial in grid.trials)
    there = {
        **{f"metrics.`{name}`": name for (name,) in query("select distinct key from metrics")},
        **{f"params.`{name}`": name for (name,) in query("select distinct key from params")},
        **{f"tags.`{name}`": name for (name,) in query("select distinct key from tags")},
    }
    groups = {value for (value,) in query("select value from tags where key = 'sweep.cell'")}
    assert groups == {f"{n}-bs0{b}" for n in ("batchnorm", "groupnorm") for b in ("16", "08")}
    for view in chart_views(grid):
        assert set(view.state["selectedColumns"]) <= set(there)
        for chart in view.state["compareRunCharts"]:
            axes = [chart.get("xaxis"), chart.get("yaxis")]
            keys = {f"{axis['type'].lower()}s.`{axis['key']}`" for axis in axes if axis}
            keys |= {f"metrics.`{chart['metricKey']}`"} if "metricKey" in chart else set()
            assert keys <= set(there)
    folded = chart_views(grid)[0].state["groupsExpanded"]
    assert folded == {f"tag.sweep.cell.{name}": False for name in groups}


def test_the_view_of_a_large_grid_is_a_short_tag_that_begins_with_every_cell() -> None:
    norms = [{"name": "groupnorm", "num_groups": 8, "eps": 1e-5 * i} for i in range(1, 91)]
    grid = load(**factors(norm=norms, batch_size=[16, 8], seed=10))
    for view in chart_views(grid):
        assert len(view.tag[1]) < LONGEST_VIEW
        assert view.state["orderByKey"] == "attributes.start_time"
    assert len(set(norm_colours(grid).values())) == len(COLOURS)


@pytest.mark.parametrize("version", ["2.4.1", "3.18.0", "4.0.0", ""])
def test_another_mlflow_gets_the_plain_page(
    version: str, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_mlflow_version", lambda _: version)
    grid = load(**factors(norm=["groupnorm"], batch_size=[8], seed=1))
    tracker = Tracker(grid)
    assert tracker.link.link == PLAIN
    tracker.export([record_of(grid.trials[0], 1, Outcome.COMPLETED)])
    tracker.note_writer.write_all()
    assert query("select * from experiment_tags where key like '%sharedView%'") == []
    (note,) = query("select value from tags where key = 'mlflow.note.content'")
    assert "[All runs](#/experiments/1/runs)" in note[0]
    assert "viewStateShareKey" not in note[0]


def refusing(code: int) -> Any:
    set_experiment_tag = MlflowClient.set_experiment_tag

    def refuse(self: MlflowClient, experiment_id: str, key: str, value: str) -> None:
        if "sharedView" in key or "note" in key:
            raise MlflowException("no such tag here", error_code=code)
        set_experiment_tag(self, experiment_id, key, value)

    return refuse


def test_a_store_that_refuses_the_views_gets_the_plain_page(
    query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refusing(INVALID_PARAMETER_VALUE))
    assert Tracker(load()).link.link == PLAIN
    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refusing(TEMPORARILY_UNAVAILABLE))
    with pytest.raises(MlflowException):  # an outage: shipping tries again
        Tracker(load())


def test_the_version_of_a_server_nobody_answers_at_is_unknown() -> None:
    assert store._mlflow_version("http://127.0.0.1:9") == ""

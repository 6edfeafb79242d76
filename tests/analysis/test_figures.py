"""What each figure shows, read from the figure itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from synthetic_sweep import make_sweep, write_folder

from analysis.figures import (
    degradation_map,
    error_by_batch_size,
    forest,
    learning_curves,
    level_and_slope,
    time_to_threshold,
)
from analysis.figures.style import spread
from analysis.findings import Findings, findings_of
from analysis.options import Options
from analysis.reporting.report_figures import gallery
from analysis.reporting.time_table import time_frame, time_table
from analysis.schema import Results
from analysis.sources.load_results import load_results


def test_every_trial_is_a_dot_and_a_diverged_one_a_cross(findings: Findings) -> None:
    (axes,) = error_by_batch_size.draw(findings).axes
    lines = [line for line in axes.get_lines() if line.get_linestyle() == "None"]
    dots = np.concatenate([line.get_ydata() for line in lines if line.get_marker() != "x"])
    crosses = np.concatenate([line.get_ydata() for line in lines if line.get_marker() == "x"])
    assert len(dots) == 35
    assert crosses.tolist() == [90.0]
    assert axes.xaxis_inverted()


def test_the_map_prints_every_rise_with_its_half_width(findings: Findings) -> None:
    figure = degradation_map.draw(findings)
    assert figure is not None
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == 12
    assert sum("±" in text for text in texts) == 9
    norms = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert norms == ["assocnorm", "groupnorm(num_groups=8)", "batchnorm"]


def test_where_every_batch_size_costs_less_the_map_is_not_blank(tmp_path: Path) -> None:
    path = tmp_path / "falling.csv"
    rows = [f"{n},{b},{s},{8 - 2 / b + s / 50}" for n in "ab" for b in (64, 4, 2) for s in range(3)]
    path.write_text("\n".join(["norm,batch_size,seed,test_error", *rows]))
    figure = degradation_map.draw(findings_of(load_results(path), Options())[0])
    assert figure is not None
    (image,) = figure.axes[0].get_images()
    colours = image.cmap(image.norm(image.get_array()))
    assert not np.allclose(colours[:, 1], colours[:, 0])
    assert (colours[:, 2, 2] > colours[:, 2, 0]).all()


def test_level_slope_and_forest_show_each_norm(findings: Findings) -> None:
    level, differences = level_and_slope.draw(findings), forest.draw(findings)
    assert level is not None
    assert differences is not None
    assert {t.get_text() for t in level.axes[0].texts} >= set(findings.comparison.norms)
    labels = [label.get_text() for label in differences.axes[0].get_yticklabels()]
    assert sorted(labels) == ["assocnorm", "batchnorm"]


def test_curves_keep_trials_apart_and_mark_the_drops(findings: Findings) -> None:
    figure = learning_curves.draw(findings)
    assert figure is not None
    panel = figure.axes[0]
    errors = findings.comparison.epochs.query("batch_size == 64")
    drawn = [line for line in panel.get_lines() if len(line.get_xdata()) > 2]
    assert sum(np.isfinite(line.get_ydata()).sum() for line in drawn) == len(errors)
    assert all(np.isnan(line.get_ydata()).sum() == 2 for line in drawn)
    drops = [line.get_xdata()[0] for line in panel.get_lines() if len(line.get_xdata()) == 2]
    assert drops == [3.5]


def test_of_a_schedule_that_always_falls_no_epoch_is_marked() -> None:
    def curve(rates: list[float]) -> pd.DataFrame:
        epochs = range(1, len(rates) + 1)
        return pd.DataFrame({"trial_id": "a", "epoch": epochs, "lr": rates})

    cosine = (0.05 * (1 + np.cos(np.pi * np.arange(30) / 30))).tolist()
    assert learning_curves.schedule_drops(curve(cosine)) == []
    steps = [0.1] * 10 + [0.07] * 10 + [0.01] * 10
    assert learning_curves.schedule_drops(curve(steps)) == [10, 20]


def test_time_to_threshold_only_where_one_was_declared(trials: Results, findings: Findings) -> None:
    assert time_to_threshold.draw(findings_of(trials, Options())[0]) is None
    assert time_to_threshold.draw(findings_of(trials, Options(threshold=0.1))[0]) is None
    assert time_to_threshold.draw(findings) is not None
    by_grid = findings_of(trials, Options())[0]
    declared = by_grid.trial_settings.assign(**{"train.threshold": "9.0"})
    by_grid = dataclasses.replace(by_grid, trial_settings=declared)
    pd.testing.assert_frame_equal(time_frame(by_grid), time_frame(findings))
    frame = time_frame(findings).set_index(["norm", "batch_size"])
    assert frame.loc[("batchnorm", 2), "reached"] == 0
    assert np.isnan(frame.loc[("batchnorm", 2), "mean_epochs"])
    assert frame.loc[("batchnorm", 2), "horizon_epochs"] == 5
    table = time_table(findings)
    assert table is not None
    cells = dict(table.rows)
    assert cells["batchnorm"][-1].value == "not reached"
    assert "> 5 epochs" in cells["batchnorm"][-1].note


def test_drawing_changes_no_global_setting(findings: Findings) -> None:
    before = dict(mpl.rcParams)
    error_by_batch_size.draw(findings)
    assert dict(mpl.rcParams) == before


def test_labels_are_spread_and_keep_their_order() -> None:
    places = spread([1.0, 1.01, 5.0, 0.99], 0.5)
    assert np.diff(sorted(places)) == pytest.approx([0.5, 0.5, 5 - 1.5])
    assert np.argsort(places).tolist() == [3, 0, 1, 2]


def test_where_trials_crowd_a_panel_their_means_are_drawn(tmp_path: Path) -> None:
    sweep = make_sweep(norms=("batchnorm", "assocnorm"), batch_sizes=(4,), num_seeds=10)
    (found,) = findings_of(load_results(write_folder(sweep, tmp_path)), Options())
    means = found.comparison.epochs.groupby(["norm", "epoch"])["train_loss"].mean()
    drawn = {item.stem: item.figure.axes[0].get_lines() for item in gallery(found, "")}
    losses = [line for line in drawn["training-loss"] if len(line.get_xdata()) > 2]
    assert sorted(np.concatenate([line.get_ydata() for line in losses])) == pytest.approx(
        sorted(means)
    )
    errors = [line for line in drawn["learning-curves"] if len(line.get_xdata()) > 2]
    assert sorted(np.isfinite(line.get_ydata()).sum() for line in errors) == [5, 5, 50, 50]


def test_training_loss_is_drawn_for_every_trial(findings: Findings) -> None:
    drawn = {item.stem: item for item in gallery(findings, "")}
    figure = drawn["training-loss"].figure
    lines = [line for axes in figure.axes for line in axes.get_lines()]
    values = np.concatenate([line.get_ydata() for line in lines if line.get_marker() != "x"])
    losses = findings.comparison.epochs["train_loss"].dropna()
    assert set(losses) <= set(values)

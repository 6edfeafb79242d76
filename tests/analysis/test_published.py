"""Printed figures stand beside the same data, network and norm, and claim nothing more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.figures import published_and_measured
from analysis.findings import Findings, findings_of
from analysis.options import Options
from analysis.published import printed_gap, printed_norm, protocol_lines, table3
from analysis.reporting.page import page
from analysis.reporting.power_sentences import power
from analysis.reporting.published_table import published_frame, published_tables
from analysis.sources.load_results import load_results

NOISE = (-0.31, 0.12, 0.25, -0.2, 0.14)


def measured(
    folder: Path, cells: dict[tuple[str, int], float], dataset: str, model: str, **further: object
) -> Findings:
    """Five seeds around each cell's error; a further column has one value in every row."""
    rows = [
        {"norm": norm, "batch_size": size, "seed": seed, "test_error": level + noise}
        for (norm, size), level in cells.items()
        for seed, noise in enumerate(np.roll(NOISE, len(norm) + size))
    ]
    folder.mkdir(exist_ok=True)
    path = folder / "mine.csv"
    table = pd.DataFrame(rows).assign(dataset=dataset, model=model, **further)
    table.to_csv(path, index=False)
    return findings_of(load_results(path), Options())[0]


def test_the_figure_has_each_printed_error_where_it_belongs() -> None:
    figure = published_and_measured.draw(findings_of(table3(), Options())[0])
    assert figure is not None
    (axes,) = [item for item in figure.axes if "batchnorm" in item.get_title(loc="left")]
    printed = [line for line in axes.get_lines() if line.get_marker() == "D"]
    assert sorted(printed[0].get_ydata()) == sorted([6.43, 6.48, 7.39, 9.78, 11.15, 13.79])


def test_a_figure_of_another_network_data_set_or_part_of_the_data_is_not_drawn(
    tmp_path: Path,
) -> None:
    """The paper has batchrenorm at batch size 5 for ALL-CNN alone: 64.9 % right."""
    cells = {("batchnorm", 5): 36.0, ("batchrenorm", 5): 36.5}
    nin = measured(tmp_path, cells, "cifar100", "nin")
    assert {item.norm for item in nin.against_published} == {"batchnorm"}
    allcnn = measured(tmp_path, cells, "cifar100", "allcnn")
    assert [item.printed for item in allcnn.against_published] == [34.2, 35.1]
    for dataset, model, edition in (
        ("cifar10", "allcnn", ""),
        ("cifar100", "resnet8", ""),
        ("cifar100", "allcnn", "(first 500 for training)"),
    ):
        other = measured(tmp_path, cells, dataset, model, edition=edition)
        assert other.published == []
        assert published_and_measured.draw(other) is None
        assert list(published_tables(other)) == []


def test_what_the_paper_gives_roughly_is_called_so_and_is_held_to_nothing(tmp_path: Path) -> None:
    nin = measured(tmp_path, {("batchnorm", 5): 36.0}, "cifar100", "nin")
    (item,) = nin.against_published
    assert (item.inside_mean, item.inside_run) == (None, None)
    (table,) = published_tables(nin)
    assert table.rows[0][1][0].value == "about 36"
    figure = published_and_measured.draw(nin)
    assert figure is not None
    assert [text.get_text() for text in figure.axes[0].texts] == ["about 36"]


def test_one_printed_run_is_held_to_the_interval_of_one_run(tmp_path: Path) -> None:
    """Prediction interval of one further draw, by its textbook formula."""
    cells = {("batchnorm", 64): 6.0, ("groupnorm", 64): 7.05}
    found = measured(tmp_path, cells, "cifar10", "resnet101")
    frame = published_frame(found).set_index("norm")
    for norm, printed in (("batchnorm", 6.43), ("groupnorm", 7.02)):
        errors = found.comparison.get_errors(64)[norm].to_numpy(float)
        half = stats.t.ppf(0.975, 4) * errors.std(ddof=1) * np.sqrt(1 + 1 / 5)
        row = frame.loc[norm]
        assert row["one_run_half_width_95"] == pytest.approx(half)
        assert row["difference"] == pytest.approx(errors.mean() - printed)
    assert frame["inside_mean"].tolist() == [False, True]
    assert frame["inside_one_run"].tolist() == [True, True]


def test_how_the_learned_bias_enters_is_told_from_the_label(tmp_path: Path) -> None:
    assert printed_norm("assocnorm(bias=after, num_groups=32)") == "assocnorm"
    assert printed_norm("assocnorm(num_groups=16)") == "assocnorm(num_groups=16)"
    cells = {("assocnorm", 64): 6.1, ("assocnorm(bias=before)", 64): 6.5}
    found = measured(tmp_path, cells, "cifar10", "resnet101")
    printed = {(i.norm, i.tables, i.printed) for i in found.against_published}
    assert printed == {
        ("assocnorm", ("Table 1", "Table 3"), 6.19),
        ("assocnorm", ("Table 5",), 6.11),
        ("assocnorm(bias=before)", ("Table 5",), 6.46),
    }


def curves(errors: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"norm": "batchnorm", "batch_size": 5, "seed": seed, "reached": True, "epochs": epochs}
            for seed, epochs in enumerate(errors)
        ]
    )


def test_epochs_to_the_threshold_stand_beside_the_printed_ones(tmp_path: Path) -> None:
    from analysis.published.measured_beside_printed import against

    found = measured(tmp_path, {("batchnorm", 5): 34.0}, "cifar100", "allcnn")
    times = curves([21.0, 24.0, 22.0])
    item = against(found.published, found.comparison, None, times)[-1]
    assert (item.measure, item.printed, item.reached) == ("epochs_to_threshold", 23, 3)
    interval = stats.ttest_1samp([21, 24, 22], 0).confidence_interval()
    assert (item.measured.low, item.measured.high) == pytest.approx((interval.low, interval.high))
    late = times.assign(reached=[True, True, False])
    item = against(found.published, found.comparison, None, late)[-1]
    assert np.isnan(item.measured.value)
    assert (item.reached, item.ended, item.inside_run) == (2, 3, None)


def test_the_printed_gap_is_the_golden_one_and_only_of_one_table() -> None:
    found = findings_of(table3(), Options())[0]
    sizes = found.comparison.common_batch_sizes
    gap = printed_gap(found.published, "groupnorm", "assocnorm", sizes)
    assert gap == pytest.approx(7.213 - 6.706, abs=1e-3)
    assert printed_gap(found.published, "layernorm", "assocnorm", sizes) is None
    assert printed_gap(found.published, "groupnorm", "assocnorm", (64, 3)) is None


def test_the_report_speaks_of_printed_gaps_only_of_the_same_data_and_norms(tmp_path: Path) -> None:
    cells = {("assocnorm", 64): 6.1, ("instancenorm", 64): 7.1}
    same = measured(tmp_path, cells, "cifar10", "resnet101")
    assert any("instancenorm (+0.35)" in line for line in power(same))
    other = measured(tmp_path, cells, "cifar100", "nin")
    assert not any("printed" in line or "published" in line for line in power(other))


def test_each_paper_is_held_against_its_own_protocol() -> None:
    settings = pd.DataFrame(
        {
            "model.name": "allcnn",
            "train.epochs": "90",
            "train.optimizer.weight_decay": "0.0005",
            "train.schedule.milestones": ["[64]", "[26, 52]", "[26, 52]"],
        }
    )
    unlike, silent = protocol_lines("renorm_debias", settings, pd.Series([128, 10, 5]))
    assert unlike == (
        "Not as printed there: train.epochs 90 (printed: about 100); train.schedule.milestones "
        "[26, 52] at batch sizes 10 and 5 (printed: [26, 52, 78])."
    )
    assert silent == "Not printed there: train.optimizer.weight_decay (here 0.0005)."
    (unlike,) = protocol_lines("assocnorm", settings, pd.Series([128, 10, 5]))
    assert "model.name allcnn (printed: resnet101)" in unlike


def test_the_page_has_the_figure_with_its_source(tmp_path: Path) -> None:
    trials = table3()
    (section,) = page(trials, findings_of(trials, Options())).sections
    (drawn,) = [drawn for drawn in section.figures if drawn.stem == "published"]
    assert "Printed in: AssocNorm (2019), Table 1, resnet101; " in drawn.caption

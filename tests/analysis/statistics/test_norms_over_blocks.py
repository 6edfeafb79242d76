"""Each norm against the reference over several data sets and networks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_table import trials_of

from analysis.findings import compute_findings
from analysis.options import ReportOptions
from analysis.reporting.page import build_page
from analysis.reporting.write_report import render_report
from analysis.schema import Results
from analysis.statistics.across_blocks import estimate_random_effects
from analysis.statistics.comparison import build_comparisons
from analysis.statistics.norms_over_blocks import compare_over_blocks

HEADER = "norm,batch_size,seed,test_error,outcome,chance_error,dataset,model,num_test,variant"


def blocks_of(tmp_path: Path, effects: list[float], variants: tuple[str, ...] = ("",)) -> Results:
    """A table of `len(effects)` data sets in which gn's error lies above bn's by so much."""
    rng = np.random.default_rng(0)
    rows = [
        f"{norm},{size},{seed},{error:.4f},completed,90,data{place:02},cnn,360,{variant}"
        for place, effect in enumerate(effects)
        for variant in variants
        for size in (64, 2)
        for seed in range(3)
        for norm, error in (
            ("bn", 10 + rng.normal(0, 0.1)),
            ("gn", 10 + effect + rng.normal(0, 0.1)),
            ("dead", 90.0),
        )
    ]
    return trials_of(tmp_path, rows, HEADER)


def test_the_effect_is_the_random_effects_estimate_of_the_blocks(tmp_path: Path) -> None:
    comparisons = build_comparisons(blocks_of(tmp_path, [1.0, 2.0, 1.5, 0.5]))
    (found,) = compare_over_blocks(comparisons)
    gaps = [next(g for g in c.declared_contrasts if g.norm == "gn") for c in comparisons]
    paired = [gap.difference.paired for gap in gaps]
    expected = estimate_random_effects(
        [mean.value for mean in paired], [mean.sd / np.sqrt(mean.num) for mean in paired]
    )
    assert (found.norm, found.reference) == ("gn", "bn")  # and not "dead", which learns nothing
    assert dataclasses.asdict(found.effect) == pytest.approx(dataclasses.asdict(expected))
    assert found.p_adjusted == pytest.approx(expected.p)
    assert np.isnan(found.interquartile_mean)
    assert found.profile == ()


def test_the_section_is_absent_below_three_blocks(tmp_path: Path) -> None:
    for effects, title in (([1.0, 2.0], False), ([1.0, 2.0, 1.5], True)):
        results = blocks_of(tmp_path, effects)
        findings = compute_findings(results, ReportOptions())
        labels = [section.label for section in build_page(results, findings).sections]
        assert ("Each norm over data sets and networks" in labels) == title


def test_variants_of_one_data_set_are_one_block(tmp_path: Path) -> None:
    variants = ("lr=0.1", "lr=0.2", "lr=0.4")
    assert compare_over_blocks(build_comparisons(blocks_of(tmp_path, [1.0], variants))) == ()
    (found,) = compare_over_blocks(
        build_comparisons(blocks_of(tmp_path, [1.0, 2.0, 1.5], variants))
    )
    assert found.effect.num_blocks == 3
    assert found.effect.value == pytest.approx(1.5, abs=0.2)


def test_from_ten_blocks_on_there_are_the_interquartile_mean_and_the_profile(
    tmp_path: Path,
) -> None:
    effects = [0.3, -0.3, 0.7, 1.5, 3.0, 9.0, 0.4, 0.2, 1.2, -2.0]
    results = blocks_of(tmp_path, effects)
    found = compute_findings(results, ReportOptions())
    (gn,) = compare_over_blocks([item.comparison for item in found])
    assert gn.interquartile_mean == pytest.approx(np.mean(sorted(effects)[2:-2]), abs=0.1)
    assert gn.profile == pytest.approx([0.2, 0.5, 0.6, 0.8, 0.9])  # within 0, .5, 1, 2, 5 points
    files = render_report(results, found)
    assert b"interquartile mean" in files["report.md"]
    assert json.loads(files["report.json"])["over_blocks"][0]["blocks"] == 10
    (tmp_path / "over.csv").write_bytes(files["tables/over_blocks.csv"])
    (row,) = pd.read_csv(tmp_path / "over.csv").to_dict("records")
    assert row["within_0.5"] == 0.5

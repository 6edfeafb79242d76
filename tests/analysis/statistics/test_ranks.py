"""Ranks over data sets and networks: Friedman's and Wilcoxon's own numbers, and the groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.figures import critical_difference
from analysis.reporting.write_report import report
from analysis.sources.load_results import load_results
from analysis.statistics.comparison import Comparison, build_comparisons
from analysis.statistics.ranks import Ranks, rank_norms, tabulate_blocks

LEVELS = {"a": 6.0, "b": 6.02, "c": 8.0, "d": 9.0}


def write_csv(path: Path, num_blocks: int) -> Path:
    rng = np.random.default_rng(0)
    lines = ["norm,batch_size,seed,test_error,dataset,model"]
    for block in range(num_blocks):
        for norm, level in LEVELS.items():
            error = level + block + rng.normal(0, 0.1)
            lines.append(f"{norm},4,0,{error:.4f},data{block % 4},model{block // 4}")
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, ...]:
    return build_comparisons(
        load_results(write_csv(tmp_path_factory.mktemp("blocks") / "many.csv", 9))
    )


def test_ranks_are_friedmans_and_groups_are_wilcoxons(found: tuple[Comparison, ...]) -> None:
    ranks, table = rank_norms(found), tabulate_blocks(found)
    assert ranks is not None
    assert ranks.num_blocks == 9
    assert ranks.p == pytest.approx(stats.friedmanchisquare(*table.T.to_numpy()).pvalue)
    assert ranks.mean == pytest.approx(table.rank(axis=1).mean().to_dict())
    assert ranks.groups == (("a", "b"),)
    assert stats.wilcoxon(table["a"], table["b"]).pvalue > 0.05
    assert stats.wilcoxon(table["c"], table["d"]).pvalue * 6 < 0.05


def test_too_few_blocks_give_no_ranks(found: tuple[Comparison, ...]) -> None:
    assert rank_norms(found[:5]) is None


@pytest.mark.parametrize("num_blocks", [6, 7, 8])
def test_the_smallest_p_is_wilcoxons_where_one_norm_always_wins(num_blocks: int) -> None:
    alone = stats.wilcoxon(np.arange(1.0, num_blocks + 1)).pvalue
    ranks = Ranks(dict.fromkeys("abcd", 2.5), 0.01, (), num_blocks)
    assert ranks.smallest_p == pytest.approx(6 * alone)
    assert (ranks.smallest_p < 0.05) == (num_blocks == 8)


def test_every_norm_is_in_the_diagram_at_its_rank(found: tuple[Comparison, ...]) -> None:
    ranks = rank_norms(found)
    assert ranks is not None
    texts = " ".join(text.get_text() for text in critical_difference.draw(ranks).axes[0].texts)
    for norm, mean in ranks.mean.items():
        assert norm in texts
        assert f"{mean:.2f}" in texts


@pytest.mark.slow
def test_the_report_begins_with_the_ranks(tmp_path: Path) -> None:
    page = report(load_results(write_csv(tmp_path / "many.csv", 6)), tmp_path / "out")
    text = page.with_suffix(".md").read_text()
    assert "Not distinguishable: " in text.split("## ")[1]
    assert "are too few to set any of 6 pairs of norms apart" in text.split("## ")[1]
    assert (tmp_path / "out" / "figures" / "critical-difference.svg").is_file()

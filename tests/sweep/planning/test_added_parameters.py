from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.console import Console
from small_grids import factors, load
from users_module import MINE, MODEL

from sweep.display.tables import print_parameters
from sweep.errors import RefusedError
from sweep.planning.added_parameters import count_added_parameters

NORMS = factors(norm=["batchnorm", "groupnorm", "assocnorm"], batch_size=[16, 8])
# resnet8 of width 4 has norms over 4, 4, 4, 8, 8, 8, 16, 16 and 16 channels. AssocNorm adds
# 3 N M parameters to each, with N = gcd(32, C) groups and M = 2 hidden units.
ADDED = 3 * 2 * (3 * 4 + 3 * 8 + 3 * 16)


def test_each_norm_is_counted_once_and_held_against_the_reference() -> None:
    rows = count_added_parameters(load(**NORMS, reference="batchnorm"))
    assert [(row.model, row.norm) for row in rows] == [
        ("resnet8, width 4", norm) for norm in ("batchnorm", "groupnorm", "assocnorm")
    ]
    assert [row.added for row in rows] == [0, 0, ADDED]
    assert rows[2].percent == pytest.approx(100 * ADDED / rows[0].num_parameters)


def test_the_first_norm_is_the_reference_where_the_grid_has_none() -> None:
    grid = load(**factors(norm=["assocnorm", "batchnorm"]), reference=None)
    assert [row.added for row in count_added_parameters(grid)] == [0, -ADDED]


def test_a_model_without_the_reference_is_refused() -> None:
    models = factors(**{"model.name": ["resnet8", "allcnn"]})
    exclude = [{"norm": "batchnorm", "model.name": "allcnn"}]
    grid = load(**models, model={}, exclude=exclude, reference="batchnorm")
    with pytest.raises(RefusedError, match="allcnn, width 96 stands there without batchnorm"):
        count_added_parameters(grid)


def test_models_of_ones_own_are_told_apart_by_their_options() -> None:
    Path("mine.py").write_text(MINE)
    rows = count_added_parameters(load(**factors(**{"model.options.width": [4, 6]}), model=MODEL))
    counts = {row.model: row.num_parameters for row in rows if row.norm == "batchnorm"}
    # A 3x3 convolution of one channel with a bias, scale and shift, ten classes.
    assert counts == {
        f"mine:net, width {n}, slope 0.5": 10 * n + 2 * n + 10 * n + 10 for n in (4, 6)
    }


def test_a_row_says_what_is_added_in_numbers_and_percent() -> None:
    console = Console(width=100)
    with console.capture() as capture:
        print_parameters(console, count_added_parameters(load(**NORMS, reference="batchnorm")))
    head, line = (row.rstrip() for row in capture.get().splitlines())
    assert head.split() == ["parameters", "batchnorm", "groupnorm", "assocnorm"]
    numbers = r"resnet8, width 4 +[\d,]+ +\+0  \+0\.00 % +\+504  \+\d+\.\d\d %"
    assert re.fullmatch(numbers, line)

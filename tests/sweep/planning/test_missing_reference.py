from __future__ import annotations

from small_grids import factors, load

from sweep.planning.missing_reference import missing_reference_warnings


def test_a_reference_left_out_at_a_batch_size_is_named_with_it() -> None:
    crossed = factors(batch_size=[16, 8, 4], norm=["batchnorm", "groupnorm", "layernorm"])
    assert missing_reference_warnings(load(reference="batchnorm", **crossed)) == []
    exclude = [{"norm": "batchnorm", "batch_size": [4, 8]}]
    assert missing_reference_warnings(load(exclude=exclude, **crossed)) == []
    (line,) = missing_reference_warnings(load(reference="batchnorm", exclude=exclude, **crossed))
    assert line == (
        "the reference batchnorm has no trial at batch size 8, 4: nothing is compared with it there"
    )
    others = [{"norm": ["groupnorm", "layernorm"], "batch_size": 4}]
    assert missing_reference_warnings(load(reference="batchnorm", exclude=others, **crossed)) == []

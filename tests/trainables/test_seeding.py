import hashlib
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trial_specs import shrink_trial

from trainables.seeding import (
    SeededGlobalRng,
    derive_seed,
    derive_stream_seed,
    seeded_generator,
)
from trainables.spec_class import Seeding


@given(seed=st.integers(0, 2**40), epoch=st.integers(1, 1000))
def test_derive_is_the_upper_63_bits_of_a_digest(seed: int, epoch: int) -> None:
    digest = hashlib.sha256(f"{seed}/order/{epoch}".encode()).hexdigest()
    assert derive_seed(seed, "order", epoch) == int(digest[:16], 16) // 2 < 2**63


@given(seed=st.integers(0, 2**63 - 1), batch_size=st.integers(1, 2**20))
def test_the_stream_seed_per_seed_is_the_seed(seed: int, batch_size: int) -> None:
    spec = shrink_trial(seed=seed, batch_size=batch_size)
    assert spec.seeding == "per_seed"
    assert derive_stream_seed(spec) == seed


def test_the_stream_seed_per_cell_is_a_digest_of_seed_and_batch_size() -> None:
    spec = replace(shrink_trial(seed=3, batch_size=16), seeding="per_cell")
    digest = hashlib.sha256(b"3/batch_size/16").hexdigest()
    assert derive_stream_seed(spec) == int(digest[:16], 16) // 2 < 2**63


@pytest.mark.parametrize(("seeding", "num_expected"), [("per_cell", 9), ("per_seed", 3)])
def test_only_seed_and_batch_size_decide_the_stream_seed(
    seeding: Seeding, num_expected: int
) -> None:
    found = {
        derive_stream_seed(
            replace(shrink_trial(norm, seed=seed, batch_size=size, epochs=epochs), seeding=seeding)
        )
        for norm, epochs in (("batchnorm", 2), ("groupnorm", 3))
        for seed in (0, 1, 11)
        for size in (1, 11, 111)
    }
    assert len(found) == num_expected


def test_places_are_told_apart() -> None:
    places = [(s, n, e) for s in (0, 1, 11) for n in ("order", "augment") for e in (1, 11, 111)]
    assert len({derive_seed(*place) for place in places}) == len(places)  # type: ignore[arg-type]


def test_a_generator_starts_where_its_place_is() -> None:
    first = torch.rand(5, generator=seeded_generator(3, "init", "conv1"))
    torch.rand(7)
    assert torch.equal(first, torch.rand(5, generator=seeded_generator(3, "init", "conv1")))
    assert not torch.equal(first, torch.rand(5, generator=seeded_generator(3, "init", "conv2")))


def test_a_global_stream_leaves_the_global_generator_as_it_was() -> None:
    before = torch.get_rng_state()
    with SeededGlobalRng(3, "dropout", 1):
        drawn = torch.rand(5)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(drawn, torch.rand(5, generator=seeded_generator(3, "dropout", 1)))


def test_a_global_stream_ends_after_an_error_too() -> None:
    before = torch.get_rng_state()
    with pytest.raises(KeyError), SeededGlobalRng(3, "dropout", 1):
        raise KeyError(torch.rand(5))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_global_stream_goes_on_where_it_was_left() -> None:
    with SeededGlobalRng(3, "dropout", 1):
        whole = torch.rand(10)
    stream = SeededGlobalRng(3, "dropout", 1)
    with stream:
        first = torch.rand(4)
    torch.rand(7)
    elsewhere = SeededGlobalRng(3, "dropout", 1)
    elsewhere.load_state_dict(stream.state_dict())
    for again in (stream, elsewhere):
        with again:
            assert torch.equal(torch.cat([first, torch.rand(6)]), whole)

"""The levels that a grid crosses: norms with their options, batch sizes, seeds, other fields."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sweep.grid.field_names import REQUIRED_FACTORS, is_settable, settable_names
from sweep.grid.layout import MAX_SEEDS, NumSeeds, SeedsUntilDecided
from sweep.grid.norm_levels import NormLevel, complete_norm, full_label, label_norms
from sweep.grid.seed_looks import read_seed_looks
from sweep.grid.validation_messages import format_value, suggest_dotted_name, suggest_field
from sweep.grid.variant import Variant
from sweep.grid.yaml_source import Loc, Source
from trainables.spec import NormSpec
from trainables.spec_class import Count, Seed

_ABSENT = object()
"""Stands for a level that is wrong, which has been reported."""


@dataclass(frozen=True)
class Factors:
    """Each factor's levels, in the order in which the grid lists them.

    Attributes:
        norms: the norms, each with its label.
        batch_sizes: the batch sizes.
        seeds: the seeds; where they are trained until contrasts are decided, all that may be.
        seed_looks: how many seeds are trained until contrasts are decided; None for fixed seeds.
        extra_factors: the other factors, each as the dotted name of a field and its levels.
    """

    norms: tuple[NormLevel, ...] = ()
    batch_sizes: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()
    extra_factors: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    seed_looks: SeedsUntilDecided | None = None

    @property
    def num_trials(self) -> int:
        """Number of trials that crossing the factors makes, before any is excluded."""
        extra = (levels for _, levels in self.extra_factors)
        return math.prod(map(len, (self.norms, self.batch_sizes, self.seeds, *extra)))

    def cross(self) -> Iterator[Combination]:
        """Yield every combination of levels, all of one seed before the next."""
        names = [name for name, _ in self.extra_factors]
        crossed = itertools.product(*(levels for _, levels in self.extra_factors))
        variants = [Variant.of(dict(zip(names, levels, strict=True))) for levels in crossed]
        for seed, norm in itertools.product(self.seeds, self.norms):
            for size, variant in itertools.product(self.batch_sizes, variants):
                yield Combination(norm, size, seed, variant)


@dataclass(frozen=True)
class Combination:
    """One level of each factor: what a trial is made from."""

    norm: NormLevel
    batch_size: int
    seed: int
    variant: Variant

    def level(self, factor: str) -> Any:
        """Return the level of a factor by its name; that of `norm` is the norm's label."""
        if factor == "norm":
            return self.norm.label
        named = {"batch_size": self.batch_size, "seed": self.seed}
        return named[factor] if factor in named else self.variant.get(factor)


def read_factors(source: Source, section: dict[str, Any]) -> Factors:
    """Return the factors of the grid's section `factors`.

    Args:
        source: the grid; what is wrong with the section is added to its problems.
        section: the section as the file has it.
    """
    reader = _FactorsReader(source)
    for name in REQUIRED_FACTORS:
        if name not in section:
            source.add_problem(("factors", name), "is required and missing")
    known = [name for name in section if name in REQUIRED_FACTORS or is_settable(name)]
    for name in section:
        if name not in known:
            names = [*REQUIRED_FACTORS, *settable_names()]
            what = suggest_dotted_name(name, section[name], names)
            what = what or f"unknown factor{suggest_field(name, names, names)}"
            source.add_problem(("factors", name), what)
    seeds, seed_looks = reader.read_seeds(section["seed"]) if "seed" in section else ((), None)
    return Factors(
        norms=reader.read_norms(section["norm"]) if "norm" in section else (),
        batch_sizes=reader.read_numbers("batch_size", section["batch_size"], Count)
        if "batch_size" in section
        else (),
        seeds=seeds,
        seed_looks=seed_looks,
        extra_factors=tuple(
            (name, reader.read_levels(name, levels, lambda _, value: _to_tuple(value)))
            for name, levels in section.items()
            if name in known and name not in REQUIRED_FACTORS
        ),
    )


class _FactorsReader:
    """Reads the lists of levels; what is wrong with a level is added to the source's problems."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def read_levels(
        self, name: str, listed: Any, read: Callable[[Loc, Any], Any]
    ) -> tuple[Any, ...]:
        """Return the distinct levels of a list.

        Args:
            name: the factor's name.
            listed: what the file has under the name. An empty list is wrong, and so is a level
                that is listed twice.
            read: returns a level from its place and its value in the file, or `_ABSENT`.
        """
        loc: Loc = ("factors", name)
        if not isinstance(listed, list):
            self.source.add_problem(loc, f"expected a list of levels, found {format_value(listed)}")
            return ()
        if not listed:
            self.source.add_problem(loc, "expected at least one level, found an empty list")
        levels: list[Any] = []
        for i, item in enumerate(listed):
            level = read((*loc, i), item)
            if level is not _ABSENT and level in levels:
                self.source.add_problem((*loc, i), _describe_repeated(item, level))
            elif level is not _ABSENT:
                levels.append(level)
        return tuple(levels)

    def read_numbers(self, name: str, listed: Any, kind: Any) -> tuple[int, ...]:
        """Return the whole numbers of a list, each within the bounds of the annotated `kind`."""

        def read(loc: Loc, value: Any) -> Any:
            """Return the number if it is valid; else add a problem and return `_ABSENT`."""
            wrong = _describe_wrong_number(value, kind)
            if wrong:
                self.source.add_problem(loc, f"{wrong}, found {format_value(value)}")
            return _ABSENT if wrong else value

        return self.read_levels(name, listed, read)

    def read_seeds(self, listed: Any) -> tuple[tuple[int, ...], SeedsUntilDecided | None]:
        """Return the seeds of a list; a number n stands for the seeds 0 to n - 1.

        Of a mapping `{until: decided, …}` the seeds that may be trained, and the checked mapping.
        """
        if isinstance(listed, list):
            return self.read_numbers("seed", listed, Seed), None
        if isinstance(listed, dict):
            looks = read_seed_looks(self.source, listed)
            return (tuple(range(looks.last)) if looks else ()), looks
        if _describe_wrong_number(listed, NumSeeds):
            what = f"expected a list of seeds, or how many (1 to {MAX_SEEDS})"
            self.source.add_problem(("factors", "seed"), f"{what}, found {format_value(listed)}")
            return (), None
        return tuple(range(listed)), None

    def read_norms(self, listed: Any) -> tuple[NormLevel, ...]:
        """Return the norms of a list, each with its label."""
        return label_norms(self.read_levels("norm", listed, self._read_norm))

    def _read_norm(self, loc: Loc, value: Any) -> Any:
        """Return a norm's spec, complete with defaults, or `_ABSENT` where it is wrong."""
        stated = {"name": value} if isinstance(value, str) else value
        if not isinstance(stated, dict) or not isinstance(stated.get("name"), str):
            what = "expected a norm's name, or {name: …, option: value}"
            self.source.add_problem(loc, f"{what}, found {format_value(value)}")
            return _ABSENT
        name = stated["name"]
        options = {key: item for key, item in stated.items() if key != "name"}
        # An option that is itself called `name` can be written below `options`.
        below = options.pop("options") if isinstance(options.get("options"), dict) else {}
        places: dict[str, Loc] = {key: (*loc, key) for key in options}
        places |= {key: (*loc, "options", key) for key in below}
        spec, wrong = complete_norm(name, {**options, **below})
        for option, what in wrong:
            self.source.add_problem(places[option] if option else loc, what)
        return _ABSENT if spec is None else spec


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[int]:
    """Return the pydantic type adapter of an annotated whole number."""
    return TypeAdapter(kind)


def _describe_wrong_number(value: Any, kind: Any) -> str | None:
    """Return what was expected of a value that is no whole number within the bounds of `kind`."""
    adapter = _adapter(kind)
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError:
        bounds = adapter.json_schema()
        least, most = bounds["minimum"], bounds["maximum"]
        is_too_large = isinstance(value, int) and value > most
        wanted = f"from {least} to {most}" if is_too_large else f">= {least}"
        return f"expected a whole number {wanted}"
    return None


def _describe_repeated(item: Any, level: Any) -> str:
    """Return the message for a level that is listed twice; `item` is the level as written."""
    if isinstance(level, NormSpec) and not isinstance(item, str):
        label = full_label(level)
        options = " with its default options" if label == level.name else ""
        return f"{label}{options} is listed twice"
    return f"listed twice: {item if isinstance(item, list) else format_value(item)}"


def _to_tuple(value: Any) -> Any:
    """Return a list as a tuple, at any depth, so that a level does not change."""
    return tuple(_to_tuple(item) for item in value) if isinstance(value, list) else value

"""The levels that a grid crosses: norms with their options, batch sizes, seeds, further fields."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from normmods.option_values import LARGEST_INT
from sweep.grid.norm_levels import Norm, complete, labelled, own_label
from sweep.grid.validation_messages import dotted_instead, dotted_keys, format_value, meant
from sweep.grid.yaml_source import Loc, Source
from trainables.spec import DataSpec, ModelSpec, NormSpec, TrainSpec

REQUIRED = ("norm", "batch_size", "seed")
MOST_SEEDS = 10_000
SECTIONS: dict[str, type] = {"data": DataSpec, "model": ModelSpec, "train": TrainSpec}
OPTIONS = ("data.options", "model.options")
"""Fields that hold those of a user's own data set or model, each set by a name of its own."""


@dataclass(frozen=True)
class Factors:
    """Each factor's levels, in the order in which the grid lists them."""

    norms: tuple[Norm, ...] = ()
    batch_sizes: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()
    further: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    @property
    def num_trials(self) -> int:
        """How many trials they make, before any is excluded."""
        levels = [self.norms, self.batch_sizes, self.seeds, *(of for _, of in self.further)]
        return math.prod(map(len, levels))

    def cells(self) -> Iterator[tuple[Norm, dict[str, Any]]]:
        """Every norm with the other factors' levels by name, all of one seed before the next."""
        names = ("batch_size", "seed", *(name for name, _ in self.further))
        crossed = [levels for _, levels in self.further]
        for seed, norm, size in itertools.product(self.seeds, self.norms, self.batch_sizes):
            for values in itertools.product(*crossed):
                yield norm, dict(zip(names, (size, seed, *values), strict=True))


def settable() -> list[str]:
    """Dotted names of the fields that a further factor or an override may set."""
    names = [n for section, spec in SECTIONS.items() for n in dotted_keys(spec, f"{section}.")]
    return [name for name in names if name not in OPTIONS]


PLACES = (*(f"factors.{name}" for name in REQUIRED), *settable())
"""Dotted names of the fields that decide what a trial is."""


def is_settable(name: str) -> bool:
    """Whether a further factor or an override may set what has this dotted name."""
    parent, _, option = name.rpartition(".")
    return name in settable() or (parent in OPTIONS and bool(option))


def read_factors(source: Source, given: dict[str, Any]) -> Factors:
    """Read the `factors` section; what is wrong is added to the source's problems."""
    reader = _Reader(source)
    for name in REQUIRED:
        if name not in given:
            reader.complain(("factors", name), "is required and missing")
    known = [name for name in given if name in REQUIRED or is_settable(name)]
    for name in given:
        if name not in known:
            names = [*REQUIRED, *settable()]
            what = dotted_instead(name, given[name], names)
            reader.complain(("factors", name), what or f"unknown factor{meant(name, names, names)}")
    return Factors(
        norms=reader.norms(given["norm"]) if "norm" in given else (),
        batch_sizes=reader.counts("batch_size", given["batch_size"], least=1)
        if "batch_size" in given
        else (),
        seeds=reader.seeds(given["seed"]) if "seed" in given else (),
        further=tuple(
            (name, reader.levels(name, levels, lambda _, value: _frozen(value)))
            for name, levels in given.items()
            if name in known and name not in REQUIRED
        ),
    )


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source

    def complain(self, loc: Loc, what: str) -> None:
        self.source.problems.append(self.source.problem(loc, what))

    def levels(self, name: str, given: Any, read: Callable[[Loc, Any], Any]) -> tuple[Any, ...]:
        """The distinct levels of a list; an empty list, or a level given twice, is a problem."""
        loc: Loc = ("factors", name)
        if not isinstance(given, list):
            self.complain(loc, f"expected a list of levels, found {format_value(given)}")
            return ()
        if not given:
            self.complain(loc, "expected at least one level, found an empty list")
        levels: list[Any] = []
        for i, item in enumerate(given):
            level = read((*loc, i), item)
            if level is not _ABSENT and level in levels:
                self.complain((*loc, i), _listed_twice(item, level))
            elif level is not _ABSENT:
                levels.append(level)
        return tuple(levels)

    def counts(self, name: str, given: Any, least: int) -> tuple[int, ...]:
        def read(loc: Loc, value: Any) -> Any:
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            if not is_whole or not least <= value <= LARGEST_INT:
                bounds = f">= {least}" if not is_whole or value < least else _UP_TO.format(least)
                self.complain(loc, f"expected a whole number {bounds}, found {format_value(value)}")
                return _ABSENT
            return value

        return self.levels(name, given, read)

    def seeds(self, given: Any) -> tuple[int, ...]:
        """A list of seeds, or how many: `3` is `[0, 1, 2]`."""
        if isinstance(given, list):
            return self.counts("seed", given, least=0)
        if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MOST_SEEDS:
            found = format_value(given)
            what = f"expected a list of seeds, or how many (1 to {MOST_SEEDS}), found {found}"
            self.complain(("factors", "seed"), what)
            return ()
        return tuple(range(given))

    def norms(self, given: Any) -> tuple[Norm, ...]:
        return labelled(self.levels("norm", given, self.norm))

    def norm(self, loc: Loc, value: Any) -> Any:
        """The level's spec, complete with defaults, or `_ABSENT` after a complaint."""
        given = {"name": value} if isinstance(value, str) else value
        if not isinstance(given, dict) or not isinstance(given.get("name"), str):
            what = "expected a norm's name, or {name: …, option: value}"
            self.complain(loc, f"{what}, found {format_value(value)}")
            return _ABSENT
        name = given["name"]
        options = {key: item for key, item in given.items() if key != "name"}
        # The way to an option that is called `name`.
        within = options.pop("options") if isinstance(options.get("options"), dict) else {}
        places: dict[str, Loc] = {key: (*loc, key) for key in options}
        places |= {key: (*loc, "options", key) for key in within}
        spec, wrong = complete(name, {**options, **within})
        for option, what in wrong:
            self.complain(places[option] if option else loc, what)
        return _ABSENT if spec is None else spec


def _listed_twice(item: Any, level: Any) -> str:
    if isinstance(level, NormSpec) and not isinstance(item, str):
        label = own_label(level)
        options = " with its default options" if label == level.name else ""
        return f"{label}{options} is listed twice"
    return f"listed twice: {item if isinstance(item, list) else format_value(item)}"


_ABSENT = object()
_UP_TO = f"from {{}} to {LARGEST_INT}"


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value

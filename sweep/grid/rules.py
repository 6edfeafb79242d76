"""Overrides and exclusions: which levels a rule names, and the fields that it sets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.errors import suggest_nearest
from sweep.grid.factors import REQUIRED, Factors, is_settable, settable
from sweep.grid.norm_levels import Norm, complete, not_settable
from sweep.grid.validation_messages import dotted_instead, format_value, meant
from sweep.grid.yaml_source import Loc, Source

Fields = dict[str, Any]
NORM_OPTION = "norm."
"""Before the name of a norm's option that an override sets."""


@dataclass(frozen=True)
class Rule:
    """An override or an exclusion.

    Attributes:
        loc: its place in the grid.
        when: what it says, a level or a list of levels by factor.
        levels: the levels that this means, by factor; those of `norm` are labels.
        set: the fields that an override sets, by dotted name.
    """

    loc: Loc
    when: Fields
    levels: Mapping[str, frozenset[Any]]
    set: Fields = field(default_factory=dict)

    def matches(self, norm: Norm, levels: Fields) -> bool:
        """Whether a trial of these levels is one that the rule names."""
        return all(
            (norm.label if name == "norm" else key_of(levels.get(name))) in wanted
            for name, wanted in self.levels.items()
        )

    @property
    def fields(self) -> Fields:
        """What is set but for the norm's options."""
        return {k: v for k, v in self.set.items() if not k.startswith(NORM_OPTION)}

    @property
    def norm_options(self) -> Fields:
        """The norm's options that are set, by their own names."""
        return {
            k.removeprefix(NORM_OPTION): v for k, v in self.set.items() if k.startswith(NORM_OPTION)
        }


class RuleReader:
    """Reads the rules of a grid; what is wrong with one is a problem of the source.

    Attributes:
        warnings: a line for each level of a list that is none, where the list's others are.
        notes: a line for each name that has two meanings, with the one that it is taken for.
    """

    def __init__(self, source: Source, factors: Factors) -> None:
        self.source = source
        self.factors = factors
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.further = dict(factors.further)

    def rules(self, section: str) -> Iterator[Rule]:
        """The well-formed rules of a section."""
        given = self.source.data.get(section)
        is_override = section == "overrides"
        for i, item in enumerate(given if isinstance(given, list) else []):
            loc: Loc = (section, i)
            when = item.get("when") if is_override and isinstance(item, dict) else item
            fields = item.get("set", {}) if is_override and isinstance(item, dict) else {}
            if not isinstance(when, dict) or not isinstance(fields, dict):
                continue  # the layout's own complaint
            when_loc = (*loc, "when") if is_override else loc
            if self._names_are_known(when, when_loc, fields, loc):
                levels = {name: self._levels(name, when[name], when_loc) for name in when}
                rule = Rule(loc, when, levels, fields)
                self._check_norm_options(rule)
                yield rule

    def _item(self, loc: Loc) -> Fields:
        """The rule as the grid has it."""
        item = self.source.data[loc[0]][loc[1]]
        return item if loc[0] == "overrides" else {}

    def _names_are_known(self, when: Fields, when_loc: Loc, fields: Fields, loc: Loc) -> bool:
        factors = [*REQUIRED, *self.further]
        unknown = [(when_loc, name, factors) for name in when if name not in factors]
        unknown += [
            ((*loc, "set"), name, settable())
            for name in fields
            if name in self.further or not (is_settable(name) or _is_norm_option(name))
        ]
        for place, name, known in unknown:
            is_set = place == (*loc, "set")
            what = dotted_instead(name, fields.get(name), known) if is_set else None
            if name == "norm" and is_set:
                near = "; list norms under factors.norm; norm.momentum sets an option of one"
                what = f"unknown name{near}"
            elif name in factors and is_set:
                why = "" if name in REQUIRED else ", since the label states it"
                what = f"is a factor and cannot be set{why}"
                what += f"; list it under factors.{name}, or use `when`"
            self._complain((*place, name), what or f"unknown name{meant(name, known, known)}")
        if fields == {} and "set" in self._item(loc):
            self._complain((*loc, "set"), "expected a field to set, found an empty mapping")
        return not unknown

    def _levels(self, name: str, wanted: Any, when_loc: Loc) -> frozenset[Any]:
        """The levels that a rule means by a level or a list; each that is none is a problem."""
        listed = wanted if isinstance(wanted, list) and not self._is_a_level(name, wanted) else None
        if listed == []:
            self._complain((*when_loc, name), "expected a level, or a list, found an empty list")
        found: set[Any] = set()
        none: list[tuple[Loc, Any]] = []
        for i, level in enumerate([wanted] if listed is None else listed):
            place = (*when_loc, name) if listed is None else (*when_loc, name, i)
            before = len(self.source.problems)
            of_level = self._norms(level, place) if name == "norm" else {key_of(level)}
            if len(self.source.problems) > before:
                continue  # why the level cannot be one has been said
            if not of_level & self._known(name) and self.is_complete(name):
                none.append((place, level))
            found |= of_level
        for place, level in none:
            if name == "norm" or not found & self._known(name):
                self._complain(place, self._no_such(name, level))
            else:
                self.warnings.append(f"{self._place(place)}: {self._no_such(name, level)}")
        return frozenset(found)

    def _is_a_level(self, name: str, value: Any) -> bool:
        """Whether a list is itself a level of the factor, as milestones are."""
        return name in self.further and key_of(value) in self._known(name)

    def _known(self, name: str) -> set[Any]:
        factors = self.factors
        if name == "norm":
            return {norm.label for norm in factors.norms}
        of = {"batch_size": factors.batch_sizes, "seed": factors.seeds}.get(name)
        return {key_of(level) for level in (self.further[name] if of is None else of)}

    def is_complete(self, name: str) -> bool:
        """Whether the factor's levels are those of the file, all of them right.

        A command may have replaced them: that leaves rules which name no level any more.
        """
        place = f"factors.{name}"
        wrong = any(p.where.startswith(place) or p.where == "factors" for p in self.source.problems)
        return not wrong and name not in self.source.replaced_factors

    def _no_such(self, name: str, level: Any) -> str:
        if name == "norm":
            labels = [norm.label for norm in self.factors.norms]
            near = suggest_nearest(str(level), labels) if isinstance(level, str) else ""
            listed = "" if near.startswith("; known") else f" (they are {', '.join(labels)})"
            text = format_level(level) if isinstance(level, dict) else format_value(level)
            return f"no norm of this grid is called {text}{near}{listed}"
        levels = {"batch_size": self.factors.batch_sizes, "seed": self.factors.seeds}.get(name)
        known = ", ".join(map(format_value, self.further[name] if levels is None else levels))
        return f"no level of {name} is {format_value(level)}; its levels are {known}"

    def _norms(self, level: Any, loc: Loc) -> set[str]:
        """Labels that a rule means: a label, `{name: …, option: value}`, or a name of several."""
        norms = self.factors.norms
        if isinstance(level, dict) and isinstance(level.get("name"), str):
            options = {key: value for key, value in level.items() if key != "name"}
            spec, wrong = complete(level["name"], options)
            for option, what in wrong:
                self._complain((*loc, option) if option else loc, what)
            return {norm.label for norm in norms if norm.spec == spec}
        if not isinstance(level, str):
            return set()
        family = [norm.label for norm in norms if norm.spec.name == level]
        if level not in {norm.label for norm in norms}:
            return set(family)
        others = [label for label in family if label != level]
        if others:
            self.notes.append(
                f"{self._place(loc)}: {level} is the norm with default options alone, and does "
                f"not mean {' or '.join(others)}"
            )
        return {level}

    def _check_norm_options(self, rule: Rule) -> None:
        """Complain of an option that a norm which the rule names does not have, or not so."""
        named = [n for n in self.factors.norms if n.label in rule.levels.get("norm", {n.label})]
        for option, value in rule.norm_options.items():
            found = {norm.label: not_settable(norm, option, value) for norm in named}
            wrong = dict.fromkeys(what for what in found.values() if what)
            fits = [label for label, what in found.items() if what is None]
            for what in wrong:
                hint = f"; name the norms that have it: when: {{norm: [{', '.join(fits)}], …}}"
                hint = hint if fits and "has no option" in what else ""
                place = (*rule.loc, "set", f"{NORM_OPTION}{option}")
                self._complain(place, f"{what}{hint}")

    def _place(self, loc: Loc) -> str:
        return self.source.problem(loc, "").where

    def _complain(self, loc: Loc, what: str) -> None:
        self.source.problems.append(self.source.problem(loc, what))


def _is_norm_option(name: str) -> bool:
    return name.startswith(NORM_OPTION) and name.removeprefix(NORM_OPTION).isidentifier()


def norm_option_notes(overrides: Iterable[Rule], factors: Factors) -> Iterator[str]:
    """A line for each norm of which an override sets options: it stays one norm, by its label."""
    for rule in overrides:
        if not rule.norm_options:
            continue
        wanted = rule.levels.get("norm")
        norms = [n.label for n in factors.norms if wanted is None or n.label in wanted]
        where = ", ".join(f"{k} {show_level(v)}" for k, v in rule.when.items() if k != "norm")
        what = ", ".join(f"{key}={value}" for key, value in rule.norm_options.items())
        yield (
            f"{' and '.join(norms)} {'has' if len(norms) == 1 else 'have'} {what} "
            f"{f'at {where}' if where else 'everywhere'}, and the label stays: results of all "
            f"levels are compared as those of one norm"
        )


def format_level(value: Any) -> str:
    """A level as labels show it: `0.1`, `null`, `150/250`."""
    if isinstance(value, list | tuple):
        return "/".join(format_level(item) for item in value)
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def show_level(value: Any) -> str:
    """A level, or a list of levels, as a sentence shows it."""
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)


def key_of(value: Any) -> Any:
    """Something hashable that equals another value's exactly if the values are equal."""
    if isinstance(value, dict):
        return frozenset((key, key_of(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(key_of(item) for item in value)
    return (type(value).__name__, value) if isinstance(value, bool | str) else value

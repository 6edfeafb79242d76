"""Overrides and exclusions: which levels a rule names, and the fields that it sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.errors import suggest_nearest
from sweep.grid.factors import Combination, Factors
from sweep.grid.field_names import REQUIRED_FACTORS, is_settable, settable_names
from sweep.grid.norm_levels import NormLevel, complete_norm, find_override_error
from sweep.grid.validation_messages import format_value, suggest_dotted_name, suggest_field
from sweep.grid.variant import format_level, level_key
from sweep.grid.yaml_source import Loc, Source, format_location

Fields = dict[str, Any]
NORM_OPTION = "norm."
"""Before the name of a norm's option that an override sets."""


@dataclass(frozen=True)
class Rule:
    """An override or an exclusion.

    Attributes:
        loc: its place in the grid.
        when: what the file says, a level or a list of levels by factor.
        levels: the levels that the rule names, by factor; those of `norm` are labels, the others
            keys as `level_key` makes them.
        set: the fields that an override sets, by dotted name.
    """

    loc: Loc
    when: Fields
    levels: Mapping[str, frozenset[Any]]
    set: Fields = field(default_factory=dict)

    def matches(self, combination: Combination) -> bool:
        """Return whether the rule names the trial of this combination of levels."""
        return all(
            (combination.norm.label if name == "norm" else level_key(combination.level(name)))
            in named
            for name, named in self.levels.items()
        )

    @property
    def fields(self) -> Fields:
        """The fields that are set, without the norm's options."""
        return {k: v for k, v in self.set.items() if not k.startswith(NORM_OPTION)}

    @property
    def norm_options(self) -> Fields:
        """The norm's options that are set, by their own names."""
        return {
            k.removeprefix(NORM_OPTION): v for k, v in self.set.items() if k.startswith(NORM_OPTION)
        }


class RuleReader:
    """Reads the rules of a grid; what is wrong with one is added to the grid's problems.

    Attributes:
        warnings: a line for each level in a rule's list that no factor has, where the factor has
            other levels of the list.
        notes: a line for each name of a norm that has two meanings, with the one that is used.
    """

    def __init__(self, source: Source, factors: Factors) -> None:
        self.source = source
        self.factors = factors
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.extra_factors = dict(factors.extra_factors)

    def read_rules(self, section: str) -> Iterator[Rule]:
        """Yield the rules of `overrides` or `exclude` that name factors and fields which exist."""
        listed = self.source.data.get(section)
        is_override = section == "overrides"
        for i, item in enumerate(listed if isinstance(listed, list) else []):
            loc: Loc = (section, i)
            when = item.get("when") if is_override and isinstance(item, dict) else item
            fields = item.get("set", {}) if is_override and isinstance(item, dict) else {}
            if not isinstance(when, dict) or not isinstance(fields, dict):
                continue  # pydantic's finding, which has been added
            when_loc = (*loc, "when") if is_override else loc
            if self._has_known_names(when, when_loc, fields, loc):
                levels = {name: self._read_levels(name, when[name], when_loc) for name in when}
                rule = Rule(loc, when, levels, fields)
                self._check_norm_options(rule)
                yield rule

    def _has_known_names(self, when: Fields, when_loc: Loc, fields: Fields, loc: Loc) -> bool:
        """Return whether all names of a rule exist; add a problem for each that does not."""
        factors = [*REQUIRED_FACTORS, *self.extra_factors]
        unknown = [(when_loc, name, factors) for name in when if name not in factors]
        unknown += [
            ((*loc, "set"), name, settable_names())
            for name in fields
            if name in self.extra_factors or not (is_settable(name) or _is_norm_option(name))
        ]
        for place, name, known in unknown:
            is_set = place == (*loc, "set")
            what = suggest_dotted_name(name, fields.get(name), known) if is_set else None
            if name == "norm" and is_set:
                near = "; list norms under factors.norm; norm.momentum sets an option of one"
                what = f"unknown name{near}"
            elif name in factors and is_set:
                why = "" if name in REQUIRED_FACTORS else ", since the label states it"
                what = f"is a factor and cannot be set{why}"
                what += f"; list it under factors.{name}, or use `when`"
            what = what or f"unknown name{suggest_field(name, known, known)}"
            self.source.add_problem((*place, name), what)
        if fields == {} and "set" in self._override_in_file(loc):
            what = "expected a field to set, found an empty mapping"
            self.source.add_problem((*loc, "set"), what)
        return not unknown

    def _override_in_file(self, loc: Loc) -> Fields:
        """Return an override's mapping from the file; an empty mapping for an exclusion."""
        item = self.source.data[loc[0]][loc[1]]
        return item if loc[0] == "overrides" else {}

    def _read_levels(self, name: str, stated: Any, when_loc: Loc) -> frozenset[Any]:
        """Return the levels of a factor that a rule names by a level or by a list of levels."""
        is_list = isinstance(stated, list) and not self._is_a_level(name, stated)
        if is_list and not stated:
            what = "expected a level, or a list, found an empty list"
            self.source.add_problem((*when_loc, name), what)
        found: set[Any] = set()
        unknown: list[tuple[Loc, Any]] = []
        for i, level in enumerate(stated if is_list else [stated]):
            place = (*when_loc, name, i) if is_list else (*when_loc, name)
            before = len(self.source.problems)
            named = self._find_norms(level, place) if name == "norm" else {level_key(level)}
            if len(self.source.problems) > before:
                continue  # the problem says why the level cannot be one
            if not named & self._level_keys(name) and self.is_complete(name):
                unknown.append((place, level))
            found |= named
        for place, level in unknown:
            if name == "norm" or not found & self._level_keys(name):
                self.source.add_problem(place, self._describe_unknown_level(name, level))
            else:
                what = self._describe_unknown_level(name, level)
                self.warnings.append(f"{format_location(place)}: {what}")
        return frozenset(found)

    def _is_a_level(self, name: str, value: Any) -> bool:
        """Return whether a list is itself a level of the factor, as milestones are."""
        return name in self.extra_factors and level_key(value) in self._level_keys(name)

    def _levels(self, name: str) -> tuple[Any, ...]:
        """Return the levels of a factor; norms as their labels."""
        if name == "norm":
            return tuple(norm.label for norm in self.factors.norms)
        required = {"batch_size": self.factors.batch_sizes, "seed": self.factors.seeds}
        return required[name] if name in required else self.extra_factors[name]

    def _level_keys(self, name: str) -> set[Any]:
        """Return a factor's levels as `Rule.levels` has them."""
        levels = self._levels(name)
        return set(levels) if name == "norm" else {level_key(level) for level in levels}

    def is_complete(self, name: str) -> bool:
        """Return whether a factor has all levels that the grid's file lists for it.

        It has not if a level is wrong, or if `--set` has replaced the levels: then a rule of the
        file may rightly name a level that the factor does not have.
        """
        place = f"factors.{name}"
        wrong = any(p.where.startswith(place) or p.where == "factors" for p in self.source.problems)
        return not wrong and name not in self.source.replaced_factors

    def _describe_unknown_level(self, name: str, level: Any) -> str:
        """Return the message for a level that a rule names and the factor does not have."""
        if name == "norm":
            labels = [norm.label for norm in self.factors.norms]
            near = suggest_nearest(str(level), labels) if isinstance(level, str) else ""
            listed = "" if near.startswith("; known") else f" (they are {', '.join(labels)})"
            text = format_level(level) if isinstance(level, dict) else format_value(level)
            return f"no norm of this grid is called {text}{near}{listed}"
        known = ", ".join(map(format_value, self._levels(name)))
        return f"no level of {name} is {format_value(level)}; its levels are {known}"

    def _find_norms(self, level: Any, loc: Loc) -> set[str]:
        """Return the labels of the norms that a rule names.

        Args:
            level: a label, `{name: …, option: value}`, or a registered name, which stands for
                every norm of this name unless one has the name as its label.
            loc: the level's place in the grid.
        """
        norms = self.factors.norms
        if isinstance(level, dict) and isinstance(level.get("name"), str):
            options = {key: value for key, value in level.items() if key != "name"}
            spec, wrong = complete_norm(level["name"], options)
            for option, what in wrong:
                self.source.add_problem((*loc, option) if option else loc, what)
            return {norm.label for norm in norms if norm.spec == spec}
        if not isinstance(level, str):
            return set()
        family = [norm.label for norm in norms if norm.spec.name == level]
        if level not in {norm.label for norm in norms}:
            return set(family)
        others = [label for label in family if label != level]
        if others:
            self.notes.append(
                f"{format_location(loc)}: {level} is the norm with default options alone, and does "
                f"not mean {' or '.join(others)}"
            )
        return {level}

    def _check_norm_options(self, rule: Rule) -> None:
        """Add a problem for each option that a norm of the rule lacks or cannot be set to."""
        named = [n for n in self.factors.norms if n.label in rule.levels.get("norm", {n.label})]
        for option, value in rule.norm_options.items():
            found = {norm.label: find_override_error(norm, option, value) for norm in named}
            wrong = dict.fromkeys(what for what in found.values() if what)
            fits = [label for label, what in found.items() if what is None]
            for what in wrong:
                hint = f"; name the norms that have it: when: {{norm: [{', '.join(fits)}], …}}"
                hint = hint if fits and "has no option" in what else ""
                place = (*rule.loc, "set", f"{NORM_OPTION}{option}")
                self.source.add_problem(place, f"{what}{hint}")


def _is_norm_option(name: str) -> bool:
    """Return whether a name is `norm.` and the name of an option."""
    return name.startswith(NORM_OPTION) and name.removeprefix(NORM_OPTION).isidentifier()


def describe_norm_overrides(overrides: Iterable[Rule], norms: Iterable[NormLevel]) -> Iterator[str]:
    """Yield a note for each override that sets options of norms, whose labels stay the same."""
    labels = [norm.label for norm in norms]
    for rule in overrides:
        if not rule.norm_options:
            continue
        named = rule.levels.get("norm", frozenset(labels))
        found = [label for label in labels if label in named]
        where = ", ".join(f"{k} {_format_levels(v)}" for k, v in rule.when.items() if k != "norm")
        what = ", ".join(f"{key}={value}" for key, value in rule.norm_options.items())
        yield (
            f"{' and '.join(found)} {'has' if len(found) == 1 else 'have'} {what} "
            f"{f'at {where}' if where else 'everywhere'}, and the label stays: results of all "
            f"levels are compared as those of one norm"
        )


def _format_levels(value: Any) -> str:
    """Return a level, or a list of levels, as a sentence shows it."""
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)

"""Several sources as one: trials of one protocol are pooled, those of different ones stay apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.errors import AnalysisError
from analysis.schema import Results
from analysis.sources.protocols import (
    BLOCK_COLUMNS,
    Stratum,
    StratumKey,
    group_strata,
    list_differences,
    name_groups,
    split_strata,
)

_ENDED = ("completed", "diverged")
_Value = TypeVar("_Value")


def merge_results(parts: Sequence[Results]) -> Results:
    """Return the trials of several sources as one.

    Strata of one protocol are pooled, a trial that several sources have enters once; others get a
    variant of their own, which names the settings in which they differ, or the sweep.

    Args:
        parts: one or more results. Norms of equal options get the label of the first source.

    Returns:
        The trials of all sources; `notes` says what was pooled, and what not and why.

    Raises:
        AnalysisError: no result is given.

    Examples:
        >>> from analysis import load_results
        >>> columns = ["norm", "batch_size", "seed", "test_error"]
        >>> first = load_results(pd.DataFrame([("bn", 8, 0, 6.0)], columns=columns))
        >>> second = load_results(pd.DataFrame([("gn", 8, 0, 7.0)], columns=columns))
        >>> merge_results([first, second]).trials["norm"].tolist()
        ['bn', 'gn']
    """
    if not parts:
        raise AnalysisError("no source is given")
    if len(parts) == 1:
        return parts[0]
    names = _make_names_unique([part.name for part in parts])
    parts = [_make_ids_unique(part, name) for part, name in zip(parts, names, strict=True)]
    parts = _unify_labels(parts)
    groups = group_strata([s for i, part in enumerate(parts) for s in split_strata(i, part)])
    variants = name_groups(groups, names)
    parts = _give_own_ids_where_apart(
        [_rename_variants(i, part, variants) for i, part in enumerate(parts)]
    )
    trials = pd.concat([part.trials for part in parts], ignore_index=True)
    origin = np.repeat(range(len(parts)), [len(part.trials) for part in parts])
    kept = _select_each_trial_once(trials)
    epochs = [
        part.epochs[part.epochs["trial_id"].isin(set(trials["trial_id"][kept & (origin == i)]))]
        for i, part in enumerate(parts)
    ]
    settings = pd.concat([part.settings for part in parts]).fillna("")
    expected = pd.concat([part.expected for part in parts], ignore_index=True)
    references = list(dict.fromkeys(part.reference for part in parts if part.reference))
    return Results(
        name=" + ".join(names),
        trials=trials[kept].reset_index(drop=True),
        epochs=pd.concat(epochs, ignore_index=True),
        expected=expected.drop_duplicates(ignore_index=True),
        settings=settings[~settings.index.duplicated()].rename_axis("trial_id"),
        has_grid=any(part.has_grid for part in parts),
        made_by_sweep=all(part.made_by_sweep for part in parts),
        untrained=tuple(dict.fromkeys(item for part in parts for item in part.untrained)),
        reference=references[0] if references else None,
        warnings=tuple(dict.fromkeys(line for part in parts for line in part.warnings)),
        notes=(
            *_describe_groups(groups, names),
            *_describe_references(references),
            *dict.fromkeys(line for part in parts for line in part.notes),
        ),
        packages=_join_packages(parts),
        norm_options={key: text for part in parts for key, text in part.norm_options.items()},
        correct={key: bits for part in parts for key, bits in part.correct.items()},
        presets={text: preset for part in parts for text, preset in part.presets.items()},
        looks={name: looks for part in parts for name, looks in part.looks.items()},
    )


def _make_names_unique(names: Sequence[str]) -> list[str]:
    """Return the names with a number after each that occurred before: `small`, `small (2)`."""
    found: list[str] = []
    for name in names:
        number = sum(name == earlier for earlier in names[: len(found)]) + 1
        found.append(f"{name} ({number})" if number > 1 else name)
    return found


def _make_ids_unique(part: Results, name: str) -> Results:
    """Return a table's results with the name in its numbered ids, which another table has too."""
    if part.made_by_sweep:
        return part
    ids = {
        str(old): f"{old} of {name}"
        for old in part.trials["trial_id"]
        if str(old).startswith("row-")
    }
    return _rename_trials(part, ids)


def _rename_trials(part: Results, ids: Mapping[str, str]) -> Results:
    """Return the results with new ids of trials."""
    if not ids:
        return part

    def rename(by_trial: Mapping[str, _Value]) -> dict[str, _Value]:
        """Return a mapping by trial id with the new ids."""
        return {ids.get(key, key): value for key, value in by_trial.items()}

    return replace(
        part,
        trials=part.trials.assign(trial_id=part.trials["trial_id"].replace(dict(ids))),
        epochs=part.epochs.assign(trial_id=part.epochs["trial_id"].replace(dict(ids))),
        settings=part.settings.rename(index=dict(ids)),
        norm_options=rename(part.norm_options),
        correct=rename(part.correct),
    )


def _give_own_ids_where_apart(parts: Sequence[Results]) -> list[Results]:
    """Return the results with new ids for trials that another protocol has too.

    Two protocols may differ at one batch size and share the trials of another: each keeps its own.
    """
    first_stratum: dict[str, tuple[str, ...]] = {}
    found = []
    for part in parts:
        columns = [part.trials[name].astype(str) for name in (*BLOCK_COLUMNS, "variant")]
        renamed = {}
        for trial_id, *stratum in zip(part.trials["trial_id"], *columns, strict=True):
            if first_stratum.setdefault(str(trial_id), tuple(stratum)) != tuple(stratum):
                renamed[str(trial_id)] = f"{trial_id} of {stratum[-1] or part.name}"
        found.append(_rename_trials(part, renamed))
    return found


def _unify_labels(parts: Sequence[Results]) -> list[Results]:
    """Return the results with one label, the first source's, for norms of equal options.

    A grid labels a norm with the options that vary in it, so that two may label one norm
    differently. A label that the source has for another norm is not given twice.
    """
    known: dict[str, str] = {}
    unified = []
    for part in parts:
        options = part.trials["trial_id"].map(dict(part.norm_options))
        by_label = {
            str(label): set(found.dropna()) for label, found in options.groupby(part.trials["norm"])
        }
        renamed = {}
        for label, texts in by_label.items():
            new = known.get(next(iter(texts)), label) if len(texts) == 1 else label
            if new != label and new not in by_label:
                renamed[label] = new
        for label, texts in by_label.items():
            for text in texts:
                known.setdefault(text, renamed.get(label, label))
        unified.append(_rename_norms(part, renamed) if renamed else part)
    return unified


def _rename_norms(part: Results, labels: Mapping[str, str]) -> Results:
    """Return the results with new labels of norms."""

    def rename(frame: pd.DataFrame) -> pd.DataFrame:
        """Return a frame with new labels of norms."""
        return frame.assign(norm=frame["norm"].replace(dict(labels)))

    return replace(
        part,
        trials=rename(part.trials),
        epochs=rename(part.epochs),
        expected=rename(part.expected),
        untrained=tuple(replace(i, norm=labels.get(i.norm, i.norm)) for i in part.untrained),
        reference=labels.get(part.reference, part.reference) if part.reference else None,
    )


def _rename_variants(source: int, part: Results, variants: Mapping[StratumKey, str]) -> Results:
    """Return the results of a source with new variants.

    A variant that has several new ones, for several data sets, is expected under each of them.
    """
    table = part.trials[[*BLOCK_COLUMNS, "variant"]].astype(str)
    new = [variants[source, tuple(row[:-1]), row[-1]] for row in table.itertuples(index=False)]
    by_trial = dict(zip(part.trials["trial_id"], new, strict=True))
    renamed: dict[str, list[str]] = {}
    for old, variant in zip(table["variant"], new, strict=True):
        if variant not in renamed.setdefault(old, []):
            renamed[old].append(variant)
    variants_of_rows = [renamed.get(str(old), [str(old)]) for old in part.expected["variant"]]
    expected = part.expected.assign(variant=pd.Series(variants_of_rows, part.expected.index))
    return replace(
        part,
        trials=part.trials.assign(variant=new),
        epochs=part.epochs.assign(variant=part.epochs["trial_id"].map(by_trial)),
        expected=expected.explode("variant", ignore_index=True),
        untrained=tuple(
            replace(item, variant=variant)
            for item in part.untrained
            for variant in renamed.get(item.variant, [item.variant])
        ),
    )


def _select_each_trial_once(trials: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which rows to keep: of equal trial ids one that ended, with the most epochs."""
    order = trials.assign(
        ended=trials["outcome"].isin(_ENDED), epochs=trials["num_epochs"].fillna(0)
    ).sort_values(["ended", "epochs"], ascending=False, kind="stable")
    kept = order.drop_duplicates("trial_id").index
    chosen: npt.NDArray[np.bool_] = trials.index.isin(kept)
    return chosen


def _join_packages(parts: Sequence[Results]) -> dict[str, str]:
    """Return the versions of each package over all sources."""
    found: dict[str, list[str]] = {}
    for part in parts:
        for name, text in part.packages.items():
            found.setdefault(name, []).extend(text.split(" and "))
    return {name: " and ".join(sorted(set(v))) for name, v in sorted(found.items())}


def _describe_references(references: Sequence[str]) -> list[str]:
    """Return a note where the sources declare different references."""
    if len(references) < 2:
        return []
    return [
        f"The sources declare different references ({', '.join(references)}); all are compared "
        f"with the first. --reference chooses another."
    ]


def _describe_groups(groups: Sequence[Sequence[Stratum]], names: Sequence[str]) -> list[str]:
    """Return notes on the sources that were pooled, and on those that were kept apart and why."""
    pooled = dict.fromkeys(
        " and ".join(names[item.source] for item in group) for group in groups if len(group) > 1
    )
    lines = [f"Pooled, as their protocols are the same: {text}." for text in pooled]
    for place, group in enumerate(groups):
        for other in groups[place + 1 :]:
            if {i.source for i in group} & {i.source for i in other}:
                continue
            if group[0].data == other[0].data:
                lines.append(_describe_difference(group, other, names))
    return list(dict.fromkeys(lines))


def _describe_difference(
    first: Sequence[Stratum], second: Sequence[Stratum], names: Sequence[str]
) -> str:
    """Return a note on why two groups of one data set and network are not pooled."""
    found = list(dict.fromkeys(n for a in first for b in second for n in list_differences(a, b)))
    sides = [" and ".join(names[item.source] for item in group) for group in (first, second)]
    why = (
        f"they differ in {', '.join(found)}"
        if found
        else "both have a trial of one norm, batch size and seed, and the two are not the same"
    )
    return f"Not pooled: {sides[0]} with {sides[1]}; {why}."

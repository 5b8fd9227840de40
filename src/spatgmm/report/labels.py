"""What things are called in tables and figures: methods, data sets, cases, varied keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from spatgmm import datasets
from spatgmm.report.results import Results
from spatgmm.report.words import STAND_IN
from spatgmm.study.design import Case, Variant

#: In place of a varied value, where a scenario or method has no such key.
ABSENT = "–"

#: Varied keys whose last part says too little.
_KEYS = {"outliers.share": "share of outlying maps", "known": "share of known labels"}

_UNSET = object()

#: Keys of a configured method that are no parameters of its plug-in's fit.
_NOT_SETTINGS = ("plugin", "label", "time_limit")


def methods(results: Results, fits: pd.DataFrame) -> dict[str, str]:
    """Method variant -> label, as configured or from the plug-ins, in the order of `fits`.

    Two methods of one plug-in are told apart by the settings in which they differ, or else by their
    ids; variants of one method by the parameters that a study varies.
    """
    return variants(results, list(fits["method"].unique()))


def variants(results: Results, ids: Iterable[str] | None = None) -> dict[str, str]:
    """The same for ids of method variants; None: all of the run."""
    variants = [results.design.methods[id] for id in ids or results.design.methods]
    configured = {id: method.get("label") for id, method in results.config["methods"].items()}
    plain = {
        variant.base_method: configured.get(variant.base_method) or results.plugin(variant.id).label
        for variant in variants
    }
    labels = {}
    for base_method, label in plain.items():
        alike = [other for other in plain if plain[other] == label]
        others = [_settings(results, other) for other in alike if other != base_method]
        own = _settings(results, base_method)
        differing = {k: v for k, v in own.items() if any(o.get(k, _UNSET) != v for o in others)}
        told_apart = _pairs(differing) or (base_method if own in others else "")
        labels[base_method] = f"{label} ({told_apart})" if told_apart else label
    return {
        variant.id: ", ".join(
            filter(None, [labels[variant.base_method], _varied(results, variant)])
        )
        for variant in variants
    }


def settings(results: Results, base_method: str) -> str:
    """What a configuration sets of a method, for readers; empty where it sets nothing."""
    return _pairs(_settings(results, base_method))


def case(results: Results, id: str) -> str:
    """The scenario or data set of a case, and what a study varies of it.

    One that nobody measured is called a stand-in.
    """
    known = results.design.cases[id]
    name = ", ".join(filter(None, [known.scenario, _varied(results, known)]))
    return f"{name} ({STAND_IN})" if results.is_stand_in(id) else name


def values(results: Results, case: str) -> str:
    """What the values of a case's maps are, with their unit where it is known."""
    loader = results.design.cases[case].settings.get("load")
    return datasets.values(loader) if loader else "value"


def distance_unit(results: Results, case: str) -> str:
    """The unit of a case's coordinates; empty where it is not known."""
    loader = results.design.cases[case].settings.get("load")
    return datasets.distance_unit(loader) if loader else ""


def key(path: str) -> str:
    """A varied key for readers: the last part of its path, and which component it belongs to."""
    if path in _KEYS:
        return _KEYS[path]
    parts = path.split(".")
    if parts[0] == "components" and len(parts) > 2:
        return f"{'.'.join(parts[2:])} of component {int(parts[1]) + 1}"
    return parts[-1]


def point(path: str, varied: Any) -> str:
    """A varied key with a value of it; a scenario by its name alone."""
    return value(varied) if path == "scenario" else f"{key(path)} = {value(varied)}"


def value(varied: Any) -> str:
    """A value of a varied key for readers."""
    if isinstance(varied, dict):
        return ", ".join(f"{name} {value(below)}" for name, below in varied.items())
    if isinstance(varied, list | tuple) and all(isinstance(below, int) for below in varied):
        return " × ".join(map(value, varied))
    if isinstance(varied, list | tuple):
        return f"({'; '.join(map(value, varied))})"
    if isinstance(varied, float):
        return ABSENT if pd.isna(varied) else f"{varied:g}"
    return str(varied)


def _varied(results: Results, one: Case | Variant) -> str:
    """What a study varies of a case or method: in a person's words, or else by keys and values."""
    return results.design.labels.get(one.id) or ", ".join(
        f"{key(path)} = {value(v)}" for path, v in one.varied.items()
    )


def _pairs(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value(v)}" for name, v in settings.items())


def _settings(results: Results, base_method: str) -> dict[str, Any]:
    """What a configuration sets of a method, besides what does not show in its results."""
    settings = results.config["methods"].get(base_method, {})
    return {name: v for name, v in settings.items() if name not in _NOT_SETTINGS}

"""What things are called in tables and figures: methods, data sets, cases, varied keys."""

from __future__ import annotations

from typing import Any

import pandas as pd

from spatgmm import datasets
from spatgmm.report.results import Results
from spatgmm.report.words import STAND_IN

#: In place of a varied value, where a scenario or method has no such key.
ABSENT = "–"


def methods(results: Results, fits: pd.DataFrame) -> dict[str, str]:
    """Method variant -> label, from the plug-ins, in the order of `fits`.

    Two methods of one plug-in are told apart by their ids, variants of one method by the
    parameters that a study varies.
    """
    variants = [results.design.methods[method] for method in fits["method"].unique()]
    labels = {variant.base_method: results.plugin(variant.id).label for variant in variants}
    shown = list(labels.values())
    for base, label in labels.items():
        if shown.count(label) > 1:
            labels[base] = f"{label} ({base})"
    return {
        variant.id: ", ".join(
            [
                labels[variant.base_method],
                *(f"{name} = {value(v)}" for name, v in variant.varied.items()),
            ]
        )
        for variant in variants
    }


def source(results: Results, case: str) -> str:
    """The scenario or data set of a case, which is called a stand-in if nobody measured it."""
    name = results.design.cases[case].scenario
    return f"{name} ({STAND_IN})" if results.is_stand_in(case) else name


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
    parts = path.split(".")
    if parts[0] == "components" and len(parts) > 2:
        return f"{'.'.join(parts[2:])} of component {int(parts[1]) + 1}"
    return parts[-1]


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

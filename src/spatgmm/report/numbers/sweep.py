"""Mean ARI over all that a study varies."""

from __future__ import annotations

from typing import Any

import pandas as pd

from spatgmm.report import labels
from spatgmm.report.results import Results
from spatgmm.report.words import failures, number

#: The one varied "key" of points that have labels.
_SETTING = "setting"


def cells(results: Results, study: str) -> pd.DataFrame:
    """Mean ARI per case and method of a study, with what it varies.

    Returns
    -------
    DataFrame
        Columns ``case``, ``method``, ``base_method``, one per varied key that takes more than one
        value (``scenario`` is one), then ``mean_ari``, ``se_ari`` and the fits by how they ended.
    """
    design = results.design
    points = []
    for case, method in design.studies[study]:
        known, variant = design.cases[case], design.methods[method]
        varied = known.varied | {f"method.{key}": v for key, v in variant.varied.items()}
        called = [design.labels[id] for id in (case, method) if id in design.labels]
        if called:
            # In a person's words, which stand for all keys together.
            varied = {_SETTING: called[0]}
        point = {
            "case": case,
            "method": method,
            "base_method": variant.base_method,
            "scenario": known.scenario,
        }
        points.append(point | varied)
    table = pd.DataFrame(points)
    for key in list(table.columns[3:]):
        if len({labels.value(value) for value in table[key]} - {labels.ABSENT}) < 2:
            del table[key]
        else:
            table[key] = _groupable(table[key])
    return table.merge(results.cells(study), on=["case", "method"])


def swept(raw: pd.DataFrame) -> list[str]:
    """The varied keys among the columns of :func:`cells`, in the order of the configuration.

    The scenario, if it varies at all, comes last.
    """
    keys = list(raw.columns[3 : raw.columns.get_loc("mean_ari")])
    return sorted(keys, key=lambda key: key == "scenario") or ["case"]


def finding(results: Results, raw: pd.DataFrame) -> str:
    """Where each method is at its worst and at its best."""
    keys, controls = swept(raw), results.controls(raw)
    sentences = []
    for method, label in labels.methods(results, raw).items():
        block = raw[(raw["method"] == method) & (raw["n_ok"] > 0)]
        if method in controls or block.empty:
            continue
        ends = [block.loc[block["mean_ari"].idxmin()], block.loc[block["mean_ari"].idxmax()]]
        worst, best = (
            f"{number(end['mean_ari'])} at "
            + ", ".join(f"{labels.key(key)} = {labels.value(end[key])}" for key in keys)
            for end in ends
        )
        sentences.append(f"{label}: mean ARI {worst}, up to {best}")
    return ". ".join([*sentences, failures(raw)]) + "."


def _groupable(values: pd.Series) -> pd.Series:
    """Values of a varied key that rows can be grouped by.

    Lists become tuples; whole components, or what else holds mappings, become their number where
    that tells them apart; what is absent becomes a text, since NaN differs from itself.
    """
    holds_mappings = [
        value for value in values if isinstance(value, list) and any(map(_is_mapping, value))
    ]
    texts = set(map(labels.value, holds_mappings))
    short = len({len(value) for value in holds_mappings}) == len(texts)

    def groupable(value: Any) -> Any:
        if isinstance(value, list):
            if not any(map(_is_mapping, value)):
                return tuple(value)
            return len(value) if short else labels.value(value)
        return labels.value(value) if _is_mapping(value) or pd.isna(value) else value

    return values.astype(object).map(groupable)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)

"""Table 10: ARI over all that a sweep varies."""

from __future__ import annotations

from typing import Any

import pandas as pd

from spatgmm.report.results import Results
from spatgmm.report.tables.table import Table, number, with_error

STUDY = "sweep"

#: In place of a value, where a scenario or method has no such key.
ABSENT = "–"

#: Rows that a reader can take in; the CSV file has them all.
_SHOWN = 100


def build(results: Results) -> Table:
    """One row per point, one column per method: mean ARI (standard error)."""
    raw = cells(results)
    keys = swept(raw)
    labels = results.method_labels(raw)
    rows = []
    for point, group in raw.groupby(keys, sort=False, dropna=False):
        row = {name(key): shown(value) for key, value in zip(keys, point, strict=True)}
        by_method = group.set_index("method")
        for method, label in labels.items():
            row[label] = _cell(by_method.loc[method]) if method in by_method.index else "–"
        rows.append(row)
    notes = ["[failed/all]: fits without a result, which the mean leaves out."]
    if len(rows) > _SHOWN:
        notes.append(f"The first {_SHOWN} of {len(rows)} points; the CSV file has them all.")
    plain = raw.assign(**{key: raw[key].map(shown) for key in keys})
    return Table(
        caption=(
            "Sweep: adjusted Rand index (ARI) by method over all that is varied, mean (standard "
            "error of the mean)."
        ),
        raw=plain.rename(columns=name),
        formatted=pd.DataFrame(rows[:_SHOWN]),
        notes=tuple(notes),
        finding=finding(raw, labels, results.controls(raw)),
    )


def cells(results: Results) -> pd.DataFrame:
    """Mean ARI per case and method of the sweep.

    Returns
    -------
    DataFrame
        Columns ``case``, ``method``, ``base``, one per varied key that takes more than one value
        (``scenario`` is one), then ``mean_ari``, ``se_ari`` and the fits by how they ended.
    """
    design = results.design
    points = []
    for case, method in design.studies[STUDY]:
        known, variant = design.cases[case], design.methods[method]
        varied = {f"method.{key}": value for key, value in variant.varied.items()}
        point = {"case": case, "method": method, "base": variant.base, "scenario": known.source}
        points.append(point | known.varied | varied)
    table = pd.DataFrame(points)
    for key in list(table.columns[3:]):
        if len({shown(value) for value in table[key]} - {ABSENT}) < 2:
            del table[key]
        else:
            table[key] = _groupable(table[key])
    return table.merge(results.cells(STUDY), on=["case", "method"])


def swept(raw: pd.DataFrame) -> list[str]:
    """The varied keys among the columns of :func:`cells`, in the order of the configuration.

    The scenario, if it varies at all, comes last.
    """
    keys = list(raw.columns[3 : raw.columns.get_loc("mean_ari")])
    return sorted(keys, key=lambda key: key == "scenario") or ["case"]


def name(key: str) -> str:
    """A varied key for readers: the last part of its path, and which component it belongs to."""
    parts = key.split(".")
    if parts[0] == "components" and len(parts) > 2:
        return f"{'.'.join(parts[2:])} of component {int(parts[1]) + 1}"
    return parts[-1]


def shown(value: Any) -> str:
    """A value of a varied key for readers."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {shown(below)}" for key, below in value.items())
    if isinstance(value, list | tuple) and all(isinstance(below, int) for below in value):
        return " × ".join(map(shown, value))
    if isinstance(value, list | tuple):
        return f"({'; '.join(map(shown, value))})"
    if isinstance(value, float):
        return ABSENT if pd.isna(value) else f"{value:g}"
    return str(value)


def finding(raw: pd.DataFrame, labels: dict[str, str], controls: set[str]) -> str:
    """Where each method is at its worst and at its best."""
    keys = swept(raw)
    sentences = []
    for method, label in labels.items():
        block = raw[(raw["method"] == method) & (raw["n_ok"] > 0)]
        if method in controls or block.empty:
            continue
        ends = [block.loc[block["mean_ari"].idxmin()], block.loc[block["mean_ari"].idxmax()]]
        told = [
            f"{number(end['mean_ari'])} at "
            + ", ".join(f"{name(key)} = {shown(end[key])}" for key in keys)
            for end in ends
        ]
        sentences.append(f"{label}: mean ARI {told[0]}, up to {told[1]}")
    fits = int(raw[["n_ok", "n_failed"]].to_numpy().sum())
    return ". ".join([*sentences, f"{int(raw['n_failed'].sum())} of {fits} fits failed"]) + "."


def _groupable(values: pd.Series) -> pd.Series:
    """Values of a varied key that rows can be grouped by.

    Lists become tuples; whole components, or what else holds mappings, become their number where
    that tells them apart; what is absent becomes a text, since NaN differs from itself.
    """
    holds_mappings = [
        value for value in values if isinstance(value, list) and any(map(_is_mapping, value))
    ]
    short = len({len(value) for value in holds_mappings}) == len(set(map(shown, holds_mappings)))

    def groupable(value: Any) -> Any:
        if isinstance(value, list):
            if not any(map(_is_mapping, value)):
                return tuple(value)
            return len(value) if short else shown(value)
        return shown(value) if _is_mapping(value) or pd.isna(value) else value

    return values.astype(object).map(groupable)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _cell(cell: pd.Series) -> str:
    if not cell["n_ok"] + cell["n_failed"]:
        return "n/a"
    text = with_error(cell["mean_ari"], cell["se_ari"])
    if cell["n_failed"]:
        text += f" [{cell['n_failed']}/{cell['n_ok'] + cell['n_failed']}]"
    return text

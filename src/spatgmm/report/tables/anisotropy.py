"""Table 8: what when correlation has a direction?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatgmm.report import labels
from spatgmm.report.results import Results, counts, mean_and_error, succeeded
from spatgmm.report.tables.table import Table
from spatgmm.report.words import failures, listing, number, with_error
from spatgmm.study.rows import values

#: A model has started to lose where its mean ARI is this far below another's.
_BEHIND = 0.05


def build(results: Results, study: str) -> Table:
    """One row per strength of the stripes, one column per method."""
    fits = results.varied(study)
    raw = anisotropy(results, fits)
    names = labels.methods(results, fits)
    cells = raw.set_index(["strength", "method"])
    rows = []
    for strength in sorted(raw["strength"].unique()):
        row = {"ratio of ranges": f"{strength:g}"}
        for method, name in names.items():
            cell = cells.loc[(strength, method)]
            row[name] = with_error(cell["ari"], cell["se_ari"], 2)
        for method in _directed(raw):
            error = cells.loc[(strength, method), "angle_error"]
            row[f"angle error of {names[method]}"] = f"{number(error, 1)}°"
        rows.append(row)
    return Table(
        raw=raw,
        formatted=pd.DataFrame(rows),
        finding=_finding(results, raw, names),
    )


def anisotropy(results: Results, fits: pd.DataFrame) -> pd.DataFrame:
    """ARI by strength and method, and errors of angles and ratios where a method estimates them."""
    rows = []
    for (case, method), group in fits.groupby(["case", "method"], sort=False):
        components = results.design.cases[case].settings["components"]
        truth = [component["stripes"] for component in components]
        ok = succeeded(group)
        ari, se_ari = mean_and_error(ok["ari"])
        errors = [
            _angle_error(values(ok, "estimate", g, "angle"), stripes["angle"])
            for g, stripes in enumerate(truth)
        ]
        ratios = [values(ok, "estimate", g, "range_ratio") for g in range(len(truth))]
        rows.append(
            {
                "strength": float(truth[0]["ratio"]),
                "method": method,
                "ari": ari,
                "se_ari": se_ari,
                "angle_error": mean_and_error(np.concatenate(errors))[0],
                "range_ratio": mean_and_error(np.concatenate(ratios))[0],
                **counts(group),
            }
        )
    return pd.DataFrame(rows)


def _angle_error(angles: np.ndarray, truth: float) -> np.ndarray:
    """Absolute differences of directions, in degrees, 0 to 90."""
    return np.abs((angles - truth + 90) % 180 - 90)


def _directed(raw: pd.DataFrame) -> list[str]:
    """Methods that estimate an angle."""
    return list(dict.fromkeys(raw.loc[raw["angle_error"].notna(), "method"]))


def _finding(results: Results, raw: pd.DataFrame, names: dict[str, str]) -> str:
    table = raw.pivot_table(index="strength", columns="method", values="ari", sort=False)
    if table.empty:
        return f"No method can be compared: {failures(raw)}."
    controls = results.controls(raw)
    strongest = table.index.max()
    last = table.loc[strongest].sort_values(ascending=False)
    sentences = [
        f"At the strongest stripes (ratio {strongest:g}) mean ARI is "
        + listing([f"{number(last[method], 2)} for {names[method]}" for method in last.index])
    ]
    for method in _directed(raw):
        own = raw[(raw["method"] == method) & (raw["strength"] == strongest)].iloc[0]
        sentences.append(
            f"{names[method]} finds the angle within {number(own['angle_error'], 1)} degrees on "
            f"average and a ratio of {number(own['range_ratio'], 2)}"
        )
        for other in table.columns:
            if other == method or other in controls or other not in _spatial(results, raw):
                continue
            behind = table[method] - table[other] > _BEHIND
            if behind.any():
                sentences.append(
                    f"{names[other]} starts to lose (by more than {_BEHIND} in ARI) at a ratio of "
                    f"{behind.idxmax():g}"
                )
            else:
                sentences.append(f"{names[other]} loses nowhere")
    sentences.append(failures(raw))
    return ". ".join(sentences) + "."


def _spatial(results: Results, raw: pd.DataFrame) -> list[str]:
    """Methods with a spatial covariance."""
    return [m for m in raw["method"].unique() if "decay" in results.plugin(m).defaults]

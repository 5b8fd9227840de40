"""Table 7: does the model use the true geometry?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatgmm.report.numbers.coordinates import DISTORTIONS, coordinates, describe
from spatgmm.report.results import Results
from spatgmm.report.tables.table import Table
from spatgmm.report.words import failures, listing, number, with_error


def build(results: Results, *studies: str) -> Table:
    """One row per distortion; per data set ARI and what BIC loses against the true locations."""
    raw = coordinates(results, *studies)
    cells = raw.set_index(["distortion", "level", "scenario"])
    scenarios = list(dict.fromkeys(raw["scenario"]))
    rows = []
    for (kind, level), _ in raw.groupby(["distortion", "level"], sort=False):
        row = {("locations", ""): describe(kind, level)}
        for scenario in scenarios:
            cell = cells.loc[(kind, level, scenario)]
            row[(scenario, "ARI")] = with_error(cell["ari"], cell["se_ari"], 2)
            row[(scenario, "BIC lost")] = number(cell["bic_lost"], 0)
        rows.append(row)
    formatted = pd.DataFrame(rows)
    formatted.columns = pd.MultiIndex.from_tuples(formatted.columns)
    return Table(
        raw=raw,
        formatted=formatted,
        finding=_finding(raw, scenarios),
    )


def _finding(raw: pd.DataFrame, scenarios: list[str]) -> str:
    sentences = []
    for scenario in scenarios:
        own = raw[raw["scenario"] == scenario].set_index(["distortion", "level"])
        true = own.loc["none"].iloc[0]
        parts = []
        for kind in [kind for kind in DISTORTIONS if kind in own.index]:
            worst = own.loc[kind].iloc[-1]
            level = own.loc[kind].index[-1]
            change = "loses" if worst["bic_lost"] > 0 else "gains"
            parts.append(
                f"{describe(kind, level)}: ARI {number(worst['ari'], 2)}, BIC {change} "
                f"{number(abs(worst['bic_lost']), 0)}"
            )
        sentences.append(
            f"{scenario}: ARI {number(true['ari'], 2)} at the true locations; " + "; ".join(parts)
        )
    permuted = raw[(raw["distortion"] == "permute") & np.isclose(raw["level"], 1)]
    true = raw[raw["distortion"] == "none"].set_index("scenario")["ari"]
    worse = permuted[
        (permuted["bic_lost"] > 0) & (permuted["ari"] < permuted["scenario"].map(true))
    ]
    if len(permuted):
        names = listing(list(worse["scenario"])) if len(worse) else "none"
        sentences.append(f"With all locations permuted both ARI and BIC are worse on {names}")
    sentences.append(failures(raw))
    return ". ".join(sentences) + "."

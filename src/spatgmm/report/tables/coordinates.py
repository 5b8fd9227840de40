"""Table 7: does the model use the true geometry?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatgmm.report.results import Results, counts, mean_and_error
from spatgmm.report.tables.table import Table, failures, listing, number, with_error

STUDY = "coordinates"

#: The same on real data, where the configuration has it.
REAL = "coordinates-real"

#: Ways to distort locations: how tables call them, the level that changes nothing, its unit.
DISTORTIONS = {
    "permute": ("permuted", 0.0, "share of the locations"),
    "jitter": ("jittered", 0.0, "standard deviation in nearest distances"),
    "stretch": ("stretched", 1.0, "factor on one axis"),
}


def build(results: Results) -> Table:
    """One row per distortion; per data set ARI and what BIC loses against the true locations."""
    raw = coordinates(results)
    cells = raw.set_index(["distortion", "level", "source"])
    sources = list(dict.fromkeys(raw["source"]))
    rows = []
    for (kind, level), _ in raw.groupby(["distortion", "level"], sort=False):
        row = {("locations", ""): _describe(kind, level)}
        for source in sources:
            cell = cells.loc[(kind, level, source)]
            row[(source, "ARI")] = with_error(cell["ari"], cell["se_ari"], 2)
            row[(source, "BIC lost")] = number(cell["bic_lost"], 0)
        rows.append(row)
    formatted = pd.DataFrame(rows)
    formatted.columns = pd.MultiIndex.from_tuples(formatted.columns)
    return Table(
        caption=(
            "Distorted locations: ARI (standard error of the mean over replicates; real data are "
            "one fit) and what BIC loses against the true locations (positive: the true locations "
            "fit better). Permuted: a share of the locations change places; jittered: normal noise "
            "in units of the smallest distance; stretched: one axis by a factor."
        ),
        raw=raw,
        formatted=formatted,
        notes=(),
        finding=_finding(raw, sources),
    )


def coordinates(results: Results) -> pd.DataFrame:
    """ARI and BIC by distortion, level and data set, the true locations first."""
    studies = [study for study in (STUDY, REAL) if study in results.design.studies]
    fits = pd.concat([results.varied(study) for study in studies], ignore_index=True)
    ok = fits["status"] == "ok"
    fits = fits.assign(ari=fits["ari"].where(ok), bic=fits["bic"].where(ok))
    rows = []
    for (source, case), group in fits.groupby(["source", "case"], sort=False):
        ((path, level),) = results.design.cases[case].varied.items()
        kind = path.removeprefix("distort.")
        if level == DISTORTIONS[kind][1]:
            kind = "none"
        ari, se_ari = mean_and_error(group["ari"])
        bic, _ = mean_and_error(group["bic"])
        rows.append(
            {
                "distortion": kind,
                "level": float(level),
                "source": source,
                "case": case,
                "ari": ari,
                "se_ari": se_ari,
                "bic": bic,
                **counts(group),
            }
        )
    raw = pd.DataFrame(rows)
    true = raw[raw["distortion"] == "none"].set_index("source")
    lost = raw["bic"] - raw["source"].map(true["bic"])
    order = pd.Categorical(raw["distortion"], ["none", *DISTORTIONS], ordered=True)
    by_order = raw.assign(bic_lost=lost, order=order).sort_values(["order", "level"], kind="stable")
    return by_order.drop(columns="order").reset_index(drop=True)


def _describe(kind: str, level: float) -> str:
    if kind == "none":
        return "true"
    return f"{DISTORTIONS[kind][0]}, {level:g}"


def _finding(raw: pd.DataFrame, sources: list[str]) -> str:
    sentences = []
    for source in sources:
        own = raw[raw["source"] == source].set_index(["distortion", "level"])
        true = own.loc["none"].iloc[0]
        parts = []
        for kind in [kind for kind in DISTORTIONS if kind in own.index]:
            worst = own.loc[kind].iloc[-1]
            level = own.loc[kind].index[-1]
            change = "loses" if worst["bic_lost"] > 0 else "gains"
            parts.append(
                f"{_describe(kind, level)}: ARI {number(worst['ari'], 2)}, BIC {change} "
                f"{number(abs(worst['bic_lost']), 0)}"
            )
        sentences.append(
            f"{source}: ARI {number(true['ari'], 2)} at the true locations; " + "; ".join(parts)
        )
    permuted = raw[(raw["distortion"] == "permute") & np.isclose(raw["level"], 1)]
    true = raw[raw["distortion"] == "none"].set_index("source")["ari"]
    worse = permuted[(permuted["bic_lost"] > 0) & (permuted["ari"] < permuted["source"].map(true))]
    if len(permuted):
        names = listing(list(worse["source"])) if len(worse) else "none"
        sentences.append(f"With all locations permuted both ARI and BIC are worse on {names}")
    sentences.append(failures(raw))
    return ". ".join(sentences) + "."

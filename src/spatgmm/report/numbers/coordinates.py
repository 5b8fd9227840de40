"""ARI and BIC as locations are distorted."""

from __future__ import annotations

import pandas as pd

from spatgmm.report.results import Results, counts, mean_and_error
from spatgmm.study.rows import OK

#: Ways to distort locations: how tables call them, the level that changes nothing, its unit.
DISTORTIONS = {
    "permute": ("permuted", 0.0, "share of the locations"),
    "jitter": ("jittered", 0.0, "SD in smallest distances"),
    "stretch": ("stretched", 1.0, "factor on one axis"),
}


def coordinates(results: Results, *studies: str) -> pd.DataFrame:
    """ARI and BIC by distortion, level and data set, the true locations first."""
    fits = pd.concat([results.varied(study) for study in studies], ignore_index=True)
    ok = fits["status"] == OK
    fits = fits.assign(ari=fits["ari"].where(ok), bic=fits["bic"].where(ok))
    rows = []
    for (scenario, case), group in fits.groupby(["scenario", "case"], sort=False):
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
                "scenario": scenario,
                "case": case,
                "ari": ari,
                "se_ari": se_ari,
                "bic": bic,
                **counts(group),
            }
        )
    raw = pd.DataFrame(rows)
    true = raw[raw["distortion"] == "none"].set_index("scenario")
    lost = raw["bic"] - raw["scenario"].map(true["bic"])
    order = pd.Categorical(raw["distortion"], ["none", *DISTORTIONS], ordered=True)
    by_order = raw.assign(bic_lost=lost, order=order).sort_values(["order", "level"], kind="stable")
    return by_order.drop(columns="order").reset_index(drop=True)


def describe(kind: str, level: float) -> str:
    """A distortion for readers."""
    return "true" if kind == "none" else f"{DISTORTIONS[kind][0]}, {level:g}"

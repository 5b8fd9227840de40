"""Runs of solvers over starting values and data sets: how many break, how near they come."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatgmm.report.results import Results, counts, succeeded
from spatgmm.study.rows import extra

#: Fits this near to the best log-likelihood known have reached it.
REACHED = 0.01

#: Falls of the log-likelihood beyond this, relative to it, are no rounding.
FALL = 1e-8


def runs(results: Results, *studies: str) -> pd.DataFrame:
    """Every run, with its distance to the best log-likelihood known for its data.

    Parameters
    ----------
    results : Results
    *studies : str
        Those that vary no starting beta give as many replicates as those that do.

    Returns
    -------
    DataFrame
        Rows of the fits, with ``base_method``, ``start`` (starting beta, NaN where there is
        none) and ``gap``.
    """
    fits = pd.concat([results.varied(study) for study in studies], ignore_index=True)
    fits = fits.rename(columns={"method.beta_init": "start"})
    last = fits.loc[fits["start"].notna(), "replicate"].max()
    fits = fits[fits["replicate"] <= last].reset_index(drop=True)
    best = fits.groupby(["case", "replicate"])["log_likelihood"].transform("max")
    return fits.assign(gap=best - fits["log_likelihood"].astype(float))


def stability(fits: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Counts and medians of groups of runs (:func:`runs`)."""
    rows = []
    for key, group in fits.groupby(by, sort=False, dropna=False):
        ok = succeeded(group)
        condition = _column(ok, extra("condition_number"))
        rows.append(
            dict(zip(by, key, strict=True))
            | {
                "n": len(group),
                **counts(group),
                "n_empty": int((_column(ok, extra("empty_components")) > 0).sum()),
                "n_fell": int((_column(ok, extra("largest_fall")) > FALL).sum()),
                "n_converged": int(ok["converged"].fillna(False).astype(bool).sum()),
                "reached": float((group["gap"] <= REACHED).mean()),
                "median_gap": float(ok["gap"].median()),
                "median_n_iter": float(ok["n_iter"].astype(float).median()),
                "median_condition": float(condition.median()),
                "largest_condition": float(condition.max()),
            }
        )
    return pd.DataFrame(rows)


def start_labels(results: Results, fits: pd.DataFrame) -> dict[str, str]:
    """Names of solver and way of starting, by method."""
    labels = {}
    for base, group in fits.groupby("base_method", sort=False):
        variant = results.design.methods[group["method"].iloc[0]]
        label = results.plugin(variant.id).label
        single = variant.parameters.get("init", "multistart") != "multistart"
        labels[base] = f"{label}, {'single start' if single else 'multi-start'}"
    return labels


def _column(fits: pd.DataFrame, name: str) -> pd.Series:
    return fits[name].astype(float) if name in fits else pd.Series(np.nan, index=fits.index)

"""Table 1: are the parameters recovered, with honest standard errors?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatgmm.report.results import Results, counts, mean_and_error, values
from spatgmm.report.tables.table import CONVENTION, SYMBOLS, Table, number

STUDY = "recovery"


def build(results: Results) -> Table:
    """One row per case, method, component and parameter."""
    fits = results.of(STUDY)
    raw = recovery(results, fits)
    labels = results.method_labels(fits)
    cases = raw.drop_duplicates(["case", "method"])
    formatted = pd.DataFrame({"n": raw["n"].astype(str)})
    if cases.duplicated(["method", "n"]).any():
        formatted["case"] = raw["case"]
    if len(labels) > 1:
        formatted["method"] = raw["method"].map(labels)
    formatted["group"] = (raw["component"] + 1).astype(str)
    formatted["parameter"] = raw["parameter"].map(SYMBOLS)
    for name, column in (
        ("truth", "truth"),
        ("mean", "mean"),
        ("bias", "bias"),
        ("empirical SE", "empirical_se"),
        ("model SE", "model_se"),
        ("ratio", "ratio"),
        ("coverage", "coverage"),
    ):
        formatted[name] = [number(value) for value in raw[column]]
    formatted["used"] = raw["n_used"].astype(str)
    formatted["with SE"] = raw["n_with_se"].astype(str)
    formatted["failed"] = raw["n_failed"].astype(str)
    return Table(
        caption=(
            "Parameter recovery: estimates over simulated replicates against the truth. Empirical "
            "SE: standard deviation of the estimates over replicates; model SE: mean standard "
            "error by observed information; ratio: model over empirical; coverage: share of 95 % "
            f"intervals that hold the truth. {CONVENTION}"
        ),
        raw=raw,
        formatted=formatted,
        notes=(
            "used: replicates whose fit gave an estimate; with SE: those of them with a standard "
            "error (none is given where β lies at its bound), over which model SE and coverage "
            "are taken; failed: replicates without a fit.",
        ),
        finding=_finding(raw),
    )


def recovery(results: Results, fits: pd.DataFrame) -> pd.DataFrame:
    """Bias, standard errors and coverage as raw numbers.

    Parameters
    ----------
    results : Results
        For the true parameters of each case.
    fits : DataFrame
        Rows of ``fits.parquet``.

    Returns
    -------
    DataFrame
        ``bias_se`` and ``coverage_se`` are Monte Carlo standard errors.
    """
    rows = []
    for (case, method), group in fits.groupby(["case", "method"], sort=False):
        ended = counts(group)
        truth = results.dataset(case).truth
        for component in range(len(truth.beta)):
            true_values = {
                "weight": truth.weights[component],
                **{f"alpha{k + 1}": truth.alpha[component, k] for k in range(3)},
                "beta": truth.beta[component],
            }
            for parameter, true_value in true_values.items():
                estimate = values(group, "estimate", component, parameter)
                error = values(group, "std_error", component, parameter)
                lower = values(group, "lower", component, parameter)
                upper = values(group, "upper", component, parameter)
                used = np.isfinite(estimate)
                with_se = used & np.isfinite(error)
                mean, mean_se = mean_and_error(estimate[used])
                empirical = float(np.std(estimate[used], ddof=1)) if used.sum() > 1 else np.nan
                model = float(error[with_se].mean()) if with_se.any() else np.nan
                inside = (lower <= true_value) & (true_value <= upper)
                coverage = float(inside[with_se].mean()) if with_se.any() else np.nan
                rows.append(
                    {
                        "case": case,
                        "method": method,
                        "n": int(group["n"].iloc[0]),
                        "component": component,
                        "parameter": parameter,
                        "truth": float(true_value),
                        "mean": mean,
                        "bias": mean - float(true_value),
                        "bias_se": mean_se,
                        "empirical_se": empirical,
                        "model_se": model,
                        "ratio": model / empirical if empirical > 0 else np.nan,
                        "coverage": coverage,
                        "coverage_se": float(np.sqrt(coverage * (1 - coverage) / with_se.sum()))
                        if with_se.any()
                        else np.nan,
                        "n_used": int(used.sum()),
                        "n_with_se": int(with_se.sum()),
                        "n_failed": ended["n_failed"] + ended["n_unsupported"],
                    }
                )
    return pd.DataFrame(rows)


def _finding(raw: pd.DataFrame) -> str:
    cases = raw.drop_duplicates(["case", "method"])
    failed = int(cases["n_failed"].sum())
    total = int((cases["n_used"] + cases["n_failed"]).sum())
    if not raw["n_used"].any():
        return f"Every one of the {failed} fits failed, so nothing can be said about recovery."
    largest = raw[(raw["n"] == raw["n"].max()) & (raw["n_used"] > 0)]
    parts = []
    if len(largest):
        bias = largest["bias"].abs()
        small = (bias <= 2 * largest["bias_se"]) | (bias <= 0.02 * largest["truth"].abs())
        worst = largest.loc[(bias / largest["truth"].abs()).idxmax()]
        parts.append(
            f"At n = {worst['n']}, {int(small.sum())} of {len(largest)} parameters have a bias "
            "within 2 standard errors of the mean or 2 % of the value (largest relative bias "
            f"{number(100 * worst['bias'] / abs(worst['truth']), 1)} %, "
            f"{SYMBOLS[worst['parameter']]} of group {worst['component'] + 1})"
        )
    if raw["ratio"].notna().any():
        ranges = []
        for n, block in raw.groupby("n"):
            ranges.append(
                f"{block['ratio'].min():.2f}–{block['ratio'].max():.2f} and "
                f"{block['coverage'].min():.3f}–{block['coverage'].max():.3f} at n = {n}"
            )
        parts.append(
            "The ratio of model-based to empirical standard error and the coverage of 95 % "
            f"intervals span {'; '.join(ranges)}"
        )
    parts.append(f"{failed} of {total} fits failed")
    return ". ".join(parts) + "."

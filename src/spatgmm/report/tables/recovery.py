"""Table 1: are the parameters recovered, with honest standard errors?"""

from __future__ import annotations

import pandas as pd

from spatgmm.common.words import symbol
from spatgmm.report import labels
from spatgmm.report.numbers.recovery import recovery
from spatgmm.report.results import Results
from spatgmm.report.tables.table import Table
from spatgmm.report.words import number, with_error


def build(results: Results, study: str) -> Table:
    """One row per case, method that reports a spatial covariance, component and parameter."""
    fits = results.of(study)
    spatial = results.spatial_methods(fits)
    fits = fits[fits["method"].isin(spatial)] if spatial else fits
    raw = recovery(results, fits)
    names = labels.methods(results, fits)
    cases = raw.drop_duplicates(["case", "method"])
    formatted = pd.DataFrame({"n": raw["n"].astype(str)})
    if cases.duplicated(["method", "n"]).any():
        formatted["scenario"] = [labels.case(results, case) for case in raw["case"]]
    if len(names) > 1:
        formatted["method"] = raw["method"].map(names)
    formatted["group"] = (raw["component"] + 1).astype(str)
    formatted["parameter"] = raw["parameter"].map(symbol)
    for name, column in (
        ("truth", "truth"),
        ("mean", "mean"),
        ("bias", "bias"),
        ("empirical SE", "empirical_se"),
        ("model SE", "model_se"),
        ("ratio", "ratio"),
    ):
        formatted[name] = [number(value) for value in raw[column]]
    pairs = zip(raw["coverage"], raw["coverage_se"], strict=True)
    formatted["coverage (SE)"] = [with_error(*pair) for pair in pairs]
    formatted["used"] = raw["n_used"].astype(str)
    formatted["with SE"] = raw["n_with_se"].astype(str)
    formatted["failed"] = raw["n_failed"].astype(str)
    return Table(
        raw=raw,
        formatted=formatted,
        notes=(
            "used: replicates whose fit gave an estimate; with SE: those of them with a standard "
            "error (none is given where β lies at its bound), over which model SE and coverage "
            "are taken; failed: replicates without a fit.",
        ),
        finding=_finding(raw),
    )


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
            f"{symbol(worst['parameter'])} of group {worst['component'] + 1})"
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

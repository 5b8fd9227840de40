"""Table 6: how often does each solver break, and where?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatgmm.report.results import Results, counts
from spatgmm.report.tables.table import Footnotes, Table, listing, number, significant

STUDY = "stability"

#: A further study whose methods start from the whole search and have no starting value.
MULTISTART = "stability-multistart"

#: Fits this near to the best log-likelihood known have reached it.
REACHED = 0.01

#: Falls of the log-likelihood beyond this, relative to it, are no rounding.
FALL = 1e-8


def build(results: Results) -> Table:
    """One row per solver and way of starting, over all starting values and data sets."""
    fits = runs(results)
    by_start = stability(fits, ["base", "start"])
    overall = stability(fits, ["base"])
    labels = start_labels(results, fits)
    footnotes = Footnotes()
    rows = []
    for line in overall.itertuples():
        failed = f"{line.n_failed}"
        if line.n_failed:
            messages = fits.loc[(fits["base"] == line.base) & (fits["status"] != "ok"), "error"]
            failed += footnotes.mark(f"most often: {messages.mode().iloc[0]}")
        rows.append(
            {
                "solver and start": labels[line.base],
                "runs": f"{line.n}",
                "failed": failed,
                "component lost": f"{line.n_empty}",
                "likelihood fell": f"{line.n_fell}",
                "converged": f"{line.n_converged}",
                f"best reached (within {REACHED})": _percent(line.reached),
                "median distance to it": number(line.median_gap, 2),
                "iterations, median": number(line.median_n_iter, 0),
                "condition number, median": significant(line.median_condition, 3),
                "largest": f"{line.largest_condition:.1e}",
            }
        )
    return Table(
        caption=(
            "Stability: runs over starting values of β and data sets (seeds) of the scenario grid. "
            "Single starts begin at k-means labels; multi-start finds its own β, so that its runs "
            "differ in random starts. Best: the highest log-likelihood of any run on the same data "
            "set. Percentages are of all runs, failures included."
        ),
        raw=by_start,
        formatted=pd.DataFrame(rows),
        notes=footnotes.notes(),
        finding=_finding(overall, by_start, labels),
    )


def runs(results: Results) -> pd.DataFrame:
    """Every run, with its distance to the best log-likelihood known for its data.

    Returns
    -------
    DataFrame
        Rows of the fits, with ``base`` (the method), ``start`` (starting beta, NaN where there is
        none) and ``gap``.
    """
    fits = results.varied(STUDY)
    if MULTISTART in results.design.studies:
        further = results.varied(MULTISTART)
        wanted = further["replicate"] <= fits["replicate"].max()
        fits = pd.concat([fits, further[wanted]], ignore_index=True)
    fits = fits.rename(columns={"method.beta_init": "start"})
    best = fits.groupby(["case", "replicate"])["log_likelihood"].transform("max")
    return fits.assign(gap=best - fits["log_likelihood"].astype(float))


def stability(fits: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Counts and medians of groups of runs (:func:`runs`)."""
    rows = []
    for key, group in fits.groupby(by, sort=False, dropna=False):
        ok = group[group["status"] == "ok"]
        condition = _column(ok, "extra.condition_number")
        rows.append(
            dict(zip(by, key, strict=True))
            | {
                "n": len(group),
                **counts(group),
                "n_empty": int((_column(ok, "extra.empty_components") > 0).sum()),
                "n_fell": int((_column(ok, "extra.largest_fall") > FALL).sum()),
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
    for base, group in fits.groupby("base", sort=False):
        variant = results.design.methods[group["method"].iloc[0]]
        label = results.plugin(variant.id).label
        single = variant.parameters.get("init", "multistart") != "multistart"
        labels[base] = f"{label}, {'single start' if single else 'multi-start'}"
    return labels


def _column(fits: pd.DataFrame, name: str) -> pd.Series:
    return fits[name].astype(float) if name in fits else pd.Series(np.nan, index=fits.index)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _finding(overall: pd.DataFrame, by_start: pd.DataFrame, labels: dict[str, str]) -> str:
    sentences = []
    for line in overall.itertuples():
        broken = line.n_failed + line.n_empty
        text = (
            f"{labels[line.base]}: {broken} of {line.n} runs failed or lost a component, "
            f"{_percent(line.reached)} reached the best log-likelihood known"
        )
        own = by_start[(by_start["base"] == line.base) & by_start["start"].notna()]
        if len(own) > 1 and own["reached"].max() - own["reached"].min() > 0.1:
            worst, best = own.loc[own["reached"].idxmin()], own.loc[own["reached"].idxmax()]
            text += (
                f" (from {_percent(worst['reached'])} of those started at β = {worst['start']:g} "
                f"to {_percent(best['reached'])} at β = {best['start']:g})"
            )
        sentences.append(text)
    most = overall.loc[overall["reached"].idxmax()]
    return ". ".join(sentences) + f". Most reliable: {listing([labels[most['base']]])}."

"""Table 2: who finds clusters that differ in spatial covariance only?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatgmm.report import labels
from spatgmm.report.results import Results, counts, mean_and_error
from spatgmm.report.tables.table import Footnotes, Table, ended, inapplicable
from spatgmm.report.words import failures, listing, number, reason, with_error
from spatgmm.study.rows import OK

#: Differences in mean ARI that a reader need not tell apart.
_CLOSE = 0.02
_NEAR_ZERO = 0.03


def build(results: Results, study: str) -> Table:
    """One row per method; per scenario mean (standard error), median, fits ok / failed."""
    fits = results.of(study)
    raw = comparison(fits)
    names = labels.methods(results, fits)
    footnotes = Footnotes()
    cases = list(dict.fromkeys(raw["case"]))
    cells = raw.set_index(["method", "case"])
    rows = []
    for method, label in names.items():
        row = {("method", ""): label}
        for case in cases:
            cell = _cell(cells.loc[(method, case)], footnotes)
            for header, text in zip(("mean (SE)", "median", "ok/failed"), cell, strict=True):
                row[(labels.case(results, case), header)] = text
        rows.append(row)
    formatted = pd.DataFrame(rows)
    formatted.columns = pd.MultiIndex.from_tuples(formatted.columns)
    return Table(
        raw=raw,
        formatted=formatted,
        notes=footnotes.notes(),
        finding=_finding(results, raw, names),
        headline=_headline(results, raw, names),
    )


def comparison(fits: pd.DataFrame) -> pd.DataFrame:
    """Mean, standard error and median of ARI per method and case, failures counted.

    Parameters
    ----------
    fits : DataFrame
        Rows of ``fits.parquet``.

    Returns
    -------
    DataFrame
        ``reason`` is the most frequent message of fits that failed or are not supported.
    """
    rows = []
    for (case, method), group in fits.groupby(["case", "method"], sort=False):
        ok = group["status"] == OK
        ari = group.loc[ok, "ari"].to_numpy(dtype=float)
        mean, error = mean_and_error(ari)
        rows.append(
            {
                "case": case,
                "method": method,
                "mean_ari": mean,
                "se_ari": error,
                "median_ari": float(np.median(ari)) if len(ari) else np.nan,
                **counts(group),
                "reason": reason(group.loc[~ok, "error"]),
            }
        )
    return pd.DataFrame(rows)


def _cell(cell: pd.Series, footnotes: Footnotes) -> tuple[str, str, str]:
    if cell["n_unsupported"] and not cell["n_ok"] + cell["n_failed"]:
        return inapplicable(cell, footnotes), "–", "–"
    mean = with_error(cell["mean_ari"], cell["se_ari"])
    return mean, number(cell["median_ari"]), ended(cell, footnotes)


def _headline(results: Results, raw: pd.DataFrame, names: dict[str, str]) -> tuple[str, ...]:
    """Who finds the groups on average over the scenarios, and how far the others fall behind."""
    ok = raw[raw["n_ok"] > 0]
    mean = ok.groupby("method")["mean_ari"].mean()
    controls = results.controls(raw)
    mean_of_others = mean.drop(controls, errors="ignore").sort_values(ascending=False)
    if mean_of_others.empty:
        return ()
    best = mean.reindex(sorted(controls)).max()
    top = mean_of_others.iloc[0]
    winners = mean_of_others[mean_of_others >= top - _CLOSE]
    rest = mean_of_others.drop(winners.index)
    scenarios = ok["case"].nunique()
    over = f", averaged over {scenarios} scenarios" * (scenarios > 1)
    first = f"{listing([names[m] for m in winners.index])} found the groups best"
    of = f" where {number(best, 2)} is possible" if np.isfinite(best) else ""
    sentences = [f"{first}: mean ARI {number(top, 2)}{of}{over} (1 is perfect, 0 is chance)."]
    if len(rest):
        lowest = f" to {number(rest.iloc[-1], 2)}" if len(rest) > 1 else ""
        sentences.append(
            f"The {len(rest)} other methods reach {number(rest.iloc[0], 2)}{lowest}, "
            f"{names[rest.index[0]]} the most."
        )
    return tuple(sentences)


def _finding(results: Results, raw: pd.DataFrame, names: dict[str, str]) -> str:
    controls = results.controls(raw)
    shown = raw[raw["n_ok"] > 0]
    if shown.empty:
        return f"No method can be compared: {failures(raw)}."
    reference = shown[shown["method"].isin(controls)]
    what = "best possible" if len(reference) else "highest"
    tops = (reference if len(reference) else shown).groupby("case", sort=False)["mean_ari"].max()
    sentences = [
        f"The {what} mean ARI is "
        + listing([f"{number(top)} on {labels.case(results, case)}" for case, top in tops.items()])
    ]
    compared = shown[~shown["method"].isin(controls) & shown["case"].isin(tops.index)]
    behind = compared["case"].map(tops) - compared["mean_ari"]
    close = (behind <= _CLOSE).groupby(compared["method"]).all()
    zero = (compared["mean_ari"].abs() <= _NEAR_ZERO).groupby(compared["method"]).all()
    everywhere = "on every scenario they apply to"
    groups = ((close, f"Within {_CLOSE} of it"), (zero, f"Within {_NEAR_ZERO} of zero"))
    for chosen, words in groups:
        found = [name for method, name in names.items() if chosen.get(method, False)]
        if found:
            sentences.append(f"{words} {everywhere}: {listing(found)}")
    for method, name in names.items():
        if method in close.index and not close[method] and not zero[method]:
            block = compared.loc[compared["method"] == method, "mean_ari"]
            span = number(block.min())
            if len(block) > 1:
                span += f" to {number(block.max())}"
            sentences.append(f"{name}: {span}")
    sentences.append(failures(raw))
    return ". ".join(sentences) + "."

"""Table 6: how often does each solver break, and where?"""

from __future__ import annotations

import pandas as pd

from spatgmm.report.numbers.stability import REACHED, runs, stability, start_labels
from spatgmm.report.results import Results
from spatgmm.report.tables.table import Footnotes, Table
from spatgmm.report.words import number, percent, reason, significant
from spatgmm.study.rows import OK


def build(results: Results, *studies: str) -> Table:
    """One row per solver and way of starting, over all starting values and data sets."""
    fits = runs(results, *studies)
    by_start = stability(fits, ["base_method", "start"])
    overall = stability(fits, ["base_method"])
    names = start_labels(results, fits)
    footnotes = Footnotes()
    rows = []
    for line in overall.itertuples():
        failed = f"{line.n_failed}"
        if line.n_failed:
            messages = fits.loc[
                (fits["base_method"] == line.base_method) & (fits["status"] != OK), "error"
            ]
            failed += footnotes.mark(f"most often: {reason(messages)}")
        rows.append(
            {
                "solver and start": names[line.base_method],
                "runs": f"{line.n}",
                "failed": failed,
                "component lost": f"{line.n_empty}",
                "likelihood fell": f"{line.n_fell}",
                "converged": f"{line.n_converged}",
                f"best reached (within {REACHED})": percent(line.reached, 1),
                "median distance to it": number(line.median_gap, 2),
                "iterations, median": number(line.median_n_iter, 0),
                "condition number, median": significant(line.median_condition, 3),
                "largest": f"{line.largest_condition:.1e}",
            }
        )
    return Table(
        raw=by_start,
        formatted=pd.DataFrame(rows),
        notes=footnotes.notes(),
        finding=_finding(overall, by_start, names),
    )


def _finding(overall: pd.DataFrame, by_start: pd.DataFrame, names: dict[str, str]) -> str:
    sentences = []
    for line in overall.itertuples():
        broken = line.n_failed + line.n_empty
        text = (
            f"{names[line.base_method]}: {broken} of {line.n} runs failed or lost a component, "
            f"{percent(line.reached, 1)} reached the best log-likelihood known"
        )
        own = by_start[(by_start["base_method"] == line.base_method) & by_start["start"].notna()]
        if len(own) > 1 and own["reached"].max() - own["reached"].min() > 0.1:
            worst, best = own.loc[own["reached"].idxmin()], own.loc[own["reached"].idxmax()]
            text += (
                f" (from {percent(worst['reached'], 1)} of those started at β = {worst['start']:g} "
                f"to {percent(best['reached'], 1)} at β = {best['start']:g})"
            )
        sentences.append(text)
    most = overall.loc[overall["reached"].idxmax()]
    return ". ".join(sentences) + f". Most reliable: {names[most['base_method']]}."

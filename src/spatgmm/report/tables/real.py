"""What tables 3 and 4 share: every method on the real data sets of a configuration."""

from __future__ import annotations

import pandas as pd

from spatgmm.report import labels
from spatgmm.report.results import Results, counts, mean_and_error, succeeded
from spatgmm.report.tables.table import Footnotes, Table, ended, inapplicable
from spatgmm.report.words import failures, listing, number, reason, significant, with_error
from spatgmm.study.rows import OK, extra

_STAND_IN = (
    "The data set marked as a synthetic stand-in was not measured: it takes the place of maps that "
    "only a user can bring."
)


_SINGULAR = (
    "as many parameters as a covariance matrix of its own for every cluster has, and no more maps "
    "than locations in each: sample covariances are singular, and likelihood and BIC are what the "
    "method's regularisation makes them."
)


def build(results: Results, *studies: str, centred: bool) -> Table:
    """One row per data set and method."""
    fits = results.of(*studies)
    fits = fits[[results.is_centred(case) == centred for case in fits["case"]]]
    raw = real_data(results, fits)
    names = labels.methods(results, fits)
    footnotes = Footnotes()
    rows, before = [], None
    for _, line in raw.iterrows():
        name = labels.case(results, line["case"])
        row = {
            "data set": name if line["case"] != before else "",
            "n × p, groups": f"{line['n']} × {_places(line)}, {line['n_components']}"
            if line["case"] != before
            else "",
            "method": names[line["method"]],
            "ARI": with_error(line["ari"], line["se_ari"], 2),
            "accuracy": number(line["accuracy"], 2),
            "model": line["model"] or "–",
            "BIC": number(line["bic"], 0) + (footnotes.mark(_SINGULAR) if line["singular"] else ""),
            "seconds": significant(line["seconds"], 2),
            "ok/failed": (inapplicable if line["n_unsupported"] else ended)(line, footnotes),
        }
        rows.append(row)
        before = line["case"]
    stand_in = any(results.is_stand_in(case) for case in raw["case"].unique())
    return Table(
        raw=raw,
        formatted=pd.DataFrame(rows),
        finding=_finding(results, raw, names),
        notes=(*([_STAND_IN] if stand_in else []), *footnotes.notes()),
    )


def real_data(results: Results, fits: pd.DataFrame) -> pd.DataFrame:
    """Means over the fits of each method on each data set, as raw numbers."""
    rows = []
    for (case, method), group in fits.groupby(["case", "method"], sort=False):
        ok = succeeded(group)
        ari, error = mean_and_error(ok["ari"])
        models = ok[extra("model")].dropna() if extra("model") in ok else pd.Series(dtype=object)
        first = group.iloc[0]
        rows.append(
            {
                "case": case,
                "synthetic_stand_in": results.is_stand_in(case),
                "n": int(first["n"]),
                "p": int(first["p"]),
                "n_variables": results.dataset(case).n_variables,
                "n_components": int(first["n_components"]),
                "method": method,
                "ari": ari,
                "se_ari": error,
                "accuracy": mean_and_error(ok["accuracy"])[0],
                "model": str(models.mode().iloc[0]) if len(models) else "",
                "bic": mean_and_error(ok["bic"])[0],
                "singular": _singular(ok),
                "seconds": mean_and_error(ok["seconds"])[0],
                **counts(group),
                "reason": reason(group.loc[group["status"] != OK, "error"]),
            }
        )
    return pd.DataFrame(rows)


def _places(line: pd.Series) -> str:
    """Values of a map: locations, times variables where there are several."""
    p, q = line["p"], line["n_variables"]
    return str(p) if q == 1 else f"({p // q} × {q} variables)"


def _singular(fits: pd.DataFrame) -> bool:
    """Whether likelihoods are unbounded: free covariances of more locations than maps."""
    G, n, p = (fits[name].astype(float) for name in ("n_components", "n", "p"))
    free = fits["n_parameters"].astype(float) >= G * p * (p + 1) / 2
    return bool((free & (n <= G * p)).any())


def _finding(results: Results, raw: pd.DataFrame, names: dict[str, str]) -> str:
    sentences = []
    for case, block in raw.groupby("case", sort=False):
        name = labels.case(results, case)
        shown = block[block["n_ok"] > 0].sort_values("ari", ascending=False, kind="stable")
        if shown.empty:
            sentences.append(f"{name}: every fit failed")
            continue
        top = shown["ari"].iloc[0]
        best = shown[top - shown["ari"] < 0.005]
        rest = shown.drop(best.index)
        winners = listing([names[method] for method in best["method"]])
        text = f"{name}: highest ARI {number(top, 2)} by {winners}"
        if len(rest):
            text += f", next {number(rest['ari'].iloc[0], 2)} by {names[rest['method'].iloc[0]]}"
        sentences.append(text)
    sentences.append(failures(raw))
    return ". ".join(sentences) + "."

"""Table 9: does BIC choose the right number of components, and the right decay?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatgmm.covariance import decay as decays
from spatgmm.covariance.geometry import MAX_DISTANCE, Geometry
from spatgmm.report.results import Results, counts, mean_and_error, succeeded
from spatgmm.report.tables.table import Table
from spatgmm.report.words import failures, number, percent, with_error
from spatgmm.study.rows import extra

#: What BIC is asked to choose, by the varied key.
_QUESTIONS = {"method.n_components": "components", "method.decay": "decay"}

#: Where a curve and its band are compared with the truth.
_POINTS = 50


def build(results: Results, *studies: str) -> Table:
    """One row per scenario, question and option."""
    raw, choices = selection(results, *studies)
    rows, before = [], None
    for line in raw.itertuples():
        block = (line.scenario, line.question)
        rows.append(
            {
                "scenario": line.scenario if block != before else "",
                "choice of": line.question if block != before else "",
                "option": line.option + (" (true)" if line.true else ""),
                "chosen by BIC": percent(line.by_bic),
                "chosen by ICL": percent(line.by_icl),
                "BIC above the lowest, mean": number(line.bic_above, 1),
                "ARI, mean (SE)": with_error(line.ari, line.se_ari),
                "truth in the 95 % band": percent(line.coverage),
            }
        )
        before = block
    return Table(
        raw=raw,
        formatted=pd.DataFrame(rows),
        finding=_finding(raw, choices),
    )


def selection(results: Results, *studies: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Options, and choices: the ARI of what BIC chose in every replicate.

    Returns
    -------
    options : DataFrame
        One row per scenario, question and option.
    choices : DataFrame
        Columns scenario, question, ari_of_choice, se_of_choice.
    """
    options, choices = [], []
    for study in studies:
        fits = results.varied(study)
        path, question = next((path, q) for path, q in _QUESTIONS.items() if path in fits)
        for scenario, every in fits.groupby("scenario", sort=False):
            group = succeeded(every)
            by_replicate = group.groupby("replicate")
            lowest = {
                criterion: group.loc[by_replicate[criterion].idxmin()]
                for criterion in ("bic", extra("icl"))
                if criterion in group
            }
            above = group["bic"] - by_replicate["bic"].transform("min")
            truth = results.dataset(every["case"].iloc[0]).truth
            for option, tried in every.groupby(path, sort=False):
                own = group[group[path] == option]
                ari, se_ari = mean_and_error(own["ari"])
                options.append(
                    {
                        "scenario": scenario,
                        "question": question,
                        "option": f"{option:g}" if question == "components" else option,
                        "true": option in (len(truth.beta), truth.decay),
                        "by_bic": _share(lowest.get("bic"), path, option),
                        "by_icl": _share(lowest.get(extra("icl")), path, option),
                        "bic_above": mean_and_error(above[own.index])[0],
                        "ari": ari,
                        "se_ari": se_ari,
                        "coverage": _coverage(results, own),
                        **counts(tried),
                    }
                )
            ari, error = mean_and_error(lowest["bic"]["ari"])
            choices.append(
                {
                    "scenario": scenario,
                    "question": question,
                    "ari_of_choice": ari,
                    "se_of_choice": error,
                }
            )
    return pd.DataFrame(options), pd.DataFrame(choices)


def _share(chosen: pd.DataFrame | None, path: str, option) -> float:
    """In how many of the replicates a criterion chose this option; NaN where it never could."""
    return float((chosen[path] == option).mean()) if chosen is not None and len(chosen) else np.nan


def _coverage(results: Results, fits: pd.DataFrame) -> float:
    """Share of distances at which the band of the correlation holds the true correlation."""
    inside = []
    for _, row in fits.iterrows():
        data = results.dataset(row["case"])
        truth = data.truth
        delta = np.linspace(Geometry(data.coordinates).smallest_distance, MAX_DISTANCE, _POINTS)
        for g, fitted in results.fitted(row).items():
            band = fitted.band(delta)
            if band is None or g >= len(truth.beta):
                continue
            a1, a2, a3 = truth.alpha[g]
            s = decays.get(truth.decay).value(delta, truth.beta[g])
            true = (a1 + a2 * s) / (a1 + a3)
            inside.append(np.mean((band[0] <= true) & (true <= band[1])))
    return float(np.mean(inside)) if inside else np.nan


def _finding(raw: pd.DataFrame, choices: pd.DataFrame) -> str:
    sentences = []
    for (scenario, question), block in raw.groupby(["scenario", "question"], sort=False):
        true = block[block["true"]]
        if true.empty:
            continue
        right, n = true.iloc[0], int(block["n_ok"].max())
        text = (
            f"{scenario}: BIC chooses the true {question} ({right['option']}) in "
            f"{percent(right['by_bic'])} of {n} replicates, ICL in {percent(right['by_icl'])}"
        )
        if question == "decay":
            chosen = choices.set_index(["scenario", "question"]).loc[(scenario, question)]
            sigmoid = block.set_index("option").loc["sigmoid"]
            text += (
                f"; mean ARI {number(chosen['ari_of_choice'])} with the decay that BIC chooses, "
                f"{number(sigmoid['ari'])} with the sigmoid, whose BIC lies "
                f"{number(sigmoid['bic_above'], 1)} above the lowest on average"
            )
            splines = block[block["option"] == "ispline"]
            if len(splines):
                text += (
                    "; the band of the I-spline curve holds the true correlation at "
                    f"{percent(splines['coverage'].iloc[0])} of distances"
                )
        sentences.append(text)
    sentences.append(failures(raw))
    return ". ".join(sentences) + "."

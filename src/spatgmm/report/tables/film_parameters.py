"""Table 5: the fitted spatial covariances on the film data, group by group."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatgmm.covariance.fitted import COEFFICIENTS, at_bounds, fitted_components
from spatgmm.covariance.geometry import Geometry
from spatgmm.report.results import Results
from spatgmm.report.tables.table import CONVENTION, Footnotes, Table, number, with_error

STUDY = "film"

_BOUND_NOTES = {
    "lower": "β at its lower bound: linear decay; no standard error.",
    "upper": "β at its upper bound: the decay is half over at the nearest neighbour; "
    "no standard error.",
}


def build(results: Results) -> Table:
    """One row per data set variant, method and group; the likeliest fit where there are several."""
    fits = results.of(STUDY)
    spatial = results.spatial_methods(fits)
    raw = film_parameters(results, fits[fits["method"].isin(spatial)])
    caption = (
        "Film data: estimated spatial covariance per group (standard error in brackets). "
        f"{CONVENTION} Baseline α₁ + α₂: covariance at the largest distance; partial sill −α₂; "
        "nugget α₃; effective range: distance at which 5 % of the partial sill is left, in the "
        "unit of the coordinates (1 mm)."
    )
    if raw.empty:
        reason = "No fit on the film data gave estimates of a spatial covariance"
        failed = int((fits["status"] != "ok").sum())
        text = f"{reason}: {failed} of {len(fits)} fits failed."
        return Table(caption, raw, pd.DataFrame({"result": [text]}), (), text)
    labels = results.method_labels(fits)
    footnotes, rows = Footnotes(), []
    for _, line in raw.iterrows():
        mark = footnotes.mark(_BOUND_NOTES[line["bound"]]) if line["bound"] else ""
        row = {"data set": line["case"], "method": labels[line["method"]], "group": line["group"]}
        for header, name in (
            ("weight π", "weight"),
            ("α₁", "alpha1"),
            ("α₂", "alpha2"),
            ("α₃ (nugget)", "alpha3"),
            ("β", "beta"),
            ("baseline", "baseline"),
            ("partial sill", "partial_sill"),
            ("effective range", "effective_range"),
        ):
            row[header] = _scaled(line[name], line[f"{name}_se"])
        row["β"] += mark
        if line["alpha3"] < 0:
            row["α₃ (nugget)"] += footnotes.mark(
                "The nugget may be negative: Ξ must be positive definite, and J − D has "
                "eigenvalues well above zero."
            )
        rows.append(row)
    return Table(caption, raw, pd.DataFrame(rows), footnotes.notes(), _finding(raw, labels))


def film_parameters(results: Results, fits: pd.DataFrame) -> pd.DataFrame:
    """Estimates and standard errors (columns ``*_se``) per case, method and group.

    Returns
    -------
    DataFrame
        ``bound`` says at which end of its interval beta lies (empty: at neither);
        ``effective_range`` is in the unit of the coordinates.
    """
    rows = []
    ok = fits[fits["status"] == "ok"]
    for (case, method), group in ok.groupby(["case", "method"], sort=False):
        dataset = results.dataset(case)
        geometry = Geometry(dataset.coordinates)
        row = group.loc[group["log_likelihood"].astype(float).idxmax()]
        for component, fitted in fitted_components(row, results.decay(row)).items():
            line = {
                "case": case,
                "method": method,
                "replicate": int(row["replicate"]),
                "group": dataset.label_names[component],
            }
            for parameter in ("weight", *COEFFICIENTS, "beta"):
                line[parameter] = float(row[f"estimate.{component}.{parameter}"])
                error = row.get(f"std_error.{component}.{parameter}")
                line[f"{parameter}_se"] = np.nan if pd.isna(error) else float(error)
            for quantity, (value, error) in fitted.quantities(geometry.unit).items():
                line[quantity], line[f"{quantity}_se"] = value, error
            # Known even where the covariances of the estimates are not.
            line["partial_sill_se"] = line["alpha2_se"]
            bounds = fitted.decay.bounds(geometry.smallest_distance)
            line["bound"] = at_bounds(fitted.shape, *bounds)[0] or ""
            rows.append(line)
    return pd.DataFrame(rows)


def _scaled(value: float, error: float) -> str:
    """Digits enough for two significant ones of the error, or three of the value."""
    finest = error if np.isfinite(error) and error > 0 else value
    if not finest:
        return number(value, 1)
    wanted = 1 if np.isfinite(error) and error > 0 else 2
    digits = int(np.clip(wanted - np.floor(np.log10(abs(finest))), 0, 6))
    return with_error(value, error, digits)


def _finding(raw: pd.DataFrame, labels: dict[str, str]) -> str:
    sentences = []
    for (case, method), block in raw.groupby(["case", "method"], sort=False):
        parts = [
            f"{line['group']} has effective range {number(line['effective_range'], 1)} mm, "
            f"partial sill {_scaled(line['partial_sill'], np.nan)} and nugget "
            f"{_scaled(line['alpha3'], np.nan)}"
            for _, line in block.iterrows()
        ]
        sentences.append(f"{case}, {labels[method]}: {'; '.join(parts)}")
    at_bound = int((raw["bound"] != "").sum())
    sentences.append(f"β lies at a bound in {at_bound} of {len(raw)} components")
    return ". ".join(sentences) + "."

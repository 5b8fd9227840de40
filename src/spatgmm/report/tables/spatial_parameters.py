"""Table 5: the fitted spatial covariances, group by group."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatgmm.covariance import decay as decays
from spatgmm.covariance.fitted import COEFFICIENTS, at_bounds
from spatgmm.covariance.geometry import Geometry
from spatgmm.report import labels
from spatgmm.report.results import Results, succeeded
from spatgmm.report.tables.table import Footnotes, Table
from spatgmm.report.words import number, with_error
from spatgmm.study.rows import OK, column


def build(results: Results, *studies: str) -> Table:
    """One row per data set variant, method and group; the likeliest fit where there are several."""
    fits = results.of(*studies)
    spatial = results.spatial_methods(fits)
    raw = spatial_parameters(results, fits[fits["method"].isin(spatial)])
    if raw.empty:
        failed = int((fits["status"] != OK).sum())
        text = (
            f"No fit gave estimates of a spatial covariance: {failed} of {len(fits)} fits failed."
        )
        return Table(raw, pd.DataFrame({"result": [text]}), text)
    names = labels.methods(results, fits)
    footnotes, rows = Footnotes(), []
    for _, line in raw.iterrows():
        mark = footnotes.mark(_at_bound(line)) if line["bound"] else ""
        row = {"data set": labels.case(results, line["case"]), "method": names[line["method"]]}
        row["group"] = line["group"]
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
        row["effective range"] += _unit(results, line["case"])
        row["β"] += mark
        if line["alpha3"] < 0:
            row["α₃ (nugget)"] += footnotes.mark(
                "The nugget may be negative: Ξ must be positive definite, and J − D has "
                "eigenvalues well above zero."
            )
        rows.append(row)
    finding = _finding(results, raw, names)
    return Table(raw, pd.DataFrame(rows), finding, footnotes.notes())


def spatial_parameters(results: Results, fits: pd.DataFrame) -> pd.DataFrame:
    """Estimates and standard errors (columns ``*_se``) per case, method and group.

    Returns
    -------
    DataFrame
        ``bound`` says at which end of its interval beta lies (empty: at neither);
        ``effective_range`` is in the unit of the coordinates.
    """
    rows = []
    ok = succeeded(fits)
    for (case, method), group in ok.groupby(["case", "method"], sort=False):
        dataset = results.dataset(case)
        geometry = Geometry(dataset.coordinates)
        row = group.loc[group["log_likelihood"].astype(float).idxmax()]
        for component, fitted in results.fitted(row).items():
            line = {
                "case": case,
                "method": method,
                "replicate": int(row["replicate"]),
                "group": dataset.label_names[component],
            }
            for parameter in ("weight", *COEFFICIENTS, "beta"):
                for kind, suffix in (("estimate", ""), ("std_error", "_se")):
                    cell = row.get(column(kind, component, parameter))
                    line[f"{parameter}{suffix}"] = np.nan if pd.isna(cell) else float(cell)
            for quantity, (value, error) in fitted.quantities(geometry.unit).items():
                line[quantity], line[f"{quantity}_se"] = value, error
            # Known even where the covariances of the estimates are not.
            line["partial_sill_se"] = line["alpha2_se"]
            bounds = fitted.decay.bounds(geometry.smallest_distance)
            ends = at_bounds(fitted.shape, *bounds)
            line["bound"] = dict(zip(fitted.decay.parameter_names, ends, strict=True)).get("beta")
            line["bound"] = line["bound"] or ""
            line["decay"] = fitted.decay.name
            rows.append(line)
    return pd.DataFrame(rows)


def _at_bound(line: pd.Series) -> str:
    """What a decay is at the bound where beta lies."""
    meaning = decays.get(line["decay"]).at_bound(line["bound"])
    return f"β at its {line['bound']} bound{': ' if meaning else ''}{meaning}; no standard error."


def _unit(results: Results, case: str) -> str:
    """The unit of distances, with a space before it; empty where it is not known."""
    unit = labels.distance_unit(results, case)
    return f" {unit}" if unit else ""


def _scaled(value: float, error: float) -> str:
    """Digits enough for two significant ones of the error, or three of the value."""
    finest = error if np.isfinite(error) and error > 0 else value
    if not finest or not np.isfinite(value):
        return number(value, 1)
    wanted = 1 if np.isfinite(error) and error > 0 else 2
    digits = int(np.clip(wanted - np.floor(np.log10(abs(finest))), 0, 6))
    return with_error(value, error, digits)


def _finding(results: Results, raw: pd.DataFrame, names: dict[str, str]) -> str:
    sentences = []
    for (case, method), block in raw.groupby(["case", "method"], sort=False):
        parts = [
            f"{line['group']} has effective range {number(line['effective_range'], 1)}"
            f"{_unit(results, case)}, partial sill {_scaled(line['partial_sill'], np.nan)} and "
            f"nugget {_scaled(line['alpha3'], np.nan)}"
            for _, line in block.iterrows()
        ]
        sentences.append(f"{labels.case(results, case)}, {names[method]}: {'; '.join(parts)}")
    at_bound = int((raw["bound"] != "").sum())
    sentences.append(f"β lies at a bound in {at_bound} of {len(raw)} components")
    return ". ".join(sentences) + "."

"""Standard errors, geostatistics and correlograms as tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from spatgmm.covariance.fitted import NORMAL_95, FittedCovariance
from spatgmm.covariance.geometry import MAX_DISTANCE
from spatgmm.covariance.metric import Curve
from spatgmm.fitting.estimates import Estimates, Uncertainty
from spatgmm.fitting.state import MIN_MAPS, empty

_EMPTY_NOTE = f"fewer than {MIN_MAPS} maps: no standard error"

_NO_INFORMATION_NOTE = "the observed information is not positive definite: no standard error"


def standard_errors(uncertainty: Uncertainty) -> pd.DataFrame:
    """Estimates of weights, alpha and beta with standard errors and 95 % intervals.

    Estimating a free mean takes one map's worth of scatter from each component, so that maximum
    likelihood puts variances ``1 - 1/n_g`` too low.  The estimates are left as they are; the
    intervals for alpha are scaled by ``n_g / (n_g - 1)``.

    Returns
    -------
    pandas.DataFrame
        ``attrs["covariance"]`` holds the (G, 3 + q, 3 + q) covariances of the estimates of
        ``(a1, a2, a3, *shape)``.
    """
    estimates = uncertainty.estimates
    unitless = uncertainty.standardised().public_covariances()
    rows = []
    too_few = empty(uncertainty.counts)
    alpha, shapes, names = estimates.alpha(), estimates.shapes(), estimates.family.names
    for g in range(len(alpha)):
        none = _EMPTY_NOTE if too_few[g] else ""
        known = estimates.weight_note
        weight = estimates.mixture.weights[g]
        error = np.nan if known else _root(uncertainty.weight_variance[g])
        note = none or known or (_NO_INFORMATION_NOTE if np.isnan(error) else "")
        rows.append(_row(g, "weight", weight, error, note=note))
        correction = 1.0
        if estimates.model.mean.is_free:
            correction = uncertainty.counts[g] / max(uncertainty.counts[g] - 1, 1)
        values = [*alpha[g], *shapes[g]]
        held = estimates.held(g)
        errors = _root(np.diag(unitless[g]))
        errors[: len(alpha[g])] *= estimates.scale**2
        for k, (name, value, why) in enumerate(zip(names, values, held, strict=True)):
            note = none or why
            if not note and np.isnan(errors[k]):
                note = _NO_INFORMATION_NOTE
            scaled = correction if k < len(alpha[g]) else 1.0
            row = _row(g, name, value, errors[k], scaled, note)
            if not row["note"] and not row["lower"] <= value <= row["upper"]:
                row["note"] = (
                    f"the interval is about {scaled * value:.4g}: corrected for the free mean"
                )
            rows.append(row)
        if uncertainty.psi_variance is not None:
            rows += _between_variables(uncertainty, g, none)
    table = pd.DataFrame(rows)
    # Lists, not an array: pandas compares attributes when frames are joined.
    table.attrs["covariance"] = uncertainty.public_covariances().tolist()
    return table


def _between_variables(uncertainty: Uncertainty, g: int, none: str) -> list[dict]:
    """A row for each entry of the lower triangle of ``Psi``, in the units of the data."""
    estimates = uncertainty.estimates
    psi, relative = estimates.variable_covariances()[g], estimates.relative
    errors = np.outer(relative, relative) * _root(uncertainty.psi_variance[g])
    rows = []
    for u, v in zip(*np.tril_indices(len(psi)), strict=True):
        note = none or (_NO_INFORMATION_NOTE if np.isnan(errors[u, v]) else "")
        rows.append(_row(g, f"psi[{u},{v}]", psi[u, v], errors[u, v], note=note))
    return rows


def _root(variances):
    """Standard errors; NaN where a variance is none."""
    return np.sqrt(np.where(variances >= 0, variances, np.nan))


def _row(component, parameter, estimate, std_error, correction=1.0, note="") -> dict:
    half = NORMAL_95 * std_error
    return {
        "component": component,
        "parameter": parameter,
        "estimate": estimate,
        "std_error": std_error,
        "lower": correction * (estimate - half),
        "upper": correction * (estimate + half),
        "note": note,
    }


def geostatistics(estimates: Estimates, uncertainty: Uncertainty | None = None) -> pd.DataFrame:
    """Baseline, partial sill, nugget, sill, effective range; errors by the delta method."""
    first, *others = estimates.family.kernel.curves
    rows = []
    # Without units until the end: squares of alpha overflow long before alpha does.
    errors = None if uncertainty is None else uncertainty.standardised().public_covariances()
    plain = replace(estimates, scale=1.0)
    further = [(curve, plain.fitted(curve, errors)) for curve in others]
    for g, fitted in enumerate(plain.fitted(first, errors)):
        quantities = fitted.quantities(first.unit)
        if first.axis is not None:
            along = quantities.pop("effective_range")
            quantities[f"effective_range_axis{first.axis}"] = along
        for curve, of_curve in further:
            along = of_curve[g].quantities(curve.unit)["effective_range"]
            quantities[f"effective_range_axis{curve.axis}"] = along
        for name, (value, std_error) in quantities.items():
            if not name.startswith("effective_range"):
                value, std_error = estimates.scale**2 * value, estimates.scale**2 * std_error
            row = {"component": g, "quantity": name, "estimate": value}
            if uncertainty is not None:
                half = NORMAL_95 * std_error
                row |= {"std_error": std_error, "lower": value - half, "upper": value + half}
            rows.append(row)
        for name, value in estimates.directions(g).items():
            rows.append({"component": g, "quantity": name, "estimate": value})
    return pd.DataFrame(rows)


def correlogram(estimates: Estimates, distances=None) -> pd.DataFrame:
    """``corr(delta) = Xi(delta) / Xi(0)`` per component, along each axis that has its own decay."""
    curves = estimates.family.kernel.curves
    largest = MAX_DISTANCE * max(curve.unit for curve in curves)
    if distances is not None:
        distances = np.asarray(distances, dtype=float)
        inside = (distances >= 0) & (distances <= largest * (1 + 1e-9))
        if distances.ndim != 1 or not inside.all():
            raise ValueError(
                f"distances must be a list of numbers from 0 to the largest, {largest:g}"
            )
    return pd.concat(
        [
            _along(g, curve, fitted, distances)
            for g in range(len(estimates.mixture.weights))
            for curve in curves
            for fitted in [estimates.fitted(curve)[g]]
        ],
        ignore_index=True,
    )


def _along(component, curve: Curve, fitted: FittedCovariance, distances) -> pd.DataFrame:
    """Correlation at those of the distances that the curve has."""
    largest = MAX_DISTANCE * curve.unit
    if distances is None:
        distances = np.linspace(0, largest, 200)
    distances = distances[distances <= largest * (1 + 1e-9)]
    delta = np.minimum(distances / curve.unit, MAX_DISTANCE)
    return pd.DataFrame(
        {
            "component": component,
            **({} if curve.axis is None else {"axis": curve.axis}),
            "distance": distances,
            "scaled_distance": delta,
            "correlation": np.where(delta > 0, fitted.correlation(delta), 1.0),
        }
    )

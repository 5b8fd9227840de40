"""Parametric bootstrap: how estimates vary over maps that the fitted mixture itself draws.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), sections 6.5 and 14.3.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import norm

from spatgmm.covariance.fitted import NORMAL_95

#: Refits on either side of the estimate, at least: with none, the bias correction would ask for
#: quantiles that are not there.
_LEAST_BELOW = 0.5

#: A test has found nothing where a right hypothesis gives such a statistic more than once in so
#: many times: simulations beyond that would only say by how much.
_ONE_IN = 20


def standard_errors(estimates: np.ndarray, refitted: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Standard errors and 95 % intervals from refits.

    Intervals are bias-corrected percentiles: with ``z0 = Phi^-1(share of refits below the
    estimate)``, the quantiles at ``Phi(2 z0 +- 1.96)``, which stay within the bounds of parameters
    and take back what a free mean does to variances.

    Parameters
    ----------
    estimates : ndarray of shape (G, k)
    refitted : ndarray of shape (B, G, k)
        NaN where a component of a refit has no maps.
    names : list of str
        Of the k parameters.

    Returns
    -------
    pandas.DataFrame
        Columns component, parameter, estimate, std_error, lower, upper, note.
    """
    rows = []
    for g, of_component in enumerate(estimates):
        for k, (name, estimate) in enumerate(zip(names, of_component, strict=True)):
            values = refitted[:, g, k]
            values = values[np.isfinite(values)]
            row = {"component": g, "parameter": name, "estimate": estimate}
            row |= {"std_error": np.nan, "lower": np.nan, "upper": np.nan, "note": ""}
            if len(values) < 2 or np.ptp(values) == 0:
                row["note"] = "all refits agree: held fixed, or without maps"
            else:
                row["std_error"] = values.std(ddof=1)
                row["lower"], row["upper"] = _interval(estimate, values)
            rows.append(row)
    return pd.DataFrame(rows)


def _interval(estimate: float, values: np.ndarray) -> np.ndarray:
    below = (values < estimate).sum() + (values == estimate).sum() / 2
    share = np.clip(below, _LEAST_BELOW, len(values) - _LEAST_BELOW) / len(values)
    ends = norm.cdf(2 * norm.ppf(share) + NORMAL_95 * np.array([-1, 1]))
    return np.quantile(values, ends)


def exceeding(statistic: float, simulated: Iterator[float], most: int) -> float:
    """The p-value of a statistic by simulation, stopped once it is known to be above 0.05.

    After ``h`` simulated statistics at least as large, the least number with which `most`
    simulations say no, the p-value is the share of those so far; with fewer, ``(1 + larger) /
    (1 + most)``.  Under the hypothesis it is at most ``u`` with a probability of at most ``u``
    (Besag and Clifford, "Sequential Monte Carlo p-values", Biometrika 78, 1991).
    """
    larger, enough = 0, -(-(1 + most) // _ONE_IN)
    for number, value in enumerate(simulated, start=1):
        larger += value >= statistic
        if larger == enough:
            return larger / number
        if number == most:
            break
    return (1 + larger) / (1 + most)

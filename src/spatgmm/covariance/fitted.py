"""A fitted spatial covariance and what it says, with its uncertainty.

The estimator hands these out; they are made from estimates by name as well, for tables and
figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm

from spatgmm.covariance.decay import Decay
from spatgmm.covariance.family import COEFFICIENTS
from spatgmm.covariance.geometry import MAX_DISTANCE

#: Beyond the effective range this share of the partial sill is left (the usual convention).
_LEFT = 0.05

#: Two-sided 95 % point of the normal distribution.
NORMAL_95 = norm.ppf(0.975)


@dataclass(frozen=True)
class FittedCovariance:
    """One component's ``Xi = a1*J + a2*D(shape) + a3*I`` (J all ones).

    Under a metric that is not the same in all directions, distances are the metric's.  Where decays
    along several axes are added, this is one of them: correlation along that axis.

    Attributes
    ----------
    alpha : ndarray of shape (3,)
    shape : ndarray of shape (q,)
        The decay's parameters.
    covariance : ndarray of shape (3 + q, 3 + q) or None
        Covariance of the estimates of :attr:`parameters`; zero for a shape held at its bound.
        None where the results do not hold it: standard errors alone give no error of a curve,
        since the estimates of a1 and a2 are strongly correlated.
    decay : Decay
    n_decays : int
        How many are added: ``Xi = a1*J + a2*(D_1 + D_2 + ...) + a3*I``.
    """

    alpha: np.ndarray
    shape: np.ndarray
    covariance: np.ndarray | None
    decay: Decay
    n_decays: int = 1

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the coefficients and the decay's parameters, in the order used throughout."""
        return parameters(self.decay)

    @classmethod
    def from_estimates(
        cls, estimates: Mapping[str, float], covariance: pd.DataFrame | None, decay: Decay
    ) -> FittedCovariance | None:
        """From estimates by name; None unless all of :func:`parameters` are there and finite.

        Parameters
        ----------
        estimates : mapping of float by name
            Further ones do no harm.
        covariance : DataFrame or None
            Of these estimates, by their names; NaN where it is not known, and for a shape at its
            bound, which is not free to vary.
        decay : Decay
        """
        names = parameters(decay)
        values = np.array([estimates.get(name, np.nan) for name in names], dtype=float)
        if not np.isfinite(values).all():
            return None
        if covariance is not None:
            covariance = covariance.reindex(index=names, columns=names).to_numpy(dtype=float)
            known = np.isfinite(covariance[:3, :3]).all() and (np.diag(covariance)[:3] >= 0).all()
            covariance = np.nan_to_num(covariance) if known else None
        return cls(values[:3], values[3:], covariance, decay)

    def matrix(self, delta: np.ndarray) -> np.ndarray:
        """``Xi`` for scaled distances of shape (p, p)."""
        a1, a2, a3 = self.alpha
        return a1 + a2 * self.decay.value(delta, self.shape) + a3 * np.eye(len(delta))

    def correlation(self, delta: np.ndarray) -> np.ndarray:
        """Correlation of two different locations at these scaled distances."""
        a1, a2, a3 = self.alpha
        return (a1 + a2 * self.decay.value(delta, self.shape)) / (a1 + a3)

    def band(self, delta: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Pointwise 95 % band of :meth:`correlation`, by the delta method; None without errors."""
        if self.covariance is None:
            return None
        delta = np.asarray(delta, dtype=float)
        variance = self.alpha[0] + self.alpha[2]
        s = self.decay.value(delta, self.shape)
        correlation = self.correlation(delta)
        by_shape = self.alpha[1] * self.decay.derivatives(delta, self.shape)
        gradient = np.stack([1 - correlation, s, -correlation, *by_shape], axis=-1) / variance
        error = np.sqrt(
            np.maximum(np.einsum("...i,ij,...j->...", gradient, self.covariance, gradient), 0)
        )
        return correlation - NORMAL_95 * error, correlation + NORMAL_95 * error

    def quantities(self, unit: float) -> dict[str, tuple[float, float]]:
        """The covariance in the words of geostatistics: value and standard error of each.

        Parameters
        ----------
        unit : float
            Units of the coordinates per unit of scaled distance.

        Returns
        -------
        dict
            baseline (covariance at the largest distance), partial_sill, nugget, sill (partial sill
            and nugget), effective_range (in units of the coordinates).
        """
        _, a2, a3 = self.alpha
        k = self.n_decays
        distance, distance_error = self.effective_range()
        return {
            "baseline": self.baseline(),
            "partial_sill": (float(-k * a2), self._error([0, -k, 0])),
            "nugget": (float(a3), self._error([0, 0, 1])),
            "sill": (float(a3 - k * a2), self._error([0, -k, 1])),
            "effective_range": (unit * distance, unit * distance_error),
        }

    def _error(self, gradient) -> float:
        """Standard error of a linear function of the coefficients."""
        if self.covariance is None:
            return np.nan
        gradient = np.asarray(gradient, dtype=float)
        return float(np.sqrt(max(gradient @ self.covariance[:3, :3] @ gradient, 0.0)))

    def baseline(self) -> tuple[float, float]:
        """Covariance at the largest distance, ``a1 + k a2`` of k decays, and its standard error."""
        k = self.n_decays
        return float(self.alpha[0] + k * self.alpha[1]), self._error([1, k, 0])

    def effective_range(self) -> tuple[float, float]:
        """Scaled distance at which 5 % of the partial sill is left, and its standard error.

        The standard error is NaN where the shape has none.
        """

        def excess(delta: float) -> float:
            return float(self.decay.value(np.asarray(delta), self.shape)) - (1 - _LEFT)

        distance = brentq(excess, 0.0, MAX_DISTANCE)
        if self.covariance is None or not self.covariance[3:, 3:].any():
            return distance, np.nan
        # Implicit function: ds/ddelta * ddelta/dshape = -ds/dshape.
        at = np.array([distance])
        by_shape = self.decay.derivatives(at, self.shape)[:, 0]
        gradient = by_shape / float(self.decay.slope(at, self.shape)[0])
        return distance, float(np.sqrt(gradient @ self.covariance[3:, 3:] @ gradient))


def parameters(decay: Decay) -> tuple[str, ...]:
    """Names of a covariance's parameters: coefficients, then the decay's."""
    return (*COEFFICIENTS, *decay.parameter_names)


def at_bounds(shape, lower, upper) -> list[str | None]:
    """``"lower"`` or ``"upper"`` for each parameter at an end of what data identify, else None."""
    # Bounds are reached only up to the optimiser's tolerance.
    return [
        "lower"
        if v <= a + max(0.01 * abs(a), 1e-6)
        else "upper"
        if v >= b - 1e-3 * abs(b)
        else None
        for v, a, b in zip(np.atleast_1d(shape), lower, upper, strict=True)
    ]

"""The six ways of constraining the noise variances of a mixture of factor analyzers.

With ``d`` (G, p) the expected squared residuals of the M-step and weights ``N_g``, each structure
minimises ``sum_g N_g sum_i [log psi_gi + d_gi / psi_gi]`` over its own variances ``psi`` (G, p).
In ``log psi`` every structure is a linear space, which is what lets extrapolated parameters be
brought back by fitting the structure to them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

#: Squared residuals can be 0 or, by rounding, less.
_TINY = 1e-300

#: Turns of volume and shape in one M-step.
_TURNS = 5

#: Newton steps for the volume, which take far fewer; and the error in logarithms they may leave.
_NEWTON_STEPS, _ROUNDING = 100, 1e-12


class Noise(ABC):
    """One structure."""

    #: Whether all rows of ``psi`` are multiples of one row.
    proportional = False

    #: A noise variance may not fall below this share of its column's variance: a factor that takes
    #: a column over completely (a Heywood case) would otherwise send the density to infinity.
    floor = 1e-6

    @abstractmethod
    def n_parameters(self, n_components: int, n_features: int) -> int:
        """Free variances."""

    @abstractmethod
    def fit(
        self, residual: np.ndarray, weight: np.ndarray, floor: np.ndarray, previous: np.ndarray
    ) -> np.ndarray:
        """Variances (G, p) given squared residuals (G, p), weights (G,) that sum to 1, lowest
        allowed variances (p,) and the previous variances (G, p), than which they are no worse."""


class SharedIsotropic(Noise):
    """``psi``."""

    proportional = True

    def n_parameters(self, n_components, n_features):
        return 1

    def fit(self, residual, weight, floor, previous):
        variance = max((weight @ residual).mean(), floor.max())
        return np.full(residual.shape, variance)


class SharedDiagonal(Noise):
    """``psi_i``."""

    proportional = True

    def n_parameters(self, n_components, n_features):
        return n_features

    def fit(self, residual, weight, floor, previous):
        return np.broadcast_to(np.maximum(weight @ residual, floor), residual.shape)


class FreeIsotropic(Noise):
    """``psi_g``."""

    proportional = True

    def n_parameters(self, n_components, n_features):
        return n_components

    def fit(self, residual, weight, floor, previous):
        variance = np.maximum(residual.mean(axis=1), floor.max())
        return np.broadcast_to(variance[:, None], residual.shape)


class FreeDiagonal(Noise):
    """``psi_gi``."""

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def fit(self, residual, weight, floor, previous):
        return np.maximum(residual, floor)


class FreeVolume(Noise):
    """``omega_g delta_i``: one shape, a volume per component."""

    proportional = True

    def n_parameters(self, n_components, n_features):
        return n_components + n_features - 1

    def fit(self, residual, weight, floor, previous):
        # With omega >= 1 and delta >= floor, which loses nothing, since a factor may move from one
        # to the other, volume and shape are each other's condition and their bounds are apart:
        # taking turns descends to the minimum, and usually is there at once.
        shape = previous.min(axis=0)
        for _ in range(_TURNS):
            volume = np.maximum((residual / shape).mean(axis=1), 1.0)
            shape = np.maximum((weight / volume) @ residual, floor)
        return volume[:, None] * shape


class FreeShape(Noise):
    """``omega delta_gi`` with ``prod_i delta_gi = 1``: one volume, a shape per component.

    Given ``log omega``, a component's variances are ``max(d_gi / lambda_g, floor_i)``, with the
    multiplier ``lambda_g`` that makes their geometric mean ``omega``; the derivative by
    ``log omega`` is 0 where ``sum_g N_g lambda_g = sum_g N_g``. Without the floor both have a
    closed form.
    """

    #: Far down, since here the floor decides: a variance that a factor replaces falls at no cost,
    #: and as the product is fixed, the others of its component are the freer the further it fell.
    floor = 1e-10

    def n_parameters(self, n_components, n_features):
        return 1 + n_components * (n_features - 1)

    def fit(self, residual, weight, floor, previous):
        logs, lowest = np.log(np.maximum(residual, _TINY)), np.log(floor)
        multiplier = logs.mean(axis=1)
        volume = np.log(weight @ np.exp(multiplier))
        variance = logs - multiplier[:, None] + volume
        if (variance >= lowest).all():
            return np.exp(variance)
        # Newton's method, from below: both equations are convex and falling.
        least = lowest.mean() + _ROUNDING
        for _ in range(_NEWTON_STEPS):
            volume = max(volume, least)
            multiplier, variance, free = self._multipliers(logs, lowest, volume)
            share = weight * np.exp(multiplier - multiplier.max())
            gap = multiplier.max() + np.log(share.sum())
            step = gap * share.sum() / (share @ (logs.shape[1] / free))
            volume += step
            if abs(step) < _ROUNDING:
                break
        return np.exp(variance)

    def _multipliers(self, logs, lowest, volume):
        """``log lambda`` (G,), the logarithms of the variances, and how many exceed the floor."""
        free = np.ones(logs.shape, dtype=bool)
        while True:
            n_free = np.maximum(free.sum(axis=1), 1)
            excess = np.where(free, logs, lowest).sum(axis=1) - logs.shape[1] * volume
            shrunk = logs - (excess / n_free)[:, None]
            still = free & (shrunk > lowest)
            if (still == free).all():
                return excess / n_free, np.maximum(shrunk, lowest), n_free
            free = still

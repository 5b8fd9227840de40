"""The six ways of constraining the noise variances of a mixture of factor analyzers.

With ``d`` (G, p) the expected squared residuals of the M-step and weights ``N_g``, each structure
minimises ``sum_g N_g sum_i [log psi_gi + d_gi / psi_gi]`` over its own variances ``psi`` (G, p).
In ``log psi`` every structure is a linear space, which is what lets extrapolated parameters be
brought back by fitting the structure to them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np


class Noise(ABC):
    """One structure.

    ``proportional``: all rows of ``psi`` are multiples of one row. ``exact``: ``fit`` is the
    minimum also where the floor binds.
    """

    proportional = False
    exact = True

    @abstractmethod
    def n_parameters(self, n_components: int, n_features: int) -> int:
        """Free variances."""

    @abstractmethod
    def fit(
        self, residual: np.ndarray, weight: np.ndarray, floor: np.ndarray, previous: np.ndarray
    ) -> np.ndarray:
        """Variances (G, p) given squared residuals (G, p), weights (G,) that sum to 1, lowest
        allowed variances (p,) and the previous variances (G, p)."""


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
    exact = False

    def n_parameters(self, n_components, n_features):
        return n_components + n_features - 1

    def fit(self, residual, weight, floor, previous):
        residual = np.maximum(residual, floor)
        shape = previous[0]
        # Volume and shape are each other's condition; the loop is cheap and usually ends at once.
        for _ in range(5):
            volume = (residual / shape).mean(axis=1)
            shape = (weight / volume) @ residual
        return volume[:, None] * shape


class FreeShape(Noise):
    """``omega delta_gi`` with ``prod_i delta_gi = 1``: one volume, a shape per component."""

    exact = False

    def n_parameters(self, n_components, n_features):
        return 1 + n_components * (n_features - 1)

    def fit(self, residual, weight, floor, previous):
        log_residual = np.log(np.maximum(residual, floor))
        volume = np.exp(log_residual.mean(axis=1, keepdims=True))
        return np.exp(log_residual) / volume * (weight @ volume)

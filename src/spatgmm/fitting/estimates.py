"""What a fit estimates, in the units of the data and in the paper's parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spatgmm.covariance.family import COEFFICIENTS, Family
from spatgmm.covariance.fitted import FittedCovariance, at_bounds
from spatgmm.fitting.state import Mixture, Model

#: Shape parameters that change K by less than this have no effect.
_NO_EFFECT = 1e-10

_IDLE_NOTE = "without effect at these estimates"


@dataclass
class Estimates:
    """A fitted mixture of data of unit variance, and the way back to the user's units.

    Attributes
    ----------
    mixture : Mixture
    model : Model
    scale : float
        Units of the data per unit of the mixture's.
    relative : ndarray of shape (q,)
        The same of each variable, in units of `scale`.
    """

    mixture: Mixture
    model: Model
    scale: float
    relative: np.ndarray

    @property
    def family(self) -> Family:
        return self.model.family

    def alpha(self) -> np.ndarray:
        """``(a1, a2, a3)`` of each component, J all ones, in units of the data: (G, 3)."""
        return self.scale**2 * self.family.alpha(self.mixture.thetas)

    def variable_covariances(self) -> np.ndarray:
        """``Psi`` of each component in the units of the data, mean diagonal 1: (G, q, q)."""
        if self.family.n_variables == 1:
            return np.ones((len(self.mixture.weights), 1, 1))
        matrices = [covariance.psi.matrix for covariance in self.mixture.covariances]
        return np.outer(self.relative, self.relative) * np.array(matrices)

    def shapes(self) -> np.ndarray:
        """The shape of each component, (G, q): parameters of the decay, then of the metric."""
        return self.family.shape(self.mixture.thetas)

    def held(self, g: int) -> list[str]:
        """Why each shape parameter of component `g` is taken as known; empty where it is not."""
        kernel, shape = self.family.kernel, self.shapes()[g]
        bounds = at_bounds(shape, kernel.lower, kernel.upper)
        effects = np.abs(kernel.derivatives(shape)).max(axis=1, initial=0)
        return [
            self._bound_note(name, bound) if bound else "" if effect > _NO_EFFECT else _IDLE_NOTE
            for name, bound, effect in zip(kernel.parameter_names, bounds, effects, strict=True)
        ]

    def directions(self, g: int) -> dict[str, float]:
        """What the metric of component `g` says of directions; nothing where all are the same."""
        kernel = self.family.kernel
        of_decay = len(kernel.decay.parameter_names)
        return kernel.metric.describe(self.shapes()[g, of_decay:])

    def _bound_note(self, name: str, bound: str) -> str:
        """What it means that a shape parameter lies there."""
        decay = self.family.kernel.decay
        meaning = decay.at_bound(bound) if name in decay.parameter_names else ""
        return f"{name} at its {bound} bound" + (f": {meaning}" if meaning else "")

    def fitted(self, errors: np.ndarray | None = None) -> list[FittedCovariance]:
        """Each component's covariance in the units of the data.

        Parameters
        ----------
        errors : ndarray of shape (G, 3 + q, 3 + q), optional
            Covariances of the estimates (:meth:`Uncertainty.public_covariances`).
        """
        decay = self.family.kernel.decay
        m = len(decay.parameter_names)
        of_each = [None] * len(self.mixture.weights)
        if errors is not None:
            size = len(COEFFICIENTS) + m
            # A shape at its bound is taken as known: it adds no uncertainty.
            of_each = [
                np.nan_to_num(error[:size, :size])
                if np.isfinite(error[: len(COEFFICIENTS), : len(COEFFICIENTS)]).all()
                else None
                for error in errors
            ]
        return [
            FittedCovariance(alpha, shape[:m], error, decay)
            for alpha, shape, error in zip(self.alpha(), self.shapes(), of_each, strict=True)
        ]


@dataclass
class Uncertainty:
    """Covariances of the estimates of a fitted mixture.

    Attributes
    ----------
    estimates : Estimates
    counts : ndarray of shape (G,)
        Expected numbers of maps.
    weight_variance : ndarray of shape (G,)
    theta_covariance : ndarray of shape (G, 3 + q, 3 + q)
        Of each component's covariance parameters, standardised units; NaN in the row and column of
        a shape at its bound, which is taken as known, and for a component without maps.
    psi_variance : ndarray of shape (G, q, q) or None
        Of the entries of each component's covariance of several variables, standardised units.
    by_information : Uncertainty or None
        From the observed information alone, where the likelihood is not quite that of the data and
        these are robust to it.
    """

    estimates: Estimates
    counts: np.ndarray
    weight_variance: np.ndarray
    theta_covariance: np.ndarray
    psi_variance: np.ndarray | None = None
    by_information: Uncertainty | None = None

    @classmethod
    def unknown(cls, estimates: Estimates, counts: np.ndarray) -> Uncertainty:
        """With nothing but NaN yet."""
        G, size = len(counts), estimates.family.n_parameters
        return cls(estimates, counts, np.full(G, np.nan), np.full((G, size, size), np.nan))

    def public_covariances(self) -> np.ndarray:
        """Covariances (G, 3 + q, 3 + q) of the estimates of (a1, a2, a3, *shape).

        NaN for a shape at its bound.
        """
        jacobian = self.estimates.family.to_public(self.estimates.scale)
        unknown = np.isnan(self.theta_covariance)
        covariance = jacobian @ np.where(unknown, 0.0, self.theta_covariance) @ jacobian.T
        covariance[unknown] = np.nan
        return covariance

"""What a fit estimates, in the units of the data and in the paper's parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spatgmm.covariance.family import COEFFICIENTS, Family
from spatgmm.covariance.fitted import FittedCovariance, at_bounds
from spatgmm.covariance.metric import Curve
from spatgmm.fitting.evidence import NOTHING, Evidence
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.state import Mixture, Model

#: Shape parameters that change K by less than this have no effect.
_NO_EFFECT = 1e-10

_FIXED_NOTE = "held at a given value"

_IDLE_NOTE = "without effect at these estimates"


@dataclass
class Posterior:
    """What is known of maps whose components and tails are hidden.

    Attributes
    ----------
    responsibilities : ndarray of shape (n, G)
        Rows sum to the maps' weights.
    pulls, pull_variance : ndarray of shape (n, G) or None
        Mean and variance of the hidden ``u`` of a map in a component
        (:mod:`spatgmm.fitting.tails`); None where all are 1.
    map_weights : ndarray of shape (n,) or None
        How often each map counts; None: once.
    """

    responsibilities: np.ndarray
    pulls: np.ndarray | None = None
    pull_variance: np.ndarray | None = None
    map_weights: np.ndarray | None = None

    def of(self, g: int) -> OfComponent:
        """That of component `g`."""
        if self.pulls is None:
            return OfComponent(self.responsibilities[:, g])
        return OfComponent(self.responsibilities[:, g], self.pulls[:, g], self.pull_variance[:, g])


@dataclass
class OfComponent:
    """Columns (n,) of a :class:`Posterior` that belong to one component."""

    weights: np.ndarray
    pulls: np.ndarray | None = None
    pull_variance: np.ndarray | None = None

    def some(self, rows: np.ndarray) -> OfComponent:
        columns = (self.weights, self.pulls, self.pull_variance)
        return OfComponent(*(None if column is None else column[rows] for column in columns))

    @property
    def pulling(self) -> np.ndarray:
        """Weights with which maps enter a mean."""
        return self.weights if self.pulls is None else self.weights * self.pulls

    def pulled(self, deviations: np.ndarray) -> np.ndarray:
        """Deviations (n, ...) as far as they count."""
        if self.pulls is None:
            return deviations
        return deviations * self.pulls.reshape(-1, *[1] * (deviations.ndim - 1))

    def lost(self, along: np.ndarray) -> np.ndarray | float:
        """Information (m, m) lost with ``u``, given scores (n, m) per unit of it."""
        if self.pull_variance is None:
            return 0.0
        return (along.T * (self.weights * self.pull_variance)) @ along


@dataclass
class Ties:
    """What parameters that are estimated have to do with each other, and which are held.

    Attributes
    ----------
    shared : ndarray of bool, shape (3 + q,)
        Which covariance parameters all components share.
    follows : list of (int, int) or None
        Of each component, places in theta of a parameter and of that which moves it by as much the
        other way; None where all move by themselves.
    weights_held : bool
    """

    shared: np.ndarray
    follows: list[tuple[int, int] | None]
    weights_held: bool = False


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
    evidence : Evidence
        What is known of the maps beside their values.
    """

    mixture: Mixture
    model: Model
    scale: float
    relative: np.ndarray
    evidence: Evidence = NOTHING

    def posterior(self, maps: Maps) -> Posterior:
        """Of maps at these estimates."""
        at = self.mixture.deviations(maps)
        _, responsibilities = self.evidence.posterior(self.mixture.log_joint_at(at))
        tails = self.mixture.tails
        return Posterior(
            responsibilities, tails.pulls(at), tails.pull_variance(at), self.evidence.weights
        )

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
        """Why each of the family's `names` is taken as known in component `g`; empty if not."""
        kernel = self.family.kernel
        coefficients = [_FIXED_NOTE if held else "" for held in self.held_alpha[g]]
        effects = np.abs(kernel.derivatives(self.shapes()[g])).max(axis=1, initial=0)
        return coefficients + [
            _FIXED_NOTE if held else note or ("" if effect > _NO_EFFECT else _IDLE_NOTE)
            for held, note, effect in zip(kernel.held, self.at_bounds(g), effects, strict=True)
        ]

    @property
    def held_alpha(self) -> np.ndarray:
        """Which coefficients are held, (G, 3)."""
        held = self.model.held
        return ~np.isnan([held.alpha_of(g) for g in range(len(self.mixture.weights))])

    @property
    def weight_note(self) -> str:
        """Why weights are taken as known; empty where they are not."""
        return "" if self.model.held.weights is None else _FIXED_NOTE

    def ties(self, components: Sequence[int]) -> Ties:
        """Those of the parameters of some components."""
        follows = [self.family.follows(self.held(g)) for g in components]
        return Ties(self.model.shared, follows, bool(self.weight_note))

    def at_bounds(self, g: int) -> list[str]:
        """What it means of each shape parameter of component `g` at a bound, else nothing."""
        kernel, shape = self.family.kernel, self.shapes()[g]
        bounds = at_bounds(shape, kernel.lower, kernel.upper)
        return [
            self._bound_note(name, bound) if bound and not held else ""
            for name, held, bound in zip(kernel.parameter_names, kernel.held, bounds, strict=True)
        ]

    def directions(self, g: int) -> dict[str, float]:
        """What the metric of component `g` says of directions; nothing where all are the same."""
        kernel = self.family.kernel
        return kernel.metric.directions(kernel.decay, self.shapes()[g])

    def _bound_note(self, name: str, bound: str) -> str:
        """What it means that a shape parameter lies there."""
        kernel = self.family.kernel
        of_decay = name in kernel.parameter_names[kernel.of_decays]
        meaning = kernel.decay.at_bound(bound) if of_decay else ""
        return f"{name} at its {bound} bound" + (f": {meaning}" if meaning else "")

    def fitted(self, curve: Curve, errors: np.ndarray | None = None) -> list[FittedCovariance]:
        """Each component's covariance in the units of the data.

        Parameters
        ----------
        curve : Curve
            Which of the kernel's decays, where it adds several.
        errors : ndarray of shape (G, 3 + q, 3 + q), optional
            Covariances of the estimates (:meth:`Uncertainty.public_covariances`).
        """
        kernel = self.family.kernel
        few = np.arange(len(COEFFICIENTS))
        places = np.append(few, len(few) + np.arange(curve.places.start, curve.places.stop))
        of_each = [None] * len(self.mixture.weights)
        if errors is not None:
            # What is held, or a shape at its bound, is taken as known: it adds no uncertainty.
            of_each = [
                np.nan_to_num(error[np.ix_(places, places)])
                if np.isfinite(error[np.ix_(few[free], few[free])]).all()
                else None
                for error, free in zip(errors, ~self.held_alpha, strict=True)
            ]
        return [
            FittedCovariance(alpha, shape[curve.places], error, kernel.decay, kernel.n_decays)
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

    def standardised(self) -> Uncertainty:
        """The same in the units of the mixture, where no square of a unit overflows."""
        return replace(self, estimates=replace(self.estimates, scale=1.0))

    def public_covariances(self) -> np.ndarray:
        """Covariances (G, 3 + q, 3 + q) of the estimates of (a1, a2, a3, *shape).

        NaN for a shape at its bound.
        """
        jacobian = self.estimates.family.to_public(self.estimates.scale)
        unknown = np.isnan(self.theta_covariance)
        covariance = jacobian @ np.where(unknown, 0.0, self.theta_covariance) @ jacobian.T
        covariance[unknown] = np.nan
        for of_one, held in zip(covariance, self.estimates.held_alpha, strict=True):
            known = np.flatnonzero(held)
            of_one[known] = of_one[:, known] = np.nan
        return covariance

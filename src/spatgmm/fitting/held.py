"""Weights, coefficients and means that the user gives, and that a fit leaves as they are.

Shape parameters are held where their bounds are (:class:`spatgmm.covariance.metric.Held`), a mean
by being of that kind (:class:`spatgmm.fitting.means.HeldMean`); coefficients alpha by steps that do
not move them (:meth:`spatgmm.covariance.family.Family.confined`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spatgmm.common.checks import finite, numbers
from spatgmm.covariance.family import COEFFICIENTS
from spatgmm.fitting.options import HELD_PARTS

#: Weights sum to 1 but for rounding.
_ROUNDING = 1e-9

#: Smallest |alpha2|, in units of the data's variance: without it no decay is left.
_SMALLEST = 1e-6


@dataclass(frozen=True, eq=False)
class Held:
    """What a mixture of data of unit variance has that is not estimated.

    Attributes
    ----------
    weights : ndarray of shape (G,) or None
    alpha : ndarray of shape (G, 3) or None
        ``(a1, a2, a3)`` of each component, NaN where they are free.
    """

    weights: np.ndarray | None = None
    alpha: np.ndarray | None = None

    def alpha_of(self, g: int) -> np.ndarray:
        """Those of one component, (3,)."""
        return np.full(len(COEFFICIENTS), np.nan) if self.alpha is None else self.alpha[g]

    @property
    def by_number(self) -> bool:
        """Whether components differ in what is held, so that they have their numbers."""
        return self.weights is not None or (self.alpha is not None and _differs(self.alpha))


class HeldParameters:
    """What ``fixed`` holds, in the units of the data.

    Parameters
    ----------
    fixed : mapping or None
        Numbers by the names of shape parameters; arrays by those of
        :data:`spatgmm.fitting.options.HELD_PARTS`.
    n_components : int
    locations : ndarray of bool, shape (p,)
        Which locations some map has.
    n_variables : int

    Attributes
    ----------
    numbers, arrays : dict
        What was given, by what it is.
    shape : dict
        Parameters of decay and metric.
    weights : ndarray of shape (G,) or None
    alpha : ndarray of shape (G, 3) or None
        NaN where free.
    means : ndarray of shape (G, p), or (G, p, q), or None

    Raises
    ------
    ValueError
        If an array has another shape, or values that cannot be.
    """

    def __init__(
        self, fixed: Mapping | None, n_components: int, locations: np.ndarray, n_variables: int = 1
    ):
        fixed, G = fixed or {}, n_components
        p, q = len(locations), n_variables
        self._locations = locations
        self.numbers = {name: value for name, value in fixed.items() if np.ndim(value) == 0}
        self.arrays = {
            name: np.asarray(value) for name, value in fixed.items() if name not in self.numbers
        }
        self.shape = {name: value for name, value in fixed.items() if name not in HELD_PARTS}
        self.weights = self.alpha = self.means = None
        if "weights" in fixed:
            self.weights = _given(fixed, "weights", (G,))
            if (self.weights <= 0).any() or abs(self.weights.sum() - 1) > _ROUNDING:
                raise ValueError(
                    f"fixed['weights'] must be positive and sum to 1, got {self.weights}"
                )
        if "means" in fixed:
            shape = (G, p) if q == 1 else (G, p, q)
            self.means = numbers("fixed['means']", fixed["means"], shape)
            # Where no map has a value a mean map may have none either.
            nowhere = ~locations.reshape(-1, *[1] * (q > 1))
            finite("fixed['means']", np.where(nowhere, 0.0, self.means))
        if "alpha" in fixed:
            self.alpha = _given(fixed, "alpha", (G, len(COEFFICIENTS)))
        for k, name in enumerate(COEFFICIENTS):
            if name in fixed:
                if self.alpha is None:
                    self.alpha = np.full((G, len(COEFFICIENTS)), np.nan)
                self.alpha[:, k] = _given(fixed, name, (G,))

    @property
    def maps(self) -> np.ndarray | None:
        """The means at the locations that maps have, (G, p q) as maps are; None where free."""
        if self.means is None:
            return None
        return self.means[:, self._locations].reshape(len(self.means), -1)

    def within(self, scale: float, shared: bool) -> Held:
        """In the units of a mixture, of which one counts `scale` in those of the data.

        Parameters
        ----------
        scale : float
        shared : bool
            Whether all components have the same coefficients.

        Raises
        ------
        ValueError
            If a held alpha2 leaves nothing of the decay, or components share what differs.
        """
        if self.alpha is None:
            return Held(self.weights)
        if shared and _differs(self.alpha):
            raise ValueError(
                "fixed: coefficients that all components share (sharing) differ between them"
            )
        alpha = self.alpha / scale**2
        flat = np.flatnonzero(np.abs(alpha[:, 1]) < _SMALLEST)
        if flat.size:
            raise ValueError(
                f"fixed: component {flat[0]}'s alpha2 is {self.alpha[flat[0], 1]:g}, beside a "
                f"variance of {scale**2:.3g}: without it no decay is left to fit"
            )
        return Held(self.weights, alpha)

    def exactly(self, alpha: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Public `alpha` (G, 3) and `means`, with what is held as it was given.

        Units and rotations change the last digits.
        """
        if self.alpha is not None:
            alpha = np.where(np.isnan(self.alpha), alpha, self.alpha)
        if self.means is not None:
            means = np.where(np.isnan(means), np.nan, self.means)
        return alpha, means


def _differs(alpha: np.ndarray) -> bool:
    """Whether components (G, 3) have not all the same."""
    return not all(np.array_equal(own, alpha[0], equal_nan=True) for own in alpha)


def _given(fixed: Mapping, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """What is held under a name; one number is that of all components."""
    value, place = fixed[name], f"fixed[{name!r}]"
    if np.ndim(value) == 0:
        value = np.full(shape, value)
    return finite(place, numbers(place, value, shape))

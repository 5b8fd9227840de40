"""What a component's mean map can be: anything, or a combination of a few given maps.

Given the weighted mean ``m`` of a component's maps, its mean is the generalised least squares
estimate ``mu = Phi b``, ``b = (Phi' W Phi)^-1 Phi' W m`` with ``W = Xi^-1``, where the columns of
``Phi`` span what a mean can be; where that is every map, it is ``m`` itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from spatgmm.covariance.family import Covariance
from spatgmm.fitting.maps import Blocks


class Mean(ABC):
    """What the rest of the package asks of a kind of mean."""

    name: str

    #: Whether a mean follows the maps wherever they go: one parameter for each location.
    is_free = False

    @abstractmethod
    def centre(self, X: np.ndarray) -> np.ndarray:
        """What to subtract from maps (n, p) before fitting, (p,); NaN are missing."""

    @abstractmethod
    def n_parameters(self, n_components: int, n_locations: int) -> int:
        """Free parameters of the means of all components."""

    @abstractmethod
    def basis(self, ones: Blocks) -> Blocks:
        """The maps that span a mean, (k, p_b) block by block; `ones` is the constant one."""

    def estimates(
        self, centres: list[Blocks], covariances: list[Covariance], ones: Blocks
    ) -> list[Blocks]:
        """Each component's mean, given the weighted mean of its maps."""
        basis = self.basis(ones)
        return [
            _least_squares(centre, covariance, basis)
            for centre, covariance in zip(centres, covariances, strict=True)
        ]


class FreeMean(Mean):
    """One parameter for each location."""

    name = "free"
    is_free = True

    def centre(self, X):
        return X.mean(axis=0, where=observed(X))

    def n_parameters(self, n_components, n_locations):
        return n_components * n_locations

    def basis(self, ones):
        ends = np.cumsum([len(block) for block in ones])
        return np.split(np.eye(ends[-1]), ends[:-1], axis=1)

    def estimates(self, centres, covariances, ones):
        return centres


class ConstantMean(Mean):
    """The same value at all locations."""

    name = "constant"

    def centre(self, X):
        return np.full(X.shape[1], X.mean(where=observed(X)))

    def n_parameters(self, n_components, n_locations):
        return n_components

    def basis(self, ones):
        return [u[None] for u in ones]


_MEANS = {mean.name: mean for mean in (FreeMean(), ConstantMean())}


def names() -> list[str]:
    """Names of the means that ``mean=`` accepts."""
    return list(_MEANS)


def get(name: str) -> Mean:
    """The mean of that name (one of :func:`names`)."""
    return _MEANS[name]


def observed(X: np.ndarray) -> np.ndarray | bool:
    """Which values are not missing, as numpy's ``where``; True without a copy where all are."""
    return ~np.isnan(X) if np.isnan(X).any() else True


def _least_squares(centre: Blocks, covariance: Covariance, basis: Blocks) -> Blocks:
    weighted = covariance.solve(basis)
    rhs = sum(w @ m for w, m in zip(weighted, centre, strict=True))
    gram = sum(w @ phi.T for w, phi in zip(weighted, basis, strict=True))
    coefficients = np.linalg.solve(gram, rhs)
    return [coefficients @ phi for phi in basis]

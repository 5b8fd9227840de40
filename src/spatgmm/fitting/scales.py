"""Variances that differ by location: one scale per location, shared by all components.

``Xi_g = diag(s) C_g diag(s)`` with ``C_g`` the structured covariance and ``s`` of geometric mean 1.
A scale on the whole covariance, not on the nugget alone: where an image is brighter or better
exposed, signal and noise grow together.  Shared, since it is a property of where, not of which
cluster; ``p - 1`` parameters whatever the number of components.

Given everything else, the factors ``r`` by which the maps ``x / s`` should still be multiplied
minimise

``f(r) = r' M r - 2 n sum_j log r_j``,  ``M = sum_g n_g (C_g^-1 o S_g)``,

with ``o`` the elementwise product and ``S_g`` the scatter of component g's maps ``x / s``.  Such
products of positive definite matrices are positive definite (Schur), so ``f`` is convex; one Newton
step that does not rise keeps EM a generalised EM algorithm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from spatgmm.fitting.maps import Blocks, Maps

if TYPE_CHECKING:
    from spatgmm.fitting.state import Mixture

_MAX_HALVINGS = 20

#: Largest logarithm of a scale: where maps are few, a location without any residual would have
#: none, and the likelihood no maximum.
_LARGEST = np.log(1e3)

#: Smallest starting scale, in units of their root mean square: a constant column has no variance.
_SMALLEST = 1e-2


class Scales(ABC):
    """What each location's values are divided by, as a part of a mixture's parameters."""

    name: str

    #: Whether locations differ, so that a grid has no symmetry and a constant map is none.
    differ = True

    @abstractmethod
    def start(self, maps: Maps) -> Scales:
        """Scales to start from."""

    @abstractmethod
    def n_parameters(self, n_locations: int) -> int:
        """Free parameters."""

    @abstractmethod
    def values(self, n_locations: int) -> np.ndarray:
        """The scale of each location, shape (p,)."""

    @abstractmethod
    def divide(self, maps: Maps) -> Maps:
        """Maps with each location divided by its scale."""

    @abstractmethod
    def divide_vectors(self, vectors: Blocks) -> Blocks:
        """The same for maps (k, p) that span a mean, block by block."""

    @abstractmethod
    def multiply(self, vectors: Blocks) -> Blocks:
        """The inverse for maps (n, p), block by block."""

    @abstractmethod
    def log_volume(self, maps: Maps) -> np.ndarray | float:
        """``sum_j log s_j`` over the observed pixels of each map."""

    @abstractmethod
    def flat(self) -> np.ndarray:
        """The scales as numbers that may be moved freely."""

    @abstractmethod
    def from_flat(self, flat: np.ndarray) -> Scales:
        """The inverse of :meth:`flat`."""

    @abstractmethod
    def improved(self, step: Mixture, moments: list, counts: np.ndarray) -> Mixture:
        """The mixture `step` with better scales; means and covariances follow.

        Parameters
        ----------
        step : Mixture
        moments : list of Blocks or None
            Each component's scatter about its mean in `step`, of maps divided by these scales;
            None where it has no maps.
        counts : ndarray of shape (G,)
        """


class NoScales(Scales):
    """All locations alike."""

    name = "constant"
    differ = False

    def start(self, maps):
        return self

    def n_parameters(self, n_locations):
        return 0

    def values(self, n_locations):
        return np.ones(n_locations)

    def divide(self, maps):
        return maps

    def divide_vectors(self, vectors):
        return vectors

    def multiply(self, vectors):
        return vectors

    def log_volume(self, maps):
        return 0.0

    def flat(self):
        return np.empty(0)

    def from_flat(self, flat):
        return self

    def improved(self, step, moments, counts):
        return step


class LocationScales(Scales):
    """One scale per location, geometric mean 1.

    Parameters
    ----------
    scales : ndarray of shape (p,) or None
        None before :meth:`start`.
    """

    name = "location"

    def __init__(self, scales: np.ndarray | None = None):
        self._scales = scales

    def start(self, maps):
        """Standard deviations of the locations (missing values left out)."""
        scales = np.nanstd(maps.blocks[0], axis=0)
        scales = np.maximum(scales, _SMALLEST * np.sqrt(np.mean(scales**2)))
        return LocationScales(scales / np.exp(np.log(scales).mean()))

    def n_parameters(self, n_locations):
        return n_locations - 1

    def values(self, n_locations):
        return self._scales

    def divide(self, maps):
        return maps.divided(self._scales)

    def divide_vectors(self, vectors):
        return [vectors[0] / self._scales]

    def multiply(self, vectors):
        return [vectors[0] * self._scales]

    def log_volume(self, maps):
        return maps.log_volume(self._scales)

    def flat(self):
        return np.log(self._scales)

    def from_flat(self, flat):
        return LocationScales(np.exp(flat))

    def improved(self, step, moments, counts):
        if all(scatter is None for scatter in moments):
            return step
        M = sum(
            n * covariance.inverse[0] * scatter[0]
            for n, covariance, scatter in zip(counts, step.covariances, moments, strict=True)
            if scatter is not None
        )
        log_scale = self.flat()
        factors = _newton_step(M, counts.sum(), log_scale - _LARGEST, log_scale + _LARGEST)
        # Covariances take over what would move the geometric mean away from 1.
        overall = np.exp(np.log(factors).mean())
        factors /= overall
        return replace(
            step,
            means=[[mean[0] * factors] for mean in step.means],
            covariances=[
                c.family.inside(c.family.rescaled(c.theta, 1 / overall)) for c in step.covariances
            ],
            scales=LocationScales(self._scales / factors),
        )


_SCALES = {scales.name: scales for scales in (NoScales(), LocationScales())}


def names() -> list[str]:
    """What ``variance=`` accepts."""
    return list(_SCALES)


def get(name: str) -> Scales:
    """The scales of that name (one of :func:`names`)."""
    return _SCALES[name]


def _newton_step(M: np.ndarray, n: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """From ``r = 1``, in ``log r`` between its limits; ``f`` does not rise."""

    def objective(log_r):
        r = np.exp(log_r)
        return r @ M @ r - 2 * n * log_r.sum()

    present = M.sum(axis=1)
    hessian = 2 * M
    np.einsum("ii->i", hessian)[:] += 2 * np.maximum(present, n)
    try:
        factors = cho_factor(hessian)
    except LinAlgError:  # M is positive semidefinite but for rounding, and here that decides
        return np.ones(len(M))
    step = np.clip(-cho_solve(factors, 2 * present - 2 * n), low, high)
    at_one = objective(np.zeros(len(M)))
    for _ in range(_MAX_HALVINGS):
        if objective(step) <= at_one:
            return np.exp(step)
        step /= 2
    return np.ones(len(M))

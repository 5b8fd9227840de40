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

from dataclasses import replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from spatgmm.covariance.family import NU
from spatgmm.fitting.maps import Blocks
from spatgmm.fitting.state import Mixture

_MAX_HALVINGS = 20

#: Largest logarithm of a scale: where maps are few, a location without any residual would have
#: none, and the likelihood no maximum.
_LARGEST = np.log(1e3)

#: Smallest starting scale, in units of the median: a constant column has no variance of its own.
_SMALLEST = 1e-2


def starting_scale(X: np.ndarray) -> np.ndarray:
    """Standard deviations of the columns (missing values left out), geometric mean 1."""
    scale = np.nanstd(X, axis=0)
    scale = np.maximum(scale, _SMALLEST * np.median(scale) + 1e-300)
    return scale / np.exp(np.log(scale).mean())


def rescaled(step: Mixture, scatters: list[Blocks | None], counts: np.ndarray) -> Mixture:
    """The mixture `step` with better scales; means and covariances follow.

    Parameters
    ----------
    step : Mixture
    scatters : list of Blocks or None
        Each component's scatter about its mean in `step`, divided by ``step.scale``.
    counts : ndarray of shape (G,)

    Returns
    -------
    Mixture
    """
    M = sum(
        n * covariance.inverse[0] * scatter[0]
        for n, covariance, scatter in zip(counts, step.covariances, scatters, strict=True)
        if scatter is not None
    )
    log_scale = np.log(step.scale)
    factors = _newton_step(M, counts.sum(), log_scale - _LARGEST, log_scale + _LARGEST)
    # Covariances take over what would move the geometric mean away from 1.
    overall = np.exp(np.log(factors).mean())
    factors /= overall
    units = np.ones(len(step.covariances[0].theta))
    units[: NU + 1] = overall**-2
    return replace(
        step,
        means=[[mean[0] * factors] for mean in step.means],
        covariances=[c.family.inside(c.theta * units) for c in step.covariances],
        scale=step.scale / factors,
    )


def _newton_step(M: np.ndarray, n: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """From ``r = 1``, in ``log r`` between its limits; ``f`` does not rise."""

    def objective(log_r):
        r = np.exp(log_r)
        return r @ M @ r - 2 * n * log_r.sum()

    present = M.sum(axis=1)
    hessian = 2 * M
    np.einsum("ii->i", hessian)[:] += 2 * np.maximum(present, n)
    step = np.clip(-cho_solve(cho_factor(hessian), 2 * present - 2 * n), low, high)
    at_one = objective(np.zeros(len(M)))
    for _ in range(_MAX_HALVINGS):
        if objective(step) <= at_one:
            return np.exp(step)
        step /= 2
    return np.ones(len(M))

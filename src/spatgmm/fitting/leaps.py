"""Leaps ahead of a creeping EM: Anderson acceleration of a mixture's parameters.

Where components overlap, EM gains little by little in the same direction.  A leap extrapolates the
last steps; :func:`spatgmm.fitting.em.run` refuses one that lowers the log-likelihood, which a plain
step cannot, so that the trace is monotone with leaps as without.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spatgmm.common.anderson import Anderson
from spatgmm.covariance.family import SHAPE
from spatgmm.fitting.state import Mixture

#: Leaping while the clusters still form can lead to another, worse, optimum: plain steps until one
#: gains less than this, in units of the log-likelihood.
_SETTLED = 1.0

#: Plain steps where a leap gained next to nothing: only they tell whether EM has converged.
_PLAIN_STEPS = 4

#: Smallest size of a coefficient, in units of the data's variance, that its steps are measured by.
_SMALLEST = 0.05


class Leaps:
    """When to leap, and where to.

    Parameters
    ----------
    n_maps : int
    tol : float
        A leap that gains less may have arrived.
    """

    def __init__(self, n_maps: int, tol: float):
        self._n_maps = n_maps
        self._tol = tol
        self._settled = False
        self._plain_left = 0
        self._anderson: Anderson | None = None

    def propose(self, mixture: Mixture, step: Mixture) -> Mixture | None:
        """A mixture beyond `step`, which is EM's update of `mixture`; None for a plain step."""
        if not self._settled:
            return None
        flat = _flat(mixture)
        if self._anderson is None:
            self._anderson = Anderson(flat.size)
        self._anderson.remember(flat, _flat(step))
        if self._plain_left:
            self._plain_left -= 1
            return None
        leap = _mixture(self._anderson.extrapolate(self._metric(step)), step)
        if leap is None:
            self._anderson.refused()
        return leap

    def accepted(self, gain: float) -> None:
        """The leap was taken, and gained that much."""
        self._anderson.accepted()
        if gain < self._tol:
            self._plain_left = _PLAIN_STEPS

    def refused(self) -> None:
        """The leap led downhill."""
        self._anderson.refused()

    def plain(self, gain: float) -> None:
        """A plain step was taken, and gained that much."""
        self._settled |= gain < _SETTLED

    def _metric(self, mixture: Mixture) -> np.ndarray:
        """Roughly the root of each parameter's Fisher information, data being of unit variance."""
        counts = self._n_maps * mixture.weights
        p = sum(len(block) for block in mixture.means[0])
        of_means = np.repeat(np.sqrt(counts), p)
        of_thetas = np.sqrt(counts * p)[:, None] / np.maximum(np.abs(mixture.thetas), _SMALLEST)
        parts = [np.sqrt(counts), of_means, of_thetas.ravel()]
        if mixture.scale is not None:
            parts.append(np.full(p, np.sqrt(self._n_maps)))
        return np.concatenate(parts)


def _flat(mixture: Mixture) -> np.ndarray:
    """A mixture's parameters as one array that may be moved freely."""
    parts = [np.log(np.maximum(mixture.weights, 1e-300))]
    parts += [block for mean in mixture.means for block in mean]
    parts.append(mixture.thetas.ravel())
    if mixture.scale is not None:
        parts.append(np.log(mixture.scale))
    return np.concatenate(parts)


def _mixture(flat: np.ndarray, like: Mixture) -> Mixture | None:
    """The mixture at these parameters; None outside the positive-definite cone."""
    G, size = like.thetas.shape
    sizes = [len(block) for block in like.means[0]]
    p = sum(sizes)
    log_weights, means, thetas, log_scale = np.split(flat, np.cumsum([G, G * p, G * size]))
    family = like.covariances[0].family
    kernel = family.kernel
    thetas = thetas.reshape(G, size)
    thetas[:, SHAPE] = np.clip(thetas[:, SHAPE], kernel.lower, kernel.upper)
    covariances = [family.at(theta) for theta in thetas]
    if any(covariance is None for covariance in covariances):
        return None
    weights = np.exp(log_weights - log_weights.max())
    splits = np.cumsum(sizes)[:-1]
    return replace(
        like,
        weights=weights / weights.sum(),
        means=[np.split(mean, splits) for mean in means.reshape(G, p)],
        covariances=covariances,
        scale=None if like.scale is None else np.exp(log_scale),
    )

"""The data as EM sees them: maps in the rotated basis, complete or with missing pixels.

A solver needs three things of them: the distance of every map from a component, and the weighted
mean and scatter of the maps of one component.  With missing pixels these come from the
exact conditional distribution of what is missing given what is there (Little and Rubin,
"Statistical Analysis with Missing Data", 2nd edition, section 11.2), so that EM stays EM for the
likelihood of the observed values.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spatgmm.covariance.family import Covariance

Blocks = list[np.ndarray]

#: Squared Mahalanobis distances (n,) of maps, and the log-determinant of the covariance of what is
#: observed of each, (n,) or one number for all.
Distances = tuple[np.ndarray, "np.ndarray | float"]

#: Responsibilities below this do not enter a scatter matrix.
_NEGLIGIBLE = 1e-13

#: Numbers in a temporary copy of some rows of the data (4 MB).
_CHUNK_VALUES = 2**19

_LOG_2PI = np.log(2 * np.pi)


class Maps:
    """Complete maps.

    Parameters
    ----------
    blocks : list of ndarray of shape (n, p_b)
        The data in the rotated basis of :class:`spatgmm.covariance.geometry.Geometry`.
    """

    def __init__(self, blocks: Blocks):
        self.blocks = blocks

    def __len__(self) -> int:
        return len(self.blocks[0])

    @property
    def n_locations(self) -> int:
        return sum(block.shape[1] for block in self.blocks)

    @property
    def is_complete(self) -> bool:
        """Whether no pixel is missing."""
        return bool((self.n_observed == self.n_locations).all())

    @property
    def n_observed(self) -> np.ndarray:
        """Observed pixels of each map, shape (n,)."""
        return np.full(len(self), self.n_locations)

    def divided(self, scale: np.ndarray) -> Maps:
        """The same maps with each location divided by its scale (one dense block only)."""
        return type(self)([block / scale for block in self.blocks])

    def log_volume(self, scale: np.ndarray) -> np.ndarray:
        """``sum_j log s_j`` over the observed pixels of each map, shape (n,)."""
        return np.full(len(self), np.log(scale).sum())

    def completed(self, mean: Blocks, covariance: Covariance) -> Maps:
        """Complete maps, with what a component says of their missing pixels."""
        return self

    def inside(self, covariance: Covariance) -> Covariance:
        """The covariance, or one near it under which every one of these maps has a density."""
        return covariance

    def distances(self, mean: Blocks, covariance: Covariance) -> Distances:
        """How far each map lies from a component, over its observed pixels."""
        distance = np.empty(len(self))
        for rows in _chunks(len(self), self.n_locations):
            residuals = [block[rows] - m for block, m in zip(self.blocks, mean, strict=True)]
            distance[rows] = covariance.mahalanobis(residuals)
        return distance, covariance.log_det

    def log_density(self, mean: Blocks, covariance: Covariance) -> np.ndarray:
        """``log N(x_i; mu, Xi)`` of the observed pixels, shape (n,)."""
        distance, log_det = self.distances(mean, covariance)
        return -0.5 * (self.n_observed * _LOG_2PI + log_det + distance)

    def mean(self, weights: np.ndarray) -> Blocks:
        """The weighted mean map, block by block."""
        total = max(weights.sum(), 1e-300)  # a component that lost all its maps has its mean at 0
        return [weights @ block / total for block in self.blocks]

    def mean_within(self, weights: np.ndarray, basis: Blocks, covariance: Covariance) -> Blocks:
        """The best mean among the combinations of basis maps (k, p_b).

        Given the weighted mean ``m``: ``mu = Phi b``, ``b = (Phi' W Phi)^-1 Phi' W m``,
        ``W = Xi^-1``.
        """
        weighted = covariance.solve(basis)
        rhs = sum(w @ m for w, m in zip(weighted, self.mean(weights), strict=True))
        gram = sum(w @ phi.T for w, phi in zip(weighted, basis, strict=True))
        coefficients = np.linalg.solve(gram, rhs)
        return [coefficients @ phi for phi in basis]

    def moments(
        self, weights: np.ndarray, centre: Blocks, pulls: np.ndarray | None = None
    ) -> Blocks:
        """``S = sum_i w_i u_i (x_i - mu)(x_i - mu)' / sum_i w_i``, the diagonal blocks alone.

        `pulls` are ``u`` (n,), what heavy tails leave of each deviation; all 1 by default.
        """
        rows = np.flatnonzero(weights > _NEGLIGIBLE)
        root = np.sqrt(weights[rows] / weights[rows].sum())[:, None]
        if pulls is not None:
            root *= np.sqrt(pulls[rows, None])
        scatter = []
        for block, mean in zip(self.blocks, centre, strict=True):
            S = np.zeros((len(mean), len(mean)))
            for some in _chunks(len(rows), len(mean)):
                scaled = block[rows[some]]
                scaled -= mean
                scaled *= root[some]
                S += scaled.T @ scaled
            scatter.append(S)
        return scatter


class IncompleteMaps(Maps):
    """Maps with missing pixels, NaN; one dense block.

    Raises
    ------
    ValueError
        If the data are in more than one block: a reflection mixes what is missing with what is not.
    """

    def __init__(self, blocks: Blocks):
        super().__init__(blocks)
        if len(blocks) != 1:
            raise ValueError("missing pixels need one dense block")
        missing = np.isnan(blocks[0])
        patterns, which = np.unique(missing, axis=0, return_inverse=True)
        which = which.ravel()
        #: Rows and missing columns, for every pattern with missing pixels.
        self.patterns = [
            (np.flatnonzero(which == k), np.flatnonzero(pattern))
            for k, pattern in enumerate(patterns)
            if pattern.any()
        ]
        self._batches = list(_batches(patterns, which))
        self._n_observed = (~missing).sum(axis=1)

    @property
    def n_observed(self):
        return self._n_observed

    def log_volume(self, scale):
        return ~np.isnan(self.blocks[0]) @ np.log(scale)

    def completed(self, mean, covariance):
        """Every missing pixel replaced by its expectation given the others of its map.

        With ``W = Xi^-1``, missing ``m`` and observed ``o``: the conditional mean is
        ``mu_m - W_mm^-1 W_mo (x_o - mu_o)`` and the conditional covariance ``W_mm^-1``, so that
        only matrices of the size of what is missing are factored.
        """
        (W,), (mu,) = covariance.inverse, mean
        residuals = np.nan_to_num(self.blocks[0] - mu)
        pulled = residuals @ W
        conditional, log_det = [], np.zeros(len(self))
        for rows, which, missing in self._batches:
            among = W[missing[:, :, None], missing[:, None, :]]
            factors = np.linalg.cholesky(among)
            covariances = np.linalg.inv(among)
            pull = pulled[rows[:, None], missing[which]]
            filled = np.einsum("rkm,rm->rk", covariances[which], pull)
            residuals[rows[:, None], missing[which]] = -filled
            log_dets = 2 * np.log(np.einsum("ukk->uk", factors)).sum(axis=1)
            log_det[rows] = log_dets[which]
            conditional.append((rows, which, missing, covariances))
        return _CompletedMaps([residuals + mu], conditional, log_det)

    def distances(self, mean, covariance):
        return self.completed(mean, covariance).distances(mean, covariance)


class _CompletedMaps(Maps):
    """Conditional means of maps, with the conditional covariance of what was missing."""

    def __init__(self, blocks, conditional, log_det):
        super().__init__(blocks)
        self._conditional = conditional
        self._log_det = log_det

    def distances(self, mean, covariance):
        # The quadratic form of the observed pixels is that of the map with the others at their
        # conditional mean, and |Xi_oo| = |Xi| |W_mm|.
        distance, log_det = super().distances(mean, covariance)
        return distance, log_det + self._log_det

    def moments(self, weights, centre, pulls=None):
        # What a map does not show varies as much as its other pixels: its u cancels there.
        (S,) = super().moments(weights, centre, pulls)
        p, shares = len(S), weights / weights.sum()
        for rows, which, missing, covariances in self._conditional:
            of_pattern = np.bincount(which, shares[rows], len(missing))
            places = missing[:, :, None] * p + missing[:, None, :]
            added = of_pattern[:, None, None] * covariances
            S += np.bincount(places.ravel(), added.ravel(), p * p).reshape(p, p)
        return [S]


def _batches(
    patterns: np.ndarray, which: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Patterns with as many missing pixels, some at a time, so that they are solved together.

    Parameters
    ----------
    patterns : ndarray of bool, shape (u, p)
    which : ndarray of shape (n,)
        The pattern of each map.

    Yields
    ------
    rows : ndarray of shape (r,)
        Maps of these patterns.
    which : ndarray of shape (r,)
        The pattern of each of them, among these.
    missing : ndarray of shape (b, k)
        Missing columns of each pattern.
    """
    numbers = patterns.sum(axis=1)
    rows_of = [np.flatnonzero(which == k) for k in range(len(patterns))]
    for k in np.unique(numbers[numbers > 0]):
        alike = np.flatnonzero(numbers == k)
        # As many maps as their conditional covariances, one each, find room for.
        ends = np.cumsum([len(rows_of[pattern]) for pattern in alike]) * k**2 // _CHUNK_VALUES
        for some in np.split(alike, np.flatnonzero(np.diff(ends)) + 1):
            rows = [rows_of[pattern] for pattern in some]
            yield (
                np.concatenate(rows),
                np.repeat(np.arange(len(some)), [len(of_one) for of_one in rows]),
                np.nonzero(patterns[some])[1].reshape(len(some), k),
            )


def _chunks(n: int, p: int) -> list[slice]:
    """Rows to work on at a time, so that temporary arrays stay small beside the data."""
    size = max(_CHUNK_VALUES // p, 1)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]

"""Complete maps of a regular grid, in the basis of cosines where a covariance is its diagonal.

EM asks the same of them as of :class:`spatgmm.fitting.maps.Maps`; second moments are mean squares,
one per cosine, and everything costs O(n p).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spatgmm.covariance.cosine import CosineCovariance

Blocks = list[np.ndarray]

#: Rows and columns of the data that are squared at a time (512 kB): nothing as large as the data is
#: ever made beside them.
_TILE = 256

_LOG_2PI = np.log(2 * np.pi)

#: Which cosines of a component's mean are free; the others are zero.
FREE_COSINES = {"free": slice(None), "constant": slice(0, 1)}


class CosineMaps:
    """Maps in the basis of :class:`spatgmm.covariance.cosine.CosineGeometry`.

    Parameters
    ----------
    blocks : list of one ndarray of shape (n, p)

    Raises
    ------
    ValueError
        If a pixel is missing: every cosine mixes it with all others.
    """

    def __init__(self, blocks: Blocks):
        self.blocks = blocks
        # The first cosine is constant: a missing pixel has spread there.
        missing = np.isnan(blocks[0][:, 0])
        if missing.any():
            raise ValueError(
                f"likelihood='cosine': X row {missing.argmax()} has missing pixels, which cosines "
                "cannot carry; use likelihood='vecchia'"
            )

    def __len__(self) -> int:
        return len(self.blocks[0])

    @property
    def n_locations(self) -> int:
        return self.blocks[0].shape[1]

    @property
    def n_observed(self) -> np.ndarray:
        """Observed pixels of each map, shape (n,)."""
        return np.full(len(self), self.n_locations)

    def divided(self, scale: None) -> CosineMaps:
        """The same maps; variances that differ by location mix all cosines."""
        if scale is not None:
            raise ValueError(
                "likelihood='cosine': variance='location' is not diagonal in cosines; "
                "use likelihood='exact' or 'vecchia'"
            )
        return self

    def completed(self, mean: Blocks, covariance: CosineCovariance) -> CosineMaps:
        """The same maps: nothing is missing."""
        return self

    def quadratic(self, centre: Blocks, diagonals: np.ndarray) -> np.ndarray:
        """``(x_i - mu)' diag(a_k) (x_i - mu)`` for diagonals (k, p), shape (n, k)."""
        forms = np.zeros((len(self), len(diagonals)))
        for rows, columns, squares in self._squares(centre[0]):
            forms[rows] += squares @ diagonals[:, columns].T
        return forms

    def log_density(self, mean: Blocks, covariance: CosineCovariance) -> np.ndarray:
        """``log N(x_i; mu, Xi)``, shape (n,)."""
        distance = self.quadratic(mean, covariance.precisions[None])[:, 0]
        return -0.5 * (self.n_locations * _LOG_2PI + covariance.log_det + distance)

    def mean(self, weights: np.ndarray) -> Blocks:
        """The weighted mean map."""
        total = max(weights.sum(), 1e-300)  # a component that lost all its maps has its mean at 0
        return [weights @ self.blocks[0] / total]

    def moments(self, weights: np.ndarray, centre: Blocks) -> Blocks:
        """Weighted mean squares about a centre, the diagonal of the scatter matrix, shape (p,)."""
        mean_squares = np.zeros(self.n_locations)
        shares = weights / weights.sum()
        for rows, columns, squares in self._squares(centre[0]):
            mean_squares[columns] += shares[rows] @ squares
        return [mean_squares]

    #: The name under which EM asks for them.
    scatter = moments

    def _squares(self, centre: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Squared deviations from a centre, tile by tile, with the tile's rows and columns."""
        n, p = self.blocks[0].shape
        for row in range(0, n, _TILE):
            rows = slice(row, row + _TILE)
            for column in range(0, p, _TILE):
                columns = slice(column, column + _TILE)
                squares = self.blocks[0][rows, columns] - centre[columns]
                squares *= squares
                yield rows, columns, squares

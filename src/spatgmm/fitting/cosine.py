"""Complete maps of a regular grid, in the basis of cosines where a covariance is its diagonal.

EM asks the same of them as of :class:`spatgmm.fitting.maps.Maps`; second moments are mean squares,
one per cosine, and everything costs O(n p).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spatgmm.covariance.cosine import CosineCovariance
from spatgmm.fitting.maps import Blocks, Distances, Maps
from spatgmm.fitting.state import Model

#: Rows and columns of the data that are squared at a time (512 kB): nothing as large as the data is
#: ever made beside them.
_TILE = 256

#: A map that spans a mean has the same size, or none, at a cosine.
_PRESENT = 1e-6


class CosineMaps(Maps):
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
        super().__init__(blocks)
        # The first cosine is constant: a missing pixel has spread there.
        missing = np.isnan(blocks[0][:, 0])
        if missing.any():
            raise ValueError(
                f"likelihood='cosine': X row {missing.argmax()} has missing pixels, which cosines "
                "cannot carry; use likelihood='vecchia'"
            )

    def quadratic(self, centre: Blocks, diagonals: np.ndarray) -> np.ndarray:
        """``(x_i - mu)' diag(a_k) (x_i - mu)`` for diagonals (k, p), shape (n, k)."""
        forms = np.zeros((len(self), len(diagonals)))
        for rows, columns, squares in self._squares(centre[0]):
            forms[rows] += squares @ diagonals[:, columns].T
        return forms

    def distances(self, mean: Blocks, covariance: CosineCovariance) -> Distances:
        return self.quadratic(mean, covariance.precisions[None])[:, 0], covariance.log_det

    def moments(self, weights: np.ndarray, centre: Blocks) -> Blocks:
        """Weighted mean squares about a centre, the diagonal of the scatter matrix, shape (p,)."""
        mean_squares = np.zeros(self.n_locations)
        shares = weights / weights.sum()
        for rows, columns, squares in self._squares(centre[0]):
            mean_squares[columns] += shares[rows] @ squares
        return [mean_squares]

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


def free_cosines(model: Model) -> np.ndarray | slice:
    """Columns of the cosines that are free in each component's own mean."""
    if model.mean.is_free:
        return slice(None)
    return np.flatnonzero((np.abs(model.basis[0]) > _PRESENT).any(axis=0))

"""Roots of covariances, to draw maps with: dense, or on a torus for large grids.

A stationary covariance on a grid of m points along an axis is part of one on a torus of
``2 (m - 1)`` points, whose matrix is circulant: its root is a multiplication of Fourier
coefficients, O(p log p) and exact where no eigenvalue is negative (Dietrich and Newsam, SIAM
J. Sci. Comput. 18, 1997; Wood and Chan, J. Comput. Graph. Stat. 3, 1994).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.fft import fftn, irfftn, rfftn

#: Eigenvalues this far below 0, relative to the largest, are 0 up to rounding.
_ROUNDING = 1e-12


class Root(Protocol):
    """What turns independent numbers into maps.

    Attributes
    ----------
    n_noise : int
        Standard normal numbers that a map takes.
    """

    n_noise: int

    def coloured(self, noise: np.ndarray) -> np.ndarray:
        """Maps (n, p) with the covariance, of noise (n, n_noise)."""


class DenseRoot:
    """The lower Cholesky factor of a covariance matrix (p, p).

    Raises
    ------
    LinAlgError
        If the matrix is not positive definite.
    """

    def __init__(self, matrix: np.ndarray):
        self._factor = np.linalg.cholesky(matrix)
        self.n_noise = len(matrix)

    def coloured(self, noise):
        return noise @ self._factor.T


class TorusRoot:
    """The symmetric root of a covariance on a torus, seen on the grid.

    Parameters
    ----------
    table : ndarray of shape (m_1, ..., m_d)
        Covariances by lag along each axis, the same for lags of either sign.

    Raises
    ------
    LinAlgError
        If the torus has no such covariance: the grid may still have it.
    """

    def __init__(self, table: np.ndarray):
        self._shape = table.shape
        for axis, m in enumerate(table.shape):
            around = np.concatenate([np.arange(m), np.arange(m - 2, 0, -1)])
            table = np.take(table, around, axis=axis)
        self._torus, self.n_noise = table.shape, table.size
        values = fftn(table).real
        if values.min() < -_ROUNDING * values.max():
            raise np.linalg.LinAlgError("a negative eigenvalue on the torus")
        half = values[..., : table.shape[-1] // 2 + 1]
        self._roots = np.sqrt(np.maximum(half, 0.0))

    def coloured(self, noise):
        maps = np.empty((len(noise), np.prod(self._shape)))
        corner = tuple(slice(m) for m in self._shape)
        for one, own in zip(maps, noise, strict=True):
            coefficients = rfftn(own.reshape(self._torus)) * self._roots
            one[:] = irfftn(coefficients, s=self._torus)[corner].ravel()
        return maps

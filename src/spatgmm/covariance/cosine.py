r"""The covariances of a complete regular grid, diagonal in a basis of cosines.

In the orthonormal basis ``V`` of two- or three-dimensional cosines (DCT-II) a stationary covariance
that is even along every axis is nearly diagonal.  The best diagonal one keeps the variance of every
coefficient, exactly:

``d_k(theta) = v_k' Xi(theta) v_k = tau kappa_k(shape) + nu + c p [k = 0]``,

with ``kappa_k = v_k' K(shape) v_k``; ``J`` is ``p`` at the constant map.  A Gaussian likelihood
with these variances has unbiased estimating equations, as the debiased Whittle likelihood has
(Sykulski, Olhede, Guillaumin, Lilly and Early, Biometrika 106, 2019), without its edge that wraps
around.

Along an axis of ``m`` points, with ``a = pi u / m``, products of cosines sum to

``sum_i v_u(i) v_u(i + h) = [(m - h) cos(a h) - sin(a h) / sin(a)] / m``   (``u > 0``)

and ``(m - h) / m`` for ``u = 0``, so that all ``kappa`` are a DCT-I and a DST-I of ``K`` by lag:
``O(p log p)``, without any p x p matrix.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.fft import dct, dctn, dst, idctn

from spatgmm.covariance.family import N_COEFFICIENTS, NU, PIVOT_FLOOR, SHAPE, TAU, C, Family
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.grid import regular_grid
from spatgmm.covariance.kernel import Kernel

#: Up to so many points along an axis a table (8 MB) is faster than transforms.
_LONGEST_TABLE = 1024

#: Numbers that are transformed at a time (4 MB).
_CHUNK_VALUES = 2**19

#: Cosines along an axis that stand alone in :class:`Bands`, and how much wider every further band
#: is than the one before: a spectrum falls by a power of the frequency.
_ALONE, _WIDER = 32, 1.15


class CosineGeometry(Geometry):
    """A complete regular grid, seen in the basis of cosines.

    Parameters
    ----------
    coordinates : ndarray of shape (p, d)
        In any order.

    Raises
    ------
    ValueError
        If they are not a complete regular grid along the axes.

    Attributes
    ----------
    shape : tuple of int
        Points along each axis.
    """

    def __init__(self, coordinates: np.ndarray):
        grid = regular_grid(coordinates)
        if grid is None:
            raise ValueError(
                "likelihood='cosine': coordinates are not a complete regular grid along the axes; "
                "use likelihood='vecchia'"
            )
        super().__init__(coordinates, symmetry=True)
        self.shape, _, self._order = grid
        p = len(coordinates)
        self.ones = [np.sqrt(p) * np.eye(1, p)[0]]
        self.sizes = [p]
        self.path = "cosines"
        self._axes = [_Axis(m, np.arange(m)) for m in self.shape]

    def assemble(self, values: np.ndarray) -> list[np.ndarray]:
        """Variances of the cosines under the matrix with entries ``values(delta_jk)``.

        Parameters
        ----------
        values : ndarray of shape (m,)
            A function of distance, evaluated at :attr:`delta`.

        Returns
        -------
        list of one ndarray of shape (p,)
            ``v_k' M v_k``, the frequencies of the last axis running fastest.
        """
        return [_spectra(values.reshape(1, *self.shape), self._axes)[0]]

    def rotate(self, X: np.ndarray) -> list[np.ndarray]:
        """Coefficients of maps (n, p) in the cosines: a list of one (n, p)."""
        rotated = np.empty(X.shape)
        for rows in chunks(*X.shape):
            maps = X[rows][:, self._order].reshape(-1, *self.shape)
            transformed = dctn(maps, axes=self._map_axes, norm="ortho", overwrite_x=True)
            rotated[rows] = transformed.reshape(len(maps), -1)
        return [rotated]

    def rotate_back(self, blocks: list[np.ndarray]) -> np.ndarray:
        (rotated,) = blocks
        X = np.empty(rotated.shape)
        for rows in chunks(*rotated.shape):
            maps = rotated[rows].reshape(-1, *self.shape)
            restored = idctn(maps, axes=self._map_axes, norm="ortho")
            X[rows, self._order] = restored.reshape(len(maps), -1)
        return X

    @property
    def _map_axes(self) -> range:
        return range(1, len(self.shape) + 1)


class Bands:
    """Neighbouring cosines taken together, so that a look at a spectrum costs little at any p.

    Low frequencies stand alone; beyond, bands widen with the frequency along each axis.

    Parameters
    ----------
    geometry : CosineGeometry

    Attributes
    ----------
    of : ndarray of shape (p,)
        The band of each cosine.
    sizes : ndarray of shape (b,)
        Cosines in each band; the constant map is alone in the first.
    """

    def __init__(self, geometry: CosineGeometry):
        self._shape = geometry.shape
        firsts = [_first_of_bands(m) for m in self._shape]
        self._axes = [_Axis(m, first) for m, first in zip(self._shape, firsts, strict=True)]
        numbers = [
            np.searchsorted(first, np.arange(m), side="right") - 1
            for m, first in zip(self._shape, firsts, strict=True)
        ]
        along = np.meshgrid(*numbers, indexing="ij")
        self.of = np.ravel_multi_index(along, [len(first) for first in firsts]).ravel()
        self.sizes = np.bincount(self.of).astype(float)

    def spectra(self, values: np.ndarray) -> np.ndarray:
        """Mean variance of the cosines of each band, shape (k, b), of k functions by lag (k, p)."""
        return _spectra(values.reshape(-1, *self._shape), self._axes)


class CosineFamily(Family):
    """The family ``V diag(d(theta)) V'`` over a complete regular grid.

    Parameters
    ----------
    kernel : Kernel
        Over a :class:`CosineGeometry`.

    Raises
    ------
    ValueError
        If the kernel's metric is not even along the axes of the grid.
    """

    def __init__(self, kernel: Kernel):
        if not kernel.metric.reflects:
            raise ValueError(
                f"likelihood='cosine': metric={kernel.metric.name!r} is not even along the axes of "
                "the grid; use likelihood='exact' or 'vecchia'"
            )
        super().__init__(kernel)

    def variances(self, theta: np.ndarray) -> np.ndarray:
        """``d(theta)``, shape (p,)."""
        c, tau, nu = theta[:N_COEFFICIENTS]
        (kappa,) = self.geometry.assemble(self.kernel.value(theta[SHAPE]))
        d = tau * kappa + nu
        d[0] += c * len(d)
        return d

    def at(self, theta: np.ndarray) -> CosineCovariance | None:
        """``Xi(theta)``, or None where it is not positive definite."""
        d = self.variances(theta)
        if not d.min() > PIVOT_FLOOR:
            return None
        return CosineCovariance(self, np.asarray(theta, dtype=float), d)


class CosineCovariance:
    """``V diag(d) V'`` at one value of theta: everything the E-step and the M-step ask of it.

    Attributes
    ----------
    theta : ndarray of shape (3 + q,)
    variances : ndarray of shape (p,)
        ``d``, the variance of each cosine.
    log_det : float
    """

    def __init__(self, family: CosineFamily, theta: np.ndarray, variances: np.ndarray):
        self.family = family
        self.theta = theta
        self.variances = variances
        self.log_det = float(np.log(variances).sum())

    @cached_property
    def precisions(self) -> np.ndarray:
        """``1 / d``, shape (p,)."""
        return 1 / self.variances

    def draw(self, n: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Coefficients of maps from ``N(0, V diag(d) V')``, a list of one (n, p)."""
        return [rng.standard_normal((n, len(self.variances))) * np.sqrt(self.variances)]

    def condition_number(self) -> float:
        """Largest over smallest variance, exactly."""
        return float(self.variances.max() / self.variances.min())

    def smallest_eigenvalue(self) -> float:
        """The smallest variance, exactly."""
        return float(self.variances.min())

    def solve(self, blocks: list[np.ndarray]) -> list[np.ndarray]:
        """``Xi^-1 v`` of maps in the basis, one per row."""
        return [block * self.precisions for block in blocks]

    def mahalanobis(self, residuals: list[np.ndarray]) -> np.ndarray:
        """``(x - mu)' Xi^-1 (x - mu)`` per row of rotated residuals; they are overwritten."""
        (block,) = residuals
        block *= block
        return block @ self.precisions

    def objective(self, moments: list[np.ndarray]) -> float:
        """``log |Xi| + tr(Xi^-1 S)``: -2/n_g times the component's expected log-likelihood.

        Parameters
        ----------
        moments : list of one ndarray of shape (p,)
            Mean squares about the mean, the diagonal of ``S``.
        """
        return self.log_det + float(self.precisions @ moments[0])

    def directions(self) -> np.ndarray:
        """Relative change of each variance along ``(J, Xi, I, dXi/dshape)``, shape (3 + q, p)."""
        slopes = self.theta[TAU] * self.family.kernel.derivatives(self.theta[SHAPE])
        along = np.empty((N_COEFFICIENTS + len(slopes), len(self.variances)))
        along[C] = 0.0
        along[C, 0] = len(self.variances) * self.precisions[0]
        along[TAU] = 1.0  # Xi itself stands in for K
        along[NU] = self.precisions
        for k, slope in enumerate(slopes, start=N_COEFFICIENTS):
            along[k] = self.family.geometry.assemble(slope)[0] * self.precisions
        return along

    def score_and_information(self, moments: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Score and Fisher information per observation along ``(J, Xi, I, dXi/dshape)``.

        With ``b_k`` the diagonal of a direction: ``g_k = 1/2 sum b_k (s - d) / d^2`` and
        ``F_kl = 1/2 sum b_k b_l / d^2``.

        Returns
        -------
        score : ndarray of shape (3 + q,)
        information : ndarray of shape (3 + q, 3 + q)
        """
        along = self.directions()
        return 0.5 * along @ (moments[0] * self.precisions - 1), 0.5 * along @ along.T


class _Axis:
    """Variances of the cosines along one axis, or their means over bands, from values by lag."""

    def __init__(self, m: int, first: np.ndarray):
        self._first = first
        self._sizes = np.diff(np.append(first, m))
        self._table = self._transformed(np.eye(m)) if m <= _LONGEST_TABLE else None

    def spectra(self, values: np.ndarray) -> np.ndarray:
        """Along the last axis: from m lags to as many frequencies or bands as there are."""
        return self._transformed(values) if self._table is None else values @ self._table

    def _transformed(self, values: np.ndarray) -> np.ndarray:
        spectra = _axis_spectra(values)
        if (self._sizes == 1).all():
            return spectra
        return np.add.reduceat(spectra, self._first, axis=-1) / self._sizes


def _axis_spectra(values: np.ndarray) -> np.ndarray:
    """``v_u' M v_u`` for all ``u``, where ``M_ij`` is the value at lag ``|i - j|`` (last axis)."""
    m = values.shape[-1]
    if m == 1:
        return values
    lags = np.arange(m)
    overlap = np.zeros((*values.shape[:-1], m + 1))
    overlap[..., :m] = values * (m - lags)
    spectra = dct(overlap, type=1)[..., :m]
    spectra[..., 1:] -= dst(values[..., 1:], type=1) / np.sin(np.pi * lags[1:] / m)
    return spectra / m


def _spectra(tables: np.ndarray, axes: list[_Axis]) -> np.ndarray:
    """Spectra (k, number of frequencies or bands) of k tables of values by lag."""
    for axis, along in enumerate(axes, start=1):
        tables = np.moveaxis(along.spectra(np.moveaxis(tables, axis, -1)), -1, axis)
    return tables.reshape(len(tables), -1)


def _first_of_bands(m: int) -> np.ndarray:
    """The first frequency of each band along an axis of m points."""
    first, width = list(range(min(m, _ALONE))), 1.0
    while first[-1] + round(width) < m:
        first.append(first[-1] + round(width))
        width = max(width, first[-1] * (_WIDER - 1))
    return np.array(first)


def chunks(n: int, p: int) -> list[slice]:
    """Rows to transform at a time, so that copies stay small beside the data."""
    size = max(_CHUNK_VALUES // p, 1)
    return [slice(start, start + size) for start in range(0, n, size)]

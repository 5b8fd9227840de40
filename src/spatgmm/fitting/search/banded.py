"""Maps and covariances in bands of cosines: what the search in cosines computes with.

Cosines of nearly equal variance are taken together (:class:`spatgmm.covariance.cosine.Bands`), so
that a look at a spectrum costs little at any number of pixels; what stays are products with the
means that are free.
"""

from __future__ import annotations

from copy import copy

import numpy as np
from scipy.sparse import csr_array

from spatgmm.covariance.cosine import Bands, CosineFamily, chunks
from spatgmm.covariance.family import N_COEFFICIENTS, NU, SHAPE, TAU, C

#: Of the shapes that a kernel's grid holds, every so many are looked at.
_EVERY_SHAPE = 2

_MAX_HALVINGS = 5

#: A step that promises less than this, per map, is not worth a look at its spectrum.
_NOTHING = 1e-6

#: Smallest variance of a cosine, in units of the data's variance.
_FLOOR = 1e-8

#: Smallest |tau|: at 0 the shape would vanish from the model.
_SMALLEST_TAU = 1e-6

#: Parameters with less information than this, relative to the largest, have no effect but rounding.
_UNSEEN = 1e-28

#: Added to the information's unit diagonal.
_RIDGE = 1e-8

#: Numbers in a matrix that is faster full than sparse.
_SMALL = 2**16


class Coefficients:
    """The data in cosines: energies by band, and the coefficients whose means are free.

    Parameters
    ----------
    maps : ndarray of shape (n, p)
    bands : Bands
    columns : ndarray or slice
        The cosines that are free in a component's mean.
    common : ndarray of shape (f,), optional
        The free part of a common mean; by default that of these maps.

    Attributes
    ----------
    common : ndarray of shape (f,)
    energies : ndarray of shape (n, b)
        Sums of squares over each band; of free coefficients about their common mean.
    """

    def __init__(self, maps: np.ndarray, bands: Bands, columns, common=None):
        self.maps, self.bands = maps, bands
        self._free = maps[:, columns]
        self.common = self._free.mean(axis=0) if common is None else common
        self._sum = summing(bands.of[columns], len(bands.sizes))
        self._band_of_free = bands.of[columns]
        centre = np.zeros(maps.shape[1])
        centre[columns] = self.common
        sums = summing(bands.of, len(bands.sizes))
        self.energies = np.empty((len(maps), len(bands.sizes)))
        for rows in chunks(*maps.shape):
            self.energies[rows] = (maps[rows] - centre) ** 2 @ sums

    def __len__(self) -> int:
        return len(self.maps)

    @property
    def n_free(self) -> int:
        """Cosines of a mean that are free."""
        return len(self.common)

    def about_common_mean(self) -> Coefficients:
        """The same data, all components having the mean of all maps."""
        common = copy(self)
        common._free, common.common = self._free[:, :0], self.common[:0]
        common._sum, common._band_of_free = self._sum[:0], self._band_of_free[:0]
        return common

    def moments(self, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means about the common one (k, f) and mean squares by band (k, b) of shares (k, n)."""
        means = shares @ self._free - self.common
        squares = shares @ self.energies - means**2 @ self._sum
        return means, np.maximum(squares, 0) / self.bands.sizes

    def pooled(self) -> np.ndarray:
        """Mean squares by band (b,) of all maps about one mean."""
        n = len(self)
        return self.moments(np.full((1, n), 1 / n))[1][0]

    def distances(self, means: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distances (k, n) to means (k, f) under variances (k, b)."""
        along = means / d[:, self._band_of_free]
        distances = (1 / d) @ self.energies.T
        distances -= 2 * (along @ self._free.T - (along @ self.common)[:, None])
        return distances + np.einsum("kf,kf->k", along, means)[:, None]

    def isometric(self) -> np.ndarray:
        """Features (n, at most n) with the distances between maps."""
        n, p = self.maps.shape
        if p <= n:
            return self.maps
        values, vectors = np.linalg.eigh(self.maps @ self.maps.T)
        return vectors * np.sqrt(np.maximum(values, 0))


class Spectra:
    """Variances of the cosines, band by band, for many covariances at once.

    Parameters
    ----------
    family : CosineFamily
    shapes : array-like of shape (K, q), optional
        Those that a scan looks at; by default some of the kernel's grid.

    Attributes
    ----------
    bands : Bands
    shapes : ndarray of shape (K, q)
    scanned : ndarray of shape (K, b)
        Spectra of ``K(shape)`` there.
    """

    def __init__(self, family: CosineFamily, shapes=None):
        self._kernel = family.kernel
        self.bands = Bands(family.geometry)
        self.n_locations = family.geometry.n_locations
        if shapes is None:
            shapes = family.kernel.grid()[0][::_EVERY_SHAPE]
        self.shapes = np.asarray(shapes, dtype=float)
        self.scanned = self.of(self.shapes)

    def of(self, shapes: np.ndarray) -> np.ndarray:
        """Spectra (k, b) of ``K`` at shapes (k, q)."""
        return self.bands.spectra(np.array([self._kernel.value(shape) for shape in shapes]))

    def variances(self, thetas: np.ndarray, kappa: np.ndarray) -> np.ndarray:
        """``d = tau kappa + nu``, and ``c p`` at the constant map; shape (k, b)."""
        d = thetas[:, TAU, None] * kappa + thetas[:, NU, None]
        d[:, 0] += thetas[:, C] * self.n_locations
        return d

    def objective(self, d: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """``log |Xi| + tr(Xi^-1 S)`` (k,), infinite outside the positive-definite cone."""
        inside = d.min(axis=1) > _FLOOR
        d = np.where(inside[:, None], d, 1.0)
        return np.where(inside, (np.log(d) + moments / d) @ self.bands.sizes, np.inf)

    def improved(
        self, thetas: np.ndarray, kappa: np.ndarray, moments: np.ndarray, move_shape: bool = True
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One scoring step for each covariance, halved until its objective falls.

        Returns
        -------
        thetas, kappa, objective
            Never worse than what was given.
        """
        thetas, kappa = thetas.copy(), kappa.copy()
        d = self.variances(thetas, kappa)
        value = self.objective(d, moments)
        steps, promise = self._scoring_steps(thetas, d, moments, move_shape)
        waiting = np.flatnonzero(promise > _NOTHING)
        for _ in range(_MAX_HALVINGS):
            if not waiting.size:
                break
            trial = _moved(thetas[waiting], steps[waiting])
            trial_kappa = self.of(trial[:, SHAPE]) if move_shape else kappa[waiting]
            trial_value = self.objective(self.variances(trial, trial_kappa), moments[waiting])
            better = trial_value < value[waiting]
            taken = waiting[better]
            thetas[taken], kappa[taken] = trial[better], trial_kappa[better]
            value[taken] = trial_value[better]
            waiting = waiting[~better]
            steps[waiting] /= 2
        return thetas, kappa, value

    def scan(
        self, thetas: np.ndarray, moments: np.ndarray, n_steps: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scoring steps for the coefficients at every shape of the scan.

        Parameters
        ----------
        thetas : ndarray of shape (k, K, 3 + q)
            Of each covariance, at each shape.
        moments : ndarray of shape (k, b)

        Returns
        -------
        thetas : ndarray of shape (k, K, 3 + q)
        objective : ndarray of shape (k, K)
        """
        k, K, size = thetas.shape
        flat, kappa = thetas.reshape(k * K, size), np.tile(self.scanned, (k, 1))
        repeated = np.repeat(moments, K, axis=0)
        for _ in range(n_steps):
            flat, _, value = self.improved(flat, kappa, repeated, move_shape=False)
        return flat.reshape(k, K, size), value.reshape(k, K)

    def interior(self, moments: np.ndarray) -> np.ndarray:
        """Covariances (1, K, 3 + q) of the data's variance, inside the cone at every shape."""
        variance = max(float(moments @ self.bands.sizes) / self.n_locations, 10 * _FLOOR)
        tau = 0.4 * variance
        nu = np.maximum(0.3 * variance, -2 * tau * self.scanned.min(axis=1))
        level = np.full(len(nu), 0.3 * variance)
        return np.column_stack([level, np.full(len(nu), tau), nu, self.shapes])[None]

    def _scoring_steps(self, thetas, d, moments, move_shape):
        """``F^-1 g`` along ``(J, Xi, I[, dXi/dshape])``, and what each promises, ``g' F^-1 g``."""
        size = thetas.shape[1] if move_shape else N_COEFFICIENTS
        # Relative change of each variance along each direction, (k, size, b).
        along = np.empty((len(d), size, d.shape[1]))
        along[:, C] = 0.0
        along[:, C, 0] = self.n_locations / d[:, 0]
        along[:, TAU] = 1.0
        along[:, NU] = 1 / d
        if move_shape:
            slopes = np.array([self._kernel.derivatives(shape) for shape in thetas[:, SHAPE]])
            slopes = self.bands.spectra(slopes).reshape(len(d), -1, d.shape[1])
            along[:, SHAPE] = (thetas[:, TAU, None] / d)[:, None] * slopes
        weighted = 0.5 * along * self.bands.sizes
        F = weighted @ along.transpose(0, 2, 1)
        g = (weighted @ (moments / d - 1)[:, :, None])[:, :, 0]
        step = _solved(F, g)
        if move_shape:
            reach = [self._kernel.reach(shape) for shape in thetas[:, SHAPE]]
            lower, upper = np.array(reach).transpose(1, 0, 2) - thetas[:, SHAPE]
            step[:, SHAPE] = np.clip(step[:, SHAPE], lower, upper)
            # The coefficients go where the quadratic model is highest given that.
            few = slice(None, N_COEFFICIENTS)
            left = g[:, few] - (F[:, few, SHAPE] @ step[:, SHAPE, None])[:, :, 0]
            step[:, few] = _solved(F[:, few, few], left)
        return step, (g * step).sum(axis=1)


def summing(of: np.ndarray, n_groups: int) -> np.ndarray | csr_array:
    """The matrix (m, groups) that sums over the members of each group."""
    m = len(of)
    sums = csr_array((np.ones(m), of, np.arange(m + 1)), shape=(m, n_groups))
    return sums.toarray() if m * n_groups <= _SMALL else sums


def _moved(thetas: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Covariances after steps along ``(J, Xi, I[, dXi/dshape])``, tau kept away from 0."""
    moved = thetas * 1.0
    moved[:, :N_COEFFICIENTS] *= 1 + steps[:, TAU, None]
    moved[:, [C, NU]] += steps[:, [C, NU]]
    moved[:, N_COEFFICIENTS : steps.shape[1]] += steps[:, N_COEFFICIENTS:]
    small = np.abs(moved[:, TAU]) < _SMALLEST_TAU
    moved[small, TAU] = np.copysign(_SMALLEST_TAU, moved[small, TAU])
    return moved


def _solved(F: np.ndarray, g: np.ndarray) -> np.ndarray:
    """``F^-1 g`` for many F (k, m, m) and g (k, m); nothing along what F does not see."""
    diagonal = np.einsum("kmm->km", F)
    seen = diagonal > _UNSEEN * diagonal.max(axis=1, keepdims=True)
    scale = np.where(seen, np.sqrt(diagonal), np.inf)
    F = F / (scale[:, :, None] * scale[:, None, :]) + _RIDGE * np.eye(g.shape[1])
    return np.linalg.solve(F, (g / scale)[:, :, None])[:, :, 0] / scale

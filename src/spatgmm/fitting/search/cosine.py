"""The global search on complete regular grids: EM in the basis of cosines, all starts at once.

There every covariance is diagonal, whatever its shape, so that one basis serves all and an
iteration is a few products of matrices.  Cosines of nearly equal variance are taken together
(:class:`spatgmm.covariance.cosine.Bands`): a look at a spectrum costs little at any number of
pixels, and what stays are products with the means that are free.

It is the search of the cosine likelihood, and through :func:`as_cosines` that of any other
likelihood on such a grid: covariance parameters mean the same there.
"""

from __future__ import annotations

from copy import copy
from itertools import pairwise

import numpy as np
from scipy.cluster.hierarchy import fcluster, ward
from scipy.sparse import csr_array

from spatgmm.common.agreement import SAME_CLUSTERING, ari, distinct
from spatgmm.covariance.cosine import Bands, CosineFamily, CosineGeometry, chunks
from spatgmm.covariance.family import N_COEFFICIENTS, NU, SHAPE, TAU, C
from spatgmm.covariance.grid import regular_grid
from spatgmm.covariance.kernel import Kernel
from spatgmm.fitting.cosine import CosineMaps, free_cosines
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.search.rounds import Candidate, until_settled
from spatgmm.fitting.search.starts import kmeans_responsibilities, random_responsibilities
from spatgmm.fitting.state import MIN_MAPS, Model

#: Every component looks over the whole grid of shapes every so many iterations, and where scoring
#: steps no longer find the way.
_SCAN_EVERY = 5

#: Of the shapes that a kernel's grid holds, every so many are looked at.
_EVERY_SHAPE = 2

#: A start stops when an iteration with a look over the grid gained less than this.
_TOL = 0.06

_MAX_ITER = 60

#: Scoring steps that fit all maps as one component at each shape, where every start begins.
_POOLED_STEPS = 8

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

#: Numbers in an array with a row per component of every start that runs (16 MB).
_MOST_VALUES = 2**21

#: Maps that are looked at: more are not needed to find good starts.
_MOST_MAPS = 1000

#: Parts of the spectrum in which k-means and Ward's method see the energy of a map.
_N_ENERGIES = 6

#: Numbers in a matrix that is faster full than sparse.
_SMALL = 2**16

_LOG_2PI = np.log(2 * np.pi)


def as_cosines(maps: Maps, model: Model) -> tuple[CosineMaps, Model] | None:
    """Complete maps and a model of them, in cosines; None where these cannot carry them."""
    geometry, kernel = model.family.geometry, model.family.kernel
    if not kernel.metric.reflects or regular_grid(geometry.coordinates) is None:
        return None
    cosines = CosineGeometry(geometry.coordinates)
    family = CosineFamily(Kernel(cosines, kernel.decay, kernel.metric))
    rotated = cosines.rotate(geometry.rotate_back(maps.blocks))
    return CosineMaps(rotated), Model(family, model.mean, model.scales, model.shared)


def multistart(
    maps: CosineMaps, model: Model, n_components: int, n_init: int, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Distinct places from where to finish, the most promising first.

    Parameters
    ----------
    maps : CosineMaps
        Of unit variance.
    model : Model
        Of the cosine likelihood.
    n_components, n_init : int
    rng : numpy.random.Generator

    Returns
    -------
    list of (responsibilities, thetas)
        Shapes (n, G) and (G, 3 + q).
    """
    (all_maps,) = maps.blocks
    spectra, columns = Spectra(model.family), free_cosines(model)
    every = -(-len(all_maps) // _MOST_MAPS)
    some = Coefficients(all_maps[::every], spectra.bands, columns)
    search = Search(some, spectra)

    def one_round(number: int) -> list[Candidate]:
        known = informed_responsibilities(some, spectra, n_components, rng) if number == 0 else []
        known = known[:n_init]
        drawn = random_responsibilities(len(some), n_components, n_init - len(known), rng)
        starts = np.array([*known, *drawn])
        if model.mean.is_free and n_init > 1:
            # With free means a small component holds on to its maps, since their noise is in its
            # mean; half of the starts first sort the maps by covariance alone.
            presorted = distinct(search.run(starts[1::2], common_mean=True))
            starts = np.array([*starts[::2], *[first.responsibilities for first in presorted]])
        return search.run(starts)

    best = until_settled(one_round, n_components, n_init)
    if every == 1:
        return [(candidate.responsibilities, candidate.thetas) for candidate in best]
    search = Search(Coefficients(all_maps, spectra.bands, columns, some.common), spectra)
    return [(search.responsibilities(candidate), candidate.thetas) for candidate in best]


def profile(
    maps: CosineMaps, model: Model, responsibilities: np.ndarray, shapes=None
) -> np.ndarray:
    """Covariance parameters that suit given responsibilities, by a look over a grid of shapes.

    Parameters
    ----------
    maps : CosineMaps
    model : Model
        Of the cosine likelihood.
    responsibilities : ndarray of shape (n, G)
    shapes : array-like of shape (k, q), optional
        The grid; by default the kernel's own, thinned.

    Returns
    -------
    ndarray of shape (G, 3 + q)
        ``(c, tau, nu, *shape)`` per component; an all but empty one is given those of all maps.
    """
    spectra = Spectra(model.family, shapes)
    data = Coefficients(maps.blocks[0], spectra.bands, free_cosines(model))
    rows = np.where(responsibilities.sum(axis=0) >= MIN_MAPS, responsibilities, 1.0)
    _, moments = data.moments((rows / rows.sum(axis=0)).T)
    interior = np.repeat(spectra.interior(data.pooled()), len(moments), axis=0)
    thetas, values = spectra.scan(interior, moments, n_steps=_POOLED_STEPS)
    return thetas[np.arange(len(moments)), values.argmin(axis=1)]


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
        self._sum = _sums(bands.of[columns], len(bands.sizes))
        self._band_of_free = bands.of[columns]
        centre = np.zeros(maps.shape[1])
        centre[columns] = self.common
        sums = _sums(bands.of, len(bands.sizes))
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


class Search:
    """EM for many starts of one data set.

    Parameters
    ----------
    data : Coefficients
    spectra : Spectra
    """

    def __init__(self, data: Coefficients, spectra: Spectra):
        self._data, self._spectra = data, spectra
        pooled = data.pooled()
        interior = spectra.interior(pooled)
        self._pooled, value = spectra.scan(interior, pooled[None], n_steps=_POOLED_STEPS)
        self._best_pooled = self._pooled[0, value[0].argmin()]

    def run(self, responsibilities: np.ndarray, common_mean: bool = False) -> list[Candidate]:
        """EM from each start until it settles or follows a better one.

        Parameters
        ----------
        responsibilities : ndarray of shape (n_starts, n, G)
        common_mean : bool
            Whether all components keep the mean of all maps.

        Returns
        -------
        list of Candidate
            One for each start that settled, in no particular order.
        """
        data = self._data.about_common_mean() if common_mean else self._data
        widest = max(data.n_free, self._spectra.scanned.size)
        size = max(_MOST_VALUES // (responsibilities.shape[2] * widest), 1)
        found = []
        for first in range(0, len(responsibilities), size):
            found += self._run_together(data, responsibilities[first : first + size])
        return found

    def responsibilities(self, candidate: Candidate) -> np.ndarray:
        """Responsibilities (n, G) of this data at a candidate's parameters."""
        d = self._spectra.variances(candidate.thetas, self._spectra.of(candidate.thetas[:, SHAPE]))
        _, R = self._expect(self._data, candidate.weights, candidate.means, d)
        return R.T

    def _run_together(self, data: Coefficients, responsibilities: np.ndarray) -> list[Candidate]:
        n_starts, n, G = responsibilities.shape
        spectra = self._spectra
        # A slot is one component of one start; all slots move together, R has shape (slots, n).
        R = responsibilities.transpose(0, 2, 1).reshape(n_starts * G, n)
        thetas = np.tile(self._best_pooled, (len(R), 1))
        kappa = spectra.of(thetas[:, SHAPE])
        scanned = np.tile(self._pooled, (len(R), 1, 1))
        reached, gains = np.full(n_starts, -np.inf), np.full(n_starts, np.inf)
        since_scan = np.full(n_starts, _SCAN_EVERY)
        found = []
        for iteration in range(_MAX_ITER):
            counts = R.sum(axis=1)
            means, moments = data.moments(R / np.maximum(counts, 1e-300)[:, None])
            scan = (since_scan >= _SCAN_EVERY) | (gains < _TOL)
            since_scan = np.where(scan, 1, since_scan + 1)
            if scan.any():
                slots = np.flatnonzero(np.repeat(scan, G))
                self._scan(slots, thetas, kappa, scanned, moments)
            move_shape = iteration % 2 == 0
            thetas, kappa, _ = spectra.improved(thetas, kappa, moments, move_shape)
            weights = (counts / n).reshape(-1, G)
            log_likelihood, R = self._expect(data, weights, means, spectra.variances(thetas, kappa))
            gains, reached = log_likelihood - reached, log_likelihood
            settled = (scan & (gains < _TOL)) | (weights.min(axis=1) * n < MIN_MAPS)
            if iteration == _MAX_ITER - 1:
                settled[:] = True
            for j in np.flatnonzero(settled):
                at = slice(j * G, (j + 1) * G)
                found.append(Candidate(reached[j], R[at].T, weights[j], means[at], thetas[at]))
            going = ~settled
            if not move_shape:
                going &= ~_followers(reached, R.reshape(-1, G, n).argmax(axis=1), found)
            reached, gains, since_scan = reached[going], gains[going], since_scan[going]
            going = np.repeat(going, G)
            R, thetas, kappa, scanned = R[going], thetas[going], kappa[going], scanned[going]
            if not len(R):
                break
        return found

    def _scan(self, slots, thetas, kappa, scanned, moments) -> None:
        """Take the best of all shapes for these slots, where it is better; arrays change."""
        spectra = self._spectra
        scanned[slots], values = spectra.scan(scanned[slots], moments[slots])
        present = spectra.objective(spectra.variances(thetas[slots], kappa[slots]), moments[slots])
        better = values.min(axis=1) < present
        slots, best = slots[better], values.argmin(axis=1)[better]
        thetas[slots], kappa[slots] = scanned[slots, best], spectra.scanned[best]

    def _expect(self, data, weights, means, d) -> tuple[np.ndarray, np.ndarray]:
        """Log-likelihood per start and the new responsibilities (slots, n)."""
        joint = data.distances(means, d)
        joint += (np.log(d) @ self._spectra.bands.sizes)[:, None]
        joint += self._spectra.n_locations * _LOG_2PI
        joint *= -0.5
        joint += np.log(np.maximum(weights, 1e-300)).reshape(-1, 1)
        joint = joint.reshape(-1, weights.shape[-1], len(data))
        # logsumexp over the components, by hand: this is the inner loop of the search.
        largest = joint.max(axis=1, keepdims=True)
        R = np.exp(joint - largest)
        total = R.sum(axis=1, keepdims=True)
        evidence = (largest + np.log(total)).sum(axis=(1, 2))
        return evidence, (R / total).reshape(-1, len(data))


def informed_responsibilities(
    data: Coefficients, spectra: Spectra, n_components: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Starts that know more than chance, each (n, G).

    k-means on the maps (which know means) and on their log energies in parts of the spectrum (which
    know covariances).  Where maps are fewer than pixels, random starts rarely come near an optimum:
    there Ward's method says more.
    """
    features = [data.isometric(), _log_energies(data, spectra)]
    starts = [kmeans_responsibilities(these, n_components, rng) for these in features]
    if len(data) < spectra.n_locations:
        starts += [
            np.eye(n_components)[fcluster(ward(these), n_components, "maxclust") - 1]
            for these in features
        ]
    return starts


def _log_energies(data: Coefficients, spectra: Spectra) -> np.ndarray:
    """Log energy of each map in parts of the spectrum of K, scaled to unit variance; (n, parts).

    The parts widen from the largest variances to the smallest: there are few of the former.
    """
    order = np.argsort(-spectra.scanned[len(spectra.shapes) // 2])
    p = spectra.n_locations
    edges = np.geomspace(np.sqrt(p), p, _N_ENERGIES)
    part = np.searchsorted(edges, np.cumsum(data.bands.sizes[order]) * (1 - 1e-9))
    energy = np.log(data.energies[:, order] @ _sums(part, _N_ENERGIES) + 1e-12)
    return (energy - energy.mean(axis=0)) / (energy.std(axis=0) + 1e-12)


def _followers(
    log_likelihood: np.ndarray, labels: np.ndarray, found: list[Candidate]
) -> np.ndarray:
    """Which starts are behind another, or behind where one stopped, with the same clustering."""
    everyone = [(candidate.promise, candidate.labels, None) for candidate in found]
    everyone += zip(log_likelihood, labels, range(len(labels)), strict=True)
    everyone.sort(key=lambda one: -one[0])
    follows = np.zeros(len(labels), dtype=bool)
    # Rivals for the same optimum stand next to each other, or will.
    for (_, ahead, _), (_, behind, start) in pairwise(everyone):
        if start is not None:
            follows[start] = ari(ahead, behind) >= SAME_CLUSTERING
    return follows


def _sums(of: np.ndarray, n_groups: int) -> np.ndarray | csr_array:
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

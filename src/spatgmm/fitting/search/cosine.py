"""The global search on complete regular grids: EM in the basis of cosines, all starts at once.

There every covariance is diagonal, whatever its shape, so that one basis serves all and an
iteration is a few products of matrices (:mod:`spatgmm.fitting.search.banded`).

It is the search of the cosine likelihood, and through :func:`as_cosines` that of any other
likelihood on such a grid: covariance parameters mean the same there.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy.cluster.hierarchy import fcluster, ward

from spatgmm.common.agreement import SAME_CLUSTERING, ari, distinct
from spatgmm.covariance.cosine import CosineFamily, CosineGeometry
from spatgmm.covariance.family import SHAPE
from spatgmm.covariance.grid import regular_grid
from spatgmm.covariance.kernel import Kernel
from spatgmm.fitting.cosine import CosineMaps, free_cosines
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.search.banded import Coefficients, Spectra, summing
from spatgmm.fitting.search.rounds import Candidate, until_settled, with_presorted
from spatgmm.fitting.search.starts import kmeans_responsibilities, random_responsibilities
from spatgmm.fitting.state import MIN_MAPS, Model

#: Every component looks over the whole grid of shapes every so many iterations, and where scoring
#: steps no longer find the way.
_SCAN_EVERY = 5

#: A start stops when an iteration with a look over the grid gained less than this.
_TOL = 0.06

_MAX_ITER = 60

#: Scoring steps that fit all maps as one component at each shape, where every start begins.
_POOLED_STEPS = 8

#: Numbers in an array with a row per component of every start that runs (16 MB).
_MOST_VALUES = 2**21

#: Maps that are looked at: more are not needed to find good starts.
_MOST_MAPS = 1000

#: Parts of the spectrum in which k-means and Ward's method see the energy of a map.
_N_ENERGIES = 6

_LOG_2PI = np.log(2 * np.pi)


def as_cosines(maps: Maps, model: Model) -> tuple[CosineMaps, Model] | None:
    """Complete maps and a model of them, in cosines; None where these cannot carry them."""
    geometry, kernel = model.family.geometry, model.family.kernel
    carried = kernel.metric.reflects and geometry.space.is_flat
    if not carried or regular_grid(geometry.coordinates) is None:
        return None
    cosines = CosineGeometry(geometry.coordinates)
    family = CosineFamily(Kernel(cosines, kernel.decay, kernel.metric))
    rotated = cosines.rotate(geometry.rotate_back(maps.blocks))
    return CosineMaps(rotated), Model(family, model.mean, model.scales, model.shared, model.tails)


def multistart(
    maps: CosineMaps,
    model: Model,
    n_components: int,
    n_init: int,
    rng: np.random.Generator,
    exists: Callable[[np.ndarray], bool] | None = None,
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
    exists : callable, optional
        Whether parameters are those of a covariance of the likelihood that this search is for
        (:func:`spatgmm.fitting.search.rounds.until_settled`).

    Returns
    -------
    list of (responsibilities, thetas, n_starts)
        Shapes (n, G) and (G, 3 + q); how many starts led there.
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
        starts, stand_for = np.array([*known, *drawn]), None
        if model.mean.is_free and n_init > 1:
            # With free means a small component holds on to its maps, since their noise is in its
            # mean; half of the starts first sort the maps by covariance alone.
            presorted = distinct(search.run(starts[1::2], common_mean=True))
            starts, stand_for = with_presorted(starts[::2], presorted)
        return search.run(starts, stand_for=stand_for)

    best = until_settled(one_round, n_components, n_init, exists)
    if every == 1:
        return [(one.responsibilities, one.thetas, one.n_starts) for one in best]
    search = Search(Coefficients(all_maps, spectra.bands, columns, some.common), spectra)
    return [(search.responsibilities(one), one.thetas, one.n_starts) for one in best]


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

    def run(
        self, responsibilities: np.ndarray, common_mean: bool = False, stand_for=None
    ) -> list[Candidate]:
        """EM from each start until it settles or follows a better one.

        Parameters
        ----------
        responsibilities : ndarray of shape (n_starts, n, G)
        common_mean : bool
            Whether all components keep the mean of all maps.
        stand_for : ndarray of int, shape (n_starts,), optional
            How many starts each of these is; by default itself.

        Returns
        -------
        list of Candidate
            One for each start that settled, in no particular order.
        """
        data = self._data.about_common_mean() if common_mean else self._data
        widest = max(data.n_free, self._spectra.scanned.size)
        size = max(_MOST_VALUES // (responsibilities.shape[2] * widest), 1)
        if stand_for is None:
            stand_for = np.ones(len(responsibilities), dtype=int)
        found = []
        for first in range(0, len(responsibilities), size):
            some = slice(first, first + size)
            found += self._run_together(data, responsibilities[some], stand_for[some].copy())
        return found

    def responsibilities(self, candidate: Candidate) -> np.ndarray:
        """Responsibilities (n, G) of this data at a candidate's parameters."""
        d = self._spectra.variances(candidate.thetas, self._spectra.of(candidate.thetas[:, SHAPE]))
        _, R = self._expect(self._data, candidate.weights, candidate.means, d)
        return R.T

    def _run_together(
        self, data: Coefficients, responsibilities: np.ndarray, stand_for: np.ndarray
    ) -> list[Candidate]:
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
                parameters = weights[j], means[at], thetas[at]
                found.append(Candidate(reached[j], R[at].T, *parameters, int(stand_for[j])))
            going = ~settled
            if not move_shape:
                labels = R.reshape(-1, G, n).argmax(axis=1)
                going &= ~_followers(reached, labels, stand_for, found)
            reached, gains, since_scan = reached[going], gains[going], since_scan[going]
            stand_for = stand_for[going]
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
    energy = np.log(data.energies[:, order] @ summing(part, _N_ENERGIES) + 1e-12)
    return (energy - energy.mean(axis=0)) / (energy.std(axis=0) + 1e-12)


def _followers(
    log_likelihood: np.ndarray, labels: np.ndarray, stand_for: np.ndarray, found: list[Candidate]
) -> np.ndarray:
    """Which starts are behind another, or behind where one stopped, with the same clustering.

    Those ahead stand for them from now on: `stand_for` and `found` change.
    """
    everyone = [(candidate.promise, candidate.labels, candidate) for candidate in found]
    everyone += zip(log_likelihood, labels, range(len(labels)), strict=True)
    everyone.sort(key=lambda one: -one[0])
    follows = np.zeros(len(labels), dtype=bool)
    # Rivals for the same optimum stand next to each other, or will.
    for (_, ahead, leader), (_, behind, start) in reversed(list(pairwise(everyone))):
        if isinstance(start, Candidate) or ari(ahead, behind) < SAME_CLUSTERING:
            continue
        follows[start] = True
        if isinstance(leader, Candidate):
            leader.n_starts += int(stand_for[start])
        else:
            stand_for[leader] += stand_for[start]
    return follows

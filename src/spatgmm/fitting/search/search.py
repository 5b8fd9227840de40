"""The global search: EM on a grid of shapes, where an iteration costs O(n p) instead of O(n p^2).

All starts run together, as matrix products in the bases of
:mod:`spatgmm.fitting.search.spectral`.  Where the search stops, the exact EM
(:mod:`spatgmm.fitting.em`) finishes.
"""

from __future__ import annotations

import numpy as np

from spatgmm.common.agreement import distinct
from spatgmm.covariance.family import SpatialCovariance
from spatgmm.covariance.kernel import Kernel
from spatgmm.fitting.maps import Blocks, Maps
from spatgmm.fitting.means import Mean
from spatgmm.fitting.scales import NoScales
from spatgmm.fitting.search.rounds import Candidate, until_settled, with_presorted
from spatgmm.fitting.search.spectral import Basis, ShapeGrid
from spatgmm.fitting.search.starts import random_responsibilities, starting_responsibilities
from spatgmm.fitting.state import MIN_MAPS, Mixture

#: Every component looks over the whole grid every so many iterations.
_SCAN_EVERY = 3

#: A start stops when the iterations since its last scan gained less than this.
_TOL = 0.3

_MAX_ITER = 40

_LOG_2PI = np.log(2 * np.pi)

#: Rows of the largest block whose spectra are computed, and maps looked at: the search needs no
#: more to find good starts.
LARGEST_BLOCK, _MOST_MAPS = 1024, 1000


class Part:
    """The part of the data that a search looks at: all of it, unless that is too much.

    Some of the locations follow the same model with the same parameters, so that what is found on
    them is a start for all; likewise for some of the maps.

    Parameters
    ----------
    maps : list of ndarray of shape (n, p_b)
    family : SpatialCovariance

    Attributes
    ----------
    rows : ndarray of int
        Maps that are looked at.
    maps : list of ndarray
        These maps at the locations that are looked at, rotated.
    family : SpatialCovariance
        The covariances at these locations.
    """

    def __init__(self, maps: Blocks, family: SpatialCovariance):
        self._all = maps
        self.family = family
        geometry = family.geometry
        locations = geometry.thinned(LARGEST_BLOCK)
        if locations is not None:
            fewer = geometry.part(locations)
            self.family = SpatialCovariance(
                Kernel(fewer, family.kernel.decay, family.kernel.metric)
            )
            self._all = fewer.rotate(geometry.rotate_back(maps)[:, locations])
        n = len(maps[0])
        self.rows = np.arange(n)[:: -(-n // _MOST_MAPS)]
        self.maps = self._all
        if len(self.rows) < n:
            self.maps = [block[self.rows] for block in self._all]

    def responsibilities(self, candidate: Candidate) -> np.ndarray:
        """Those of all maps, shape (n, G)."""
        if len(self.rows) == len(self._all[0]):
            return candidate.responsibilities
        splits = np.cumsum(self.family.geometry.sizes)[:-1]
        means = [np.split(mean, splits) for mean in candidate.means]
        covariances = [self.family.inside(theta) for theta in candidate.thetas]
        mixture = Mixture(candidate.weights, means, covariances, NoScales())
        return mixture.expectation(Maps(self._all))[1]


class Search:
    """EM on the grid for many starts of one data set.

    Parameters
    ----------
    maps : list of ndarray of shape (n, p_b)
        Rotated data of unit variance.
    grid : ShapeGrid
    """

    def __init__(self, maps: Blocks, grid: ShapeGrid):
        self._grid = grid
        self._flat = np.concatenate(maps, axis=1)
        self._splits = np.cumsum([block.shape[1] for block in maps])[:-1]
        self._bases = [Basis(grid, k, maps) for k in range(len(grid))]
        self._pooled = np.array([basis.pooled() for basis in self._bases])

    def run(
        self, responsibilities: np.ndarray, mean: Mean, common: bool = False, stand_for=None
    ) -> list[Candidate]:
        """EM from each start until it settles.

        Parameters
        ----------
        responsibilities : ndarray of shape (n_starts, n, G)
        mean : Mean
        common : bool
            Whether all components keep the mean of all maps.
        stand_for : ndarray of int, shape (n_starts,), optional
            How many starts each of these is; by default itself.

        Returns
        -------
        list of Candidate
            One per start, in no particular order.
        """
        n_starts, n, G = responsibilities.shape
        # A slot is one component of one start; all slots move together, R has shape (slots, n).
        R = responsibilities.transpose(0, 2, 1).reshape(n_starts * G, n)
        k = np.zeros(n_starts * G, dtype=int)
        coefficients = np.repeat(self._pooled[None], n_starts * G, axis=0)
        at_last_scan = np.full(n_starts, -np.inf)
        stand_for = np.ones(n_starts, dtype=int) if stand_for is None else stand_for
        found = []
        for iteration in range(_MAX_ITER):
            scan = iteration % _SCAN_EVERY == 0
            weights, means, k, values = self._maximise(
                R, k, coefficients, scan, None if common else mean
            )
            log_likelihood, R = self._expect(weights, means, k, coefficients, G)
            settled = weights.reshape(-1, G).min(axis=1) * n < MIN_MAPS
            if scan:
                settled |= log_likelihood - at_last_scan < _TOL
                at_last_scan = log_likelihood
                promised = log_likelihood + self._off_grid_gain(values, k, weights * n, G)
            if iteration == _MAX_ITER - 1:
                settled[:] = True
            chosen = coefficients[np.arange(len(k)), k]
            thetas = self._grid.family.theta(chosen, self._grid.shapes[k])
            for j in np.flatnonzero(settled):
                slots = slice(j * G, (j + 1) * G)
                found.append(
                    Candidate(
                        promised[j],
                        R[slots].T,
                        weights[slots],
                        means[slots],
                        thetas[slots],
                        int(stand_for[j]),
                    )
                )
            going = np.repeat(~settled, G)
            R, k, coefficients = R[going], k[going], coefficients[going]
            at_last_scan, promised = at_last_scan[~settled], promised[~settled]
            stand_for = stand_for[~settled]
            if not len(k):
                break
        return found

    def _maximise(self, R, k, coefficients, scan, mean):
        """New weights (C,), means (C, p) and grid values (C,); coefficients change in place.

        Without a kind of mean, all components keep the mean of all maps.
        """
        counts = R.sum(axis=1)
        rows = R / np.maximum(counts, 1e-300)[:, None]
        means = rows @ self._flat
        if mean is None or mean.is_common:
            means = np.broadcast_to(self._flat.mean(axis=0), means.shape)
        elif not mean.is_free:
            means = self._least_squares(means, k, coefficients, mean.basis(self._grid.geometry))
        blocks = np.split(means, self._splits, axis=1)
        values = np.full((len(k), len(self._bases)), np.inf)
        for kk, basis in enumerate(self._bases):
            slots = np.flatnonzero((counts >= MIN_MAPS) & (scan | (k == kk)))
            if slots.size:
                projected = self._grid.project(kk, [block[slots] for block in blocks])
                values[slots, kk], coefficients[slots, kk] = basis.improve(
                    coefficients[slots, kk], rows[slots], projected
                )
        k = np.where(np.isfinite(values).any(axis=1), values.argmin(axis=1), k)
        return counts / R.shape[1], means, k, values

    def _off_grid_gain(self, values, k, counts, G):
        """What shapes between the grid's would add to each log-likelihood, shape (starts,).

        A parabola through the objective at the best shape and its neighbours, where they are
        evenly spaced; without it the coarse grid decides which optimum looks best.
        """
        slots, known = np.arange(len(k)), self._grid.between[k]
        # At the ends of the grid any neighbour will do: nothing is known there.
        at = [np.where(known, k + shift, k) for shift in (-1, 0, 1)]
        around = np.array([values[slots, column] for column in at])
        known &= np.isfinite(around).all(axis=0)
        left, centre, right = np.where(known, around, 0.0)
        bend = left - 2 * centre + right
        gain = (right - left) ** 2 / (8 * np.where(bend > 0, bend, np.inf))
        return 0.5 * (counts * gain).reshape(-1, G).sum(axis=1)

    def _expect(self, weights, means, k, coefficients, G):
        """Log-likelihood per start and the new responsibilities (slots, n)."""
        n, p = self._flat.shape
        blocks = np.split(means, self._splits, axis=1)
        joint = np.empty((len(k), n))
        for kk in np.unique(k):
            slots = np.flatnonzero(k == kk)
            basis = self._bases[kk]
            covariances = basis.at(coefficients[slots, kk])
            projected = self._grid.project(kk, [block[slots] for block in blocks])
            distance = covariances.mahalanobis(basis.Z, projected)
            joint[slots] = -0.5 * (distance + covariances.log_det[:, None] + p * _LOG_2PI)
        joint += np.log(np.maximum(weights, 1e-300))[:, None]
        joint = joint.reshape(-1, G, n)
        # logsumexp over the components, by hand: this is the inner loop of the search.
        largest = joint.max(axis=1, keepdims=True)
        R = np.exp(joint - largest)
        total = R.sum(axis=1, keepdims=True)
        evidence = (largest + np.log(total)).sum(axis=(1, 2))
        return evidence, (R / total).reshape(-1, n)

    def _least_squares(self, means, k, coefficients, basis):
        """Each slot's mean map within the span of `basis`, GLS at its present covariance."""
        vectors = np.concatenate(basis, axis=1)
        for kk in np.unique(k):
            slots = np.flatnonzero(k == kk)
            covariances = self._bases[kk].at(coefficients[slots, kk])
            phi = self._grid.project(kk, basis)
            centres = self._grid.project(kk, np.split(means[slots], self._splits, axis=1))
            for slot, weighted, centre in zip(slots, covariances.solve(phi), centres, strict=True):
                means[slot] = np.linalg.solve(weighted @ phi.T, weighted @ centre) @ vectors
        return means


def multistart(
    maps: Blocks,
    family: SpatialCovariance,
    n_components: int,
    n_init: int,
    rng: np.random.Generator,
    mean: Mean,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Distinct places from where to finish, the most promising first.

    Parameters
    ----------
    maps : list of ndarray of shape (n, p_b)
        Rotated data of unit variance.
    family : SpatialCovariance
    n_components, n_init : int
    rng : numpy.random.Generator
    mean : Mean

    Returns
    -------
    list of (responsibilities, thetas, n_starts)
        Shapes (n, G) and (G, 3 + q); how many starts led there.
    """
    some = Part(maps, family)
    best = _candidates(some, n_components, n_init, rng, mean)
    return [(some.responsibilities(one), one.thetas, one.n_starts) for one in best]


def _candidates(
    some: Part, n_components: int, n_init: int, rng: np.random.Generator, mean: Mean
) -> list[Candidate]:
    """Where the rounds of starts stopped; the data in all bases are let go with this function."""
    grid = ShapeGrid(some.family)
    search = Search(some.maps, grid)
    first = starting_responsibilities(some.maps, grid, n_components, n_init, rng)

    def one_round(number: int) -> list[Candidate]:
        starts, stand_for = first, None
        if number > 0:
            starts = random_responsibilities(len(some.rows), n_components, n_init, rng)
        if mean.is_free:
            # With free means a small component holds on to its maps, since their noise is in its
            # mean; half of the starts first sort the maps by covariance alone.
            presorted = distinct(search.run(starts[1::2], mean, True)) if n_init > 1 else []
            starts, stand_for = with_presorted(starts[::2], presorted)
        return search.run(starts, mean, stand_for=stand_for)

    return until_settled(one_round, n_components, n_init)


def profile(
    maps: Blocks, family: SpatialCovariance, responsibilities: np.ndarray, shapes=None
) -> np.ndarray:
    """Covariance parameters that suit given responsibilities, by a look over a grid of shapes.

    Parameters
    ----------
    maps : list of ndarray of shape (n, p_b)
    family : SpatialCovariance
    responsibilities : ndarray of shape (n, G)
    shapes : array-like of shape (k, q), optional
        The grid (:class:`ShapeGrid`).

    Returns
    -------
    ndarray of shape (G, 3 + q)
        ``(c, tau, nu, *shape)`` per component; an all but empty one is given those of all maps.
    """
    some = Part(maps, family)
    maps, responsibilities = some.maps, responsibilities[some.rows]
    grid = ShapeGrid(some.family, shapes)
    counts = responsibilities.sum(axis=0)
    rows = np.where(counts >= MIN_MAPS, responsibilities, 1.0)
    rows = (rows / rows.sum(axis=0)).T
    means = [rows @ block for block in maps]
    best = np.full(len(rows), np.inf)
    thetas = np.empty((len(rows), family.n_parameters))
    for k, shape in enumerate(grid.shapes):
        basis = Basis(grid, k, maps)
        coefficients = np.repeat(basis.pooled()[None], len(rows), axis=0)
        value, coefficients = basis.improve(coefficients, rows, grid.project(k, means), n_steps=8)
        better = value < best
        best = np.where(better, value, best)
        thetas[better] = family.theta(coefficients, shape)[better]
    return thetas

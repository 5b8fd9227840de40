"""The data as EM sees them under Vecchia's likelihood: any locations, pixels missing or not.

The likelihood of a map is that of its observed pixels, each given the observed ones among its
neighbours (:mod:`spatgmm.covariance.vecchia`): a proper density, so that EM with the labels alone
as missing data never loses likelihood, and nothing has to be imputed on the way.

The M-step works on residuals rather than on second moments of windows: a pass of all maps through a
sparse matrix of ``m + 1`` entries a row costs ``m + 1`` products a pixel, the moments
``(m + 1)^2``, and a step takes about four passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spatgmm.covariance.family import PIVOT_FLOOR, C
from spatgmm.covariance.incomplete import BYTES_PER_ENTRY, IncompleteWindows, n_places
from spatgmm.covariance.neighbours import NeighbourGeometry, check_memory
from spatgmm.covariance.vecchia import Innovations, VecchiaCovariance
from spatgmm.fitting.maps import Blocks, Distances, Maps

#: Responsibilities below this do not enter an M-step.
_NEGLIGIBLE = 1e-13

#: Conjugate gradients for a mean stop at a remaining gain of this much log-likelihood, or after so
#: many steps: none lowers the likelihood.
_ENOUGH, _MOST_STEPS = 1e-6, 20

#: Those for missing pixels stop at this error relative to the first, or after so many steps.
_FILLED, _MOST_FILLING = 1e-8, 200

#: A covariance outside the cone is moved inside, to this share of its c's way to the end.
_WITHIN = 0.5

#: Numbers in a part of the data that is worked on at a time (32 MB).
_PART_VALUES = 2**22


@dataclass
class _Complete:
    """Complete maps, (p, n)."""

    values: np.ndarray

    def __len__(self) -> int:
        return self.values.shape[1]

    @property
    def n_seen(self) -> np.ndarray:
        return np.full(len(self), len(self.values))

    def less(self, mean: np.ndarray) -> _Complete:
        """Residuals from a mean map (p,)."""
        return _Complete(self.values - mean[:, None])

    def alike(self, map_: np.ndarray) -> _Complete:
        """The same map (p,) in place of every one."""
        return _Complete(np.repeat(map_[:, None], len(self), axis=1))

    def times(self, factors: np.ndarray) -> _Complete:
        """Each map times a number of its own (n,)."""
        return _Complete(self.values * factors)

    def some(self, maps: np.ndarray) -> _Complete:
        return self if len(maps) == len(self) else _Complete(self.values[:, maps])

    def innovations(self, covariance: VecchiaCovariance, slopes: bool = False) -> Innovations:
        return covariance.innovations(self.values, slopes)

    def precise(self, covariance: VecchiaCovariance) -> np.ndarray:
        """``Xi^-1 r`` of these residuals, (p, n)."""
        return covariance.A.T @ self.innovations(covariance).weighted(covariance.theta[C])


@dataclass
class _Incomplete:
    """Maps with missing pixels, (p, n), 0 where a pixel is missing."""

    values: np.ndarray
    seen: IncompleteWindows

    def __len__(self) -> int:
        return self.values.shape[1]

    @property
    def n_seen(self) -> np.ndarray:
        return self.seen.n_seen

    def less(self, mean: np.ndarray) -> _Incomplete:
        return _Incomplete(np.where(self.seen.seen, self.values - mean[:, None], 0.0), self.seen)

    def alike(self, map_: np.ndarray) -> _Incomplete:
        return _Incomplete(np.where(self.seen.seen, map_[:, None], 0.0), self.seen)

    def times(self, factors: np.ndarray) -> _Incomplete:
        return _Incomplete(self.values * factors, self.seen)

    def some(self, maps: np.ndarray) -> _Incomplete:
        return _Incomplete(self.values[:, maps], self.seen.some(maps))

    def innovations(self, covariance: VecchiaCovariance, slopes: bool = False) -> Innovations:
        return self.seen.innovations(covariance, self.values, slopes)

    def precise(self, covariance: VecchiaCovariance) -> np.ndarray:
        A = self.seen.conditionals(covariance).A
        weighted = self.innovations(covariance).weighted(covariance.theta[C])
        return np.where(self.seen.seen, (A.T @ weighted).reshape(self.values.shape), 0.0)


class VecchiaMaps(Maps):
    """Maps at the locations of a :class:`spatgmm.covariance.neighbours.NeighbourGeometry`.

    Parameters
    ----------
    geometry : NeighbourGeometry
    X : ndarray of shape (n, p)
        Values, NaN where a pixel is missing.

    Raises
    ------
    ValueError
        If what is kept of maps with missing pixels does not fit into the machine's memory.
    """

    def __init__(self, geometry: NeighbourGeometry, X: np.ndarray):
        super().__init__([X])
        self.geometry = geometry
        missing = np.isnan(X)
        incomplete = missing.any(axis=1)
        entries = (~missing[incomplete]).sum() * n_places(geometry)
        check_memory(entries * BYTES_PER_ENTRY, geometry.n_locations, geometry.n_neighbors)
        #: Rows of X and their values, as many at a time as fit into the cache of the machine.
        self.parts: list[tuple[np.ndarray, _Complete | _Incomplete]] = []
        step = max(_PART_VALUES // X.shape[1], 1)
        for kind, which in ((_Complete, ~incomplete), (self._incomplete, incomplete)):
            rows = np.flatnonzero(which)
            for a in range(0, len(rows), step):
                some = rows[a : a + step]
                self.parts.append((some, kind(np.ascontiguousarray(X[some].T))))

    def _incomplete(self, values: np.ndarray) -> _Incomplete:
        seen = ~np.isnan(values)
        return _Incomplete(np.where(seen, values, 0.0), IncompleteWindows(self.geometry, seen))

    @property
    def is_complete(self) -> bool:
        return not any(isinstance(part, _Incomplete) for _, part in self.parts)

    @property
    def n_observed(self) -> np.ndarray:
        """Observed pixels of each map, shape (n,)."""
        found = np.empty(len(self))
        for rows, part in self.parts:
            found[rows] = part.n_seen
        return found

    def inside(self, covariance: VecchiaCovariance) -> VecchiaCovariance:
        """The covariance, with ``c`` closer to 0 where maps with missing pixels need that.

        A pixel that has lost neighbours can add more to ``o = 1' V^-1 1`` than those lost would
        have, and where ``c < 0`` the cone ends at ``1 + c*o = 0``.
        """
        none = np.zeros(self.n_locations)
        most = max(
            part.alike(none).innovations(covariance).o.max(initial=0) for _, part in self.parts
        )
        if 1 + covariance.theta[C] * most > PIVOT_FLOOR:
            return covariance
        theta = covariance.theta.copy()
        theta[C] = -_WITHIN / most
        return covariance.family.at(theta)

    def distances(self, mean: Blocks, covariance: VecchiaCovariance) -> Distances:
        distance, log_det = np.empty(len(self)), np.empty(len(self))
        for rows, part in self.parts:
            found = part.less(mean[0]).innovations(covariance)
            log_det[rows], distance[rows] = found.terms(covariance.theta[C])
        return distance, log_det

    def mean(self, weights: np.ndarray) -> Blocks:
        """The weighted mean of what is observed at each location, 0 where nothing is: a start."""
        X = self.blocks[0]
        seen = ~np.isnan(X)
        return [weights @ np.where(seen, X, 0.0) / np.maximum(weights @ seen, 1e-300)]

    def completed(self, mean: Blocks, covariance: VecchiaCovariance) -> _MapsOf:
        """The maps as one component sees them."""
        return _MapsOf(self, mean, covariance)

    def moments(
        self, weights: np.ndarray, centre: Blocks, pulls: np.ndarray | None = None
    ) -> Moments:
        """What the covariance step asks of maps with these weights about that mean."""
        total = weights.sum()
        found = []
        for rows, part in self.parts:
            (some,) = np.nonzero(weights[rows] > _NEGLIGIBLE)
            if some.size:
                residuals = part.some(some).less(centre[0])
                if pulls is not None:
                    residuals = residuals.times(np.sqrt(pulls[rows[some]]))
                found.append((weights[rows[some]] / total, residuals))
        return found


#: Weights that sum to 1, and residual maps with these weights, part by part.
Moments = list[tuple[np.ndarray, _Complete | _Incomplete]]


class _MapsOf:
    """Maps with what a component, a mean and a covariance, says of them."""

    def __init__(self, maps: VecchiaMaps, mean: Blocks, covariance: VecchiaCovariance):
        self._maps, self._mean, self._covariance = maps, mean, covariance
        self.moments = maps.moments

    @cached_property
    def blocks(self) -> Blocks:
        """Maps with every missing pixel at its expectation given the others of its map."""
        X = self._maps.blocks[0].copy()
        for rows, part in self._maps.parts:
            if isinstance(part, _Incomplete):
                residuals = part.less(self._mean[0]).values
                filled = _fill(residuals, part.seen.seen, self._covariance)
                X[rows] = np.where(part.seen.seen, part.values, filled + self._mean[0][:, None]).T
        return [X]

    def mean(self, weights: np.ndarray) -> Blocks:
        """The mean map that suits maps of these weights best, or a better one than the present.

        Complete maps: their weighted mean.  With missing pixels the best solves
        ``sum_i w_i Xi_i^-1 (x_i - mu) = 0``, each over the observed pixels of its map; conjugate
        gradients go there from the present mean, preconditioned by the covariance, which would be
        the solution were all maps complete.
        """
        total = max(weights.sum(), 1e-300)
        parts = self._maps.parts
        if self._maps.is_complete:
            return [sum(part.values @ weights[rows] for rows, part in parts) / total]
        rest = self.pull(weights, [part.less(self._mean[0]) for _, part in parts])
        return [self._mean[0] + self.yielding(weights, rest, _ENOUGH)]

    def mean_within(self, weights: np.ndarray, basis: Blocks, covariance=None) -> Blocks:
        """The best mean among the combinations of basis maps, one block (k, p).

        By generalised least squares, under the covariance that these maps are seen with.
        """
        if not len(basis[0]):
            return [np.zeros(self._maps.n_locations)]
        pulled = basis[0] @ self.pull(weights, [part for _, part in self._maps.parts])
        return [np.linalg.solve(self.stiffness(weights, basis[0]), pulled) @ basis[0]]

    def stiffness(self, weights: np.ndarray, basis: np.ndarray) -> np.ndarray:
        """``sum_i w_i Phi Xi_i^-1 Phi'`` of basis maps (k, p)."""
        stretched = [self._stretch(weights, along) for along in basis]
        return basis @ np.reshape(stretched, basis.shape).T

    def yielding(self, weights: np.ndarray, force: np.ndarray, enough: float) -> np.ndarray:
        """``(sum_i w_i Xi_i^-1)^-1 f`` by conjugate gradients, until less than `enough` is left.

        What is left is a difference in log-likelihood, which falls with every step.
        """
        total, moved = max(weights.sum(), 1e-300), np.zeros(len(force))
        rest = force
        towards = self._covariance.apply(rest[:, None])[:, 0] / total
        direction, gain = towards, rest @ towards
        for _ in range(_MOST_STEPS):
            if gain < enough:
                break
            curved = self._stretch(weights, direction)
            step = gain / (direction @ curved)
            moved += step * direction
            rest = rest - step * curved
            towards = self._covariance.apply(rest[:, None])[:, 0] / total
            direction, gain = towards + (rest @ towards) / gain * direction, rest @ towards
        return moved

    def _stretch(self, weights: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """``sum_i w_i Xi_i^-1`` times a map (p,)."""
        return self.pull(weights, [part.alike(direction) for _, part in self._maps.parts])

    def pull(self, weights: np.ndarray, residuals: list) -> np.ndarray:
        """``sum_i w_i Xi_i^-1 r_i`` of residuals, part by part; shape (p,)."""
        return sum(
            part.precise(self._covariance) @ weights[rows]
            for (rows, _), part in zip(self._maps.parts, residuals, strict=True)
        )


def _fill(residuals: np.ndarray, seen: np.ndarray, covariance: VecchiaCovariance) -> np.ndarray:
    """Residual maps (p, n) with the missing ones at their expectation given the others.

    ``W_mm x_m = -W_mo r_o`` with ``W = Xi^-1`` of complete maps, by conjugate gradients for all
    maps at once.
    """

    def precise(maps):
        return np.where(seen, 0.0, covariance.solve([maps.T])[0].T)

    variances = covariance.d[covariance.family.geometry.group]
    diagonal = (covariance.A.power(2).T @ (1 / variances))[:, None]
    filled = np.array(residuals)
    rest = -precise(filled)
    direction = towards = rest / diagonal
    norm = first = (rest * towards).sum(axis=0)
    for _ in range(_MOST_FILLING):
        if (norm <= _FILLED**2 * first).all():
            break
        curved = precise(direction)
        bend = (direction * curved).sum(axis=0)
        step = norm / np.where(bend > 0, bend, 1.0)
        filled += step * direction
        rest = rest - step * curved
        towards = rest / diagonal
        before, norm = norm, (rest * towards).sum(axis=0)
        direction = towards + norm / np.where(before > 0, before, 1.0) * direction
    return filled

r"""Maps at other places: what a component expects there, given the values that a map has.

With the covariance ``k_0`` between a wanted place and the locations of a map ``x``, the expectation
is that of kriging,

``E[x(s_0) | x] = m(s_0) + k_0' Xi^-1 (x - m)``,

with ``m`` a *trend* that is known everywhere: zero, waves, or else a level.  A mean map that is
free is known at its own locations alone; there ``m`` is its generalised least squares level, so
that the mean is interpolated like the maps around it.

The nugget counts as variation at scales below the distances between locations, not as noise: at a
location the map's own value comes back, and right beside it the smooth part of the map.

Up to a thousand locations are taken together; of more, each place is given its nearest ones, as in
Vecchia's likelihood (which says less where correlation reaches far along an axis, as it does under
the additive metric).

References
----------
Chiles and Delfiner, "Geostatistics", 2nd edition, Wiley 2012, chapter 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.linalg import solve
from scipy.spatial import cKDTree

from spatgmm.covariance.family import Covariance, Family
from spatgmm.fitting.state import Mixture, Model

#: So many locations are taken together: beyond, the cube of their number costs more than windows.
_MOST_TOGETHER = 1024

#: Numbers in a temporary array (16 MB).
_CHUNK_VALUES = 2**21

#: Places at this share of the largest distance from each other are one.
_SAME = 1e-9


def expected_elsewhere(
    X: np.ndarray,
    responsibilities: np.ndarray,
    means: np.ndarray,
    model: Model,
    covariances: list[Covariance],
    wanted: np.ndarray,
    n_neighbors: int,
) -> np.ndarray:
    """Expectations (n, m) of maps at wanted places, over all components.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Maps in any unit, NaN where a value is missing.
    responsibilities : ndarray of shape (n, G)
    means : ndarray of shape (G, p)
        In the unit of the maps.
    model : Model
    covariances : list of Covariance
        Of that model's family, one of each component.
    wanted : ndarray of shape (m, d)
    n_neighbors : int
        See :class:`Interpolation`.
    """
    geometry = model.family.geometry
    here, there = model.mean.trend(geometry.coordinates, wanted)
    basis = geometry.rotate(here)
    kriging = Interpolation(model.family, geometry.coordinates, wanted, n_neighbors)
    expected = np.zeros((len(X), len(wanted)))
    for r, mean, covariance in zip(responsibilities.T, means, covariances, strict=True):
        # b = (Phi' W Phi)^-1 Phi' W mu: where the mean is a trend, that trend.
        weighted, rotated = covariance.solve(basis), geometry.rotate(mean[None])
        gram = sum(w @ phi.T for w, phi in zip(weighted, basis, strict=True))
        along = sum(w @ m[0] for w, m in zip(weighted, rotated, strict=True))
        b = np.linalg.solve(gram, along)
        residuals = kriging.residuals(X - b @ here, covariance.theta)
        expected += r[:, None] * (b @ there + residuals)
    return expected


def several_elsewhere(
    filled: list[np.ndarray],
    responsibilities: np.ndarray,
    means: np.ndarray,
    model: Model,
    mixture: Mixture,
    wanted: np.ndarray,
    n_neighbors: int,
) -> np.ndarray:
    """The same (n, m, q) for several variables with the covariances ``Xi (x) Psi``.

    ``Psi`` cancels where a map is complete: each variable is interpolated by itself.  Where values
    are missing, expectations given what is there stand for them; kriging is linear in them.

    Parameters
    ----------
    filled : list of ndarray of shape (n, p q)
        Maps with missing values at their expectation under each component.
    responsibilities : ndarray of shape (n, G)
    means : ndarray of shape (G, p, q)
    model : Model
    mixture : Mixture
    wanted, n_neighbors
        As for one.
    """
    q, model = means.shape[2], replace(model, family=model.family.spatial)
    return np.stack(
        [
            sum(
                expected_elsewhere(
                    maps[:, v::q],
                    responsibilities[:, [g]],
                    means[[g], :, v],
                    model,
                    [mixture.covariances[g].spatial],
                    wanted,
                    n_neighbors,
                )
                for g, maps in enumerate(filled)
            )
            for v in range(q)
        ],
        axis=2,
    )


class Interpolation:
    """From values at some locations to expectations at wanted places.

    Parameters
    ----------
    family : Family
        Of the fit.
    coordinates : ndarray of shape (p, d)
        Locations of the maps.
    wanted : ndarray of shape (m, d)
    n_neighbors : int
        Locations that a place is given where there are too many to take all.
    """

    def __init__(
        self, family: Family, coordinates: np.ndarray, wanted: np.ndarray, n_neighbors: int
    ):
        self._family = family
        self._known, self._wanted = coordinates, wanted
        space = family.geometry.space
        self._points, self._targets = space.embedded(coordinates), space.embedded(wanted)
        self._n_neighbors = n_neighbors

    def residuals(self, residuals: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Expected residuals (n, m) at the wanted places.

        Parameters
        ----------
        residuals : ndarray of shape (n, p)
            About the trend, NaN where a value is missing.
        theta : ndarray of shape (3 + q,)
        """
        found = np.zeros((len(residuals), len(self._wanted)))
        for rows, seen in _patterns(residuals):
            if not seen.size:
                continue  # an empty map is expected to be its trend
            values = residuals[np.ix_(rows, seen)]
            together = len(seen) <= _MOST_TOGETHER
            weigh = self._all if together else self._nearest
            for places, predicted in weigh(seen, values, theta):
                found[np.ix_(rows, places)] = predicted
        return found

    def _all(self, seen, values, theta) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Expectations at some places at a time, from all of the locations seen."""
        p, known = len(seen), self._known[seen]
        one, other = (index.ravel() for index in np.indices((p, p)))
        Xi = self._family.between(known[one], known[other], theta).reshape(p, p)
        np.einsum("ii->i", Xi)[:] += self._family.nugget(theta)
        weighted = solve(Xi, values.T, assume_a="sym")
        near, same = self._coinciding(seen)
        for places in _chunks(len(self._wanted), p):
            one, other = (index.ravel() for index in np.indices((len(places), p)))
            k = self._family.between(self._wanted[places][one], known[other], theta)
            k = k.reshape(len(places), p)
            k[same[places], near[places][same[places]]] += self._family.nugget(theta)
            yield places, (k @ weighted).T

    def _nearest(self, seen, values, theta) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Expectations at some places at a time, each from the nearest of the locations seen."""
        width = min(self._n_neighbors, len(seen))
        _, windows = cKDTree(self._points[seen]).query(self._targets, k=width)
        windows = windows.reshape(-1, width)  # the nearest first
        _, same = self._coinciding(seen)
        for places in _chunks(len(self._wanted), width**2):
            these = windows[places]
            known = self._known[seen[these]]
            shape = (len(places), width, width, known.shape[-1])
            one = np.broadcast_to(known[:, :, None], shape).reshape(-1, shape[-1])
            other = np.broadcast_to(known[:, None], shape).reshape(-1, shape[-1])
            Xi = self._family.between(one, other, theta).reshape(shape[:-1])
            np.einsum("gii->gi", Xi)[:] += self._family.nugget(theta)
            wanted = np.repeat(self._wanted[places], width, axis=0)
            k = self._family.between(wanted, known.reshape(len(wanted), -1), theta)
            k = k.reshape(len(places), width)
            k[same[places], 0] += self._family.nugget(theta)
            weights = np.linalg.solve(Xi, k[:, :, None])[:, :, 0]
            yield places, np.einsum("gk,ngk->ng", weights, values[:, these])

    def _coinciding(self, seen) -> tuple[np.ndarray, np.ndarray]:
        """The nearest of the locations seen to each wanted place, and whether it is the same."""
        distance, near = cKDTree(self._points[seen]).query(self._targets)
        return near, distance <= _SAME * self._family.geometry.unit


def _patterns(residuals: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Maps with the same missing values: their rows, and the columns that they have."""
    missing = np.isnan(residuals)
    patterns, which = np.unique(missing, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        yield np.flatnonzero(which.ravel() == number), np.flatnonzero(~pattern)


def _chunks(count: int, width: int) -> list[np.ndarray]:
    """Places to work on at a time, so that an array with `width` numbers for each stays small."""
    step = max(_CHUNK_VALUES // width, 1)
    return [np.arange(a, min(a + step, count)) for a in range(0, count, step)]

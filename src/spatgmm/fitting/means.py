"""What a component's mean map can be: anything, or a combination of a few given maps.

Where the columns of ``Phi`` span what a mean can be, it is the generalised least squares estimate
within them (:meth:`spatgmm.fitting.maps.Maps.mean_within`); where that is every map, it is the
weighted mean of a component's maps.

A free mean has as many parameters as there are pixels.  BIC charges ``p log(n) / 2`` for each
component's, more than two components can gain on large maps: there, means with few parameters let
BIC see what differs in covariance.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy.linalg import qr
from scipy.sparse.linalg import LinearOperator, cg

from spatgmm.covariance.family import Covariance
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.space import PLANE, Space
from spatgmm.fitting.maps import Blocks, Maps
from spatgmm.fitting.options import AUTO

#: Waves per axis in the lowest, second, ... mean that ``"smooth"`` chooses from.
SMOOTHNESS = (1, 2, 3, 4)

#: What is left of a wave beside the others, relative to the largest, below which it is one of them.
_DEPENDENT = 1e-6

#: A common mean is solved for to this relative precision.
_PRECISION = 1e-10


class Mean(ABC):
    """What the rest of the package asks of a kind of mean."""

    name: str

    #: Whether a mean follows the maps wherever they go: one parameter for each location.
    is_free = False

    #: Whether all components have the same.
    is_common = False

    #: Whether each component has a given one, so that components have their numbers.
    is_held = False

    @abstractmethod
    def centre(self, X: np.ndarray) -> np.ndarray:
        """What to subtract from maps (n, p) before fitting, (p,); NaN are missing."""

    @abstractmethod
    def n_parameters(self, n_components: int, basis: Blocks) -> int:
        """Free parameters of the means of all components, within their :meth:`basis`."""

    @abstractmethod
    def basis(self, geometry: Geometry) -> Blocks:
        """The maps that span a mean, (k, p_b) block by block."""

    @property
    def searched(self) -> Mean:
        """The mean that a search is told of, which knows components up to their numbers."""
        return self

    def trend(
        self, coordinates: np.ndarray, elsewhere: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What is known of a mean beyond its own locations: maps (k, p) there and (k, m) elsewhere.

        A mean that is known at its locations alone has a level, by default.
        """
        return np.ones((1, len(coordinates))), np.ones((1, len(elsewhere)))

    def imposed(self, means: list[Blocks]) -> list[Blocks]:
        """Each component's mean where it is given, else as it is."""
        return means

    def estimates(
        self,
        maps: list[Maps],
        weights: list[np.ndarray],
        covariances: list[Covariance],
        basis: Blocks,
        components: Sequence[int],
    ) -> list[Blocks]:
        """These components' means, given the maps as each sees them and their weights in it."""
        return [
            seen.mean_within(w, basis, covariance)
            for seen, w, covariance in zip(maps, weights, covariances, strict=True)
        ]


class FreeMean(Mean):
    """One parameter for each location."""

    name = "free"
    is_free = True

    def centre(self, X):
        return X.mean(axis=0, where=observed(X))

    def n_parameters(self, n_components, basis):
        return n_components * _n_locations(basis)

    def basis(self, geometry):
        return [np.empty((0, size)) for size in geometry.sizes]  # nothing confines it

    def estimates(self, maps, weights, covariances, basis, components):
        return [seen.mean(w) for seen, w in zip(maps, weights, strict=True)]


class CommonMean(FreeMean):
    """One parameter for each location, the same for all components.

    ``sum_g n_g W_g mu = sum_g n_g W_g m_g``, by conjugate gradients.
    """

    name = "common"
    is_free = False
    is_common = True

    def n_parameters(self, n_components, basis):
        return _n_locations(basis)

    def estimates(self, maps, weights, covariances, basis, components):
        centres = super().estimates(maps, weights, covariances, basis, components)
        if not centres:  # every component is empty
            return centres
        shares = np.array([w.sum() for w in weights])
        shares /= shares.sum()
        splits = np.cumsum([len(block) for block in centres[0]])[:-1]

        def weighted(vectors: list[Blocks]) -> np.ndarray:
            solved = (c.solve(v) for c, v in zip(covariances, vectors, strict=True))
            return sum(s * np.concatenate(v) for s, v in zip(shares, solved, strict=True))

        flat = [np.concatenate(centre) for centre in centres]
        size = len(flat[0])
        system = LinearOperator(
            (size, size), lambda v: weighted([np.split(np.ravel(v), splits)] * len(centres))
        )
        pooled = sum(s * m for s, m in zip(shares, flat, strict=True))
        mean, _ = cg(system, weighted(centres), x0=pooled, rtol=_PRECISION)
        return [np.split(mean, splits)] * len(centres)


class ConstantMean(Mean):
    """The same value at all locations."""

    name = "constant"

    def centre(self, X):
        return np.full(X.shape[1], X.mean(where=observed(X)))

    def n_parameters(self, n_components, basis):
        return n_components * len(basis[0])

    def basis(self, geometry):
        return [u[None] for u in geometry.ones]


class ZeroMean(Mean):
    """Zero, for maps that have been centred."""

    name = "zero"

    def centre(self, X):
        return np.zeros(X.shape[1])

    def n_parameters(self, n_components, basis):
        return 0

    def basis(self, geometry):
        return [np.empty((0, size)) for size in geometry.sizes]

    def trend(self, coordinates, elsewhere):
        return np.empty((0, len(coordinates))), np.empty((0, len(elsewhere)))


class SmoothMean(ConstantMean):
    """A few low cosines of the coordinates: up to `n_waves` half waves along each axis.

    Parameters
    ----------
    n_waves : int
    dimensions : int
        Of the coordinates.
    """

    name = "smooth"

    def __init__(self, n_waves: int, dimensions: int):
        self.n_waves = n_waves
        waves = product(range(n_waves + 1), repeat=dimensions)
        self._waves = [of_axes for of_axes in waves if sum(of_axes) <= n_waves]

    def basis(self, geometry):
        return geometry.rotate(self.trend(geometry.coordinates, geometry.coordinates[:0])[0])

    def trend(self, coordinates, elsewhere):
        low, high = coordinates.min(axis=0), coordinates.max(axis=0)
        # Grid points are the middles of their cells, so that on a grid these are DCT-II's cosines.
        steps = [np.diff(np.unique(column)).min(initial=np.inf) for column in coordinates.T]
        margin = np.where(np.isfinite(steps), steps, 1.0) / 2
        found = []
        for places in (coordinates, elsewhere):
            along = np.pi * (places - low + margin) / (high - low + 2 * margin)
            found.append(np.array([np.cos(along * waves).prod(axis=1) for waves in self._waves]))
        kept = _independent(found[0])
        return found[0][kept], found[1][kept]


class SpannedMean(ConstantMean):
    """Any combination of some maps over known locations.

    Parameters
    ----------
    maps : ndarray of shape (k, p)
    coordinates : ndarray of shape (p, d)
    """

    name = "spanned"

    def __init__(self, maps: np.ndarray, coordinates: np.ndarray):
        self._maps = maps[_independent(maps)]
        self._places = {tuple(place): j for j, place in enumerate(coordinates)}

    def basis(self, geometry):
        there = [self._places[tuple(place)] for place in geometry.coordinates]
        some = self._maps[:, there]
        return geometry.rotate(some[_independent(some)])


class HeldMean(Mean):
    """A given map for each component.

    Parameters
    ----------
    blocks : list of Blocks
        Each component's, as a mixture has them.
    searched : Mean
        What a search is told of: it is to find the components, and which is which shows then.
    """

    name = "held"
    is_held = True

    def __init__(self, blocks: list[Blocks], searched: Mean):
        self._blocks, self._searched = blocks, searched

    @property
    def searched(self):
        return self._searched

    def centre(self, X):
        return X.mean(axis=0, where=observed(X))

    def n_parameters(self, n_components, basis):
        return 0

    def basis(self, geometry):
        return [np.empty((0, size)) for size in geometry.sizes]

    def imposed(self, means):
        return list(self._blocks)

    def estimates(self, maps, weights, covariances, basis, components):
        return [self._blocks[g] for g in components]


_MEANS = {mean.name: mean for mean in (FreeMean(), ConstantMean(), CommonMean(), ZeroMean())}


def of(name: str, dimensions: int, n_waves: int | None = None) -> Mean:
    """One mean by its name, a smooth one with its number of waves."""
    return _MEANS[name] if n_waves is None else SmoothMean(n_waves, dimensions)


def candidates(name: str, dimensions: int, space: Space = PLANE) -> list[Mean]:
    """The means that ``mean=name`` stands for, among which BIC chooses.

    Raises
    ------
    ValueError
        If there is no such mean in that space.
    """
    if name == AUTO:
        names = ("free", "constant", "common", *(["smooth"] if space.is_flat else []))
        return [mean for one in names for mean in candidates(one, dimensions)]
    if name == SmoothMean.name and not space.is_flat:
        option = "period" if space.has_axes else f"space={space.name!r}"
        raise ValueError(
            f"mean='smooth' is made of cosines, which do not close: not with {option}; use "
            "mean='free' or 'constant'"
        )
    if name == SmoothMean.name:
        return [of(name, dimensions, n_waves) for n_waves in SMOOTHNESS]
    return [of(name, dimensions)]


def _n_locations(basis: Blocks) -> int:
    return sum(block.shape[1] for block in basis)


def _independent(vectors: np.ndarray) -> np.ndarray:
    """Which rows are no combination of others: few locations along an axis carry few waves."""
    _, R, order = qr(vectors.T, mode="economic", pivoting=True)
    left = np.abs(np.diag(R))
    return np.sort(order[: np.count_nonzero(left > _DEPENDENT * left.max(initial=0.0))])


def observed(X: np.ndarray) -> np.ndarray | bool:
    """Which values are not missing, as numpy's ``where``; True without a copy where all are."""
    return ~np.isnan(X) if np.isnan(X).any() else True

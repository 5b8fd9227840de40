"""From coordinates to scaled distances, and to the symmetry that makes large grids cheap.

The model sees locations only through their Euclidean distances, scaled so that the largest
is 2.  On a regular grid every isotropic covariance commutes with the reflection of each axis,
so that in the basis of even and odd maps it falls apart into ``2**d`` independent blocks of
about ``p / 2**d`` rows.  :class:`Geometry` hides which case holds: it hands out blocks, and
irregular locations are the case of a single block.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.spatial.distance import pdist, squareform

from spatgmm.covariance.grid import regular_grid
from spatgmm.covariance.space import PLANE, Space

#: The largest scaled distance; the decay runs from 0 at distance 0 to 1 here.
MAX_DISTANCE = 2.0

#: Distances that agree to this relative precision count as equal.
_RELATIVE = 1e-9

#: Below this many locations the bookkeeping of blocks costs more than it saves (`make bench`).
_MIN_LOCATIONS_FOR_BLOCKS = 150


def scaled_distances(coordinates: np.ndarray) -> np.ndarray:
    """Euclidean distances between locations, scaled so that the largest is 2.

    ``delta_jk = 2 ||c_j - c_k|| / max ||c_j - c_k||``  (paper, section on the sigmoid decay).

    Parameters
    ----------
    coordinates : ndarray of shape (p, d)

    Returns
    -------
    ndarray of shape (p, p)
    """
    return Geometry(coordinates, symmetry=False).distances()


class Geometry:
    """Scaled distances of a set of locations, in blocks that a spatial covariance respects.

    Parameters
    ----------
    coordinates : ndarray of shape (p, d)
        Checked coordinates (:func:`check_coordinates`).
    symmetry : bool or None
        Whether to use the reflection blocks of a regular grid; ``None`` uses them where they
        exist and pay.
    by_offset : bool
        Whether pairs of locations count as equal only where their offsets are, not already where
        their distances are.
    space : Space
        Where the locations are.
    scale : (float, ndarray) or None
        :attr:`unit` and :attr:`extents` of the whole, where these locations are some of many.

    Attributes
    ----------
    delta : ndarray of shape (m,)
        The distinct scaled distances at which a decay needs to be evaluated.
    offsets : ndarray of shape (m, k)
        Scaled offsets that go with them, along the axes of the space; where distances are what
        counts, one of several each.
    unit : float
        Original units per unit of scaled distance.
    extents : ndarray of shape (k,)
        The largest scaled offset along each axis.
    ones : list of ndarray
        The constant map in each block.
    sizes : list of int
        Number of rows of each block.
    path : str
        ``"reflection blocks"`` or ``"one dense block"``.
    """

    #: The path without symmetry.
    DENSE = "one dense block"

    def __init__(
        self,
        coordinates: np.ndarray,
        symmetry: bool | None = None,
        by_offset: bool = False,
        space: Space = PLANE,
        scale: tuple[float, np.ndarray] | None = None,
    ):
        self.coordinates, self.space = coordinates, space
        self._settings = {"symmetry": symmetry, "by_offset": by_offset, "space": space}
        if symmetry is None:
            symmetry = len(coordinates) >= _MIN_LOCATIONS_FOR_BLOCKS
        grid = regular_grid(coordinates) if symmetry and space.has_axes else None
        if grid is not None:
            self._basis = _ReflectionBasis(*grid, space)
        else:
            self._basis = _DenseBasis(coordinates, by_offset, space)
        distances = np.sqrt((self._basis.offsets**2).sum(axis=1))
        if scale is None:
            unit = distances.max() / MAX_DISTANCE if distances.max() > 0 else 1.0
            scale = unit, space.extents(coordinates) / unit
        self.unit, self.extents = scale
        self.offsets = self._basis.offsets / self.unit
        self.delta = distances / self.unit
        self.ones = self._basis.rotate(np.ones((1, len(coordinates))))
        self.ones = [block[0] for block in self.ones]
        self.sizes = [len(block) for block in self.ones]
        self.path = self._basis.path

    @property
    def n_locations(self) -> int:
        return len(self.coordinates)

    @property
    def smallest_distance(self) -> float:
        """The smallest scaled distance between locations on different spots."""
        return float(self.delta[self.delta > _RELATIVE].min(initial=MAX_DISTANCE))

    def assemble(self, values: np.ndarray) -> list[np.ndarray]:
        """The matrix with entries ``values(delta_jk)``, block by block.

        Parameters
        ----------
        values : ndarray of shape (m,)
            A function of distance, evaluated at :attr:`delta`.

        Returns
        -------
        list of ndarray of shape (p_b, p_b)
        """
        return self._basis.assemble(values)

    def rotate(self, X: np.ndarray) -> list[np.ndarray]:
        """Maps (n, p) in the orthonormal basis of the blocks: a list of (n, p_b)."""
        return self._basis.rotate(X)

    def rotate_back(self, blocks: list[np.ndarray]) -> np.ndarray:
        """The inverse of :meth:`rotate`."""
        return self._basis.rotate_back(blocks)

    def thinned(self, largest_block: int) -> np.ndarray | None:
        """Some of the locations, evenly spread, so that no block has more than that many rows.

        Returns
        -------
        ndarray of int, or None
            Indices of the locations; None where all of them fit.
        """
        return self._basis.thinned(largest_block)

    def part(self, locations: np.ndarray) -> Geometry:
        """Some of the locations, at the same distances from each other."""
        scale = self.unit, self.extents
        return Geometry(self.coordinates[locations], scale=scale, **self._settings)

    def distances(self) -> np.ndarray:
        """All scaled distances, shape (p, p)."""
        return squareform(pdist(self.space.embedded(self.coordinates))) / self.unit


class _DenseBasis:
    """The one-block case: no symmetry is known, locations keep their order."""

    path = Geometry.DENSE

    def __init__(self, coordinates: np.ndarray, by_offset: bool, space: Space):
        p = len(coordinates)
        rows, columns = np.triu_indices(p, 1)
        keys = [pdist(space.embedded(coordinates))]
        if by_offset:
            # An offset and its opposite are the same pair of locations.
            offsets = space.offsets(coordinates[rows], coordinates[columns])
            offsets *= _sign_of_first(offsets, _RELATIVE * keys[0].max(initial=0))[:, None]
            keys = list(offsets.T)
        first, inverse = _distinct(keys)
        found = space.offsets(coordinates[rows[first]], coordinates[columns[first]])
        self.offsets = np.concatenate([np.zeros((1, found.shape[1])), found])
        # Of the size that numpy takes as it is: every step of every component gathers a matrix.
        self._index = np.zeros((p, p), dtype=np.intp)
        self._index[rows, columns] = self._index[columns, rows] = inverse + 1

    def thinned(self, largest_block: int) -> np.ndarray | None:
        p = len(self._index)
        return None if p <= largest_block else np.arange(0, p, -(-p // largest_block))

    def assemble(self, values: np.ndarray) -> list[np.ndarray]:
        return [np.take(values, self._index)]

    def rotate(self, X: np.ndarray) -> list[np.ndarray]:
        return [X]

    def rotate_back(self, blocks: list[np.ndarray]) -> np.ndarray:
        return blocks[0]


class _ReflectionBasis:
    """Even and odd maps along every axis of a regular grid.

    Along an axis of ``m`` points the basis pairs point ``i`` with its mirror image
    ``m - 1 - i``: ``(e_i + e_mirror) / sqrt(2)`` is even, ``(e_i - e_mirror) / sqrt(2)`` is odd,
    and the centre of an odd ``m`` is even by itself.  A function ``f`` of the offset has there

    ``f_even[i, k] = w_i w_k (f(|i - k|) + f(m - 1 - i - k))``, ``w`` 1 or, centre, ``1/sqrt(2)``,
    ``f_odd[i, k]  = f(|i - k|) - f(m - 1 - i - k)``,

    so blocks are folded from the ``p`` offsets of the grid, and no p x p matrix is ever formed.
    Chords of a closed axis are a function of the same lags.
    """

    path = "reflection blocks"

    def __init__(
        self,
        shape: tuple[int, ...],
        steps: tuple[float, ...],
        order: np.ndarray,
        space: Space,
    ):
        self._shape = shape
        self._order = order  # location of the map that sits at each grid point, C order
        offsets = np.meshgrid(
            *[step * np.arange(m) for m, step in zip(shape, steps, strict=True)], indexing="ij"
        )
        lags = np.stack([offset.ravel() for offset in offsets], axis=1)
        self.offsets = space.offsets(lags, np.zeros_like(lags))
        # An axis of a single point has no odd maps.
        self._parities = list(product(*[(1, -1) if m > 1 else (1,) for m in shape]))

    def thinned(self, largest_block: int) -> np.ndarray | None:
        step = 1
        # The all-even block is the largest.
        while np.prod([_half(-(-m // step), 1) for m in self._shape]) > largest_block:
            step += 1
        if step == 1:
            return None
        every = tuple(slice(None, None, step) for _ in self._shape)
        return np.sort(self._order.reshape(self._shape)[every].ravel())

    def assemble(self, values: np.ndarray) -> list[np.ndarray]:
        table = values.reshape(self._shape)
        blocks = []
        for parities in self._parities:
            folded = table
            for axis, parity in enumerate(parities):
                # Axes already folded became two axes each, in front of the remaining ones.
                folded = _fold_offsets(folded, 2 * axis, parity)
            d = len(parities)
            folded = folded.transpose([2 * a for a in range(d)] + [2 * a + 1 for a in range(d)])
            size = int(np.prod(folded.shape[:d]))
            blocks.append(np.ascontiguousarray(folded).reshape(size, size))
        return blocks

    def rotate(self, X: np.ndarray) -> list[np.ndarray]:
        maps = X[:, self._order].reshape(len(X), *self._shape)
        blocks = []
        for parities in self._parities:
            folded = maps
            for axis, parity in enumerate(parities):
                folded = _fold_maps(folded, axis + 1, parity)
            blocks.append(folded.reshape(len(X), np.prod(folded.shape[1:])))
        return blocks

    def rotate_back(self, blocks: list[np.ndarray]) -> np.ndarray:
        n = len(blocks[0])
        folded = {
            parities: block.reshape(
                n, *[_half(m, s) for m, s in zip(self._shape, parities, strict=True)]
            )
            for parities, block in zip(self._parities, blocks, strict=True)
        }
        # Undo the last axis first: its even and odd halves share the parities of the others.
        for axis in reversed(range(len(self._shape))):
            merged = {}
            for parities, even in folded.items():
                if parities[axis] == 1:
                    odd = folded.get((*parities[:axis], -1, *parities[axis + 1 :]))
                    merged[parities] = _unfold_maps(even, odd, axis + 1, self._shape[axis])
            folded = merged
        (maps,) = folded.values()
        X = np.empty((n, len(self._order)))
        X[:, self._order] = maps.reshape(n, len(self._order))
        return X


def _distinct(keys: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the first of each distinct tuple of keys, and which of them each tuple is.

    Keys that differ in their last bits are equal: they are rounded, in units of the largest.
    """
    codes, *others = [np.round(key / (np.abs(key).max(initial=0) or 1), 12) for key in keys]
    for key in others:
        (_, code), (distinct, further) = (
            np.unique(these, return_inverse=True) for these in (codes, key)
        )
        codes = code * len(distinct) + further
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first, inverse


def _sign_of_first(offsets: np.ndarray, smallest: float) -> np.ndarray:
    """Sign of each row's first entry that is not 0."""
    large = np.abs(offsets) > smallest
    return np.where(offsets[np.arange(len(offsets)), large.argmax(axis=1)] < 0, -1.0, 1.0)


def _half(m: int, parity: int) -> int:
    """Number of even (parity 1) or odd (-1) basis maps along an axis of m points."""
    return (m + 1) // 2 if parity == 1 else m // 2


def _centre_weights(m: int) -> np.ndarray:
    weights = np.ones((m + 1) // 2)
    if m % 2:
        weights[-1] = np.sqrt(0.5)
    return weights


def _fold_offsets(table: np.ndarray, axis: int, parity: int) -> np.ndarray:
    """Replace an axis of offsets by the two axes (i, k) of its even or odd block."""
    m = table.shape[axis]
    i = np.arange(_half(m, parity))
    direct = np.abs(i[:, None] - i[None, :])
    mirrored = m - 1 - i[:, None] - i[None, :]
    folded = np.take(table, direct, axis=axis) + parity * np.take(table, mirrored, axis=axis)
    if parity == 1 and m % 2:
        weights = _centre_weights(m)
        scale = np.outer(weights, weights)
        folded *= scale.reshape(scale.shape + (1,) * (table.ndim - axis - 1))
    return folded


def _fold_maps(maps: np.ndarray, axis: int, parity: int) -> np.ndarray:
    """Coordinates of maps along the even or odd basis of one axis."""
    m = maps.shape[axis]
    half = np.take(maps, np.arange(_half(m, parity)), axis=axis)
    mirror = np.take(maps, m - 1 - np.arange(_half(m, parity)), axis=axis)
    if parity == -1:
        return (half - mirror) * np.sqrt(0.5)
    weights = _centre_weights(m) * np.sqrt(0.5)
    return (half + mirror) * weights.reshape((-1,) + (1,) * (maps.ndim - axis - 1))


def _unfold_maps(even: np.ndarray, odd: np.ndarray | None, axis: int, m: int) -> np.ndarray:
    """The inverse of :func:`_fold_maps` for both halves of one axis."""
    even, k = np.moveaxis(even, axis, 0), m // 2
    maps = np.empty((m, *even.shape[1:]))
    if m % 2:
        maps[k] = even[k]
    if k:
        odd = np.moveaxis(odd, axis, 0)
        maps[:k] = (even[:k] + odd) * np.sqrt(0.5)
        maps[m - k :] = ((even[:k] - odd) * np.sqrt(0.5))[::-1]
    return np.moveaxis(maps, 0, axis)

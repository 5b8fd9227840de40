"""Every location among its nearest earlier ones: what Vecchia's likelihood conditions on.

Locations are put in an order, and each is given the ``m`` nearest of those before it, its *window*.
Locations on a lattice (a grid, complete or with holes) come in raster order, so that windows repeat
and those of the same offsets form a *group* with one conditional distribution; elsewhere every
location is a group of its own.  Covariances are evaluated at the distinct offsets within windows,
never at all ``p^2`` pairs.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from spatgmm import memory
from spatgmm.covariance.geometry import MAX_DISTANCE, Geometry
from spatgmm.covariance.space import PLANE, Space, diameter

#: A generic shear far below any distance: it breaks ties between neighbours equally far away, and
#: in the same way everywhere, so that windows on a lattice repeat.
_TILT = 1e-7 * np.array([[0.0, 0.613, 0.287], [0.171, 0.419, 0.733], [0.531, 0.057, 0.911]])

#: Lattice indices may be off by this much, in steps of the lattice.
_OFF_LATTICE = 1e-6

#: A lattice of so many more places than locations is none.
_SPARSEST_LATTICE = 16

#: Numbers in a temporary array (32 MB).
_CHUNK_VALUES = 2**22

#: Bytes per entry of all windows (a place's offset, the distinct offsets, coefficients) and per
#: number of a temporary array, of which so many are alive at a time.
_BYTES_PER_ENTRY, _BYTES_OF_WORK = 8, 5 * 8

#: Most locations that a search looks at, where they are on no grid: its spectra cost their cube.
_MOST_SEARCHED = 500

#: Cells are halved no further: what is still together is together for all purposes.
_MOST_HALVINGS = 20

#: Binary digits of the number of a cell.
_DIGITS_OF_CELLS = 62

#: Locations of a cluster of the part that a search looks at.
_CLUSTER = 4


class NeighbourGeometry:
    """Locations, scaled as in :class:`spatgmm.covariance.geometry.Geometry`, in windows.

    Parameters
    ----------
    coordinates : ndarray of shape (p, d)
    n_neighbors : int
        Most neighbours of a location; beyond ``p - 1`` it is that.
    space : Space

    Attributes
    ----------
    windows : ndarray of shape (p, m + 1)
        Each location's neighbours, the farthest first, and then the location itself.  The early
        ones have fewer: places that are left over, at the front, hold the location.
    group : ndarray of shape (p,)
        Which group each location belongs to.
    present : ndarray of bool, shape (n_groups, m + 1)
        Which places of a group's windows are not left over.
    sizes_of_groups : ndarray of shape (n_groups,)
    order : ndarray of shape (p,)
        Locations, the first first.
    delta, offsets, unit, extents, ones, sizes, path
        As in ``Geometry``: one block, the locations in their own order.

    Raises
    ------
    ValueError
        If the windows do not fit into the machine's memory.

    References
    ----------
    Vecchia, J. R. Stat. Soc. B 50 (1988); Katzfuss and Guinness, Statistical Science 36 (2021).
    """

    path = "nearest neighbours"

    def __init__(self, coordinates: np.ndarray, n_neighbors: int = 60, space: Space = PLANE):
        p, d = coordinates.shape
        self.coordinates, self.space = coordinates, space
        self.n_neighbors = m = min(n_neighbors, p - 1)
        self._points = points = space.embedded(coordinates)
        self.unit = diameter(points) / MAX_DISTANCE
        self.extents = space.extents(coordinates) / self.unit
        self.ones, self.sizes = [np.ones(p)], [p]
        self._codes = _lattice_codes(coordinates) if space.is_flat else None
        self.order = _order(points, self._codes)
        tilted = points[self.order]
        if space.is_flat:
            tilted = tilted @ (np.eye(d) + _TILT[:d, :d])
        earlier = _nearest_earlier(tilted, m)
        self.windows = np.empty((p, m + 1), dtype=np.int32)
        self.windows[self.order, m] = self.order
        self.windows[self.order, :m] = np.where(
            earlier[:, ::-1] >= 0, self.order[earlier[:, ::-1]], self.order[:, None]
        )
        first = self._find_groups()
        entries = len(first) * (m + 1) ** 2
        work = min(entries, _CHUNK_VALUES) * _BYTES_OF_WORK
        check_memory(entries * _BYTES_PER_ENTRY + work, p, m)
        self._find_offsets(first)
        here = self.present[self.group]
        self._indices = self.windows[here]
        self._starts = np.concatenate([[0], np.cumsum(here.sum(axis=1))])
        self._here = here

    @property
    def n_locations(self) -> int:
        return len(self.coordinates)

    @property
    def n_groups(self) -> int:
        return len(self.present)

    @property
    def smallest_distance(self) -> float:
        """The smallest scaled distance between locations on different spots."""
        return float(self.delta[self.delta > 1e-9].min(initial=MAX_DISTANCE))

    def rotate(self, X: np.ndarray) -> list[np.ndarray]:
        """Maps (n, p) as one block."""
        return [X]

    def rotate_back(self, blocks: list[np.ndarray]) -> np.ndarray:
        """The inverse of :meth:`rotate`."""
        return blocks[0]

    def assemble(self, values: np.ndarray, groups: slice, nearest: int) -> np.ndarray:
        """``values(delta)`` between the last places of some groups' windows, (g, nearest, nearest).

        Rows and columns of places that are left over are 0.
        """
        return np.append(values, 0.0)[self._pairs[groups, -nearest:, -nearest:]]

    def chunks(self, size: int = _CHUNK_VALUES) -> list[slice]:
        """All groups, as many at a time as keep arrays of their windows small."""
        step = max(size // (self.n_neighbors + 1) ** 2, 1)
        return [slice(a, min(a + step, self.n_groups)) for a in range(0, self.n_groups, step)]

    def sparse(self, coefficients: np.ndarray) -> csr_array:
        """Coefficients (n_groups, m + 1) of windows as a matrix (p, p) that acts on maps."""
        data = coefficients[self.group][self._here]
        p = self.n_locations
        return csr_array((data, self._indices, self._starts), shape=(p, p))

    def thinned(self, largest_block: int) -> np.ndarray | None:
        """Some of the locations, in small clusters all over the region; None where all fit.

        Clusters: neighbours tell the nugget, the rest how far correlation reaches.
        """
        most = min(largest_block, _MOST_SEARCHED)
        if self.n_locations <= most:
            return None
        centres = _spread(self._points)[: most // _CLUSTER]
        return np.unique(cKDTree(self._points).query(self._points[centres], k=_CLUSTER)[1])

    def part(self, locations: np.ndarray) -> Geometry:
        """Some of the locations, at the same distances from each other, all pairs of them."""
        return Geometry(
            self.coordinates[locations],
            symmetry=False,
            by_offset=True,
            space=self.space,
            scale=(self.unit, self.extents),
        )

    def _find_groups(self) -> np.ndarray:
        """Sets :attr:`group` and :attr:`present`; a location of each group.

        Off a lattice groups are numbered in the order of the locations: what is nearby is then
        close in memory.
        """
        own = self.windows[:, -1:]
        present = self.windows != own
        present[:, -1] = True
        if self._codes is None:
            first, self.group = self.order, np.argsort(self.order)
        else:
            # A neighbour on the same spot has offset 0, a place that is left over none.
            offsets = self._codes[self.windows] - self._codes[own]
            offsets[~present] = np.iinfo(np.int64).max
            _, first, group = np.unique(offsets, axis=0, return_index=True, return_inverse=True)
            self.group = group.ravel()
        self.present = present[first]
        self.sizes_of_groups = np.bincount(self.group)
        return first

    def _find_offsets(self, first: np.ndarray) -> None:
        """The distinct offsets between places of windows, and which of them each pair has."""
        m, representatives = self.n_neighbors, self.windows[first]
        one, other = np.tril_indices(m + 1, -1)
        self._pairs = np.empty((len(first), m + 1, m + 1), dtype=np.int32)
        keys, ends = [np.zeros(1, dtype=np.int64)], [np.zeros((2, 1), dtype=np.int32)]
        for groups in self.chunks():
            rows, columns = representatives[groups][:, one], representatives[groups][:, other]
            found, at, which = np.unique(
                self._key(rows, columns), return_index=True, return_inverse=True
            )
            keys.append(found)
            ends.append(np.stack([rows.ravel()[at], columns.ravel()[at]]))
            self._pairs[groups, one, other] = which.reshape(rows.shape)
        distinct, at = np.unique(np.concatenate(keys), return_index=True)
        rows, columns = np.concatenate(ends, axis=1)[:, at]
        offsets = self.space.offsets(self.coordinates[rows], self.coordinates[columns])
        self.offsets = offsets / self.unit
        self.delta = np.sqrt((self.offsets**2).sum(axis=1))
        for groups, found in zip(self.chunks(), keys[1:], strict=True):
            there, pairs = self.present[groups], self._pairs[groups]
            both = there[:, one] & there[:, other]
            lower = np.where(
                both, np.searchsorted(distinct, found)[pairs[:, one, other]], len(distinct)
            )
            pairs[:, one, other] = pairs[:, other, one] = lower
            np.einsum("gii->gi", pairs)[:] = np.where(there, 0, len(distinct))

    def _key(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """A number for the offset of each pair of locations, the same for the opposite offset."""
        if self._codes is not None:
            return np.abs(self._codes[rows] - self._codes[columns])
        rows, columns = self.group[rows], self.group[columns]
        low, high = np.minimum(rows, columns), np.maximum(rows, columns)
        return np.where(low == high, 0, low * self.n_locations + high)


def check_memory(n_bytes: float, n_locations: int, n_neighbors: int) -> None:
    """Refuse windows that need more than the memory that is left.

    Raises
    ------
    ValueError
    """
    what = f"likelihood='vecchia' with n_neighbors={n_neighbors} at {n_locations} locations"
    memory.check(n_bytes, what, "take fewer neighbours")


def _lattice_codes(coordinates: np.ndarray) -> np.ndarray | None:
    """A number for each location, its differences one for each offset; None off a lattice."""
    p = len(coordinates)
    codes, stride, places = np.zeros(p, dtype=np.int64), 1, 1.0
    for values in coordinates.T[::-1]:
        span = np.ptp(values)
        if span == 0:
            continue
        gaps = np.diff(np.sort(values))
        step = gaps[gaps > 1e-9 * span].min()
        step = span / round(span / step)
        index = np.round((values - values.min()) / step).astype(np.int64)
        places *= index.max() + 1
        if np.abs((values - values.min()) / step - index).max() > _OFF_LATTICE:
            return None
        codes += stride * index
        stride *= 2 * int(index.max()) + 1
        if places > _SPARSEST_LATTICE * p:
            return None
    return codes


def _order(coordinates: np.ndarray, codes: np.ndarray | None) -> np.ndarray:
    """Raster order on a lattice; elsewhere every location as far as can be from all before it."""
    return _spread(coordinates) if codes is None else np.argsort(codes, kind="stable")


def _spread(coordinates: np.ndarray) -> np.ndarray:
    """Locations from coarse to fine, a cheap stand-in for the order of largest least distances.

    Cells are halved time and again, and every cell without a location among those before gets one.
    With exponential decays log-likelihood ratios came out two to four times as accurate as in the
    order along an axis (Guinness, Technometrics 60, 2018, found the same of the full order).
    """
    p, d = coordinates.shape
    position = coordinates - coordinates.min(axis=0)
    position /= position.max() or 1.0
    left = np.random.default_rng(0).permutation(p)
    order, taken = [], np.zeros(p, dtype=bool)
    for n_cells in 2 ** np.arange(min(_MOST_HALVINGS, _DIGITS_OF_CELLS // d)):
        cells = np.floor(position * n_cells).astype(np.int64)
        cells = np.ravel_multi_index(cells.T, (n_cells + 1,) * d)
        vacant = left[~np.isin(cells[left], cells[taken])]
        _, first = np.unique(cells[vacant], return_index=True)
        order.append(vacant[np.sort(first)])
        taken[order[-1]] = True
        left = left[~taken[left]]
        if not left.size:
            break
    return np.concatenate([*order, left])


def _nearest_earlier(points: np.ndarray, m: int) -> np.ndarray:
    """Places (p, m) of the nearest among the earlier points, the nearest first; -1: no more.

    Blocks of points, each as long as all before it, look for neighbours in a tree of all points up
    to the block's end: about half of those nearby are earlier.
    """
    p = len(points)
    found = np.full((p, m), -1, dtype=np.int64)
    start = 1
    while start < p:
        stop = min(p, max(2 * start, 4 * m))
        tree = cKDTree(points[:stop])
        waiting, k = np.arange(start, stop), min(2 * m + 2, stop)
        while waiting.size:
            short = []
            step = max(_CHUNK_VALUES // k, 1)
            for a in range(0, len(waiting), step):
                some = waiting[a : a + step]
                _, near = tree.query(points[some], k=k)
                near = near.reshape(len(some), k)
                earlier = near < some[:, None]
                rank = np.cumsum(earlier, axis=1)
                enough = rank[:, -1] >= np.minimum(m, some)
                short.append(some[~enough])
                row, column = np.nonzero(earlier & (rank <= m) & enough[:, None])
                found[some[row], rank[row, column] - 1] = near[row, column]
            waiting, k = np.concatenate(short), min(2 * k, stop)
        start = stop
    return found

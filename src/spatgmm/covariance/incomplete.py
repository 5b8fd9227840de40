r"""Vecchia's likelihood of maps with missing pixels: conditionals of each observed one.

They come from those of complete windows (:mod:`spatgmm.covariance.vecchia`) by the inverse of the
few rows that are missing.  With ``P = V_NN^-1``, ``P_mm = L L'`` and ``y~ = L^-1 (P y)_m``,

``b_o = b - P L'^-1 b~``,  ``d_o = d + b~' b~``  (``b~ = L^-1 b_m``, as ``b = P V_Nj``),
``y_o' V_oo^-1 z_o = y' P z - y~' z~``,

the last whatever ``y`` and ``z`` are at missing places.  It gives derivatives of innovations: for a
direction ``V'`` that of ``e`` is ``-r_o' V_oo^-1 (V' u)_o``.

Windows of one group share ``P``, so that products with it are those of matrices; the small
triangles ``L`` are as many as windows, and those of one size are worked on side by side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from spatgmm.covariance.neighbours import NeighbourGeometry
from spatgmm.covariance.vecchia import (
    Innovations,
    VecchiaCovariance,
    coefficients_of,
    factors_of,
)

#: Maps with missing pixels have conditionals of their own at every pixel: they take this share of
#: the neighbours, the nearest, unless neighbours are all earlier locations.
_SHARE = 2 / 3

#: Conditionals are kept for so many covariances.
_KEPT = 6

#: Numbers in a temporary array of windows (8 MB); triangles side by side (1 MB where they have 8
#: rows): few calls, in what the cache holds.
_CHUNK_VALUES, _MOST_SIDE_BY_SIDE = 2**20, 2**11

#: Bytes kept for each entry of the windows: its column and its coefficients.
BYTES_PER_ENTRY = 4 + 8 * _KEPT


def n_places(geometry: NeighbourGeometry) -> int:
    """Places of a window that are used, the location itself included."""
    m = geometry.n_neighbors
    return 1 + (m if m == geometry.n_locations - 1 else int(np.ceil(_SHARE * m)))


class Conditionals(NamedTuple):
    """Of every window under one covariance.

    Attributes
    ----------
    u : ndarray of shape (windows, width)
        ``(-b, 1)``, in the order of the window, 0 (up to rounding) where one is missing.
    A : csr_array of shape (windows, p * n)
        The same as a matrix: innovations of flattened maps (p, n).
    a, d : ndarray of shape (windows,)
        Innovations of the constant map 1, and variances.
    """

    u: np.ndarray
    A: csr_array
    a: np.ndarray
    d: np.ndarray


class _Windows(ABC):
    """What is the same for the windows of all maps and for those of some."""

    whole: IncompleteWindows
    rows: slice | np.ndarray  #: which of the whole's windows
    chunks: list[_Chunk]  #: these, as many at a time as are worked on together
    map_of: np.ndarray
    seen: np.ndarray
    n_seen: np.ndarray

    @abstractmethod
    def some(self, maps: np.ndarray) -> _Windows:
        """The windows of some of the maps."""

    @abstractmethod
    def _flat(self, maps: np.ndarray) -> np.ndarray:
        """Maps (p, n) among all, flattened."""

    def innovations(
        self, covariance: VecchiaCovariance, residuals: np.ndarray, slopes: bool = False
    ) -> Innovations:
        """Those of residual maps (p, n), 0 where a pixel is missing."""
        flat = self._flat(residuals)
        if slopes:
            e, a, d, moved, products = self._sloped(covariance, flat)
        else:
            kept, moved, products = self.whole.conditionals(covariance), (), ()
            e, a, d = (kept.A @ flat)[self.rows], kept.a[self.rows], kept.d[self.rows]
        return Innovations(
            e=e,
            a=a,
            d=d,
            n_seen=self.n_seen,
            total=self.total,
            spread=lambda values: values[self.map_of],
            slopes=[tuple(row) for row in moved],
            products=list(products),
        )

    def _sloped(self, covariance: VecchiaCovariance, flat: np.ndarray) -> list[np.ndarray]:
        """e, a, d (windows,), their slopes (k, 3, windows) and products (k, k, windows)."""
        n, count = 1 + len(covariance.kernel_slopes), len(self.map_of)
        found = [np.empty((*shape, count)) for shape in ((), (), (), (n, 3), (n, n))]
        start = 0
        for chunk in self.chunks:
            e, a, d, moved, products = (of[..., start : start + len(chunk)] for of in found)
            u, d[:] = self.whole.known(covariance, chunk)
            values = flat[self.whole.columns[chunk.rows]]
            np.einsum("wm,wm->w", u, values, out=e)
            np.einsum("wm->w", u, out=a)
            moved[:], products[:] = _Under(chunk, covariance).slopes(u, values)
            start += len(chunk)
        return found

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sums over the observed pixels of each map."""
        return np.bincount(self.map_of, values, minlength=len(self.n_seen))


class IncompleteWindows(_Windows):
    """The windows of all observed pixels of maps that miss some.

    Parameters
    ----------
    geometry : NeighbourGeometry
    seen : ndarray of bool, shape (p, n)
        Which pixels of each map are observed.

    Attributes
    ----------
    location, map_of : ndarray of int
        Of each window: where, and in which map; those of a group stand together.
    width : int
        Places of a window that are used, the location itself included.
    n_seen : ndarray of shape (n,)
    """

    def __init__(self, geometry: NeighbourGeometry, seen: np.ndarray):
        self.geometry, self.seen = geometry, seen
        self.whole, self.rows = self, slice(None)
        self.width = n_places(geometry)
        self.n_seen = seen.sum(axis=0)
        by_group = np.argsort(geometry.group, kind="stable")
        at, self.map_of = np.nonzero(seen[by_group])
        self.location = by_group[at]
        self._kept: dict[VecchiaCovariance, Conditionals] = {}

    def some(self, maps):
        return self if len(maps) == len(self.n_seen) else _SomeWindows(self, maps)

    def _flat(self, maps):
        return maps.ravel()

    @cached_property
    def columns(self) -> np.ndarray:
        """Places of windows in flattened maps (p, n), shape (windows, width)."""
        kind = np.int32 if self.seen.size < np.iinfo(np.int32).max else np.int64
        columns = self.geometry.windows[self.location, -self.width :].astype(kind)
        columns *= self.seen.shape[1]
        columns += self.map_of[:, None].astype(kind)
        return columns

    @cached_property
    def chunks(self) -> list[_Chunk]:
        step, count = max(_CHUNK_VALUES // self.width, 1), len(self.location)
        return [_Chunk.of(self, slice(a, min(a + step, count))) for a in range(0, count, step)]

    def conditionals(self, covariance: VecchiaCovariance) -> Conditionals:
        """Those under a covariance; the latest are kept."""
        if covariance not in self._kept:
            full = len(self._kept) == _KEPT
            oldest = self._kept.pop(next(iter(self._kept))) if full else None
            # Writing to memory that is new takes as long as what is computed for it.
            u = np.empty(self.columns.shape) if oldest is None else oldest.u
            d = np.empty(len(u))
            for chunk in self.chunks:
                _Under(chunk, covariance).conditionals(u[chunk.rows], d[chunk.rows])
            starts = np.arange(0, u.size + 1, self.width)
            if u.size < np.iinfo(self.columns.dtype).max:
                starts = starts.astype(self.columns.dtype)  # of one type, or columns are copied
            A = csr_array((u.ravel(), self.columns.ravel(), starts), (len(u), self.seen.size))
            self._kept[covariance] = Conditionals(u, A, u.sum(axis=1), d)
        return self._kept[covariance]

    def known(self, covariance: VecchiaCovariance, chunk: _Chunk) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients and variances of a chunk's windows, as they are kept, or anew."""
        if covariance in self._kept:
            kept = self._kept[covariance]
            return kept.u[chunk.rows], kept.d[chunk.rows]
        u, d = np.empty((len(chunk), self.width)), np.empty(len(chunk))
        _Under(chunk, covariance).conditionals(u, d)
        return u, d


class _SomeWindows(_Windows):
    """The windows of some of the maps, with what is kept of all."""

    def __init__(self, whole: IncompleteWindows, maps: np.ndarray):
        self.whole, self._maps = whole, maps
        self.seen, self.n_seen = whole.seen[:, maps], whole.n_seen[maps]
        number = np.full(len(whole.n_seen), -1)
        number[maps] = np.arange(len(maps))
        number = number[whole.map_of]
        self.rows = np.flatnonzero(number >= 0)
        self.map_of = number[self.rows]

    def some(self, maps):
        return self.whole.some(self._maps[maps])

    def _flat(self, maps):
        every = np.zeros(self.whole.seen.shape)
        every[:, self._maps] = maps
        return every.ravel()

    @cached_property
    def chunks(self):
        chosen = np.zeros(len(self.whole.map_of), dtype=bool)
        chosen[self.rows] = True
        found = [chunk.some(chosen[chunk.rows]) for chunk in self.whole.chunks]
        return [chunk for chunk in found if len(chunk)]


class _Chunk:
    """Some windows that stand together, and which of their places are missing.

    Attributes
    ----------
    rows : slice or ndarray of int
        Which windows.
    groups : slice
        The groups that they belong to.
    local : ndarray of shape (w,)
        Each window's group, from 0.
    alike : list of (which, places)
        Windows (w',) with as many missing pixels, and these pixels' places (k, w').
    """

    def __init__(self, width: int, rows, groups: slice, local: np.ndarray, alike: list):
        self.width, self.rows, self.groups, self.local = width, rows, groups, local
        self.alike = alike
        self._starts = np.searchsorted(local, np.arange(groups.stop - groups.start + 1))

    @classmethod
    def of(cls, windows: IncompleteWindows, rows: slice) -> _Chunk:
        group = windows.geometry.group[windows.location[rows]]
        missing = ~windows.seen.ravel()[windows.columns[rows, :-1]]
        counts, alike = missing.sum(axis=1), []
        for k in np.unique(counts[counts > 0]):
            which = np.flatnonzero(counts == k)
            places = np.nonzero(missing[which])[1].reshape(-1, k).T
            for a in range(0, len(which), _MOST_SIDE_BY_SIDE):
                part = slice(a, a + _MOST_SIDE_BY_SIDE)
                alike.append((which[part], np.ascontiguousarray(places[:, part])))
        groups = slice(group[0], group[-1] + 1)
        return cls(windows.width, rows, groups, group - group[0], alike)

    def some(self, chosen: np.ndarray) -> _Chunk:
        """The windows that a mask (w,) chooses."""
        rows = self.rows.start + np.flatnonzero(chosen)
        number = np.cumsum(chosen) - 1
        alike = [
            (number[which[there]], places[:, there])
            for which, places in self.alike
            if (there := chosen[which]).any()
        ]
        return _Chunk(self.width, rows, self.groups, self.local[chosen], alike)

    def __len__(self) -> int:
        return len(self.local)

    def times(self, rows: np.ndarray, matrices: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Each row (w, m) times the matrix (m, m) of its group."""
        for (a, b), matrix in zip(pairwise(self._starts), matrices, strict=True):
            np.matmul(rows[a:b], matrix, out=out[a:b])
        return out


class _Under:
    """A chunk's conditionals under one covariance, and their derivatives."""

    def __init__(self, chunk: _Chunk, covariance: VecchiaCovariance):
        self._chunk, self._covariance = chunk, covariance
        family, theta = covariance.family, covariance.theta
        ((_, self._factors),) = factors_of(family, theta, [chunk.groups], chunk.width)
        root = np.linalg.inv(self._factors[:, :-1, :-1])
        self._P = root.transpose(0, 2, 1) @ root
        # A pivot is the precision of a pixel given others, no less than that of one by itself.
        self._least = 1 / (self._factors[:, -1] ** 2).sum(axis=1)

    def conditionals(self, u: np.ndarray, d: np.ndarray) -> None:
        """Writes coefficients (w, width) and variances (w,)."""
        chunk, m = self._chunk, self._chunk.width - 1
        b = coefficients_of(self._factors)
        d[:] = (self._factors[:, -1, -1] ** 2)[chunk.local]
        # u = (P x - b, 1) = (x, 1) times a matrix of the group.
        pulled = np.zeros((len(chunk), m + 1))
        pulled[:, -1] = 1.0
        for which, places in chunk.alike:
            right = b.take(chunk.local[which] * m + places)
            L, (solved,) = self._eliminated(which, places, right[None])
            d[which] += np.einsum("kw,kw->w", solved, solved)
            pulled.ravel()[which * (m + 1) + places] = _solved_backwards(L, solved)
        matrices = np.zeros((len(b), m + 1, m + 1))
        matrices[:, :-1, :-1], matrices[:, -1, :-1], matrices[:, -1, -1] = self._P, -b, 1.0
        chunk.times(pulled, matrices, out=u)

    def slopes(self, u: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of e, a and d (k, 3, w) along I and dXi/dshape, and products (k, k, w).

        Parameters
        ----------
        u, values : ndarray of shape (w, width)
            Coefficients, and residuals at the places of the windows.
        """
        chunk, m = self._chunk, self._chunk.width - 1
        directions = self._covariance.directions(chunk.groups, chunk.width)
        along = [u, *(chunk.times(u, matrices, out=np.empty(u.shape)) for matrices in directions)]
        # P times residuals, and times each direction; times the constant map it is the group's.
        pulled = np.empty((1 + len(along), len(chunk), m))
        for row, out in zip((values, *along), pulled, strict=True):
            chunk.times(row[:, :-1], self._P, out=out)
        constant, flat = self._P.sum(axis=2).ravel(), pulled.reshape(len(pulled), -1)

        moved = np.empty((len(along), 3, len(chunk)))
        products = np.empty((len(along), len(along), len(chunk)))
        for k, v in enumerate(along):
            np.einsum("wm,wm->w", values[:, :-1], pulled[1 + k], out=moved[k, 0])
            np.einsum("wm->w", pulled[1 + k], out=moved[k, 1])
            np.einsum("wm,wm->w", v, u, out=moved[k, 2])
            for other in range(k + 1):
                np.einsum("wm,wm->w", v[:, :-1], pulled[1 + other], out=products[k, other])
                products[other, k] = products[k, other]
        for which, places in chunk.alike:
            own = constant[chunk.local[which] * m + places]
            right = [own, *(row.take(which * m + places) for row in flat)]
            _, solved = self._eliminated(which, places, right)
            taken = np.einsum("rkw,skw->rsw", solved, solved[2:])
            moved[:, :2, which] -= taken[1::-1].transpose(1, 0, 2)
            products[:, :, which] -= taken[2:]
        moved[:, :2] *= -1
        return moved, products

    def _eliminated(self, which, places, right) -> tuple[np.ndarray, np.ndarray]:
        """``L`` (k, k, w) of windows, and ``L^-1 y`` of right sides (r, k, w)."""
        k, m, local = len(places), self._chunk.width - 1, self._chunk.local[which]
        rows, least = (local * m + places) * m, self._least[local]
        # Right sides are further rows: what eliminates a row of P eliminates them.
        A, P = np.empty((k + len(right), k, len(which))), self._P.ravel()
        A[k:] = right
        for i in range(k):
            P.take(rows[i] + places[: i + 1], out=A[i, : i + 1], mode="clip")  # needs no buffer
        for j in range(k):
            if j:
                A[j:, j] -= np.einsum("ilw,lw->iw", A[j:, :j], A[j, :j])
            A[j, j] = np.sqrt(np.maximum(A[j, j], least))
            A[j + 1 :, j] *= 1 / A[j, j]
        return A[:k], A[k:]


def _solved_backwards(L: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``L'^-1 y`` for triangles (k, k, w) side by side and right sides (k, w)."""
    x = right.copy()
    for j in reversed(range(len(x))):
        x[j] -= np.einsum("iw,iw->w", L[j + 1 :, j], x[j + 1 :])
        x[j] /= L[j, j]
    return x

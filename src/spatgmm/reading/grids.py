"""Which grid maps lie on: contradictions with coordinates, rows of flattened images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pandas as pd

from spatgmm.covariance.grid import regular_grid
from spatgmm.reading.places import SAME_PLACE

#: A flattened stack has correlation at the distance of a row that a line has not: by so much more
#: than at half the distance, in units of the variance.
_SURPLUS = 0.1

#: Maps that are looked at.
_SAMPLE = 200


def check_grid(shape: tuple[int, ...], coordinates: np.ndarray) -> None:
    """Refuse coordinates on another grid than the axes of multi-way maps.

    Each coordinate of a complete grid changes along an axis of its own.  Locations that form no
    grid contradict no shape.

    Raises
    ------
    ValueError
        If coordinates form a grid of another shape, or list it in another order.
    """
    grid = regular_grid(coordinates)
    if grid is not None:
        point = np.empty_like(grid.order)
        point[grid.order] = np.arange(len(point))
        codes, sizes = np.unravel_index(point, grid.shape), grid.shape
    else:
        codes = [np.unique(values, return_inverse=True)[1] for values in coordinates.T]
        sizes = tuple(int(code.max()) + 1 for code in codes)
        if np.prod(sizes, dtype=float) != len(coordinates):
            return
        if len(np.unique(np.ravel_multi_index(codes, sizes))) != len(coordinates):
            return
    tables = [code.reshape(shape) for code in codes]
    changing = np.array(
        [[np.diff(table, axis=axis).any() for axis in range(len(shape))] for table in tables]
    )
    if (changing.sum(axis=0) > 1).any() or (changing.sum(axis=1) > 1).any():
        maps, places = (" x ".join(map(str, sides)) for sides in (shape, sizes))
        raise ValueError(
            f"coordinates lie on a {places} grid, but the maps in X are {maps} grids, and "
            "their order does not agree with it"
        )


def grid_shape(coordinates: np.ndarray) -> tuple[int, ...] | None:
    """Shape of the grid that locations fill line by line, whichever axis runs fastest; or None."""
    p, d = coordinates.shape
    values = [pd.unique(column) for column in coordinates.T]
    if d == 1 or np.prod([len(v) for v in values], dtype=float) != p:
        return None
    for axes in permutations(range(d)):
        mesh = np.meshgrid(*[values[axis] for axis in axes], indexing="ij")
        if all(
            np.array_equal(m.ravel(), coordinates[:, a]) for m, a in zip(mesh, axes, strict=True)
        ):
            return mesh[0].shape
    return None


def row_length(values: np.ndarray) -> int | None:
    """The distance at which flattened images resemble themselves: the length of their rows."""
    p = values.shape[1]
    widths = [width for width in range(3, p // 3 + 1) if p % width == 0]
    sample = values[:: max(1, len(values) // _SAMPLE)]
    there = np.isfinite(sample)
    if not widths or not there.any():
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        deviations = np.where(there, sample, 0)
        deviations = deviations - deviations.mean(axis=1, keepdims=True)
        spectrum = np.abs(np.fft.rfft(deviations, 2 * p, axis=1)) ** 2
        covariance = np.fft.irfft(spectrum.sum(axis=0))[:p] / np.arange(p, 0, -1)
    if not np.isfinite(covariance).all() or covariance[0] <= 0:
        return None
    correlation = covariance / covariance[0]
    surplus = {width: correlation[width] - correlation[width // 2] for width in widths}
    width = max(surplus, key=surplus.get)
    peak = correlation[width] >= max(correlation[width - 1], correlation[width + 1])
    return width if peak and surplus[width] > _SURPLUS else None


def sorted_places(coordinates: np.ndarray, by: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Number of each row's place, and the places sorted by these columns, the first first.

    Coordinates of the same place may differ in their last digits from map to map.
    """
    unit = np.ptp(coordinates, axis=0).max() * SAME_PLACE or 1.0
    key = np.zeros(len(coordinates), dtype=np.int64)
    for values in coordinates.T[list(by)]:
        code, distinct = pd.factorize(np.round((values - values.min()) / unit), sort=True)
        key = key * len(distinct) + code
        key, _ = pd.factorize(key, sort=True)
    _, first = np.unique(key, return_index=True)
    return key, coordinates[first]

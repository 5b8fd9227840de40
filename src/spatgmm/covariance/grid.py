"""Which locations fill a regular grid: there a covariance falls into small blocks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Coordinates that agree to this share of their span are one.
_RELATIVE = 1e-9

#: Steps of a grid may differ by this share of a step whatever the coordinates' precision.
_UNEVEN = 1e-6

#: Steps that differ by up to their precision are even where the precision is this share of a step,
_COARSEST = 0.1

#: and where uneven positions would pass for even ones no more often than this.
_BY_CHANCE = 1e-3

#: Digits after the point up to which numbers count as rounded; doubles have 15 or 16 in all.
_MOST_DIGITS = 8


class Grid(NamedTuple):
    """A complete regular grid along the axes: ``order[g]`` is the location at grid point ``g``."""

    shape: tuple[int, ...]
    steps: tuple[float, ...]
    order: np.ndarray


def regular_grid(coordinates: np.ndarray) -> Grid | None:
    """The regular grid that locations fill, in whatever order they are listed, or None.

    Steps count as even where they agree to the precision of the coordinates: that of float32 where
    every number is one, or the digits after the point where there are few.
    """
    p = len(coordinates)
    axes = [_even_steps(values) for values in coordinates.T]
    if None in axes:
        return None
    shape, steps, index = zip(*axes, strict=True)
    if np.prod(shape, dtype=float) != p:
        return None
    flat = np.ravel_multi_index(index, shape)
    if len(np.unique(flat)) != p:
        return None
    return Grid(shape, steps, np.argsort(flat))


def _even_steps(values: np.ndarray) -> tuple[int, float, np.ndarray] | None:
    """Number of points, step, and the point of each value; None where steps are uneven."""
    span = float(np.ptp(values))
    if span == 0:
        return 1, 0.0, np.zeros(len(values), dtype=int)
    for precision in (0.0, _precision(values)):
        gaps = np.diff(np.sort(values))
        gaps = gaps[gaps > max(_RELATIVE * span, 2 * precision)]
        if not gaps.size:
            return None
        m = len(gaps) + 1  # a complete grid has locations at every point of each axis
        step = span / (m - 1)
        position = (values - values.min()) / step
        point = np.round(position).astype(int)
        off = np.abs(position - point).max()
        share = precision / step
        # Positions that happen to lie within the precision of even ones, ends apart.
        chance = (2 * share) ** max(m - 2, 0) if precision else 0
        # Two roundings: of the number, and in the sum or product it came from, or of the ends.
        tolerance = max(_UNEVEN, 2 * share)
        if share <= _COARSEST and chance <= _BY_CHANCE and off <= tolerance:
            return m, step, point
    return None


def _precision(values: np.ndarray) -> float:
    """Half of the last digit that these numbers were rounded to."""
    largest = float(np.abs(values).max())
    single = 0.0
    if largest < np.finfo(np.float32).max and np.array_equal(values, values.astype(np.float32)):
        single = 0.5 * largest * float(np.finfo(np.float32).eps)
    for digits in range(_MOST_DIGITS + 1):
        unit = 10.0**-digits
        if np.abs(values - np.round(values, digits)).max() <= 4 * np.finfo(float).eps * largest:
            return max(single, 0.5 * unit)
    return single

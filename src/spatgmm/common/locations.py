"""Where the values of a map are: regular grids, and coordinates that have been checked."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np
from numpy.typing import ArrayLike

#: Squares of spans beyond these are no longer finite, or 0.
_LARGEST, _SMALLEST = 1e150, 1e-150


def grid_coordinates(shape: tuple[int, ...]) -> np.ndarray:
    """Indices of a regular grid in C order.

    Parameters
    ----------
    shape : tuple of int
        Rows, columns and, in three dimensions, slices.

    Returns
    -------
    ndarray of shape (p, d)
        One row of grid indices per location, ``p = prod(shape)``.
    """
    axes = [np.arange(m, dtype=float) for m in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(shape))


def check_coordinates(coordinates: ArrayLike, n_locations: int) -> np.ndarray:
    """Coordinates as a float array of shape ``(p, d)``, or a clear refusal.

    Parameters
    ----------
    coordinates : array-like of shape (p, d), or tuple of int
        Coordinates in any unit, one row per location; a tuple of integers is a grid shape.
    n_locations : int
        The number of values in each map, ``p``.

    Returns
    -------
    ndarray of shape (p, d)

    Raises
    ------
    ValueError
        If the number of locations is not `n_locations`, the dimension is not 1, 2 or 3, a
        coordinate is not finite, all locations lie on one spot, or squares of distances would
        overflow or vanish.
    """
    if is_grid_shape(coordinates):
        return _checked_grid(coordinates, n_locations)
    try:
        values = np.asarray(coordinates)
    except ValueError:
        raise ValueError("coordinates must be an array; its rows differ in length") from None
    if isinstance(coordinates, np.ma.MaskedArray) and np.ma.is_masked(coordinates):
        row = np.argwhere(np.ma.getmaskarray(coordinates))[0][0]
        raise ValueError(f"coordinates row {row} is masked: every location needs its place")
    if values.dtype.kind in "mM":
        raise ValueError("coordinates must be numbers, got dates or times; count them in a unit")
    if values.dtype.names is not None:
        raise ValueError(
            f"coordinates must be an array of shape (p, d), got records of "
            f"{', '.join(values.dtype.names)}; pass a DataFrame, whose columns have names"
        )
    if values.dtype.kind == "c":
        raise ValueError("coordinates must be real numbers, got complex ones")
    try:
        values = values.astype(float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"coordinates must be numbers: {error}") from error
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or not 1 <= values.shape[1] <= 3:
        raise ValueError(
            "coordinates must have shape (p, d) with d = 1, 2 or 3, or be a grid shape, "
            f"got an array of shape {values.shape}"
        )
    if len(values) != n_locations:
        raise ValueError(
            f"coordinates has {len(values)} locations but X has {n_locations} values per map"
            + _hint_at_a_shape(values)
        )
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        raise ValueError(f"coordinates row {bad[0]} is not finite: {values[bad[0]]}")
    if n_locations > 1:
        _check_span(values)
    return values


def check_places(coordinates: ArrayLike, n_axes: int) -> np.ndarray:
    """Any places as a float array of shape ``(m, n_axes)``.

    Raises
    ------
    ValueError
        If they have another number of axes, or one is not finite.
    """
    try:
        values = np.asarray(coordinates, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"coordinates must be numbers: {error}") from error
    if values.ndim == 1 and n_axes == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[1] != n_axes:
        raise ValueError(
            f"coordinates must have shape (m, {n_axes}), as those of the fit, got {values.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        raise ValueError(f"coordinates row {bad[0]} is not finite: {values[bad[0]]}")
    return values


def is_grid_shape(coordinates: object) -> TypeGuard[tuple[int, ...]]:
    """Whether these coordinates are meant as the shape of a grid: a tuple of integers."""
    return isinstance(coordinates, tuple) and all(
        isinstance(m, (int, np.integer)) for m in coordinates
    )


def _checked_grid(shape: tuple[int, ...], n_locations: int) -> np.ndarray:
    if not 1 <= len(shape) <= 3 or min(shape) < 1:
        raise ValueError(f"coordinates: a grid shape has 1, 2 or 3 positive sizes, got {shape}")
    size = np.prod([int(m) for m in shape], dtype=object)
    if size != n_locations:
        raise ValueError(f"coordinates has {size} locations but X has {n_locations} values per map")
    return grid_coordinates(shape)


def _hint_at_a_shape(values: np.ndarray) -> str:
    few_whole = values.shape[1] == 1 and 2 <= len(values) <= 3 and np.all(values >= 1)
    if not few_whole or np.any(values != np.floor(values)):
        return ""
    shape = ", ".join(f"{value:.0f}" for value in values[:, 0])
    return f"; the shape of a grid is a tuple, coordinates=({shape})"


def _check_span(values: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        span = np.ptp(values, axis=0).max()
    if span == 0:
        raise ValueError(
            f"coordinates: all {len(values)} locations are on one spot, {values[0]}; "
            "there is no distance to model"
        )
    if not _SMALLEST <= span <= _LARGEST or np.abs(values).max() > _LARGEST:
        raise ValueError(
            f"coordinates: values up to {np.abs(values).max():.3g} and a span of {span:.3g} leave "
            f"what can be computed with ({_SMALLEST:g} to {_LARGEST:g}); take another unit"
        )

"""Where the values of a map are: regular grids, and coordinates that have been checked."""

from __future__ import annotations

import numpy as np


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


def check_coordinates(coordinates, n_locations: int) -> np.ndarray:
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
        coordinate is not finite, or all locations lie on one spot.
    """
    if isinstance(coordinates, tuple) and all(
        isinstance(m, (int, np.integer)) for m in coordinates
    ):
        if not 1 <= len(coordinates) <= 3 or min(coordinates) < 1:
            raise ValueError(
                f"coordinates: a grid shape has 1, 2 or 3 positive sizes, got {coordinates}"
            )
        coordinates = grid_coordinates(coordinates)
    try:
        coordinates = np.asarray(coordinates, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"coordinates must be numbers: {error}") from error
    if coordinates.ndim == 1:
        coordinates = coordinates[:, None]
    if coordinates.ndim != 2 or not 1 <= coordinates.shape[1] <= 3:
        raise ValueError(
            "coordinates must have shape (p, d) with d = 1, 2 or 3, or be a grid shape, "
            f"got an array of shape {coordinates.shape}"
        )
    if len(coordinates) != n_locations:
        raise ValueError(
            f"coordinates has {len(coordinates)} locations but X has {n_locations} values per map"
        )
    bad = np.flatnonzero(~np.isfinite(coordinates).all(axis=1))
    if bad.size:
        raise ValueError(f"coordinates row {bad[0]} is not finite: {coordinates[bad[0]]}")
    if n_locations > 1 and np.all(coordinates == coordinates[0]):
        raise ValueError(
            f"coordinates: all {n_locations} locations are on one spot, {coordinates[0]}; "
            "there is no distance to model"
        )
    return coordinates

"""Maps as they were brought, with all that their own form says of places and names."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np

from spatgmm.common.locations import check_coordinates, grid_coordinates
from spatgmm.reading import places
from spatgmm.reading.grids import check_grid, row_length

#: Beyond it the squares of values overflow.
_LARGEST = 1e150

#: Fewer values are not taken for a flattened square.
_SMALLEST_SQUARE = 16


@dataclass(frozen=True, eq=False)
class Stack:
    """Maps, one a row.

    Attributes
    ----------
    values : ndarray of shape (n, p), or (n, p q) with q variables
        NaN where a value is missing; the variables of a location stand beside each other.
    shape : tuple of int or None
        The maps' own grid, where they have axes.
    coordinates : ndarray of shape (p, d) or None
        Places that came with the maps.
    names : list of str or None
        Of the maps.
    places : list or None
        Names of the places: the columns of a table.
    n_variables : int
        Values at each location.
    """

    values: np.ndarray
    shape: tuple[int, ...] | None = None
    coordinates: np.ndarray | None = None
    names: list[str] | None = None
    places: list | None = None
    n_variables: int = 1

    @property
    def n_locations(self) -> int:
        return self.values.shape[1] // self.n_variables

    def locations(self, given=None) -> np.ndarray:
        """Coordinates (p, d) of the places.

        Parameters
        ----------
        given : array-like, DataFrame, tuple of int or None
            What the user said; None: the maps' own coordinates or grid, else a line.

        Raises
        ------
        ValueError
            If what was given contradicts the maps.
        """
        p = self.n_locations
        if given is None:
            return self._own(p)
        coordinates = check_coordinates(places.from_frame(given, self.places), p)
        if self.shape is not None:
            check_grid(self.shape, coordinates)
        return coordinates

    def _own(self, p: int) -> np.ndarray:
        if self.coordinates is not None:
            return check_coordinates(self.coordinates, p)
        if self.shape is None and self.n_variables == 1:
            self._ask_if_flattened()
        return grid_coordinates(self.shape or (p,))

    def of_variables(self, n_variables: int) -> Stack:
        """The same values as those of so many variables: the last axis, or columns side by side.

        Raises
        ------
        ValueError
            If they are not.
        """
        if n_variables == 1:
            return self
        if self.shape is not None and len(self.shape) > 1:
            if self.shape[-1] != n_variables:
                raise ValueError(
                    f"maps have shape {self.shape}, its last axis holds no {n_variables} values of "
                    "a location"
                )
            # A single axis of places is no grid: they may lie anywhere.
            shape = self.shape[:-1] if len(self.shape) > 2 else None
            return replace(self, shape=shape, n_variables=n_variables)
        if self.values.shape[1] % n_variables:
            raise ValueError(
                f"{self.values.shape[1]} columns are not {n_variables} values for each location"
            )
        return replace(self, places=None, n_variables=n_variables)

    def check_against(self, coordinates: np.ndarray) -> None:
        """Refuse maps on another grid than that of a fit, at `coordinates`."""
        if self.n_locations != len(coordinates):
            return  # the number of features is checked for all kinds of input
        if self.shape is not None:
            check_grid(self.shape, coordinates)
        if self.coordinates is not None and self.coordinates.shape == coordinates.shape:
            own, fitted = _unitless(self.coordinates), _unitless(coordinates)
            indices = self.shape and np.array_equal(coordinates, grid_coordinates(self.shape))
            if not indices and np.abs(own - fitted).max() > 1e-3:
                raise ValueError("X has coordinates of its own, and they are not those of the fit")

    def _ask_if_flattened(self) -> None:
        """Warn where a line of values looks like the rows of an image, one after the other."""
        p = self.values.shape[1]
        width = row_length(self.values)
        if width is None and p >= _SMALLEST_SQUARE and math.isqrt(p) ** 2 == p:
            width = math.isqrt(p)
        if width is not None:
            warnings.warn(
                f"X has {p} values per map and no coordinates: they are taken as a line of {p} "
                f"places. If these are {p // width} x {width} images, say "
                f"coordinates=({p // width}, {width}); if it is a line, coordinates=({p},)",
                UserWarning,
                stacklevel=5,
            )


def _unitless(coordinates: np.ndarray) -> np.ndarray:
    span = np.ptp(coordinates, axis=0)
    return (coordinates - coordinates.min(axis=0)) / np.where(span > 0, span, 1)


def check_size(values: np.ndarray, name: str = "X") -> None:
    """Refuse numbers whose squares overflow, naming the first; NaN and infinity pass."""
    with np.errstate(invalid="ignore"):
        bad = np.argwhere((np.abs(values) > _LARGEST) & np.isfinite(values))
    if bad.size:
        row, column = bad[0]
        raise ValueError(
            f"{name} has {values[row, column]:.3g} at row {row}, column {column}: beyond "
            f"{_LARGEST:g} its square overflows; take another unit"
        )

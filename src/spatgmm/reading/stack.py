"""Maps as they were brought, with all that their own form says of places and names."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from spatgmm.common.errors import UsageError
from spatgmm.common.locations import check_coordinates, grid_coordinates, is_grid_shape
from spatgmm.reading import places
from spatgmm.reading.grids import check_grid, row_length

#: Fewer values are not taken for a flattened image.
_SMALLEST_IMAGE = 16

#: Sides of an image differ by no more than this factor, where nothing but their product is known.
_NEARLY_SQUARE = 1.25


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
    axes : list of str or None
        Names of the columns of `coordinates`.
    n_variables : int
        Values at each location.
    """

    values: np.ndarray
    shape: tuple[int, ...] | None = None
    coordinates: np.ndarray | None = None
    names: list[str] | None = None
    places: list | None = None
    axes: list[str] | None = None
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
        try:
            coordinates = check_coordinates(places.from_frame(given, self.places), p)
        except UsageError:
            raise
        except ValueError as error:
            raise ValueError(f"{error}{self._hint_at_columns(given)}") from None
        if self.shape is not None:
            check_grid(self.shape, coordinates)
        return coordinates

    def _hint_at_columns(self, given) -> str:
        """What to do about maps, or coordinates, that stand in columns."""
        try:
            sides = np.shape(given)
        except ValueError:
            return ""  # its rows differ in length
        size = math.prod(given) if is_grid_shape(given) else (*sides, 0)[0]
        if self.n_locations != size == len(self.values):
            return f"; but X has {size} rows: where maps stand in columns, transpose them"
        if len(sides) == 2 and sides[0] <= 3 and sides[1] == self.n_locations:
            return "; where locations stand in columns, transpose them"
        return ""

    def check_degrees(self, given) -> None:
        """Refuse places on the earth that are nothing but the indices of a grid."""
        if is_grid_shape(given) or (given is None and self.coordinates is None):
            raise ValueError(
                "space='sphere' needs coordinates in degrees, of 2 columns: longitude and "
                "latitude; rows and columns of a grid are none"
            )

    def warn_of_degrees(self, given, coordinates: np.ndarray, stacklevel: int) -> None:
        """Warn where the names of coordinates say that they are degrees, not places in a plane.

        Parameters
        ----------
        given : as for :meth:`locations`
        coordinates : ndarray of shape (p, d)
            What became of it.
        """
        names = list(given.columns) if isinstance(given, pd.DataFrame) else None
        told = places.degrees(self.axes if given is None else names, coordinates)
        if told is not None:
            warnings.warn(
                f"coordinates: {told} were taken for a plane. If they are degrees, say "
                "space='sphere': distances are then those on the earth, in km. If a plane is "
                "meant, pass the numbers without names (an array) to be spared this warning",
                UserWarning,
                stacklevel=stacklevel + 1,
            )

    def _own(self, p: int) -> np.ndarray:
        if self.coordinates is not None:
            return check_coordinates(self.coordinates, p)
        if self.shape is None:
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

    @property
    def place_names(self) -> list[str] | None:
        """Names of the places as text."""
        return None if self.places is None else places.as_names(pd.Series(self.places))

    def check_against(self, coordinates: np.ndarray, names: list[str] | None = None) -> None:
        """Refuse maps on another grid than that of a fit, at `coordinates`, or in another order."""
        if self.n_locations != len(coordinates):
            return  # the number of features is checked for all kinds of input
        own = self.place_names
        if own is not None and names is not None and own != names and set(own) == set(names):
            wrong = next(i for i, name in enumerate(own) if name != names[i])
            raise ValueError(
                f"X: its columns stand in another order than those of the fit: column {wrong} is "
                f"{own[wrong]!r}, there it was {names[wrong]!r}"
            )
        if self.shape is not None:
            check_grid(self.shape, coordinates)
        if self.coordinates is not None and self.coordinates.shape == coordinates.shape:
            own, fitted = _unitless(self.coordinates), _unitless(coordinates)
            indices = self.shape and np.array_equal(coordinates, grid_coordinates(self.shape))
            if not indices and np.abs(own - fitted).max() > 1e-3:
                raise ValueError("X has coordinates of its own, and they are not those of the fit")

    def _ask_if_flattened(self) -> None:
        """Warn where a line of values looks like the rows of an image, one after the other."""
        p, q = self.n_locations, self.n_variables
        width = row_length(np.asarray(self.values)[:, ::q])
        if width is None and p >= _SMALLEST_IMAGE:
            # The divisor of p next to its root.
            height = next(side for side in range(math.isqrt(p), 0, -1) if p % side == 0)
            width = p // height if p <= _NEARLY_SQUARE * height**2 else None
        if width is not None:
            what = "values" if q == 1 else "locations"
            warnings.warn(
                f"X has {p} {what} per map and no coordinates: they are taken as a line of {p} "
                f"places. If these are {p // width} x {width} images, say "
                f"coordinates=({p // width}, {width}); if it is a line, coordinates=({p},)",
                UserWarning,
                stacklevel=5,
            )


def _unitless(coordinates: np.ndarray) -> np.ndarray:
    span = np.ptp(coordinates, axis=0)
    return (coordinates - coordinates.min(axis=0)) / np.where(span > 0, span, 1)

"""Long tables: one row per value, with the name of its map and its place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spatgmm.reading import places
from spatgmm.reading.arrays import pick
from spatgmm.reading.grids import sorted_places
from spatgmm.reading.stack import Stack
from spatgmm.reading.table import Table
from spatgmm.reading.words import listed

_MAPS = ("map", "map_id", "mapid", "map_name", "id", "sample", "sample_id", "image", "image_id")
_VALUES = ("value", "values", "val", "intensity", "measurement")
_VARIABLES = ("variable", "var", "band", "channel", "quantity")

#: Maps times sites in units of values: beyond it nobody looks which are missing.
_SPARSEST = 100


@dataclass(frozen=True)
class Roles:
    map: int
    value: int
    axes: list[int]
    variable: int | None

    def slowest_first(self, names: list[str]) -> list[int]:
        """Axes in the order of an image's lines: y before x, rows before columns."""
        axes = list(range(len(self.axes)))
        by_row = places.axis_of(names[self.axes[0]]) == places.ROWS
        return axes if by_row else axes[::-1]


def roles(table: Table) -> Roles | None:
    """Which columns of a table say map, place and value, if it is a long one."""
    if table.names is None:
        return None
    names = [name.strip().lower() for name in table.names]

    def first(known: tuple[str, ...]) -> int | None:
        return next((names.index(name) for name in known if name in names), None)

    of_map, value = first(_MAPS), first(_VALUES)
    if of_map is None or value is None:
        return None
    axes = [c for c, name in enumerate(names) if places.axis_of(name) is not None]
    axes = sorted((c for c in axes if c not in (of_map, value)), key=_axis(names))
    if not axes:
        return None
    return Roles(of_map, value, axes, first(_VARIABLES))


def _axis(names):
    return lambda column: places.axis_of(names[column])


def maps(
    table: Table, which: Roles, variable: str | None, missing: bool | None = None, missing_values=()
) -> tuple[Stack, np.ndarray]:
    """Maps in the order in which they first occur, places line by line.

    Parameters
    ----------
    table : Table
    which : Roles
        Of its columns (:func:`roles`).
    variable : str or None
        Which of several variables.
    missing, missing_values
        As for :func:`spatgmm.reading.table.maps`.

    Returns
    -------
    stack : Stack
        With coordinates.
    first_rows : ndarray of shape (n,)
        A row of the table for each map, to look up what else it says of a map.

    Raises
    ------
    ValueError
        If a map has a place twice or not at all, or places of its own; the message names both.
    """
    cells = table.cells
    rows = np.arange(len(cells))
    if which.variable is not None:
        column = cells.iloc[:, which.variable].astype(str)
        wanted = pick(table.path, variable, column.unique(), "variable")
        rows = np.flatnonzero(column == wanted)
        cells = cells.iloc[rows]
        table = Table(
            table.path,
            cells.reset_index(drop=True),
            table.names,
            notes=table.notes,
            numerals=table.numerals,
        )
    of_map = cells.iloc[:, which.map]
    unnamed = np.flatnonzero(of_map.isna())
    if unnamed.size:
        raise ValueError(f"{table.path}: row {rows[unnamed[0]] + 1}: no {table.names[which.map]}")
    xy = table.numbers(which.axes)
    values = table.numbers([which.value], missing, missing_values)[:, 0]
    number, names = pd.factorize(of_map)
    names = names.tolist()  # numpy's numbers would say so in messages
    place, sites = sorted_places(xy, which.slowest_first(table.names))
    _check_complete(table, which, number, names, place, sites)
    if len(names) * len(sites) > _SPARSEST * len(values):
        raise ValueError(
            f"{table.path}: {len(values)} values are far too few for {len(names)} maps at "
            f"{len(sites)} sites; maps must be at the same sites"
        )
    X = np.empty((len(names), len(sites)))
    X[number, place] = values
    first = np.full(len(names), -1)
    first[number[::-1]] = rows[::-1]
    axes = [table.names[column] for column in which.axes]
    return Stack(X, None, sites, places.as_names(pd.Series(names)), axes=axes), first


def _check_complete(table, which, number, names, place, sites) -> None:
    """Refuse maps that have a pixel twice, or not the sites that the others have."""

    def at(site: int) -> str:
        axes = (table.names[column].strip() for column in which.axes)
        told = (f"{axis}={value:g}" for axis, value in zip(axes, sites[site], strict=True))
        return f"site ({', '.join(told)})"

    counts = np.bincount(number * len(sites) + place, minlength=len(names) * len(sites))
    present = counts.reshape(len(names), len(sites))
    if present.max() > 1:
        m, site = np.argwhere(present > 1)[0]
        raise ValueError(f"{table.path}: map {names[m]!r} has {at(site)} more than once")
    share = f"of {len(names)} maps have"
    # The sites of most maps are the right ones: so a stray site is blamed on the map that has it,
    # and not on all those that do not.
    usual = 2 * present.sum(axis=0) > len(names)
    for m in np.flatnonzero((present != usual).any(axis=1)):
        absent = np.flatnonzero(~present[m].astype(bool) & usual)
        if absent.size:
            raise ValueError(
                f"{table.path}: map {names[m]!r} has no value at {absent.size} sites, "
                f"first {at(absent[0])}, which {present[:, absent[0]].sum()} {share}"
            )
        stray = np.flatnonzero(present[m].astype(bool) & ~usual)
        raise ValueError(
            f"{table.path}: map {names[m]!r} is on different sites: only "
            f"{present[:, stray[0]].sum()} {share} {at(stray[0])}"
        )


def told(table: Table, which: Roles) -> str:
    """How a long table was understood."""
    used = [which.map, *which.axes, which.value, which.variable]
    other = [name for column, name in enumerate(table.names) if name and column not in used]
    left = f"; left aside: {listed(other)}" if other else ""
    return f"read as a long table, a value per row{left}"

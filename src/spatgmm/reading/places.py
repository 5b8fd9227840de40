"""Coordinates from tables: columns by their names, places by theirs.

A column of names or numbers that counts rows is an index and no dimension.  A column that is
neither known as a coordinate nor as an index is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from spatgmm.common.errors import UsageError
from spatgmm.common.words import shown
from spatgmm.reading.words import listed

#: Names of coordinates, in lower case, by the axis they measure; an axis is measured once.
#: Axes come out in this order: longitude before latitude, as on a sphere, rows before columns.
_AXES = (
    ("x", "xpos", "longitude", "lon", "long", "lng", "easting", "eastings", "east"),
    ("row", "rows", "line", "i"),
    ("y", "ypos", "latitude", "lat", "northing", "northings", "north"),
    ("col", "column", "columns", "cols", "j"),
    ("z", "zpos", "slice", "slices", "depth", "layer", "plane", "k"),
    ("position", "distance", "wavelength", "wavenumber"),
)

#: The axis of rows: whoever names it lists columns within rows.
ROWS = 1

#: Coordinates that agree to this share of the largest span are the same place.
SAME_PLACE = 1e-6

#: Names of degrees on a sphere.
_LONGITUDES, _LATITUDES = ("longitude", "lon", "long", "lng"), ("latitude", "lat")

#: Pairs of axes that measure the same in other words.
_RIVALS = ((0, 3), (1, 2))

#: Names of columns that say which place a row is.
_INDEX = re.compile(
    "id|index|names?|no|nr|number|pixel|site|location|place|station|point|rownames|fid|label|key|"
    "variable|feature|"
)

#: A number with its unit.
_WITH_UNIT = r"[+-]?\d+([.,]\d+)?\s*(°.*|º.*|deg|[kcmnuµ]?m|px|km|[EWNS])"

_CHOOSE = "choose with --columns x,y (in Python: pass only the columns of coordinates)"

#: Words around the name of a coordinate: x_um, pos_x, "x (mm)", coord.x.
_AROUND = re.compile(r"\(.*?\)|\[.*?\]|coordinates?|coords?|pos|pixel|index|[_\s](deg|[kmcnuµ]?m)$")


def axis_of(name) -> int | None:
    """Which axis a column of that name measures, None where the name says nothing."""
    for candidate in _readings(name):
        for axis, names in enumerate(_AXES):
            if candidate in names:
                return axis
    return None


def degrees(names: Sequence | None, coordinates: np.ndarray) -> str | None:
    """What to call coordinates (p, d) that look like degrees on the earth; None where they do not.

    Parameters
    ----------
    names : sequence or None
        Of their columns; None where they have none.
    coordinates : ndarray of shape (p, d)
        Longitude first, as :func:`choose` puts it.
    """
    found = [
        next((str(name) for name in names or () if set(_readings(name)) & set(known)), None)
        for known in (_LONGITUDES, _LATITUDES)
    ]
    if None in found or coordinates.shape[1] < 2:
        return None
    longitude, latitude = np.abs(coordinates[:, :2]).max(axis=0)
    return listed(found) if longitude <= 360 and latitude <= 90 else None


def _readings(name) -> list[str]:
    """A name in lower case, as it is and without what stands around it."""
    text = str(name).strip().lower()
    found = [text, re.sub(r"[\s_.:\-]+", "", _AROUND.sub("", text)) or text]
    # decimalLongitude, nav_lat, "lon dd": one word says it.
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(name)).lower())
    on_earth = [word for word in words if word in (*_LONGITUDES, *_LATITUDES)]
    return found + (on_earth if len(on_earth) == 1 and len(words) == 2 else [])


def is_index_name(name) -> bool:
    """Whether a column of that name says which row it is."""
    text = str(name).strip().lower()
    parts = re.split(r"[\s_.\-]+", text)
    return bool(_INDEX.fullmatch(text)) or text.startswith("unnamed:") or "id" in parts


def counts_rows(column: pd.Series) -> bool:
    """Whether a column counts its rows from 0 or 1."""
    if column.dtype.kind not in "iuf" or len(column) < 2 or not pd.notna(column.iloc[0]):
        return False
    first = float(column.iloc[0])
    return first in (0, 1) and np.array_equal(column.to_numpy(), first + np.arange(len(column)))


def from_frame(given, places: Sequence | None, where: str = "coordinates"):
    """Coordinates of a DataFrame or Series, in the order of the maps' places.

    Anything else is returned as it is.

    Parameters
    ----------
    given : DataFrame, Series or anything else
        Its index may hold the names of the places.
    places : sequence or None
        Names of the places of the maps: the columns of a table.

    Raises
    ------
    ValueError
        If a column is no coordinate, or some names of places do not agree.
    """
    if isinstance(given, pd.Series):
        given = given.to_frame("x" if given.name is None else given.name)
    if not isinstance(given, pd.DataFrame):
        return given
    names = [str(name) for name in given.columns]
    given = given.set_axis(names, axis=1).copy(deep=False)
    for number, name in enumerate(names):
        if given.dtypes.iloc[number].kind not in "iufb" and axis_of(name) is not None:
            _as_floats(given, number)
    numeric = [column.dtype.kind in "iufb" for _, column in given.items()]
    named = not isinstance(given.index, (pd.MultiIndex, pd.RangeIndex))
    index = [pd.Series(given.index)] if named else []
    chosen, labels = choose(given, names, numeric, where)
    rows = order([*index, *labels], places, where)
    if rows is None:
        check_numbered(labels, places, where)
    values = given.iloc[:, chosen].to_numpy(dtype=float, na_value=np.nan)
    return values if rows is None else values[rows]


def _as_floats(frame: pd.DataFrame, number: int) -> None:
    """Numbers of a column that are objects, text or categories, as such."""
    column = frame.iloc[:, number]
    numbers = pd.to_numeric(column.astype(object).astype(str), errors="coerce")
    if (numbers.notna() | column.isna()).all() and numbers.notna().any():
        frame.isetitem(number, numbers.astype(float))


def choose(
    table: pd.DataFrame, names: Sequence[str] | None, numeric: Sequence[bool], where: str
) -> tuple[list[int], list[pd.Series]]:
    """Columns of a table that are coordinates, in order, and those that may name places.

    Parameters
    ----------
    table : DataFrame
    names : sequence of str or None
        Of the columns; None where the table has no header.
    numeric : sequence of bool
        Whether a column holds numbers.
    where : str
        What to call the table.
    """
    if names is None:
        return _choose_nameless(table, numeric, where)
    of_name = [axis_of(name) for name in names]
    axes = [axis if number else None for axis, number in zip(of_name, numeric, strict=True)]
    _check_words(table, names, of_name, axes, where)
    known = [column for column, axis in enumerate(axes) if axis is not None]
    others = [column for column in range(len(names)) if column not in known]
    labels = [column for column in others if not numeric[column] or is_index_name(names[column])]
    left = [column for column in others if column not in labels]
    counting = left[:1] if 0 in left and counts_rows(table.iloc[:, 0]) else []
    if known:
        _check_axes(names, axes, known, where)
        chosen = sorted(known, key=lambda column: axes[column])
        left = [column for column in left if column not in counting]
    elif _is_series([names[column] for column in left]):
        _check_first(table, left, where)
        chosen, left, counting = left, [], []
    else:
        left = [column for column in left if column not in counting]
        chosen = left if _is_series([names[column] for column in left]) else []
        left = [] if chosen else left
    if left or not chosen:
        wanted = listed(names[column] for column in left) or "none of " + listed(names)
        raise UsageError(
            f"{where}: is {wanted} a coordinate? Known are x, y, z, row, column, lon, lat and the "
            f"like; leave other columns out, or {_CHOOSE}"
        )
    return chosen, [table.iloc[:, column] for column in [*counting, *labels]]


def _choose_nameless(table, numeric, where) -> tuple[list[int], list[pd.Series]]:
    chosen = [column for column, number in enumerate(numeric) if number]
    for column in range(len(numeric)):
        cells = table.iloc[:, column].astype(str).str.strip()
        if column not in chosen and cells.str.fullmatch(_WITH_UNIT).all():
            raise UsageError(
                f"{where}: column {column + 1} holds no numbers, but {shown(cells.iloc[0])}: a "
                "coordinate with its unit, or a name? Write numbers alone, or choose with "
                "--columns 1,2"
            )
    _check_first(table, chosen, where)
    return chosen, [table.iloc[:, c] for c, number in enumerate(numeric) if not number]


def _check_words(table, names, of_name, axes, where) -> None:
    """Refuse words under the name of a coordinate that nothing else is: 12.5 mm, 7°E."""
    for column, axis in enumerate(of_name):
        if axis is None or axis in axes or not len(table):
            continue
        cell = table.iloc[:, column].dropna().iloc[:1].tolist()
        if cell and re.search(r"\d", str(cell[0])):
            raise UsageError(
                f"{where}: column {shown(names[column])} is named as a coordinate, but "
                f"{shown(cell[0])} is no number; write numbers alone, or {_CHOOSE}"
            )


def _check_first(table, chosen, where) -> None:
    """Refuse a first column that counts the rows: an index, or the coordinate of a line."""
    if len(chosen) > 1 and counts_rows(table.iloc[:, chosen[0]]):
        without, with_it = (
            ",".join(str(column + 1) for column in columns) for columns in (chosen[1:], chosen)
        )
        raise UsageError(
            f"{where}: column {chosen[0] + 1} counts the rows: an index, or a coordinate? Choose "
            f"with --columns {without} or --columns {with_it}"
        )


def _check_axes(names, axes, known, where) -> None:
    """Refuse an axis that is measured twice."""
    by_axis: dict[int, list[int]] = {}
    for column in known:
        by_axis.setdefault(axes[column], []).append(column)
    rivals = [columns for columns in by_axis.values() if len(columns) > 1]
    rivals += [
        by_axis[one] + by_axis[other]
        for one, other in _RIVALS
        if one in by_axis and other in by_axis
    ]
    if rivals:
        raise UsageError(
            f"{where}: {listed(names[column] for column in rivals[0])} measure the same axis; "
            f"{_CHOOSE}"
        )


def _is_series(names: Sequence[str]) -> bool:
    """Whether names differ in a last number or letter only: V1, V2; dim_a, dim_b; u, v."""
    if not 1 <= len(names) <= 3:
        return False
    stems = {re.sub(r"(\d+|[a-z])$", "", name.strip().lower()) for name in names}
    return len(stems) == 1 and len(set(names)) == len(names)


def order(
    labels: Sequence[pd.Series], places: Sequence | None, where: str, whose: str = "the maps"
) -> np.ndarray | None:
    """Row of each of the maps' places, where a column of labels names them; None: as they come."""
    if places is None:
        return None
    wanted = as_names(pd.Series(list(places)))
    for column in labels:
        given = as_names(column)
        for form in (str, _loosely):
            rows = _matched([form(one) for one in wanted], [form(one) for one in given])
            if rows is not None:
                return rows
        if not set(wanted) & set(given) or only_counts(given) or only_counts(wanted):
            continue  # rows or columns that are numbered, from 0 here and from 1 there
        _refuse(wanted, given, where, whose)
    return None


def _matched(wanted: list[str], given: list[str]) -> np.ndarray | None:
    """Where each name stands among others, if these are the same names."""
    row = {label: number for number, label in enumerate(given)}
    if not len(row) == len(given) == len(wanted) or set(row) != set(wanted):
        return None
    return np.array([row[place] for place in wanted])


def _loosely(name: str) -> str:
    """A name as other programs write it: R puts X before numbers and points for signs."""
    plain = re.sub(r"[\W_]+", "", name.casefold())
    return re.sub(r"(^x)?(?<!\d)0*(?=\d)", "", plain, count=1)


def check_numbered(labels: Sequence[pd.Series], places: Sequence | None, where: str) -> None:
    """Refuse a column that numbers the places in another order than that of the maps' columns.

    Raises
    ------
    UsageError
    """
    digits = [re.sub(r"\D", "", str(place)) for place in places or []]
    if not digits or not only_counts(digits):
        return  # whatever the numbers of the places are, those of the columns are not known
    for column in labels:
        given = as_names(column)
        if only_counts(given) and list(np.argsort(list(map(int, given)))) != list(
            np.argsort(list(map(int, digits)))
        ):
            raise UsageError(
                f"{where}: column {shown(str(column.name))} numbers the places in another order "
                "than that of the maps' columns; sort the rows, or take them as they are by "
                "--columns x,y (in Python: pass only the columns of coordinates)"
            )


def _refuse(wanted, given, where, whose) -> None:
    absent = [place for place in wanted if place not in set(given)]
    stray = [label for label in given if label not in set(wanted)]
    twice = [label for number, label in enumerate(given) if label in given[:number]]
    what = (
        f"has no place {absent[0]!r}, which {whose} have"
        if absent
        else f"has place {stray[0]!r}, which {whose} have not"
        if stray
        else f"has place {twice[0]!r} more than once"
    )
    raise ValueError(f"{where}: {what}; places are matched by the names of the maps' columns")


def only_counts(labels: Sequence[str]) -> bool:
    """Whether names are the numbers from 0 or 1, in any order."""
    return all(label.isdecimal() for label in labels) and sorted(map(int, labels)) in (
        list(range(len(labels))),
        list(range(1, len(labels) + 1)),
    )


def as_names(labels: pd.Series) -> list[str]:
    """Names as text; whole numbers without a point, also where they come as text."""
    if labels.dtype.kind == "f" and np.array_equal(labels, np.floor(labels)):
        labels = labels.astype(np.int64)
    if isinstance(labels.dtype, pd.StringDtype):
        names = labels.str.strip().fillna("nan").tolist()
    else:
        names = [str(label).strip() for label in labels.to_numpy(dtype=object)]
    if all(name.endswith(".0") for name in names):
        names = [name[:-2] for name in names]
    return names


def rows_at(coordinates: np.ndarray, known: np.ndarray) -> np.ndarray | None:
    """Which of some places is each of the known ones, both (p, d); None if they are others."""
    if coordinates.shape != known.shape:
        return None
    unit = np.ptp(known, axis=0).max() * SAME_PLACE or 1.0
    distance, rows = cKDTree(coordinates).query(known)
    several = len(np.unique(rows)) < len(rows)
    if several and np.abs(coordinates - known).max() <= unit:
        return np.arange(len(known))  # places that occur more than once, in the same order
    return None if several or distance.max() > unit else rows

"""Users' maps and coordinates: read as meant, or refused with the place and what decides.

:func:`read` takes files, :func:`spatgmm.reading.memory.take` what is passed in Python; both give a
:class:`~spatgmm.reading.stack.Stack`.  A format is a reader in a table of suffixes below.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from spatgmm.common.errors import NoSuchFileError, UsageError
from spatgmm.data import Dataset
from spatgmm.reading import arrays, fill, labelled, long, places, table, text
from spatgmm.reading.grids import grid_shape
from spatgmm.reading.stack import Stack
from spatgmm.reading.table import Table, from_parquet
from spatgmm.reading.words import listed

_GRID = re.compile(r"\d+([xX×]\d+){0,2}")

_TEXT = (".csv", ".tsv", ".txt")

#: Readers by suffix of files that hold arrays; they take the file and the name of an array in it.
_STACKS = {
    ".npy": arrays.from_npy,
    ".npz": arrays.from_npz,
    ".nc": labelled.from_netcdf,
    ".zarr": labelled.from_zarr,
    ".tif": labelled.from_geotiff,
    ".tiff": labelled.from_geotiff,
}


@dataclass(frozen=True, eq=False)
class Reading:
    """A user's maps.

    Attributes
    ----------
    data : Dataset
    names : list of str or None
        Of the maps, where the file has them.
    places : list of str or None
        Names of the locations, where the file has them.
    notes : list of str
        What was found and may not be what was meant.
    degrees : str or None
        Names of the columns of coordinates that seem to be longitude and latitude.
    located : bool
        Whether the maps' own file says where each value is.
    """

    data: Dataset
    names: list[str] | None = None
    places: list[str] | None = None
    notes: list[str] = field(default_factory=list)
    degrees: str | None = None
    located: bool = False

    @property
    def map_names(self) -> list[str]:
        """Names of the maps, or else their numbers."""
        return list(map(str, self.names or range(len(self.data.X))))


def read(
    maps: str,
    coordinates: str | None = None,
    *,
    known: np.ndarray | None = None,
    missing: bool = False,
    missing_values: Sequence[float] = (),
    header: bool | None = None,
    index: bool | None = None,
    columns: Sequence[str] | None = None,
    decimal: str | None = None,
    variables: int | Sequence[str] | None = None,
) -> Reading:
    """The maps in a user's files.

    Parameters
    ----------
    maps : str
        A file with a map per row (text, compressed or not, or Parquet), a long table with columns
        map, value and coordinates, an array of shape (n, p), (n, r, c) or (n, r, c, s) (.npy,
        .npz), or a stack that knows its places (NetCDF, Zarr, GeoTIFF).  ``FILE:NAME`` chooses
        one of several arrays or variables.
    coordinates : str or None
        A file with a location per row, in the order of the maps' values or with their names; or a
        grid shape such as ``10x10``.  None: the places that the maps bring.
    known : ndarray of shape (p, d) or None
        Coordinates of maps that bring no places, where there are no others.
    missing : bool
        Whether empty values of maps are missing pixels rather than mistakes.
    missing_values : sequence of float
        Numbers that stand for a missing value.
    header, index : bool or None
        Whether the first row of the maps is a header, and the first column names maps.  None: as
        they look.
    columns : sequence of str or None
        Columns of `coordinates` to take, by name or by number from 1.
    decimal : str or None
        The decimal mark, a point or a comma, of text files whose numbers leave it open: 1,234 may
        be 1234.  None: these are refused.
    variables : int, sequence of str or None
        How many values of a location stand beside each other (the last axis of an array), or the
        names of the variables of a long table or of a file with several arrays.  None: one, or all
        of a long table with a column of variables.

    Raises
    ------
    FileNotFoundError
    UsageError
        If files can be read in more than one way; the message names what decides.
    ValueError
        If a file is no table of finite numbers, or the two do not fit together; the message names
        the file and the place.
    """
    how = {
        "missing": missing,
        "missing_values": missing_values,
        "header": header,
        "index": index,
        "columns": columns,
        "decimal": decimal,
        "known": known,
    }
    if not (variables is None or isinstance(variables, int)):
        return _beside(maps, coordinates, list(variables), how)
    source = _open(maps, header=header, decimal=decimal)
    named = _variables_of(source, maps)
    if len(named) > 1:
        if variables not in (None, len(named)):
            raise UsageError(f"{maps}: holds {len(named)} variables ({listed(named)})")
        return _beside(maps, coordinates, named, how)
    q = variables or 1
    given = _given(coordinates, decimal)
    if isinstance(given, Table):
        wide = isinstance(source, Table)
        widths = table.widths(source, index) if wide else {source.values.shape[1]}
        widths = {width // q for width in widths if width % q == 0}
        given = table.settled(given, widths)
    notes = []
    if isinstance(source, Stack) and source.shape == ():
        raise ValueError(f"{maps}: an array of maps has 2, 3 or 4 axes, not 1")
    if isinstance(source, Stack):
        stack = arrays.finite(maps, source, missing, missing_values)
    else:
        notes += [f"{maps}: read with {', '.join(source.notes)}"] if source.notes else []
        which = long.roles(source)
        if which is not None and given is not None:
            raise UsageError(f"{maps}: a long table brings its places; leave out --coordinates")
        if which is not None:
            notes.append(f"{maps}: {long.told(source, which)}")
            stack, _ = long.maps(source, which, _split(maps)[1], missing, missing_values)
        else:
            at = known if given is None else given
            count = None if at is None else q * _count(at)
            stack = table.maps(source, count, index, missing, missing_values)
    try:
        stack = stack.of_variables(q)
    except ValueError as error:
        raise UsageError(f"{maps}: {error}") from None
    if given is None and stack.coordinates is None and known is not None:
        given = known
    locations = _locations(stack, given, maps, coordinates, columns)
    found = fill.fill_values(stack.values)
    if missing and (empty := np.flatnonzero(np.isnan(stack.values).all(axis=1))).size:
        notes.append(f"{maps}: maps without any value, in rows {listed(empty + 1)}")
    if found:
        notes.append(f"{maps}: {fill.told(found)} --missing-value and --missing em say so")
    shape = given if isinstance(given, tuple) else stack.shape or grid_shape(locations)
    description = f"maps in {maps}"
    data = Dataset(
        stack.values,
        locations,
        None,
        (),
        shape,
        description,
        maps,
        missing=missing,
        n_variables=q,
    )
    axes = _names_of_axes(given, columns) if isinstance(given, Table) else stack.axes
    degrees = places.degrees(axes, locations)
    located = stack.coordinates is not None
    return Reading(data, stack.names, stack.places, notes, degrees, located)


def _variables_of(source: Table | Stack, maps: str) -> list[str]:
    """The variables of a long table from which none was chosen."""
    which = long.roles(source) if isinstance(source, Table) else None
    if which is None or which.variable is None or _split(maps)[1] is not None:
        return []
    return source.cells.iloc[:, which.variable].astype(str).unique().tolist()


def _beside(maps: str, coordinates, names: list[str], how: dict) -> Reading:
    """Maps of several variables, each read by its name and put beside the others."""
    if len(set(names)) < len(names):
        raise UsageError(f"{maps}: variables {listed(names)} are not distinct")
    file, _ = _split(maps)
    each = [read(f"{file}:{name}", coordinates, **how) for name in names]
    first, *others = each
    for name, other in zip(names[1:], others, strict=True):
        same = other.names == first.names and np.array_equal(
            other.data.coordinates, first.data.coordinates
        )
        if not same or other.data.X.shape != first.data.X.shape:
            raise ValueError(
                f"{file}: variables {names[0]!r} and {name!r} are not of the same maps at the same "
                "locations"
            )
    X = np.stack([one.data.X for one in each], axis=2)
    data = replace(
        first.data,
        X=X.reshape(len(X), -1),
        description=f"maps in {maps}",
        source=maps,
        n_variables=len(names),
        variable_names=tuple(names),
    )
    notes = [
        note.replace(f"{file}:{name}", file)
        for name, one in zip(names, each, strict=True)
        for note in one.notes
    ]
    told = f"{file}: {len(names)} variables at each location: {listed(names)}"
    return replace(first, data=data, notes=[*dict.fromkeys(notes), told])


def read_table(path: str, header: bool | None = None, decimal: str | None = None) -> Table:
    """The table in a text or Parquet file; `header` and `decimal` as for :func:`read`."""
    found = _open(path, header, decimal=decimal)
    if not isinstance(found, Table):
        raise ValueError(f"{path}: is no table; give text ({', '.join(_TEXT)}) or .parquet")
    return found


def read_array(path: str) -> np.ndarray:
    """The finite numbers in a .npy or .npz file, in the shape they have there."""
    found = _open(path)
    if not isinstance(found, Stack) or found.coordinates is not None:
        raise ValueError(f"{path}: is no array; give .npy or .npz")
    found = arrays.finite(path, found)
    axes = found.values.shape[1:] if found.shape is None else found.shape
    return found.values.reshape(len(found.values), *axes)


def _given(
    coordinates: str | None, decimal: str | None
) -> tuple[int, ...] | Table | np.ndarray | None:
    """What was said of coordinates, read but not understood yet."""
    if coordinates is None:
        return None
    if is_grid(coordinates):
        return tuple(int(size) for size in re.split("[xX×]", coordinates))
    found = _open(coordinates, count_decides=True, decimal=decimal)
    if isinstance(found, Table):
        return found
    if found.shape:
        raise ValueError(f"{coordinates}: coordinates are a table, or an array of shape (p, d)")
    return arrays.finite(coordinates, found).values


def is_grid(coordinates: str) -> bool:
    """Whether words about coordinates are the shape of a grid, and no file."""
    return bool(_GRID.fullmatch(coordinates))


def _count(given) -> int | None:
    """Number of places, where coordinates tell it."""
    if isinstance(given, tuple):
        return math.prod(given)
    return None if given is None else len(given.cells if isinstance(given, Table) else given)


def _locations(stack: Stack, given, maps: str, coordinates, columns) -> np.ndarray:
    """Coordinates (p, d), refused by the names of the files."""
    if given is None and stack.shape is None and stack.coordinates is None:
        raise UsageError(
            f"{maps}: where are its {stack.values.shape[1]} locations? Give --coordinates, a file "
            "or a grid shape such as 10x10"
        )
    if isinstance(given, Table):
        given = table.coordinates(given, stack.places, columns)
    elif columns is not None:
        raise UsageError("--columns chooses among the columns of a table of coordinates")
    try:
        return stack.locations(given)
    except ValueError as error:
        where = maps if coordinates is None else f"{coordinates}, maps in {maps}"
        kind = UsageError if isinstance(given, tuple) else ValueError
        hint = "; --index says that the first column names maps; leave out columns of classes"
        one_more = stack.shape is None and _count(given) == stack.values.shape[1] - 1
        raise kind(f"{where}: {error}{hint if one_more else ''}") from None


def _names_of_axes(given: Table, columns: Sequence[str] | None) -> list[str] | None:
    """Names of columns of coordinates, of those that were chosen."""
    if columns is None or given.names is None:
        return given.names
    return [given.names[column] for column in table.chosen_columns(given, columns)]


def _split(path: str) -> tuple[str, str | None]:
    """A file, and the name behind it that chooses what is in it."""
    stem, colon, name = path.rpartition(":")
    if colon and Path(stem).exists() and not Path(path).exists():
        return stem, name
    return path, None


def _open(
    path: str,
    header: bool | None = None,
    count_decides: bool = False,
    decimal: str | None = None,
) -> Table | Stack:
    """What a file holds, by the suffix of its name."""
    file, name = _split(path)
    if not Path(file).exists():
        raise NoSuchFileError(f"{file}: there is no such file")
    suffixes = [suffix.lower() for suffix in Path(file).suffixes]
    last = suffixes[-1] if suffixes else ""
    if last in text.OPENERS:
        last = suffixes[-2] if suffixes[-2:-1] in ([kind] for kind in _TEXT) else last
    folder = Path(file).is_dir()
    if last in _STACKS and folder == (last == ".zarr"):
        return _STACKS[last](file, name)
    if last in _TEXT and not folder:
        return text.read(file, header, count_decides, decimal)
    if last == ".parquet" and not folder:
        return from_parquet(file)
    known = ", ".join([*_TEXT, f"these with {', '.join(text.OPENERS)}", ".parquet", *_STACKS])
    raise UsageError(f"{file}: not a kind of file that can be read; known are {known}")

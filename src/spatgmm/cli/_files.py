"""Users' files: maps and coordinates from CSV, Parquet or .npy, or a refusal that names the place.

Rows and columns are counted from 1, as spreadsheets and editors do, without a header line.
"""

from __future__ import annotations

import csv
import re
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd

from spatgmm.common.locations import check_coordinates, grid_coordinates
from spatgmm.data import Dataset

_GRID = re.compile(r"\d+(x\d+){0,2}")

#: What stands for a missing value in a CSV file.
_MISSING = {"", "na", "n/a", "nan", "null", "none"}


def read(maps: str, coordinates: str | None, missing: bool = False) -> Dataset:
    """The data set in a user's files.

    Parameters
    ----------
    maps : str
        A file with a map per row: .csv (with or without a header line), .parquet, or .npy with
        shape (n, p), (n, r, c) or (n, r, c, s).
    coordinates : str or None
        A file with a location per row, in the order of the maps' values, or a grid shape such as
        ``10x10``.  None: the grid of a multi-way .npy.
    missing : bool
        Whether empty values of maps are missing pixels rather than mistakes.

    Returns
    -------
    Dataset

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is absent or no table of finite numbers, or the two do not fit together; the
        message names the file and the place.
    """
    X = _numbers(maps, missing)
    if X.ndim > 4 or X.ndim < 2:
        raise ValueError(
            f"{maps}: an array of maps has 2, 3 or 4 axes (maps, rows, columns, slices), "
            f"not {X.ndim}"
        )
    shape = X.shape[1:] if X.ndim > 2 else None
    X = X.reshape(len(X), -1)
    if coordinates is None:
        if shape is None:
            raise ValueError(
                f"{maps}: where are its {X.shape[1]} locations? Give --coordinates, a file or a "
                "grid shape such as 10x10"
            )
        locations = grid_coordinates(shape)
    elif _GRID.fullmatch(coordinates):
        given = tuple(int(size) for size in coordinates.split("x"))
        if shape is not None and given != shape:
            raise ValueError(
                f"--coordinates {coordinates}: the maps in {maps} are "
                f"{'x'.join(map(str, shape))} grids"
            )
        shape = given
        locations = _checked(given, X.shape[1], f"--coordinates {coordinates}", maps)
    else:
        locations = _checked(_numbers(coordinates), X.shape[1], coordinates, maps)
        shape = shape or _grid_shape(locations)
    return Dataset(
        X, locations, shape=shape, description=f"maps in {maps}", source=maps, missing=missing
    )


def _checked(coordinates, n_locations: int, where: str, maps: str) -> np.ndarray:
    try:
        return check_coordinates(coordinates, n_locations)
    except ValueError as error:
        raise ValueError(f"{where}, maps in {maps}: {error}") from None


def _grid_shape(coordinates: np.ndarray) -> tuple[int, ...] | None:
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


def _numbers(path: str, missing: bool = False) -> np.ndarray:
    """The finite numbers in a file, NaN where one may be missing; a table has two axes."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    suffix = Path(path).suffix.lower()
    if suffix not in _READERS or Path(path).is_dir():
        known = ", ".join(_READERS)
        raise ValueError(f"{path}: not a kind of file that can be read; known are {known}")
    return _READERS[suffix](path, missing)


def _from_npy(path: str, missing: bool) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path}: cannot be read as an array: {_first_line(error)}") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise ValueError(f"{path}: does not hold one array of real numbers")
    if array.size == 0:
        raise ValueError(f"{path}: holds no values, its shape is {array.shape}")
    array = array.astype(float)
    bad = np.argwhere(np.isinf(array) if missing else ~np.isfinite(array))
    if bad.size:
        place = bad[0] + 1
        at = f"row {place[0]}" + (f", column {place[1]}" if len(place) == 2 else "")
        if len(place) > 2:
            at += f", pixel ({', '.join(map(str, place[1:]))})"
        raise ValueError(f"{path}: {at}: {_flaw(array[tuple(bad[0])])}")
    return array


def _from_parquet(path: str, missing: bool) -> np.ndarray:
    try:
        table = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises errors of many kinds
        raise ValueError(f"{path}: cannot be read as Parquet: {_first_line(error)}") from None
    return _from_table(path, table, [str(name) for name in table.columns], missing)


def _from_csv(path: str, missing: bool) -> np.ndarray:
    names = _header(path)
    try:
        table = pd.read_csv(
            path,
            header=None,
            skiprows=0 if names is None else 1,
            skipinitialspace=True,
            low_memory=False,
        )
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path}: has no rows") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {_first_line(error).removeprefix(_PANDAS)}") from None
    if names is not None and len(names) != table.shape[1]:
        raise ValueError(
            f"{path}: row 1 has {table.shape[1]} values, the header line names {len(names)}"
        )
    return _from_table(path, table, names, missing)


_PANDAS = "Error tokenizing data. C error: "


def _header(path: str) -> list[str] | None:
    """The names in the first line; None where it is data, that is, where it holds a number."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            first = next(csv.reader(file), None)
    except (UnicodeDecodeError, csv.Error):
        raise ValueError(f"{path}: is not a CSV file of UTF-8 text") from None
    if not first:
        raise ValueError(f"{path}: its first line is empty")
    words = [cell.strip() for cell in first]
    named = any(word.lower() not in _MISSING for word in words)
    return words if named and not any(map(_is_number, words)) else None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _from_table(
    path: str, table: pd.DataFrame, names: list[str] | None, missing: bool
) -> np.ndarray:
    if table.empty:
        raise ValueError(f"{path}: has no rows")
    values = np.empty(table.shape)
    for j in range(table.shape[1]):
        column = table.iloc[:, j]
        if column.dtype.kind not in "iuf":
            column = pd.to_numeric(column.astype(object), errors="coerce")
        values[:, j] = column.to_numpy(dtype=float, na_value=np.nan)
    allowed = table.isna().to_numpy() if missing else False
    bad = np.argwhere(~np.isfinite(values) & np.logical_not(allowed))
    if bad.size:
        i, j = bad[0]
        name = f" ({names[j]!r})" if names is not None else ""
        raise ValueError(f"{path}: row {i + 1}, column {j + 1}{name}: {_flaw(table.iloc[i, j])}")
    return values


def _flaw(cell) -> str:
    if pd.isna(cell):
        return "the value is missing"
    if isinstance(cell, str) and not _is_number(cell):
        return f"{cell!r} is not a number"
    return f"{cell} is not a finite number"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


_READERS = {".csv": _from_csv, ".parquet": _from_parquet, ".npy": _from_npy}

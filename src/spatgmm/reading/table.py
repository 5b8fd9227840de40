"""Tables of rows and columns, from whatever file: maps, their names, and numbers with places.

Rows and columns are counted from 1, as spreadsheets and editors do, without a header line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from spatgmm.common.errors import UsageError
from spatgmm.common.words import shown
from spatgmm.reading import places
from spatgmm.reading.numerals import PLAIN, Numerals
from spatgmm.reading.stack import Stack
from spatgmm.reading.words import (
    MISSING,
    first_line,
    listed,
    missing_hint,
)

#: Numbers that a processor's cache holds.
_CACHED = 1 << 16

#: Cells that tell whether a column holds numbers.
_SAMPLE = 1000


@dataclass(frozen=True, eq=False)
class Table:
    """Cells of a file, and what is known about them.

    Attributes
    ----------
    path : str
        What messages call it.
    cells : DataFrame
        Rows below the header.
    names : list of str or None
        The header; None where there is none, or where it is undecided.
    undecided : list of str or None
        The first row, where it could be a header; it is then a row of `cells` too.
    second_header : list of str or None
        The first row below a header, where it could be one more; it is a row of `cells` too.
    row_names : Series or None
        Names of rows that are no column: the index of a data frame.
    notes : list of str
        What is unusual about the file.
    numerals : Numerals
        How its numbers are written, where they are text.
    """

    path: str
    cells: pd.DataFrame
    names: list[str] | None
    undecided: list[str] | None = None
    second_header: list[str] | None = None
    row_names: pd.Series | None = None
    notes: list[str] = field(default_factory=list)
    numerals: Numerals = PLAIN

    def __post_init__(self) -> None:
        if self.cells.empty:
            raise ValueError(f"{self.path}: has no rows")

    @property
    def numeric(self) -> list[bool]:
        """Whether a column holds numbers, mistakes aside."""
        return [_is_numeric(column, self.numerals) for _, column in self.cells.items()]

    def numbers(
        self, columns: Sequence[int], missing: bool | None = None, missing_values=()
    ) -> np.ndarray:
        """Finite numbers of these columns, C order.

        `missing`: whether one may be missing, NaN; None where that is no choice.
        """
        values = _side_by_side(
            [_as_numbers(self.cells.iloc[:, column], self.numerals) for column in columns]
        )
        named = np.isin(values, missing_values) if missing_values else False
        if np.isfinite(values).all() and not np.any(named):
            return values
        cells, bad = self.cells.iloc[:, list(columns)], ~np.isfinite(values)
        if missing:
            bad &= ~are_missing(cells)
        else:
            bad |= named
        values[named] = np.nan
        if bad.any():
            self._refuse(cells, values, bad, columns, missing is not None)
        return values

    def column(self, name: str) -> np.ndarray:
        """The finite numbers in the column of that name, shape (rows,)."""
        return self.numbers([_column(self, name)])[:, 0]

    def _refuse(self, cells, values, bad, columns, choice: bool) -> None:
        i, j = np.unravel_index(bad.argmax(), bad.shape)
        name = f" ({shown(self.names[columns[j]])})" if self.names is not None else ""
        cell = cells.iloc[i, j]
        flaw = _flaw(cell, self.numerals)
        if flaw.endswith("missing"):
            flaw += missing_hint(np.isnan(values)) if choice else ""
        elif self.cells.shape[1] == 1:
            flaw += "; columns are told by commas, semicolons, tabs, bars or blanks"
        elif self.notes:
            flaw += f" (read with {', '.join(self.notes)})"
        raise ValueError(f"{self.path}: row {i + 1}, column {columns[j] + 1}{name}: {flaw}")


def from_parquet(path: str) -> Table:
    """The table in a Parquet file; an index that was saved with it names its rows."""
    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises errors of many kinds
        raise ValueError(f"{path}: cannot be read as Parquet: {first_line(error)}") from None
    row_names = None if isinstance(frame.index, pd.RangeIndex) else pd.Series(frame.index)
    names = [str(name) for name in frame.columns]
    return Table(path, frame.reset_index(drop=True), names, row_names=row_names)


def maps(
    table: Table,
    n_locations: int | None,
    index: bool | None = None,
    missing: bool = False,
    missing_values: Sequence[float] = (),
) -> Stack:
    """Maps of a table, one a row.

    Parameters
    ----------
    table : Table
    n_locations : int or None
        How many places there are, where that is known: it tells an index from a pixel.
    index : bool or None
        Whether the first column names the maps; None: as it looks.
    missing, missing_values
        Whether values may be missing, and further numbers that stand for a missing one.

    Raises
    ------
    UsageError
        If the first row may be a header or a map.
    ValueError
        If a cell is no number; the message names row and column.
    """
    if table.undecided is not None:
        raise UsageError(
            f"{table.path}: row 1 ({listed(table.undecided)}) may be a header or a map; say "
            f"--header ({len(table.cells) - 1} maps) or --no-header ({len(table.cells)} maps)"
        )
    if table.second_header is not None:
        raise UsageError(
            f"{table.path}: the row below the header ({listed(table.second_header)}) may be a "
            f"second header or a map; say --header ({len(table.cells)} maps), or delete the row"
        )
    table = _without_last(table, n_locations, index)
    columns = list(range(table.cells.shape[1]))
    named_by = index_column(table, n_locations, index)
    names = table.row_names
    if named_by is not None:
        names = table.cells.iloc[:, named_by]
        columns.remove(named_by)
    if columns[:1] == [0] and named_by and _is_nameless(table):
        columns.pop(0)  # pandas' index, beside a column of names
    if not columns:
        raise ValueError(f"{table.path}: holds names of maps and no values")
    values = table.numbers(columns, missing, missing_values)
    return Stack(
        values,
        names=None if names is None else places.as_names(names),
        places=None if table.names is None else [table.names[column] for column in columns],
    )


def index_column(table: Table, n_locations: int | None, index: bool | None) -> int | None:
    """The column that names the maps, or None."""
    if index is not None:
        return 0 if index else None
    width = table.cells.shape[1]
    text = [column for column, numeric in enumerate(table.numeric) if not numeric]
    if text and width > 1:
        return text[0]
    if n_locations == width or width == 1:
        return None
    likely = n_locations == width - 1 or n_locations is None
    named = table.names is not None and places.is_index_name(table.names[0])
    first = table.cells.iloc[:, 0]
    counting = places.counts_rows(first)
    # Numbers that are kept as text, such as 007, are names.
    counting |= n_locations == width - 1 and _are_numbers_as_text(first)
    return 0 if _is_nameless(table) or (likely and (named or counting)) else None


def _without_last(table: Table, n_locations: int | None, index: bool | None) -> Table:
    """Without an empty last column, if there are too many: each row ends in a separator."""

    def fits(one: Table) -> bool:
        named = index_column(one, n_locations, index) is not None
        return one.cells.shape[1] - named == n_locations

    if table.cells.shape[1] < 2 or not table.cells.iloc[:, -1].isna().all() or fits(table):
        return table
    names = None if table.names is None else table.names[:-1]
    shorter = replace(table, cells=table.cells.iloc[:, :-1], names=names)
    # One too many is left to be told: an index, or a class.
    return shorter if fits(shorter) or shorter.cells.shape[1] - 1 == n_locations else table


def _are_numbers_as_text(column: pd.Series) -> bool:
    if column.dtype.kind in "iufb" or column.isna().any():
        return False
    return column.map(lambda cell: isinstance(cell, str) and cell.strip().isdecimal()).all()


def _is_nameless(table: Table) -> bool:
    """Whether the first column alone has no name, as the index that pandas and R write."""
    first = table.names[0].strip().lower() if table.names is not None else "none"
    return first == "" or first.startswith("unnamed:")


def widths(table: Table, index: bool | None) -> set[int]:
    """Numbers of places that the maps of a table may have, as its columns can be understood."""
    width = table.cells.shape[1]
    found = {width if index_column(table, width - 1, index) is None else width - 1}
    if index is None and (table.numeric[0] or width == 1):
        found.add(width)
    return found


def settled(table: Table, widths: set[int]) -> Table:
    """A table of coordinates without doubt about its header: the number of places decides."""
    if table.undecided is None:
        return table
    as_header, as_row = len(table.cells) - 1 in widths, len(table.cells) in widths
    if as_header and as_row:
        raise UsageError(
            f"{table.path}: row 1 ({listed(table.undecided)}) may be a header or a place, and "
            "the first column of the maps an index or a pixel; say --index or --no-index"
        )
    if not as_header:
        return replace(table, undecided=None)
    cells = table.cells.iloc[1:]
    return replace(table, cells=cells, names=table.undecided, undecided=None)


def coordinates(
    table: Table, maps_places: list | None, columns: Sequence[str] | None
) -> np.ndarray:
    """Coordinates of a table, one place a row, in the order of the maps' columns.

    Parameters
    ----------
    table : Table
        A settled one.
    maps_places : list or None
        Names of the maps' columns.
    columns : sequence of str or None
        Names or numbers, from 1, of the columns to take; None: as they are named.
    """
    names = table.names or [str(column + 1) for column in range(table.cells.shape[1])]
    cells, numeric = table.cells.set_axis(names, axis=1), table.numeric
    if columns is not None:
        chosen = chosen_columns(table, columns)
        labels = [cells.iloc[:, c] for c in range(cells.shape[1]) if c not in chosen]
    else:
        if table.names is None and cells.iloc[:, -1].isna().all():
            cells, numeric = cells.iloc[:, :-1], numeric[:-1]  # each row ends in a separator
        chosen, labels = places.choose(cells, table.names, numeric, table.path)
    index = [] if table.row_names is None else [table.row_names]
    rows = places.order([*index, *labels], maps_places, table.path)
    if rows is None and columns is None:
        places.check_numbered(labels, maps_places, table.path)
    values = table.numbers(chosen)
    return values if rows is None else values[rows]


def chosen_columns(table: Table, columns: Sequence[str]) -> list[int]:
    """Which columns of coordinates these are; longitude before latitude, whatever comes first."""
    chosen = [_column(table, name) for name in columns]
    axes = [places.axis_of(table.names[column]) for column in chosen] if table.names else [None]
    if None in axes or len(set(axes)) < len(axes):
        return chosen
    return sorted(chosen, key=lambda column: places.axis_of(table.names[column]))


def _column(table: Table, name: str) -> int:
    """Which column a name or a number from 1 means."""
    names = table.names or []
    lower = [known.lower() for known in names]
    if name in names:
        return names.index(name)
    if name.lower() in lower:
        return lower.index(name.lower())
    if name.isdecimal() and 1 <= int(name) <= table.cells.shape[1]:
        return int(name) - 1
    known = listed(names) or f"1 to {table.cells.shape[1]}"
    raise UsageError(f"{table.path}: has no column {shown(name)}; its columns: {known}")


def _side_by_side(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Columns as an array in C order, written by so many rows as a processor's cache holds."""
    rows = len(columns[0])
    values = np.empty((rows, len(columns)))
    step = max(1, _CACHED // len(columns))
    for start in range(0, rows, step):
        part = slice(start, start + step)
        np.stack([column[part] for column in columns], axis=1, out=values[part])
    return values


def _is_numeric(column: pd.Series, numerals: Numerals) -> bool:
    """Whether most of some cells are numbers."""
    if column.dtype.kind in "iufb":
        return True
    some = column.iloc[:_SAMPLE]
    there = ~are_missing(some)
    return bool(np.isfinite(_as_numbers(some, numerals)[there]).sum() * 2 >= there.sum())


def _as_numbers(column: pd.Series, numerals: Numerals) -> np.ndarray:
    """The numbers in a column; NaN where a cell is none."""
    if column.dtype.kind in "iufb":
        return column.to_numpy(dtype=float, na_value=np.nan)
    if column.dtype.kind in "mM":
        return np.full(len(column), np.nan)
    return numerals.numbers(column.to_numpy(dtype=object))


def are_missing(cells):
    """Whether cells are empty or a word for it."""
    gone = cells.isna()
    words = cells.select_dtypes(exclude="number") if isinstance(cells, pd.DataFrame) else None
    if words is None:
        if cells.dtype.kind not in "iufb":
            gone |= cells.map(_is_missing_word)
    else:
        for name in words:
            gone[name] |= words[name].map(_is_missing_word)
    return gone.to_numpy(dtype=bool)


def _is_missing_word(cell) -> bool:
    return isinstance(cell, str) and cell.strip().strip('"').lower() in MISSING


def _flaw(cell, numerals: Numerals) -> str:
    if pd.isna(cell) or _is_missing_word(cell):
        return "the value is missing"
    number = numerals.plain(cell) if isinstance(cell, str) else cell
    if number is None:
        doubt = numerals.doubt(cell)
        return f"{shown(cell)} may be {doubt}" if doubt else f"{shown(cell)} is not a number"
    if np.isfinite(float(number)):
        return f"{cell} stands for a missing value, so that it is missing"
    return f"{cell} is not a finite number"

"""What a user says of each map in a file beside the maps: a label or a weight.

One value per row in the order of the maps, or two columns, the maps' names first; of a wider table,
such as the ``labels.csv`` of an earlier fit, the column that is called by what is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from spatgmm.common.errors import UsageError
from spatgmm.common.words import shown
from spatgmm.reading.places import as_names
from spatgmm.reading.table import Table, are_missing
from spatgmm.reading.words import MISSING, is_number, listed


def labels(table: Table, names: Sequence[str], n_components: int) -> tuple[np.ndarray, list[str]]:
    """Known labels, counted from 0, -1 where nothing is said; and what each cluster is called.

    Parameters
    ----------
    table : Table
        Read without a header.
    names : sequence of str, length n
        Of the maps.
    n_components : int
        Clusters that there will be, at least.

    Returns
    -------
    tuple of (ndarray of shape (n,), list of str)
        Whole numbers from 1 to `n_components` are the numbers of clusters; other labels are
        numbered in their order, and the list has their names.

    Raises
    ------
    ValueError
        If a map is unknown or stands there twice, no label is known, or there are more of them
        than clusters; the message names the file.
    """
    cells, rows = _of_maps(table, "label", names)
    said = ~are_missing(cells)
    text = np.array(as_names(cells[said]), dtype=object)
    said[said] = text != "-1"
    text = text[text != "-1"]
    if not len(text):
        raise ValueError(f"{table.path}: knows the label of no map")
    distinct = sorted(set(text), key=lambda one: (not one.isdecimal(), one.zfill(20), one))
    called: list[str] = []
    numbers = {str(g + 1): g for g in range(n_components)}
    if not set(distinct) <= set(numbers):
        called, numbers = distinct, {one: g for g, one in enumerate(distinct)}
    if len(distinct) > n_components:
        raise ValueError(
            f"{table.path}: has {len(distinct)} labels ({listed(distinct)}) for {n_components} "
            f"cluster{'s' * (n_components > 1)}"
        )
    known = np.full(len(names), -1)
    known[rows[said]] = [numbers[one] for one in text]
    return known, called


def weights(table: Table, names: Sequence[str]) -> np.ndarray:
    """A weight for each map, shape (n,).

    Raises
    ------
    ValueError
        If a map has none, or one that is no finite number of at least 0; the message names the
        file and the map.
    """
    cells, rows = _of_maps(table, "weight", names)
    found = np.full(len(names), np.nan)
    numbers = table.numerals.numbers(cells.to_numpy(dtype=object))
    bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers >= 0)))
    if bad.size:
        raise ValueError(
            f"{table.path}: map {names[rows[bad[0]]]} has the weight "
            f"{shown(cells.iloc[bad[0]])}; weights are finite numbers of at least 0"
        )
    found[rows] = numbers
    without = np.flatnonzero(np.isnan(found))
    if without.size:
        raise ValueError(f"{table.path}: has no weight for map {names[without[0]]}")
    return found


def _of_maps(table: Table, what: str, names: Sequence[str]) -> tuple[pd.Series, np.ndarray]:
    """Cells that say `what` of some maps, and which maps these are."""
    if table.row_names is not None:
        cells = table.cells.copy()
        cells.insert(0, "map", table.row_names.to_numpy(), allow_duplicates=True)
        table = replace(table, cells=cells, names=["map", *(table.names or [])])
    cells, header, n = table.cells, table.names, len(names)
    if cells.shape[1] > 1 and cells.iloc[:, -1].isna().all():
        cells = cells.iloc[:, :-1]  # each row ends in a separator
    if cells.shape[1] == 1:
        if header is None and len(cells) == n + 1 and _is_heading(cells.iloc[:, 0]):
            cells = cells.iloc[1:]
        if len(cells) != n:
            raise ValueError(
                f"{table.path}: has {len(cells)} rows for {n} maps; give one for each, or a first "
                "column with the maps' names"
            )
        return cells.iloc[:, 0].reset_index(drop=True), np.arange(n)
    row = {name: number for number, name in enumerate(names)}
    if len(row) < n:
        twice = next(name for number, name in enumerate(names) if row[name] != number)
        raise ValueError(
            f"{table.path}: names maps, and {shown(twice)} is the name of several; give one "
            f"{what} per row, in their order"
        )
    if header is None and as_names(cells.iloc[:1, 0])[0] not in row:
        header, cells = [str(name).strip() for name in cells.iloc[0]], cells.iloc[1:]
    column = 1
    if cells.shape[1] > 2:
        lower = [name.lower() for name in header or []]
        if what not in lower:
            raise UsageError(
                f"{table.path}: which of its {cells.shape[1]} columns is the {what}? Give two, the "
                f"maps' names and the {what}s, or name one {what!r}"
            )
        column = lower.index(what)
    given, seen = as_names(cells.iloc[:, 0]), set()
    for name in given:
        if name not in row:
            raise ValueError(f"{table.path}: the maps have no map {shown(name)}")
        if name in seen:
            raise ValueError(f"{table.path}: has map {shown(name)} more than once")
        seen.add(name)
    return cells.iloc[:, column].reset_index(drop=True), np.array([row[name] for name in given])


def _is_heading(column: pd.Series) -> bool:
    """Whether the first of some labels or weights is none of them: a word that does not recur."""
    first, *others = (str(cell).strip() for cell in column)
    return not is_number(first) and first.lower() not in MISSING and first not in others

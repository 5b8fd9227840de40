"""Whether the first row of a table is a header, also where its names are numbers.

A header of numbers names pixels or wavelengths: it counts, steps evenly, or rises or falls all
along, above rows that do not.  What could be either is left undecided.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spatgmm.reading.places import is_index_name
from spatgmm.reading.words import FLAGS, MISSING, is_number

#: So many numbers that rise or fall all along are no accident (2 in 40,320 orders); fewer than
#: the second number may well be.
_CERTAIN, _SUSPECT = 8, 5

#: Steps that agree to this share of the span are even, where numbers are printed to many digits.
_EVEN = 1e-6

#: Rows of which a smaller share rise or fall all along are not of that kind.
_FEW = 0.15


def is_header(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool | None:
    """Whether the first row of a table holds names; None where it could be either.

    Parameters
    ----------
    first : sequence of str
        Cells of the first row.
    rows : sequence of sequence of str
        Cells of some rows below.
    """
    if len(first) > 2 and all(row and _kind(row[-1]) == "missing" for row in [first, *rows]):
        # Each row ends in a separator.
        first, rows = first[:-1], [row[:-1] for row in rows]
    flags = [_is_flag(cell) for c, cell in enumerate(first) if c and _all_flags(rows, c)]
    if flags:
        return not any(flags)
    below = [row[0] for row in rows if _kind(row[0]) != "missing"]
    if first[0] and is_index_name(first[0]) and not any(map(is_index_name, below)):
        return True
    kinds = [_kind(cell) for cell in first]
    numbers = [column for column, kind in enumerate(kinds) if kind == "number"]
    words = [column for column, kind in enumerate(kinds) if kind == "word"]
    if not numbers:
        return bool(words)
    over_numbers = [column for column in words if not _is_text(rows, column)]
    if len(numbers) > 1 and numbers[0] == 0 and rows and counts([first[0], *below]):
        # The first column counts on from this row: it names rows, of which this is one.
        others = numbers[1:]
        likely = _are_names([first[c] for c in others], [_cells(row, others) for row in rows])
        return None if likely else likely
    leading_gap = kinds[0] == "missing" and "missing" not in kinds[1:]
    verdict = _are_names([first[c] for c in numbers], [_cells(row, numbers) for row in rows])
    if over_numbers:
        # A word above numbers is a name, or else a value that is no number.
        return verdict is not False or len(over_numbers) > len(numbers)
    if leading_gap and (verdict is None or counts(below)):
        return True  # pandas writes an index without a name
    if leading_gap and verdict is False and _are_labels(below):
        return None
    return verdict


def is_second_header(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of some rows is one more header: levels of an index, or wavelengths.

    Parameters
    ----------
    names : sequence of str
        The header above.
    rows : sequence of sequence of str
    """
    if len(rows) < 2:
        return False
    numbers = [column for column, cell in enumerate(rows[0]) if _kind(cell) == "number"]
    first, *below = [_cells(row, numbers) for row in rows if len(row) == len(rows[0])]
    m = len(first)
    verdict = _are_names(first, below) if m > 2 else False
    if verdict is None and m >= _SUSPECT:
        return _is_monotone(np.array(first, dtype=float)) and not any(map(_rises, below))
    repeated = len(set(names)) < len(names)
    return bool(verdict) or (repeated and _whole(first) and not any(map(_whole, below)))


def _rises(row: Sequence[str]) -> bool:
    """Whether the numbers of a row, gaps aside, rise or fall all along."""
    return _is_monotone(np.array([c for c in row if _kind(c) == "number"], dtype=float))


def counts(cells: Sequence[str]) -> bool:
    """Whether cells count from 0 or 1 in whole numbers."""
    if not cells or not all(cell.strip().isdecimal() for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    return numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(cells)))


def _kind(cell: str) -> str:
    if cell.strip().lower() in MISSING:
        return "missing"
    return "number" if is_number(cell) else "word"


def _are_labels(cells: Sequence[str]) -> bool:
    """Whether all cells are words, or distinct whole numbers."""
    if len(cells) < 2:
        return False
    distinct = len(set(cells)) == len(cells)
    return all(_kind(cell) == "word" for cell in cells) or (distinct and _whole(cells))


def _is_flag(cell: str) -> bool:
    return cell.strip().lower() in FLAGS


def _all_flags(rows: Sequence[Sequence[str]], column: int) -> bool:
    below = [row[column] for row in rows if column < len(row)]
    return bool(below) and all(map(_is_flag, below))


def _is_text(rows: Sequence[Sequence[str]], column: int) -> bool:
    kinds = [_kind(row[column]) for row in rows if column < len(row)]
    return kinds.count("word") > kinds.count("number")


def _cells(row: Sequence[str], columns: Sequence[int]) -> list[str]:
    return [row[column] for column in columns if column < len(row)]


def _are_names(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool | None:
    """Whether numbers are names, above rows of numbers of which some may be missing."""
    m = len(first)
    values = np.array(first, dtype=float)
    rows = [[cell for cell in row if _kind(cell) == "number"] for row in rows if len(row) == m]
    body = [np.array(row, dtype=float) for row in rows if row]
    if not (body and np.isfinite(values).all()):
        return False
    unlike = _whole(first) and len(set(first)) == m and not any(map(_whole, rows))
    if m <= 2:
        # Any two numbers step evenly.
        return (True if unlike and m == 2 else None) if counts(first) else False
    if _steps_evenly(values):
        if any(map(_steps_evenly, body)):
            return None
        return True if unlike or m >= _SUSPECT else None
    if _is_monotone(values):
        share = np.mean([_is_monotone(row) for row in body])
        outside = values.min() > max(map(max, body)) or values.max() < min(map(min, body))
        if share == 0:
            return True if m >= _CERTAIN or unlike else None if m >= _SUSPECT else False
        return None if outside or (share < _FEW and m >= _SUSPECT) else False
    # Distinct whole numbers above rows of which none is whole: numbers of stations, perhaps.
    return None if unlike and len(rows) > 1 else False


def _whole(cells: Sequence[str]) -> bool:
    return bool(cells) and all(cell.strip().lstrip("+-").isdecimal() for cell in cells)


def _steps_evenly(values: np.ndarray) -> bool:
    steps = np.diff(values)
    span = abs(values[-1] - values[0])
    return len(steps) > 1 and span > 0 and bool(np.ptp(steps) <= _EVEN * span)


def _is_monotone(values: np.ndarray) -> bool:
    steps = np.diff(values)
    return len(steps) > 1 and bool((steps > 0).all() or (steps < 0).all())

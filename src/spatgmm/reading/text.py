"""Tables of text: separator, decimal mark, encoding and header are found in the first lines."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from spatgmm.common.errors import UsageError
from spatgmm.reading.header import counts, is_header, is_second_header
from spatgmm.reading.numerals import THOUSANDS, Numerals, settle
from spatgmm.reading.table import Table
from spatgmm.reading.words import MISSING, MISSING_IN_ANY_CASE, first_line, is_number, listed

#: In the order in which they are tried.
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}

#: Bytes that are looked at before a file is read, more where lines are long.
_SAMPLE_BYTES = 1 << 14

#: Bytes that are counted at a time.
_CHUNK = 1 << 20

#: Lines from which separator and header are told.
_LINES = 20

#: Marks that say which Unicode a file is in; the long ones begin like the short ones.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

#: Those in which a character is several bytes, some of them 0.
_WIDE = ("utf-16", "utf-32")

#: First bytes of what is compressed, though its name does not say so.
_COMPRESSED = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ": ".xz", b"PK\3\4": ".zip"}

#: What begins lines of comments: anywhere, and above the first row only.
_COMMENTS, _COMMENTS_ABOVE = ("#", "%"), ("#", "%", "//", "!")

#: What is a name rather than a number, anywhere and in the first column.
_ID, _FIRST_ID = re.compile(r"0\d+"), re.compile(r"0\d+|\d+[eE]\d+")

#: Steps of numbers with few decimals that differ by less are even.
_EVEN = 1e-9

#: Text that is not UTF-8 is read in this one, in which every byte is a character.
_FALLBACK = "latin-1"

#: What pandas says of a row that is longer than the first.
_LONGER = re.compile(r".*Expected (\d+) fields in line (\d+), saw (\d+).*")


#: Folders, and what macOS adds to archives.
_CLUTTER = re.compile(r"/$|^__MACOSX/|(^|/)\._|(^|/)\.DS_Store$")


def _open_zip(path: str) -> BinaryIO:
    archive = zipfile.ZipFile(path)
    members = [member for member in archive.namelist() if not _CLUTTER.search(member)]
    if len(members) != 1:
        raise ValueError(f"holds {len(members)} files ({listed(members)}), not one")
    return archive.open(members[0])


OPENERS: dict[str, Callable[[str], BinaryIO]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zip": _open_zip,
}

#: What a reader of a damaged or foreign file may raise.
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class _Format:
    """How a file is written, as its first lines show it."""

    separator: str
    numerals: Numerals
    encoding: str
    old_line_ends: bool  # those of old Macs, after which pandas counts lines in its own way
    starts: list[int]  # lines before each of the first rows, header and units among them
    comments: str | None  # what begins comments further down
    units: list[str] | None  # the row below the header, where it names units
    padded: bool  # whether blanks follow separators
    first: list[str]
    rows: list[list[str]]

    def notes(self) -> list[str]:
        """What is unusual about it."""
        told = [f"{SEPARATORS.get(self.separator, self.separator)} between values"]
        told = told if self.separator != "," else []
        decimal, grouped = self.numerals.decimal, self.numerals.grouped
        told += ["decimal commas"] if decimal == "," else []
        told += [f"{THOUSANDS[decimal]!r} between thousands"] if grouped else []
        told += [self.encoding.upper()] if self.encoding in (_FALLBACK, *_WIDE) else []
        told += [f"a row of units ({listed(self.units)})"] if self.units else []
        return told

    def above(self, named: bool) -> int:
        """Lines above the first row that is neither header nor units."""
        return self.starts[named + (self.units is not None)]


def read(
    path: str, header: bool | None, count_decides: bool = False, decimal: str | None = None
) -> Table:
    """The table in a text file.

    Parameters
    ----------
    path : str
        Its name may end in a kind of compression.
    header : bool or None
        Whether the first row is a header; None: as the rows look.
    count_decides : bool
        Whether the number of rows is known and will tell a header of numbers.
    decimal : str or None
        The decimal mark; None: as the numbers look.

    Raises
    ------
    UsageError
        If numbers can be read in two ways.
    ValueError
        If it is no table of text; the message names the file and the line.
    """
    opener = OPENERS.get(Path(path).suffix.lower(), open_plain)
    try:
        with opener(path) as file:
            form = _sniff(*_sample(file), decimal)
        named = is_header(form.first, form.rows) if header is None else header
        if named is not True and header is None and _without_units(form) is not form:
            named = True  # nothing else stands above units
        if named:
            form = _without_units(form)
        if named and header is None and count_decides and all(map(is_number, form.first)):
            named = None
        try:
            cells = _parse(path, opener, form, bool(named))
        except UnicodeDecodeError:
            form = replace(form, encoding=_FALLBACK)
            cells = _parse(path, opener, form, bool(named))
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path}: has no rows below its first line") from None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    except _DAMAGE as error:
        raise ValueError(f"{path}: {_reworded(error)}") from None
    _check_lengths(path, opener, form, cells, bool(named))
    table = _table(path, cells, form, named)
    again = named is True and header is None and is_second_header(form.first, form.rows)
    return replace(table, second_header=form.rows[0]) if again else table


def _reworded(error: BaseException) -> str:
    return _LONGER.sub(r"line \2 has \3 values, those before it \1", first_line(error))


def open_plain(path: str) -> BinaryIO:
    return open(path, "rb")


def _sample(file: BinaryIO) -> tuple[list[str], str, bool]:
    """Some whole lines of a file, their encoding, and whether carriage returns end them."""
    data, size = file.read(_SAMPLE_BYTES), _SAMPLE_BYTES
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    suffix = next((end for mark, end in _COMPRESSED.items() if data.startswith(mark)), None)
    if suffix is not None:
        raise ValueError(f"is compressed; let its name end in {suffix}")
    if encoding not in _WIDE and b"\0" in data:
        raise ValueError("is not text")
    whole = len(data) < size
    # A few whole lines at least, however long they are.
    while not whole and len(re.findall(rb"\r\n|\r|\n", data)) < 4:
        more = file.read(size)
        whole, size, data = len(more) < size, 2 * size, data + more
    if not whole:
        data = data[: max(data.rfind(b"\n"), data.rfind(b"\r")) + 1]
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        if encoding in _WIDE:
            text = data.decode(encoding, errors="ignore")
        else:
            encoding, text = _FALLBACK, data.decode(_FALLBACK)
    return re.split(r"\r\n|\r|\n", text), encoding, bool(re.search(r"\r(?!\n)", text))


def _sniff(
    lines: list[str], encoding: str, old_line_ends: bool, told_decimal: str | None
) -> _Format:
    skip, separator = 0, None
    for line in lines:
        told = re.fullmatch(r'"?sep=(.)"?', line.strip("\ufeff\r\n"), re.IGNORECASE)
        if told:
            separator = told[1]
        elif line.strip() and not line.lstrip().startswith(_COMMENTS_ABOVE):
            break
        skip += 1
    there = [line for line in lines[skip:] if line.strip()]
    if not there:
        raise ValueError("has no rows")
    comments = _comments(there)
    rows = [line.partition(comments)[0] if comments else line for line in lines[skip:]]
    starts = [skip + number for number, line in enumerate(rows) if line.strip()][:3]
    starts += [starts[-1] + 1] * 2  # below the last row
    rows = [line for line in rows if line.strip()]
    first, *rows = rows[: _LINES + 1]
    told_separator = separator
    separator, decimal, score = _separators(rows or [first], told_separator, told_decimal)
    if told_decimal is not None:
        own = _separators(rows or [first], told_separator, None)
        if own[-1] > score:  # other files have that mark, this one has not
            (separator, decimal, _), told_decimal = own, None
    decimal = _of_one_column(first, rows, separator, decimal, told_decimal)
    if told_decimal is None and separator == decimal and '"' not in "".join(rows):
        separator = ";"  # which a single column has no use for
    padded = any(f"{separator} " in line for line in [first, *rows])
    first, *rows = (_split(line, separator) for line in [first, *rows])
    numerals, doubtful = settle(decimal, rows or [first], separator == ",")
    if told_decimal is not None:
        numerals = Numerals(told_decimal, grouped=True)
    elif doubtful is not None:
        raise UsageError(f"{doubtful!r} may be {numerals.doubt(doubtful)}")
    first, *rows = ([numerals.plain(cell) or cell for cell in row] for row in [first, *rows])
    return _Format(
        separator, numerals, encoding, old_line_ends, starts, comments, None, padded, first, rows
    )


def _of_one_column(
    first: str, rows: list[str], separator: str, decimal: str, told: str | None
) -> str:
    """The decimal mark, where lines are two whole numbers at a comma, or one with decimals.

    Raises
    ------
    UsageError
        If they could be either.
    """
    pairs = [re.fullmatch(r"\s*([+-]?\d*),(\d+)\s*", line) for line in rows]
    if told or separator != "," or not pairs or not all(pairs):
        return decimal
    named = "," not in first and not is_number(first)
    if not named and "," in first:
        pairs = [re.fullmatch(r"\s*([+-]?\d*),(\d+)\s*", first), *pairs]
        if not all(pairs):
            return decimal
    whole, parts = zip(*(pair.groups() for pair in pairs), strict=True)
    if any(len(part) > 1 and part[0] == "0" for part in parts) or "" in whole:
        return ","
    if named and not counts(whole):
        return ","
    steps = np.diff([float(f"{a}.{b}") for a, b in zip(whole, parts, strict=True)])
    varied = len(steps) > 1 and len(set(whole)) > 1 and len(set(parts)) > 1
    if named or (varied and np.ptp(steps) < _EVEN):
        raise UsageError(
            f"{rows[0].strip()!r} may be one number or two; say --decimal , or --decimal ."
        )
    return decimal


def _comments(rows: list[str]) -> str | None:
    """What begins comments: it begins rows, or # stands behind a number wherever it stands."""
    text = "\n".join(rows)
    for mark in _COMMENTS:
        if mark in text and re.search(rf"^\s*{mark}", text, re.MULTILINE):
            return mark
    marked = [row for row in rows if "#" in row] if "#" in text else []
    behind = marked and all(re.search(r"[\d.]\s+#[^,;|]*$", row) for row in marked)
    return "#" if behind else None


def _without_units(form: _Format) -> _Format:
    """Without a row of words below the header, in columns that hold numbers from there on."""
    if len(form.rows) < 2 or len(form.rows[0]) != len(form.rows[1]):
        return form
    units, below = form.rows[0], form.rows[1]
    of_numbers = [cell for cell, next_one in zip(units, below, strict=True) if is_number(next_one)]
    if not of_numbers or any(map(is_number, of_numbers)):
        return form
    if all(cell.lower() in MISSING for cell in of_numbers):
        return form
    return replace(form, units=of_numbers, rows=form.rows[1:])


def _separators(rows: list[str], told: str | None, decimal: str | None) -> tuple[str, str, float]:
    """Separator and decimal mark that make most cells numbers, in rows of one length; how many."""
    best, best_score = (told or ",", decimal or "."), (-1.0, 0)
    quoted = any('"' in row for row in rows)
    likely, last = (told or "".join(SEPARATORS)), ""
    if decimal is not None and decimal in likely and not (told or quoted):
        # Between numbers it stands only if nothing else does.
        likely, last = likely.replace(decimal, ""), decimal
    for separator in likely + last:
        if separator == last and best_score[0] == 1:
            break
        cells = [_split(row, separator) for row in rows]
        width, agreeing = Counter(map(len, cells)).most_common(1)[0]
        cells = [row for row in cells if len(row) == width]
        for mark in [decimal] if decimal else THOUSANDS:
            is_value = Numerals(mark, grouped=True).is_value
            share = np.mean([[is_value(cell) for cell in row] for row in cells])
            if separator == " " and share < 1 and best[0] == "\t":
                continue  # names of two words between tabs
            score = (round(share * agreeing / len(rows), 6), width)
            if score > best_score:
                best, best_score = (separator, mark), score
            if score[0] == 1 and width > 1:
                return *best, 1.0
    return *best, best_score[0]


def _split(line: str, separator: str) -> list[str]:
    if separator == " ":
        # shlex is slow and takes apostrophes for quotes.
        cells = re.findall(r'"[^"]*"|\S+', line)
    else:
        try:
            cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
        except csv.Error:
            cells = line.split(separator)
    return [cell.strip().strip('"') for cell in cells]


def _columns_of_names(rows: list[list[str]]) -> set[int]:
    """Columns with names such as 007 or 1E2, to be kept as they are."""
    return {
        column
        for row in rows
        for column, cell in enumerate(row)
        if (_ID if column else _FIRST_ID).fullmatch(cell)
    }


def _parse(path: str, opener: Callable[[str], BinaryIO], form: _Format, named: bool):
    """All rows below the header, or below nothing; columns by position."""
    options = {
        "header": None,
        "sep": r"\s+" if form.separator == " " else form.separator,
        "decimal": form.numerals.decimal,
        "encoding": form.encoding,
        "skiprows": form.above(named),
        "comment": form.comments,
        "na_values": MISSING_IN_ANY_CASE,
        "skipinitialspace": form.padded,  # it costs a tenth of the time
        "dtype": dict.fromkeys(_columns_of_names(form.rows), str),
    }
    with warnings.catch_warnings():
        # Columns in which numbers and words mix are sorted out cell by cell.
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)
        if form.old_line_ends:
            with io.TextIOWrapper(opener(path), encoding=form.encoding) as file:
                return pd.read_csv(io.StringIO(file.read()), **options)
        if opener is open_plain:
            return pd.read_csv(path, compression=None, **options)  # faster than a file handle
        with opener(path) as file:
            return pd.read_csv(file, **options)


def _check_lengths(path, opener, form: _Format, cells: pd.DataFrame, named: bool) -> None:
    """Refuse rows with fewer values than others; pandas takes what they lack for missing."""
    gap = cells.iloc[:, -1].isna().to_numpy()
    if not gap.any() or gap.all() or _all_separated(path, opener, form, cells.shape, named):
        return
    row = -1
    with io.TextIOWrapper(opener(path), encoding=form.encoding) as lines:
        for number, line in enumerate(lines):
            line = line.partition(form.comments)[0] if form.comments else line
            if number < form.above(named) or not line.strip():
                continue
            row += 1
            if row < len(gap) and gap[row] and '"' not in line:
                found = len(_split(line.rstrip("\r\n"), form.separator))
                if found < cells.shape[1]:
                    raise ValueError(
                        f"{path}: row {row + 1} has {found} values, others have {cells.shape[1]}"
                    )


def _all_separated(path, opener, form: _Format, shape: tuple[int, int], named: bool) -> bool:
    """Whether a plain file has as many separators as its rows need: quick to count."""
    if form.separator == " " or form.encoding in _WIDE or form.above(False) or form.comments:
        return False
    with opener(path) as file:
        chunks = iter(lambda: file.read(_CHUNK), b"")
        found = sum(chunk.count(form.separator.encode()) for chunk in chunks)
    return found == shape[0] * (shape[1] - 1) + named * (len(form.first) - 1)


def _table(path: str, cells: pd.DataFrame, form: _Format, named: bool | None) -> Table:
    names, width = list(form.first), cells.shape[1]
    if not named:
        return Table(
            path,
            cells,
            None,
            names if named is None else None,
            notes=form.notes(),
            numerals=form.numerals,
        )
    if names[-1] == "" and len(names) == width + 1:
        names.pop()
    elif len(names) == width - 1:
        if cells.iloc[:, -1].isna().all():
            cells = cells.iloc[:, :-1]  # each row ends in a separator
        else:
            names.insert(0, "")  # R writes names of rows under no name
    elif names[-1] == "" and len(names) == width and cells.iloc[:, -1].isna().all():
        cells, names = cells.iloc[:, :-1], names[:-1]
    if len(names) != cells.shape[1]:
        raise ValueError(
            f"{path}: row 1 has {width} values, the header line names {len(names)} (separated by "
            f"{SEPARATORS.get(form.separator, form.separator)})"
        )
    return Table(path, cells, names, notes=form.notes(), numerals=form.numerals)

"""How a file writes numbers: the decimal mark, marks between thousands, minus signs.

``1,234`` is 1234 to some and 1.234 to others.  What other numbers of the file tell is taken from
them; what they leave open is asked about, and ``--decimal`` decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spatgmm.reading.words import FLAGS, MISSING, is_number

#: Decimal marks in the order in which they are tried, and what may then stand between thousands.
THOUSANDS = {".": ",", ",": "."}

#: What a text editor makes of a minus.
_MINUS = "\N{MINUS SIGN}"

_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")

#: Numbers of one group of thousands, or of three decimals, by the decimal mark of the former.
_ONE_GROUP = {
    decimal: re.compile(rf"[+-]?[1-9]\d{{0,2}}[{mark}]\d{{3}}")
    for decimal, mark in THOUSANDS.items()
}

#: Numbers with marks between thousands that can be nothing else.
_GROUPED = {
    decimal: re.compile(
        rf"[+-]?[1-9]\d{{0,2}}(([{mark}]\d{{3}})+[{decimal}]\d+|([{mark}]\d{{3}}){{2,}})"
    )
    for decimal, mark in THOUSANDS.items()
}

#: Numbers that are read many at a time; thousands are whole groups or have no marks.
_MANY = {
    decimal: rf"[+-]?(\d+|[1-9]\d{{0,2}}([{mark}]\d{{3}})+)?([{decimal}]\d*)?([eE][+-]?\d+)?"
    for decimal, mark in THOUSANDS.items()
}


@dataclass(frozen=True)
class Numerals:
    """How numbers are written.

    Attributes
    ----------
    decimal : str
        The decimal mark.
    grouped : bool
        Whether the other mark stands between thousands.  Otherwise what may be one group of them,
        or three decimals, is no number.
    """

    decimal: str = "."
    grouped: bool = False

    def plain(self, cell: str) -> str | None:
        """A number as Python writes it; None of what is none."""
        text = cell.strip().strip('"').replace(_MINUS, "-")
        if THOUSANDS[self.decimal] not in text and "," not in text:
            return text if is_number(text) else None
        one = bool(_ONE_GROUP[self.decimal].fullmatch(text))
        if _GROUPED[self.decimal].fullmatch(text) or (one and self.grouped):
            text = text.replace(THOUSANDS[self.decimal], "")
        elif one or (self.decimal == "," and "." in text):
            return None
        # Where the first lines held whole numbers only, decimal commas come as a surprise.
        if (self.decimal == "," or not self.grouped) and _COMMA_NUMBER.fullmatch(text):
            text = text.replace(",", ".")
        return text if is_number(text) else None

    def is_value(self, cell: str) -> bool:
        """Whether a cell is a number or a flag, or stands for a missing one."""
        return cell.lower() in MISSING or cell.lower() in FLAGS or self.plain(cell) is not None

    def numbers(self, cells: np.ndarray) -> np.ndarray:
        """The numbers in cells of any kind, NaN where there is none."""
        if self == PLAIN:
            found = np.array(pd.to_numeric(cells, errors="coerce"), dtype=float)
        else:
            words = pd.Series(np.where([isinstance(cell, str) for cell in cells], cells, None))
            found = np.array(
                pd.to_numeric(np.where(words.isna(), cells, None), errors="coerce"), dtype=float
            )
            words = words.astype("str").str.strip()
            known = words.str.fullmatch(_MANY[self.decimal]).fillna(False).to_numpy(dtype=bool)
            if not self.grouped:
                marked = words.str.contains(THOUSANDS[self.decimal], regex=False)
                known = known & ~marked.fillna(False).to_numpy(dtype=bool)
            plain = words[known].str.replace(THOUSANDS[self.decimal], "", regex=False)
            plain = plain.str.replace(self.decimal, ".", regex=False)
            found[known] = pd.to_numeric(plain, errors="coerce")
        for i in np.flatnonzero(np.isnan(found)):
            text = self.plain(cells[i]) if isinstance(cells[i], str) else None
            found[i] = np.nan if text is None else float(text)
        return found

    def doubt(self, cell: object) -> str | None:
        """The two numbers that a cell may be, in words; None where it can be one or none."""
        text = str(cell).strip().strip('"').replace(_MINUS, "-")
        if self.grouped or not any(kind.fullmatch(text) for kind in _ONE_GROUP.values()):
            return None
        whole, part = re.split("[.,]", text)
        return f"{whole}{part} or {whole}.{part}; say --decimal . or --decimal ,"


#: As Python writes them.
PLAIN = Numerals()


def settle(
    decimal: str, rows: Sequence[Sequence[str]], quoted: bool
) -> tuple[Numerals, str | None]:
    """How some rows of cells are written, and a cell that leaves it open.

    Parameters
    ----------
    decimal : str
        The mark with which most cells are numbers.
    rows : sequence of sequence of str
    quoted : bool
        Whether commas separate values, so that those with commas of their own stand in quotes: as
        programs write thousands that know no decimal commas.
    """
    mark, cells = THOUSANDS[decimal], [cell for row in rows for cell in row]
    if not any(mark in cell for cell in cells) and any(
        decimal in cell and not _ONE_GROUP[mark].fullmatch(cell) and is_number(_dotted(cell))
        for cell in cells
    ):
        return Numerals(decimal), None  # as most files
    if any(map(_GROUPED[decimal].fullmatch, cells)):
        return Numerals(decimal, grouped=True), None
    in_groups = [cell for cell in cells if _ONE_GROUP[decimal].fullmatch(cell)]
    with_decimals = [cell for cell in cells if decimal in cell and is_number(_dotted(cell))]
    if in_groups and with_decimals:
        return Numerals(decimal, grouped=True), None
    columns = [column for column in zip(*rows, strict=False) if _may_be_grouped(column)]
    whole = [[d for d in map(_digits, column) if d.isdecimal()] for column in columns]
    # Thousands without a mark say that the others have decimals.
    long = any(len(cell) > 3 for column in whole for cell in column)
    mixed = not long and any(whole)
    if in_groups:
        # Whole numbers in other columns, a first one of names aside, are small thousands, perhaps.
        small = any(_digits(cell).isdecimal() for row in rows for cell in row[1:])
        undecided = mixed or (not long and (quoted or small))
        return Numerals(mark), in_groups[0] if undecided else None
    if mixed and all(map(_ONE_GROUP[mark].fullmatch, with_decimals)):
        return Numerals(decimal), with_decimals[0]
    return Numerals(decimal), None


def _dotted(cell: str) -> str:
    return cell.replace(",", ".")


def _digits(cell: str) -> str:
    return cell.lstrip("+-")


def _may_be_grouped(column: Sequence[str]) -> bool:
    return any(kind.fullmatch(cell) for cell in column for kind in _ONE_GROUP.values())

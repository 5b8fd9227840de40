"""What a table is: raw numbers, the same formatted for readers, and what to say about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

#: How parameters are written in tables; :mod:`spatgmm.report.tables.writer` knows them in LaTeX.
SYMBOLS = {"weight": "π", "alpha1": "α₁", "alpha2": "α₂", "alpha3": "α₃", "beta": "β"}

#: The meaning of the coefficients, wherever they are shown.
CONVENTION = (
    "Covariance Ξ = α₁J + α₂D(β) + α₃I with J all ones (diagonal too), so the variance is α₁ + α₃ "
    "and α₃ is the nugget."
)


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes
    ----------
    caption : str
        What the rows and columns are.
    raw : DataFrame
        Numbers as they are, for the CSV file.
    formatted : DataFrame
        Strings for LaTeX and Markdown; columns may have two levels.
    notes : tuple of str
        Footnotes, in the order of their marks ``[a]``, ``[b]``, ...; unmarked ones last.
    finding : str
        What the numbers show, made from them.
    """

    caption: str
    raw: pd.DataFrame
    formatted: pd.DataFrame
    notes: tuple[str, ...]
    finding: str


class Footnotes:
    """Marks ``[a]``, ``[b]``, ... for footnotes; the same text gets the same mark."""

    def __init__(self):
        self._texts: list[str] = []

    def mark(self, text: str) -> str:
        if text not in self._texts:
            self._texts.append(text)
        return f"[{_letters(self._texts.index(text))}]"

    def notes(self) -> tuple[str, ...]:
        return tuple(f"[{_letters(i)}] {text}" for i, text in enumerate(self._texts))


def _letters(index: int) -> str:
    """a, ..., z, aa, ab, ..."""
    letters = ""
    while index >= 0:
        letters = chr(ord("a") + index % 26) + letters
        index = index // 26 - 1
    return letters


def number(value: float, digits: int = 3) -> str:
    """A number with fixed digits after the point; a dash for none."""
    if value is None or not np.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.replace("-", "")


def with_error(value: float, error: float, digits: int = 3) -> str:
    """``value (standard error)``."""
    if not np.isfinite(error):
        return number(value, digits)
    return f"{number(value, digits)} ({number(error, digits)})"


def significant(value: float, digits: int = 3) -> str:
    """A positive quantity that spans magnitudes, such as seconds, to significant digits."""
    if value is None or not np.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))
    return f"{value:.{decimals}f}"


def listing(items: list[str]) -> str:
    """``a, b and c``."""
    items = list(items)
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def failures(raw: pd.DataFrame) -> str:
    """How many of all fits failed, from columns n_ok and n_failed."""
    failed = int(raw["n_failed"].sum())
    return f"{failed} of {failed + int(raw['n_ok'].sum())} fits failed"

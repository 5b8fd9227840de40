"""What a table is: raw numbers, the same formatted for readers, and what to say about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from spatgmm.report.tables import writer
from spatgmm.study.outputs import Asked


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes
    ----------
    raw : DataFrame
        Numbers as they are, for the CSV file.
    formatted : DataFrame
        Strings for LaTeX and Markdown; columns may have two levels.
    finding : str
        What the numbers show, made from them.
    notes : tuple of str
        What to know of this run, and footnotes in the order of their marks ``[a]``, ``[b]``, ...
    headline : tuple of str
        The finding in a sentence or two, for what a summary opens with.
    """

    raw: pd.DataFrame
    formatted: pd.DataFrame
    finding: str
    notes: tuple[str, ...] = ()
    headline: tuple[str, ...] = ()

    def save(self, asked: Asked, directory: Path) -> list[Path]:
        """Write CSV, LaTeX and Markdown; each is complete or not written."""
        return writer.write(asked, self, directory)

    def markdown(self, asked: Asked) -> str:
        """Caption, table and notes."""
        return writer.to_markdown(asked, self)


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


def ended(line: pd.Series, footnotes: Footnotes) -> str:
    """``fits that succeeded/failed``, with a footnote on why they failed.

    Parameters
    ----------
    line : Series
        With ``n_ok``, ``n_failed`` and ``reason``.
    footnotes : Footnotes
    """
    text = f"{line['n_ok']}/{line['n_failed']}"
    if not line["n_failed"]:
        return text
    what = "failed fits" if line["n_ok"] else "every fit failed"
    return text + footnotes.mark(f"{what}, most often: {line['reason']}")


def inapplicable(line: pd.Series, footnotes: Footnotes) -> str:
    """A dash for a method that cannot run on these data, with a footnote on why."""
    return f"–{footnotes.mark('not applicable: ' + line['reason'])}"


def _letters(index: int) -> str:
    """a, ..., z, aa, ab, ..."""
    letters = ""
    while index >= 0:
        letters = chr(ord("a") + index % 26) + letters
        index = index // 26 - 1
    return letters

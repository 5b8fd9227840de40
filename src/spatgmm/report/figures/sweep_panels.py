"""What the figures of a sweep share: which varied key goes where."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd

from spatgmm.report import labels
from spatgmm.report.figures import style
from spatgmm.report.numbers import sweep
from spatgmm.report.results import Results
from spatgmm.report.words import listing

#: Rows of panels on one page.
MOST_ROWS = 6

#: Names of values that fit along one axis of a panel.
_MOST_TICKS = 10


@dataclass(frozen=True)
class Panels:
    """Cells of a sweep, ready to be drawn.

    Attributes
    ----------
    cells : DataFrame
        See :func:`spatgmm.report.numbers.sweep.cells`.
    x, y : str
        The first two varied keys; ``y`` is ``""`` where only one is varied.
    rows : list of (str, DataFrame)
        Cells by the values of all further keys, with these as a title; the first few.
    methods : dict
        Their labels.
    left_out : int
        Number of rows beyond those.
    """

    cells: pd.DataFrame
    x: str
    y: str
    rows: list[tuple[str, pd.DataFrame]]
    methods: dict[str, str]
    left_out: int


def panels(results: Results, study: str) -> Panels:
    """The cells of a sweep, arranged."""
    cells = sweep.cells(results, study)
    x, *further = sweep.swept(cells)
    y, rest = (further[0], further[1:]) if further else ("", [])
    rows = [("", cells)]
    if rest:
        rows = [
            (_title(rest, values), group)
            for values, group in cells.groupby(rest, sort=False, dropna=False)
        ]
    left_out = max(0, len(rows) - MOST_ROWS)
    return Panels(cells, x, y, rows[:MOST_ROWS], labels.methods(results, cells), left_out)


def notes(arranged: Panels, columns_left_out: int = 0) -> tuple[str, ...]:
    """What the rows of panels are, and what is not shown."""
    further = [
        labels.key(key)
        for key in sweep.swept(arranged.cells)
        if key not in (arranged.x, arranged.y)
    ]
    said = [f"Rows of panels: {listing(further)}."] if len(arranged.rows) > 1 else []
    for number, what in ((arranged.left_out, "rows"), (columns_left_out, "columns")):
        if number > 0:
            said.append(f"{number} further {what} of panels are left out; the table has them all.")
    return tuple(said)


def frame(arranged: Panels, titles: list[str], label: str, heights: tuple[float, float]):
    """A figure with axes for every row of cells and every title, named at the edges.

    Parameters
    ----------
    arranged : Panels
    titles : list of str
        Of the columns.
    label : str
        Of the vertical axes.
    heights : (float, float)
        Inches beside the rows, and of one row.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : ndarray of Axes, shape (rows, columns)
    """
    beside, each = heights
    rows = len(arranged.rows)
    size = (style.PAGE, beside + each * rows)
    figure, axes = plt.subplots(
        rows, len(titles), figsize=size, squeeze=False, sharex=True, sharey=True
    )
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title)
    for ax in axes[-1]:
        ax.set_xlabel(labels.key(arranged.x))
    for ax, (title, _) in zip(axes[:, 0], arranged.rows, strict=True):
        ax.set_ylabel(f"{title}\n{label}" if title else label)
    return figure, axes


def ticks(axis, values: list) -> None:
    """Name the values at positions 0, 1, ... of an axis, every other one where they are many."""
    every = -(-len(values) // _MOST_TICKS)
    at = range(0, len(values), every)
    axis.set_ticks(at, [labels.value(values[k]) for k in at])


def _title(keys: list[str], values: tuple) -> str:
    pairs = zip(keys, values, strict=True)
    return ", ".join(labels.point(key, value) for key, value in pairs)

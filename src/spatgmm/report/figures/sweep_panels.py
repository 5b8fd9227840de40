"""What the figures of a sweep share: which varied key goes where."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd

from spatgmm.report.figures import style
from spatgmm.report.results import Results
from spatgmm.report.tables import sweep
from spatgmm.report.tables.table import listing

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
        See :func:`spatgmm.report.tables.sweep.cells`.
    x, y : str
        The first two varied keys; ``y`` is ``""`` where only one is varied.
    rows : list of (str, DataFrame)
        Cells by the values of all further keys, with these as a title; the first few.
    labels : dict
        Methods and their labels.
    left_out : int
        Number of rows beyond those.
    """

    cells: pd.DataFrame
    x: str
    y: str
    rows: list[tuple[str, pd.DataFrame]]
    labels: dict[str, str]
    left_out: int


def panels(results: Results) -> Panels:
    """The cells of the run's sweep, arranged."""
    cells = sweep.cells(results)
    x, *further = sweep.swept(cells)
    y, rest = (further[0], further[1:]) if further else ("", [])
    rows = [("", cells)]
    if rest:
        rows = [
            (_title(rest, values), group)
            for values, group in cells.groupby(rest, sort=False, dropna=False)
        ]
    left_out = max(0, len(rows) - MOST_ROWS)
    return Panels(cells, x, y, rows[:MOST_ROWS], results.method_labels(cells), left_out)


def told(arranged: Panels) -> str:
    """The end of a caption: what the rows are, and what is not shown."""
    if len(arranged.rows) == 1:
        return ""
    further = [
        sweep.name(key)
        for key in sweep.swept(arranged.cells)
        if key not in (arranged.x, arranged.y)
    ]
    text = f" Rows of panels: {listing(further)}."
    if arranged.left_out:
        text += f" {arranged.left_out} further rows are in Table 10 only."
    return text


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
        ax.set_xlabel(sweep.name(arranged.x))
    for ax, (title, _) in zip(axes[:, 0], arranged.rows, strict=True):
        ax.set_ylabel(f"{title}\n{label}" if title else label)
    return figure, axes


def ticks(axis, values: list) -> None:
    """Name the values at positions 0, 1, ... of an axis, every other one where they are many."""
    every = -(-len(values) // _MOST_TICKS)
    at = range(0, len(values), every)
    axis.set_ticks(at, [sweep.shown(values[k]) for k in at])


def _title(keys: list[str], values: tuple) -> str:
    pairs = zip(keys, values, strict=True)
    return ", ".join(f"{sweep.name(key)} = {sweep.shown(value)}" for key, value in pairs)

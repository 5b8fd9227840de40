"""Figure 10: ARI over two swept parameters, a heat map per method."""

from __future__ import annotations

import numpy as np

from spatgmm.plot.colours import SEQUENTIAL
from spatgmm.report import labels
from spatgmm.report.figures.drawing import Drawing
from spatgmm.report.figures.sweep_panels import Panels, frame, notes, panels, ticks
from spatgmm.report.numbers import sweep
from spatgmm.report.results import Results
from spatgmm.report.words import number

#: Smaller numbers cannot be read.
_SMALLEST_FONT = 4.0


def build(results: Results, study: str) -> Drawing:
    """A heat map per method, a row of them per value of further keys."""
    arranged = panels(results, study)
    finding = sweep.finding(results, arranged.cells)
    return Drawing(lambda: _draw(arranged), finding, notes(arranged))


def _draw(arranged: Panels):
    label = labels.key(arranged.y) if arranged.y else ""
    figure, axes = frame(arranged, list(arranged.methods.values()), label, (0.4, 1.7))
    xs = list(dict.fromkeys(arranged.cells[arranged.x]))
    ys = list(dict.fromkeys(arranged.cells[arranged.y])) if arranged.y else [""]
    font_size = _font_size(arranged)
    image = None
    for row, (_, cells) in zip(axes, arranged.rows, strict=True):
        for ax, method in zip(row, arranged.methods, strict=True):
            mean, error = np.full((2, len(ys), len(xs)), np.nan)
            for cell in cells[cells["method"] == method].to_dict("records"):
                at = ys.index(cell[arranged.y] if arranged.y else ""), xs.index(cell[arranged.x])
                mean[at], error[at] = cell["mean_ari"], cell["se_ari"]
            image = ax.imshow(mean, vmin=0, vmax=1, cmap=SEQUENTIAL, aspect="auto", origin="lower")
            if font_size:
                _write(ax, mean, error, font_size)
            ticks(ax.xaxis, xs)
            ticks(ax.yaxis, ys)
    explained = "\nin the fields: mean (standard error)" if font_size else ""
    figure.colorbar(image, ax=axes, label=f"mean ARI{explained}", shrink=0.8)
    return figure


def _font_size(arranged: Panels) -> float:
    """Of the numbers in the fields; 0 where they would not fit."""
    across = len(arranged.methods) * arranged.cells[arranged.x].nunique()
    high = 2 * (arranged.cells[arranged.y].nunique() if arranged.y else 1)
    size = min(5.5, 110 / across, 90 / high)
    return size if size >= _SMALLEST_FONT else 0.0


def _write(ax, mean: np.ndarray, error: np.ndarray, size: float) -> None:
    for (y, x), value in np.ndenumerate(mean):
        if np.isfinite(value):
            colour = "white" if value < 0.6 else "black"
            text = number(value, 2)
            if np.isfinite(error[y, x]):
                text += f"\n({number(error[y, x], 2)})"
            ax.text(x, y, text, ha="center", va="center", fontsize=size, color=colour)

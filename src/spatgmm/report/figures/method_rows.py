"""A row per method, as in the figures of ARI and of run time: every fit, and what they come to."""

from __future__ import annotations

import numpy as np

from spatgmm.report.figures import style
from spatgmm.report.results import Results


def label(ax, labels: dict[str, str]) -> None:
    """Name the rows, the first method at the top; `labels` is by method variant."""
    ax.set(
        yticks=range(len(labels)),
        yticklabels=list(labels.values()),
        ylim=(len(labels) - 0.4, -0.6),
    )


def draw(
    ax,
    y: int,
    values: np.ndarray,
    summary: tuple[float, float, float],
    method: str,
    results: Results,
    rng: np.random.Generator,
) -> None:
    """One method's fits as dots; above them, so that it hides none, a bar and a line.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    y : int
        The row.
    values : ndarray of shape (n,)
        Of each fit.
    summary : tuple of float
        Where the line starts, where the bar stands, where the line ends.
    method : str
        The method variant, for its colour and marker.
    results : Results
    rng : numpy.random.Generator
        For the jitter.
    """
    colour = style.method_colour(results.design.methods[method].plugin)
    ax.scatter(
        values,
        y + 0.12 + rng.uniform(-0.18, 0.18, len(values)),
        s=6,
        color=colour,
        marker=style.method_marker(method),
        alpha=0.45,
        linewidths=0,
        rasterized=len(values) > 500,
    )
    low, middle, high = summary
    ax.plot([low, high], [y - 0.24, y - 0.24], color=colour, linewidth=1.2)
    ax.plot(middle, y - 0.24, "|", color=colour, ms=5, mew=1.6)

"""A row per method, as in the figures of ARI and of run time: every fit, and what they come to."""

from __future__ import annotations

import numpy as np

from spatgmm.report.figures.looks import Look


def label(ax, names: list[str]) -> None:
    """Name the rows, the first method at the top."""
    ax.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))


def draw(
    ax,
    y: int,
    values: np.ndarray,
    summary: tuple[float, float, float],
    look: Look,
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
    look : Look
        Of the method.
    rng : numpy.random.Generator
        For the jitter.
    """
    ax.scatter(
        values,
        y + 0.12 + rng.uniform(-0.18, 0.18, len(values)),
        s=6,
        facecolors="none" if look.hollow else look.colour,
        edgecolors=look.colour,
        marker=look.marker,
        alpha=0.45,
        linewidths=0.6 if look.hollow else 0,
        rasterized=len(values) > 500,
    )
    low, middle, high = summary
    ax.plot([low, high], [y - 0.24, y - 0.24], color=look.colour, linewidth=1.2)
    ax.plot(middle, y - 0.24, "|", color=look.colour, ms=5, mew=1.6)

"""Figure 7: which starting values and which data lead a solver astray?"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import BoundaryNorm, ListedColormap

from spatgmm.report.figures import style
from spatgmm.report.figures.drawing import Drawing
from spatgmm.report.numbers.stability import REACHED, runs, start_labels
from spatgmm.report.results import Results
from spatgmm.report.words import listing, percent
from spatgmm.study.rows import OK, extra

#: Distances to the best log-likelihood, and what a run within or beyond them is called.
_EDGES = (REACHED, 1.0, 10.0)
_OUTCOMES = ("best reached", "within 1", "within 10", "farther", "failed")

#: Light where all is well, but not as light as paper; sequential, so that it reads in grey too.
_COLOURS = ("#D5EAD3", "#A6CEE3", "#56B4E9", "#0072B2", "#000000")


def build(results: Results, *studies: str) -> Drawing:
    """A panel per solver and way of starting, a field per run with a starting value."""
    fits = runs(results, *studies)
    fits = fits[fits["start"].notna()]
    fits = fits.assign(outcome=_outcome(fits))
    names = start_labels(results, fits)
    return Drawing(lambda: _draw(fits, names), _finding(fits, names))


def _finding(fits: pd.DataFrame, names: dict[str, str]) -> str:
    """In how many runs each did not get there."""
    missed = (fits["outcome"] > 0).groupby(fits["base_method"], sort=False)
    parts = [f"{names[base]} {int(own.sum())} of {len(own)}" for base, own in missed]
    return f"Runs that did not reach the best log-likelihood known: {listing(parts)}."


def _draw(fits: pd.DataFrame, names: dict[str, str]):
    figure, axes = plt.subplots(
        1, len(names), figsize=(style.PAGE, 3.4), sharey=True, squeeze=False
    )
    colours = ListedColormap(_COLOURS)
    norm = BoundaryNorm(np.arange(len(_OUTCOMES) + 1) - 0.5, len(_OUTCOMES))
    image = None
    for index, (ax, base) in enumerate(zip(axes[0], names, strict=True)):
        own = fits[fits["base_method"] == base]
        grid = own.pivot_table(index="replicate", columns="start", values="outcome")
        image = ax.pcolormesh(
            np.arange(grid.shape[1] + 1),
            np.arange(grid.shape[0] + 1),
            grid.to_numpy(dtype=float),
            cmap=colours,
            norm=norm,
            edgecolors="white",
            linewidth=0.5,
        )
        every = max(1, grid.shape[1] // 7)
        shown = range(0, grid.shape[1], every)
        ax.set_xticks([k + 0.5 for k in shown], [f"{grid.columns[k]:g}" for k in shown])
        ax.set_xlabel("starting β")
        # Solver and start on lines of their own, or they run into the panel's letter.
        reached = percent(float((own["outcome"] == 0).mean()))
        ax.set_title("\n".join([*names[base].rsplit(", ", 1), f"best reached: {reached}"]))
        sets = range(0, grid.shape[0], max(1, grid.shape[0] // 10))
        ax.set_yticks([k + 0.5 for k in sets], [f"{k + 1}" for k in sets])
        style.letter(ax, index)
    axes[0, 0].set_ylabel("data set")
    bar = figure.colorbar(image, ax=axes, ticks=range(len(_OUTCOMES)), shrink=0.8)
    bar.ax.set_yticklabels(_OUTCOMES)
    bar.set_label("distance to the best log-likelihood")
    bar.ax.tick_params(length=0)
    return figure


def _outcome(fits) -> pd.Series:
    """Index into the outcomes, for each run."""
    outcome = np.digitize(fits["gap"].to_numpy(dtype=float), _EDGES, right=True)
    lost = fits.get(extra("empty_components"), pd.Series(0, index=fits.index)).astype(float) > 0
    failed = (fits["status"] != OK) | lost
    return pd.Series(np.where(failed, len(_OUTCOMES) - 1, outcome), index=fits.index)

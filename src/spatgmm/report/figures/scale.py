"""Figure 12: seconds, memory and ARI against the number of pixels."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator

from spatgmm.report.figures import style
from spatgmm.report.figures.drawing import Drawing
from spatgmm.report.figures.looks import looks
from spatgmm.report.numbers.scale import MEASURES, scale
from spatgmm.report.results import Results
from spatgmm.report.words import listing, number


def build(results: Results, *studies: str) -> Drawing:
    """A panel for each measure, a line per method."""
    cells = scale(results, *studies)
    return Drawing(lambda: _draw(results, cells), _finding(cells))


def _finding(cells: pd.DataFrame) -> str:
    done = cells[cells["n_ok"] > 0]
    if done.empty:
        return "Every fit failed."
    ends = [
        f"{label} {number(own['ari'].iloc[0], 2)} at {own['p'].iloc[0]} and "
        f"{number(own['ari'].iloc[-1], 2)} at {own['p'].iloc[-1]} pixels"
        for label, own in done.groupby("label", sort=False)
    ]
    return f"Mean ARI: {listing(ends)}."


def _draw(results: Results, cells: pd.DataFrame):
    figure, axes = plt.subplots(1, len(MEASURES), figsize=(style.PAGE, 2.6))
    shown_as = looks(results.design.methods.values())
    done = cells[cells["n_ok"] > 0]
    for index, (ax, (column, name)) in enumerate(zip(axes, MEASURES.items(), strict=True)):
        for method, own in done.groupby("method", sort=False):
            look = shown_as[method]
            ax.plot(
                own["p"],
                own[column],
                color=look.colour,
                marker=look.marker,
                linestyle=look.line,
                markerfacecolor="white" if look.hollow else look.colour,
                markersize=3.5,
                label=own["label"].iloc[0],
            )
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
        sizes = sorted(set(done["p"]))
        ax.set_xticks(sizes, [f"{p}" for p in sizes], rotation=45, ha="right")
        ax.set_xlabel("pixels p")
        ax.set_ylabel(name)
        if column == "ari":
            ax.set_ylim(-0.05, 1.05)
        else:
            ax.set_yscale("log")
            if len(done):
                # Whole decades, so that there are at least two labelled ticks.
                low, high = np.log10(done[column].min()), np.log10(done[column].max())
                ax.set_ylim(10 ** np.floor(low), 10 ** (np.floor(high) + 1))
        ax.grid(color="0.9", linewidth=0.5)
        ax.set_axisbelow(True)
        style.letter(ax, index)
    handles, texts = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, texts, loc="outside lower center", ncols=3)
    return figure

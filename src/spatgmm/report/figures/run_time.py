"""Figure 8: seconds per fit, by method."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, NullFormatter

from spatgmm.report import labels
from spatgmm.report.figures import method_rows, style
from spatgmm.report.figures.drawing import Drawing
from spatgmm.report.figures.looks import looks
from spatgmm.report.results import Results, succeeded
from spatgmm.report.words import listing, significant


def build(results: Results, *studies: str) -> Drawing:
    """A panel of simulated and one of real data, a row per method."""
    fits = results.of(*studies)
    simulated = np.array(
        [results.design.cases[case].simulated for case in fits["case"]], dtype=bool
    )
    kinds = {"simulated data": fits[simulated], "real data": fits[~simulated]}
    panels = {title: _named(results, block) for title, block in kinds.items() if len(block)}
    return Drawing(
        lambda: _draw(results, panels),
        " ".join(_finding(results, title, block) for title, block in panels.items()),
        _notes(panels),
    )


def _named(results: Results, fits: pd.DataFrame) -> pd.DataFrame:
    """The fits without those of controls, with their methods' labels as column ``row``."""
    fits = fits[~fits["method"].isin(results.controls(fits))]
    return fits.assign(row=fits["method"].map(labels.methods(results, fits)))


def _notes(panels: dict[str, pd.DataFrame]) -> tuple[str, ...]:
    """Which methods of the configuration share a row."""
    both = pd.concat([fits.assign(panel=title) for title, fits in panels.items()])
    notes = []
    for row, block in both.groupby("row", sort=False):
        methods = block.drop_duplicates("panel").set_index("panel")["method"]
        if len(set(methods)) > 1:
            used = listing([f"{method} on {panel}" for panel, method in methods.items()])
            notes.append(f"{row} is {used}.")
    return tuple(notes)


def _finding(results: Results, title: str, fits: pd.DataFrame) -> str:
    ok = succeeded(fits)
    if ok.empty:
        return f"Every fit of {title} failed, so there is no run time to compare."
    median = ok.groupby("row")["seconds"].median().sort_values()
    return (
        f"Median seconds per fit of {title}: "
        + listing([f"{row} {significant(seconds, 2)}" for row, seconds in median.items()])
        + "."
    )


def _draw(results: Results, panels: dict[str, pd.DataFrame]):
    rows = list(dict.fromkeys(row for fits in panels.values() for row in fits["row"]))
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(style.COLUMN * (1 if len(panels) == 1 else 2), 0.7 + 0.2 * len(rows)),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    shown_as = looks(results.design.methods.values())
    rng = np.random.default_rng(0)  # jitter only
    for index, (ax, (title, fits)) in enumerate(zip(axes[0], panels.items(), strict=True)):
        for row, group in succeeded(fits).groupby("row", sort=False):
            seconds = group["seconds"].to_numpy(dtype=float)
            summary = tuple(np.percentile(seconds, [2.5, 50, 97.5]))
            look = shown_as[group["method"].iloc[0]]
            method_rows.draw(ax, rows.index(row), seconds, summary, look, rng)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.grid(axis="x", color="0.9", linewidth=0.5)
        ax.set_axisbelow(True)
        ax.set_xlabel("seconds per fit")
        ax.set_title(title)
        if len(panels) > 1:
            style.letter(ax, index)
    shown = succeeded(pd.concat(panels.values()))["seconds"]
    if len(shown):
        # Whole decades, so that there are at least two labelled ticks.
        low, high = np.log10(shown.min()), np.log10(shown.max())
        axes[0, 0].set_xlim(10 ** np.floor(low), 10 ** (np.floor(high) + 1))
    method_rows.label(axes[0, 0], rows)
    return figure

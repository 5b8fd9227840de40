"""Figure 8: seconds per fit, by method."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, NullFormatter

from spatgmm.report import labels
from spatgmm.report.figures import method_rows, style
from spatgmm.report.figures.drawing import Drawing
from spatgmm.report.results import Results
from spatgmm.report.words import listing, significant
from spatgmm.study.rows import OK


def build(results: Results, *studies: str) -> Drawing:
    """A panel of simulated and one of real data, a row per method."""
    fits = results.of(*studies)
    simulated = [results.design.cases[case].simulated for case in fits["case"]]
    kinds = {"simulated data": fits[simulated], "real data": fits[~np.array(simulated, dtype=bool)]}
    panels = {title: block for title, block in kinds.items() if len(block)}
    return Drawing(
        lambda: _draw(results, panels),
        " ".join(_finding(results, title, block) for title, block in panels.items()),
    )


def _finding(results: Results, title: str, fits: pd.DataFrame) -> str:
    names = labels.methods(results, fits)
    ok = results.competing(fits)
    if ok.empty:
        return f"Every fit of {title} failed, so there is no run time to compare."
    median = ok.groupby("method")["seconds"].median().sort_values()
    return (
        f"Median seconds per fit of {title}: "
        + listing([f"{names[m]} {significant(t, 2)}" for m, t in median.items()])
        + "."
    )


def _draw(results: Results, panels: dict[str, pd.DataFrame]):
    # One list of methods for both panels; variants of a plug-in stand together.
    methods = pd.concat([fits[["method", "plugin"]] for fits in panels.values()]).drop_duplicates()
    methods = methods[~methods["method"].isin(results.controls(methods))]
    order = methods["plugin"].map({name: k for k, name in enumerate(methods["plugin"].unique())})
    names = labels.methods(results, methods.iloc[np.argsort(order, kind="stable")])
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(style.COLUMN * (1 if len(panels) == 1 else 2), 0.7 + 0.2 * len(names)),
        sharey=True,
        squeeze=False,
    )
    rng = np.random.default_rng(0)  # jitter only
    for index, (ax, (title, fits)) in enumerate(zip(axes[0], panels.items(), strict=True)):
        for y, method in enumerate(names):
            group = fits[(fits["method"] == method) & (fits["status"] == OK)]
            if len(group):
                seconds = group["seconds"].to_numpy(dtype=float)
                summary = tuple(np.percentile(seconds, [2.5, 50, 97.5]))
                method_rows.draw(ax, y, seconds, summary, method, results, rng)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        shown = fits.loc[(fits["status"] == OK) & fits["method"].isin(names), "seconds"]
        if len(shown):
            # Whole decades, so that there are at least two labelled ticks.
            low, high = np.log10(shown.min()), np.log10(shown.max())
            ax.set_xlim(10 ** np.floor(low), 10 ** (np.floor(high) + 1))
        ax.grid(axis="x", color="0.9", linewidth=0.5)
        ax.set_axisbelow(True)
        ax.set_xlabel("seconds per fit")
        ax.set_title(title)
        if len(panels) > 1:
            style.letter(ax, index)
    method_rows.label(axes[0, 0], names)
    return figure

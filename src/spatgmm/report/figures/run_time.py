"""Figure 8: seconds per fit, by method."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, NullFormatter

from spatgmm.report.figures import method_rows, style
from spatgmm.report.results import Results
from spatgmm.report.tables import comparison
from spatgmm.report.tables.table import listing, significant


def caption(results: Results) -> str:
    return (
        "Run time of one fit by method (logarithmic scale), multi-start and model search included: "
        "every successful fit (dots), median (bar), middle 95 % (line). Left: the comparison's "
        "scenarios; right, where there are any: the real data sets."
    )


def finding(results: Results) -> str:
    fits = results.of(comparison.STUDY)
    labels = results.method_labels(fits)
    ok = results.competing(fits)
    if ok.empty:
        return "Every fit failed, so there is no run time to compare."
    median = ok.groupby("method")["seconds"].median().sort_values()
    return (
        "Median seconds per fit over all scenarios: "
        + listing([f"{labels[m]} {significant(t, 2)}" for m, t in median.items()])
        + "."
    )


def draw(results: Results):
    simulated = results.of(comparison.STUDY)
    real = results.of(*results.real_studies())
    panels = [("comparison scenarios", simulated)]
    if len(real):
        panels.append(("real data", real))
    # One list of methods for both panels; variants of a plug-in stand together.
    methods = pd.concat([fits[["method", "plugin"]] for _, fits in panels]).drop_duplicates()
    methods = methods[~methods["method"].isin(results.controls(methods))]
    order = methods["plugin"].map({name: k for k, name in enumerate(methods["plugin"].unique())})
    labels = results.method_labels(methods.iloc[np.argsort(order, kind="stable")])
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(style.COLUMN * (1 if len(panels) == 1 else 2), 0.7 + 0.2 * len(labels)),
        sharey=True,
        squeeze=False,
    )
    rng = np.random.default_rng(0)  # jitter only
    for index, (ax, (title, fits)) in enumerate(zip(axes[0], panels, strict=True)):
        for y, method in enumerate(labels):
            group = fits[(fits["method"] == method) & (fits["status"] == "ok")]
            if len(group):
                seconds = group["seconds"].to_numpy(dtype=float)
                summary = tuple(np.percentile(seconds, [2.5, 50, 97.5]))
                method_rows.draw(ax, y, seconds, summary, method, results, rng)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        shown = fits.loc[(fits["status"] == "ok") & fits["method"].isin(labels), "seconds"]
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
    method_rows.label(axes[0, 0], labels)
    return figure

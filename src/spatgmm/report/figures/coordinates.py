"""Figure 9: what distorted locations cost."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator

from spatgmm.plot.colours import group_colour
from spatgmm.report.figures import style
from spatgmm.report.figures.drawing import Drawing
from spatgmm.report.numbers.coordinates import DISTORTIONS, coordinates
from spatgmm.report.results import Results
from spatgmm.report.words import listing, number


def build(results: Results, *studies: str) -> Drawing:
    """A column per way to distort, a line per data set."""
    raw = coordinates(results, *studies)
    return Drawing(lambda: _draw(results, raw), _finding(raw))


def _finding(raw: pd.DataFrame) -> str:
    """The mildest distortion that costs a tenth of ARI, for each data set."""
    parts = []
    for scenario, own in raw.groupby("scenario", sort=False):
        true = own.loc[own["distortion"] == "none", "ari"].iloc[0]
        for kind in own["distortion"].unique():
            if kind == "none":
                continue
            name, line = DISTORTIONS[kind][0], own[own["distortion"] == kind]
            costly = line[line["ari"] < true - 0.1]
            where = f"from {number(costly['level'].iloc[0], 2)} on" if len(costly) else "nowhere"
            parts.append(f"{scenario} {name} {where}")
    return f"ARI falls by more than 0.1: {listing(parts)}."


def _draw(results: Results, raw: pd.DataFrame):
    cases = {results.design.cases[case].scenario: case for case in raw["case"]}
    sizes = {scenario: len(results.dataset(case).X) for scenario, case in cases.items()}
    kinds = [kind for kind in DISTORTIONS if (raw["distortion"] == kind).any()]
    figure, axes = plt.subplots(
        2, len(kinds), figsize=(style.PAGE, 3.8), sharex="col", sharey="row", squeeze=False
    )
    lost = []
    for column, kind in enumerate(kinds):
        name, unchanged, unit = DISTORTIONS[kind]
        for number_of_line, scenario in enumerate(sizes):
            own = raw[(raw["scenario"] == scenario) & raw["distortion"].isin(["none", kind])]
            level = np.where(own["distortion"] == "none", unchanged, own["level"])
            look = {
                "color": group_colour(number_of_line),
                "marker": "osD^v"[number_of_line % 5],
                "ms": 3.5,
                "label": scenario,
            }
            error = 1.96 * own["se_ari"].fillna(0)
            axes[0, column].errorbar(level, own["ari"], yerr=error, capsize=2, **look)
            lost.append(own["bic_lost"] / sizes[scenario])
            axes[1, column].plot(level, lost[-1], **look)
        axes[1, column].axhline(0, color="0.85", linewidth=0.8, zorder=0)
        axes[1, column].set_xlabel(f"{name}\n({unit})")
        style.letter(axes[0, column], column)
    axes[0, 0].set(ylabel="ARI", ylim=(-0.05, 1.05))
    axes[1, 0].set_ylabel("BIC lost per map")
    # Linear up to 1, logarithmic beyond: losses span magnitudes, and a gain is one of little.
    axes[1, 0].set_yscale("symlog", linthresh=1)
    low, high = np.nanmin([0, *np.concatenate(lost)]), np.nanmax([1, *np.concatenate(lost)])
    decades = 10.0 ** np.arange(np.ceil(np.log10(high)) + 1)
    ticks = [-1.0, 0.0, *decades] if low < -0.5 else [0.0, *decades]
    axes[1, 0].set_yticks(ticks, [f"{y:g}".replace("-", "−") for y in ticks], minor=False)
    axes[1, 0].yaxis.set_minor_locator(NullLocator())
    axes[1, 0].set_ylim(1.5 * min(low, -0.2), 3 * high)
    axes[0, -1].legend(loc="lower left")
    return figure

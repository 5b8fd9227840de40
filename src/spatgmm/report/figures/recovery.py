"""Figure 5: estimates against the truth, by the number of maps."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from spatgmm.common.words import SYMBOLS
from spatgmm.plot.colours import group_colour
from spatgmm.report.figures import style
from spatgmm.report.figures.drawing import Drawing
from spatgmm.report.numbers.recovery import recovery
from spatgmm.report.results import Results
from spatgmm.report.words import number
from spatgmm.study.rows import OK, values


def build(results: Results, study: str) -> Drawing:
    """A row per component, a column per parameter."""
    fits = results.of(study)
    return Drawing(lambda: _draw(results, fits), _finding(recovery(results, fits)))


def _finding(raw: pd.DataFrame) -> str:
    """How fast the spread shrinks with n, against the rate of 1/√n."""
    sizes = sorted(raw["n"].unique())
    if len(sizes) < 2:
        return f"Estimates are shown for n = {sizes[0]} only."
    spread = raw.set_index(["method", "component", "parameter"])[["n", "empirical_se"]]
    first, last = (spread.loc[spread["n"] == n, "empirical_se"] for n in (sizes[0], sizes[-1]))
    ratio = first / last
    ratio = ratio[np.isfinite(ratio)]
    if ratio.empty:
        return "Too few fits succeeded to say how the spread shrinks with n."
    return (
        f"From n = {sizes[0]} to {sizes[-1]} the spread of the estimates shrinks by a factor of "
        f"{number(ratio.median(), 2)} (median over parameters; range {number(ratio.min(), 2)} to "
        f"{number(ratio.max(), 2)}), where 1/√n gives {number(np.sqrt(sizes[-1] / sizes[0]), 2)}."
    )


def _draw(results: Results, fits: pd.DataFrame):
    method = results.spatial_methods(fits)
    fits = fits[(fits["status"] == OK) & fits["method"].isin(method[:1])]
    if fits.empty:
        figure, ax = plt.subplots(figsize=(style.COLUMN, 1))
        ax.axis("off")
        ax.text(0.5, 0.5, "No fit gave estimates.", ha="center", va="center")
        return figure
    truth = results.dataset(fits["case"].iloc[0]).truth
    sizes = sorted(fits["n"].unique())
    components = len(truth.beta)
    figure, axes = plt.subplots(
        components,
        len(SYMBOLS),
        figsize=(style.PAGE, 0.3 + 1.45 * components),
        sharex=True,
        squeeze=False,
    )
    rng = np.random.default_rng(0)  # jitter only
    for g in range(components):
        true_values = truth.parameters(g)
        for column, (parameter, symbol) in enumerate(SYMBOLS.items()):
            ax = axes[g, column]
            ax.axhline(true_values[parameter], color="k", linestyle="--", linewidth=0.8, zorder=3)
            pooled = []
            for position, n in enumerate(sizes):
                sample = values(fits[fits["n"] == n], "estimate", g, parameter)
                sample = sample[np.isfinite(sample)]
                if not len(sample):
                    continue
                pooled.append(sample)
                _draw_sample(ax, position, sample, group_colour(g), rng)
            if pooled:
                _cut(ax, np.concatenate(pooled), true_values[parameter])
            ax.set_xticks(range(len(sizes)), [str(n) for n in sizes])
            ax.set_xlim(-0.5, len(sizes) - 0.5)
            if g == 0:
                ax.set_title(symbol)
            if g == components - 1:
                ax.set_xlabel("number of maps n")
        axes[g, 0].set_ylabel(f"component {g + 1}\nestimate", color=group_colour(g))
    return figure


def _draw_sample(ax, position: int, sample: np.ndarray, colour: str, rng) -> None:
    ax.scatter(
        position + rng.uniform(-0.28, 0.28, len(sample)),
        sample,
        s=2.5,
        color=colour,
        alpha=0.45,
        linewidths=0,
        rasterized=len(sample) > 500,
    )
    low, high = np.percentile(sample, [2.5, 97.5])
    ax.plot([position, position], [low, high], color="0.15", linewidth=1)
    ax.plot(position, sample.mean(), "o", color="white", mec="0.15", ms=3.5, mew=0.9, zorder=4)


def _cut(ax, sample: np.ndarray, truth: float) -> None:
    low, high = np.percentile(sample, [0.5, 99.5])
    low, high = min(low, truth), max(high, truth)
    margin = 0.08 * (high - low) or 0.05 * max(abs(truth), 1)
    ax.set_ylim(low - margin, high + margin)

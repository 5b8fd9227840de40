"""Figure 1: what the maps of each component look like."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from spatgmm.plot import images
from spatgmm.plot.colours import DIVERGING, group_colour
from spatgmm.report.figures import style
from spatgmm.report.figures.drawing import Drawing
from spatgmm.report.results import Results
from spatgmm.report.words import listing, number

#: Maps shown per component.
_EXAMPLES = 3


def build(results: Results, *studies: str) -> Drawing:
    """A row per scenario: one case of it, a few maps of each component."""
    cases = _cases(results, studies)
    return Drawing(lambda: _draw(results, cases), _finding(results, cases))


def _finding(results: Results, cases: list[str]) -> str:
    """How alike components are in mean and variance, so that only structure tells them apart."""
    parts = []
    for case in cases:
        truth = results.dataset(case).truth
        variances = truth.alpha[:, 0] + truth.alpha[:, 2]
        betas = listing([f"{beta:g}" for beta in truth.beta])
        gap = max(float(np.abs(mean - truth.means[0]).max()) for mean in truth.means)
        shown = listing([number(variance, 2) for variance in variances])
        parts.append(
            f"{results.design.cases[case].scenario}: variances {shown}, "
            f"β {betas}, largest difference of mean maps {number(gap, 2)}"
        )
    return "Components differ by their spatial pattern: " + "; ".join(parts) + "."


def _draw(results: Results, cases: list[str]):
    components = max(len(results.dataset(case).truth.beta) for case in cases)
    # The names of components stand apart, or the first row would be lower than the others.
    head, each = 0.25, 1.15
    figure = plt.figure(figsize=(style.PAGE, head + each * len(cases)))
    ratios = [head, *[each] * len(cases)]
    top, *rows = figure.subfigures(1 + len(cases), 1, height_ratios=ratios, squeeze=False)[:, 0]
    for g in range(components):
        at = (0.02 + 0.9 * (g + 0.5) / components, 0.3)
        top.text(*at, f"Component {g + 1}", ha="center", color=group_colour(g), fontsize=7.5)
    for row, case in zip(rows, cases, strict=True):
        data = results.dataset(case)
        place = images.layout(data.coordinates, data.shape)
        axes = row.subplots(1, components * _EXAMPLES, squeeze=False)[0]
        chosen = [np.flatnonzero(data.labels == g)[:_EXAMPLES] for g in range(len(data.truth.beta))]
        limit = np.percentile(np.abs(data.X[np.concatenate(chosen)]), 99)
        artist = None
        for ax in axes:
            ax.axis("off")
        for g, members in enumerate(chosen):
            for column, observation in enumerate(members):
                ax = axes[g * _EXAMPLES + column]
                ax.axis("on")
                artist = images.draw(
                    ax, data.X[observation], place, cmap=DIVERGING, vmin=-limit, vmax=limit
                )
                for spine in ax.spines.values():
                    spine.set(visible=True, edgecolor=group_colour(g), linewidth=1)
        name = results.design.cases[case].scenario
        axes[0].set_ylabel(name, fontweight="bold")
        if artist is not None:
            bar = row.colorbar(artist, ax=list(axes), pad=0.01, aspect=12, extend="both")
            bar.set_label("value")
            bar.outline.set_linewidth(0.4)
    return figure


def _cases(results: Results, studies: tuple[str, ...]) -> list[str]:
    """One case of every scenario."""
    cases = {}
    for study in studies:
        for id, _ in results.design.studies[study]:
            case = results.design.cases[id]
            if case.simulated:
                cases.setdefault(case.scenario, id)
    return list(cases.values())

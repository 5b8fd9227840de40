"""Figure 1: what the maps of each component look like."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from spatgmm.report.figures import maps, style
from spatgmm.report.results import Results
from spatgmm.report.tables.table import listing, number

#: Maps shown per component.
_EXAMPLES = 3


def caption(results: Results) -> str:
    return (
        f"Simulated maps, {_EXAMPLES} per component, replicate 0 of each scenario. In a scenario "
        "all maps share one colour scale; a cube's slices are laid out side by side."
    )


def finding(results: Results) -> str:
    """How alike components are in mean and variance, so that only structure tells them apart."""
    parts = []
    for case in _cases(results):
        truth = results.dataset(case).truth
        variances = truth.alpha[:, 0] + truth.alpha[:, 2]
        betas = listing([f"{beta:g}" for beta in truth.beta])
        gap = max(float(np.abs(mean - truth.means[0]).max()) for mean in truth.means)
        parts.append(
            f"{_name(results, case)}: variances {listing([number(v, 2) for v in variances])}, "
            f"β {betas}, largest difference of mean maps {number(gap, 2)}"
        )
    return "Components differ by their spatial pattern: " + "; ".join(parts) + "."


def draw(results: Results):
    cases = _cases(results)
    components = max(len(results.dataset(case).truth.beta) for case in cases)
    figure = plt.figure(figsize=(style.PAGE, 0.3 + 1.15 * len(cases)))
    rows = figure.subfigures(len(cases), 1, squeeze=False)[:, 0]
    for number_of_row, (row, case) in enumerate(zip(rows, cases, strict=True)):
        data = results.dataset(case)
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
                artist = maps.draw(
                    ax, data.X[observation], data, cmap=style.DIVERGING, vmin=-limit, vmax=limit
                )
                for spine in ax.spines.values():
                    spine.set(visible=True, edgecolor=style.group_colour(g), linewidth=1)
                if number_of_row == 0 and column == (len(members) - 1) // 2:
                    ax.set_title(f"Component {g + 1}", color=style.group_colour(g))
        axes[0].set_ylabel(_name(results, case), fontweight="bold")
        if artist is not None:
            bar = row.colorbar(artist, ax=list(axes), pad=0.01, aspect=12, extend="both")
            bar.set_label("value")
            bar.outline.set_linewidth(0.4)
    return figure


def _cases(results: Results) -> list[str]:
    """The comparison's scenarios; without that study, one case of every scenario there is."""
    studies = results.simulated_studies()
    studies = ["comparison"] if "comparison" in studies else studies
    cases = {}
    for study in studies:
        for case, _ in results.design.studies[study]:
            cases.setdefault(results.design.cases[case].source, case)
    return list(cases.values())


def _name(results: Results, case: str) -> str:
    return results.design.cases[case].source

"""Figure 2: the sigmoid family, and fitted decay curves over the empirical correlations."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from spatgmm.covariance import decay
from spatgmm.covariance.fitted import FittedCovariance
from spatgmm.covariance.geometry import MAX_DISTANCE, scaled_distances
from spatgmm.plot import curves
from spatgmm.plot.colours import SEQUENTIAL, group_colour
from spatgmm.report import labels
from spatgmm.report.figures import style
from spatgmm.report.figures.drawing import Drawing
from spatgmm.report.results import Results, shown_labels
from spatgmm.report.words import listing, number
from spatgmm.study.rows import extra

#: Members of the family shown: from the straight line to a steep step.
_BETAS = (0.001, 2, 3, 4, 6, 8, 12)

#: Panels with fits, beside the one with the family.
_PANELS = 5


def build(results: Results, *studies: str) -> Drawing:
    """The family in the first panel, a fit in each further one."""
    panels = _panels(results, studies)
    return Drawing(lambda: _draw(results, panels), _finding(results, panels))


def _finding(results: Results, panels: list[tuple]) -> str:
    """How far fitted curves lie from the truth, or from the empirical correlations."""
    parts = []
    for case, row, other in panels:
        what = "true" if results.design.cases[case].simulated else "empirical"
        largest = number(_largest_gap(results, case, row), 3)
        text = f"on {_title(results, case)}, by {largest} from the {what} one"
        if other is not None:
            less = number(_largest_gap(results, case, other), 3)
            text += f" (by {less} with decay {other[extra('decay')]}, which BIC takes)"
        parts.append(text)
    if not parts:
        return "No fit gave a spatial covariance, so only the family of curves is shown."
    return f"The fitted correlation differs at most {listing(parts)}."


def _largest_gap(results: Results, case: str, row: pd.Series) -> float:
    """Of fitted correlations, from the true ones or else from the empirical ones."""
    data, errors = results.dataset(case), []
    delta = scaled_distances(data.coordinates)
    pooled, groups = curves.pooled(data, shown_labels(data, row))
    for g, fitted in results.fitted(row).items():
        points = curves.empirical(pooled.X[groups == g], delta)
        at = points["delta"].to_numpy()
        simulated = results.design.cases[case].simulated
        reference = _true(data, g).correlation(at) if simulated else points["correlation"]
        errors.append(float(np.abs(fitted.correlation(at) - reference).max()))
    return max(errors)


def _draw(results: Results, panels: list[tuple]):
    columns = min(3, 1 + len(panels))
    rows = -(-(1 + len(panels)) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.4 * columns, 2.15 * rows + 0.25), squeeze=False
    )
    axes = axes.ravel()
    _draw_family(axes[0])
    style.letter(axes[0], 0)
    for index, (ax, (case, row, other)) in enumerate(zip(axes[1:], panels, strict=False), 1):
        data = results.dataset(case)
        fitted = results.fitted(row)
        beside = None if other is None else results.fitted(other)
        curves.draw(ax, *curves.pooled(data, shown_labels(data, row)), fitted, beside=beside)
        if results.design.cases[case].simulated:
            curve = np.linspace(curves.nearest(data), MAX_DISTANCE, 200)
            for g in fitted:
                ax.plot(curve, _true(data, g).correlation(curve), "k--", linewidth=0.8)
        style.title(ax, _title(results, case))
        style.letter(ax, index)
        ax.legend(
            handles=[
                Line2D([], [], color=group_colour(g), label=_short(data.label_names[g]))
                for g in fitted
            ],
            loc="upper right",
            handlelength=0.9,
            columnspacing=0.8,
            ncols=1 if len(fitted) <= 3 else 2,
        )
    for ax in axes[1 + len(panels) :]:
        ax.axis("off")
    if panels:
        figure.legend(
            handles=[
                Line2D([], [], color="0.3", label="fitted"),
                Patch(color="0.3", alpha=0.2, linewidth=0, label="95 % band"),
                Line2D([], [], color="k", linestyle="--", linewidth=0.8, label="truth"),
                Line2D([], [], color="0.3", marker=".", linestyle="", label="empirical"),
                Line2D([], [], color="0.3", linestyle="-.", linewidth=1, label="decay by BIC"),
            ],
            loc="outside lower center",
            ncols=5,
        )
    return figure


def _draw_family(ax) -> None:
    delta = np.linspace(0, MAX_DISTANCE, 200)
    sigmoid = decay.get("sigmoid")
    colours = plt.get_cmap(SEQUENTIAL)(np.linspace(0, 0.9, len(_BETAS)))
    for beta, colour in zip(_BETAS, colours, strict=True):
        ax.plot(delta, sigmoid.value(delta, beta), color=colour, label=f"{beta:g}")
    ax.set(
        xlabel=curves.SCALED,
        ylabel="decay s(δ; β)",
        xlim=(0, MAX_DISTANCE),
        ylim=(0, 1.02),
    )
    ax.set_title("sigmoid family")
    ax.legend(title="β", loc="lower right", handlelength=1, labelspacing=0.2, title_fontsize=6.5)


def _panels(results: Results, studies: tuple[str, ...]) -> list[tuple]:
    """(case, row, row of the decay that BIC takes or None) of every panel.

    The first study's fewest and most maps, then raw data sets, as many as fit.
    """
    specs = results.config["studies"]
    drawn = [study for study in studies if specs[study]["scenarios"]]
    simulated = results.of(drawn[0], replicate=0)
    sizes = [simulated["n"].min(), simulated["n"].max()]
    cases = list(dict.fromkeys(simulated.loc[simulated["n"].isin(sizes), "case"]))
    cases = [cases[0], cases[-1]] if len(cases) > 1 else cases
    fits = [simulated[simulated["case"] == case] for case in cases]
    seen = set()
    real = results.of(*(study for study in studies if study not in drawn))
    for case, group in real.groupby("case", sort=False):
        if not results.is_centred(case) and results.family(case) not in seen:
            seen.add(results.family(case))
            fits.append(group)
    panels = []
    for group in fits:
        row = results.spatial_fit(group)
        if row is not None:
            panels.append((row["case"], row, results.beside(group, row)))
    return panels[:_PANELS]


def _title(results: Results, case: str) -> str:
    """Name and number of maps, which a study may have varied."""
    name = labels.case(results, case)
    known = "n" in results.design.cases[case].varied
    return name if known else f"{name}, n = {len(results.dataset(case).X)}"


def _true(data, component: int) -> FittedCovariance:
    truth = data.truth
    return FittedCovariance(
        truth.alpha[component], truth.beta[component : component + 1], None, decay.get(truth.decay)
    )


def _short(name: str) -> str:
    return name.replace("component", "comp.")

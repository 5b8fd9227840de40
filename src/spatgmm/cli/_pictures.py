"""What a fit found, in two pictures: the clusters as maps, and correlation by distance."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spatgmm.data import Dataset
from spatgmm.figures import correlation, maps, style
from spatgmm.fitted import FittedCovariance
from spatgmm.geometry import Geometry

#: Maps shown of each cluster, beside its mean map.
_EXAMPLES = 4


def clusters(data: Dataset, labels: np.ndarray, n_components: int) -> Figure:
    """A row per cluster: its mean map, and some of its maps, evenly spread over the data.

    Mean maps share one scale of colours, single maps another: differences of means are often
    far smaller than those between maps.
    """
    members = [np.flatnonzero(labels == g) for g in range(n_components)]
    centre = data.X.mean()
    means = {g: data.X[rows].mean(axis=0) for g, rows in enumerate(members) if rows.size}
    shown = [
        rows[np.linspace(0, len(rows) - 1, _EXAMPLES).astype(int)] for rows in members if rows.size
    ]
    of_means = max(np.abs(mean - centre).max() for mean in means.values())
    of_maps = np.percentile(np.abs(data.X[np.concatenate(shown)] - centre), 99)

    style.apply()
    columns = 1 + _EXAMPLES
    figure = plt.figure(figsize=(style.PAGE, 0.5 + 1.25 * n_components))
    axes = figure.subplots(n_components, columns, squeeze=False)
    artists = {}
    for g, rows in enumerate(members):
        colour = style.group_colour(g)
        for ax in axes[g]:
            ax.axis("off")
        if not rows.size:
            axes[g, 0].text(0.5, 0.5, f"cluster {g}: no maps", ha="center", color=colour)
            continue
        examples = np.unique(rows[np.linspace(0, len(rows) - 1, _EXAMPLES).astype(int)])
        panels = [(f"cluster {g}: mean of {len(rows)}", means[g], of_means)]
        panels += [(f"map {row}", data.X[row], of_maps) for row in examples]
        for column, (title, values, limit) in enumerate(panels):
            ax = axes[g, column]
            ax.axis("on")
            artists[column > 0] = maps.draw(
                ax,
                values,
                data,
                cmap=style.DIVERGING,
                vmin=centre - limit,
                vmax=centre + limit,
            )
            ax.set_title(title, color=colour)
            for spine in ax.spines.values():
                spine.set(visible=True, edgecolor=colour, linewidth=1)
    figure.colorbar(artists[False], ax=axes[:, :1], location="left", shrink=0.8, label="mean")
    figure.colorbar(artists[True], ax=axes[:, 1:], shrink=0.8, label="value", extend="both")
    return figure


def decay(data: Dataset, labels: np.ndarray, fitted: dict[int, FittedCovariance]) -> Figure:
    """Fitted correlation by distance with its 95 % band, over the empirical correlations."""
    style.apply()
    figure, ax = plt.subplots(figsize=(1.4 * style.COLUMN, style.COLUMN))
    correlation.draw(ax, data, labels, fitted)
    unit = Geometry(data.coordinates).unit
    above = ax.secondary_xaxis("top", functions=(lambda d: d * unit, lambda d: d / unit))
    above.set_xlabel("distance in units of the coordinates")
    handles = [
        Line2D([], [], color=style.group_colour(g), label=f"cluster {g}, β = {covariance.beta:.3g}")
        for g, covariance in fitted.items()
    ]
    handles.append(Line2D([], [], color="0.4", marker=".", linestyle="", label="empirical"))
    ax.legend(handles=handles)
    return figure

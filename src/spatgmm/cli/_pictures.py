"""What a fit found, in pictures: clusters as maps, and correlation by distance."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from spatgmm import plot
from spatgmm.covariance.fitted import FittedCovariance
from spatgmm.data import Dataset
from spatgmm.plot import curves, images
from spatgmm.plot.colours import DIVERGING, group_colour
from spatgmm.report.figures import style

#: Maps shown of each cluster, beside its mean map.
_EXAMPLES = 4


#: Colour of maps that belong to no cluster.
_NEUTRAL = "0.35"


def clusters(data: Dataset, labels: np.ndarray, n_components: int, outlying: np.ndarray) -> Figure:
    """A row per cluster: its mean map, and some of its maps, evenly spread over the data.

    Mean maps share one scale of colours, single maps another: means often differ by far less
    than maps do.  Of several variables, each has such a panel with scales of its own.  Where maps
    are `outlying`, shape (n,), some of them have a row of their own below.
    """
    style.apply()
    height = (0.5 + 1.25 * (n_components + outlying.any())) * data.n_variables
    figure = plt.figure(figsize=(style.PAGE, height))
    panels = figure.subfigures(data.n_variables, 1, squeeze=False).ravel()
    for panel, of_one, name in zip(
        panels, data.of_variables(), data.names_of_variables, strict=True
    ):
        if data.n_variables > 1:
            panel.suptitle(f"variable {name}")
        _clusters(panel, of_one, labels, n_components, outlying)
    return figure


def _clusters(
    figure: SubFigure,
    data: Dataset,
    labels: np.ndarray,
    n_components: int,
    outlying: np.ndarray,
) -> None:
    centre = np.nanmean(data.X[~outlying] if not outlying.all() else data.X)
    on_a_line = data.coordinates.shape[1] == 1
    panels, largest = {}, {"mean": 0.0, "value": 0.0}
    for g in range(n_components):
        members = np.flatnonzero(labels == g)
        if not members.size:
            continue
        # What outlies would stretch the scale of all others.
        usual = members[~outlying[members]] if not outlying[members].all() else members
        panels[g] = [("mean", f"cluster {g + 1}, n = {len(members)}", mean_map(data.X[usual]))]
        panels[g] += [("value", f"map {row}", data.X[row]) for row in _spread(usual)]
        for kind, _, values in panels[g]:
            largest[kind] = max(largest[kind], np.nanmax(np.abs(values - centre)))

    place = images.layout(data.coordinates, data.shape)
    rows = n_components + int(outlying.any())
    axes = figure.subplots(rows, 1 + _EXAMPLES, squeeze=False)
    artists = {}
    reach = {kind: (centre - most, centre + most) for kind, most in largest.items()}

    def show(ax, kind: str, title: str, values: np.ndarray, colour: str) -> None:
        ax.axis("on")
        low, high = reach[kind]
        artists[kind] = images.draw(ax, values, place, cmap=DIVERGING, vmin=low, vmax=high)
        plot.frame(ax, title, colour)

    for ax in axes.ravel():
        ax.axis("off")
    for g in range(n_components):
        colour = group_colour(g)
        if g not in panels:
            axes[g, 0].set_title(f"cluster {g + 1}, no maps", color=colour)
            continue
        for ax, (kind, title, values) in zip(axes[g], panels[g], strict=False):
            show(ax, kind, title, values, colour)
            if on_a_line:  # there the height of a point is its value
                low, high = reach[kind]
                ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    if outlying.any():
        found = np.flatnonzero(outlying)
        text = f"outlying maps,\nn = {len(found)}"
        axes[-1, 0].text(0.5, 0.5, text, ha="center", va="center", color=_NEUTRAL)
        for ax, row in zip(axes[-1, 1:], _spread(found), strict=False):
            g = labels[row]
            show(ax, "value", f"map {row}, cluster {g + 1}", data.X[row], group_colour(g))
    # Outlying values may go beyond the scale of the others.
    extend = "both" if outlying.any() else "neither"
    figure.colorbar(artists["mean"], ax=axes[:, :1], location="left", shrink=0.8, label="mean")
    figure.colorbar(artists["value"], ax=axes[:, 1:], shrink=0.8, label="value", extend=extend)


def _spread(members: np.ndarray) -> np.ndarray:
    """Some of these maps, evenly spread over them."""
    return np.unique(members[np.linspace(0, len(members) - 1, _EXAMPLES).astype(int)])


def mean_map(X: np.ndarray) -> np.ndarray:
    """The mean map; NaN where a pixel is missing in all of them."""
    seen = ~np.isnan(X)
    counts = seen.sum(axis=0)
    return np.where(counts > 0, X.sum(axis=0, where=seen) / np.maximum(counts, 1), np.nan)


def decay(
    data: Dataset,
    labels: np.ndarray,
    fitted: dict[int, FittedCovariance],
    unit: str = "",
) -> Figure:
    """Fitted correlation by distance with its 95 % band, over the empirical correlations.

    Several variables have the same: each adds its maps, in units of its standard deviation.
    """
    style.apply()
    figure, ax = plt.subplots(figsize=(1.4 * style.COLUMN, style.COLUMN))
    data, labels = curves.pooled(data, labels)
    curves.draw(ax, curves.thinned(data), labels, fitted, unit=unit)
    handles = [
        Line2D([], [], color=group_colour(g), label=_named(g, covariance))
        for g, covariance in fitted.items()
    ]
    handles.append(Line2D([], [], color="0.4", marker=".", linestyle="", label="empirical"))
    ax.legend(handles=handles)
    return figure


def of(draw, *arguments) -> Figure:
    """A picture of :mod:`spatgmm.plot` in the style of the others."""
    style.apply()
    return draw(*arguments).figure


def _named(g: int, covariance: FittedCovariance) -> str:
    if covariance.decay.parameter_names != ("beta",):
        return f"cluster {g + 1}"
    return f"cluster {g + 1}, β = {covariance.shape[0]:.3g}"

"""Pictures of a fitted model: matplotlib Axes in, Axes out.

Every function draws into `ax`, or into a new figure where it is None, and gives the Axes back.
Components count from 1 in pictures, as in the files of ``spatgmm fit``; in arrays from 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from spatgmm.common.words import symbol
from spatgmm.covariance import decay
from spatgmm.covariance.fitted import FittedCovariance
from spatgmm.data import Dataset
from spatgmm.plot import curves, images
from spatgmm.plot.colours import DIVERGING, group_colour
from spatgmm.reading.grids import grid_shape
from spatgmm.reading.memory import take

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spatgmm.mixture import SpatialGaussianMixture

__all__ = ["correlogram", "maps", "selection", "standard_errors"]

#: Columns of :func:`spatgmm.select` that are results and no choices.
_RESULTS = {
    *("likelihood", "log_likelihood", "n_parameters", "bic", "aic", "icl", "n_iter", "converged"),
    *("empty_components", "estimator", "seconds"),
}


def maps(model: SpatialGaussianMixture, ax: Axes | None = None) -> Axes:
    """The mean map of each component, side by side, on one scale of colours.

    Of several variables, each has a row of panels with a scale of its own.

    Parameters
    ----------
    model : SpatialGaussianMixture
        A fitted one.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        The panels are its ``child_axes``; maps on a line are curves in one panel (of several
        variables, one of each).

    Examples
    --------
    >>> import numpy as np
    >>> from spatgmm import SpatialGaussianMixture, plot
    >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
    >>> model = SpatialGaussianMixture(1, n_init=1).fit(X)
    >>> len(plot.maps(model).child_axes)
    1
    """
    means, G = model.means_, len(model.weights_)
    titles = [f"component {g + 1}, {model.weights_[g]:.0%}" for g in range(G)]
    of_variables = means.reshape(*means.shape[:2], -1).transpose(2, 0, 1)
    q = len(of_variables)
    if model.coordinates_.shape[1] == 1:
        ax = _axes(ax, (5, 3 * q))
        if q == 1:
            return _curves(ax, model.coordinates_[:, 0], means, titles, "mean")
        ax.set_axis_off()
        for v, one in enumerate(of_variables):
            panel = ax.inset_axes((0, 1 - (v + 1) / q, 1, 0.78 / q))
            _curves(panel, model.coordinates_[:, 0], one, titles, f"mean of variable {v}")
        return ax
    across = int(np.ceil(np.sqrt(G))) if q == 1 else G
    down = -(-G // across) * q
    ax = _axes(ax, (2.2 * across + 0.8, 2.2 * down))
    ax.set_axis_off()
    place = images.layout(model.coordinates_, grid_shape(model.coordinates_))
    for v, one in enumerate(of_variables):
        low, high = _limits(one)
        for g in range(G):
            row, column = divmod(v * across + g if q > 1 else g, across)
            box = (column / across, 1 - (row + 1) / down, 0.92 / across, 0.86 / down)
            panel = ax.inset_axes(box)
            artist = images.draw(panel, one[g], place, cmap=DIVERGING, vmin=low, vmax=high)
            frame(panel, titles[g], group_colour(g))
        if q > 1:
            beside = ax.inset_axes((1.0, 1 - (v + 0.93) / q, 0.03, 0.72 / q))
            ax.figure.colorbar(artist, cax=beside, label=f"mean of variable {v}")
    if q == 1:
        ax.figure.colorbar(artist, ax=ax, label="mean", shrink=0.8)
    return ax


def _curves(ax: Axes, places: np.ndarray, means: np.ndarray, titles: list[str], label: str) -> Axes:
    """Mean maps (G, p) on a line."""
    order = np.argsort(places)
    for g, mean in enumerate(means):
        ax.plot(places[order], mean[order], color=group_colour(g), label=titles[g])
    ax.set(xlabel="location", ylabel=label)
    ax.legend(frameon=False)
    return ax


def correlogram(
    model: SpatialGaussianMixture, X: ArrayLike | None = None, ax: Axes | None = None
) -> Axes:
    """Fitted correlation by distance of each component.

    Parameters
    ----------
    model : SpatialGaussianMixture
        A fitted one.
    X : array-like, optional
        The maps it was fitted to: with them come 95 % bands, by the delta method from the observed
        information, and mean empirical correlations of the maps in each component (points).
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np
    >>> from spatgmm import SpatialGaussianMixture, plot
    >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
    >>> ax = plot.correlogram(SpatialGaussianMixture(1, n_init=1).fit(X), X)
    >>> ax.get_ylabel()
    'correlation'
    """
    ax = _axes(ax, (5, 3.4))
    G, names = len(model.weights_), model.parameter_names_
    law, covariances = decay.get(model.decay_), [None] * G
    if X is not None:
        covariances = model.standard_errors(X).attrs["covariance"]
    fitted = {}
    for g in range(G):
        estimates = dict(zip(names, [*model.alpha_[g], *model.shape_[g]], strict=True))
        errors = None if X is None else pd.DataFrame(covariances[g], names, names)
        fitted[g] = FittedCovariance.from_estimates(estimates, errors, law)
    seen, q = model.observed_locations_, 1
    # Without maps there are no groups of them, and no points.
    values, labels = np.zeros((1, len(seen))), np.array([-1])
    if X is not None:
        q = model.n_variables
        brought = take(X, q)
        values = brought.values / np.repeat(model.scales_, q)  # noqa: PD011
        labels = model.predict(X)
    data = Dataset(
        values[:, np.repeat(seen, q)], model.coordinates_[seen], missing=True, n_variables=q
    )
    data, labels = curves.pooled(data, labels)
    curves.draw(ax, curves.thinned(data), labels, fitted, unit="")
    handles = [
        plt.Line2D([], [], color=group_colour(g), label=f"component {g + 1}") for g in fitted
    ]
    if X is not None:
        handles.append(plt.Line2D([], [], color="0.4", marker=".", ls="", label="empirical"))
    ax.legend(handles=handles, frameon=False)
    return ax


def selection(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """BIC of every fit of a search, by the number of components; the lowest is marked.

    Parameters
    ----------
    table : DataFrame
        As :func:`spatgmm.select` returns it, or ``bic.csv`` of ``spatgmm fit``.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np
    >>> from spatgmm import plot, select
    >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
    >>> table = select(X, [1, 2], mean="constant", n_init=1, random_state=0)
    >>> plot.selection(table).get_xlabel()
    'number of components'
    """
    for name in ("n_components", "bic"):
        if name not in table:
            raise ValueError(f"table has no column {name!r}; it is what spatgmm.select returns")
    ax = _axes(ax, (5, 3.4))
    # A choice that was the same for all fits tells lines apart from nothing.
    further = [
        name
        for name in table
        if name not in _RESULTS | {"n_components"} and len(set(map(str, table[name]))) > 1
    ]
    groups = table.groupby(further, sort=False) if further else [((), table)]
    for k, (values, line) in enumerate(groups):
        line = line.sort_values("n_components")
        label = ", ".join(map(str, values)) if further else None
        ax.plot(line["n_components"], line["bic"], "o-", ms=4, color=group_colour(k), label=label)
    best = table.loc[table["bic"].idxmin()]
    ax.plot(best["n_components"], best["bic"], "o", ms=11, mfc="none", mec="0.2", label="lowest")
    ax.set(xlabel="number of components", ylabel="BIC (smaller is better)")
    ax.set_xticks(sorted(table["n_components"].unique()))
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.legend(frameon=False)
    return ax


def standard_errors(model: SpatialGaussianMixture, X: ArrayLike, ax: Axes | None = None) -> Axes:
    """How sure each parameter is: its 95 % interval, as a share of the estimate.

    Parameters
    ----------
    model : SpatialGaussianMixture
        A fitted one.
    X : array-like
        The maps it was fitted to.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        A row per parameter, named with its estimate; hollow where it has no standard error, as at a
        bound.

    Examples
    --------
    >>> import numpy as np
    >>> from spatgmm import SpatialGaussianMixture, plot
    >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
    >>> model = SpatialGaussianMixture(1, mean="constant").fit(X)
    >>> ax = plot.standard_errors(model, X)
    >>> ax.get_yticklabels()[-1].get_text()
    'component 1: β = 1.39'
    """
    return intervals(model.standard_errors(X), ax)


def intervals(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The same from a table: columns component, parameter, estimate, lower, upper."""
    ax = _axes(ax, (5, 0.8 + 0.22 * len(table)))
    names = []
    for row, line in enumerate(table.itertuples()):
        colour = group_colour(line.component)
        size = abs(line.estimate) or 1.0
        known = np.isfinite(line.lower) and np.isfinite(line.upper)
        if known:
            ends = [100 * (end - line.estimate) / size for end in (line.lower, line.upper)]
            ax.plot(ends, [row, row], color=colour, lw=2)
        ax.plot(0, row, "o", ms=4, color=colour, mfc=colour if known else "none")
        name = parameter_name(line.parameter)
        names.append(f"component {line.component + 1}: {name} = {line.estimate:.3g}")
    ax.axvline(0, color="0.8", lw=0.8, zorder=0)
    ax.set(xlabel="95 % interval (% of the estimate)", ylim=(len(table) - 0.4, -0.6))
    ax.set_yticks(range(len(table)), names)
    return ax


def parameter_name(parameter: str) -> str:
    """A parameter for who reads no formulas: its symbol, but the weight by its name."""
    return parameter if parameter == "weight" else symbol(parameter)


def frame(ax: Axes, title: str, colour: str) -> None:
    """Title and frame of a panel in the colour of its group."""
    ax.set_title(title, color=colour)
    for spine in ax.spines.values():
        spine.set(visible=True, edgecolor=colour, linewidth=1)


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Ends of a scale of colours about the middle of the values."""
    centre = np.nanmean(values)
    reach = np.nanmax(np.abs(values - centre)) or 1.0
    return centre - reach, centre + reach

"""Correlation by distance: empirical points, fitted curve, band; and how well they meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from spatgmm.covariance.fitted import FittedCovariance
from spatgmm.covariance.geometry import MAX_DISTANCE, Geometry, scaled_distances
from spatgmm.data import Dataset
from spatgmm.plot.colours import group_colour

#: Label of an axis of scaled distances.
SCALED = "scaled distance δ (largest = 2)"

#: Locations whose pairs show how correlation falls with distance; more would show the same.
_MAX_LOCATIONS = 2000

#: With more distinct distances than this, they are put into bins of equally many pairs.
_MAX_POINTS = 30


def empirical(X: np.ndarray, delta: np.ndarray) -> pd.DataFrame:
    """Mean empirical correlation of pairs of locations by distance.

    Covariances of one group's maps about their mean map, divided by the mean variance: the model
    has one variance for all locations.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Maps of one group.
    delta : ndarray of shape (p, p)
        Scaled distances.

    Returns
    -------
    DataFrame
        Columns delta, correlation.
    """
    covariance = pd.DataFrame(X).cov().to_numpy()  # pixels may be missing
    above = np.triu_indices(len(delta), 1)
    distances = np.round(delta[above], 9)
    pairs = pd.DataFrame(
        {"delta": distances, "correlation": covariance[above] / np.diag(covariance).mean()}
    )
    if pairs["delta"].nunique() > _MAX_POINTS:
        bins = pd.qcut(pairs["delta"], _MAX_POINTS, duplicates="drop", labels=False)
    else:
        bins = pairs["delta"]
    return pairs.groupby(bins.to_numpy()).mean().reset_index(drop=True)


def misfit(covariance: FittedCovariance, points: pd.DataFrame) -> float:
    """Root mean square distance of empirical correlations from a fitted curve."""
    gaps = covariance.correlation(points["delta"].to_numpy()) - points["correlation"].to_numpy()
    return float(np.sqrt(np.mean(gaps**2)))


def thinned(data: Dataset) -> Dataset:
    """Some of many locations, the two farthest apart among them: distances keep their scale."""
    p, d = data.coordinates.shape
    if p <= _MAX_LOCATIONS:
        return data
    if d == 1:
        rim = [data.coordinates[:, 0].argmin(), data.coordinates[:, 0].argmax()]
    else:
        # QJ: locations on a line or in a plane have a hull too.
        rim = ConvexHull(data.coordinates, qhull_options="QJ").vertices
    pairs = np.triu_indices(len(rim), 1)
    farthest = pdist(data.coordinates[rim]).argmax()
    ends = [rim[pairs[0][farthest]], rim[pairs[1][farthest]]]
    others = np.random.default_rng(0).choice(p, size=_MAX_LOCATIONS, replace=False)
    kept = np.union1d(ends, others)
    return replace(
        data, X=data.X[:, kept], coordinates=data.coordinates[kept], shape=None, truth=None
    )


def pooled(data: Dataset, labels: np.ndarray) -> tuple[Dataset, np.ndarray]:
    """Maps of several variables as maps of one, about the mean of their group.

    All variables have the same correlation by distance; each is in units of its standard deviation.
    """
    if data.n_variables == 1:
        return data, labels
    each = data.of_variables()
    centred = [
        one.X - pd.DataFrame(one.X).groupby(labels).transform("mean").to_numpy() for one in each
    ]
    X = np.concatenate([residuals / np.nanstd(residuals) for residuals in centred])
    return replace(each[0], X=X, labels=None), np.tile(labels, len(each))


def nearest(data: Dataset) -> float:
    """Smallest scaled distance between two locations."""
    delta = scaled_distances(data.coordinates)
    return float(delta[delta > 0].min())


def draw(
    ax,
    data: Dataset,
    labels: np.ndarray,
    fitted: dict[int, FittedCovariance | None],
    unit: str | None = None,
    beside: Mapping[int, FittedCovariance] | None = None,
) -> None:
    """Points, curves and bands of every group of one data set.

    Parameters
    ----------
    ax : matplotlib axes
    data : Dataset
    labels : ndarray of shape (n,)
        Group of each map, for the empirical points.
    fitted : dict
        By group; None where there is no fit.
    unit : str or None
        Name of the coordinates' unit, in which distances are shown then; ``""`` if nobody knows it.
        None: scaled distances.
    beside : mapping or None
        By group, other curves to compare with; dash-dotted.
    """
    delta = scaled_distances(data.coordinates)
    scale = 1.0 if unit is None else Geometry(data.coordinates).unit
    # The curve starts at the nearest neighbours: at 0 the nugget makes it jump to 1.
    curve = np.linspace(nearest(data), MAX_DISTANCE, 200)
    for group, covariance in fitted.items():
        colour = group_colour(group)
        members = data.X[labels == group]
        if len(members) > 1:
            points = empirical(members, delta)
            ax.plot(
                scale * points["delta"], points["correlation"], ".", color=colour, ms=3, alpha=0.6
            )
        if covariance is None:
            continue
        band = covariance.band(curve)
        if band is not None:
            ax.fill_between(scale * curve, *band, color=colour, alpha=0.2, linewidth=0)
        ax.plot(scale * curve, covariance.correlation(curve), color=colour)
        if beside and group in beside:
            other = beside[group].correlation(curve)
            ax.plot(scale * curve, other, color=colour, linestyle="-.", linewidth=1)
    ax.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    # Up to 1 there is room for a legend above curves that fall.
    ax.set(xlim=(0, scale * MAX_DISTANCE), ylim=(None, 1.02))
    distance = f"distance ({unit or 'unit of the coordinates'})"
    ax.set(xlabel=SCALED if unit is None else distance, ylabel="correlation")

"""Is the model right? What the maps show, beside what maps of the fitted mixture show.

Four checks of what the model takes for granted: how far maps lie from their component (the
chi-square law of squared distances), how correlation falls with distance, whether it does so alike
in all directions, and whether the variance is the same everywhere.  Maps drawn from the fitted
mixture go the same way as the data, responsibilities and means estimated anew, so that what
overlap and estimated means do to each number is in its band.

A check is a vector of numbers ``T``, a set of which is simulated.  With the data's own among them,
``t = max_j |T_j - mean_j| / sd_j`` has a rank that is uniform if the model is right (a global
envelope test: Myllymaki, Mrkvicka, Grabarnik, Seijo and Hahn, JRSS B 79, 2017; covariance
parameters are taken as known, which makes it conservative).  ``mean_j +- c sd_j`` with the
quantile ``c`` of ``t`` is the band that a right model leaves with the probability ``1 - level``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import chi2

from spatgmm.common.words import named_components
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.state import Mixture, Model

if TYPE_CHECKING:
    from spatgmm.fitting.engine import Engine

#: Each check errs with this probability on a right model; four do in at most 4 of 100.
LEVEL = 0.01

#: Locations from which pairs are taken, to all others: more would say the same.
_MOST_BASES = 300

#: Pairs kept of one distance and direction.
_MOST_PAIRS = 2000

#: Distances, up to this share of the largest: beyond it, few pairs lie in the corners.
_BINS, _FARTHEST = 15, 0.75

#: A distance and direction with fewer pairs is left out.
_FEWEST_PAIRS = 5

#: Directions of the plane are told apart by sectors of 45 degrees.
_SECTORS = 4

#: Parts of the maps at which squared distances are compared with their law.
_QUANTILES = np.array([0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0])

#: A component with fewer expected maps shows nothing of its own.
_FEWEST_MAPS = 5


class DiagnosticsWarning(UserWarning):
    """Maps show what the fitted model does not."""


@dataclass(frozen=True, eq=False)
class View:
    """Maps as the components of a mixture see them, about means estimated from these maps.

    Attributes
    ----------
    residuals : ndarray of shape (G, n, p), or (G, q n, p) with q variables
        Deviations from each component's mean, NaN where a pixel is missing; one variable after the
        other, in units of their standard deviations.
    responsibilities : ndarray of shape (n, G)
    squared : ndarray of shape (n, G)
        Squared distances ``(x - mu)' Xi^-1 (x - mu)`` over the observed pixels.
    n_observed : ndarray of shape (n,)
    """

    residuals: np.ndarray
    responsibilities: np.ndarray
    squared: np.ndarray
    n_observed: np.ndarray

    @classmethod
    def of(cls, engine: Engine, model: Model, mixture: Mixture, maps: Maps) -> View:
        """Maps in the basis of an engine, as a mixture of its terms sees them."""
        _, responsibilities = mixture.expectation(maps)
        maps = mixture.scales.divide(maps)
        means = model.mean.estimates(
            [
                maps.completed(mean, covariance)
                for mean, covariance in zip(mixture.means, mixture.covariances, strict=True)
            ],
            list(responsibilities.T),
            mixture.covariances,
            mixture.scales.divide_vectors(model.basis),
            range(len(mixture.means)),
        )
        values = engine.back(maps.blocks)
        centres = engine.back([np.stack(block) for block in zip(*means, strict=True)])
        squared = [
            maps.distances(mean, covariance)[0]
            for mean, covariance in zip(means, mixture.covariances, strict=True)
        ]
        residuals = values - centres[:, None]
        q = model.family.n_variables
        if q > 1:
            residuals = residuals.reshape(*residuals.shape[:2], -1, q)
            own = [np.sqrt(np.diag(of.psi.matrix)) for of in mixture.covariances]
            residuals /= np.array(own)[:, None, None]
            residuals = residuals.transpose(0, 3, 1, 2).reshape(len(own), -1, residuals.shape[2])
        return cls(residuals, responsibilities, np.array(squared).T, maps.n_observed)

    def shown_by(self, g: int) -> tuple[np.ndarray, np.ndarray]:
        """Residuals from component `g`, one variable's map a row, and their responsibilities."""
        residuals, weights = self.residuals[g], self.responsibilities[:, g]
        return residuals, np.tile(weights, len(residuals) // len(weights))

    def some(self, components: np.ndarray) -> View:
        """As these components alone see them."""
        return replace(
            self,
            residuals=self.residuals[components],
            responsibilities=self.responsibilities[:, components],
            squared=self.squared[:, components],
        )

    @property
    def own(self) -> np.ndarray:
        """The component of each map, (n,)."""
        return self.responsibilities.argmax(axis=1)

    @property
    def own_squared(self) -> np.ndarray:
        """Squared distance of each map from its component, (n,)."""
        return self.squared[np.arange(len(self.squared)), self.own]


@dataclass(frozen=True, eq=False)
class Diagnostics:
    """What maps show beside what a right model would, see :mod:`spatgmm.fitting.diagnostics`.

    Distances between locations are in the units of the coordinates, components count from 0.

    Attributes
    ----------
    checks : pandas.DataFrame
        Columns check, p_value, flagged, finding: a row each for distances, correlation, direction
        (not on a line) and variance.
    distances : pandas.DataFrame
        A row for each map: component, squared_distance, n_observed, p_value (upper tail of the
        chi-square law).
    correlation : pandas.DataFrame
        Columns component, distance, n_pairs, correlation, expected, lower, upper.
    directions : pandas.DataFrame
        Columns component, direction, distance, n_pairs, log_ratio (semivariance in this direction
        over that of all), expected, lower, upper.
    variances : pandas.DataFrame
        Columns component, location, log_ratio (variance there over the mean), expected, lower,
        upper.
    n_simulations : int
    """

    checks: pd.DataFrame
    distances: pd.DataFrame
    correlation: pd.DataFrame
    directions: pd.DataFrame
    variances: pd.DataFrame
    n_simulations: int

    @property
    def flagged(self) -> list[str]:
        """The checks that the model does not pass."""
        return self.checks.loc[self.checks["flagged"], "check"].tolist()

    def __str__(self) -> str:
        lines = [
            f"{row.check}: {row.finding} (p = {row.p_value:.3g})"
            for row in self.checks.itertuples()
        ]
        return "\n".join([*lines, f"by {self.n_simulations} simulations of the fitted model"])


def diagnose(
    view: Callable[[np.ndarray], View],
    draw: Callable[[np.random.Generator], np.ndarray],
    X: np.ndarray,
    places: np.ndarray,
    directed: bool,
    n_simulations: int,
    rng: np.random.Generator,
) -> Diagnostics:
    """Compare maps with maps of the fitted mixture.

    Parameters
    ----------
    view : callable
        Maps (n, p) as the mixture sees them.
    draw : callable
        As many maps of the mixture, with the same missing pixels.
    X : ndarray of shape (n, p)
        NaN where a pixel is missing.
    places : ndarray of shape (p, d)
    directed : bool
        Whether axes of `places` are directions.
    n_simulations : int
    rng : numpy.random.Generator

    Raises
    ------
    ValueError
        If every component has too few maps.
    """
    seen = view(X)
    components = np.flatnonzero(seen.responsibilities.sum(axis=0) >= _FEWEST_MAPS)
    if not len(components):
        raise ValueError(
            f"X: no component has {_FEWEST_MAPS} of the maps; so few cannot tell whether the model "
            "is right"
        )
    n_dimensions = places.shape[1]
    directed = directed and n_dimensions > 1
    pairs = _Pairs(places, rng, directed)
    checks = [_Distances(), _Correlation(pairs), _Variance(len(places))]
    if directed:
        checks.insert(2, _Direction(pairs, n_dimensions))
    measured: list[list[np.ndarray]] = [[] for _ in checks]
    for number in range(1 + n_simulations):
        maps = seen if number == 0 else view(draw(rng))
        shown = _Shown.of(maps.some(components), pairs)
        for check, values in zip(checks, measured, strict=True):
            values.append(check.measure(shown))
    compared = {
        check.name: _Compared.of(check, np.array(values), components)
        for check, values in zip(checks, measured, strict=True)
    }
    tables = {name: one.table for name, one in compared.items()}
    of_maps = {
        "component": seen.own,
        "squared_distance": seen.own_squared,
        "n_observed": seen.n_observed,
        "p_value": chi2.sf(seen.own_squared, seen.n_observed),
    }
    return Diagnostics(
        checks=pd.DataFrame([one.row for one in compared.values()]),
        distances=pd.DataFrame(of_maps).rename_axis(index="map"),
        correlation=tables[_Correlation.name],
        directions=tables.get(_Direction.name, pd.DataFrame()),
        variances=tables[_Variance.name],
        n_simulations=n_simulations,
    )


class _Check(ABC):
    """A vector of numbers that maps show.

    Attributes
    ----------
    name, column : str
        Of the check, and of its numbers in its table.
    """

    name: str
    column: str

    @abstractmethod
    def index(self, components: np.ndarray) -> pd.DataFrame:
        """What each of the numbers is about."""

    @abstractmethod
    def measure(self, shown: _Shown) -> np.ndarray:
        """The numbers, (k,)."""

    @abstractmethod
    def finding(self, outside: pd.DataFrame) -> str:
        """What it means that these of them, ``off`` by so much, lie outside their band."""


class _Distances(_Check):
    """Quantiles of squared distances per pixel, each map's from its own component."""

    name = "distances"
    column = "squared_distance"

    def index(self, components: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame({"quantile": _QUANTILES})

    def measure(self, shown: _Shown) -> np.ndarray:
        seen = shown.view
        of_pixels = seen.own_squared / np.maximum(seen.n_observed, 1)
        return np.log(np.quantile(of_pixels, _QUANTILES))

    def finding(self, outside: pd.DataFrame) -> str:
        worst = outside.iloc[outside["off"].abs().argmax()]
        if worst["off"] > 0 and worst["quantile"] > 0.5:
            return (
                "some maps lie farther from their component than normal ones do: outlying maps? "
                "tails='contaminated' or 't' hold them apart"
            )
        how = "larger" if worst["off"] > 0 else "smaller"
        return (
            "squared distances of maps from their components do not follow their law: "
            f"{how} than expected at the quantile {worst['quantile']:g}"
        )


class _Pairs:
    """Some pairs of locations, by distance and, where axes are directions, by direction.

    Attributes
    ----------
    index : pandas.DataFrame
        A row for each distance and direction: distance (mean of the pairs), n_pairs, direction.
    distance_bins : ndarray of int
        Which rows of `index` are at one distance.
    """

    def __init__(self, places: np.ndarray, rng: np.random.Generator, by_direction: bool):
        p = len(places)
        bases = np.sort(rng.permutation(p)[:_MOST_BASES])
        first, second = np.divmod(np.arange(len(bases) * p), p)
        # Each pair once, also where both are bases.
        kept = (bases[first] < second) | ((bases[first] > second) & ~np.isin(second, bases))
        first, second = first[kept], second[kept]
        offsets = places[second] - places[bases[first]]
        distance = np.sqrt((offsets**2).sum(axis=1))
        edges = np.linspace(0, _FARTHEST * distance.max(), _BINS + 1)
        keys = {"distance": np.digitize(distance, edges, right=True)}
        near = (distance > 0) & (distance <= edges[-1])
        if by_direction:
            keys["direction"] = _sector(offsets)
        drawn = rng.permutation(np.flatnonzero(near))
        pairs = pd.DataFrame(keys).iloc[drawn]
        groups = pairs.groupby(list(keys))
        chosen = groups.head(_MOST_PAIRS)
        sizes = chosen.groupby(list(keys))["distance"].transform("size")
        chosen = chosen[sizes >= _FEWEST_PAIRS].sort_index()
        self._bases = bases
        self._first, self._second = first[chosen.index], second[chosen.index]
        self._bins = chosen.groupby(list(keys)).ngroup().to_numpy()
        about = pd.DataFrame({"distance": distance[chosen.index], "bin": self._bins})
        about = about.groupby("bin")["distance"].agg(["mean", "size"])
        self.index = pd.DataFrame({"distance": about["mean"], "n_pairs": about["size"]})
        of_bins = chosen.groupby(self._bins).first()
        self.distance_bins = pd.factorize(of_bins["distance"])[0]
        self.index = self.index.join(of_bins.drop(columns="distance")).reset_index(drop=True)

    def correlations(self, seen: View, g: int, variances: np.ndarray) -> np.ndarray:
        """Mean product of the two values by bin, each in units of its location's deviation."""
        residuals, weights = seen.shown_by(g)
        there = (~np.isnan(residuals)).astype(float)
        values = np.where(there, residuals, 0.0) / np.sqrt(np.maximum(variances, 1e-300))
        products = self._binned((values[:, self._bases].T * weights) @ values)
        return products / np.maximum(
            self._binned((there[:, self._bases].T * weights) @ there), 1e-300
        )

    def by_distance(self, values: np.ndarray) -> np.ndarray:
        """Means over the pairs at one distance of means (..., k) over those of each direction."""
        of_pairs = np.eye(self.distance_bins.max() + 1)[self.distance_bins]
        of_pairs *= self.index["n_pairs"].to_numpy()[:, None]
        return values @ (of_pairs / of_pairs.sum(axis=0))

    def _binned(self, matrix: np.ndarray) -> np.ndarray:
        """Sums over pairs of a matrix (bases, p)."""
        return np.bincount(self._bins, matrix[self._first, self._second], len(self.index))


@dataclass(frozen=True, eq=False)
class _Shown:
    """What one set of maps shows, measured once for all checks.

    Attributes
    ----------
    view : View
    variances : ndarray of shape (G, p)
        Mean squares of each component's residuals.
    correlations : ndarray of shape (G, k)
        By the distances and directions of the pairs.  Deviations of each location are its own, so
        that variances that differ are no matter of correlation, or of its direction.
    """

    view: View
    variances: np.ndarray
    correlations: np.ndarray

    @classmethod
    def of(cls, view: View, pairs: _Pairs) -> _Shown:
        variances = np.array([_variance(view, g) for g in range(len(view.residuals))])
        correlations = [pairs.correlations(view, g, of_one) for g, of_one in enumerate(variances)]
        return cls(view, variances, np.array(correlations))


def _sector(offsets: np.ndarray) -> np.ndarray:
    """Direction of offsets: degrees from the first axis in the plane, the nearest axis in space."""
    if offsets.shape[1] > 2:
        return np.abs(offsets).argmax(axis=1) + 1
    angle = np.degrees(np.arctan2(offsets[:, 1], offsets[:, 0]))
    width = 180 // _SECTORS
    return (np.round(angle / width).astype(int) * width) % 180


class _Correlation(_Check):
    """Correlation of pairs by distance."""

    name = "correlation"
    column = "correlation"

    def __init__(self, pairs: _Pairs):
        self._pairs = pairs

    def index(self, components):
        pairs = self._pairs
        distances = pairs.by_distance(pairs.index["distance"].to_numpy())
        n_pairs = np.bincount(pairs.distance_bins, pairs.index["n_pairs"]).astype(int)
        return _repeated(pd.DataFrame({"distance": distances, "n_pairs": n_pairs}), components)

    def measure(self, shown):
        return self._pairs.by_distance(shown.correlations).ravel()

    def finding(self, outside):
        told, waves = [], False
        for g, rows in outside.groupby("component"):
            waves |= bool((rows["off"] > 0).any() and (rows["off"] < 0).any())
            far = rows.iloc[rows["off"].abs().argmax()]
            how = "above" if far["off"] > 0 else "below"
            told.append(
                f"{named_components(int(g))} is {abs(far['off']):.2f} {how} its curve at the "
                f"distance {far['distance']:.3g}"
            )
        if waves:
            what, then = "correlation falls and comes back, as waves do", "no decay can follow them"
        else:
            what, then = "correlation does not follow the decay", "try decay='auto'"
        return f"{what}: {'; '.join(told)}; {then}"


class _Direction(_Check):
    """Semivariance of pairs in one direction over that in all, by distance."""

    name = "direction"
    column = "log_ratio"

    def __init__(self, pairs: _Pairs, n_dimensions: int):
        self._pairs = pairs
        self._degrees = n_dimensions == 2

    def index(self, components):
        return _repeated(self._pairs.index, components)

    def measure(self, shown):
        bins = self._pairs.distance_bins
        # Half the mean square of the difference of two values of unit variance.
        semivariances = np.log(np.maximum(1 - shown.correlations, 1e-300))
        of_all = [np.bincount(bins, of_one) / np.bincount(bins) for of_one in semivariances]
        return (semivariances - np.array(of_all)[:, bins]).ravel()

    def finding(self, outside):
        # Where pairs differ least, correlation reaches farthest.
        far = outside.iloc[outside["off"].argmin()]
        where = f"{far['direction']:.0f}" + ("°" if self._degrees else "")
        named = f"direction {where}" if self._degrees else f"axis {where}"
        return (
            f"correlation has a direction: {named_components(int(far['component']))} reaches "
            f"farther along {named} than the model says; try metric='auto'"
        )


class _Variance(_Check):
    """Variance at each location over their mean."""

    name = "variance"
    column = "log_ratio"

    def __init__(self, n_locations: int):
        self._index = pd.DataFrame({"location": np.arange(n_locations)})

    def index(self, components):
        return _repeated(self._index, components)

    def measure(self, shown):
        logs = np.log(np.maximum(shown.variances, 1e-300))
        return (logs - logs.mean(axis=1, keepdims=True)).ravel()

    def finding(self, outside):
        places = outside["location"].nunique()
        far = outside.iloc[outside["off"].abs().argmax()]
        return (
            f"the variance differs by location, beyond chance at {places} of them (at location "
            f"{far['location']:.0f} by the factor {np.exp(far['off']):.2g}); "
            "try variance='location'"
        )


@dataclass(frozen=True)
class _Compared:
    """A check's numbers beside those of simulated maps."""

    table: pd.DataFrame
    row: dict

    @classmethod
    def of(cls, check: _Check, values: np.ndarray, components: np.ndarray) -> _Compared:
        """From numbers (1 + n_simulations, k), those of the data first."""
        centre, spread = values.mean(axis=0), values.std(axis=0)
        off = (values - centre) / np.where(spread > 0, spread, np.inf)
        largest = np.abs(off).max(axis=1)
        p_value = float((largest >= largest[0]).mean())
        most = np.quantile(largest, 1 - LEVEL)
        reach = most * spread
        table = check.index(components)
        table[check.column] = values[0]
        table["expected"], table["lower"], table["upper"] = centre, centre - reach, centre + reach
        flagged, finding = p_value <= LEVEL, "as in maps of the fitted model"
        if flagged:
            outside = table.assign(off=values[0] - centre)[np.abs(off[0]) >= most]
            finding = check.finding(outside)
        row = {"check": check.name, "p_value": p_value, "flagged": flagged, "finding": finding}
        return cls(table, row)


def _variance(seen: View, g: int) -> np.ndarray:
    """Mean square of the residuals from component g at each location, (p,)."""
    residuals, weights = seen.shown_by(g)
    squares = residuals**2
    there = ~np.isnan(squares)
    return (weights @ np.where(there, squares, 0.0)) / np.maximum(weights @ there, 1e-300)


def _repeated(index: pd.DataFrame, components: np.ndarray) -> pd.DataFrame:
    """The rows of an index for each component."""
    parts = [index.assign(component=g) for g in components]
    table = pd.concat(parts, ignore_index=True)
    return table[["component", *index.columns]]

r"""How a decay, which knows one distance only, becomes a function of what lies between two places.

Most metrics turn the offset between two locations (scaled, so that the largest Euclidean distance
is 2) into the one distance that the decay sees,

``delta^2 = h' expm(M) h``,

with ``M`` symmetric of trace 0: stretching one direction shrinks another, and what is left of the
scale is the decay's.  At ``M = 0`` it is the Euclidean distance, and nothing is singular there.

The additive metric has a decay for each axis instead, each with parameters of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import product
from typing import NamedTuple, Protocol

import numpy as np

from spatgmm.covariance.decay import Decay
from spatgmm.covariance.geometry import MAX_DISTANCE
from spatgmm.covariance.space import PLANE, Space

#: Largest entry of M: ranges that differ by a factor of 20 between directions.
_LARGEST = 3.0

#: How far one scoring step may go.
_STEP = 0.5

#: Entries of M that the global search looks at, besides 0.
_SEARCHED = 1.2

#: Stretched metrics are searched at every third decay only: with every second one, 40 data sets
#: with and without stripes ended in the same optima or worse ones.
_EVERY_STRETCHED = 3

#: Of the shapes of a decay, every so many are combined with those of other axes.
_EVERY_COMBINED = 6

#: Offsets along an axis below this, in scaled distances, are none.
_SAME = 1e-9

#: Names under which :meth:`Metric.directions` reports.
DIRECTIONS = (
    "angle",
    "range_ratio",
    "relative_range_axis1",
    "relative_range_axis2",
    "relative_range_axis3",
)


class Lags(Protocol):
    """Pairs of locations, as a metric sees them; a geometry is one.

    Attributes
    ----------
    delta : ndarray of shape (m,)
        Scaled distances.
    offsets : ndarray of shape (m, d)
        Along the axes, in the same unit.
    extents : ndarray of shape (d,)
        The largest offset along each axis, of all locations.
    unit : float
        Units of the coordinates per unit of scaled distance.
    smallest_distance : float
        Between locations on different spots.
    """

    delta: np.ndarray
    offsets: np.ndarray
    extents: np.ndarray
    unit: float

    @property
    def smallest_distance(self) -> float: ...


class Pairs(NamedTuple):
    """Some pairs of places, as :class:`Lags`."""

    delta: np.ndarray
    offsets: np.ndarray
    extents: np.ndarray
    unit: float
    smallest_distance: float


class Curve(NamedTuple):
    """A decay along some distance.

    Attributes
    ----------
    axis : int or None
        Along which, from 1; None: along any direction.
    places : slice
        Of its parameters in the shape.
    unit : float
        Units of the coordinates per unit of the distance, which is at most 2.
    """

    axis: int | None
    places: slice
    unit: float


class Metric(ABC):
    """What the rest of the package asks of a metric.

    A *shape* holds all parameters of decay and metric.

    Attributes
    ----------
    name : str
    dimensions : tuple of int
        Of the coordinates, where there is such a metric.
    distinct_in : tuple of int
        Of these, where it is none of the simpler ones: BIC looks at it there.
    by_offset : bool
        Whether offsets matter, not their lengths alone.
    reflects : bool
        Whether K stays the same when an axis is reflected (regular grids then fall into blocks).
    """

    name: str
    dimensions: tuple[int, ...] = (1, 2, 3)
    by_offset = True
    reflects = True

    @property
    def distinct_in(self) -> tuple[int, ...]:
        return self.dimensions

    def fits(self, space: Space) -> bool:
        """Whether the metric has a meaning there."""
        return space.has_axes or not self.by_offset

    def check(self, n_dimensions: int, space: Space = PLANE) -> None:
        """Raise ValueError where locations of so many dimensions have no such metric."""
        if not self.fits(space):
            option = "period" if space.has_axes else f"space={space.name!r}"
            raise ValueError(
                f"metric={self.name!r} has no meaning with {option}; use metric='isotropic'"
                + (" or 'axes'" if space.has_axes else "")
            )
        if n_dimensions not in self.dimensions:
            known = " or ".join(map(str, self.dimensions))
            raise ValueError(f"metric={self.name!r} needs coordinates of {known} dimensions")

    def n_decays(self, n_dimensions: int) -> int:
        """How many decays ``Xi = a1*J + a2*(D_1 + D_2 + ...) + a3*I`` adds."""
        return 1

    @abstractmethod
    def names(self, decay: Decay, n_dimensions: int) -> tuple[str, ...]:
        """Names of a shape's parameters, in order."""

    @abstractmethod
    def lost(self, decay: Decay, lags: Lags, shape: np.ndarray) -> np.ndarray:
        """Share of the partial sill that is lost at each lag, from 0 to 1, shape (m,)."""

    @abstractmethod
    def lost_slopes(self, decay: Decay, lags: Lags, shape: np.ndarray) -> np.ndarray:
        """Its derivatives by the shape, (q, m)."""

    @abstractmethod
    def bounds(self, decay: Decay, lags: Lags) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest shape, (q,) each."""

    @abstractmethod
    def reach(self, decay: Decay, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far one scoring step may go."""

    @abstractmethod
    def grid(self, decay: Decay, lags: Lags) -> tuple[np.ndarray, np.ndarray]:
        """Shapes (k, q) for the global search, the simplest first.

        The second array (k,) is that of :meth:`spatgmm.covariance.decay.Decay.grid`.
        """

    @abstractmethod
    def curves(self, decay: Decay, lags: Lags) -> list[Curve]:
        """The decays in a shape."""

    def directions(self, decay: Decay, shape: np.ndarray) -> dict[str, float]:
        """The metric in words, a name of :data:`DIRECTIONS` and a value each."""
        return {}

    def check_values(self, decay: Decay, lags: Lags) -> None:
        """Raise ValueError where parameters are held at values that cannot be."""
        return None


class OneDistance(Metric):
    """A metric that makes one distance of an offset; a shape is the decay's, then its own."""

    def parameter_names(self, n_dimensions: int) -> tuple[str, ...]:
        """Names of the metric's own parameters, in order."""
        return ()

    @abstractmethod
    def distances(self, offsets: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """``delta`` (m,) of offsets (m, d)."""

    @abstractmethod
    def derivatives(self, offsets: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """``d delta^2 / d parameters``, shape (r, m)."""

    @abstractmethod
    def describe(self, parameters: np.ndarray) -> dict[str, float]:
        """As :meth:`directions`, of the metric's own parameters."""

    def names(self, decay, n_dimensions):
        return (*decay.parameter_names, *self.parameter_names(n_dimensions))

    def lost(self, decay, lags, shape):
        of_decay, own = _split(decay, shape)
        return decay.value(self._delta(lags, own), of_decay)

    def lost_slopes(self, decay, lags, shape):
        of_decay, own = _split(decay, shape)
        delta = self._delta(lags, own)
        by_decay = decay.derivatives(delta, of_decay)
        if not len(own):
            return by_decay
        # ds/dm = ds/ddelta * (d delta^2/dm) / (2 delta); at delta = 0 nothing moves.
        slope = decay.slope(delta, of_decay) / (2 * np.where(delta > 0, delta, np.inf))
        return np.concatenate([by_decay, slope * self.derivatives(lags.offsets, own)])

    def bounds(self, decay, lags):
        r = len(self.parameter_names(lags.offsets.shape[1]))
        lower, upper = decay.bounds(lags.smallest_distance)
        return np.append(lower, np.full(r, -_LARGEST)), np.append(upper, np.full(r, _LARGEST))

    def reach(self, decay, shape):
        of_decay, own = _split(decay, shape)
        lower, upper = decay.reach(of_decay)
        return np.append(lower, own - _STEP), np.append(upper, own + _STEP)

    def grid(self, decay, lags):
        """Stretched metrics go with a few decays only."""
        decays, between = decay.grid(lags.smallest_distance)
        r = len(self.parameter_names(lags.offsets.shape[1]))
        along = _SEARCHED * np.eye(r)
        shapes = [np.append(one, np.zeros(r)) for one in decays]
        shapes += [
            np.append(one, own) for own in (*along, *-along) for one in decays[::_EVERY_STRETCHED]
        ]
        further = np.zeros(len(shapes) - len(decays), dtype=bool)
        return np.array(shapes), np.concatenate([between, further])

    def curves(self, decay, lags):
        return [Curve(None, slice(0, len(decay.parameter_names)), lags.unit)]

    def directions(self, decay, shape):
        return self.describe(_split(decay, shape)[1])

    def _delta(self, lags, own):
        return self.distances(lags.offsets, own)


class Isotropic(OneDistance):
    """Euclidean distance."""

    name = "isotropic"
    by_offset = False

    def distances(self, offsets, parameters):
        return np.sqrt((offsets**2).sum(axis=1))

    def derivatives(self, offsets, parameters):
        return np.empty((0, len(offsets)))

    def describe(self, parameters):
        return {}

    def _delta(self, lags, own):
        return lags.delta


class Axes(OneDistance):
    """One stretch per axis: ``delta^2 = sum_i exp(m_i) h_i^2``, ``sum_i m_i = 0``."""

    name = "axes"
    dimensions = (2, 3)

    def parameter_names(self, n_dimensions):
        return tuple(f"log_stretch{i + 1}" for i in range(n_dimensions - 1))

    def distances(self, offsets, parameters):
        return np.sqrt(offsets**2 @ self._stretches(parameters))

    def derivatives(self, offsets, parameters):
        parts = (offsets**2 * self._stretches(parameters)).T
        return parts[:-1] - parts[-1]

    def describe(self, parameters):
        """Each axis's range over their geometric mean."""
        ranges = self._stretches(parameters) ** -0.5
        return {f"relative_range_axis{i + 1}": float(r) for i, r in enumerate(ranges)}

    @staticmethod
    def _stretches(parameters):
        return np.exp(np.append(parameters, -np.sum(parameters)))


class Rotated(OneDistance):
    r"""Any two orthogonal directions in the plane.

    ``M = [[a, b], [b, -a]]`` has eigenvalues ``+-rho``, ``rho = sqrt(a^2 + b^2)``, so

    ``delta^2 = cosh(rho) |h|^2 + sinh(rho)/rho (a (h_1^2 - h_2^2) + 2 b h_1 h_2)``.

    Distance counts most, so that correlation falls fastest, in the direction
    ``atan2(b, a) / 2``; ranges differ by the factor ``exp(rho)``.
    """

    name = "rotated"
    dimensions = (2,)
    reflects = False

    def fits(self, space):
        return space.is_flat  # what turns has to be open

    def parameter_names(self, n_dimensions):
        return ("stretch_along", "stretch_across")

    def distances(self, offsets, parameters):
        even, turned, _, _ = self._parts(offsets, parameters)
        # Rounding may leave a tiny negative number for the shortest offsets.
        return np.sqrt(np.maximum(even + turned, 0))

    def derivatives(self, offsets, parameters):
        _, ratio, ratio_slope = self._functions(parameters)
        _, _, squares, cross = self._parts(offsets, parameters)
        a, b = parameters
        length2 = (offsets**2).sum(axis=1)
        turned = a * squares + b * cross
        # d rho/da = a/rho;  d cosh(rho)/da = a sinh(rho)/rho.
        return np.stack(
            [
                a * ratio * length2 + a * ratio_slope * turned + ratio * squares,
                b * ratio * length2 + b * ratio_slope * turned + ratio * cross,
            ]
        )

    def describe(self, parameters):
        """Direction of the longest range (degrees from the first axis), and the ratio of ranges."""
        a, b = parameters
        # Correlation reaches farthest across the direction in which distance counts most.
        angle = np.degrees(np.arctan2(b, a) / 2) + 90
        return {"angle": float(angle % 180), "range_ratio": float(np.exp(np.hypot(a, b)))}

    @staticmethod
    def parameters(angle: float, range_ratio: float) -> np.ndarray:
        """The inverse of :meth:`describe`."""
        doubled = 2 * np.radians(angle - 90)
        return np.log(range_ratio) * np.array([np.cos(doubled), np.sin(doubled)])

    def _parts(self, offsets, parameters):
        rho, ratio, _ = self._functions(parameters)
        a, b = parameters
        squares = offsets[:, 0] ** 2 - offsets[:, 1] ** 2
        cross = 2 * offsets[:, 0] * offsets[:, 1]
        even = np.cosh(rho) * (offsets**2).sum(axis=1)
        return even, ratio * (a * squares + b * cross), squares, cross

    @staticmethod
    def _functions(parameters):
        """``rho``, ``sinh(rho)/rho`` and its derivative by rho, over rho."""
        rho = float(np.hypot(*parameters))
        if rho < 1e-3:  # series: the quotients are 0/0 at 0
            return rho, 1 + rho**2 / 6, 1 / 3 + rho**2 / 30
        return rho, np.sinh(rho) / rho, (rho * np.cosh(rho) - np.sinh(rho)) / rho**3


class Additive(Metric):
    r"""A decay for each axis, added, as in the authors' package on a grid.

    ``Xi = a1 J + a2 sum_i D_i + a3 I`` with ``D_i = s(delta_i; beta_i)`` and ``delta_i`` the
    distance along axis ``i``, scaled to [0, 2] by itself.  In terms of the partial sill ``tau``,
    ``K = J - mean_i D_i`` falls from 1 at the same place to 0 at the opposite corner, so that with
    ``d`` axes ``a2 = -tau / d``, and the baseline covariance is ``a1 + d a2``.

    In two or more dimensions ``K`` is at best positive semidefinite: the deviations of a row from
    the mean row are the same in all rows.  ``Xi`` then needs a nugget, and correlation reaches from
    one end of a row to the other, which Vecchia's neighbours see little of: on grids, the exact and
    the cosine likelihood are the better ones.  In one dimension it is the isotropic model.
    """

    name = "additive"

    @property
    def distinct_in(self):
        return self.dimensions[1:]

    def n_decays(self, n_dimensions):
        return n_dimensions

    def names(self, decay, n_dimensions):
        own = decay.parameter_names
        if n_dimensions == 1:
            return own
        joint = "" if len(own) == 1 else "_axis"
        return tuple(f"{name}{joint}{i + 1}" for i in range(n_dimensions) for name in own)

    def lost(self, decay, lags, shape):
        values = [
            decay.value(delta, of_axis)
            for delta, of_axis in zip(self._along(lags), _by_axis(decay, shape), strict=True)
        ]
        return sum(values) / len(values)

    def lost_slopes(self, decay, lags, shape):
        slopes = [
            decay.derivatives(delta, of_axis)
            for delta, of_axis in zip(self._along(lags), _by_axis(decay, shape), strict=True)
        ]
        return np.concatenate(slopes) / len(slopes)

    def bounds(self, decay, lags):
        limits = [decay.bounds(smallest) for smallest in self._smallest(lags)]
        lower, upper = map(np.concatenate, zip(*limits, strict=True))
        return lower, upper

    def reach(self, decay, shape):
        reaches = [decay.reach(of_axis) for of_axis in _by_axis(decay, shape)]
        lower, upper = map(np.concatenate, zip(*reaches, strict=True))
        return lower, upper

    def grid(self, decay, lags):
        """Shapes as steep along all axes, then combinations of a few."""
        grids = [decay.grid(smallest) for smallest in self._smallest(lags)]
        alike = np.concatenate([shapes for shapes, _ in grids], axis=1)
        places = range(0, len(alike), _EVERY_COMBINED)
        mixed = [
            np.concatenate([shapes[k] for (shapes, _), k in zip(grids, of_axes, strict=True)])
            for of_axes in product(places, repeat=len(grids))
            if len(set(of_axes)) > 1
        ]
        between = np.append(grids[0][1], np.zeros(len(mixed), dtype=bool))
        return np.array([*alike, *mixed]), between

    def curves(self, decay, lags):
        m, d = len(decay.parameter_names), len(lags.extents)
        units = lags.unit * lags.extents / MAX_DISTANCE
        return [
            Curve(i + 1 if d > 1 else None, slice(i * m, (i + 1) * m), float(unit))
            for i, unit in enumerate(units)
        ]

    @staticmethod
    def _along(lags):
        """Distances along each axis, (d, m), of those between locations 2 the largest."""
        return (np.abs(lags.offsets) * (MAX_DISTANCE / lags.extents)).T

    def _smallest(self, lags):
        """The smallest distance along each axis, above that of neighbours at irregular sites."""
        nearest = lags.smallest_distance * (MAX_DISTANCE / lags.extents)
        smallest = [delta[delta > _SAME].min(initial=MAX_DISTANCE) for delta in self._along(lags)]
        return np.minimum(np.maximum(smallest, nearest), MAX_DISTANCE)


class Held(Metric):
    """Any metric, with some parameters of a shape held at given values.

    Parameters
    ----------
    metric : Metric
    values : mapping of str to float
        By the names of parameters.
    """

    def __init__(self, metric: Metric, values: Mapping[str, float]):
        self._metric, self._values = metric, dict(values)
        self.name, self.dimensions = metric.name, metric.dimensions
        self.by_offset, self.reflects = metric.by_offset, metric.reflects

    def fits(self, space):
        return self._metric.fits(space)

    def n_decays(self, n_dimensions):
        return self._metric.n_decays(n_dimensions)

    def names(self, decay, n_dimensions):
        return self._metric.names(decay, n_dimensions)

    def lost(self, decay, lags, shape):
        return self._metric.lost(decay, lags, shape)

    def lost_slopes(self, decay, lags, shape):
        return self._metric.lost_slopes(decay, lags, shape)

    def reach(self, decay, shape):
        return self._metric.reach(decay, shape)

    def curves(self, decay, lags):
        return self._metric.curves(decay, lags)

    def directions(self, decay, shape):
        return self._metric.directions(decay, shape)

    def bounds(self, decay, lags):
        lower, upper = self._metric.bounds(decay, lags)
        places, values = self._held(decay, lags)
        lower[places] = upper[places] = values
        return lower, upper

    def grid(self, decay, lags):
        """Those of the metric that differ in what is free."""
        shapes, between = self._metric.grid(decay, lags)
        places, values = self._held(decay, lags)
        free = np.delete(shapes, places, axis=1)
        _, first = np.unique(free, axis=0, return_index=True)
        shapes = shapes.copy()
        shapes[:, places] = values
        kept = np.sort(first)
        whole = len(kept) == len(shapes)
        return shapes[kept], between[kept] & whole

    def check_values(self, decay, lags):
        known = self._metric.names(decay, lags.offsets.shape[1])
        lower, upper = self._metric.bounds(decay, lags)
        for name, value in self._values.items():
            if name not in known:
                raise ValueError(
                    f"fixed: {name!r} is no parameter of decay {decay.name!r} and metric "
                    f"{self.name!r}, which have {', '.join(known)}"
                )
            k = known.index(name)
            if not lower[k] <= value <= upper[k]:
                raise ValueError(
                    f"fixed: {name}={value:g}; these locations identify it from {lower[k]:.3g} to "
                    f"{upper[k]:.3g}"
                )

    def _held(self, decay, lags) -> tuple[list[int], list[float]]:
        names = self._metric.names(decay, lags.offsets.shape[1])
        places = [k for k, name in enumerate(names) if name in self._values]
        return places, [self._values[names[k]] for k in places]


def _split(decay: Decay, shape) -> tuple[np.ndarray, np.ndarray]:
    """A shape's parameters of the decay, and the others."""
    shape = np.asarray(shape, dtype=float)
    m = len(decay.parameter_names)
    return shape[:m], shape[m:]


def _by_axis(decay: Decay, shape) -> np.ndarray:
    """A shape's parameters of each axis' decay, (d, m)."""
    return np.asarray(shape, dtype=float).reshape(-1, len(decay.parameter_names))


_METRICS = {metric.name: metric for metric in (Isotropic(), Axes(), Rotated(), Additive())}


def names(dimensions: int | None = None, space: Space = PLANE) -> list[str]:
    """Names of all metrics that ``metric=`` accepts, or of those to choose from in a space."""
    return [
        name
        for name, metric in _METRICS.items()
        if dimensions is None or (dimensions in metric.distinct_in and metric.fits(space))
    ]


def get(name: str, fixed: Mapping[str, float] | None = None) -> Metric:
    """The metric of that name (one of :func:`names`), some parameters of a shape held."""
    return Held(_METRICS[name], fixed) if fixed else _METRICS[name]

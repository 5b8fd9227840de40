r"""Which distance counts: the same in all directions, or stretched along some.

A metric turns the offset between two locations (scaled, so that the largest Euclidean distance is
2) into the distance that the decay sees,

``delta^2 = h' expm(M) h``,

with ``M`` symmetric of trace 0: stretching one direction shrinks another, and what is left of the
scale is the decay's.  At ``M = 0`` it is the Euclidean distance, and nothing is singular there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

#: Largest entry of M: ranges that differ by a factor of 20 between directions.
_LARGEST = 3.0

#: How far one scoring step may go.
_STEP = 0.5

#: Entries of M that the global search looks at, besides 0.
_SEARCHED = 1.2


#: Names under which :meth:`Metric.describe` reports.
DIRECTIONS = (
    "angle",
    "range_ratio",
    "relative_range_axis1",
    "relative_range_axis2",
    "relative_range_axis3",
)


class Metric(ABC):
    """What the rest of the package asks of a metric.

    Attributes
    ----------
    name : str
    dimensions : tuple of int
        Of the coordinates, where there is such a metric.
    by_offset : bool
        Whether distances depend on the direction of an offset, not on its length alone.
    reflects : bool
        Whether they stay the same when an axis is reflected (regular grids then fall into blocks).
    """

    name: str
    dimensions: tuple[int, ...] = (1, 2, 3)
    by_offset = True
    reflects = True

    def check(self, n_dimensions: int) -> None:
        """Raise ValueError where locations of so many dimensions have no such metric."""
        if n_dimensions not in self.dimensions:
            known = " or ".join(map(str, self.dimensions))
            raise ValueError(f"metric={self.name!r} needs coordinates of {known} dimensions")

    @abstractmethod
    def parameter_names(self, n_dimensions: int) -> tuple[str, ...]:
        """Names of the metric's parameters, in order."""

    @abstractmethod
    def distances(self, offsets: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """``delta`` (m,) of offsets (m, d)."""

    @abstractmethod
    def derivatives(self, offsets: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """``d delta^2 / d parameters``, shape (q, m)."""

    @abstractmethod
    def describe(self, parameters: np.ndarray) -> dict[str, float]:
        """The metric in words, a name of :data:`DIRECTIONS` and a value each."""

    def bounds(self, n_dimensions: int) -> tuple[np.ndarray, np.ndarray]:
        q = len(self.parameter_names(n_dimensions))
        return np.full(q, -_LARGEST), np.full(q, _LARGEST)

    def reach(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far one scoring step may go."""
        return parameters - _STEP, parameters + _STEP

    def grid(self, n_dimensions: int) -> np.ndarray:
        """Parameters (k, q) for the global search, the isotropic ones first."""
        q = len(self.parameter_names(n_dimensions))
        along = _SEARCHED * np.eye(q)
        return np.concatenate([np.zeros((1, q)), along, -along])


class Isotropic(Metric):
    """Euclidean distance."""

    name = "isotropic"
    by_offset = False

    def parameter_names(self, n_dimensions):
        return ()

    def distances(self, offsets, parameters):
        return np.sqrt((offsets**2).sum(axis=1))

    def derivatives(self, offsets, parameters):
        return np.empty((0, len(offsets)))

    def describe(self, parameters):
        return {}


class Axes(Metric):
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


class Rotated(Metric):
    r"""Any two orthogonal directions in the plane.

    ``M = [[a, b], [b, -a]]`` has eigenvalues ``+-rho``, ``rho = sqrt(a^2 + b^2)``, so

    ``delta^2 = cosh(rho) |h|^2 + sinh(rho)/rho (a (h_1^2 - h_2^2) + 2 b h_1 h_2)``.

    Distance counts most, so that correlation falls fastest, in the direction
    ``atan2(b, a) / 2``; ranges differ by the factor ``exp(rho)``.
    """

    name = "rotated"
    dimensions = (2,)
    reflects = False

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


_METRICS = {metric.name: metric for metric in (Isotropic(), Axes(), Rotated())}


def names(dimensions: int | None = None) -> list[str]:
    """Names of the metrics that ``metric=`` accepts, of all or for so many dimensions."""
    return [
        name
        for name, metric in _METRICS.items()
        if dimensions is None or dimensions in metric.dimensions
    ]


def get(name: str) -> Metric:
    """The metric of that name (one of :func:`names`)."""
    return _METRICS[name]

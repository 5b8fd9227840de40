r"""Where locations are: in the plane, on axes that close, or on the earth.

A space gives every axis of coordinates its place in a Euclidean space, the *embedding*, and
distances are taken there, straight through (*chordal*).  A decay that is a covariance in the
embedding's dimension is one here, too, which great circles and arcs do not grant (Gneiting,
"Strictly and non-strictly positive definite functions on spheres", Bernoulli 19, 2013).  A closed
axis of circumference ``P`` becomes a circle, on which an offset ``h`` has the chord

``P / pi * |sin(pi h / P)|``,

and a place on the earth a point of a sphere.  At short range a chord is all but the arc: it falls
short by 1 % at an angle of 28 degrees (3,100 km on the earth), by 10 % at 90 degrees.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

#: Mean radius of the earth in km: (2a + b) / 3 of the ellipsoid GRS 80 (Moritz, "Geodetic
#: Reference System 1980", Journal of Geodesy 74, 2000).
EARTH_RADIUS = 6371.0088

#: Latitudes may exceed 90 degrees by rounding.
_ROUNDING = 1e-9

#: Numbers in a temporary array (32 MB).
_CHUNK_VALUES = 2**22

#: Convex hulls in more dimensions have too many facets to be of use.
_MOST_DIMENSIONS = 3


class Space(ABC):
    """What the rest of the package asks of a space.

    Attributes
    ----------
    name : str
        As a user would have chosen it.
    is_flat : bool
        Whether offsets are differences of coordinates.
    has_axes : bool
        Whether axes of coordinates are directions of the space, so that grids have reflections and
        metrics can differ by axis.
    circumferences : tuple of float or None
        Of each axis that closes.
    """

    name: str
    circumferences: tuple[float | None, ...] = ()
    is_flat = False
    has_axes = True

    @abstractmethod
    def check(self, coordinates: np.ndarray) -> None:
        """Raise ValueError, by name, for coordinates (p, d) that do not lie in this space."""

    def check_each(self, coordinates: np.ndarray) -> None:
        """Raise ValueError, by row, for a place that does not lie in this space."""
        return None

    @abstractmethod
    def axes(self, coordinates: np.ndarray) -> list[np.ndarray]:
        """The embedding of coordinates (p, d): for each of its axes, (p, 1), or (p, 2) a circle."""

    def embedded(self, coordinates: np.ndarray) -> np.ndarray:
        """Points whose Euclidean distances are the distances here, shape (p, D)."""
        return np.hstack(self.axes(coordinates))

    def offsets(self, ones: np.ndarray, others: np.ndarray) -> np.ndarray:
        """What lies between pairs of locations (m, d) along each axis of the embedding (m, k).

        Chords of closed axes have no sign.
        """
        pairs = zip(self.axes(ones), self.axes(others), strict=True)
        parts = [one - other for one, other in pairs]
        return np.stack(
            [p[:, 0] if p.shape[1] == 1 else np.sqrt((p**2).sum(axis=1)) for p in parts], axis=1
        )

    def extents(self, coordinates: np.ndarray) -> np.ndarray:
        """The largest offset along each axis of the embedding, shape (k,)."""
        return np.array([diameter(axis) for axis in self.axes(coordinates)])


class Plane(Space):
    """Coordinates as they are, in 1, 2 or 3 dimensions."""

    name = "plane"
    is_flat = True

    def check(self, coordinates):
        return None

    def axes(self, coordinates):
        return [column[:, None] for column in coordinates.T]

    def offsets(self, ones, others):
        return ones - others

    def extents(self, coordinates):
        extents = np.ptp(coordinates, axis=0)
        return np.where(extents > 0, extents, 1.0)


class ClosedAxes(Space):
    """Axes of which some close: hours of a day, directions, a ring of sensors.

    Parameters
    ----------
    circumferences : sequence of float or None
        Of each axis, in the unit of the coordinates; None for an open one.
    """

    name = "period"

    def __init__(self, circumferences: Sequence[float | None]):
        self.circumferences = tuple(circumferences)

    def check(self, coordinates):
        d = coordinates.shape[1]
        if len(self.circumferences) != d:
            raise ValueError(
                f"period has {len(self.circumferences)} entries, coordinates have {d} axes; give "
                "one number or None for each axis"
            )
        for axis, (values, P) in enumerate(
            zip(coordinates.T, self.circumferences, strict=True), start=1
        ):
            if P is not None and np.ptp(values) >= P:
                raise ValueError(
                    f"period={P:g} of axis {axis}: coordinates run from {values.min():g} to "
                    f"{values.max():g}, once round or more; a period exceeds what the axis spans "
                    "(m places one unit apart close after m units)"
                )

    def axes(self, coordinates):
        found = []
        for values, P in zip(coordinates.T, self.circumferences, strict=True):
            if P is None:
                found.append(values[:, None])
            else:
                angle = 2 * np.pi * values / P
                found.append(P / (2 * np.pi) * np.stack([np.cos(angle), np.sin(angle)], axis=1))
        return found

    def offsets(self, ones, others):
        """By the formula of the chord, which loses no digits."""
        offsets = ones - others
        for axis, P in enumerate(self.circumferences):
            if P is not None:
                # Reduced first: what lies a whole turn apart is one place, exactly.
                turns = np.remainder(offsets[:, axis], P) / P
                offsets[:, axis] = P / np.pi * np.abs(np.sin(np.pi * np.minimum(turns, 1 - turns)))
        return offsets


class Sphere(Space):
    """Longitude and latitude in degrees on a spherical earth; lengths in km."""

    name = "sphere"
    has_axes = False

    def check(self, coordinates):
        if coordinates.shape[1] != 2:
            raise ValueError(
                "space='sphere' needs coordinates of 2 columns, longitude and latitude in degrees, "
                f"got {coordinates.shape[1]}"
            )
        self.check_each(coordinates)
        if len(coordinates) > 1 and np.ptp(self.embedded(coordinates), axis=0).max() < (
            _ROUNDING * EARTH_RADIUS
        ):
            raise ValueError("space='sphere': coordinates are all on one spot of the earth")

    def check_each(self, coordinates):
        latitude = coordinates[:, 1]
        bad = np.flatnonzero(np.abs(latitude) > 90 + _ROUNDING)
        if bad.size:
            raise ValueError(
                f"space='sphere': coordinates row {bad[0]} has latitude {latitude[bad[0]]:g}; "
                "columns are longitude, then latitude from -90 to 90 degrees"
            )

    def axes(self, coordinates):
        longitude, latitude = np.radians(coordinates.T)
        along = np.cos(latitude)
        points = (along * np.cos(longitude), along * np.sin(longitude), np.sin(latitude))
        return [EARTH_RADIUS * column[:, None] for column in points]


PLANE, SPHERE = Plane(), Sphere()


def of(space: str, period, n_axes: int) -> Space:
    """The space that the options `space` and `period` describe.

    Parameters
    ----------
    space : {"plane", "sphere"}
    period : float, sequence of float or None, or None
        One number holds for every axis.
    n_axes : int
        Columns of the coordinates.
    """
    if space == Sphere.name:
        return SPHERE
    if period is None:
        return PLANE
    periods = [period] * n_axes if np.isscalar(period) else list(period)
    return PLANE if periods == [None] * n_axes else ClosedAxes(periods)


def diameter(points: np.ndarray) -> float:
    """The largest distance between points (p, D); 1 where all are one spot.

    It is that of two corners of their convex hull; distances between corners are taken some rows at
    a time.
    """
    centred = points - points.mean(axis=0)
    _, extents, axes = np.linalg.svd(centred, full_matrices=False)
    rank = int((extents > 1e-12 * max(extents.max(initial=0), 1e-300)).sum())
    if rank == 0:
        return 1.0
    points = centred @ axes[:rank].T
    if rank == 1:
        return float(np.ptp(points))
    if rank <= _MOST_DIMENSIONS:
        with suppress(QhullError):  # of too few points, or all but in a plane, each may be a corner
            points = points[ConvexHull(points).vertices]
    step = max(_CHUNK_VALUES // len(points), 1)
    starts = range(0, len(points), step)
    return float(max(cdist(points[a : a + step], points).max() for a in starts))

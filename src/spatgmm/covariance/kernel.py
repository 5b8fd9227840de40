"""The part of a covariance that falls with distance: a decay under a metric.

``K(shape)`` falls from 1 for the same place to 0 at the largest distance; its shape holds the
parameters of decay and metric.  Everything here is evaluated at the distinct offsets of a geometry,
not at all pairs of locations.
"""

from __future__ import annotations

import numpy as np

from spatgmm.covariance.decay import Decay
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.metric import Curve, Isotropic, Metric, Pairs

#: Relative step of the numerical second derivatives.
_STEP = 1e-4


class Kernel:
    """``K(shape)`` over a set of locations.

    Parameters
    ----------
    geometry : Geometry
        Keyed by offset where the metric asks for it.
    decay : Decay
    metric : Metric

    Attributes
    ----------
    parameter_names : tuple of str
    lower, upper : ndarray of shape (q,)
        Bounds of the shape parameters.
    """

    def __init__(self, geometry: Geometry, decay: Decay, metric: Metric | None = None):
        self.geometry = geometry
        self.decay = decay
        self.metric = Isotropic() if metric is None else metric
        self.parameter_names = self.metric.names(decay, geometry.offsets.shape[1])
        self.lower, self.upper = self.metric.bounds(decay, geometry)

    @property
    def held(self) -> np.ndarray:
        """Which parameters of a shape are not free to vary."""
        return self.lower == self.upper

    @property
    def n_decays(self) -> int:
        """How many decays ``Xi = a1*J + a2*(D_1 + D_2 + ...) + a3*I`` adds."""
        return self.metric.n_decays(self.geometry.offsets.shape[1])

    @property
    def curves(self) -> list[Curve]:
        """The decays in a shape."""
        return self.metric.curves(self.decay, self.geometry)

    @property
    def of_decays(self) -> slice:
        """Places of the decays' parameters in a shape; those of the metric follow."""
        return slice(0, self.curves[-1].places.stop)

    def check_first(self, first: float | None) -> None:
        """Refuse a start of the decay's first parameter that is outside its bounds."""
        if first is not None and not self.lower[0] <= first <= self.upper[0]:
            raise ValueError(
                f"beta_init={first:g} is outside the bounds of {self.parameter_names[0]} for decay "
                f"{self.decay.name!r} at these coordinates, {self.lower[0]:.3g} to "
                f"{self.upper[0]:.3g}"
            )

    def value(self, shape: np.ndarray) -> np.ndarray:
        """``K`` at the geometry's offsets, shape (m,)."""
        return 1 - self.metric.lost(self.decay, self.geometry, shape)

    def between(self, ones: np.ndarray, others: np.ndarray, shape: np.ndarray) -> np.ndarray:
        """``K`` between pairs of any places (m, d), shape (m,)."""
        geometry = self.geometry
        offsets = geometry.space.offsets(ones, others) / geometry.unit
        pairs = Pairs(
            np.sqrt((offsets**2).sum(axis=1)),
            offsets,
            geometry.extents,
            geometry.unit,
            geometry.smallest_distance,
        )
        return 1 - self.metric.lost(self.decay, pairs, shape)

    def derivatives(self, shape: np.ndarray) -> np.ndarray:
        """``dK/dshape``, shape (q, m)."""
        return -self.metric.lost_slopes(self.decay, self.geometry, shape)

    def second_derivatives(self, shape: np.ndarray) -> np.ndarray:
        """``d2K/dshape2``, shape (q, q, m), by central differences of the first."""
        rows = []
        for j, value in enumerate(shape):
            step = _STEP * max(abs(value), 0.1)
            ahead, behind = (np.array(shape, dtype=float) for _ in range(2))
            ahead[j] += step
            behind[j] -= step
            rows.append((self.derivatives(ahead) - self.derivatives(behind)) / (2 * step))
        second = np.array(rows)
        return (second + second.transpose(1, 0, 2)) / 2

    def reach(self, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest shape that one scoring step may go to, within the bounds."""
        lower, upper = self.metric.reach(self.decay, np.asarray(shape, dtype=float))
        return np.maximum(lower, self.lower), np.minimum(upper, self.upper)

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Shapes (k, q) for the global search, and which of them lie between their neighbours.

        See :meth:`spatgmm.covariance.decay.Decay.grid`.
        """
        return self.metric.grid(self.decay, self.geometry)

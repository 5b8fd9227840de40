"""The part of a covariance that falls with distance: a decay of a distance under a metric.

``K(shape)_jk = 1 - s(delta_jk)`` falls from 1 for the same place to 0 at the largest distance; its
shape parameters are those of the decay, then those of the metric.  Everything here is evaluated at
the distinct offsets of a geometry, not at all pairs of locations.
"""

from __future__ import annotations

import numpy as np

from spatgmm.covariance.decay import Decay
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.metric import Isotropic, Metric

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
        self._n_dimensions = d = geometry.coordinates.shape[1]
        self._n_decay = len(decay.parameter_names)
        self.parameter_names = (*decay.parameter_names, *self.metric.parameter_names(d))
        bounds = (decay.bounds(geometry.smallest_distance), self.metric.bounds(d))
        self.lower, self.upper = map(np.concatenate, zip(*bounds, strict=True))

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
        of_decay, of_metric = self._split(shape)
        return 1 - self.decay.value(self._delta(of_metric), of_decay)

    def derivatives(self, shape: np.ndarray) -> np.ndarray:
        """``dK/dshape``, shape (q, m)."""
        of_decay, of_metric = self._split(shape)
        delta = self._delta(of_metric)
        by_decay = -self.decay.derivatives(delta, of_decay)
        if not len(of_metric):
            return by_decay
        # dK/dm = -ds/ddelta * (d delta^2/dm) / (2 delta); at delta = 0 nothing moves.
        slope = self.decay.slope(delta, of_decay) / (2 * np.where(delta > 0, delta, np.inf))
        by_metric = -slope * self.metric.derivatives(self.geometry.offsets, of_metric)
        return np.concatenate([by_decay, by_metric])

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
        of_decay, of_metric = self._split(shape)
        reaches = (self.decay.reach(of_decay), self.metric.reach(of_metric))
        lower, upper = map(np.concatenate, zip(*reaches, strict=True))
        return np.maximum(lower, self.lower), np.minimum(upper, self.upper)

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Shapes (k, q) for the global search, and which of them lie between their neighbours.

        See :meth:`spatgmm.covariance.decay.Decay.grid`.  Stretched metrics go with every other
        decay only.
        """
        decays, between = self.decay.grid(self.geometry.smallest_distance)
        isotropic, *stretched = self.metric.grid(self._n_dimensions)
        shapes = [np.append(decay, isotropic) for decay in decays]
        shapes += [np.append(decay, metric) for metric in stretched for decay in decays[::2]]
        further = np.zeros(len(shapes) - len(decays), dtype=bool)
        return np.array(shapes), np.concatenate([between, further])

    def _split(self, shape):
        shape = np.asarray(shape, dtype=float)
        return shape[: self._n_decay], shape[self._n_decay :]

    def _delta(self, of_metric):
        if not self.metric.by_offset:
            return self.geometry.delta
        return self.metric.distances(self.geometry.offsets, of_metric)

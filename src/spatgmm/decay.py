"""How covariance falls with distance.

A decay is one small object: a function ``s(delta; beta)`` that rises from 0 at scaled distance
0 to 1 at distance 2, its derivatives with respect to ``beta``, and the interval of ``beta`` in
which the data can identify it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from spatgmm.geometry import MAX_DISTANCE


class Decay(Protocol):
    """What the rest of the package asks of a decay."""

    name: str
    formula: str

    def value(self, delta: np.ndarray, beta: float) -> np.ndarray:
        """``s(delta; beta)``, same shape as `delta`."""

    def derivatives(self, delta: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
        """First and second derivative of ``s`` with respect to ``beta``."""

    def bounds(self, smallest_distance: float) -> tuple[float, float]:
        """The interval of ``beta`` that locations this far apart can identify."""


class Sigmoid:
    r"""The paper's sigmoid decay, with fixed shift 3.

    .. math:: s(\delta; \beta) = \frac{\mathrm{expit}(\beta\delta - 3) - \mathrm{expit}(-3)}
                                     {\mathrm{expit}(2\beta - 3) - \mathrm{expit}(-3)}

    Differences of expits are computed as ``expit(x - 3) - expit(-3) = expit(x - 3)
    (1 - exp(-x)) expit(3)``, which loses no digits as ``beta`` falls to 0, where the sigmoid
    becomes the straight line ``delta / 2``.

    References
    ----------
    Lu et al., "Spatial Covariance Constraints for Gaussian Mixture Models", arXiv 2601.07979.
    """

    name = "sigmoid"
    formula = "[expit(beta*delta - 3) - expit(-3)] / [expit(2*beta - 3) - expit(-3)]"
    shift = 3.0
    #: Below this the sigmoid is a straight line to 4 digits.
    smallest_beta = 1e-3

    def value(self, delta: np.ndarray, beta: float) -> np.ndarray:
        return self._rise(beta * delta) / self._rise(beta * MAX_DISTANCE)

    def derivatives(self, delta: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
        delta = np.asarray(delta, dtype=float)
        # Where delta = 0, s is 0 for every beta; a dummy distance keeps the logarithms finite.
        at = np.where(delta > 0, delta, MAX_DISTANCE)
        s = np.where(delta > 0, self.value(at, beta), 0.0)
        # s = rise(beta*delta) / rise(2*beta), so d log s/dbeta = delta h(beta*delta) - 2 h(2*beta).
        h, dh = self._log_rise_derivatives(beta * at)
        h_end, dh_end = self._log_rise_derivatives(beta * MAX_DISTANCE)
        first = at * h - MAX_DISTANCE * h_end
        second = at**2 * dh - MAX_DISTANCE**2 * dh_end
        return s * first, s * (first**2 + second)

    def bounds(self, smallest_distance: float) -> tuple[float, float]:
        """From a straight line to a decay that is half over at the nearest neighbour.

        Beyond the upper bound ``D`` is collinear with ``J`` and ``I`` and nothing identifies
        ``beta``.
        """

        def excess(beta: float) -> float:
            return float(self.value(np.asarray(smallest_distance), beta)) - 0.5

        # At beta = 2 * shift / distance the decay is past its inflection, so past one half.
        largest = 2 * self.shift / smallest_distance
        if excess(self.smallest_beta) >= 0 or excess(largest) <= 0:
            return self.smallest_beta, largest
        return self.smallest_beta, brentq(excess, self.smallest_beta, largest)

    def _rise(self, x):
        """``(expit(x - shift) - expit(-shift)) / expit(shift)``."""
        return expit(x - self.shift) * -np.expm1(-x)

    def _log_rise_derivatives(self, x):
        """First and second derivative of ``log rise(x)``."""
        fall = expit(self.shift - x)
        inverse = 1 / np.expm1(np.minimum(x, 700.0))  # 700: expm1 overflows past 709
        return fall + inverse, -fall * (1 - fall) - inverse * (1 + inverse)


_DECAYS = {decay.name: decay for decay in (Sigmoid(),)}


def names() -> list[str]:
    """Names of the decays that ``decay=`` accepts."""
    return list(_DECAYS)


def get(name: str) -> Decay:
    """The decay of that name.

    Raises
    ------
    ValueError
        If there is none; the message lists those that exist.
    """
    if name not in _DECAYS:
        raise ValueError(f"decay: unknown decay {name!r}; known are {', '.join(names())}")
    return _DECAYS[name]

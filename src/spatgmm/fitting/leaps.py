"""Leaps ahead of a creeping EM: Anderson acceleration of a mixture's parameters.

Where components overlap, EM gains little by little in the same direction.  A leap extrapolates the
last steps; :func:`spatgmm.fitting.em.run` refuses one that lowers the log-likelihood, which a plain
step cannot, so that the trace is monotone with leaps as without.
"""

from __future__ import annotations

from spatgmm.common.anderson import Anderson
from spatgmm.fitting.state import Mixture

#: Leaping while the clusters still form can lead to another, worse, optimum: plain steps until one
#: gains less than this, in units of the log-likelihood.
_SETTLED = 1.0

#: Plain steps where a leap gained next to nothing: only they tell whether EM has converged.
_PLAIN_STEPS = 4


class NoLeaps:
    """Plain steps only."""

    def propose(self, mixture: Mixture, step: Mixture) -> Mixture | None:
        """A mixture beyond `step`, which is EM's update of `mixture`; None for a plain step."""
        return None

    def accepted(self, gain: float) -> None:
        """The leap was taken, and gained that much."""

    def refused(self) -> None:
        """The leap led downhill."""

    def plain(self, gain: float) -> None:
        """A plain step was taken, and gained that much."""


class Leaps(NoLeaps):
    """When to leap, and where to.

    Parameters
    ----------
    n_maps : int
    tol : float
        A leap that gains less may have arrived.
    """

    def __init__(self, n_maps: int, tol: float):
        self._n_maps = n_maps
        self._tol = tol
        self._settled = False
        self._plain_left = 0
        self._anderson: Anderson | None = None

    def propose(self, mixture, step):
        if not self._settled:
            return None
        flat = mixture.flat()
        if self._anderson is None:
            self._anderson = Anderson(flat.size)
        self._anderson.remember(flat, step.flat())
        if self._plain_left:
            self._plain_left -= 1
            return None
        leap = step.from_flat(self._anderson.extrapolate(step.sensitivity(self._n_maps)))
        if leap is None:
            self._anderson.refused()
        return leap

    def accepted(self, gain):
        self._anderson.accepted()
        if gain < self._tol:
            self._plain_left = _PLAIN_STEPS

    def refused(self):
        self._anderson.refused()

    def plain(self, gain):
        self._settled |= gain < _SETTLED

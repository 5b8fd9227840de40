"""Anderson acceleration of a map that is iterated to its fixed point, such as an EM iteration.

Walker and Ni, "Anderson acceleration for fixed-point iterations", SIAM J. Numer. Anal. 49 (2011).
It knows nothing of likelihoods: whoever iterates refuses an extrapolation that leads downhill.
"""

from __future__ import annotations

import numpy as np

#: Pairs of an iterate and its update that are remembered.
_MEMORY = 8

#: On the unit diagonal of the normal equations: remembered steps may be all but parallel.
_RIDGE = 1e-12


class Anderson:
    """Extrapolation from the last few pairs of an iterate and its EM update.

    Parameters
    ----------
    size : int
        Number of parameters, one flat array.
    """

    def __init__(self, size: int):
        self._residual_steps = np.empty((_MEMORY, size))
        self._update_steps = np.empty((_MEMORY, size))
        self._count = 0
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        # How far beyond the EM update the last extrapolation went, and the next may go, in
        # lengths of the EM step.
        self._reach = 0.0
        self._farthest = np.inf

    def remember(self, iterate: np.ndarray, update: np.ndarray) -> None:
        residual = update - iterate
        if self._last is not None:
            slot = self._count % _MEMORY
            np.subtract(residual, self._last[0], out=self._residual_steps[slot])
            np.subtract(update, self._last[1], out=self._update_steps[slot])
            self._count += 1
        self._last = (residual, update)

    def extrapolate(self, metric: np.ndarray) -> np.ndarray:
        """Where the residuals' least-squares mix would vanish, in units given by ``metric``."""
        assert self._last is not None, "nothing to extrapolate from"
        residual, update = self._last
        self._reach = 0.0
        used = min(self._count, _MEMORY)
        if used == 0:
            return update
        steps = self._residual_steps[:used] * metric
        measured = residual * metric
        gram = steps @ steps.T
        # Scaled to a unit diagonal, since the steps shrink by orders of magnitude on the way.
        scale = np.sqrt(gram.diagonal())
        length = np.sqrt(measured @ measured)
        if length == 0 or not scale.all():
            return update
        gram /= scale[:, None] * scale
        gram.flat[:: used + 1] += _RIDGE
        mix = np.linalg.solve(gram, (steps @ measured) / scale) / scale
        jump = mix @ self._update_steps[:used]
        measured_jump = jump * metric
        self._reach = np.sqrt(measured_jump @ measured_jump) / length
        if self._reach == 0:
            return update
        if measured @ (measured - measured_jump) <= 0:
            # The residuals grow: EM is leaving a saddle, and the mix would lead back to it.
            jump = -self._reach * residual
        shrink = min(1.0, self._farthest / self._reach)
        self._reach *= shrink
        return update - shrink * jump

    def accepted(self) -> None:
        if self._reach > 0:
            self._farthest *= 4

    def refused(self) -> None:
        """Forget the steps that misled, and go less far beyond the EM update next time."""
        self._farthest = self._reach / 4
        self._count, self._last = 0, None

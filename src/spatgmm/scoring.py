"""The default M-step for a covariance: Fisher scoring inside the positive-definite cone.

The paper's GLS step is one Fisher-scoring step for the three coefficients alone.  Here all four
parameters move together, the step stays inside the cone and inside the bounds of beta, and it is
halved until the objective falls: with it EM is a generalised EM algorithm, so the observed
log-likelihood never falls.
"""

from __future__ import annotations

import numpy as np

from spatgmm import search
from spatgmm.covariance import BETA, FactoredCovariance, SpatialCovariance
from spatgmm.em import Blocks, Mixture, starting_mixture

#: Halvings of a step before the old parameters are kept.
_MAX_HALVINGS = 12

#: Largest change of log(beta) in one step; the quadratic model is not trusted further.
_MAX_LOG_BETA_STEP = 1.0

#: Smallest |tau|, in units of the data's variance: at 0 beta would vanish from the model.
_SMALLEST_TAU = 1e-6

#: Iterations in a row whose extrapolation must be within the tolerance.
_AGREEING = 3

#: A gain below this, relative to the log-likelihood, is rounding.
_ROUNDING = 1e-14

#: Directions in which the scaled information is smaller than this are left alone.
_SINGULAR = 1e-11


class Scoring:
    """The solver ``"scoring"``.

    Parameters
    ----------
    beta_init : float or None
        Where beta starts; None: the best of a grid, for each component.
    """

    may_fall = False

    def __init__(self, beta_init: float | None = None):
        self.beta_init = beta_init

    def start(
        self, maps: Blocks, responsibilities: np.ndarray, family: SpatialCovariance, mean: str
    ) -> Mixture:
        """Covariances that suit the responsibilities at the starting beta."""
        betas = None if self.beta_init is None else [self.beta_init]
        thetas = search.profile(maps, family, responsibilities, betas)
        return starting_mixture(maps, responsibilities, thetas, family, mean)

    def update(self, covariance: FactoredCovariance, scatter: Blocks) -> FactoredCovariance:
        """One scoring step for ``log |Xi| + tr(Xi^-1 S)``, never uphill.

        Parameters
        ----------
        covariance : FactoredCovariance
            The component's present covariance.
        scatter : list of ndarray
            Its scatter matrix ``S`` about the new mean, block by block.

        Returns
        -------
        FactoredCovariance
            The new covariance, or the present one where no step improves it.
        """
        family = covariance.family
        score, information = covariance.score_and_information(scatter)
        step = _step(covariance.theta, score, information, family.beta_bounds)
        present = covariance.objective(scatter)
        for _ in range(_MAX_HALVINGS):
            trial = family.at(_project(covariance.theta + step, family.beta_bounds))
            if trial is not None and trial.objective(scatter) <= present:
                return trial
            step = step / 2
        return covariance

    def empty(self, covariance: FactoredCovariance, component: int) -> FactoredCovariance:
        """A component without maps keeps its covariance; the estimator reports it."""
        return covariance

    def has_converged(self, trace: list[float], tol: float) -> bool:
        """Whether the log-likelihood is within `tol` of its limit, by Aitken's extrapolation.

        EM converges linearly: with gains falling by the factor ``r``, ``gain * r / (1 - r)`` is
        still to come, which for a slow EM is far more than the last gain.  The first gains fall
        fast and hide a slow direction behind them, so several in a row have to agree.
        """
        gains = np.diff(trace[-_AGREEING - 2 :])
        if gains.size and gains[-1] <= _ROUNDING * abs(trace[-1]):
            return True
        if gains.size < _AGREEING + 1 or (gains <= 0).any():
            return False
        rates = gains[1:] / gains[:-1]
        to_come = np.where(rates < 1, gains[1:] * rates / np.maximum(1 - rates, 1e-300), np.inf)
        return bool((gains[1:] < tol).all() and (to_come < tol).all())


def _step(theta, score, information, beta_bounds) -> np.ndarray:
    """``F^-1 g`` in ``(c, tau, nu, beta)``, the step of beta within its bounds and its limit.

    Where that cuts beta's step short, the others go where the quadratic model is highest given
    the shorter one; cut by itself alone, the step could lead downhill.
    """
    c, tau, nu, beta = theta
    lower, upper = beta_bounds
    factor = np.exp(_MAX_LOG_BETA_STEP)
    along = _solve(score, information)
    limited = np.clip(
        along[BETA], max(beta / factor, lower) - beta, min(beta * factor, upper) - beta
    )
    if limited != along[BETA]:
        rest = _solve(score[:BETA] - information[:BETA, BETA] * limited, information[:BETA, :BETA])
        along = np.append(rest, limited)
    on_J, on_Xi, on_I, on_beta = along
    return np.array([on_J + on_Xi * c, on_Xi * tau, on_I + on_Xi * nu, on_beta])


def _solve(score, information) -> np.ndarray:
    """``F^-1 g`` with F scaled to unit diagonal, ignoring directions F does not see."""
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    seen = values > _SINGULAR * values[-1]
    coefficients = np.where(seen, vectors.T @ (score / scale), 0) / np.where(seen, values, 1)
    return vectors @ coefficients / scale


def _project(theta, beta_bounds) -> np.ndarray:
    c, tau, nu, beta = theta
    if abs(tau) < _SMALLEST_TAU:
        tau = np.copysign(_SMALLEST_TAU, tau)
    return np.array([c, tau, nu, np.clip(beta, *beta_bounds)])

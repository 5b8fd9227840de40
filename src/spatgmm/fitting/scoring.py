"""The default M-step for a covariance: Fisher scoring inside the positive-definite cone.

The paper's GLS step is one Fisher-scoring step for the three coefficients alone.  Here they and the
shape move together, the step stays inside the cone and inside the bounds of the shape, and it is
halved until the objective falls: with it EM is a generalised EM algorithm, so the observed
log-likelihood never falls.  Components that share parameters move in one step.
"""

from __future__ import annotations

import numpy as np

from spatgmm.fitting.em import Solver

#: What components may share: the coefficients alpha, the shape (beta), both.
SHARED = {"none": (), "beta": ("shape",), "alpha": ("alpha",), "all": ("alpha", "shape")}

#: Halvings of a step before the old parameters are kept.
_MAX_HALVINGS = 12

#: Iterations in a row whose extrapolation must be within the tolerance.
_AGREEING = 3

#: Gains in a row below this share of the tolerance are nothing, however slowly they fall.
_NOTHING = 1e-2

#: A gain below this, relative to the log-likelihood, is rounding.
_ROUNDING = 1e-14

#: Parameters with less information than this, relative to the largest, have no effect but rounding.
_UNSEEN = 1e-28

#: Directions in which the scaled information is smaller than this are left alone.
_SINGULAR = 1e-11


class Scoring(Solver):
    """The solver ``"scoring"``.

    Parameters
    ----------
    beta_init : float or None
        Where the decay's parameter starts; None: the best of a grid, for each component.
    """

    def __init__(self, beta_init: float | None = None):
        self.beta_init = beta_init

    def start(self, engine, maps, responsibilities, model):
        """Covariances that suit the responsibilities at the starting shape."""
        shapes = None
        if self.beta_init is not None:
            kernel = model.family.kernel
            shapes = kernel.grid()[0][:1].copy()
            shapes[0, [curve.places.start for curve in kernel.curves]] = self.beta_init
        return engine.start(maps, model, responsibilities, shapes)

    def leaps(self, model):
        # A constant mean divided by scales does not stay one under a leap.
        return model.mean.is_free or not model.scales.differ

    def update(self, covariances, moments, counts, shared, alphas):
        """One scoring step for ``sum_g n_g (log |Xi_g| + tr(Xi_g^-1 S_g))``, never uphill.

        Parameters
        ----------
        covariances : list of Covariance
            Present covariances of one component, or of all that share parameters.
        moments : list
            Each one's moments about its new mean; None where it has no maps: such a component
            keeps what it does not share.
        counts : ndarray
            Expected numbers of maps.
        shared : ndarray of bool, shape (3 + q,)
        alphas : ndarray of shape (k, 3)
            Coefficients that are held, NaN where they are free.

        Returns
        -------
        list of Covariance
            The new covariances, or the present ones where no step improves them.
        """
        there = [of_one is not None for of_one in moments]
        if not any(there):
            return covariances
        weights = np.where(there, counts, 0.0)
        weights = weights / weights.sum()
        places = _places(len(covariances), shared)
        size = places.max() + 1
        score, information = np.zeros(size), np.zeros((size, size))
        low, high = np.full(size, -np.inf), np.full(size, np.inf)
        present = 0.0
        within = [
            c.family.confined(c.theta, alpha) for c, alpha in zip(covariances, alphas, strict=True)
        ]
        for place, weight, covariance, of_one, along in zip(
            places, weights, covariances, moments, within, strict=True
        ):
            low[place], high[place] = covariance.family.step_limits(covariance.theta)
            if weight > 0:
                g, F = covariance.score_and_information(of_one)
                score[place] += weight * along.T @ g
                information[np.ix_(place, place)] += weight * along.T @ F @ along
                present += weight * covariance.objective(of_one)
        step = _bounded_step(score, information, low, high)
        for _ in range(_MAX_HALVINGS):
            trials = [
                c.family.at(c.family.holding(c.family.moved(c.theta, along @ step[place]), alpha))
                for c, place, along, alpha in zip(covariances, places, within, alphas, strict=True)
            ]
            if all(trial is not None for trial in trials):
                value = sum(
                    weight * trial.objective(of_one)
                    for weight, trial, of_one in zip(weights, trials, moments, strict=True)
                    if weight > 0
                )
                # Up to rounding, which alone would decide about the last, tiny steps.
                if value <= present + _ROUNDING * abs(present):
                    return trials
            step = step / 2
        return covariances

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
        if (gains < _NOTHING * tol).all():
            return True
        rates = gains[1:] / gains[:-1]
        to_come = np.where(rates < 1, gains[1:] * rates / np.maximum(1 - rates, 1e-300), np.inf)
        return bool((gains[1:] < tol).all() and (to_come < tol).all())


def _places(n_components: int, shared: np.ndarray) -> np.ndarray:
    """Where each component's parameters (G, size) stand among those that are free."""
    places = np.empty((n_components, len(shared)), dtype=int)
    places[:, shared] = np.arange(shared.sum())
    own = n_components * (~shared).sum()
    places[:, ~shared] = shared.sum() + np.arange(own).reshape(n_components, -1)
    return places


def _bounded_step(score, information, low, high) -> np.ndarray:
    """``F^-1 g``, no entry beyond its limits.

    Where that cuts an entry short, the others go where the quadratic model is highest given the
    shorter one; cut by itself alone, the step could lead downhill.
    """
    step, free = np.zeros(len(score)), np.ones(len(score), dtype=bool)
    for _ in range(len(score)):
        held = ~free
        step[free] = _solve(
            score[free] - information[np.ix_(free, held)] @ step[held],
            information[np.ix_(free, free)],
        )
        outside = free & ((step < low) | (step > high))
        if not outside.any():
            break
        step[outside] = np.clip(step, low, high)[outside]
        free &= ~outside
    return step


def _solve(score, information) -> np.ndarray:
    """``F^-1 g`` with F scaled to unit diagonal, ignoring directions F does not see."""
    diagonal = np.diag(information)
    scale = np.where(diagonal > _UNSEEN * diagonal.max(), np.sqrt(np.abs(diagonal)), np.inf)
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    seen = values > _SINGULAR * max(values[-1], 1e-300)
    coefficients = np.where(seen, vectors.T @ (score / scale), 0) / np.where(seen, values, 1)
    return vectors @ coefficients / scale

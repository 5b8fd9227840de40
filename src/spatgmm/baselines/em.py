"""The baselines' EM loop: Anderson acceleration, guarded so that the likelihood never falls.

EM for factor analyzers and for flip-flop covariances creeps: thousands of iterations are common.
Anderson acceleration extrapolates from the last few iterates to where the map would stand still.
An extrapolation that lowers the log-likelihood is thrown away for the plain EM step, which
cannot, so the trace is monotone whatever the acceleration does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spatgmm.common.anderson import Anderson

# Extrapolating while the clusters still form can jump into another, often worse, optimum: plain EM
# until one step gains less than this, in units of the total log-likelihood, or for so many steps.
SETTLED = 1.0
LONGEST_SETTLING = 60
# Of several starts: iterations from each, and how many of the best are finished.
TRIAL_ITERATIONS = 40
N_FINISHED = 3


@dataclass(frozen=True)
class EMResult:
    """Where the loop stopped: parameters, and the log-likelihood at every accepted iterate."""

    parameters: np.ndarray
    trace: np.ndarray
    n_iter: int
    converged: bool

    @property
    def log_likelihood(self) -> float:
        return float(self.trace[-1])


def pack(*parts: np.ndarray) -> np.ndarray:
    """One flat array of all parameters."""
    return np.concatenate([part.ravel() for part in parts])


def posterior(log_joint: np.ndarray) -> tuple[np.ndarray, float]:
    """Responsibilities (G, n) and the log-likelihood, from ``log(pi_g) + log f_g(x)``."""
    top = log_joint.max(axis=0)
    share = np.exp(log_joint - top)
    total = share.sum(axis=0)
    share /= total
    return share, float(top.sum() + np.log(total).sum())


def _aitken_gap(before: float, middle: float, now: float) -> float:
    """How far ``now`` is from the limit of three values of a plain EM sequence (Aitken)."""
    gain, previous = now - middle, middle - before
    return gain * gain / (previous - gain) if gain < previous else np.inf


def _attempt(step, repair, candidate):
    """The step at extrapolated parameters, which may lie anywhere; -inf where it cannot be."""
    with np.errstate(all="ignore"):
        try:
            candidate = repair(candidate)
            return candidate, step(candidate)
        except np.linalg.LinAlgError:
            return candidate, (-np.inf, candidate)


def run_em(
    step: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    tol: float,
    max_iter: int,
    metric: Callable[[np.ndarray], np.ndarray],
    repair: Callable[[np.ndarray], np.ndarray],
) -> EMResult:
    """Climb from ``start`` until Aitken's estimate of what is left to gain is below ``tol``.

    Parameters
    ----------
    step : callable
        ``step(parameters) -> (log-likelihood at parameters, EM update of parameters)``, where
        the update's log-likelihood is never lower. Parameters are one flat, unconstrained array.
    start : ndarray
        First parameters.
    tol : float
        Absolute, in units of the total log-likelihood. Aitken's estimate is only taken over two
        plain EM steps in a row, since it means nothing for extrapolated ones.
    max_iter : int
        Largest number of calls of ``step``, rejected extrapolations included.
    metric : callable
        ``metric(parameters)``: how much a unit of each parameter weighs; roughly the root of its
        Fisher information. Extrapolation lives on it where a variance nears zero.
    repair : callable
        Brings extrapolated parameters back into the model's parameter space.
    """
    parameters = start
    log_likelihood, update = step(parameters)
    trace = [log_likelihood]
    n_iter, converged = 1, False
    anderson = Anderson(start.size)
    settled, plain_left = False, 0
    # The trace's last values that plain steps joined, for Aitken.
    plain_run = [log_likelihood]
    while n_iter < max_iter and not converged:
        anderson.remember(parameters, update)
        accelerated = settled and plain_left == 0
        if accelerated:
            candidate, found = _attempt(step, repair, anderson.extrapolate(metric(parameters)))
            n_iter += 1
            # Not "<": a NaN must be refused too.
            if found[0] >= log_likelihood:
                anderson.accepted()
            else:
                anderson.refused()
                accelerated = False
                if n_iter == max_iter:
                    break
        if not accelerated:
            plain_left = max(plain_left - 1, 0)
            candidate = update
            found = step(candidate)
            n_iter += 1
        gain = found[0] - log_likelihood
        # Rounding: two evaluations of the same sum differ in their last digits.
        noise = 1e-13 * abs(log_likelihood)
        if not gain >= 0:
            # Up to rounding the update is as good as the iterate, and nothing is left to gain;
            # a real loss is a numerical failure. Either way the best iterate is kept.
            converged = gain > -max(noise, tol)
            break
        parameters, (log_likelihood, update) = candidate, found
        trace.append(log_likelihood)
        settled = settled or gain < SETTLED or n_iter >= LONGEST_SETTLING
        plain_run = [log_likelihood] if accelerated else [*plain_run[-2:], log_likelihood]
        if len(plain_run) == 3:
            converged = gain <= noise or _aitken_gap(*plain_run) < tol
        elif gain < tol and plain_left == 0:
            plain_left = 2
    return EMResult(parameters, np.array(trace), n_iter, converged)


def run_best(
    step: Callable[[np.ndarray], tuple[float, np.ndarray]],
    starts: list[np.ndarray],
    tol: float,
    max_iter: int,
    metric: Callable[[np.ndarray], np.ndarray],
    repair: Callable[[np.ndarray], np.ndarray],
    sound: Callable[[np.ndarray], bool],
) -> EMResult:
    """The best of several starts: some iterations from all, then to the end from the best few.

    The start that is ahead early need not finish first, so several are finished. Results that
    are not ``sound(parameters)`` come last whatever their log-likelihood.
    """

    def rank(result: EMResult) -> tuple[bool, float]:
        return sound(result.parameters), result.log_likelihood

    if len(starts) == 1:
        return run_em(step, starts[0], tol, max_iter, metric, repair)
    trial_length = min(TRIAL_ITERATIONS, max_iter)
    trials = [run_em(step, start, tol, trial_length, metric, repair) for start in starts]
    finished = []
    for trial in sorted(trials, key=rank, reverse=True)[:N_FINISHED]:
        left = max_iter - trial.n_iter
        if trial.converged or left < 1:
            finished.append(trial)
            continue
        rest = run_em(step, trial.parameters, tol, left, metric, repair)
        trace = np.concatenate([trial.trace, rest.trace[1:]])
        n_iter = trial.n_iter + rest.n_iter
        finished.append(EMResult(rest.parameters, trace, n_iter, rest.converged))
    return max(finished, key=rank)

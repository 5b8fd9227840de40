"""EM for any mixture: one loop with guarded leaps, and the choice among several starts.

EM creeps: where components overlap, or a covariance has many parameters, thousands of iterations
that gain little by little in the same direction are common. A leap (Anderson acceleration,
:mod:`spatgmm.common.anderson`) extrapolates the last steps. One that lowers the log-likelihood,
which a plain step cannot, is refused, so that the trace is monotone with leaps as without.

To use it, write a :class:`Problem`: what the parameters are and how data move them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from spatgmm.common.agreement import distinct
from spatgmm.common.anderson import Anderson

#: A model's parameters: whatever its :class:`Problem` makes of them.
P = TypeVar("P")

#: Leaping while the clusters still form can lead to another, often worse, optimum: plain steps
#: until one gains less than this, in units of the total log-likelihood.
_SETTLED = 1.0

#: Two evaluations of the same log-likelihood differ by this share of it.
_ROUNDING = 1e-13


class StartError(ArithmeticError):
    """EM cannot go on from this start; another one may do."""


@dataclass(frozen=True, eq=False)
class Expectation:
    """An E-step. Problems add what else their M-step needs of it."""

    #: Total, natural logarithm.
    log_likelihood: float

    #: Posterior probabilities of the components, (n, G).
    responsibilities: np.ndarray


def posterior(log_joint: np.ndarray) -> tuple[float, np.ndarray]:
    """Log-likelihood and responsibilities (n, G), from ``log(pi_g) + log f_g(x_i)`` (n, G)."""
    top = log_joint.max(axis=1, keepdims=True)
    share = np.exp(log_joint - top)
    total = share.sum(axis=1, keepdims=True)
    share /= total
    return float(top.sum() + np.log(total).sum()), share


class Problem(ABC, Generic[P]):
    """A mixture and its data, as the loop sees them."""

    #: Whether the loop may leap ahead of EM's steps.
    leaps = True

    #: Whether the log-likelihood is let fall, since steps are no EM steps. Then `has_converged`
    #: is the problem's own affair.
    may_fall = False

    #: After so many plain steps leaps begin, whatever the steps still gain.
    longest_settling = np.inf

    #: Plain steps after a leap that gained next to nothing: only they tell what is left to gain.
    plain_steps = 2

    @abstractmethod
    def expectation(self, parameters: P) -> Expectation:
        """The E-step."""

    @abstractmethod
    def maximisation(self, parameters: P, expected: Expectation) -> P:
        """EM's update of parameters, given their own E-step. They themselves stay as they are.

        Raises
        ------
        StartError
            If the model does not allow for what became of the components.
        """

    @abstractmethod
    def flat(self, parameters: P) -> np.ndarray:
        """All parameters as one array that may be moved freely, or nearly so."""

    @abstractmethod
    def from_flat(self, flat: np.ndarray, like: P) -> P | None:
        """The parameters at (or, where the model ends, near) a moved array; None if there are none.

        ``like`` are parameters of the same shapes. A ``LinAlgError`` counts as None.
        """

    @abstractmethod
    def metric(self, parameters: P) -> np.ndarray:
        """How much a unit of each entry of `flat` weighs, roughly the root of its information.

        Extrapolation lives on it where a variance nears zero.
        """

    def sound(self, parameters: P, expected: Expectation) -> bool:
        """Whether the log-likelihood there means anything; starts that end unsound rank last."""
        return True

    def has_converged(self, trace: Sequence[float], tol: float) -> bool:
        """Whether plain steps with these log-likelihoods are a reason to stop.

        The default asks Aitken's extrapolation of the last three how much is left to gain: EM
        converges linearly, so that for a slow one that is far more than the last gain. It means
        nothing for leaps.
        """
        if len(trace) < 3:
            return False
        before, gain = trace[-2] - trace[-3], trace[-1] - trace[-2]
        if gain <= _ROUNDING * abs(trace[-1]):
            return True
        return gain < before and gain * gain / (before - gain) < tol


@dataclass(eq=False)
class Fit(Generic[P]):
    """Where the loop stopped; the E-step belongs to the parameters."""

    parameters: P
    expected: Any  #: an Expectation, with what its problem adds
    trace: list[float]
    converged: bool
    sound: bool

    #: How many starts led to this clustering.
    n_starts: int = 1

    @property
    def log_likelihood(self) -> float:
        return self.expected.log_likelihood

    @property
    def n_iter(self) -> int:
        """EM updates; a leap that was refused is none."""
        return len(self.trace) - 1

    @property
    def labels(self) -> np.ndarray:
        return self.expected.responsibilities.argmax(axis=1)

    @property
    def rank(self) -> tuple[bool, float]:
        """Sorts fits: the sound ones first, the highest log-likelihood first."""
        return not self.sound, -self.log_likelihood


class _Leaps(Generic[P]):
    """When to leap, and where to."""

    def __init__(self, problem: Problem[P], tol: float):
        self._problem = problem
        self._tol = tol
        self._settled = False
        self._plain_done, self._plain_left = 0, 0
        self._anderson: Anderson | None = None

    def attempt(self, parameters: P, step: P, least: float) -> tuple[P, Expectation] | None:
        """Parameters beyond `step`, EM's update, that reach `least`; None for a plain step."""
        if not self._settled:
            return None
        flat = self._problem.flat(parameters)
        if self._anderson is None:
            self._anderson = Anderson(flat.size)
        self._anderson.remember(flat, self._problem.flat(step))
        if self._plain_left:
            self._plain_left -= 1
            return None
        found = self._at(self._anderson.extrapolate(self._problem.metric(step)), step)
        # Not "<": a NaN must be refused too.
        if found is None or not found[1].log_likelihood >= least:
            self._anderson.refused()
            return None
        self._anderson.accepted()
        if found[1].log_likelihood - least < self._tol:
            self._plain_left = self._problem.plain_steps
        return found

    def _at(self, flat: np.ndarray, like: P) -> tuple[P, Expectation] | None:
        """Extrapolated parameters may lie anywhere, also where nothing can be computed."""
        with np.errstate(all="ignore"):
            try:
                parameters = self._problem.from_flat(flat, like)
                if parameters is None:
                    return None
                return parameters, self._problem.expectation(parameters)
            except np.linalg.LinAlgError:
                return None

    def plain(self, gain: float) -> None:
        """A plain step was taken, and gained that much."""
        self._plain_done += 1
        self._settled |= gain < _SETTLED or self._plain_done >= self._problem.longest_settling


def run(
    problem: Problem[P],
    start: P,
    *,
    tol: float,
    max_iter: int,
    progress: Callable[[float], None] | None = None,
) -> Fit[P]:
    """Climb from `start` until the problem calls it converged.

    Parameters
    ----------
    problem : Problem
    start : P
        First parameters.
    tol : float
        Absolute, in units of the total log-likelihood.
    max_iter : int
        Largest number of EM updates.
    progress : callable, optional
        Called with the log-likelihood after every iteration.
    """
    parameters, expected = start, problem.expectation(start)
    trace = [expected.log_likelihood]
    plain = trace[:]  # those that plain steps joined
    leaps = _Leaps(problem, tol)
    converged = stuck = False
    while not (converged or stuck) and len(trace) <= max_iter:
        step = problem.maximisation(parameters, expected)
        found = leaps.attempt(parameters, step, trace[-1]) if problem.leaps else None
        if found is None:
            found = step, problem.expectation(step)
            gain = found[1].log_likelihood - trace[-1]
            leaps.plain(gain)
            # Up to rounding the update is as good as the iterate, and nothing is left to gain; a
            # real loss is a numerical failure. Either way the better parameters are kept.
            if not (gain >= 0 or problem.may_fall):
                stuck = True
                converged = gain > -max(_ROUNDING * abs(trace[-1]), tol)
                found = parameters, expected
        else:
            plain.clear()
        parameters, expected = found
        trace.append(expected.log_likelihood)
        plain.append(trace[-1])
        converged = converged or (not stuck and problem.has_converged(plain, tol))
        if progress is not None:
            progress(trace[-1])
    return Fit(parameters, expected, trace, converged, problem.sound(parameters, expected))


class Round(NamedTuple):
    """One round of the choice among starts."""

    #: Further iterations that each gets.
    n_iter: int

    #: How many, at most, go on: the best, each with a clustering of its own.
    n_kept: int


def run_best(
    problem: Problem[P],
    starts: Iterable[P],
    rounds: Sequence[Round],
    *,
    tol: float,
    max_iter: int,
    progress: Callable[[float], None] | None = None,
    n_starts: Sequence[int] | None = None,
) -> list[Fit[P]]:
    """Rounds of some iterations from all starts that are left, and then to the end.

    The start that is ahead early need not finish first, so several are finished.

    Parameters
    ----------
    problem, tol, max_iter, progress
        As in :func:`run`.
    starts : iterable of P
    rounds : sequence of Round
        Passed over if there is one start only.
    n_starts : sequence of int, optional
        How many starts each of these stands for; by default for itself.

    Returns
    -------
    list of Fit
        Those that were finished, the best first.

    Raises
    ------
    StartError
        If EM could not go on from any start.
    """
    failures: list[StartError] = []

    def further(fits: list[Fit[P]], n_iter: int) -> list[Fit[P]]:
        going = []
        for fit in fits:
            left = min(n_iter, max_iter - fit.n_iter)
            try:
                going.append(fit if fit.converged or left < 1 else _extended(fit, left))
            except StartError as error:
                failures.append(error)
        return going

    def _extended(fit: Fit[P], n_iter: int) -> Fit[P]:
        rest = run(problem, fit.parameters, tol=tol, max_iter=n_iter, progress=progress)
        return replace(rest, trace=fit.trace[:-1] + rest.trace, n_starts=fit.n_starts)

    fits = [run(problem, start, tol=tol, max_iter=0) for start in starts]
    if n_starts is not None:
        fits = [replace(fit, n_starts=n) for fit, n in zip(fits, n_starts, strict=True)]
    for n_iter, n_kept in rounds if len(fits) > 1 else ():
        fits = distinct(further(fits, n_iter))[:n_kept]
    fits = further(fits, max_iter)
    if not fits:
        raise failures[-1]
    return sorted(fits, key=lambda fit: fit.rank)

"""Rounds of starts, until it is unlikely that a further start would find a new optimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spatgmm.common.agreement import distinct
from spatgmm.fitting.state import MIN_MAPS

#: The more components, the more optima to find.
_STARTS_PER_COMPONENT = 5

#: Rounds of starts at most, where every round still finds new optima.
_MAX_ROUNDS = 4

#: Candidates this far below the best, in log-likelihood, do not count as rival optima.
_MARGIN = 25.0


@dataclass
class Candidate:
    """Where one start of a search stopped, and the log-likelihood it promises."""

    promise: float
    responsibilities: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    thetas: np.ndarray

    #: How many starts led to its clustering.
    n_starts: int = 1

    @property
    def rank(self) -> tuple[bool, float]:
        """Sorts candidates: those with all components first, the most promising first."""
        return bool(self.weights.min() * len(self.responsibilities) < MIN_MAPS), -self.promise

    @property
    def labels(self) -> np.ndarray:
        return self.responsibilities.argmax(axis=1)


def with_presorted(starts: np.ndarray, presorted: list[Candidate]) -> tuple[np.ndarray, np.ndarray]:
    """Starts (k, n, G) and candidates as more of them; how many starts each of all stands for."""
    together = np.array([*starts, *[one.responsibilities for one in presorted]])
    return together, np.array([1] * len(starts) + [one.n_starts for one in presorted])


def until_settled(
    one_round: Callable[[int], list[Candidate]],
    n_components: int,
    n_init: int,
    exists: Callable[[np.ndarray], bool] | None = None,
) -> list[Candidate]:
    """Where rounds of `n_init` starts stopped: distinct candidates, the most promising first.

    With ``w`` rival optima after ``N`` starts, ``w (N - 1) / (N - w - 2)`` is the expected number
    of all optima (Boender and Rinnooy Kan, Math. Programming 37, 1987): rounds go on until that is
    less than half an optimum above ``w``.

    Parameters
    ----------
    one_round : callable
        Given the number of the round, 0 for the first: the candidates that its starts led to.
    n_components, n_init : int
    exists : callable, optional
        Whether parameters (3 + q,) are those of a covariance, where the search itself cannot tell.
        Once it has ended at some that are not, it has looked in the wrong place: nothing is found.
    """
    found = []
    for number in range(_MAX_ROUNDS):
        found += one_round(number)
        tried = n_init * (number + 1)
        best = distinct(found)
        if exists is not None and not all(exists(theta) for one in best for theta in one.thetas):
            return []
        w = sum(candidate.promise > best[0].promise - _MARGIN for candidate in best)
        enough = tried >= _STARTS_PER_COMPONENT * n_components and tried > w + 2
        if n_components == 1 or (enough and w * (tried - 1) < (w + 0.5) * (tried - w - 2)):
            break
    return best

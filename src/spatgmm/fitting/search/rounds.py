"""Rounds of starts, until it is unlikely that a further start would find a new optimum."""

from __future__ import annotations

from collections.abc import Callable

from spatgmm.common.agreement import distinct

#: The more components, the more optima to find.
_STARTS_PER_COMPONENT = 5

#: Rounds of starts at most, where every round still finds new optima.
_MAX_ROUNDS = 4

#: Candidates this far below the best, in log-likelihood, do not count as rival optima.
_MARGIN = 25.0


def until_settled(one_round: Callable[[int], list], n_components: int, n_init: int) -> list:
    """Where rounds of `n_init` starts stopped: distinct candidates, the most promising first.

    With ``w`` rival optima after ``N`` starts, ``w (N - 1) / (N - w - 2)`` is the expected number
    of all optima (Boender and Rinnooy Kan, Math. Programming 37, 1987): rounds go on until that is
    less than half an optimum above ``w``.

    Parameters
    ----------
    one_round : callable
        Given the number of the round, 0 for the first: the candidates that its starts led to, each
        with a ``promise`` (log-likelihood), a ``rank`` and ``labels``.
    n_components, n_init : int
    """
    found = []
    for number in range(_MAX_ROUNDS):
        found += one_round(number)
        tried = n_init * (number + 1)
        best = distinct(found)
        w = sum(candidate.promise > best[0].promise - _MARGIN for candidate in best)
        enough = tried >= _STARTS_PER_COMPONENT * n_components and tried > w + 2
        if n_components == 1 or (enough and w * (tried - 1) < (w + 0.5) * (tried - w - 2)):
            break
    return best

"""How long the batches of a run will still take, from those that have finished.

A fit takes what others of its case and method took.  Where none has finished, the logarithm of its
seconds is a sum of a level, of what the scenario or data set adds and of what the method adds, each
drawn towards what studies usually take: a first batch that is quick or slow for its own reasons
says little about the rest, a second one of the same method more.  (Ridge regression, or the mean of
a normal prior given the finished batches.)
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from spatgmm.study.design import Batch, Design

#: Seconds of a fit where nothing is known yet: means over this project's own studies.
_DRAWN, _LOADED = 0.25, 4.0

#: Standard deviations of the logarithm of seconds: of the level, by method, by scenario or data
#: set, and of what these three leave unexplained.
_LEVEL, _METHOD, _SCENARIO, _REST = 0.5, 1.5, 1.0, 0.5

#: Quicker fits count as this long: what is quick finishes first, and says nothing about the rest.
_QUICK = 0.02

#: What is expected of a fit counts as much as this many finished ones of its own.
_FITS = 2

#: Seconds of a job besides its fits until some have finished, and jobs that this counts as.
_START, _JOBS = 2.0, 5

#: How many jobs run at once is believed for so many seconds; then counts what was done.
_SECONDS = 60.0

#: Estimates are made anew after so many seconds, since studies may have many thousand batches.
_EVERY = 2.0


@dataclass
class _Spent:
    seconds: float = 0.0
    fits: int = 0

    def per_fit(self, expected: float) -> float:
        return (self.seconds + _FITS * expected) / (self.fits + _FITS)


class Remaining:
    """What is left of a run.

    Parameters
    ----------
    design : Design
    batches : iterable of Batch
        What the run has to do.
    clock : callable
        Seconds from any start.
    """

    def __init__(
        self,
        design: Design,
        batches: Iterable[Batch],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._design, self._clock = design, clock
        self._waiting = set(batches)
        self._running: dict[Batch, float] = {}
        self._most = 1
        self._cells: dict[tuple[str, str], _Spent] = defaultdict(_Spent)
        self._groups: dict[tuple[str, str], _Spent] = defaultdict(_Spent)
        self._jobs, self._jobs_seconds = _JOBS, _JOBS * _START
        self._done, self._begin = 0.0, clock()
        self._end, self._estimated = 0.0, -math.inf

    def started(self, batches: Iterable[Batch]) -> None:
        """These batches were given to whatever runs them."""
        self._running |= dict.fromkeys(batches, self._clock())
        self._most = max(self._most, len(self._running))

    def finished(self, batch: Batch, seconds: float, fits: int) -> None:
        """A batch is through, whose rows say that so many fits took so long."""
        self._waiting.discard(batch)
        if batch in self._running:
            took = self._clock() - self._running.pop(batch)
            seconds = min(seconds, took)  # rows of an earlier run took none of this one's time
            self._done += took
            self._jobs += 1
            self._jobs_seconds += took - seconds
        for spent in (self._cells[batch.case, batch.method], self._groups[self._group(batch)]):
            spent.seconds += seconds
            spent.fits += fits

    def stopped(self, batch: Batch) -> None:
        """A batch has come to nothing and may be tried again."""
        self._running.pop(batch, None)

    def seconds(self) -> float:
        """Seconds until the last batch is through."""
        now = self._clock()
        if now - self._estimated >= _EVERY:
            self._end, self._estimated = now + self._estimate(now), now
        return max(self._end - now, 0.0)

    def _estimate(self, now: float) -> float:
        expected, left, longest = self._expected(), 0.0, 0.0
        start, done = self._jobs_seconds / self._jobs, self._done
        for batch in self._waiting:
            group = self._group(batch)
            of_group = self._groups[group].per_fit(expected[group])
            of_one = self._cells[batch.case, batch.method].per_fit(of_group)
            whole = start + (batch.last - batch.first + 1) * of_one
            gone = min(now - self._running.get(batch, now), whole)
            left, done, longest = left + whole - gone, done + gone, max(longest, whole - gone)
        # Jobs at once, as far as they did in their time what jobs are believed to do.
        at_once = (done + _SECONDS * self._most) / (now - self._begin + _SECONDS)
        return max(left / at_once, longest)

    def _group(self, batch: Batch) -> tuple[str, str]:
        case, variant = self._design.cases[batch.case], self._design.methods[batch.method]
        return case.scenario, variant.base_method

    def _expected(self) -> dict[tuple[str, str], float]:
        """Seconds of a fit by scenario or data set and method, as far as sums can tell."""
        drawn = {case.scenario: case.simulated for case in self._design.cases.values()}
        scenarios = {name: k for k, name in enumerate(drawn)}
        bases = dict.fromkeys(variant.base_method for variant in self._design.methods.values())
        methods = {name: len(drawn) + k for k, name in enumerate(bases)}
        size = len(drawn) + len(bases) + 1
        prior = {name: math.log(_DRAWN if drawn[name] else _LOADED) for name in drawn}
        precision = np.full(size, _METHOD**-2)
        precision[: len(drawn)], precision[-1] = _SCENARIO**-2, _LEVEL**-2
        left, right = np.diag(precision), np.zeros(size)
        for (scenario, method), spent in self._groups.items():
            if spent.fits:
                at = [scenarios[scenario], methods[method], size - 1]
                left[np.ix_(at, at)] += _REST**-2
                seen = math.log(max(spent.seconds / spent.fits, _QUICK))
                right[at] += _REST**-2 * (seen - prior[scenario])
        found = np.linalg.solve(left, right)
        return {
            (scenario, method): math.exp(prior[scenario] + found[[i, j, -1]].sum())
            for scenario, i in scenarios.items()
            for method, j in methods.items()
        }

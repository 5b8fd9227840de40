"""How long the jobs of a run will still take, from those that have finished.

A fit takes what others of its case and method took.  Where none has finished, the logarithm of its
seconds is a sum of a level, of what the scenario or data set adds, of what the method adds and of
what it adds on drawn maps or on data sets alone, each drawn towards what studies usually take: a
first batch that is quick or slow for its own reasons says little about the rest, a second one of
the same method more.  (Ridge regression, or the mean of a normal prior given the finished batches.)
What a method usually takes is written in its plug-in.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from spatgmm.study import provenance
from spatgmm.study.design import Batch, Case, Design, Job, Variant

#: Seconds of a fit to drawn maps where the plug-in does not say.
_FIT = 0.25

#: How many times longer fits to data sets take: mean over this project's own.
_LOADED = 16.0

#: Beyond two components, fits take longer by this power of their number: EM creeps where components
#: have no groups of their own.
_CREEPING = 6.0

#: Values of drawn maps, 200 of 1,000 pixels say, beyond which a fit takes longer in proportion.
_VALUES = 200_000

#: What BIC may choose, and how many times longer a fit takes for each choice, as measured.
_CHOSEN, _CHOICES = ("decay", "metric", "mean"), 4.0

#: Standard deviations of the logarithm of seconds: of the level, by method, by method on drawn maps
#: or on data sets, by scenario or data set, and of what these leave unexplained.
_LEVEL, _METHOD, _KIND, _SCENARIO, _REST = 0.5, 0.5, 0.8, 0.7, 0.5

#: A job that has run for long is not about to end: this share of it, at least, is still to come.
_AT_LEAST = 0.2

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

    def add(self, seconds: float, fits: int) -> None:
        self.seconds += seconds
        self.fits += fits

    def per_fit(self, expected: float) -> float:
        return (self.seconds + _FITS * expected) / (self.fits + _FITS)


class Remaining:
    """What is left of a run.

    Parameters
    ----------
    design : Design
    jobs : iterable of Job
        What the run has to do.
    clock : callable
        Seconds from any start.
    at_once : int
        Jobs that may run at a time; more than that are noticed.
    """

    def __init__(
        self,
        design: Design,
        jobs: Iterable[Job],
        clock: Callable[[], float] = time.monotonic,
        at_once: int = 1,
    ) -> None:
        self._design, self._clock = design, clock
        self._usual = {v.base_method: _usual(v) for v in design.methods.values()}
        self._longer = {
            name: max(1.0, (variant.n_components or 2) / 2) ** _CREEPING
            for name, variant in design.methods.items()
        }
        self._larger = {case.id: _size(case) for case in design.cases.values()}
        self._waiting = set(jobs)
        self._running: dict[Job, float] = {}
        self._most = max(1, min(at_once, len(self._waiting)))
        self._cells: dict[tuple[str, str], _Spent] = defaultdict(_Spent)
        self._groups: dict[tuple[str, str], _Spent] = defaultdict(_Spent)
        self._jobs, self._jobs_seconds = _JOBS, _JOBS * _START
        self._done, self._begin = 0.0, clock()
        self._end, self._estimated = 0.0, -math.inf

    def started(self, jobs: Iterable[Job]) -> None:
        """These jobs were given to whatever runs them."""
        self._running |= dict.fromkeys(jobs, self._clock())
        self._most = max(self._most, len(self._running))

    def finished(self, job: Job, seconds: Mapping[Batch, float]) -> None:
        """A job is through; the rows of its batches say that their fits took so long."""
        self._waiting.discard(job)
        share = 1.0
        if job in self._running:
            took, told = self._clock() - self._running.pop(job), sum(seconds.values())
            share = (
                min(1.0, took / told) if told else 1.0
            )  # rows of an earlier run took no time now
            self._done += took
            self._jobs += 1
            self._jobs_seconds += took - share * told
        for batch in job:
            took = share * seconds[batch]
            self._cells[batch.case, batch.method].add(took, len(batch))
            self._groups[self._group(batch)].add(took / self._times(batch), len(batch))

    def stopped(self, job: Job) -> None:
        """A job has come to nothing and may be tried again."""
        self._running.pop(job, None)

    def seconds(self) -> float:
        """Seconds until the last job is through."""
        now = self._clock()
        if now - self._estimated >= _EVERY:
            self._end, self._estimated = now + self._estimate(now), now
        return max(self._end - now, 0.0)

    def lengths(self) -> dict[Job, float]:
        """Seconds that each job will take."""
        expected, start = self._expected(), self._jobs_seconds / self._jobs
        return {
            job: start + sum(len(batch) * self._of_one(batch, expected) for batch in job)
            for job in self._waiting
        }

    def _of_one(self, batch: Batch, expected: Mapping[tuple[str, str], float]) -> float:
        """Seconds of a fit of a batch."""
        group = self._group(batch)
        of_group = self._times(batch) * self._groups[group].per_fit(expected[group])
        return self._cells[batch.case, batch.method].per_fit(of_group)

    def _times(self, batch: Batch) -> float:
        """How many times longer a fit takes than one of its scenario with two components."""
        return self._longer[batch.method] * self._larger[batch.case]

    def _estimate(self, now: float) -> float:
        left, longest, done = 0.0, 0.0, self._done
        for job, whole in self.lengths().items():
            gone = now - self._running.get(job, now)
            of_one = max(whole - gone, _AT_LEAST * gone)
            left, done, longest = left + of_one, done + gone, max(longest, of_one)
        # Jobs at once, as far as they did in their time what jobs are believed to do.
        at_once = (done + _SECONDS * self._most) / (now - self._begin + _SECONDS)
        return max(left / at_once, longest)

    def _group(self, batch: Batch) -> tuple[str, str]:
        case, variant = self._design.cases[batch.case], self._design.methods[batch.method]
        return case.scenario, variant.base_method

    def _expected(self) -> dict[tuple[str, str], float]:
        """Seconds of a fit of two components by group, as far as sums can tell."""
        drawn = {case.scenario: case.simulated for case in self._design.cases.values()}
        groups = {self._group(batch) for job in self._waiting for batch in job} | {*self._groups}
        # Places of the effects, of which one of each sort adds to a group.
        effects: dict[tuple, float] = {}
        of_group = {}
        for scenario, method in groups:
            sorts = {
                ("level",): _LEVEL,
                ("scenario", scenario): _SCENARIO,
                ("method", method): _METHOD,
                ("kind", method, drawn[scenario]): _KIND,
            }
            effects |= sorts
            of_group[scenario, method] = list(sorts)
        place = {effect: k for k, effect in enumerate(effects)}
        left, right = np.diag(np.array([*effects.values()]) ** -2.0), np.zeros(len(effects))
        prior = {
            (scenario, method): math.log(
                self._usual[method] * (1.0 if drawn[scenario] else _LOADED)
            )
            for scenario, method in groups
        }
        for group, spent in self._groups.items():
            if spent.fits:
                at = [place[effect] for effect in of_group[group]]
                left[np.ix_(at, at)] += _REST**-2
                seen = math.log(max(spent.seconds / spent.fits, _QUICK))
                right[at] += _REST**-2 * (seen - max(prior[group], math.log(_QUICK)))
        found = np.linalg.solve(left, right)
        return {
            group: math.exp(prior[group] + sum(found[place[effect]] for effect in of_group[group]))
            for group in groups
        }


def _usual(variant: Variant) -> float:
    """Seconds of a fit to drawn maps, as the plug-in has it; 0.25 where it does not say."""
    seconds = provenance.stated(variant.plugin, "SECONDS")
    searched = sum(variant.parameters.get(name) == "auto" for name in _CHOSEN)
    return (_FIT if seconds is None else float(seconds)) * _CHOICES**searched


def _size(case: Case) -> float:
    """How many times more values drawn maps have than a fit does not notice."""
    if not case.simulated:
        return 1.0
    locations = case.settings["locations"]
    p = math.prod(locations["grid"]) if "grid" in locations else locations["uniform"]
    return max(1.0, case.settings["n"] * p / _VALUES)

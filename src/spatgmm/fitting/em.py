"""The EM loop of the spatial mixture, whatever the solver of its covariance step.

What it needs of the data it asks of :class:`spatgmm.fitting.maps.Maps`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from spatgmm.common.agreement import distinct
from spatgmm.covariance.family import FactoredCovariance, SpatialCovariance
from spatgmm.fitting import scales
from spatgmm.fitting.leaps import Leaps
from spatgmm.fitting.maps import Blocks, Maps
from spatgmm.fitting.state import Mixture, empty, weighted_mean

#: Every distinct start gets some exact iterations; then the most promising few are finished.
_TRIAL_ITERATIONS, _N_TRIED, _N_FINISHED = 10, 20, 4


class EmptyComponentError(ArithmeticError):
    """A component lost all its maps, and the solver (the paper's) cannot go on."""


class Solver(Protocol):
    """What the solvers of :mod:`spatgmm.fitting.scoring` and ``gls`` provide."""

    #: Whether the log-likelihood is let fall from one iteration to the next.
    may_fall: bool

    #: Whether EM may leap ahead of its steps (:mod:`spatgmm.fitting.leaps`).
    leaps: bool

    #: Whether it goes on where a component has lost its maps.
    keeps_empty: bool

    #: Whether a covariance step moves all components together, since they share parameters.
    together: bool

    def start(
        self,
        maps: Maps,
        responsibilities: np.ndarray,
        family: SpatialCovariance,
        mean: str,
        scale: np.ndarray | None = None,
    ) -> Mixture:
        """The mixture to start from at given responsibilities of complete maps."""

    def tie(self, thetas: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Covariance parameters (G, 3 + q), those that are shared made equal."""

    def is_shared(self, size: int) -> np.ndarray:
        """Which of the `size` parameters of a covariance all components share."""

    def update(
        self,
        covariances: list[FactoredCovariance],
        scatters: list[Blocks | None],
        counts: np.ndarray,
    ) -> list[FactoredCovariance]:
        """One covariance step for components; the scatter of one without maps is None."""

    def has_converged(self, trace: list[float], tol: float) -> bool:
        """Whether the log-likelihoods so far are a reason to stop."""


@dataclass
class Fit:
    """Where EM stopped."""

    mixture: Mixture
    log_likelihood: float
    responsibilities: np.ndarray
    trace: list[float]
    converged: bool

    @property
    def rank(self) -> tuple[bool, float]:
        """Sorts fits: those with all components first, the highest log-likelihood first."""
        return bool(empty(self.responsibilities.sum(axis=0)).any()), -self.log_likelihood

    @property
    def labels(self) -> np.ndarray:
        return self.responsibilities.argmax(axis=1)


def maximisation(
    maps: Maps, responsibilities: np.ndarray, mixture: Mixture, mean: str, solver: Solver
) -> Mixture:
    """Weights, means, then one covariance step per component, or one for all that share."""
    counts = responsibilities.sum(axis=0)
    maps = maps.divided(mixture.scale)
    means, covariances = list(mixture.means), list(mixture.covariances)

    def moments(g: int) -> Blocks | None:
        """Sets the component's mean; its scatter about it, None without maps."""
        if empty(counts[g]):
            if not solver.keeps_empty:
                raise EmptyComponentError(f"solver='gls': component {g} became empty")
            return None
        weights = responsibilities[:, g]
        complete = maps.completed(mixture.means[g], mixture.covariances[g])
        means[g] = weighted_mean(complete, weights, mixture.covariances[g], mean, mixture.scale)
        return complete.scatter(weights, means[g])

    everyone, of_all = range(len(counts)), []
    # One component at a time where they share nothing: one scatter in memory.
    for group in [list(everyone)] if solver.together else [[g] for g in everyone]:
        scatters = [moments(g) for g in group]
        updated = solver.update([covariances[g] for g in group], scatters, counts[group])
        for g, covariance in zip(group, updated, strict=True):
            covariances[g] = covariance
        if mixture.scale is not None:
            of_all += scatters
    step = Mixture(counts / counts.sum(), means, covariances, mixture.scale)
    return step if mixture.scale is None else scales.rescaled(step, of_all, counts)


def run(
    maps: Maps,
    mixture: Mixture,
    solver: Solver,
    mean: str = "free",
    tol: float = 1e-4,
    max_iter: int = 500,
    progress: Callable[[float], None] | None = None,
) -> Fit:
    """EM from the parameters of `mixture` until the solver calls it converged.

    Parameters
    ----------
    maps : Maps
    mixture : Mixture
        Where to start.
    solver : Solver
    mean : {"free", "constant"}
    tol : float
        Absolute tolerance on the log-likelihood.
    max_iter : int
    progress : callable, optional
        Called with the log-likelihood after every iteration.

    Returns
    -------
    Fit
        Its responsibilities and log-likelihood belong to its parameters.
    """
    log_likelihood, responsibilities = mixture.expectation(maps)
    trace = [log_likelihood]
    since_leap = [log_likelihood]  # only plain steps tell how much is left to gain
    leaps = Leaps(len(maps), tol)
    # A constant mean divided by scales does not stay one under a leap.
    leaping = solver.leaps and (mean == "free" or mixture.scale is None)
    converged = False
    while not converged and len(trace) <= max_iter:
        step = maximisation(maps, responsibilities, mixture, mean, solver)
        leap = leaps.propose(mixture, step) if leaping else None
        if leap is not None:
            reached, expected = leap.expectation(maps)
            if reached >= log_likelihood:
                leaps.accepted(reached - log_likelihood)
                step, since_leap = leap, []
            else:
                leaps.refused()
                leap = None
        if leap is None:
            reached, expected = step.expectation(maps)
            leaps.plain(reached - log_likelihood)
        # Rounding in a nearly singular covariance can spoil the last small steps uphill.
        if reached >= log_likelihood or solver.may_fall:
            mixture, log_likelihood, responsibilities = step, reached, expected
        trace.append(log_likelihood)
        since_leap.append(log_likelihood)
        converged = solver.has_converged(since_leap, tol)
        if progress is not None:
            progress(log_likelihood)
    return Fit(mixture, log_likelihood, responsibilities, trace, converged)


def run_best(
    maps: Maps,
    starts: list[Mixture],
    solver: Solver,
    mean: str,
    tol: float,
    max_iter: int,
    progress: Callable[[float], None] | None = None,
) -> Fit:
    """EM from several starts: a few iterations from all, then to the end from the best.

    Where the search stopped best is not always what finishes best, so several are finished.

    Returns
    -------
    Fit
        The best; other arguments as in :func:`run`.

    Raises
    ------
    EmptyComponentError
        If every start lost a component.
    """

    def go(mixture: Mixture, n_iter: int) -> Fit:
        return run(maps, mixture, solver, mean, tol, n_iter, progress)

    if len(starts) == 1:
        return go(starts[0], max_iter)
    fits, failure = [], None
    for start in starts[:_N_TRIED]:
        try:
            fits.append(go(start, min(_TRIAL_ITERATIONS, max_iter)))
        except EmptyComponentError as error:
            failure = error
    finished = []
    for fit in distinct(fits)[:_N_FINISHED]:
        left = max_iter - (len(fit.trace) - 1)
        if not fit.converged and left > 0:
            try:
                rest = go(fit.mixture, left)
            except EmptyComponentError as error:
                failure = error
                continue
            rest.trace = fit.trace + rest.trace[1:]
            fit = rest
        finished.append(fit)
    if not finished:
        raise failure
    return min(finished, key=lambda fit: fit.rank)

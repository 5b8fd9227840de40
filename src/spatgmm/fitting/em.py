"""The EM loop of the spatial mixture, whatever its model and the solver of its covariance step.

What it needs of the data it asks of :class:`spatgmm.fitting.maps.Maps`, of a covariance of
:class:`spatgmm.covariance.family.Covariance`; means and scales bring their own steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spatgmm.common.agreement import distinct
from spatgmm.covariance.family import Covariance
from spatgmm.fitting.leaps import NoLeaps
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.state import Mixture, Model, empty

#: Every distinct start gets some exact iterations; then the most promising few are finished.
_TRIAL_ITERATIONS, _N_TRIED, _N_FINISHED = 10, 20, 4


class EmptyComponentError(ArithmeticError):
    """A component lost all its maps, and the solver (the paper's) cannot go on."""


class Solver(ABC):
    """How covariances are improved in an M-step, and when that is enough."""

    @abstractmethod
    def start(self, maps: Maps, responsibilities: np.ndarray, model: Model) -> Mixture:
        """The mixture to start from at given responsibilities of complete maps."""

    @abstractmethod
    def update(
        self, covariances: list[Covariance], moments: list, counts: np.ndarray, shared: np.ndarray
    ) -> list[Covariance]:
        """One covariance step for a group of components; the moments of one without maps: None.

        `shared`, (3 + q,), marks the parameters that all components have in common.
        """

    @abstractmethod
    def has_converged(self, trace: list[float], tol: float) -> bool:
        """Whether the log-likelihoods so far are a reason to stop."""

    @abstractmethod
    def accepts(self, reached: float, log_likelihood: float) -> bool:
        """Whether to go on from a step that reached this log-likelihood from that one."""

    def groups(self, n_components: int, shared: np.ndarray) -> list[list[int]]:
        """Components that move in one step: each by itself, unless they share parameters."""
        everyone = list(range(n_components))
        return [everyone] if shared.any() else [[g] for g in everyone]

    def lost(self, component: int) -> None:
        """A component has lost its maps: go on without it, or raise EmptyComponentError."""
        return None

    def leaps(self, n_maps: int, tol: float, model: Model) -> NoLeaps:
        """How EM may leap ahead of its steps."""
        return NoLeaps()


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
    maps: Maps, responsibilities: np.ndarray, mixture: Mixture, model: Model, solver: Solver
) -> Mixture:
    """Weights, means, then one covariance step per group of components, then scales."""
    counts = responsibilities.sum(axis=0)
    maps = mixture.scales.divide(maps)
    means, covariances = list(mixture.means), list(mixture.covariances)
    there = np.flatnonzero(~empty(counts))
    for g in np.flatnonzero(empty(counts)):
        solver.lost(g)
    complete = {g: maps.completed(means[g], covariances[g]) for g in there}
    centres = [complete[g].mean(responsibilities[:, g]) for g in there]
    ones = mixture.scales.divide_vector(model.ones)
    estimates = model.mean.estimates(centres, [covariances[g] for g in there], ones)
    for g, mean in zip(there, estimates, strict=True):
        means[g] = mean

    moments = [None] * len(counts)
    # One component at a time where they share nothing: one set of moments in memory.
    for group in solver.groups(len(counts), model.shared):
        for g in set(group) & set(complete):
            moments[g] = complete[g].moments(responsibilities[:, g], means[g])
        of_group = [moments[g] for g in group]
        present = [covariances[g] for g in group]
        updated = solver.update(present, of_group, counts[group], model.shared)
        for g, covariance in zip(group, updated, strict=True):
            covariances[g] = covariance
            if not mixture.scales.differ:
                moments[g] = None
    step = Mixture(counts / counts.sum(), means, covariances, mixture.scales)
    return mixture.scales.improved(step, moments, counts)


def run(
    maps: Maps,
    mixture: Mixture,
    model: Model,
    solver: Solver,
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
    model : Model
    solver : Solver
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
    leaps = solver.leaps(len(maps), tol, model)
    converged = False
    while not converged and len(trace) <= max_iter:
        step = maximisation(maps, responsibilities, mixture, model, solver)
        leap = leaps.propose(mixture, step)
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
        if solver.accepts(reached, log_likelihood):
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
    model: Model,
    solver: Solver,
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
        return run(maps, mixture, model, solver, tol, n_iter, progress)

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

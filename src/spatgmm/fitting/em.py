"""EM of the spatial mixture, whatever its model and the solver of its covariance step.

The loop is that of every mixture (:mod:`spatgmm.common.em`).  What the steps need of the data they
ask of :class:`spatgmm.fitting.maps.Maps`, of a covariance of
:class:`spatgmm.covariance.family.Covariance`; means and scales bring their own steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from spatgmm.common.em import Expectation, Problem, StartError
from spatgmm.covariance.family import Covariance
from spatgmm.fitting.evidence import NOTHING, Evidence
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.state import Mixture, Model, empty
from spatgmm.fitting.tails import Deviations

if TYPE_CHECKING:
    from spatgmm.fitting.engine import Engine


class EmptyComponentError(StartError):
    """A component lost all its maps, and the solver (the paper's) cannot go on."""


class Solver(ABC):
    """How covariances are improved in an M-step, and when that is enough."""

    #: Whether the log-likelihood is let fall from one iteration to the next.
    may_fall = False

    @abstractmethod
    def start(
        self, engine: Engine, maps: Maps, responsibilities: np.ndarray, model: Model
    ) -> Mixture:
        """The mixture to start from at given responsibilities of complete maps."""

    @abstractmethod
    def update(
        self,
        covariances: list[Covariance],
        moments: list,
        counts: np.ndarray,
        shared: np.ndarray,
        alphas: np.ndarray,
    ) -> list[Covariance]:
        """One covariance step for a group of components; the moments of one without maps: None.

        `shared`, (3 + q,), marks the parameters that all components have in common; `alphas` (k, 3)
        are the coefficients that are held, NaN where they are free.
        """

    @abstractmethod
    def has_converged(self, trace: list[float], tol: float) -> bool:
        """Whether the log-likelihoods so far are a reason to stop."""

    def groups(self, n_components: int, shared: np.ndarray) -> list[list[int]]:
        """Components that move in one step: each by itself, unless they share parameters."""
        everyone = list(range(n_components))
        return [everyone] if shared.any() else [[g] for g in everyone]

    def lost(self, component: int) -> None:
        """A component has lost its maps: go on without it, or raise EmptyComponentError."""
        return None

    def leaps(self, model: Model) -> bool:
        """Whether EM may leap ahead of its steps."""
        return False


@dataclass(frozen=True, eq=False)
class SpatialExpectation(Expectation):
    """An E-step, with where the maps lie: what tails know of them."""

    deviations: Deviations


class SpatialProblem(Problem[Mixture]):
    """A spatial mixture and its maps, as the loop sees them.

    Parameters
    ----------
    maps : Maps
    model : Model
    solver : Solver
    evidence : Evidence
        What is known of the maps beside their values.
    """

    plain_steps = 4

    def __init__(self, maps: Maps, model: Model, solver: Solver, evidence: Evidence = NOTHING):
        self._maps, self._model, self._solver = maps, model, solver
        self._evidence = evidence
        self.may_fall = solver.may_fall
        self.leaps = solver.leaps(model)
        self.has_converged = solver.has_converged

    def expectation(self, parameters):
        return self._expected(parameters, parameters.deviations(self._maps))

    def _expected(self, parameters: Mixture, deviations: Deviations) -> SpatialExpectation:
        log_joint = parameters.log_joint_at(deviations)
        return SpatialExpectation(*self._evidence.posterior(log_joint), deviations)

    def maximisation(self, parameters, expected):
        deviations = expected.deviations
        tails = parameters.tails.improved(expected.responsibilities, deviations)
        if tails is not parameters.tails:
            parameters = replace(parameters, tails=tails)
            expected = self._expected(parameters, deviations)
        return maximisation(
            self._maps,
            expected.responsibilities,
            parameters,
            self._model,
            self._solver,
            tails.pulls(deviations),
        )

    def flat(self, parameters):
        return parameters.flat()

    def from_flat(self, flat, like):
        moved = like.from_flat(flat)
        # A logarithm and its exponential change the last digits.
        weights = self._model.held.weights
        return moved if moved is None or weights is None else replace(moved, weights=weights)

    def metric(self, parameters):
        return parameters.sensitivity(self._evidence.total(len(self._maps)))

    def sound(self, parameters, expected):
        return not empty(expected.responsibilities.sum(axis=0)).any()


def maximisation(
    maps: Maps,
    responsibilities: np.ndarray,
    mixture: Mixture,
    model: Model,
    solver: Solver,
    pulls: np.ndarray | None = None,
) -> Mixture:
    """Weights, means, then one covariance step per group of components, then scales.

    `pulls` (n, G): how much each map's deviation from a component counts there
    (:meth:`spatgmm.fitting.tails.Tails.pulls`).
    """
    counts = responsibilities.sum(axis=0)
    maps = mixture.scales.divide(maps)
    means, covariances = list(mixture.means), list(mixture.covariances)
    there = np.flatnonzero(~empty(counts))
    for g in np.flatnonzero(empty(counts)):
        solver.lost(g)
    complete = {g: maps.completed(means[g], covariances[g]) for g in there}
    pulling = responsibilities if pulls is None else responsibilities * pulls
    estimates = model.mean.estimates(
        list(complete.values()),
        [pulling[:, g] for g in there],
        [covariances[g] for g in there],
        mixture.scales.divide_vectors(model.basis),
        there,
    )
    for g, mean in zip(there, estimates, strict=True):
        means[g] = mean

    moments = [None] * len(counts)
    # One component at a time where they share nothing: one set of moments in memory.
    for group in solver.groups(len(counts), model.shared):
        for g in set(group) & set(complete):
            of_one = None if pulls is None else pulls[:, g]
            moments[g] = complete[g].moments(responsibilities[:, g], means[g], of_one)
        of_group = [moments[g] for g in group]
        present = [covariances[g] for g in group]
        alphas = np.array([model.held.alpha_of(g) for g in group])
        updated = solver.update(present, of_group, counts[group], model.shared, alphas)
        for g, covariance in zip(group, updated, strict=True):
            if moments[g] is not None:
                covariance = covariance.family.improved(covariance, moments[g])
            covariances[g] = covariance
            if not mixture.scales.differ:
                moments[g] = None
    step = Mixture(model.weights(counts), means, covariances, mixture.scales, mixture.tails)
    return mixture.scales.improved(step, moments, counts)

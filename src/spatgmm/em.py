"""The EM loop of the spatial mixture, whatever the solver of its covariance step.

Maps live here in the rotated basis of :class:`spatgmm.geometry.Geometry`: a list of blocks of
shape (n, p_b).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import logsumexp
from sklearn.metrics import adjusted_rand_score

from spatgmm.covariance import FactoredCovariance, SpatialCovariance

Blocks = list[np.ndarray]

#: A component with fewer expected maps has no scatter to speak of: it is empty.
MIN_MAPS = 1.5

#: Every distinct start gets some exact iterations; then the most promising few are finished.
_TRIAL_ITERATIONS, _N_TRIED, _N_FINISHED = 10, 20, 4

#: Labels that agree to this ARI are on the way to the same optimum.
_SAME_CLUSTERING = 0.95

#: Responsibilities below this do not enter a scatter matrix.
_NEGLIGIBLE = 1e-13

#: Numbers in a temporary copy of some rows of the data (8 MB).
_CHUNK_VALUES = 2**20


class EmptyComponentError(ArithmeticError):
    """A component lost all its maps, and the solver (the paper's) cannot go on."""


class Solver(Protocol):
    """What :class:`spatgmm.scoring.Scoring` and :class:`spatgmm.gls.GLS` provide."""

    #: Whether the log-likelihood is let fall from one iteration to the next.
    may_fall: bool

    def start(
        self, maps: Blocks, responsibilities: np.ndarray, family: SpatialCovariance, mean: str
    ) -> Mixture:
        """The mixture to start from at given responsibilities."""

    def update(self, covariance: FactoredCovariance, scatter: Blocks) -> FactoredCovariance:
        """One covariance step for a component."""

    def empty(self, covariance: FactoredCovariance, component: int) -> FactoredCovariance:
        """What becomes of a component that has no maps left."""

    def has_converged(self, trace: list[float], tol: float) -> bool:
        """Whether the log-likelihoods so far are a reason to stop."""


@dataclass
class Mixture:
    """Parameters of a mixture: weights (G,), means per component and block, covariances."""

    weights: np.ndarray
    means: list[Blocks]
    covariances: list[FactoredCovariance]

    @property
    def thetas(self) -> np.ndarray:
        return np.array([covariance.theta for covariance in self.covariances])

    def reordered(self, order) -> Mixture:
        """The same mixture with its components in another order."""
        return Mixture(
            self.weights[order],
            [self.means[g] for g in order],
            [self.covariances[g] for g in order],
        )

    def log_joint(self, maps: Blocks) -> np.ndarray:
        """``log(pi_g) + log N(x_i; mu_g, Xi_g)``, shape (n, G)."""
        n, p = len(maps[0]), sum(block.shape[1] for block in maps)
        joint = np.empty((n, len(self.weights)))
        with np.errstate(divide="ignore"):  # an emptied component has log weight -inf
            log_weights = np.log(self.weights)
        for g, (mean, covariance) in enumerate(zip(self.means, self.covariances, strict=True)):
            for rows in _chunks(n, p):
                residuals = [block[rows] - m for block, m in zip(maps, mean, strict=True)]
                joint[rows, g] = covariance.mahalanobis(residuals)
            joint[:, g] = log_weights[g] - 0.5 * (
                p * np.log(2 * np.pi) + covariance.log_det + joint[:, g]
            )
        return joint

    def expectation(self, maps: Blocks) -> tuple[float, np.ndarray]:
        """Log-likelihood and responsibilities (n, G)."""
        joint = self.log_joint(maps)
        evidence = logsumexp(joint, axis=1)
        return float(evidence.sum()), np.exp(joint - evidence[:, None])


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
        return bool(self.responsibilities.sum(axis=0).min() < MIN_MAPS), -self.log_likelihood

    @property
    def labels(self) -> np.ndarray:
        return self.responsibilities.argmax(axis=1)


def distinct(candidates: list) -> list:
    """The best of those with the same clustering, the best first; they have a rank and labels."""
    kept: list = []
    for candidate in sorted(candidates, key=lambda candidate: candidate.rank):
        if all(
            adjusted_rand_score(candidate.labels, other.labels) < _SAME_CLUSTERING for other in kept
        ):
            kept.append(candidate)
    return kept


def weighted_mean(maps: Blocks, weights: np.ndarray) -> Blocks:
    """The weighted mean map, block by block."""
    total = max(weights.sum(), 1e-300)  # a component that lost all its maps has its mean at 0
    return [weights @ block / total for block in maps]


def weighted_scatter(maps: Blocks, weights: np.ndarray, centre: Blocks) -> Blocks:
    """``S = sum_i w_i (x_i - mu)(x_i - mu)' / sum_i w_i``, the diagonal blocks alone."""
    rows = np.flatnonzero(weights > _NEGLIGIBLE)
    root = np.sqrt(weights[rows] / weights[rows].sum())[:, None]
    scatter = []
    for block, mean in zip(maps, centre, strict=True):
        S = np.zeros((len(mean), len(mean)))
        for some in _chunks(len(rows), len(mean)):
            scaled = block[rows[some]]
            scaled -= mean
            scaled *= root[some]
            S += scaled.T @ scaled
        scatter.append(S)
    return scatter


def _chunks(n: int, p: int) -> list[slice]:
    """Rows to work on at a time, so that temporary arrays stay small beside the data."""
    size = max(_CHUNK_VALUES // p, 1)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def constant_mean(covariance: FactoredCovariance, mean: Blocks) -> Blocks:
    """The GLS estimate of a mean that is constant over space, ``(1'W x) / (1'W 1)``."""
    ones = covariance.family.geometry.ones
    weighted = [W @ u for W, u in zip(covariance.inverse, ones, strict=True)]
    level = sum(w @ m for w, m in zip(weighted, mean, strict=True))
    level /= sum(w @ u for w, u in zip(weighted, ones, strict=True))
    return [level * u for u in ones]


def maximisation(
    maps: Blocks, responsibilities: np.ndarray, mixture: Mixture, mean: str, solver: Solver
) -> Mixture:
    """Weights, means, then one covariance step per component."""
    counts = responsibilities.sum(axis=0)
    means, covariances = [], []
    for g, covariance in enumerate(mixture.covariances):
        if counts[g] < MIN_MAPS:
            means.append(mixture.means[g])
            covariances.append(solver.empty(covariance, g))
            continue
        weights = responsibilities[:, g]
        centre = weighted_mean(maps, weights)
        if mean == "constant":
            centre = constant_mean(covariance, centre)
        means.append(centre)
        covariances.append(solver.update(covariance, weighted_scatter(maps, weights, centre)))
    return Mixture(counts / counts.sum(), means, covariances)


def run(
    maps: Blocks,
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
    maps : list of ndarray of shape (n, p_b)
        The data in the rotated basis.
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
    converged = False
    while not converged and len(trace) <= max_iter:
        step = maximisation(maps, responsibilities, mixture, mean, solver)
        reached, expected = step.expectation(maps)
        # Rounding in a nearly singular covariance can spoil the last small steps uphill.
        if reached >= log_likelihood or solver.may_fall:
            mixture, log_likelihood, responsibilities = step, reached, expected
        trace.append(log_likelihood)
        converged = solver.has_converged(trace, tol)
        if progress is not None:
            progress(log_likelihood)
    return Fit(mixture, log_likelihood, responsibilities, trace, converged)


def run_best(
    maps: Blocks,
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


def starting_mixture(
    maps: Blocks,
    responsibilities: np.ndarray,
    thetas: np.ndarray,
    family: SpatialCovariance,
    mean: str,
) -> Mixture:
    """Weights and means of given responsibilities, with given covariance parameters."""
    counts = responsibilities.sum(axis=0)
    covariances = [family.inside(theta) for theta in thetas]
    means = []
    for g, covariance in enumerate(covariances):
        centre = weighted_mean(maps, responsibilities[:, g])
        means.append(constant_mean(covariance, centre) if mean == "constant" else centre)
    return Mixture(counts / counts.sum(), means, covariances)

"""The search for maps of several variables: starts of many kinds, and some EM from each.

Combinations of variables follow the same model with the same spatial covariances, so that what is
found on a few of them is a start for all, and on one of them the search for a single variable
serves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from spatgmm.common.agreement import distinct
from spatgmm.common.em import Round, run_best
from spatgmm.covariance.variables import Full, by_variable
from spatgmm.fitting.em import SpatialProblem
from spatgmm.fitting.maps import Blocks, Maps
from spatgmm.fitting.scoring import Scoring
from spatgmm.fitting.search.starts import kmeans_responsibilities, random_responsibilities
from spatgmm.fitting.state import Mixture, Model

if TYPE_CHECKING:
    from spatgmm.fitting.variables import VariableEngine

#: Combinations of variables that are looked at, those with most variance in common, and how many
#: of them are searched as a single variable each.
_MOST_COMBINATIONS, _SEARCHED = 6, 3

#: Maps that are looked at.
_MOST_MAPS = 1000

#: Of the starts that the search of one combination found, how many are tried on all of them.
_TRIED = 3

#: Iterations of EM that every start gets, unless the engine is slow and says fewer, and how many
#: times as many those that go on.
_FIRST, _FURTHER = 5, 4

#: Gains below this, in log-likelihood, are left to the finish.
_TOL = 0.5

#: Starts that are handed on, at most.
_KEPT = 4


def multistart(
    engine: VariableEngine,
    maps: Maps,
    model: Model,
    n_components: int,
    n_init: int,
    rng: np.random.Generator,
) -> list[tuple[np.ndarray, int]]:
    """Responsibilities (n, G) of distinct places from where to finish, the most promising first.

    With each comes how many starts led to it.

    Parameters
    ----------
    engine : VariableEngine
    maps : Maps
        Complete, of variables of unit variance.
    model : Model
    n_components, n_init : int
    rng : numpy.random.Generator
    """
    n = len(maps)
    combined = _combinations(
        [by_variable(block, engine.family.n_variables) for block in maps.blocks]
    )
    q = len(combined[0])
    few = type(engine)(engine.inner, Full(np.full(q, 1 / q)))
    few_model = replace(model, family=few.family)
    every = slice(None, None, -(-n // _MOST_MAPS))
    some = [block[:, every] for block in combined]
    data = few.of_blocks(_beside(some))
    theta = _pooled(few, data, few_model)
    problem = SpatialProblem(data, few_model, Scoring())
    candidates = _candidates(few, some, few_model, n_components, n_init, rng)
    tried, led = zip(*candidates[: engine.inner.n_tried], strict=True)
    starts = [_at(few, data, few_model, R, theta) for R in tried]
    last = engine.inner.rounds[-1]
    first = Round(min(_FIRST, last.n_iter), 2 * last.n_kept)
    budget = {"tol": _TOL, "max_iter": _FURTHER * first.n_iter}
    fits = run_best(problem, starts, [first], n_starts=led, **budget)
    best = distinct(fits)[:_KEPT]
    if every.step == 1:
        return [(fit.expected.responsibilities, fit.n_starts) for fit in best]
    everything = few.of_blocks(_beside(combined))
    return [(fit.parameters.expectation(everything)[1], fit.n_starts) for fit in best]


def _combinations(blocks: Blocks) -> Blocks:
    """Combinations of variables (q, n, p_b), uncorrelated and of unit variance over all maps."""
    centred = [block - block.mean(axis=1, keepdims=True) for block in blocks]
    flat = [block.reshape(len(block), -1) for block in centred]
    scatter = sum(block @ block.T for block in flat) / sum(block.shape[1] for block in flat)
    values, vectors = np.linalg.eigh(scatter)
    kept = np.flatnonzero(values > 1e-9 * values[-1])[::-1][:_MOST_COMBINATIONS]
    whiten = (vectors[:, kept] / np.sqrt(values[kept])).T
    return [
        (whiten @ block).reshape(len(kept), *whole.shape[1:])
        for block, whole in zip(flat, blocks, strict=True)
    ]


def _beside(blocks: Blocks) -> Blocks:
    """Maps (n, q p_b) of variables (q, n, p_b)."""
    return [block.transpose(1, 0, 2).reshape(block.shape[1], -1) for block in blocks]


def _pooled(engine: VariableEngine, data: Maps, model: Model) -> np.ndarray:
    """Covariance parameters (3 + s,) of all maps as one component."""
    return engine.start(data, model, np.ones((len(data), 1))).covariances[0].theta


def _at(
    engine: VariableEngine, data: Maps, model: Model, responsibilities: np.ndarray, theta
) -> Mixture:
    """Where EM starts at given responsibilities: with the covariance of all maps."""
    return model.mixture(data, responsibilities, np.tile(theta, (responsibilities.shape[1], 1)))


def _candidates(
    engine: VariableEngine, combined: Blocks, model: Model, n_components, n_init, rng
) -> list[tuple[np.ndarray, int]]:
    """Responsibilities (n, G) to start from: the search of single variables, k-means, chance.

    One of each kind first: a slow engine does not try many.  With each comes how many starts it
    stands for.
    """
    inner = replace(model, family=engine.inner.family)
    best, others = [], []
    for v in range(min(len(combined[0]), _SEARCHED)):
        alone = engine.inner.of_blocks([np.ascontiguousarray(block[v]) for block in combined])
        found = engine.inner.starts(alone, inner, n_components, n_init, rng)[:_TRIED]
        first, *rest = [(mixture.expectation(alone)[1], led) for mixture, led in found]
        best.append(first)
        others += rest
    by_k_means = [
        kmeans_responsibilities(features, n_components, rng)
        for features in (_relations(combined), _means(combined))
    ]
    n = combined[0].shape[1]
    drawn = random_responsibilities(n, n_components, n_init, rng)
    return [*best, *((R, 1) for R in by_k_means), *others, *((R, 1) for R in drawn)]


def _means(combined: Blocks) -> np.ndarray:
    """Features (n, at most n) with the distances between maps: they know of means."""
    flat = np.concatenate(_beside(combined), axis=1)
    n, m = flat.shape
    if m <= n:
        return flat
    values, vectors = np.linalg.eigh(flat @ flat.T)
    return vectors * np.sqrt(np.maximum(values, 0))


def _relations(combined: Blocks) -> np.ndarray:
    """Logarithm of each map's own scatter of the variables: it knows of covariance between them."""
    scatter = sum(np.einsum("uij,vij->iuv", block, block, optimize=True) for block in combined)
    q = scatter.shape[1]
    p = sum(block.shape[2] for block in combined)
    values, vectors = np.linalg.eigh(scatter / p + 0.01 * np.eye(q))
    logarithm = (vectors * np.log(values)[:, None]) @ vectors.transpose(0, 2, 1)
    features = logarithm[:, *np.tril_indices(q)]
    return (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-12)

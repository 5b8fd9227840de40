"""The scoring step: uphill, inside the cone and the bounds of beta, and to the maximum."""

from itertools import product

import numpy as np
import pytest

from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay
from spatgmm.covariance.family import SHAPE, SpatialCovariance
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.kernel import Kernel
from spatgmm.fitting.scoring import Scoring

COORDINATES = grid_coordinates((3, 4))

#: No parameter is shared, no coefficient held.
FREE = np.zeros(4, dtype=bool), np.full((1, 3), np.nan)


@pytest.fixture
def family():
    return SpatialCovariance(Kernel(Geometry(COORDINATES), decay.get("sigmoid")))


@pytest.mark.parametrize("seed", range(12))
def test_a_step_gains_from_anywhere_inside_the_cone(family, seed):
    rng = np.random.default_rng(seed)
    (lower,), (upper,) = family.kernel.lower, family.kernel.upper
    beta = (lower, upper, rng.uniform(0.01, upper))[seed % 3]
    covariance = family.at([rng.uniform(0, 2), rng.uniform(0.2, 2), rng.uniform(0.5, 2), beta])
    X = rng.normal(size=(40, 12)) + rng.normal(size=(40, 1))
    scatter = [X.T @ X / 40]
    (after,) = Scoring().update([covariance], [scatter], np.ones(1), *FREE)
    assert after.objective(scatter) < covariance.objective(scatter)
    assert lower <= after.theta[SHAPE][0] <= upper


@pytest.mark.parametrize("held", list(product([False, True], repeat=3)), ids=str)
def test_steps_with_held_coefficients_are_the_best_that_leave_them(family, held):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(40, 12)) + rng.normal(size=(40, 1))
    scatter = [X.T @ X / 40]
    before = covariance = family.at([0.5, 0.5, 0.9, 1.0])
    held = np.array(held)
    alphas = np.where(held, family.alpha(covariance.theta), np.nan)[None]
    values = [covariance.objective(scatter)]
    for _ in range(60):
        (covariance,) = Scoring().update([covariance], [scatter], np.ones(1), FREE[0], alphas)
        values.append(covariance.objective(scatter))
    assert (np.diff(values) <= 1e-12 * abs(values[0])).all() and values[-1] < values[0]
    alpha, beta = family.alpha(covariance.theta), covariance.theta[SHAPE]
    np.testing.assert_allclose(alpha[held], family.alpha(before.theta)[held], rtol=1e-14)
    # No other covariance nearby that keeps them is better.
    for _ in range(50):
        there = np.where(held, alpha, alpha + 0.01 * rng.normal(size=3))
        shape = np.clip(beta + 0.01 * rng.normal(size=1), family.kernel.lower, family.kernel.upper)
        trial = family.at(family.theta(family.coefficients(there), shape))
        assert trial is None or trial.objective(scatter) >= values[-1] - 1e-9


def test_steps_end_where_the_score_vanishes(family, plain):
    X, _ = plain.draw(COORDINATES, 400, [(1.0, 0.0, (1.0, -0.9, 0.3), 2.5)], seed=1)
    scatter = [X.T @ X / len(X)]
    covariance = family.at([0.5, 0.5, 0.5, 1.0])
    for _ in range(60):
        (covariance,) = Scoring().update([covariance], [scatter], np.ones(1), *FREE)
    score, information = covariance.score_and_information(scatter)
    # The decrement g'F^-1 g is what another step would gain.
    assert score @ np.linalg.solve(information, score) < 1e-12


def test_nothing_is_gained_at_the_maximum(family):
    covariance = family.at([0.3, 0.8, 0.4, 2.5])
    scatter = family.matrix(covariance.theta)
    (after,) = Scoring().update([covariance], [scatter], np.ones(1), *FREE)
    np.testing.assert_allclose(after.theta, covariance.theta, rtol=1e-6)


@pytest.mark.parametrize("beta_init", [0.02, 0.1, 0.5])
def test_beta_gets_to_its_lower_bound_from_afar(beta_init):
    # Maps with an exponential correlation, of which the straight line is the best sigmoid.
    delta = np.abs(np.subtract.outer(np.arange(9.0), np.arange(9.0)))
    X = np.random.default_rng(3).multivariate_normal(np.zeros(9), np.exp(-delta / 8), size=200)
    start = np.zeros(200, dtype=int)
    best = SpatialGaussianMixture(1, init=start, beta_init=1e-3).fit(X)
    model = SpatialGaussianMixture(1, init=start, beta_init=beta_init).fit(X)
    assert best.beta_[0] == pytest.approx(1e-3)
    assert model.log_likelihood_ == pytest.approx(best.log_likelihood_, abs=0.01)

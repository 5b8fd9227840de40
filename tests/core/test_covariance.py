"""The covariance, its score and its information against dense formulas and scipy."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay
from spatgmm.covariance.family import SpatialCovariance, theta_from_alpha
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.kernel import Kernel

CASES = {
    "irregular": (np.random.default_rng(0).uniform(size=(11, 2)), False),
    "grid in blocks": (grid_coordinates((4, 5)), True),
    "cube in blocks": (grid_coordinates((2, 3, 3)), True),
    "line": (np.arange(8.0)[:, None], False),
}
ALPHA, BETA = np.array([1.1, -0.8, 0.4]), 3.5
THETA = theta_from_alpha(ALPHA, BETA)


@pytest.fixture(params=CASES)
def case(request):
    coordinates, symmetry = CASES[request.param]
    return coordinates, SpatialCovariance(
        Kernel(Geometry(coordinates, symmetry), decay.get("sigmoid"))
    )


@pytest.fixture
def scatter(case):
    """A scatter matrix S, dense and in blocks."""
    coordinates, family = case
    p = len(coordinates)
    X = np.random.default_rng(1).normal(size=(3 * p, p)) @ np.diag(np.linspace(0.5, 1.5, p))
    return X.T @ X / len(X), [maps.T @ maps / len(X) for maps in family.geometry.rotate(X)]


def directions(plain, coordinates):
    """``(J, Xi, I, dXi/dbeta)`` as dense matrices; the last by differences."""
    p = len(coordinates)
    step = 1e-5
    slope = (
        plain.covariance(coordinates, ALPHA, BETA + step)
        - plain.covariance(coordinates, ALPHA, BETA - step)
    ) / (2 * step)
    return [np.ones((p, p)), plain.covariance(coordinates, ALPHA, BETA), np.eye(p), slope]


def test_theta_and_alpha_are_two_names_for_the_same(case):
    _, family = case
    np.testing.assert_allclose(THETA, [0.3, 0.8, 0.4, 3.5])
    np.testing.assert_allclose(family.alpha(THETA), ALPHA)
    np.testing.assert_allclose(family.to_public(2.0) @ THETA, [*(4 * ALPHA), BETA])


def test_the_matrix_is_that_of_the_paper(case, plain):
    coordinates, family = case
    Q = np.concatenate(family.geometry.rotate(np.eye(len(coordinates))), axis=1)
    rotated = Q.T @ plain.covariance(coordinates, ALPHA, BETA) @ Q
    start = 0
    for block in family.matrix(THETA):
        stop = start + len(block)
        np.testing.assert_allclose(block, rotated[start:stop, start:stop], atol=1e-11)
        start = stop


def test_density_is_scipys_multivariate_normal(case, plain):
    coordinates, family = case
    p = len(coordinates)
    X = np.random.default_rng(2).normal(size=(6, p))
    covariance = family.at(THETA)
    distance = covariance.mahalanobis([block.copy() for block in family.geometry.rotate(X)])
    expected = multivariate_normal(np.zeros(p), plain.covariance(coordinates, ALPHA, BETA))
    np.testing.assert_allclose(
        -0.5 * (p * np.log(2 * np.pi) + covariance.log_det + distance),
        expected.logpdf(X),
        rtol=1e-10,
    )


def test_objective_is_minus_twice_the_mean_log_likelihood(case, plain):
    coordinates, family = case
    p = len(coordinates)
    X = np.random.default_rng(3).normal(size=(15, p))
    scatter = [maps.T @ maps / len(X) for maps in family.geometry.rotate(X)]
    expected = multivariate_normal(np.zeros(p), plain.covariance(coordinates, ALPHA, BETA))
    assert family.at(THETA).objective(scatter) == pytest.approx(
        -2 * expected.logpdf(X).mean() - p * np.log(2 * np.pi), rel=1e-10
    )


def test_score_is_the_slope_of_the_log_likelihood(case, plain, scatter):
    coordinates, family = case
    S, blocks = scatter
    Xi = plain.covariance(coordinates, ALPHA, BETA)

    def log_likelihood(matrix):
        return -0.5 * (np.linalg.slogdet(matrix)[1] + np.trace(np.linalg.solve(matrix, S)))

    score, _ = family.at(THETA).score_and_information(blocks)
    step = 1e-6
    slopes = [
        (log_likelihood(Xi + step * B) - log_likelihood(Xi - step * B)) / (2 * step)
        for B in directions(plain, coordinates)
    ]
    np.testing.assert_allclose(score, slopes, rtol=1e-5, atol=1e-6)


def test_information_is_half_the_trace(case, plain, scatter):
    coordinates, family = case
    W = np.linalg.inv(plain.covariance(coordinates, ALPHA, BETA))
    B = directions(plain, coordinates)
    brute = [[0.5 * np.trace(W @ Bk @ W @ Bm) for Bm in B] for Bk in B]
    _, information = family.at(THETA).score_and_information(scatter[1])
    np.testing.assert_allclose(information, brute, rtol=1e-6)


def test_score_vanishes_where_the_scatter_is_the_covariance(case):
    _, family = case
    covariance = family.at(THETA)
    score, _ = covariance.score_and_information(family.matrix(THETA))
    np.testing.assert_allclose(score, 0, atol=1e-9)


def test_inverse_is_the_inverse(case):
    _, family = case
    for W, Xi in zip(family.at(THETA).inverse, family.matrix(THETA), strict=True):
        np.testing.assert_allclose(W @ Xi, np.eye(len(W)), atol=1e-10)


OUTSIDE = theta_from_alpha([1.0, -0.9, -0.5], 3.5)


def test_outside_the_cone_there_is_no_factor(case):
    _, family = case
    assert family.at(OUTSIDE) is None


def test_a_floored_covariance_has_its_eigenvalues_raised(case):
    _, family = case
    floored = family.at_floored(OUTSIDE, 1e-3)
    for factor, block in zip(floored.factors, family.matrix(OUTSIDE), strict=True):
        values, vectors = np.linalg.eigh(block)
        expected = (vectors * np.maximum(values, 1e-3)) @ vectors.T
        np.testing.assert_allclose(factor @ factor.T, expected, atol=1e-10)
        np.testing.assert_allclose(factor, np.tril(factor))


def test_inside_the_cone_the_floor_changes_nothing(case):
    _, family = case
    for one, other in zip(
        family.at_floored(THETA, 1e-8).factors, family.at(THETA).factors, strict=True
    ):
        np.testing.assert_array_equal(one, other)

"""Vecchia's likelihood: exact with all neighbours, a proper density with few, at any locations."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay as decays
from spatgmm.covariance import incomplete, neighbours
from spatgmm.covariance import metric as metrics
from spatgmm.covariance.family import C, SpatialCovariance
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.kernel import Kernel
from spatgmm.covariance.neighbours import NeighbourGeometry
from spatgmm.covariance.vecchia import VecchiaFamily
from spatgmm.fitting.estimates import Posterior, Ties
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.vecchia import VecchiaMaps
from spatgmm.fitting.vecchia_information import VecchiaInformation, _Component

GRID = grid_coordinates((6, 6)).astype(float)
CASES = {
    "line": (np.arange(20.0)[:, None], "exponential", "isotropic"),
    "grid": (GRID, "sigmoid", "isotropic"),
    "cube": (grid_coordinates((3, 3, 3)).astype(float), "ispline", "isotropic"),
    "irregular": (np.random.default_rng(5).uniform(size=(30, 2)), "matern32", "axes"),
    "small": (grid_coordinates((3, 2)).astype(float), "exponential", "isotropic"),
    "masked": (GRID[((GRID - 2) ** 2).sum(axis=1) > 1], "exponential", "rotated"),
    "doubled": (np.repeat(GRID[:12], 2, axis=0) * [1, 0.7], "exponential", "isotropic"),
}
ALL = 10_000


def families(case, n_neighbors):
    """Vecchia's family and the exact one."""
    coordinates, decay, metric = CASES[case]
    metric, decay = metrics.get(metric), decays.get(decay)
    near = NeighbourGeometry(coordinates, n_neighbors)
    dense = Geometry(coordinates, False, by_offset=metric.by_offset)
    return VecchiaFamily(Kernel(near, decay, metric)), SpatialCovariance(
        Kernel(dense, decay, metric)
    )


def parameters(family, c=0.3):
    shape = np.full(len(family.kernel.lower), 0.3)
    shape[0] = 0.3 if family.kernel.decay.name == "ispline" else 1.2
    return np.array([c, 0.8, 0.4, *shape])


def some_maps(family, n=6, missing=0.0, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, family.geometry.n_locations)) + 0.5
    X[1:][rng.uniform(size=X[1:].shape) < missing] = np.nan
    return X


def exact_log_density(X, mean, Xi):
    seen = ~np.isnan(X)
    return np.array(
        [
            multivariate_normal(mean[o], Xi[np.ix_(o, o)]).logpdf(x[o])
            for x, o in zip(X, seen, strict=True)
        ]
    )


@pytest.mark.parametrize("c", [0.3, -0.02])
@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("case", CASES)
def test_all_earlier_neighbours_are_the_exact_likelihood(case, missing, c):
    family, exact = families(case, ALL)
    theta = parameters(family, c)
    covariance, Xi = family.at(theta), exact.matrix(theta)[0]
    X, mean = some_maps(family, missing=missing), 0.1 * np.arange(len(Xi)) / len(Xi)
    found = VecchiaMaps(family.geometry, X).log_density([mean], covariance)
    np.testing.assert_allclose(found, exact_log_density(X, mean, Xi), rtol=0, atol=1e-8)
    assert covariance.log_det == pytest.approx(np.linalg.slogdet(Xi)[1], abs=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_few_neighbours_are_a_normal_density(case):
    family, _ = families(case, 5)
    covariance = family.at(parameters(family))
    p = family.geometry.n_locations
    (precision,) = covariance.solve([np.eye(p)])
    X = some_maps(family)
    found = VecchiaMaps(family.geometry, X).log_density([np.zeros(p)], covariance)
    Xi = np.linalg.inv(precision)
    np.testing.assert_allclose(found, multivariate_normal(np.zeros(p), Xi).logpdf(X), atol=1e-8)
    np.testing.assert_allclose(covariance.apply(np.eye(p)), Xi, atol=1e-9)
    (drawn,) = covariance.draw(20_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.cov(drawn.T), Xi, atol=0.06)
    assert covariance.condition_number() == pytest.approx(np.linalg.cond(Xi), rel=0.1)


def test_observed_pixels_of_a_map_have_a_normal_density_with_few_neighbours():
    family, _ = families("grid", 5)
    covariance = family.at(parameters(family))
    seen = np.flatnonzero(np.random.default_rng(1).uniform(size=36) < 0.7)
    k = len(seen)
    points = np.concatenate([np.zeros((1, k)), np.eye(k)])
    points = np.concatenate([points, *(np.eye(k)[i] + np.eye(k) for i in range(k))])
    X = np.full((len(points), 36), np.nan)
    X[:, seen] = points
    log_density = VecchiaMaps(family.geometry, X).log_density([np.zeros(36)], covariance)
    # The quadratic form by polarisation; then the constant must be that of a density.
    form = -2 * (log_density - log_density[0])
    alone = form[1 : k + 1]
    precision = (form[k + 1 :].reshape(k, k) - alone - alone[:, None]) / 2
    np.testing.assert_allclose(np.diag(precision), alone, rtol=1e-8)
    constant = 0.5 * (np.linalg.slogdet(precision)[1] - k * np.log(2 * np.pi))
    assert log_density[0] == pytest.approx(constant, abs=1e-8)


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("n_neighbors", [5, ALL])
@pytest.mark.parametrize("case", CASES)
def test_score_is_the_derivative_of_the_objective(case, n_neighbors, missing):
    family, _ = families(case, n_neighbors)
    theta = parameters(family)
    X, w = some_maps(family, missing=missing), np.array([0.5, 0.0, 1.0, 0.2, 0.9, 0.0])
    moments = VecchiaMaps(family.geometry, X).moments(w, [np.zeros(X.shape[1])])
    covariance = family.at(theta)
    score, information = covariance.score_and_information(moments)
    along = np.eye(len(theta))
    along[1] = np.where(np.arange(len(theta)) < 3, theta, 0.0)
    for direction, slope in zip(along, score, strict=True):
        ahead, behind = (family.at(theta + s * 1e-5 * direction) for s in (1, -1))
        found = -0.5 * (ahead.objective(moments) - behind.objective(moments)) / 2e-5
        assert found == pytest.approx(slope, abs=1e-6)
    assert np.linalg.eigvalsh(information).min() > -1e-9 * np.abs(information).max()


@pytest.mark.parametrize("kept", [True, False])
def test_some_incomplete_maps_count_as_they_do_by_themselves(kept, monkeypatch):
    family, _ = families("grid", 8)
    X = some_maps(family, n=9, missing=0.4)
    chosen, mean = np.array([1, 2, 5, 8]), [np.full(36, 0.2)]
    covariance, weights = family.at(parameters(family)), np.zeros(9)
    weights[chosen] = [0.4, 1.0, 0.2, 0.9]
    alone = VecchiaMaps(family.geometry, X[chosen]).moments(weights[chosen], mean)
    expected = covariance.score_and_information(alone), covariance.objective(alone)
    # However many windows are worked on at a time, and whether their conditionals are known.
    monkeypatch.setattr(incomplete, "_CHUNK_VALUES", 100)
    monkeypatch.setattr(incomplete, "_MOST_SIDE_BY_SIDE", 2)
    maps, again = VecchiaMaps(family.geometry, X), family.at(parameters(family))
    if kept:
        maps.distances(mean, again)
    some = maps.moments(weights, mean)
    found = again.score_and_information(some), again.objective(some)
    for one, other in zip((*found[0], found[1]), (*expected[0], expected[1]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_a_start_outside_the_cone_of_incomplete_maps_is_moved_inside():
    family, _ = families("grid", 2)
    theta = parameters(family, 0.0)
    theta[C] = -0.9 / family.at(theta).innovations(np.zeros((36, 1))).o[0]
    covariance, mean = family.at(theta), [np.zeros(36)]
    maps = VecchiaMaps(family.geometry, some_maps(family, n=8, missing=0.3))
    assert np.isinf(maps.distances(mean, covariance)[1]).any()
    moved = maps.inside(covariance)
    assert np.isfinite(maps.distances(mean, moved)).all()
    np.testing.assert_array_equal(moved.theta[1:], theta[1:])
    assert maps.inside(moved) is moved


def test_objective_belongs_to_the_log_density():
    family, _ = families("irregular", 8)
    covariance = family.at(parameters(family))
    X, w = some_maps(family, missing=0.2), np.arange(6.0)
    maps, mean = VecchiaMaps(family.geometry, X), [np.full(30, 0.2)]
    log_2pi = maps.n_observed * np.log(2 * np.pi)
    expected = w @ (-2 * maps.log_density(mean, covariance) - log_2pi) / w.sum()
    assert covariance.objective(maps.moments(w, mean)) == pytest.approx(expected)


@pytest.mark.parametrize("case", ["line", "grid", "irregular"])
def test_information_with_all_neighbours_is_the_exact_one_but_for_the_level(case):
    family, exact = families(case, ALL)
    for c, tolerance in ((0.0, 1e-10), (0.3, 0.03)):
        theta = parameters(family, c)
        moments = VecchiaMaps(family.geometry, some_maps(family)).moments(
            np.ones(6), [np.zeros(family.geometry.n_locations)]
        )
        _, found = family.at(theta).score_and_information(moments)
        kernel, (W,) = exact.kernel, exact.at(theta).inverse
        slopes = kernel.derivatives(theta[3:])
        bases = [np.ones_like(W), exact.matrix(theta)[0], np.eye(len(W))]
        bases += [theta[1] * exact.geometry.assemble(slope)[0] for slope in slopes]
        expected = 0.5 * np.array([[np.trace(W @ a @ W @ b) for a in bases] for b in bases])
        np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())


def test_the_mean_of_incomplete_maps_solves_its_equations():
    family, exact = families("grid", ALL)
    theta = parameters(family)
    covariance, Xi = family.at(theta), exact.matrix(theta)[0]
    X, w = some_maps(family, n=12, missing=0.3), np.linspace(0.1, 1, 12)
    H, right = np.zeros((36, 36)), np.zeros(36)
    for x, weight in zip(X, w, strict=True):
        o = np.flatnonzero(~np.isnan(x))
        W = np.linalg.inv(Xi[np.ix_(o, o)])
        H[np.ix_(o, o)] += weight * W
        right[o] += weight * W @ x[o]
    seen = VecchiaMaps(family.geometry, X).completed([np.zeros(36)], covariance)
    np.testing.assert_allclose(seen.mean(w)[0], np.linalg.solve(H, right), atol=1e-3)
    level = right.sum() / H.sum()
    np.testing.assert_allclose(seen.mean_within(w, [np.ones((1, 36))])[0], level, atol=1e-9)
    filled = seen.blocks[0]
    o = ~np.isnan(X[3])
    expected = Xi[np.ix_(~o, o)] @ np.linalg.solve(Xi[np.ix_(o, o)], X[3][o])
    np.testing.assert_allclose(filled[3][~o], expected, atol=1e-6)
    np.testing.assert_array_equal(filled[3][o], X[3][o])


def test_a_grid_has_few_groups_whatever_its_size():
    small, large = (NeighbourGeometry(grid_coordinates((m, m)).astype(float), 20) for m in (20, 40))
    assert small.n_groups <= large.n_groups < small.n_groups + 5 < 100
    assert len(large.delta) < 200


def test_neighbours_are_the_nearest_earlier_ones():
    coordinates = CASES["irregular"][0]
    geometry = NeighbourGeometry(coordinates, 4)
    rank = np.argsort(geometry.order)
    for j, window in enumerate(geometry.windows):
        assert window[-1] == j
        earlier = np.flatnonzero(rank < rank[j])
        distances = np.linalg.norm(coordinates[earlier] - coordinates[j], axis=1)
        nearest = earlier[np.argsort(distances)[:4]]
        assert set(window[:-1]) - {j} == set(nearest)


def test_the_largest_distance_is_2():
    for coordinates, *_ in CASES.values():
        exact = Geometry(coordinates, False)
        assert NeighbourGeometry(coordinates, 3).unit == pytest.approx(exact.unit, rel=1e-12)


def test_a_part_of_the_locations_keeps_its_distances():
    coordinates = np.random.default_rng(0).uniform(size=(700, 2))
    geometry = NeighbourGeometry(coordinates, 10)
    locations = geometry.thinned(1024)
    assert 200 < len(locations) <= 500
    part = geometry.part(locations)
    assert part.unit == geometry.unit
    assert part.smallest_distance < 2 * geometry.smallest_distance
    assert NeighbourGeometry(coordinates[:300], 10).thinned(1024) is None


def test_too_little_memory_is_said_before_the_work_starts(monkeypatch):
    monkeypatch.setattr(neighbours.memory, "available", lambda: 4096.0)
    with pytest.raises(ValueError, match=r"n_neighbors=20 at 36 locations needs about .* GB"):
        NeighbourGeometry(GRID, 20)


def test_outside_the_cone_there_is_no_covariance():
    family, _ = families("grid", 10)
    assert family.at(np.array([0.3, 0.8, -2.0, 1.2])) is None
    assert family.at(np.array([-5.0, 0.8, 0.4, 1.2])) is None
    assert family.inside(np.array([0.3, 0.8, -2.0, 1.2])).theta[2] > -2


# -- two components on larger grids ----------------------------------------------------------------

TWO = np.array([[0.1, 0.7, 0.3, 6.0], [0.1, 0.7, 0.3, 12.0]])


def two_components(size, n=20, seed=0):
    """Maps of two exponential covariances on a grid, the first n of the first, and the exact."""
    coordinates = grid_coordinates((size, size)).astype(float)
    kernel = Kernel(Geometry(coordinates), decays.get("exponential"))
    exact = [SpatialCovariance(kernel).at(theta) for theta in TWO]
    rng = np.random.default_rng(seed)
    blocks = [
        np.concatenate([rng.standard_normal((n, len(f))) @ f.T for f in of_both])
        for of_both in zip(*(c.factors for c in exact), strict=True)
    ]
    maps, zero = Maps(blocks), [np.zeros(len(f)) for f in exact[0].factors]
    ratio = np.subtract(*(maps.log_density(zero, c) for c in exact))
    return coordinates, kernel.geometry.rotate_back(blocks), ratio


def vecchia_ratio(coordinates, X, n_neighbors):
    family = VecchiaFamily(
        Kernel(NeighbourGeometry(coordinates, n_neighbors), decays.get("exponential"))
    )
    maps, zero = VecchiaMaps(family.geometry, X), [np.zeros(len(coordinates))]
    return np.subtract(*(maps.log_density(zero, family.at(theta)) for theta in TWO))


def test_log_likelihood_ratios_come_closer_with_neighbours_and_labels_agree():
    coordinates, X, exact = two_components(32)
    errors = [
        np.sqrt(np.mean((vecchia_ratio(coordinates, X, m) - exact) ** 2)) for m in (12, 30, 60)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.3
    assert ((vecchia_ratio(coordinates, X, 60) > 0) == (exact > 0)).all()


@dataclass
class Parameters:
    weights: np.ndarray
    means: list
    covariances: list


def improved(covariance, moments):
    """One scoring step, halved until the objective does not rise."""
    score, information = covariance.score_and_information(moments)
    step, present = np.linalg.solve(information, score), covariance.objective(moments)
    kernel = covariance.family.kernel
    for _ in range(20):
        theta = covariance.theta + step * [1, 0, 1, *np.ones(len(step) - 3)]
        theta[:3] += step[1] * covariance.theta[:3]
        theta[3:] = np.clip(theta[3:], kernel.lower, kernel.upper)
        trial = covariance.family.at(theta)
        if trial is not None and trial.objective(moments) <= present:
            return trial
        step = step / 2
    return covariance


def em(maps, R, covariances, n_iter):
    """Log-likelihoods, parameters and responsibilities of a plain EM."""
    p, trace = maps.n_locations, []
    state = Parameters(R.mean(axis=0), [[np.zeros(p)] for _ in covariances], covariances)
    for _ in range(n_iter):
        state.weights = R.mean(axis=0)
        for g, weights in enumerate(R.T):
            seen = maps.completed(state.means[g], state.covariances[g])
            state.means[g] = seen.mean(weights)
            moments = maps.moments(weights, state.means[g])
            state.covariances[g] = improved(state.covariances[g], moments)
        joint = np.log(state.weights) + np.column_stack(
            [
                maps.log_density(mean, covariance)
                for mean, covariance in zip(state.means, state.covariances, strict=True)
            ]
        )
        evidence = logsumexp(joint, axis=1)
        trace.append(evidence.sum())
        R = np.exp(joint - evidence[:, None])
    return np.array(trace), state, R


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("case", ["masked", "irregular"])
def test_em_never_loses_likelihood(case, missing):
    family, _ = families(case, 6)
    rng = np.random.default_rng(2)
    shape = parameters(family)[3:]
    truth = [family.at(np.array([0.1, 0.8, 0.3, *(s * shape)])) for s in (1, 3)]
    X = np.concatenate([covariance.draw(30, rng)[0] for covariance in truth])
    X[rng.uniform(size=X.shape) < missing] = np.nan
    start = rng.dirichlet([0.3, 0.3], size=len(X))
    covariances = [family.at(np.array([0.2, 0.6, 0.5, *shape])) for _ in range(2)]
    trace, *_ = em(VecchiaMaps(family.geometry, X), start, covariances, 15)
    assert np.diff(trace).min() > -1e-8 * abs(trace[-1])
    assert trace[-1] > trace[0] + 1


def numerical_information(X, family, state):
    """Hessian and scores of the log-likelihood by all parameters, exact but for differences."""
    p, size = X.shape[1], len(state.covariances[0].theta)

    def by_map(flat):
        weights, means, thetas = np.split(flat, [1, 1 + 2 * p])
        weights = [*weights, 1 - weights.sum()]
        return logsumexp(
            [
                np.log(w) - 0.5 * (covariance.mahalanobis([X - mean]) + covariance.log_det)
                for w, mean, covariance in zip(
                    weights,
                    means.reshape(2, p),
                    map(family.at, thetas.reshape(2, size)),
                    strict=True,
                )
            ],
            axis=0,
        )

    at = np.concatenate(
        [
            state.weights[:1],
            *[mean[0] for mean in state.means],
            *[covariance.theta for covariance in state.covariances],
        ]
    )
    steps = 1e-4 * np.maximum(np.abs(at), 0.3)

    def scores(flat):
        return np.array(
            [(by_map(flat + e) - by_map(flat - e)) / (2 * e.sum()) for e in np.diag(steps)]
        )

    hessian = [
        (scores(at + e).sum(axis=1) - scores(at - e).sum(axis=1)) / (2 * e.sum())
        for e in np.diag(steps)
    ]
    return -np.array(hessian), scores(at)


def test_standard_errors_are_those_of_the_numerical_hessian_and_sandwich():
    family, exact = families("small", ALL)
    rng = np.random.default_rng(3)
    truth = [family.at(np.array(theta)) for theta in ([0.2, 1, 0.2, 0.6], [0.1, 1, 0.6, 1.5])]
    X = np.concatenate([covariance.draw(200, rng)[0] for covariance in truth])
    X[:200] += 1.2
    R = np.repeat(np.eye(2), 200, axis=0)
    maps = VecchiaMaps(family.geometry, X)
    trace, state, R = em(maps, R, truth, 200)
    assert trace[-1] - trace[-2] < 1e-7
    assert 0.05 < np.minimum(R[:, 0], R[:, 1]).mean() < 0.4
    found = VecchiaInformation(
        maps, state, Posterior(R), [[0, 1, 2, 3]] * 2, Ties(np.zeros(4, dtype=bool), [None] * 2)
    )
    hessian, scores = numerical_information(X, exact, state)
    inverse = np.linalg.inv(hessian)
    sandwich = inverse @ scores @ scores.T @ inverse
    for expected, of_theta, of_weight in (
        (inverse, found.theta_covariance, found.weight_variance),
        (sandwich, found.robust_theta_covariance, found.robust_weight_variance),
    ):
        assert of_weight[0] == pytest.approx(expected[0, 0], rel=0.01)
        assert of_weight[1] == pytest.approx(expected[0, 0], rel=0.01)
        for g in range(2):
            block = slice(13 + 4 * g, 17 + 4 * g)
            scale = np.abs(expected[block, block]).max()
            np.testing.assert_allclose(of_theta[g], expected[block, block], atol=0.02 * scale)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_complete_information_is_minus_the_second_derivatives(missing):
    family, _ = families("grid", 8)
    maps = VecchiaMaps(family.geometry, some_maps(family, n=8, missing=missing))
    weights, mean = np.linspace(0, 1, 8), [np.full(36, 0.4)]
    theta = parameters(family)
    posterior = Posterior(weights[:, None])
    component = _Component(maps, mean, family.at(theta), posterior.of(0), [0, 1, 2, 3])

    def log_likelihood(at):
        distance, log_det = maps.distances(mean, family.at(at))
        return -0.5 * weights @ (distance + log_det)

    steps = 1e-3 * np.eye(4)
    for k, one in enumerate(steps):
        for m, other in enumerate(steps):
            corners = [
                sign * log_likelihood(theta + a * one + b * other)
                for a, b, sign in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))
            ]
            second = sum(corners) / (4 * 1e-6)
            assert component.complete[k, m] == pytest.approx(-second, rel=1e-3, abs=1e-3)


def test_standard_errors_with_missing_pixels_are_larger():
    family, _ = families("grid", 8)
    rng = np.random.default_rng(4)
    truth = [family.at(np.array([0.1, 0.8, 0.3, beta])) for beta in (3.0, 9.0)]
    X = np.concatenate([covariance.draw(100, rng)[0] for covariance in truth])
    holes = rng.uniform(size=X.shape) < 0.3
    state = Parameters(np.full(2, 0.5), [[np.zeros(36)]] * 2, truth)
    R = np.repeat([[1 - 1e-6, 1e-6], [1e-6, 1 - 1e-6]], 100, axis=0)
    for basis in (None, np.ones((1, 36)), np.empty((0, 36))):
        complete, incomplete = (
            VecchiaInformation(
                VecchiaMaps(family.geometry, data),
                state,
                Posterior(R),
                [[0, 1, 2]] * 2,
                Ties(np.zeros(4, dtype=bool), [None] * 2),
                basis,
            )
            for data in (X, np.where(holes, np.nan, X))
        )
        ratio = incomplete.theta_covariance / complete.theta_covariance
        assert (ratio[:, 2, 2] > 1.2).all()
        assert (ratio[:, 2, 2] < 4).all()
        assert np.isnan(ratio[:, 3]).all()  # shapes are taken as known


def test_shared_parameters_have_one_standard_error():
    family, _ = families("grid", 8)
    truth = [family.at(np.array([0.1, 0.8, nugget, 3.0])) for nugget in (0.2, 0.6)]
    rng = np.random.default_rng(4)
    X = np.concatenate([covariance.draw(50, rng)[0] for covariance in truth])
    state = Parameters(np.full(2, 0.5), [[np.zeros(36)]] * 2, truth)
    maps, R = VecchiaMaps(family.geometry, X), np.repeat(np.eye(2), 50, axis=0)
    of = [
        VecchiaInformation(
            maps, state, Posterior(R), [[0, 1, 2, 3]] * 2, Ties(np.array(shared), [None] * 2)
        ).theta_covariance
        for shared in ([False] * 4, [False] * 3 + [True])
    ]
    assert of[1][0, 3, 3] == pytest.approx(of[1][1, 3, 3])
    assert of[1][0, 3, 3] < of[0][:, 3, 3].min()

"""The cosine likelihood: exact variances, EM that never falls, one optimum with the exact fit."""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import approx_fprime
from scipy.special import logsumexp

from spatgmm import SpatialGaussianMixture
from spatgmm.common.agreement import accuracy, ari
from spatgmm.common.em import Round, run, run_best
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay as decays
from spatgmm.covariance import metric as metrics
from spatgmm.covariance.cosine import Bands, CosineFamily, CosineGeometry
from spatgmm.covariance.family import NU, SHAPE, SpatialCovariance
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.kernel import Kernel
from spatgmm.fitting.cosine import CosineMaps
from spatgmm.fitting.cosine_information import _Scores, _square_roots, cosine_uncertainty
from spatgmm.fitting.em import SpatialProblem
from spatgmm.fitting.estimates import Estimates, Posterior
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.means import candidates
from spatgmm.fitting.scales import NoScales
from spatgmm.fitting.scoring import Scoring
from spatgmm.fitting.search import cosine as search
from spatgmm.fitting.state import Mixture, Model

SHAPES = [(9,), (2,), (4, 5), (6, 1, 3), (3, 4, 2)]


def cosine_family(shape, decay="exponential", metric="isotropic"):
    geometry = CosineGeometry(grid_coordinates(shape).astype(float))
    return CosineFamily(Kernel(geometry, decays.get(decay), metrics.get(metric)))


def dense_family(coordinates, decay="exponential", metric="isotropic"):
    metric = metrics.get(metric)
    geometry = Geometry(coordinates, symmetry=False, by_offset=metric.by_offset)
    return SpatialCovariance(Kernel(geometry, decays.get(decay), metric))


def two_clusters(shape, n, thetas, seed, decay="exponential"):
    """Maps of the exact model about zero means, and their labels."""
    rng = np.random.default_rng(seed)
    dense = dense_family(grid_coordinates(shape).astype(float), decay)
    labels = np.arange(n) % len(thetas)
    X = np.empty((n, np.prod(shape)))
    for g, theta in enumerate(thetas):
        (factor,) = dense.at(np.array(theta)).factors
        X[labels == g] = rng.standard_normal(((labels == g).sum(), len(factor))) @ factor.T
    return X, labels


def model_of(family, mean="free", shared=()):
    (mean,) = candidates(mean, family.geometry.coordinates.shape[1])
    return Model(family, mean, NoScales(), family.members(shared))


def run_from(maps, model, responsibilities, thetas, tol=1e-4, max_iter=500):
    start = model.mixture(maps, responsibilities, np.array(thetas))
    return run(SpatialProblem(maps, model, Scoring()), start, tol=tol, max_iter=max_iter)


def fitted(family, X, labels, thetas, mean, tol=1e-4, max_iter=2000):
    maps = CosineMaps(family.geometry.rotate(X))
    model = model_of(family, mean)
    fit = run_from(maps, model, np.eye(len(thetas))[labels], thetas, tol, max_iter)
    return fit, maps, Estimates(fit.parameters, model, 1.0, np.ones(1))


# -- the covariance ---------------------------------------------------------------------------


@pytest.mark.parametrize("decay", decays.names())
@pytest.mark.parametrize(
    ("shape", "metric"),
    [(shape, "isotropic") for shape in SHAPES]
    + [(shape, "axes") for shape in SHAPES if len(shape) > 1],
)
def test_variances_are_those_of_the_dense_covariance(shape, decay, metric):
    coordinates = grid_coordinates(shape).astype(float)
    coordinates = coordinates[np.random.default_rng(0).permutation(len(coordinates))]
    family = CosineFamily(
        Kernel(CosineGeometry(coordinates), decays.get(decay), metrics.get(metric))
    )
    dense = dense_family(coordinates, decay, metric)
    V = family.geometry.rotate_back([np.eye(len(coordinates))])
    assert_allclose(V @ V.T, np.eye(len(V)), atol=1e-12)
    for shape_parameters in family.kernel.grid()[0][::4]:
        theta = np.array([0.3, 0.6, 0.2, *shape_parameters])
        (Xi,) = dense.matrix(theta)
        assert_allclose(family.variances(theta), np.diag(V @ Xi @ V.T), rtol=0, atol=1e-12)


def test_long_axes_are_transformed_without_a_table():
    m = 1100
    family = cosine_family((m,), "matern32")
    theta = np.array([0.1, 0.7, 0.2, 30.0])
    (Xi,) = dense_family(grid_coordinates((m,)).astype(float), "matern32").matrix(theta)
    V = family.geometry.rotate_back([np.eye(m)])
    assert_allclose(family.variances(theta), np.einsum("ki,ij,kj->k", V, Xi, V, optimize=True))


def test_maps_come_back_from_their_cosines():
    coordinates = grid_coordinates((3, 4, 5)).astype(float)
    X = np.random.default_rng(1).normal(size=(7, 60))
    geometry = CosineGeometry(coordinates[np.random.default_rng(2).permutation(60)])
    (Y,) = geometry.rotate(X)
    assert_allclose(geometry.rotate_back([Y]), X)
    assert_allclose((Y**2).sum(axis=1), (X**2).sum(axis=1))
    assert_allclose(geometry.rotate(np.ones((1, 60)))[0][0], geometry.ones[0], atol=1e-12)


@pytest.mark.parametrize(
    ("decay", "metric"), [("sigmoid", "isotropic"), ("ispline", "isotropic"), ("matern52", "axes")]
)
def test_score_and_information_are_derivatives(decay, metric):
    family = cosine_family((5, 4), decay, metric)
    kernel = family.kernel
    inner = kernel.grid()[0][3]
    if decay == "ispline":
        inner = np.full(len(inner), 0.4)
    theta = np.array([0.2, 0.7, 0.4, *inner])
    moments = [np.random.default_rng(3).uniform(0.2, 2.0, size=20)]
    score, information = family.at(theta).score_and_information(moments)
    # From (c, tau, nu, shape) to the directions (J, Xi, I, dXi/dshape).
    along = np.eye(len(theta))
    along[1, :3] = theta[:3]
    by_theta = approx_fprime(theta, lambda t: -0.5 * family.at(t).objective(moments), 1e-7)
    assert_allclose(score, along @ by_theta, rtol=1e-4, atol=1e-5)
    slopes = along @ np.array(
        [
            (family.variances(theta + step) - family.variances(theta - step)) / 2e-6
            for step in 1e-6 * np.eye(len(theta))
        ]
    )
    d = family.variances(theta)
    assert_allclose(information, 0.5 * (slopes / d) @ (slopes / d).T, rtol=1e-4, atol=1e-6)


def test_outside_the_cone_there_is_none_and_inside_is_next_to_it():
    family = cosine_family((6, 6))
    theta = np.array([-2.0, 0.5, 0.1, 2.0])
    assert family.at(theta) is None
    covariance = family.inside(theta)
    assert covariance.variances.min() > 0
    assert covariance.theta[NU] > theta[NU]
    assert_allclose(np.delete(covariance.theta, NU), np.delete(theta, NU))
    valid = np.array([0.1, 0.5, 0.1, 2.0])
    assert_allclose(family.inside(valid).theta, valid)


def test_solving_and_distances_use_the_same_inverse():
    family = cosine_family((4, 3))
    covariance = family.at(np.array([0.1, 0.7, 0.3, 2.0]))
    Y = np.random.default_rng(4).normal(size=(5, 12))
    (solved,) = covariance.solve([Y])
    assert_allclose(covariance.mahalanobis([Y.copy()]), (Y * solved).sum(axis=1))
    assert covariance.condition_number() == pytest.approx(
        covariance.variances.max() / covariance.variances.min()
    )


def test_draws_have_the_variances_of_the_model():
    family = cosine_family((5, 6))
    theta = np.array([0.2, 0.6, 0.2, 2.0])
    (Y,) = family.at(theta).draw(20000, np.random.default_rng(5))
    ratio = (Y**2).mean(axis=0) / family.variances(theta)
    assert np.abs(ratio - 1).max() < 6 * np.sqrt(2 / 20000)


@pytest.mark.parametrize("m", [20, 40, 75])
def test_bands_are_means_over_neighbouring_cosines(m):
    family = cosine_family((m, 37))
    bands, kernel = Bands(family.geometry), family.kernel
    values = kernel.value(np.array([3.0]))
    (full,) = family.geometry.assemble(values)
    means = np.bincount(bands.of, weights=full) / bands.sizes
    assert_allclose(bands.spectra(values[None])[0], means, rtol=1e-10)
    assert bands.sizes.sum() == m * 37
    assert bands.sizes[0] == 1  # the constant map stands alone
    assert (len(bands.sizes) == m * 37) == (max(m, 37) <= 32)


@pytest.mark.parametrize(("m", "most"), [(16, 1.9), (32, 3.7)])
def test_the_distance_to_the_exact_model_is_small(m, most):
    """Kullback-Leibler divergence per map; tr(Xi_cos^-1 Xi) = p leaves the determinants."""
    coordinates = grid_coordinates((m, m)).astype(float)
    for decay, beta in (("exponential", 3.0), ("matern32", 6.0), ("exponential", 8.0)):
        theta = np.array([0.1, 0.7, 0.2, beta])
        exact = SpatialCovariance(Kernel(Geometry(coordinates), decays.get(decay))).at(theta)
        divergence = 0.5 * (cosine_family((m, m), decay).at(theta).log_det - exact.log_det)
        assert 0 < divergence < most


# -- what it cannot carry ---------------------------------------------------------------------


def test_an_incomplete_grid_is_refused():
    with pytest.raises(ValueError, match=r"not a complete regular grid.*vecchia"):
        CosineGeometry(grid_coordinates((4, 4)).astype(float)[:-1])


def test_a_metric_that_is_not_even_is_refused():
    geometry = CosineGeometry(grid_coordinates((4, 4)).astype(float))
    with pytest.raises(ValueError, match=r"metric='rotated'.*vecchia"):
        CosineFamily(Kernel(geometry, decays.get("exponential"), metrics.get("rotated")))


def test_missing_pixels_are_refused():
    geometry = CosineGeometry(grid_coordinates((4, 4)).astype(float))
    X = np.ones((3, 16))
    X[1, 7] = np.nan
    with pytest.raises(ValueError, match=r"X row 1 has missing pixels.*vecchia"):
        CosineMaps(geometry.rotate(X))


def test_scales_of_locations_are_refused():
    X = np.random.default_rng(1).normal(size=(9, 4, 4))
    model = SpatialGaussianMixture(2, likelihood="cosine", variance="location")
    with pytest.raises(ValueError, match="variance='constant'"):
        model.fit(X)


# -- EM ---------------------------------------------------------------------------------------

APART = [[0.1, 0.8, 0.2, 2.0], [0.1, 0.5, 0.5, 4.0]]


def test_moments_and_densities_are_those_of_the_diagonal_model():
    rng = np.random.default_rng(6)
    # More maps and pixels than a tile holds.
    family = cosine_family((20, 20))
    maps = CosineMaps([rng.normal(size=(300, 400))])
    weights, centre = rng.random(300), rng.normal(size=400)
    (Y,) = maps.blocks
    (moments,) = maps.moments(weights, [centre])
    assert_allclose(moments, weights @ (Y - centre) ** 2 / weights.sum())
    assert_allclose(maps.mean(weights)[0], weights @ Y / weights.sum())
    covariance = family.at(np.array(APART[0]))
    d = covariance.variances
    expected = -0.5 * (np.log(2 * np.pi * d) + (Y - centre) ** 2 / d).sum(axis=1)
    assert_allclose(maps.log_density([centre], covariance), expected)


@pytest.mark.parametrize("mean", ["free", "constant"])
@pytest.mark.parametrize("seed", range(3))
def test_em_never_falls(mean, seed):
    X, labels = two_clusters((6, 5), 60, APART, seed)
    start = np.random.default_rng(seed).permutation(labels)
    fit, _, _ = fitted(cosine_family((6, 5)), X, start, APART, mean)
    trace = np.array(fit.trace)
    assert (np.diff(trace) >= -1e-9 * abs(trace[0])).all()
    assert fit.converged


def test_labels_agree_with_those_of_the_exact_fit():
    X, labels = two_clusters((16, 16), 100, [[0.1, 0.7, 0.3, 3.0], [0.1, 0.65, 0.35, 4.0]], seed=7)
    thetas = np.array(APART)
    fit, _, _ = fitted(cosine_family((16, 16)), X, labels, thetas, "constant")
    exact = SpatialCovariance(
        Kernel(Geometry(grid_coordinates((16, 16)).astype(float)), decays.get("exponential"))
    )
    maps = Maps(exact.geometry.rotate(X))
    best = run_from(maps, model_of(exact, "constant"), np.eye(2)[labels], thetas)
    assert (fit.labels == best.labels).mean() >= 0.98
    assert_allclose(fit.parameters.thetas, best.parameters.thetas, rtol=0.15, atol=0.05)


# -- the search -------------------------------------------------------------------------------


def standardised(X):
    X = X - X.mean(axis=0)
    return X / np.sqrt((X**2).mean())


def test_the_search_leads_to_the_best_known_optimum(reference):
    data = reference("spat_grid10")
    X = standardised(data.X)
    exact = SpatialCovariance(Kernel(Geometry(data.coordinates), decays.get("sigmoid")))
    maps = Maps(exact.geometry.rotate(X))
    today = SpatialGaussianMixture(2, coordinates=data.coordinates, random_state=0).fit(data.X)
    for seed in range(3):
        model = model_of(exact)
        in_cosines = search.as_cosines(maps, model)
        starts = search.multistart(*in_cosines, 2, 10, np.random.default_rng(seed))
        fit, *_ = run_best(
            SpatialProblem(maps, model, Scoring()),
            [model.mixture(maps, R, thetas) for R, thetas, _ in starts],
            [Round(10, 4)],
            tol=1e-4,
            max_iter=500,
        )
        assert ari(today.labels_, fit.labels) == 1
        scale = np.sqrt(((data.X - data.X.mean(axis=0)) ** 2).mean())
        assert fit.log_likelihood - X.size * np.log(scale) > today.log_likelihood_ - 1e-3


@pytest.mark.parametrize("mean", ["free", "constant"])
@pytest.mark.parametrize("shape", [(24,), (8, 7), (5, 4, 4), (40, 40)])
def test_the_search_finds_clusters_that_differ_in_covariance(shape, mean):
    X, labels = two_clusters(shape, 120, [[0.1, 0.9, 0.05, 1.5], [0.1, 0.3, 0.7, 4.0]], seed=8)
    X = standardised(X)
    family = cosine_family(shape)
    starts = search.multistart(
        CosineMaps(family.geometry.rotate(X)),
        model_of(family, mean),
        2,
        6,
        np.random.default_rng(0),
    )
    R, thetas, _ = starts[0]
    assert R.shape == (120, 2)
    assert thetas.shape == (2, 4)
    assert accuracy(labels, R.argmax(axis=1)) > 0.95
    again = search.multistart(
        CosineMaps(family.geometry.rotate(X)),
        model_of(family, mean),
        2,
        6,
        np.random.default_rng(0),
    )
    assert_allclose(again[0][0], R)


def test_the_search_sees_means_where_maps_are_fewer_than_pixels():
    rng = np.random.default_rng(9)
    labels = np.arange(35) % 4
    bumps = np.cos(np.arange(365) * np.arange(1, 5)[:, None] / 60)
    X = standardised(bumps[labels] + 0.7 * rng.normal(size=(35, 365)))
    family = cosine_family((365,))
    R, *_ = search.multistart(CosineMaps(family.geometry.rotate(X)), model_of(family), 4, 10, rng)[
        0
    ]
    assert ari(labels, R.argmax(axis=1)) == 1


def test_many_maps_are_searched_in_part_and_all_get_responsibilities():
    X, labels = two_clusters((5, 5), 2600, [[0.1, 0.9, 0.05, 1.5], [0.1, 0.3, 0.7, 4.0]], seed=10)
    family = cosine_family((5, 5))
    maps = CosineMaps(family.geometry.rotate(standardised(X)))
    R, *_ = search.multistart(maps, model_of(family), 2, 4, np.random.default_rng(0))[0]
    assert R.shape == (2600, 2)
    assert_allclose(R.sum(axis=1), 1)
    assert accuracy(labels, R.argmax(axis=1)) > 0.9


def test_the_search_of_one_component_and_one_start():
    X, _ = two_clusters((5, 5), 30, APART, seed=11)
    family = cosine_family((5, 5))
    maps = CosineMaps(family.geometry.rotate(standardised(X)))
    ((R, thetas, n_starts),) = search.multistart(
        maps, model_of(family), 1, 1, np.random.default_rng(0)
    )
    assert_allclose(R, 1)
    assert n_starts == 1
    assert family.at(thetas[0]) is not None


@pytest.mark.filterwarnings("error")
def test_a_shape_without_effect_stays():
    # Between two places there is one distance, where every decay is over.
    family = cosine_family((2,))
    X = np.random.default_rng(14).normal(size=(30, 2))
    rng = np.random.default_rng(0)
    for _, thetas, _ in search.multistart(CosineMaps([X]), model_of(family), 2, 6, rng):
        assert np.isfinite(thetas).all()


def test_profile_suits_given_labels():
    X, labels = two_clusters((12, 12), 200, APART, seed=12)
    family = cosine_family((12, 12))
    maps, model = CosineMaps(family.geometry.rotate(X)), model_of(family)
    thetas = search.profile(maps, model, np.eye(3)[labels])
    assert thetas[0, SHAPE] < thetas[1, SHAPE]
    # The third component is empty: all maps as one.
    everyone = search.profile(maps, model, np.ones((200, 1)))
    assert_allclose(thetas[2], everyone[0])
    at_two = search.profile(maps, model, np.eye(2)[labels], shapes=[[2.0]])
    assert_allclose(at_two[:, SHAPE], 2.0)


def test_grids_alone_have_cosines():
    coordinates = grid_coordinates((5, 4)).astype(float)
    X = np.random.default_rng(13).normal(size=(6, 20))
    dense = dense_family(coordinates)
    maps, model = search.as_cosines(Maps([X]), model_of(dense))
    (Y,), family = maps.blocks, model.family
    assert_allclose(Y, family.geometry.rotate(X)[0])
    assert family.geometry.unit == dense.geometry.unit
    turned, torn = dense_family(coordinates, metric="rotated"), dense_family(coordinates[:-1])
    assert search.as_cosines(Maps([X]), model_of(turned)) is None
    assert search.as_cosines(Maps([X[:, :-1]]), model_of(torn)) is None


# -- standard errors --------------------------------------------------------------------------


@pytest.mark.parametrize("mean", ["free", "constant"])
def test_information_is_the_numerical_hessian(mean):
    shape, thetas = (5, 5), [[0.3, 0.9, 0.1, 1.0], [0.3, 1.8, 0.2, 1.0]]
    X, labels = two_clusters(shape, 50, thetas, seed=7)
    family = cosine_family(shape)
    fit, maps, estimates = fitted(family, X, labels, thetas, mean, tol=1e-12)
    assert (fit.expected.responsibilities.max(axis=1) < 0.99).sum() > 10
    assert not any(estimates.held(0) + estimates.held(1))
    f = 25 if mean == "free" else 1
    covariance = cache(lambda *theta: family.at(np.array(theta)))

    def log_density(v):
        means = np.zeros((2, 25))
        means[:, :f] = v[1 : 1 + 2 * f].reshape(2, f)
        covariances = [covariance(*theta) for theta in v[1 + 2 * f :].reshape(2, 4)]
        mixture = Mixture(np.array([v[0], 1 - v[0]]), [[m] for m in means], covariances, NoScales())
        return logsumexp(mixture.log_joint(maps), axis=1)

    mixture = fit.parameters
    at = np.concatenate(
        [mixture.weights[:1], *[m[0][:f] for m in mixture.means], mixture.thetas.ravel()]
    )
    sizes = 1e-4 * np.maximum(np.abs(at), 0.1)
    steps = np.diag(sizes)
    gradients = np.array([log_density(at + s) - log_density(at - s) for s in steps])
    gradients /= 2 * sizes[:, None]
    hessian = np.zeros((len(at), len(at)))
    for i, j in zip(*np.triu_indices(len(at)), strict=True):
        s, t = steps[i], steps[j]
        ahead = log_density(at + s + t) - log_density(at + s - t)
        behind = log_density(at - s + t) - log_density(at - s - t)
        hessian[i, j] = hessian[j, i] = (behind - ahead).sum() / (4 * sizes[i] * sizes[j])
    inverse = np.linalg.inv(hessian)
    sandwich = inverse @ gradients @ gradients.T @ inverse
    information = cosine_uncertainty(estimates, maps)
    assert information.by_information.weight_variance[0] == pytest.approx(inverse[0, 0], rel=1e-3)
    assert information.weight_variance[1] == pytest.approx(sandwich[0, 0], rel=5e-3)
    for g in range(2):
        own = slice(1 + 2 * f + 4 * g, 5 + 2 * f + 4 * g)
        few = information.counts[g] / (information.counts[g] - 4)
        scale = np.sqrt(np.outer(np.diag(inverse[own, own]), np.diag(inverse[own, own])))
        difference = information.by_information.theta_covariance[g] - inverse[own, own]
        assert np.abs(difference / scale).max() < 5e-3
        difference = information.theta_covariance[g] - few * sandwich[own, own]
        assert np.abs(difference / scale).max() < 2e-2


@pytest.mark.parametrize("mean", ["free", "constant"])
def test_both_ways_around_the_means_are_the_same(mean):
    X, labels = two_clusters((5, 4), 40, APART, seed=15)
    fit, maps, estimates = fitted(cosine_family((5, 4)), X, labels, APART, mean)
    _, R = fit.parameters.expectation(maps)
    scores = _Scores(estimates, maps, Posterior(R), np.arange(2))
    L, everyone = _square_roots(R), np.arange(40)
    assert_allclose(
        L @ L.transpose(0, 2, 1), np.eye(2) * R[:, None] - R[:, None] * R[:, :, None], atol=1e-12
    )
    Z = np.einsum("igm,iga->iam", scores._small, L)
    through_maps = scores._through_maps(everyone, L, Z.reshape(-1, Z.shape[2]))
    through_means = scores._through_means(everyone, L, Z)
    for one, other in zip(through_maps, through_means, strict=True):
        assert_allclose(one, other, rtol=1e-7, atol=1e-8 * np.abs(other).max())


def test_intervals_cover():
    """95 % intervals from the sandwich, maps drawn from the exact model."""
    thetas = np.array([[0.2, 0.8, 0.2, 2.0], [0.2, 0.5, 0.5, 4.0]])
    family, hits = cosine_family((12, 12)), []
    for seed in range(32):
        X, labels = two_clusters((12, 12), 100, thetas, seed)
        fit, maps, estimates = fitted(family, X, labels, thetas, "constant", tol=1e-3)
        errors = np.sqrt(np.einsum("gkk->gk", cosine_uncertainty(estimates, maps).theta_covariance))
        hits.append(np.abs(fit.parameters.thetas - thetas) < 1.96 * errors)
    # 256 intervals, those of one fit being correlated.
    assert 0.89 < np.mean(hits) < 0.985


def test_shared_parameters_are_counted_once():
    X, labels = two_clusters((14, 14), 80, APART, seed=16)
    _, maps, estimates = fitted(cosine_family((14, 14)), X, labels, APART, "constant")
    own = cosine_uncertainty(estimates, maps)
    estimates.model.shared[SHAPE] = True
    shared = cosine_uncertainty(estimates, maps)
    beta = shared.by_information.theta_covariance[:, 3, 3]
    assert beta[0] == pytest.approx(beta[1])
    # Two components know more about one parameter than each about its own.
    assert (beta < own.by_information.theta_covariance[:, 3, 3]).all()


def test_what_is_not_estimated_has_no_error():
    X, labels = two_clusters((14, 14), 40, APART, seed=17)
    fit, maps, estimates = fitted(cosine_family((14, 14)), X, labels, APART, "constant")
    mixture = fit.parameters
    estimates.family.kernel.lower = mixture.thetas[0, SHAPE]
    estimates.mixture = Mixture(
        np.array([0.5, 0.5, 0.0]),
        [*mixture.means, mixture.means[0]],
        [*mixture.covariances, mixture.covariances[1]],
        NoScales(),
    )
    information = cosine_uncertainty(estimates, maps)
    assert np.isnan(information.theta_covariance[0, 3]).all()
    assert np.isnan(information.theta_covariance[2]).all()
    assert np.isnan(information.weight_variance[2])
    assert np.isfinite(information.theta_covariance[1]).all()


def test_a_map_that_is_a_component_by_itself_counts_for_nothing():
    X, labels = two_clusters((14, 14), 40, APART, seed=17)
    X = np.vstack([X, np.full((1, 196), 1e3)])
    fit, maps, estimates = fitted(cosine_family((14, 14)), X[:-1], labels, APART, "constant")
    alone = cosine_uncertainty(estimates, maps)
    mixture = fit.parameters
    estimates.mixture = Mixture(
        np.array([*mixture.weights * 40, 1]) / 41,
        [*mixture.means, estimates.family.geometry.rotate(X[-1:])[0]],
        [*mixture.covariances, mixture.covariances[0]],
        NoScales(),
    )
    information = cosine_uncertainty(estimates, CosineMaps(estimates.family.geometry.rotate(X)))
    assert_allclose(information.theta_covariance[:2], alone.theta_covariance, rtol=1e-6)


@pytest.mark.parametrize("mean", ["free", "constant"])
def test_errors_of_one_component_are_those_of_independent_cosines(mean):
    X, labels = two_clusters((8, 8), 200, [[0.2, 0.7, 0.3, 2.5]], seed=18)
    family = cosine_family((8, 8))
    _, maps, estimates = fitted(family, X, labels, [[0.2, 0.7, 0.3, 2.5]], mean, tol=1e-10)
    information = cosine_uncertainty(estimates, maps)
    (covariance,) = estimates.mixture.covariances
    along = covariance.directions()
    # dXi/dtau is K, of which Xi is the direction: K = (Xi - c J - nu I) / tau.
    c, tau, nu, _ = covariance.theta
    along[1] = (along[1] - c * along[0] - nu * along[2]) / tau
    expected = np.linalg.inv(200 * 0.5 * along @ along.T)
    ratio = np.sqrt(np.diag(information.by_information.theta_covariance[0]) / np.diag(expected))
    assert_allclose(ratio, 1, atol=0.15)
    assert information.weight_variance[0] == 0

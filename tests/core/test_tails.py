"""Tails: outlying maps pull little, are told apart, and are named where tails are normal."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, multivariate_t
from sklearn.metrics import adjusted_rand_score

import spatgmm
from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates
from spatgmm.fitting import options, tails
from spatgmm.fitting.outlying import OutlyingMapsWarning
from spatgmm.fitting.tails import ContaminatedTails, Deviations, NormalTails, TTails

HEAVY = ("t", "contaminated")
SHAPE = (5, 5)
COMPONENTS = [(0.5, 0.0, (1.0, -0.9, 0.3), 2.5), (0.5, 1.0, (1.0, -0.8, 0.5), 7.0)]


@pytest.fixture(scope="module")
def drawn(plain):
    X, labels = plain.draw(grid_coordinates(SHAPE), 120, COMPONENTS, seed=1)[:2]
    return X, labels


@pytest.fixture(scope="module")
def broken(drawn):
    """One map in twenty with ten times the variance; maps, labels, which are broken."""
    X, labels = drawn
    bad = np.arange(len(X)) % 20 == 0
    return np.where(bad[:, None], np.sqrt(10) * (X - X.mean(axis=0)), X), labels, bad


def fitted(X, n_components=2, **given):
    given = {"coordinates": SHAPE, "n_init": 2, "random_state": 0} | given
    return SpatialGaussianMixture(n_components, **given).fit(X)


def test_options_name_all_tails():
    assert list(options.OPTIONS["tails"].rule.names) == tails.names()


@pytest.mark.parametrize("name", HEAVY)
def test_densities_are_those_of_scipy(broken, name):
    X, *_ = broken
    model = fitted(X, tails=name)
    joint = []
    for g, (weight, mean, covariance) in enumerate(
        zip(model.weights_, model.means_, model.covariances_, strict=True)
    ):
        if name == "t":
            (df,) = model.tail_parameters_.loc[g]
            density = multivariate_t(mean, covariance, df).logpdf(X)
        else:
            eta, inflation = model.tail_parameters_.loc[g]
            good = np.log(eta) + multivariate_normal(mean, covariance).logpdf(X)
            bad = multivariate_normal(mean, inflation * covariance).logpdf(X)
            density = np.logaddexp(good, np.log1p(-eta) + bad)
        joint.append(np.log(weight) + density)
    np.testing.assert_allclose(model.score_samples(X), logsumexp(joint, axis=0), atol=1e-8)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"likelihood": "cosine", "decay": "exponential"},
        {"likelihood": "vecchia", "decay": "exponential", "n_neighbors": 8},
        {"missing": "em"},
        {"missing": "em", "likelihood": "vecchia", "decay": "exponential", "n_neighbors": 8},
        {"variance": "location"},
        {"sharing": "all"},
        {"mean": "constant"},
        {"mean": "common"},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", HEAVY)
def test_the_log_likelihood_never_falls(broken, name, given):
    X, labels, _ = broken
    if "missing" in given:
        X = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    model = fitted(X, tails=name, init=labels, **given)
    assert np.diff(model.log_likelihood_trace_).min() > -1e-7
    assert model.log_likelihood(X) == pytest.approx(model.log_likelihood_, abs=1e-5)
    np.testing.assert_allclose(model.outlier_probability(X), model.outlier_probability_, atol=1e-6)


@pytest.mark.parametrize("name", HEAVY)
def test_parameters_of_tails_are_at_a_maximum(broken, name):
    X, labels, _ = broken
    model = fitted(X, tails=name, init=labels, tol=1e-9)
    best = model.log_likelihood(X)
    mixture = model._mixture
    for factor in (0.98, 1.02):
        for k in range(len(mixture.tails.parameter_names)):
            moved = mixture.tails.flat().reshape(2, -1).copy()
            moved[:, k] += np.log(factor)
            model._mixture = replace(mixture, tails=mixture.tails.from_flat(moved.ravel()))
            assert model.log_likelihood(X) <= best + 1e-6
    model._mixture = mixture


def test_t_with_many_degrees_of_freedom_is_normal():
    rng = np.random.default_rng(0)
    at = Deviations(rng.chisquare(9, (50, 2)), rng.normal(size=(50, 2)), np.full(50, 9))
    many = TTails(np.full((2, 1), 1e6))
    np.testing.assert_allclose(many.log_density(at), NormalTails().log_density(at), atol=1e-3)
    np.testing.assert_allclose(many.pulls(at), 1, atol=1e-4)


@pytest.mark.parametrize("kind", [TTails, ContaminatedTails])
def test_pulls_are_what_the_density_says_of_the_scale(kind):
    """``-2 d log f / d delta = E[u | x]``, and ``4 d2 log f / d delta2 = Var(u | x)``."""
    own = kind().start(1)
    squared, step = np.array([[3.0], [20.0], [90.0]]), 1e-3

    def at(delta):
        return Deviations(delta, np.zeros_like(delta), np.full(3, 9))

    ahead, here, behind = (own.log_density(at(squared + s * step)) for s in (1, 0, -1))
    np.testing.assert_allclose(own.pulls(at(squared)), (behind - ahead) / step, rtol=1e-5)
    curved = 4 * (ahead - 2 * here + behind) / step**2
    np.testing.assert_allclose(own.pull_variance(at(squared)), curved, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("name", HEAVY)
def test_outlying_maps_are_told_apart(broken, drawn, name):
    X, labels, bad = broken
    model = fitted(X, tails=name)
    flagged = model.outlier_probability_ > 0.5
    assert flagged[bad].mean() >= 0.95
    assert flagged[~bad].mean() <= 0.02
    clean = adjusted_rand_score(labels, fitted(drawn[0]).labels_)
    assert adjusted_rand_score(labels[~bad], model.labels_[~bad]) > clean - 0.05


@pytest.mark.filterwarnings("ignore:X. .*is far outside")
@pytest.mark.parametrize("name", HEAVY)
@pytest.mark.parametrize("kind", ["thirty times", "constant", "pen"])
def test_one_broken_map_takes_no_component(drawn, kind, name):
    X, labels = drawn
    pen = X[0] + 12 * (np.arange(X.shape[1]) % 5 == 2)
    last = {"thirty times": 30 * X[0], "constant": np.full(X.shape[1], 1e6), "pen": pen}[kind]
    X = np.vstack([X, last])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutlyingMapsWarning)
        model = fitted(X, tails=name)
    clean = adjusted_rand_score(labels, fitted(X[:-1]).labels_)
    assert adjusted_rand_score(labels, model.labels_[:-1]) > clean - 0.02
    assert model.outlier_probability_[-1] > 0.5
    assert (model.outlier_probability_[:-1] > 0.5).mean() <= 0.02


@pytest.mark.parametrize("name", HEAVY)
def test_a_search_is_not_led_astray_by_wide_maps_in_all_components(plain, name):
    # One in ten has four times the variance: telling those from others gains much under normal
    # tails, and every start of a search that knew no better led there.
    shape, components = (10, 10), [(0.5, 0.0, (1, -0.9, 0.3), beta) for beta in (2.5, 7.0)]
    X, labels = plain.draw(grid_coordinates(shape), 300, components, seed=3)
    X[np.arange(len(X)) % 10 == 0] *= 2
    model = fitted(X, tails=name, coordinates=shape, n_init=10)
    known = fitted(X, tails=name, coordinates=shape, init=labels)
    assert model.log_likelihood_ > known.log_likelihood_ - 0.01
    assert adjusted_rand_score(labels, model.labels_) > 0.9


def test_normal_tails_name_the_maps_that_took_a_component(drawn):
    X, _ = drawn
    with pytest.warns(UserWarning, match=r"fewer than 1.5 maps.*X row 120.*contaminated"):
        fitted(np.vstack([X, 8 * X[:1]]))
    with pytest.warns(OutlyingMapsWarning, match=r"X row 120\) lie.*contaminated"):
        fitted(np.vstack([X, 100 * X[:1]]))
    marked = X.copy()
    for i, at in ((3, 0), (50, 7), (90, 16)):
        marked[i, at : at + 8] += 25
    with pytest.warns(OutlyingMapsWarning, match=r"3 of 120 maps.*X rows 3, 50, 90.*contaminated"):
        fitted(marked, 3)


def test_maps_beyond_all_measure_are_left_out_and_named(drawn):
    X, labels = drawn
    with pytest.warns(OutlyingMapsWarning, match=r"X row 0\) lie.*left out of the fit"):
        model = fitted(np.vstack([1e4 * X[:1], X]), tails="contaminated", init=[0, *labels])
    alone = fitted(X, tails="contaminated", init=labels)
    assert model.log_likelihood_ == pytest.approx(alone.log_likelihood_, abs=1e-6)
    np.testing.assert_array_equal(model.labels_[1:], alone.labels_)
    errors = model.standard_errors(np.vstack([1e4 * X[:1], X]))["std_error"]
    np.testing.assert_allclose(errors, alone.standard_errors(X)["std_error"], rtol=1e-6)


@pytest.mark.parametrize("n_components", [1, 2])
def test_clean_maps_raise_no_warning(drawn, n_components):
    with warnings.catch_warnings():
        warnings.simplefilter("error", OutlyingMapsWarning)
        model = fitted(drawn[0], n_components)
    assert (model.outlier_probability_ > 0.5).mean() <= 0.02


@pytest.mark.parametrize("name", HEAVY)
def test_clean_maps_are_fitted_as_under_normal_tails(drawn, name):
    X, _ = drawn
    normal, heavy = fitted(X), fitted(X, tails=name)
    assert adjusted_rand_score(normal.labels_, heavy.labels_) > 0.98
    further = heavy.n_parameters_ - normal.n_parameters_
    assert further == 2 * heavy.tail_parameters_.shape[1]
    assert heavy.bic(X) <= normal.bic(X) + further * np.log(len(X)) + 0.5
    assert (heavy.outlier_probability_ > 0.5).mean() <= 0.02


@pytest.mark.parametrize("name", HEAVY)
def test_draws_have_the_tails(broken, name):
    model = fitted(broken[0], tails=name)
    drawn, labels = model.sample(2000)
    again = fitted(drawn, tails=name, init=labels)
    flagged = (model.outlier_probability_ > 0.5).mean()
    assert (again.outlier_probability_ > 0.5).mean() == pytest.approx(flagged, abs=0.03)
    np.testing.assert_allclose(again.alpha_, model.alpha_, atol=0.15)


@pytest.mark.parametrize("name", HEAVY)
def test_a_saved_fit_has_its_tails(broken, name, tmp_path):
    X, *_ = broken
    model = fitted(X, tails=name)
    model.save(tmp_path / "model.npz")
    again = spatgmm.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(again.outlier_probability(X), model.outlier_probability(X))
    assert again.n_parameters_ == model.n_parameters_
    assert again.tail_parameters_.equals(model.tail_parameters_)


@pytest.mark.parametrize("name", HEAVY)
def test_standard_errors_are_the_curvature_of_the_likelihood(broken, name):
    """All parameters but the tails' own; constant means, so that there are few."""
    X, labels, _ = broken
    model = fitted(X, tails=name, init=labels, mean="constant", tol=1e-10, max_iter=3000)
    mixture, family = model._mixture, model._engine.family
    maps = model._carried(X)[2]
    ones = family.geometry.ones
    levels = [
        sum(o @ block for o, block in zip(ones, mean, strict=True)) / X.shape[1]
        for mean in mixture.means
    ]

    def at(flat):
        share, levels, thetas = flat[0], flat[1:3], flat[3:].reshape(2, 4)
        means = [[level * o for o in ones] for level in levels]
        moved = replace(
            mixture,
            weights=np.array([share, 1 - share]),
            means=means,
            covariances=[family.at(theta) for theta in thetas],
        )
        return moved.expectation(maps)[0]

    flat = np.concatenate([[mixture.weights[0]], levels, mixture.thetas.ravel()])
    steps = 1e-3 * np.diag(np.maximum(np.abs(flat), 0.05))
    hessian = np.array(
        [
            [
                (at(flat + s + t) - at(flat + s - t) - at(flat - s + t) + at(flat - s - t))
                / (4 * s.sum() * t.sum())
                for t in steps
            ]
            for s in steps
        ]
    )
    expected = np.linalg.inv(-hessian)
    found = model._uncertainty(X)
    assert found.weight_variance[0] == pytest.approx(expected[0, 0], rel=0.02)
    for g in range(2):
        own = slice(3 + 4 * g, 7 + 4 * g)
        scale = np.sqrt(np.outer(*[np.diag(expected[own, own])] * 2))
        np.testing.assert_allclose(
            found.theta_covariance[g] / scale, expected[own, own] / scale, atol=0.02
        )


@pytest.mark.parametrize("likelihood", ["cosine", "vecchia"])
@pytest.mark.parametrize("name", HEAVY)
def test_other_likelihoods_have_like_standard_errors(broken, name, likelihood):
    X, labels, _ = broken
    given = {"tails": name, "init": labels, "decay": "exponential", "n_neighbors": 25}
    exact, other = (
        fitted(X, likelihood=one, **given)._uncertainty(X) for one in ("exact", likelihood)
    )
    ratio = other.by_information.theta_covariance / exact.theta_covariance
    diagonal = np.einsum("gkk->gk", ratio)[:, 1:3]
    np.testing.assert_allclose(diagonal, 1, atol=0.1 if likelihood == "vecchia" else 0.5)


def test_the_papers_algorithm_refuses_heavy_tails(drawn):
    with pytest.raises(ValueError, match=r"solver='gls'.*tails"):
        fitted(drawn[0], solver="gls", tails="t")

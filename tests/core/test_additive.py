"""A decay for each axis, added: the formula, other likelihoods, and what a fit says of it."""

import warnings

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning

from spatgmm import SpatialGaussianMixture, load
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay

GRID = grid_coordinates((4, 6)) * np.array([3.0, 0.5])
SITES = np.random.default_rng(2).uniform([0, 0], [9, 1], (15, 2))
CUBE = grid_coordinates((2, 3, 4))
LOCATIONS = {"grid": GRID, "sites": SITES, "cube": CUBE}


def additive(coordinates, alpha, betas, of="sigmoid"):
    """``a1 J + a2 sum_i D_i + a3 I``, written out."""
    a1, a2, a3 = alpha
    Xi = a1 * np.ones((len(coordinates),) * 2) + a3 * np.eye(len(coordinates))
    for values, beta in zip(coordinates.T, betas, strict=True):
        distances = np.abs(np.subtract.outer(values, values))
        Xi += a2 * decay.get(of).value(2 * distances / distances.max(), beta)
    return Xi


def draw(coordinates, n=80, seed=0, betas=((1.5, 6.0, 3.0), (5.0, 2.0, 3.0)), of="sigmoid"):
    rng = np.random.default_rng(seed)
    d, labels = coordinates.shape[1], rng.integers(2, size=n)
    X = rng.normal(size=(n, len(coordinates)))
    for g, of_axes in enumerate(betas):
        Xi = additive(coordinates, (1.0, -0.9 / d, 0.4), of_axes[:d], of)
        X[labels == g] = X[labels == g] @ np.linalg.cholesky(Xi).T
    return X, labels


def fit(X, coordinates, labels, **options):
    options = {"metric": "additive", "init": labels, "max_iter": 10} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return SpatialGaussianMixture(2, coordinates=coordinates, **options).fit(X)


def sum_of_densities(X, model):
    parts = [
        np.log(weight) + multivariate_normal(mean, Xi).logpdf(X)
        for weight, mean, Xi in zip(model.weights_, model.means_, model.covariances_, strict=True)
    ]
    return logsumexp(parts, axis=0).sum()


@pytest.fixture(scope="module", params=LOCATIONS)
def fitted(request):
    coordinates = LOCATIONS[request.param]
    X, labels = draw(coordinates)
    return X, labels, fit(X, coordinates, labels)


def test_covariances_are_the_formula(fitted):
    X, _, model = fitted
    d = model.coordinates_.shape[1]
    assert model.beta_.shape == (2, d)
    assert model.parameter_names_[3:] == tuple(f"beta{i + 1}" for i in range(d))
    for g in range(2):
        expected = additive(model.coordinates_, model.alpha_[g], model.beta_[g])
        np.testing.assert_allclose(model.covariances_[g], expected, rtol=1e-9, atol=1e-12)
    assert model.n_parameters_ == 1 + 2 * X.shape[1] + 2 * (3 + d)


def test_geostatistics_and_correlograms_are_those_of_the_formula(fitted):
    X, _, model = fitted
    table = model.geostatistics(X).set_index(["component", "quantity"])["estimate"]
    curves = model.correlogram()
    for g, Xi in enumerate(model.covariances_):
        spread = np.ptp(model.coordinates_, axis=0)
        sill, baseline = table[g, "sill"], table[g, "baseline"]
        assert sill + baseline == pytest.approx(Xi[0, 0])
        assert sill == pytest.approx(table[g, "partial_sill"] + table[g, "nugget"])
        for i, (beta, extent) in enumerate(zip(model.beta_[g], spread, strict=True), start=1):
            along = table[g, f"effective_range_axis{i}"]
            assert decay.get("sigmoid").value(2 * along / extent, beta) == pytest.approx(0.95)
            curve = curves.query(f"component == {g} and axis == {i}")
            assert curve["distance"].max() == pytest.approx(extent)
            # Two places that differ along this axis alone.
            corner = np.zeros((2, len(spread)))
            corner[1, i - 1] = extent
            ends = np.vstack([corner, np.diag(spread), spread])
            covariance = additive(ends, model.alpha_[g], model.beta_[g])[0, 1]
            assert curve["correlation"].iloc[-1] == pytest.approx(covariance / Xi[0, 0])


def test_given_distances_beyond_an_axis_are_left_out_of_its_curve():
    X, labels = draw(GRID)
    model = fit(X, GRID, labels)
    table = model.correlogram([0, 1, 5])  # the axes are 9 and 2.5 long
    assert table.query("component == 0")["axis"].tolist() == [1, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="from 0 to the largest, 9"):
        model.correlogram([10])


@pytest.mark.parametrize("of", ["sigmoid", "exponential", "ispline"])
def test_in_one_dimension_it_is_the_isotropic_model(of):
    line = np.cumsum(np.random.default_rng(3).uniform(0.2, 1, 12))
    X, labels = draw(line[:, None])
    one, other = (fit(X, line, labels, metric=kind, decay=of) for kind in ("isotropic", "additive"))
    assert other.log_likelihood_ == one.log_likelihood_
    assert other.parameter_names_ == one.parameter_names_
    np.testing.assert_array_equal(other.alpha_, one.alpha_)
    np.testing.assert_array_equal(other.beta_, one.beta_)
    assert other.correlogram().equals(one.correlogram())
    assert other.geostatistics(X).equals(one.geostatistics(X))


def test_other_likelihoods_are_those_of_the_same_covariance(fitted):
    X, labels, model = fitted
    dense = model.log_likelihood(X, "exact")
    assert dense == pytest.approx(model.log_likelihood_, rel=1e-10)
    model = fit(X, model.coordinates_, labels, likelihood="vecchia", n_neighbors=99)
    assert model.log_likelihood(X, "exact") == pytest.approx(model.log_likelihood_, rel=1e-9)


def test_reflection_blocks_and_cosines_carry_it():
    coordinates = grid_coordinates((13, 14))
    X, labels = draw(coordinates, n=60, of="exponential")
    model = fit(X, coordinates, labels, decay="exponential")
    assert model.path_ == "reflection blocks"
    cosine = fit(X, coordinates, labels, decay="exponential", likelihood="cosine")
    np.testing.assert_allclose(cosine.beta_, model.beta_, rtol=0.3)
    assert model.log_likelihood(X) == pytest.approx(sum_of_densities(X, model), rel=1e-10)
    for g in range(2):
        expected = additive(coordinates, model.alpha_[g], model.beta_[g], "exponential")
        np.testing.assert_allclose(model.covariances_[g], expected, rtol=1e-9, atol=1e-12)


def test_the_search_finds_steep_and_flat_axes():
    betas = ((1.5, 7.0), (7.0, 1.5))
    coordinates = grid_coordinates((8, 8))
    X, labels = draw(coordinates, n=300, betas=betas)
    model = SpatialGaussianMixture(2, coordinates=coordinates, metric="additive", random_state=0)
    found = model.fit_predict(X)
    assert max((found == labels).mean(), (found != labels).mean()) > 0.9
    np.testing.assert_allclose(sorted(model.beta_.tolist()), betas, rtol=0.35)
    errors = model.standard_errors(X).set_index("parameter").loc[["alpha2", "beta1", "beta2"]]
    assert ((errors["std_error"] > 0) & (errors["std_error"] < errors["estimate"].abs())).all()
    picked = SpatialGaussianMixture(
        2, coordinates=coordinates, metric="auto", mean="zero", init=labels
    ).fit(X)
    assert picked.metric_ == "additive"


def test_beta_init_starts_every_axis():
    X, labels = draw(GRID)
    model = fit(X, GRID, labels, beta_init=2.0, max_iter=1, sharing="all")
    assert np.abs(np.log(model.beta_ / 2.0)).max() <= 1 + 1e-12


def test_saved_models_keep_it(tmp_path):
    X, labels = draw(GRID)
    model = fit(X, GRID, labels, decay="exponential")
    model.save(tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.beta_, model.beta_)
    assert again.score(X) == pytest.approx(model.score(X), rel=1e-12)

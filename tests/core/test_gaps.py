"""Gaps in new maps whatever the fitted maps had, and masks that all maps share."""

import numpy as np
import pytest

from spatgmm import SpatialGaussianMixture
from spatgmm.common.agreement import ari
from spatgmm.common.locations import grid_coordinates


@pytest.fixture(scope="module")
def data(plain):
    coordinates = grid_coordinates((13, 13))
    components = [(0.5, 0.0, (1, -0.9, 0.5), 2.0), (0.5, 0.0, (1, -0.4, 0.8), 6.0)]
    return plain.draw(coordinates, 80, components, seed=3)


@pytest.fixture(scope="module")
def complete(data):
    X, labels = data
    model = SpatialGaussianMixture(
        2, coordinates=(13, 13), mean="constant", missing="em", init=labels
    )
    return model.fit(X)


@pytest.fixture(scope="module")
def cosine(data):
    X, labels = data
    model = SpatialGaussianMixture(
        2,
        coordinates=(13, 13),
        decay="exponential",
        mean="constant",
        missing="em",
        likelihood="cosine",
        init=labels,
    )
    return model.fit(X)


@pytest.mark.parametrize("fitted", ["complete", "cosine"])
def test_new_maps_may_have_gaps_where_the_fitted_had_none(fitted, data, request):
    model, (X, _) = request.getfixturevalue(fitted), data
    gaps = X.copy()
    gaps[0, 5] = np.nan
    gaps[1, 20:60] = np.nan
    gaps[2] = np.nan
    probabilities = model.predict_proba(gaps)
    np.testing.assert_allclose(probabilities[2], model.weights_)
    assert model.score_samples(gaps)[2] == pytest.approx(0, abs=1e-9)
    assert (model.predict(gaps[3:]) == model.predict(X[3:])).all()
    filled = model.impute(gaps)
    seen = ~np.isnan(gaps)
    np.testing.assert_allclose(filled[seen], X[seen])
    np.testing.assert_allclose(filled[2], model.weights_ @ model.means_)


def test_densities_with_gaps_are_marginal_ones(complete, data, plain):
    X = data[0][:3].copy()
    seen = np.arange(169) % 3 > 0
    X[:, ~seen] = np.nan
    joint = plain.log_joint(
        X[:, seen],
        complete.weights_,
        complete.means_[:, seen],
        complete.covariances_[:, seen][:, :, seen],
    )
    expected = np.logaddexp.reduce(joint, axis=1)
    np.testing.assert_allclose(complete.score_samples(X), expected, rtol=1e-10)


def test_a_mask_that_all_maps_share_is_left_out(data):
    X, labels = data
    coordinates = grid_coordinates((13, 13))
    disc = np.hypot(*(coordinates - 6).T) <= 6
    masked = np.where(disc, X, np.nan)
    options = {"mean": "constant", "missing": "em", "random_state": 0}
    model = SpatialGaussianMixture(2, coordinates=(13, 13), **options).fit(masked)
    alone = SpatialGaussianMixture(2, coordinates=coordinates[disc], **options).fit(X[:, disc])
    assert model.log_likelihood_ == pytest.approx(alone.log_likelihood_, rel=1e-9)
    np.testing.assert_array_equal(model.observed_locations_, disc)
    assert np.isnan(model.means_[:, ~disc]).all() and np.isfinite(model.means_[:, disc]).all()
    np.testing.assert_allclose(model.covariances_[:, disc][:, :, disc], alone.covariances_)
    assert np.isnan(model.covariances_[0, ~disc]).all()
    np.testing.assert_array_equal(model.predict(masked), alone.predict(X[:, disc]))
    np.testing.assert_array_equal(model.predict(X), model.predict(masked))
    np.testing.assert_array_equal(
        np.isnan(model.impute(masked)), ~disc[None] & np.ones_like(X, bool)
    )
    drawn, _ = model.sample(5)
    np.testing.assert_array_equal(np.isnan(drawn[0]), ~disc)
    assert ari(labels, model.labels_) > 0.5
    assert len(model.standard_errors(masked)) == 10


def test_each_likelihood_can_be_asked_of_any_fit(cosine, complete, data):
    X, _ = data
    own = cosine.log_likelihood(X)
    assert own == pytest.approx(cosine.log_likelihood_, rel=1e-9)
    assert cosine.log_likelihood(X, likelihood="cosine") == pytest.approx(own, rel=1e-12)
    # A few nats a map apart (Kullback-Leibler).
    assert abs(cosine.log_likelihood(X, likelihood="exact") - own) < 5 * len(X)
    assert complete.log_likelihood(X, likelihood="exact") == pytest.approx(
        complete.log_likelihood_, rel=1e-9
    )

"""COPO: covariance projected spectral clustering."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from spatgmm.baselines import COPO


def anisotropic(seed, n=300, p=60):
    """Two components with separated means, each far longer across that direction than along it."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n)
    directions = np.linalg.qr(rng.standard_normal((p, 2)))[0].T
    along = 6.0 + 3.0 * np.where(labels, 1, -1) / 2 + 0.3 * rng.standard_normal(n)
    across = 6.0 + 3.0 * rng.standard_normal(n)
    X = np.column_stack([along, across]) @ directions + 0.1 * rng.standard_normal((n, p))
    return X, labels


def test_it_beats_k_means_on_an_anisotropic_mixture():
    ours, kmeans = [], []
    for seed in range(10):
        X, labels = anisotropic(seed)
        fitted = COPO(2, n_iter=100, random_state=0).fit(X)
        ours.append(adjusted_rand_score(labels, fitted.labels_))
        peer = KMeans(2, n_init=10, random_state=0).fit(X)
        kmeans.append(adjusted_rand_score(labels, peer.labels_))
    assert np.mean(ours) > np.mean(kmeans) + 0.3


def test_embedding_is_that_of_the_hollow_gram_matrix():
    X, _ = anisotropic(0, n=40)
    fitted = COPO(2, rank=3, random_state=0).fit(X)
    hollow = X @ X.T - np.diag((X**2).sum(axis=1))
    vectors = fitted.embedding_ / fitted.eigenvalues_
    np.testing.assert_allclose(hollow @ vectors, vectors * fitted.eigenvalues_, atol=1e-8)
    np.testing.assert_allclose(fitted.eigenvalues_, np.linalg.eigvalsh(hollow)[-3:])


def test_rows_lie_with_the_nearest_cluster_when_it_has_converged():
    X, _ = anisotropic(1)
    fitted = COPO(2, n_iter=200, random_state=0).fit(X)
    assert fitted.converged_ and fitted.n_iter_ < 200
    distances = np.empty((len(X), 2))
    for k in range(2):
        offset = fitted.embedding_ - fitted.centres_[k]
        inverse = np.linalg.inv(fitted.covariances_[k])
        distances[:, k] = np.einsum("nr,rs,ns->n", offset, inverse, offset)
    np.testing.assert_array_equal(distances.argmin(axis=1), fitted.labels_)


def test_further_rows_are_predicted():
    X, labels = anisotropic(2, n=400)
    fitted = COPO(2, n_iter=100, random_state=0).fit(X[:300])
    agreement = adjusted_rand_score(labels[300:], fitted.predict(X[300:]))
    assert agreement > 0.9 * adjusted_rand_score(labels[:300], fitted.labels_)


def test_settings_and_seed():
    X, _ = anisotropic(3)
    model = COPO(2, rank=2, n_iter=5, random_state=1)
    assert clone(model).get_params() == model.get_params()
    np.testing.assert_array_equal(model.fit_predict(X), clone(model).fit(X).labels_)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(np.repeat(np.diag([1.0, 2.0, 3.0, 4.0]), 3, axis=0), id="equal rows"),
        pytest.param(np.outer(np.arange(9.0), np.ones(4)), id="rank one"),
        pytest.param(np.random.default_rng(0).standard_normal((5, 40)), id="few rows"),
    ],
)
def test_awkward_data_give_finite_clusters(data):
    fitted = COPO(3, random_state=0).fit(data)
    assert fitted.labels_.shape == (len(data),)
    assert np.isfinite(fitted.centres_).all() and np.isfinite(fitted.covariances_).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_too_few_distinct_rows_are_refused():
    with pytest.raises(ValueError, match="all rows are the same"):
        COPO(3, random_state=0).fit(np.zeros((10, 4)))


@pytest.mark.parametrize(
    "settings, change, message",
    [
        ({"n_components": 0}, None, "n_components must be an integer of at least 1"),
        ({"n_components": 40}, None, "X has 40 rows .* n_components=40 needs more"),
        ({"rank": 41}, None, r"rank=41 is too large for X of shape \(40, 60\)"),
        ({"rank": 0}, None, "rank must be an integer of at least 1"),
        ({"n_iter": 0}, None, "n_iter must be an integer of at least 1"),
        ({}, np.nan, "X contains NaN at row 2, column 5"),
        ({}, np.inf, "X contains infinity at row 2, column 5"),
    ],
)
def test_bad_input_is_refused_by_name(settings, change, message):
    X, _ = anisotropic(0, n=40)
    if change is not None:
        X[2, 5] = change
    with pytest.raises(ValueError, match=message):
        COPO(**{"n_components": 2, **settings}).fit(X)

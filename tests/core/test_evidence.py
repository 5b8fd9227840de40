"""Known labels and weights of maps."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates

SHAPE = (5, 5)
COMPONENTS = [(0.5, 0.0, (1.0, -0.9, 0.3), 2.5), (0.5, 0.0, (1.2, -0.8, 0.5), 7.0)]


@pytest.fixture(scope="module")
def drawn(plain):
    return plain.draw(grid_coordinates(SHAPE), 120, COMPONENTS, seed=1)


def estimator(**given):
    options = {"coordinates": SHAPE, "n_init": 4, "random_state": 0, "tol": 1e-7}
    return SpatialGaussianMixture(2, **options | given)


@pytest.fixture(scope="module")
def counts():
    return np.random.default_rng(0).integers(0, 4, size=120)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"tails": "contaminated"},
        {"likelihood": "cosine", "decay": "exponential"},
        {"likelihood": "vecchia", "decay": "exponential", "n_neighbors": 8, "mean": "constant"},
        {"variance": "location"},
        {"mean": "common"},
    ],
    ids=str,
)
def test_a_weight_is_as_many_copies_and_none_is_absence(drawn, counts, given):
    X, labels = drawn
    weighted = estimator(init=labels, **given).fit(X, sample_weight=counts)
    copies = np.repeat(np.arange(120), counts)
    copied = estimator(init=labels[copies], **given).fit(X[copies])
    assert weighted.log_likelihood_ == pytest.approx(copied.log_likelihood_, abs=1e-5)
    for name in ("weights_", "alpha_", "beta_", "means_"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(copied, name), rtol=1e-3)
    np.testing.assert_array_equal(weighted.labels_[copies], copied.labels_)
    assert weighted.labels_.shape == weighted.outlier_probability_.shape == (120,)
    np.testing.assert_array_equal(weighted.labels_, weighted.predict(X))
    errors = (
        weighted.standard_errors(X)["std_error"],
        copied.standard_errors(X[copies])["std_error"],
    )
    np.testing.assert_allclose(*errors, rtol=5e-3)


def test_weights_enter_criteria(drawn, counts):
    X, labels = drawn
    weighted = estimator(init=labels).fit(X, sample_weight=counts)
    copies = np.repeat(np.arange(120), counts)
    for name in ("bic", "aic", "icl"):
        criterion = getattr(weighted, name)
        assert criterion(X, sample_weight=counts) == pytest.approx(criterion(X[copies]))


def test_the_search_sees_maps_as_often_as_they_count(drawn, counts):
    X, _ = drawn
    copies = np.repeat(np.arange(120), counts)
    weighted, copied = estimator().fit(X, sample_weight=counts), estimator().fit(X[copies])
    assert weighted.log_likelihood_ == pytest.approx(copied.log_likelihood_, abs=1e-4)
    np.testing.assert_array_equal(weighted.labels_[copies], copied.labels_)


def test_weights_of_one_change_nothing(drawn):
    X, _ = drawn
    plain, weighted = estimator().fit(X), estimator().fit(X, sample_weight=np.ones(120))
    assert plain.log_likelihood_ == weighted.log_likelihood_
    np.testing.assert_array_equal(plain.means_, weighted.means_)


def test_fractions_weigh(drawn):
    """The likelihood is linear in the weights: half of all is half the log-likelihood."""
    X, labels = drawn
    half = estimator(init=labels).fit(X, sample_weight=np.full(120, 0.5))
    whole = estimator(init=labels).fit(X)
    assert half.log_likelihood_ == pytest.approx(whole.log_likelihood_ / 2, abs=1e-5)
    np.testing.assert_allclose(half.alpha_, whole.alpha_, rtol=1e-3)


@pytest.mark.parametrize("given", [{}, {"init": "kmeans"}, {"tails": "t"}], ids=str)
@pytest.mark.parametrize("flip", [False, True])
def test_known_labels_are_kept_and_number_the_components(drawn, given, flip):
    X, labels = drawn
    labels = 1 - labels if flip else labels
    known = np.where(np.arange(120) % 4 == 0, labels, -1)
    model = estimator(**given).fit(X, known_labels=known)
    np.testing.assert_array_equal(model.labels_[known >= 0], known[known >= 0])
    assert adjusted_rand_score(labels, model.labels_) > 0.5
    assert np.mean(model.labels_ == labels) > 0.8
    assert np.diff(model.log_likelihood_trace_).min() > -1e-7


def test_labels_of_one_component_alone_number_it(drawn):
    X, labels = drawn
    known = np.where((labels == 1) & (np.arange(120) % 3 == 0), 1, -1)
    model = estimator().fit(X, known_labels=known)
    assert np.mean(model.labels_ == labels) > 0.8


def test_the_likelihood_is_that_of_labels_and_maps(drawn):
    X, labels = drawn
    known = np.where(np.arange(120) < 30, labels, -1)
    model = estimator().fit(X, known_labels=known)
    joint = model._joint(X)
    expected = joint[np.arange(30), labels[:30]].sum() + np.logaddexp(*joint[30:].T).sum()
    assert model.log_likelihood_ == pytest.approx(expected, abs=1e-6)


def test_with_all_labels_known_it_is_discriminant_analysis(plain, drawn):
    X, labels = drawn
    model = estimator().fit(X, known_labels=labels)
    np.testing.assert_array_equal(model.labels_, labels)
    np.testing.assert_allclose(model.weights_, np.bincount(labels) / 120)
    np.testing.assert_allclose(model.means_[1], X[labels == 1].mean(axis=0), atol=1e-9)
    for g in range(2):
        alone = SpatialGaussianMixture(1, coordinates=SHAPE, tol=1e-9).fit(X[labels == g])
        np.testing.assert_allclose(model.alpha_[g], alone.alpha_[0], rtol=1e-2)
    assert np.isfinite(model.standard_errors(X)["std_error"]).all()


def test_a_refused_argument_names_the_place(drawn):
    X, labels = drawn
    for bad, message in (
        (labels[:-1], r"known_labels must have shape \(120,\)"),
        (np.where(np.arange(120) == 7, 2, labels), r"known_labels\[7\] is 2.*n_components=2"),
        (np.where(np.arange(120) == 7, 0.5, labels), r"known_labels\[7\] is 0\.5"),
        (np.where(np.arange(120) == 7, -2, labels), r"known_labels\[7\] is -2"),
        (np.where(np.arange(120) == 7, np.nan, labels), r"known_labels\[7\] is nan"),
        (["a"] * 120, "known_labels must be 120 numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            estimator().fit(X, known_labels=bad)
    weights = np.ones(120)
    for value in (-1, np.nan, np.inf):
        weights[5] = value
        with pytest.raises(ValueError, match=r"sample_weight\[5\]"):
            estimator().fit(X, sample_weight=weights)
    with pytest.raises(ValueError, match=r"sample_weight.*zero"):
        estimator().fit(X, sample_weight=np.zeros(120))
    with pytest.raises(ValueError, match="needs more"):
        estimator().fit(X, sample_weight=np.arange(120) < 2)
    model = estimator().fit(X, known_labels=labels)
    with pytest.raises(ValueError, match="pass the maps of the fit"):
        model.standard_errors(X[:50])

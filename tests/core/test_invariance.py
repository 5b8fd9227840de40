"""What must not change a fit: how locations are placed, turned and ordered, units of the data."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from sklearn.exceptions import ConvergenceWarning

from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates

# Derandomised: the same examples in every run.
few = settings(max_examples=8, deadline=None, derandomize=True)

COMPONENTS = [(0.5, 0.0, (1.0, -0.9, 0.3), 2.5), (0.5, 0.3, (1.2, -0.8, 0.3), 7.0)]
LOCATIONS = {
    "grid": grid_coordinates((4, 3)),
    "irregular": np.random.default_rng(0).uniform(size=(12, 2)),
    "cube": grid_coordinates((2, 3, 2)),
}

places = st.sampled_from(sorted(LOCATIONS))
angles = st.floats(-180, 180)
positive = st.floats(-4, 4).map(lambda exponent: 10.0**exponent)


def fit(X, coordinates, labels):
    """A fixed number of iterations from one start, so that fits are comparable and fast."""
    model = SpatialGaussianMixture(2, coordinates=coordinates, init=labels, tol=1e-12, max_iter=12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X)


@pytest.fixture(scope="module")
def base(plain):
    """Maps, labels and their fit at the original locations."""
    found = {}
    for name, coordinates in LOCATIONS.items():
        X, labels = plain.draw(coordinates, 60, COMPONENTS, seed=1)
        found[name] = X, labels, fit(X, coordinates, labels)
    return found


def assert_same(one, other):
    np.testing.assert_allclose(one.log_likelihood_, other.log_likelihood_, rtol=1e-8)
    np.testing.assert_allclose(one.alpha_, other.alpha_, rtol=1e-4)
    np.testing.assert_allclose(one.beta_, other.beta_, rtol=1e-4)
    np.testing.assert_allclose(one.weights_, other.weights_, rtol=1e-5)
    np.testing.assert_array_equal(one.labels_, other.labels_)


@few
@given(places, st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3))
def test_translation_of_the_locations(base, name, shift):
    X, labels, expected = base[name]
    moved = LOCATIONS[name] + np.array(shift[: LOCATIONS[name].shape[1]])
    assert_same(fit(X, moved, labels), expected)


@few
@given(places, st.tuples(angles, angles, angles))
def test_rotation_of_the_locations(base, name, turn):
    X, labels, expected = base[name]
    d = LOCATIONS[name].shape[1]
    turn = (turn[0], 0, 0) if d == 2 else turn
    rotation = Rotation.from_euler("zyx", turn, degrees=True).as_matrix()[:d, :d]
    assert_same(fit(X, LOCATIONS[name] @ rotation.T, labels), expected)


@few
@given(places, positive)
def test_units_of_the_locations(base, name, factor):
    X, labels, expected = base[name]
    assert_same(fit(X, factor * LOCATIONS[name], labels), expected)


@few
@given(places, st.randoms(use_true_random=False))
def test_order_of_the_locations(base, name, random):
    X, labels, expected = base[name]
    order = np.array(random.sample(range(X.shape[1]), X.shape[1]))
    permuted = fit(X[:, order], LOCATIONS[name][order], labels)
    assert_same(permuted, expected)
    np.testing.assert_allclose(permuted.means_, expected.means_[:, order], atol=1e-5)


@few
@given(places, st.randoms(use_true_random=False))
def test_order_of_the_maps(base, name, random):
    X, labels, expected = base[name]
    order = np.array(random.sample(range(len(X)), len(X)))
    permuted = fit(X[order], LOCATIONS[name], labels[order])
    np.testing.assert_array_equal(permuted.labels_, expected.labels_[order])
    np.testing.assert_allclose(permuted.log_likelihood_, expected.log_likelihood_, rtol=1e-8)


@few
@given(places, positive)
def test_units_of_the_data(base, name, factor):
    X, labels, expected = base[name]
    scaled = fit(factor * X, LOCATIONS[name], labels)
    np.testing.assert_allclose(
        scaled.log_likelihood_, expected.log_likelihood_ - X.size * np.log(factor), rtol=1e-8
    )
    np.testing.assert_allclose(scaled.alpha_, factor**2 * expected.alpha_, rtol=1e-4)
    np.testing.assert_allclose(scaled.beta_, expected.beta_, rtol=1e-4)
    np.testing.assert_allclose(scaled.means_ / factor, expected.means_, atol=1e-5)
    np.testing.assert_array_equal(scaled.labels_, expected.labels_)


@few
@given(places, st.floats(-1e4, 1e4))
def test_zero_point_of_the_data(base, name, shift):
    X, labels, expected = base[name]
    moved = fit(X + shift, LOCATIONS[name], labels)
    assert_same(moved, expected)
    np.testing.assert_allclose(moved.means_ - shift, expected.means_, atol=1e-5)


def test_a_turned_grid_leaves_the_blocks_but_not_the_fit(plain):
    grid = grid_coordinates((13, 12))
    X, labels = plain.draw(grid, 40, COMPONENTS, seed=2)
    turned = grid @ Rotation.from_euler("z", 25, degrees=True).as_matrix()[:2, :2].T
    straight, other = fit(X, grid, labels), fit(X, turned, labels)
    assert (straight.path_, other.path_) == ("reflection blocks", "one dense block")
    assert_same(straight, other)

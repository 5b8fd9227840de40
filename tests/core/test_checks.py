"""Bad input is refused early, and the message names the argument and the place."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from spatgmm import SpatialGaussianMixture

X = np.random.default_rng(0).normal(size=(20, 6))
RESPONSIBILITIES = np.full((20, 2), 0.5)


def changed(array, place, value):
    array = np.array(array, dtype=float)
    array[place] = value
    return array


def refusal(match, X=X, **parameters):
    with pytest.raises(ValueError, match=match):
        SpatialGaussianMixture(**{"n_components": 2, "coordinates": (2, 3)} | parameters).fit(X)


def test_a_missing_value_is_named_by_row_and_column():
    refusal("X contains NaN at row 7, column 4", X=changed(X, (7, 4), np.nan))


def test_an_infinite_value_is_named_by_row_and_column():
    refusal("X contains infinity at row 3, column 0", X=changed(X, (3, 0), -np.inf))


def test_a_missing_value_of_multiway_maps_is_named_too():
    folded = changed(X, (7, 4), np.nan).reshape(20, 2, 3)
    refusal("X contains NaN at row 7, column 4", X=folded, coordinates=None)


def test_missing_values_are_refused_at_prediction_too():
    model = SpatialGaussianMixture(2, coordinates=(2, 3), init=np.arange(20) % 2, tol=10).fit(X)
    with pytest.raises(ValueError, match="X contains NaN at row 0, column 1"):
        model.predict(changed(X, (0, 1), np.nan))


def test_maps_of_another_size_are_refused_at_prediction():
    model = SpatialGaussianMixture(2, coordinates=(2, 3), init=np.arange(20) % 2, tol=10).fit(X)
    with pytest.raises(ValueError, match=r"X has 5 features.*expecting 6"):
        model.predict(X[:, :5])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_too_few_maps(n):
    refusal("n_components=3 needs more", X=X[:n], n_components=3)


def test_a_single_location():
    refusal("needs 2 locations", X=X[:, :1], coordinates=None)


def test_five_axes():
    refusal("X has 5 axes", X=np.zeros((20, 2, 2, 2, 2)), coordinates=None)


@pytest.mark.parametrize("n", [20, 20_000])  # the mean of many equal numbers is another number
@pytest.mark.parametrize("row", [X[0] + 1e6, np.full(6, 0.1)], ids=["shifted", "constant"])
@pytest.mark.parametrize("mean", ["free", "constant"])
def test_all_maps_the_same(n, row, mean):
    refusal("all rows are the same", X=np.tile(row, (n, 1)), mean=mean)


def test_all_maps_the_same_where_there_is_a_value():
    maps = np.tile(X[0], (20, 1))
    maps[3, 1] = maps[8, 0] = np.nan
    refusal("all rows are the same", X=maps, missing="em")


def test_maps_too_small_to_be_squared():
    refusal("all rows are the same", X=1e-200 * X)


@pytest.mark.parametrize("scale", [1e-6, 1.0])
def test_maps_that_differ_little_from_a_large_number_are_not_the_same(scale):
    model = SpatialGaussianMixture(2, coordinates=(2, 3), init=np.arange(20) % 2, tol=10)
    assert np.isfinite(model.fit(1e6 + scale * X).log_likelihood_)


def test_all_locations_on_one_spot():
    refusal("all 6 locations are on one spot", coordinates=np.ones((6, 2)))


def test_the_wrong_number_of_locations():
    refusal("coordinates has 5 locations but X has 6 values", coordinates=np.eye(5)[:, :2])


def test_a_grid_shape_of_another_size():
    refusal("coordinates has 9 locations but X has 6 values", coordinates=(3, 3))


@pytest.mark.parametrize("shape", [(6, 4), (6, 2, 1), (6, 0)])
def test_coordinates_of_the_wrong_shape(shape):
    refusal(r"coordinates must have shape \(p, d\)", coordinates=np.zeros(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_coordinate_that_is_not_finite(value):
    grid = np.array([[i, j] for i in range(2) for j in range(3)])
    refusal("coordinates row 4 is not finite", coordinates=changed(grid, (4, 1), value))


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("decay", "linear", "sigmoid"),
        ("solver", "newton", "'scoring', 'gls'"),
        ("mean", "none", "'free', 'constant'"),
        ("init", "random", "'multistart', 'kmeans'"),
    ],
)
def test_an_unknown_choice_is_refused_with_the_known_ones(name, value, known):
    refusal(f"{name}.*{value}|{name}.*{known}", **{name: value})
    refusal(known, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_components", 0),
        ("n_components", 2.5),
        ("n_init", 0),
        ("max_iter", 0),
        ("tol", 0.0),
        ("tol", np.nan),
        ("beta_init", -1.0),
        ("random_state", "today"),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(name, value):
    refusal(f"{name} must be", **{name: value})


@pytest.mark.parametrize("bad", [2, -1, 0.5, np.nan])
def test_a_label_out_of_range(bad):
    labels = changed(np.arange(20) % 2, 13, bad)
    refusal(r"init\[13\] is .*labels are integers 0 \.\. 1", init=labels)


@pytest.mark.parametrize("init", [np.repeat("a", 20), [[0.5, 0.5], [1.0]], object()])
def test_a_start_that_is_no_array_of_numbers(init):
    refusal("init must be labels or responsibilities, numbers", init=init)


def test_labels_that_leave_a_component_empty():
    refusal("init: component 1 has no map", init=np.zeros(20, dtype=int))


@pytest.mark.parametrize("row", [[0.6, 0.6], [1.5, -0.5], [np.nan, 1.0]])
def test_responsibilities_that_are_no_probabilities(row):
    refusal(
        "init row 5: responsibilities must be non-negative and sum to 1",
        init=changed(RESPONSIBILITIES, 5, row),
    )


@pytest.mark.parametrize("shape", [(19,), (20, 3), (2, 20)])
def test_a_start_of_the_wrong_shape(shape):
    refusal(r"init must be .* got an array of shape", init=np.zeros(shape))


@pytest.mark.parametrize("solver", ["scoring", "gls"])
def test_a_fit_cut_short_warns(solver):
    model = SpatialGaussianMixture(
        2, coordinates=(2, 3), solver=solver, init=np.arange(20) % 2, max_iter=1
    )
    with pytest.warns(ConvergenceWarning, match=r"did not converge in 1 iterations \(max_iter=1\)"):
        model.fit(X)
    assert not model.converged_
    assert model.n_iter_ == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda model: model.predict(X),
        lambda model: model.sample(3),
        lambda model: model.geostatistics(),
        lambda model: model.correlogram(),
        lambda model: model.standard_errors(X),
        lambda model: model.covariances_,
    ],
)
def test_nothing_can_be_asked_before_fitting(call):
    with pytest.raises(NotFittedError):
        call(SpatialGaussianMixture(2, coordinates=(2, 3)))


def test_a_number_of_samples_below_one():
    model = SpatialGaussianMixture(2, coordinates=(2, 3), init=np.arange(20) % 2, tol=10).fit(X)
    with pytest.raises(ValueError, match="n_samples must be an integer of at least 1"):
        model.sample(0)


@pytest.mark.parametrize("distances", [[-0.1], [0.0, 99.0], [np.nan], [[0.0, 1.0]]])
def test_distances_outside_the_locations(distances):
    model = SpatialGaussianMixture(2, coordinates=(2, 3), init=np.arange(20) % 2, tol=10).fit(X)
    with pytest.raises(ValueError, match="distances must be a list of numbers from 0"):
        model.correlogram(distances)

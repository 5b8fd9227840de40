"""Starts from given parameters, and parameters that are held."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score as ari

from spatgmm import SpatialGaussianMixture, load
from spatgmm.common.locations import grid_coordinates

COMPONENTS = [(0.5, 0.0, (1.0, -0.9, 0.3), 2.5), (0.5, 0.3, (1.2, -0.8, 0.3), 7.0)]
GRID = (5, 4)


@pytest.fixture(scope="module")
def data(plain):
    X, labels = plain.draw(grid_coordinates(GRID), 120, COMPONENTS, seed=3)
    return 5 * X + 20, labels


def fit(X, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return SpatialGaussianMixture(2, **({"coordinates": GRID} | options)).fit(X)


def parameters(model, *names):
    every = {
        "weights": model.weights_,
        "means": model.means_,
        "alpha": model.alpha_,
        "shape": model.shape_,
    }
    return {name: every[name] for name in names or every}


OPTIONS = [
    {},
    {"decay": "exponential", "metric": "axes"},
    {"metric": "additive", "mean": "constant"},
    {"sharing": "beta"},
    {"likelihood": "vecchia", "n_neighbors": 8},
    {"likelihood": "cosine"},
    {"missing": "em"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_fit_goes_on_where_another_stopped(data, options):
    X, labels = data[0].copy(), data[1]
    if "missing" in options:
        X[::7, 3] = X[:, 5] = np.nan
    first = fit(X, init=labels, **({"max_iter": 7, "tol": 1e-12} | options))
    found = fit(X, init=parameters(first), **({"max_iter": 2, "tol": 1e-12} | options))
    # The first iteration starts from exactly the given parameters.
    assert found.log_likelihood_trace_[0] == pytest.approx(first.log_likelihood_, rel=1e-10)
    assert found.log_likelihood_ >= first.log_likelihood_


def test_order_of_components_is_that_of_the_start(data):
    X, labels = data
    first = fit(X, init=labels)
    turned = {name: values[::-1] for name, values in parameters(first).items()}
    again = fit(X, init=turned)
    np.testing.assert_allclose(again.weights_, first.weights_[::-1], atol=1e-2)
    assert clone(again).get_params()["init"].keys() == turned.keys()


@pytest.mark.parametrize("names", [("alpha", "shape"), ("means", "alpha", "shape")])
def test_parts_are_enough(data, names):
    X, labels = data
    model = fit(X, init=parameters(fit(X, init=labels), *names))
    assert ari(model.labels_, labels) > 0.5


def test_means_alone_sort_the_maps_by_the_nearest(data):
    X, _ = data
    means = np.stack([np.full(20, 15.0), np.full(20, 25.0)])
    labels = (((X[:, None] - means) ** 2).sum(axis=2)).argmin(axis=1)
    one, other = (fit(X, init=init, max_iter=3) for init in ({"means": means}, labels))
    assert one.log_likelihood_ == other.log_likelihood_


GOOD = {
    "means": np.zeros((2, 20)),
    "alpha": [[1, -0.9, 0.3], [1, -0.9, 0.3]],
    "shape": [[2.0], [3.0]],
}
BAD = [
    ({}, "give means, or alpha and shape"),
    ({"weights": [0.5, 0.5]}, "give means, or alpha and shape"),
    ({"alpha": GOOD["alpha"]}, "give means, or alpha and shape"),
    ({"scatter": np.eye(2)}, "scatter"),
    (GOOD | {"means": np.zeros((2, 19))}, r"init\['means'\] must have shape \(2, 20\)"),
    (GOOD | {"alpha": [[1, 2], [3, 4]]}, r"init\['alpha'\] must have shape \(2, 3\)"),
    (GOOD | {"alpha": [["a", 1, 1], [1, 1, 1]]}, r"init\['alpha'\] must be numbers"),
    (GOOD | {"shape": [[1.0, 2.0]] * 2}, r"init\['shape'\] must have shape \(2, 1\), for beta"),
    (GOOD | {"shape": [[2.0], [np.nan]]}, r"init\['shape'\] is not finite at 1, 0"),
    (GOOD | {"shape": [[2.0], [1e6]]}, "component 1's beta is 1e\\+06"),
    (GOOD | {"alpha": [[1, -0.9, 0.3], [1, -0.9, -5]]}, "component 1's .* not positive definite"),
    (GOOD | {"weights": [0.5, 0.4]}, r"init\['weights'\] must be positive and sum to 1"),
    ({"means": np.stack([np.full(20, 20.0), np.full(20, 1e6)])}, "nearest to component 1"),
]


@pytest.mark.parametrize(("init", "message"), BAD, ids=str)
def test_what_is_no_start_is_refused_by_name(data, init, message):
    with pytest.raises(ValueError, match=message):
        fit(data[0], init=init)


# -- parameters that are held ---------------------------------------------------------------------

HELD = [
    ({}, {"beta": 4.0}),
    ({"likelihood": "vecchia", "n_neighbors": 8}, {"beta": 4.0}),
    ({"likelihood": "cosine"}, {"beta": 4.0}),
    ({"metric": "axes", "sharing": "beta"}, {"log_stretch1": 0.2}),
    ({"metric": "additive", "decay": "exponential"}, {"beta2": 0.5}),
    ({"decay": "ispline"}, {"hazard1": 0.4, "hazard3": 0.5}),
]


@pytest.mark.parametrize(("options", "fixed"), HELD, ids=str)
def test_what_is_held_stays_and_is_no_parameter(data, options, fixed, tmp_path):
    X, _ = data
    model = fit(X, fixed=fixed, random_state=0, n_init=3, **options)
    free = fit(X, random_state=0, n_init=3, **options)
    for name, value in fixed.items():
        k = model.parameter_names_.index(name) - 3
        assert (model.shape_[:, k] == value).all()
    copies = 1 if options.get("sharing") == "beta" else 2
    assert model.n_parameters_ == free.n_parameters_ - copies * len(fixed)
    assert model.log_likelihood_ <= free.log_likelihood_ + 0.1
    trace = model.log_likelihood_trace_
    assert (np.diff(trace) >= -1e-8 * np.abs(trace[1:])).all()
    table = model.standard_errors(X).set_index("parameter")
    assert table.loc[list(fixed), "std_error"].isna().all()
    assert (table.loc[list(fixed), "note"] == "held at a given value").all()
    model.save(tmp_path / "model.npz")
    assert load(tmp_path / "model.npz").bic(X) == pytest.approx(model.bic(X))


def test_held_at_the_estimate_nothing_changes(data):
    X, labels = data
    options = {"sharing": "beta", "init": labels, "tol": 1e-8}
    free = fit(X, **options)
    held = fit(X, fixed={"beta": float(free.beta_[0])}, **options)
    assert held.log_likelihood_ == pytest.approx(free.log_likelihood_, abs=1e-4)
    np.testing.assert_allclose(held.alpha_, free.alpha_, rtol=1e-3)
    # What is known makes the rest surer.
    errors = [
        model.standard_errors(X).set_index("parameter")["std_error"] for model in (held, free)
    ]
    assert (errors[0]["alpha2"] <= errors[1]["alpha2"] * (1 + 1e-6)).all()


BAD_FIXED = [
    ({"gamma": 1.0}, {}, "fixed: 'gamma' is no parameter of decay 'sigmoid'"),
    ({"beta": 1e9}, {}, r"fixed: beta=1e\+09; these locations identify it from"),
    ({"beta": "steep"}, {}, "fixed"),
    ({}, {}, "fixed"),
    ({"beta": 2.0}, {"metric": "additive"}, "which have beta1, beta2"),
    ({"beta": 2.0}, {"beta_init": 2.0}, "fixed, beta_init"),
    ({"beta": 2.0}, {"solver": "gls"}, "solver='gls'.*fixed"),
]


@pytest.mark.parametrize(("fixed", "options", "message"), BAD_FIXED, ids=str)
def test_what_cannot_be_held_is_refused_by_name(data, fixed, options, message):
    with pytest.raises(ValueError, match=message):
        fit(data[0], fixed=fixed, **options)

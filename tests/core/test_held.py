"""Coefficients alpha, means and weights that are held at given values."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score as ari

from spatgmm import SpatialGaussianMixture, load, select
from spatgmm.common.locations import grid_coordinates

GRID = (5, 4)
COMPONENTS = [(0.5, 0.0, (1.0, -0.9, 0.3), 2.5), (0.5, 0.3, (1.2, -0.8, 0.3), 7.0)]

#: The truth of the maps, in their units.
TRUTH = {
    "alpha": 25 * np.array([alpha for _, _, alpha, _ in COMPONENTS]),
    "means": 20 + 5 * np.repeat([[mean] for _, mean, _, _ in COMPONENTS], 20, axis=1),
    "weights": np.array([0.5, 0.5]),
}


@pytest.fixture(scope="module")
def data(plain):
    X, labels = plain.draw(grid_coordinates(GRID), 120, COMPONENTS, seed=3)
    return 5 * X + 20, labels


def fit(X, *, n_components=2, sample_weight=None, known_labels=None, **options):
    settings = {"coordinates": GRID, "random_state": 0, "n_init": 2} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)
        return SpatialGaussianMixture(n_components, **settings).fit(
            X, sample_weight=sample_weight, known_labels=known_labels
        )


def estimates(model):
    return {"alpha": model.alpha_, "means": model.means_, "weights": model.weights_}


def assert_held(model, fixed):
    for name, value in fixed.items():
        if name in estimates(model):
            shown = estimates(model)[name]
            np.testing.assert_array_equal(shown, np.where(np.isnan(shown), np.nan, value))
        elif name.startswith("alpha"):
            assert (model.alpha_[:, int(name[-1]) - 1] == value).all()


def assert_monotone(model):
    trace = model.log_likelihood_trace_
    assert (np.diff(trace) >= -1e-8 * np.abs(trace[1:])).all()


OPTIONS = [
    {},
    {"likelihood": "cosine"},
    {"likelihood": "vecchia", "n_neighbors": 8},
    {"missing": "em"},
    {"missing": "em", "likelihood": "vecchia", "n_neighbors": 8},
    {"metric": "additive", "decay": "matern32"},
    {"sharing": "beta"},
    {"tails": "t"},
]

#: What is held, and how many parameters of two components that leaves out.
HELD = [
    ({"alpha": TRUTH["alpha"]}, 6),
    ({"alpha1": 28.0}, 2),
    ({"alpha2": -20.0}, 2),
    ({"alpha3": [7.0, 9.0]}, 2),
    ({"alpha1": 28.0, "alpha2": [-20.0, -18.0]}, 4),
    ({"alpha1": 28.0, "alpha3": 8.0}, 4),
    ({"means": TRUTH["means"]}, 40),
    ({"weights": [0.3, 0.7]}, 1),
    (TRUTH, 47),
    (TRUTH | {"beta": 4.0}, 49),
]


CASES = [({}, *held) for held in HELD]
CASES += [(options, *HELD[k]) for options in OPTIONS[1:] for k in (0, 5, 9)]


@pytest.mark.parametrize(("options", "fixed", "left_out"), CASES, ids=lambda value: str(value)[:50])
def test_what_is_held_stays_and_is_no_parameter(data, options, fixed, left_out, tmp_path):
    X = data[0].copy()
    if "missing" in options:
        X[::7, 3] = X[:, 5] = np.nan
        if "means" in fixed:
            left_out -= 2  # of a location without any value
    if "sharing" in options and "beta" in fixed:
        left_out -= 1
    if "metric" in options and "beta" in fixed:
        fixed = {"beta1" if name == "beta" else name: value for name, value in fixed.items()}
        fixed["beta1"] = 1.0
    model = fit(X, fixed=fixed, **options)
    assert_held(model, fixed)
    assert_monotone(model)
    free = fit(X, max_iter=1, n_init=1, **options)
    assert model.n_parameters_ == free.n_parameters_ - left_out
    table = model.standard_errors(X)
    held = [name for name in fixed if name.startswith("beta")]
    held += ["weight"] * ("weights" in fixed)
    held += ["alpha1", "alpha2", "alpha3"] if "alpha" in fixed else []
    held += [name for name in fixed if name in ("alpha1", "alpha2", "alpha3")]
    known = table["parameter"].isin(held)
    assert table.loc[known, "std_error"].isna().all()
    assert (table.loc[known, "note"] == "held at a given value").all()
    others = table.loc[~known & (table["note"].str.contains("bound") == 0)]
    assert (others["std_error"] > 0).all()
    words = model.geostatistics(X).set_index("quantity")
    assert np.isfinite(words.loc[["baseline", "partial_sill", "nugget"], "std_error"]).all()
    model.save(tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert_held(again, fixed)
    assert again.bic(X) == pytest.approx(model.bic(X))
    assert again.n_parameters_ == model.n_parameters_


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_everything_held_at_a_fit_is_that_fit(data, options):
    X = data[0].copy()
    if "missing" in options:
        X[::7, 3] = X[:, 5] = np.nan
    free = fit(X, **options)
    shapes = dict(zip(free.parameter_names_[3:], free.shape_.T, strict=True))
    # Shapes are held in all components alike, the others tell components apart.
    held = fit(X, fixed=estimates(free), tol=1e-9, **options)
    assert held.log_likelihood_ == pytest.approx(free.log_likelihood_, abs=0.01)
    np.testing.assert_allclose(held.shape_, free.shape_, rtol=0.02, atol=1e-2)
    if "sharing" in options:
        fixed = estimates(free) | {name: float(values[0]) for name, values in shapes.items()}
        whole = fit(X, fixed=fixed, **options)
        assert whole.n_parameters_ == 0
        assert whole.log_likelihood_ == pytest.approx(free.log_likelihood(X), abs=1e-6)


@pytest.mark.parametrize("name", ["alpha", "means", "weights"])
def test_held_at_the_truth_the_maps_are_sorted(data, name):
    X, labels = data
    free, held = fit(X), fit(X, fixed={name: TRUTH[name]})
    assert held.log_likelihood_ <= free.log_likelihood_ + 1e-3
    # Twice the difference is chi-square with as many degrees of freedom as are held.
    assert free.log_likelihood_ - held.log_likelihood_ < free.n_parameters_ - held.n_parameters_
    assert ari(labels, held.labels_) > 0.5


@pytest.mark.parametrize("fixed", [{"alpha": TRUTH["alpha"]}, {"means": TRUTH["means"]}], ids=str)
@pytest.mark.parametrize("init", ["multistart", "kmeans"])
def test_a_search_finds_which_component_is_which(data, fixed, init):
    X, labels = data
    one = fit(X, fixed=fixed, init=init)
    turned = fit(X, fixed={name: values[::-1] for name, values in fixed.items()}, init=init)
    known = fit(X, fixed=fixed, init=labels)
    assert turned.log_likelihood_ == pytest.approx(one.log_likelihood_, abs=0.01)
    if init == "multistart":
        assert one.log_likelihood_ >= known.log_likelihood_ - 0.01
    assert (turned.labels_ == 1 - one.labels_).mean() > 0.95


def test_known_labels_number_components_before_held_values_do(data):
    X, labels = data
    known = np.where(np.arange(len(X)) % 10 == 0, labels, -1)
    model = fit(X, fixed={"weights": [0.4, 0.6]}, known_labels=known)
    assert ari(model.labels_, labels) > 0.5
    assert (model.labels_ == labels).mean() > 0.8
    np.testing.assert_array_equal(model.weights_, [0.4, 0.6])


@pytest.mark.parametrize("options", [{}, {"likelihood": "cosine"}, {"likelihood": "vecchia"}])
@pytest.mark.parametrize("names", [("alpha1",), ("alpha2",), ("alpha3",), ("alpha1", "alpha3")])
def test_errors_are_those_of_the_others_given_what_is_held(data, options, names):
    """Of a normal law: ``S - S_h S_hh^-1 S_h'``, by the information of the same maximum."""
    X, _ = data
    options = options | {"n_components": 1, "tol": 1e-10}
    free = fit(X, **options)
    fixed = {name: free.alpha_[:, int(name[-1]) - 1] for name in names}
    held = fit(X, fixed=fixed, **options)
    whole, given = (
        (found.by_information or found).public_covariances()[0]
        for found in (model._uncertainty(X) for model in (free, held))
    )
    of = [int(name[-1]) - 1 for name in names]
    rest = [k for k in range(4) if k not in of]
    expected = whole - whole[:, of] @ np.linalg.solve(whole[np.ix_(of, of)], whole[of])
    np.testing.assert_allclose(
        given[np.ix_(rest, rest)], expected[np.ix_(rest, rest)], rtol=0.02, atol=1e-6
    )
    assert np.isnan(given[of]).all()


def test_weights_of_maps_and_units_matter_as_ever(data):
    X, _ = data
    model = fit(X, fixed={"alpha3": 8.0, "means": TRUTH["means"]})
    fixed = {"alpha3": 8e-6, "means": 1e-3 * TRUTH["means"] - 7}
    smaller = fit(1e-3 * X - 7, fixed=fixed)
    np.testing.assert_allclose(smaller.alpha_, 1e-6 * model.alpha_, rtol=1e-4)
    twice = fit(X, fixed=model.fixed, sample_weight=np.full(len(X), 2.0))
    np.testing.assert_allclose(twice.alpha_, model.alpha_, rtol=1e-3)
    assert twice.log_likelihood_ == pytest.approx(2 * model.log_likelihood_, rel=1e-6)


def test_several_variables_with_held_means_and_weights(data):
    X, labels = data
    rng = np.random.default_rng(0)
    X = np.stack([X, 3 * rng.permuted(X, axis=0) + 1], axis=2)
    means = np.stack([X[labels == g].mean(axis=0) for g in range(2)])
    free = fit(X, n_variables=2)
    model = fit(X, n_variables=2, fixed={"means": means, "weights": [0.5, 0.5]})
    assert_held(model, model.fixed)
    assert_monotone(model)
    assert model.n_parameters_ == free.n_parameters_ - 81
    table = model.standard_errors(X)
    known = (table["parameter"] == "weight") | table["note"].str.contains("bound")
    assert (table.loc[~known, "std_error"] > 0).all()


def test_a_bootstrap_says_what_is_held(data):
    X, _ = data
    model = fit(X[:60], fixed={"alpha2": -20.0, "weights": [0.5, 0.5]}, tol=1e-2)
    table = model.standard_errors(X[:60], method="bootstrap", n_bootstrap=3)
    held = table["parameter"].isin(["alpha2", "weight"])
    assert table.loc[held, "note"].str.contains("held").all()
    assert (table.loc[~held, "std_error"] > 0).all()


def test_other_uses_of_a_fit(data):
    X, _ = data
    model = fit(X, fixed=TRUTH, mean="free", decay="auto")
    assert model.mean_ == "held"
    assert_held(clone(model).fit(X), TRUTH)
    assert model.diagnostics(X, n_simulations=99).checks.shape[0] == 4
    np.testing.assert_allclose(model.interpolate(X, [[0, 0]])[:, 0], X[:, 0])
    found = select(X, [1, 2], fixed={"alpha3": 8.0}, coordinates=GRID, n_init=1, random_state=0)
    assert all((model.alpha_[:, 2] == 8).all() for model in found["estimator"])


def test_a_start_from_given_parameters_keeps_what_is_held(data):
    X, _ = data
    first = fit(X, fixed={"alpha3": 8.0, "weights": [0.4, 0.6]}, tol=1e-9)
    start = estimates(first) | {"shape": first.shape_}
    again = fit(X, fixed=first.fixed, init=start, max_iter=3)
    assert again.log_likelihood_trace_[0] == pytest.approx(first.log_likelihood_, abs=1e-6)
    # Where the two differ, what is held counts.
    start["weights"], start["means"] = [0.9, 0.1], np.zeros((2, 20))
    fixed = first.fixed | {"means": first.means_}
    again = fit(X, fixed=fixed, init=start, max_iter=3)
    assert again.log_likelihood_trace_[0] == pytest.approx(first.log_likelihood_, abs=1e-6)


def test_many_locations_of_which_a_search_sees_some():
    rng = np.random.default_rng(2)
    places = rng.uniform(size=(1100, 2))
    means = np.stack([np.sin(6 * places[:, 0]), np.cos(6 * places[:, 1])])
    labels = np.repeat([0, 1], 20)
    X = means[labels] + rng.normal(size=(40, 1100))
    model = fit(
        X, coordinates=places, fixed={"means": means}, likelihood="vecchia", n_neighbors=5, tol=0.1
    )
    assert (model.labels_ == labels).all()
    assert_held(model, {"means": means})


BEYOND = np.where(np.arange(20) == 3, np.inf, 20.0)
BAD = [
    ({"alpha": np.ones((2, 2))}, {}, r"fixed\['alpha'\] must have shape \(2, 3\), got \(2, 2\)"),
    ({"alpha": 3.0}, {}, "fixed.alpha must be an array"),
    ({"alpha3": [1.0, 2.0, 3.0]}, {}, r"fixed\['alpha3'\] must have shape \(2,\)"),
    ({"alpha3": [1.0, np.nan]}, {}, r"fixed\['alpha3'\] is not finite at 1"),
    ({"alpha3": "large"}, {}, "fixed.alpha3 must be a number"),
    ({"weights": [0.5, "half"]}, {}, "fixed.weights must be an array of numbers"),
    ({"alpha": TRUTH["alpha"], "alpha1": 2.0}, {}, "fixed.alpha1 is held by alpha already"),
    ({"alpha2": 0.0}, {}, "component 0's alpha2 is 0, .* no decay is left"),
    ({"alpha": [[25, -22, 7], [25, -22, -90]]}, {}, "component 1's alpha1, alpha2, alpha3 is"),
    ({"alpha1": -5.0, "alpha3": 1.0}, {}, "component 0's alpha1, alpha3 is positive definite"),
    ({"alpha3": -90.0}, {}, "component 0's alpha3 is positive definite"),
    ({"means": np.zeros((2, 19))}, {}, r"fixed\['means'\] must have shape \(2, 20\)"),
    ({"means": [BEYOND, BEYOND]}, {}, r"fixed\['means'\] is not finite at 0, 3"),
    ({"means": np.zeros((2, 20))}, {"n_variables": 2}, r"must have shape \(2, 10, 2\)"),
    ({"weights": [0.5, 0.4]}, {}, r"fixed\['weights'\] must be positive and sum to 1"),
    ({"weights": [1.5, -0.5]}, {}, r"fixed\['weights'\] must be positive and sum to 1"),
    ({"weights": [1.0]}, {}, r"fixed\['weights'\] must have shape \(2,\)"),
    ({"beta": [2.0, 3.0]}, {}, "fixed.beta must be a number"),
    ({"alpha3": 1.0}, {"variance": "location"}, "fixed: alpha3 .* variance='location'"),
    ({"means": TRUTH["means"]}, {"variance": "location"}, "fixed: means .*variance='location'"),
    ({"means": TRUTH["means"]}, {"mean": "constant"}, "mean='constant'; leave mean out"),
    ({"alpha1": 1.0}, {"n_variables": 2}, "fixed: alpha1 .* n_variables=2"),
    ({"alpha3": [7.0, 8.0]}, {"sharing": "alpha"}, "that all components share .* differ"),
    ({"weights": [0.5, 0.5]}, {"solver": "gls"}, "solver='gls'.*fixed"),
]


@pytest.mark.parametrize(("fixed", "options", "message"), BAD, ids=lambda value: str(value)[:40])
def test_what_cannot_be_held_is_refused_by_name(data, fixed, options, message):
    X = data[0].reshape(120, 10, 2) if options.get("n_variables") else data[0]
    coordinates = (5, 2) if options.get("n_variables") else GRID
    with pytest.raises(ValueError, match=message):
        fit(X, fixed=fixed, **({"coordinates": coordinates} | options))

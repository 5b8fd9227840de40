"""Mixtures of matrix normals, against their definition and their peer."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import matrix_normal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from spatgmm import methods, simulate
from spatgmm.baselines import MatrixNormalMixture

REFERENCE = Path(__file__).parents[1] / "reference"
PEER = pd.read_csv(REFERENCE / "mmn_loglik.csv")


def reference(name):
    X = np.loadtxt(REFERENCE / f"{name}.csv", delimiter=",")
    return X, np.loadtxt(REFERENCE / f"{name}_z.csv", dtype=int)


X, LABELS = reference("mmn_a")


@pytest.mark.parametrize("peer", [pytest.param(row, id=row.data) for row in PEER.itertuples()])
@pytest.mark.parametrize("random_state", [0, 1, 2])
def test_likelihood_reaches_the_r_packages_best(peer, random_state):
    X, labels = reference(peer.data)
    fitted = MatrixNormalMixture(peer.G, shape=(peer.r, peer.c), random_state=random_state).fit(X)
    assert fitted.converged_
    assert fitted.log_likelihood_ > peer.best_ll - 0.05
    assert adjusted_rand_score(labels, fitted.labels_) >= peer.ari - 1e-6
    count = (peer.bic + 2 * peer.best_ll) / np.log(peer.n)
    assert fitted.n_parameters_ == pytest.approx(count, abs=1e-3)
    assert fitted.bic(X) < peer.bic + 0.1


@pytest.fixture(scope="module")
def fitted():
    return MatrixNormalMixture(2, shape=(4, 6), init=LABELS).fit(X)


def test_log_likelihood_never_falls():
    slow = MatrixNormalMixture(3, shape=(4, 6), init="random", n_init=1, random_state=1).fit(X)
    assert len(slow.log_likelihood_trace_) > 20
    assert (np.diff(slow.log_likelihood_trace_) >= 0).all()


def test_likelihood_is_that_of_scipys_matrix_normal(fitted):
    density = np.zeros(len(X))
    for weight, mean, rows, columns in zip(
        fitted.weights_,
        fitted.means_,
        fitted.row_covariances_,
        fitted.column_covariances_,
        strict=True,
    ):
        density += weight * matrix_normal(mean, rows, columns).pdf(X.reshape(-1, 4, 6))
    assert fitted.log_likelihood_ == pytest.approx(np.log(density).sum(), abs=1e-7)
    np.testing.assert_allclose(
        fitted.covariances_[1], np.kron(fitted.row_covariances_[1], fitted.column_covariances_[1])
    )


def test_scale_is_identified(fitted):
    np.testing.assert_allclose(np.linalg.det(fitted.row_covariances_), 1)


def test_one_component_satisfies_the_flip_flop_equations():
    one = MatrixNormalMixture(1, shape=(4, 6), init=np.zeros(len(X)), tol=1e-10).fit(X)
    D = X.reshape(-1, 4, 6) - X.mean(axis=0).reshape(4, 6)
    U, V = one.row_covariances_[0], one.column_covariances_[0]
    n = len(X)
    rows = np.einsum("nac,cd,nbd->ab", D, np.linalg.inv(V), D) / (n * 6)
    columns = np.einsum("nac,ab,nbd->cd", D, np.linalg.inv(U), D) / (n * 4)
    np.testing.assert_allclose(rows, U, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(columns, V, rtol=1e-4, atol=1e-5)


def test_multi_way_input_and_folded_slices(fitted):
    as_matrices = MatrixNormalMixture(2, init=LABELS).fit(X.reshape(-1, 4, 6))
    assert as_matrices.log_likelihood_ == fitted.log_likelihood_
    np.testing.assert_array_equal(as_matrices.predict(X.reshape(-1, 4, 6)), fitted.labels_)
    tensors = X.reshape(-1, 4, 3, 2)
    for model in (
        MatrixNormalMixture(2, init=LABELS).fit(tensors),
        MatrixNormalMixture(2, shape=(4, 3, 2), init=LABELS).fit(X),
    ):
        assert model.shape_ == (4, 6)
        assert model.log_likelihood_ == fitted.log_likelihood_


def test_prediction_and_criteria(fitted):
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)
    m = fitted.n_parameters_
    assert fitted.bic(X) == pytest.approx(-2 * fitted.log_likelihood_ + m * np.log(len(X)))
    model = MatrixNormalMixture(
        3, shape=(4, 6), init="random", n_init=4, tol=1e-3, max_iter=50, random_state=7
    )
    assert clone(model).get_params() == model.get_params()


def test_results_move_with_the_data(fitted):
    moved = MatrixNormalMixture(2, shape=(4, 6), init=LABELS).fit(1e-4 * X + 30)
    jacobian = X.size * np.log(1e-4)
    assert moved.log_likelihood_ == pytest.approx(fitted.log_likelihood_ - jacobian, abs=1e-3)
    np.testing.assert_allclose(moved.row_covariances_, fitted.row_covariances_, rtol=1e-3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda X: np.where(np.arange(24) == 5, 1.0, X), id="constant column"),
        pytest.param(lambda X: np.repeat(X[:5], 8, axis=0), id="equal rows"),
        pytest.param(lambda X: np.tile(X[:, :6], 4), id="equal matrix rows"),
        pytest.param(lambda X: X[:7], id="few rows"),
    ],
)
def test_awkward_data_never_give_nan(change):
    data = change(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        fitted = MatrixNormalMixture(2, shape=(4, 6), random_state=0, n_init=4, max_iter=200).fit(
            data
        )
    assert np.isfinite(fitted.log_likelihood_)
    assert np.isfinite(fitted.covariances_).all()
    assert (np.diff(fitted.log_likelihood_trace_) >= 0).all()
    assert np.linalg.cond(fitted.row_covariances_).max() < 1e9


@pytest.mark.parametrize("shape", [(1, 1), (2, 3)])
def test_rows_that_are_all_alike_do_not_take_the_covariance_to_nothing(shape):
    rng = np.random.default_rng(0)
    p = shape[0] * shape[1]
    data = np.concatenate(
        [np.repeat(rng.normal(size=(1, p)), 20, axis=0), rng.normal(size=(45, p))]
    )
    fitted = MatrixNormalMixture(2, shape=shape, init=(np.arange(65) < 20).astype(int)).fit(data)
    assert (np.diff(fitted.log_likelihood_trace_) >= 0).all()
    assert np.linalg.eigvalsh(fitted.covariances_).min() > 1e-18 * data.var()


def test_it_says_when_a_component_is_degenerate():
    init = (np.arange(len(X)) == 0).astype(int)
    far = X + 1000.0 * init[:, None]
    with pytest.warns(ConvergenceWarning, match=r"component 2 \(labels_ 1\): too few rows"):
        fitted = MatrixNormalMixture(2, shape=(4, 6), init=init).fit(far)
    assert fitted.degenerate_components_ == [1]


def scenario(locations):
    component = {"alpha": [1, -0.9, 0.3]}
    return simulate.Scenario.from_config(
        "grid",
        {
            "locations": locations,
            "n": 200,
            "weights": [0.5, 0.5],
            "components": [{**component, "beta": 2.5}, {**component, "beta": 6}],
        },
    )


def test_equal_means_leave_it_all_but_blind():
    """One draw; in others its rows and columns see a little of the difference."""
    data = simulate.draw(scenario({"grid": [10, 10]}), 0, 1)
    fitted = MatrixNormalMixture(2, shape=(10, 10), random_state=0).fit(data.X)
    assert abs(adjusted_rand_score(data.labels, fitted.labels_)) < 0.05


def test_plug_in_needs_rows_and_columns():
    method = methods.get("mmn")
    irregular = simulate.draw(scenario({"uniform": 20, "dimensions": 2, "seed": 1}), 0, 1)
    assert "irregular locations have no rows and columns" in method.supports(irregular, 2)
    line = simulate.draw(scenario({"grid": [12]}), 0, 1)
    assert "needs a grid of rows and columns" in method.supports(line, 2)
    cube = simulate.draw(scenario({"grid": [3, 3, 3]}), 0, 1)
    assert method.supports(cube, 2) is None
    result = method.fit(cube, 2, np.random.default_rng(0))
    assert result.n_parameters == 1 + 2 * (27 + 6 + 45 - 1)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"shape": (5, 5)}, r"shape=\(5, 5\) multiplies to 25, but X has 24 values per row"),
        ({"shape": (24,)}, "shape must hold the numbers of rows and columns"),
        ({"shape": (4, 6.0)}, "shape must hold"),
        ({"shape": (-4, -6)}, "shape must hold"),
        ({"shape": None}, "or X must be multi-way"),
        ({"n_components": 200}, "X has 200 rows .* n_components=200 needs more"),
        ({"n_components": 0}, "n_components must be an integer of at least 1"),
        ({"init": "means"}, "init must be one of"),
        ({"init": LABELS[:9]}, "init must be"),
        ({"n_init": 0}, "n_init must be an integer"),
        ({"tol": -1}, "tol must be a positive number"),
        ({"max_iter": 0}, "max_iter must be an integer"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        MatrixNormalMixture(**{"n_components": 2, "shape": (4, 6), **settings}).fit(X)


def test_bad_data_are_refused_by_place():
    with pytest.raises(ValueError, match="all rows are the same"):
        MatrixNormalMixture(2, shape=(4, 6), init=LABELS).fit(np.ones_like(X))
    spoilt = X.copy()
    spoilt[7, 3] = np.nan
    with pytest.raises(ValueError, match="X contains NaN at row 7, column 3"):
        MatrixNormalMixture(2, shape=(4, 6)).fit(spoilt)

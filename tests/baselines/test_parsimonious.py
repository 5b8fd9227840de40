"""Parsimonious Gaussian mixtures: the twelve models, against their definition and their peer."""

from __future__ import annotations

import warnings
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score

from spatgmm import methods, simulate
from spatgmm.baselines import ParsimoniousGaussianMixture, noise, search_parsimonious
from spatgmm.baselines.base import Units
from spatgmm.baselines.factor_analyzers import FactorAnalyzers, Parameters, Sample
from spatgmm.baselines.parsimonious import MODELS, largest_n_factors, n_parameters
from spatgmm.data import Dataset

REFERENCE = Path(__file__).parents[1] / "reference"
PEER = pd.read_csv(REFERENCE / "pgmm_bic.csv")


def reference(name):
    X = np.loadtxt(REFERENCE / f"{name}.csv", delimiter=",")
    return X, np.loadtxt(REFERENCE / f"{name}_init.csv", dtype=int)


def factor_data(n=120, p=9, seed=0):
    """Two separated components that differ in loadings and noise, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    loadings = rng.standard_normal((2, p, 2))
    noise = rng.uniform(0.3, 1.5, (2, p))
    X = np.einsum("npq,nq->np", loadings[labels], rng.standard_normal((n, 2)))
    X += np.sqrt(noise[labels]) * rng.standard_normal((n, p)) + 3.0 * labels[:, None]
    return X, labels


X, LABELS = factor_data()


def fit(model="UUU", q=2, init=LABELS, data=X, G=2, **settings):
    return ParsimoniousGaussianMixture(G, n_factors=q, model=model, init=init, **settings).fit(data)


# -- the peer -----------------------------------------------------------------------------------


def rows_of_the_peer(data=None):
    for row in PEER.itertuples():
        if data is None or row.data in data:
            yield pytest.param(row, id=f"{row.model}-{row.data}-q{row.q}")


def fit_like(row, **settings):
    """A fit on the data of one row, which must converge, and the peer's log-likelihood (or NaN)."""
    rows, init = reference(row.data)
    settings = {"init": init, **settings}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = fit(row.model, row.q, data=rows, G=row.G, **settings)
    assert fitted.converged_ and not fitted.degenerate_components_
    assert (np.diff(fitted.log_likelihood_trace_) >= 0).all()
    m = n_parameters(row.model, row.G, rows.shape[1], row.q)
    return fitted, (row.bic_2l_minus_m_logn + m * np.log(len(rows))) / 2


@pytest.mark.parametrize("row", list(rows_of_the_peer(["wine", "iris", "factor"])))
def test_likelihood_is_at_least_the_r_packages(row):
    fitted, peer = fit_like(row)
    if np.isfinite(peer):
        assert fitted.log_likelihood_ > peer - 0.01
    else:
        # UCUU, where the R package breaks down, lies between the models it contains and is
        # contained in.
        assert row.model == "UCUU"
        for other, sign in (("UCU", 1), ("UUU", -1)):
            found, _ = fit_like(row._replace(model=other))
            assert sign * fitted.log_likelihood_ > sign * found.log_likelihood_


@pytest.mark.parametrize("row", list(rows_of_the_peer()))
def test_the_default_reaches_the_r_packages_bic(row):
    fitted, peer = fit_like(row, init=None, random_state=0)
    if np.isfinite(peer):
        assert 2 * fitted.log_likelihood_ > 2 * peer - 0.5


def test_the_reference_holds_all_twelve_models():
    assert set(PEER["model"]) == set(MODELS) and len(MODELS) == 12


# -- parameter counts ---------------------------------------------------------------------------

# McNicholas & Murphy (2008), Table 1, and (2010), Table 1: covariance parameters.
PUBLISHED = {
    "CCC": lambda p, q, G: (p * q - q * (q - 1) / 2) + 1,
    "CCU": lambda p, q, G: (p * q - q * (q - 1) / 2) + p,
    "CUC": lambda p, q, G: (p * q - q * (q - 1) / 2) + G,
    "CUU": lambda p, q, G: (p * q - q * (q - 1) / 2) + G * p,
    "UCC": lambda p, q, G: G * (p * q - q * (q - 1) / 2) + 1,
    "UCU": lambda p, q, G: G * (p * q - q * (q - 1) / 2) + p,
    "UUC": lambda p, q, G: G * (p * q - q * (q - 1) / 2) + G,
    "UUU": lambda p, q, G: G * (p * q - q * (q - 1) / 2) + G * p,
    "CCUU": lambda p, q, G: (p * q - q * (q - 1) / 2) + G + (p - 1),
    "UCUU": lambda p, q, G: G * (p * q - q * (q - 1) / 2) + G + (p - 1),
    "CUCU": lambda p, q, G: (p * q - q * (q - 1) / 2) + 1 + G * (p - 1),
    "UUCU": lambda p, q, G: G * (p * q - q * (q - 1) / 2) + 1 + G * (p - 1),
}


@pytest.mark.parametrize("model", MODELS)
def test_parameter_count_is_the_published_one(model):
    for p, q, G in [(13, 1, 3), (13, 2, 3), (100, 3, 2), (6, 3, 1)]:
        assert n_parameters(model, G, p, q) == PUBLISHED[model](p, q, G) + (G - 1) + G * p


# -- every model --------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=MODELS)
def fitted(request):
    return fit(request.param)


def test_log_likelihood_never_falls(fitted):
    assert len(fitted.log_likelihood_trace_) >= 3
    assert (np.diff(fitted.log_likelihood_trace_) >= 0).all()
    assert fitted.log_likelihood_ == fitted.log_likelihood_trace_[-1]


def test_likelihood_is_that_of_the_p_x_p_covariances(fitted):
    parts = zip(fitted.weights_, fitted.means_, fitted.covariances_, strict=True)
    density = sum(weight * multivariate_normal(mean, cov).pdf(X) for weight, mean, cov in parts)
    assert fitted.log_likelihood_ == pytest.approx(np.log(density).sum(), abs=1e-7)
    np.testing.assert_allclose(fitted.score_samples(X), np.log(density), atol=1e-9)


def test_constraints_hold(fitted):
    model, noise = fitted.model, fitted.noise_variances_
    same = lambda array: np.allclose(array, array[:1], rtol=1e-10)  # noqa: E731
    assert same(fitted.loadings_) == (model[0] == "C")
    volume = np.exp(np.log(noise).mean(axis=1))
    shape = noise / volume[:, None]
    if len(model) == 4:
        assert same(shape) == (model[1] == "C") and same(volume) == (model[2] == "C")
    else:
        assert same(volume) == same(shape * volume[:, None]) == (model[1] == "C")
        assert np.allclose(shape, 1) == (model[2] == "C")


def test_it_is_a_stationary_point(fitted):
    """One more AECM step gains nothing, and the optimum beats nearby parameters of the model."""
    again = fit(fitted.model, init=fitted.predict_proba(X))
    assert again.log_likelihood_ == pytest.approx(fitted.log_likelihood_, abs=1e-3)


def test_nested_models_are_ordered():
    found = {model: fit(model).log_likelihood_ for model in MODELS}
    for small, large in [
        ("CCC", "CCU"), ("CCC", "CUC"), ("CCU", "CCUU"), ("CUC", "CCUU"), ("CCU", "CUCU"),
        ("CCUU", "CUU"), ("CUCU", "CUU"), ("UCC", "UCU"), ("UCC", "UUC"), ("UCU", "UCUU"),
        ("UUC", "UCUU"), ("UCU", "UUCU"), ("UCUU", "UUU"), ("UUCU", "UUU"), ("CUU", "UUU"),
    ]:  # fmt: skip
        assert found[small] < found[large] + 1e-6, (small, large)


def test_one_factor_analyzer_is_sklearns():
    """With one component, UUU is factor analysis; scikit-learn has it."""
    from sklearn.decomposition import FactorAnalysis

    peer = FactorAnalysis(2, tol=1e-12, max_iter=100_000, svd_method="lapack").fit(X)
    assert fit(init=np.zeros(len(X)), G=1).score(X) == pytest.approx(peer.score(X), abs=1e-6)


@pytest.mark.parametrize("model", ["CCC", "UUC"])
def test_isotropic_noise_is_probabilistic_principal_components(model):
    from sklearn.decomposition import PCA

    peer = PCA(2).fit(X)  # its score divides by n - 1
    sample = np.sqrt(len(X) / (len(X) - 1))
    ours = fit(model, init=np.zeros(len(X)), G=1, data=X * sample)
    covariance = ours.covariances_[0] / sample**2 * (len(X) / (len(X) - 1))
    np.testing.assert_allclose(covariance, peer.get_covariance(), rtol=1e-3, atol=1e-4)


# -- the structures of noise --------------------------------------------------------------------


def bounded_problem(seed=0, G=3, p=7):
    rng = np.random.default_rng(seed)
    residual = rng.gamma(0.5, 1.0, (G, p))
    residual[0, :2] = [0.0, 1e-9]
    floor = rng.uniform(0.05, 0.2, p)
    weight = rng.dirichlet(np.ones(G))

    def objective(log_psi):
        return weight @ (log_psi + residual * np.exp(-log_psi)).sum(axis=1)

    return residual, weight, floor, objective


@pytest.mark.parametrize("seed", range(4))
def test_volume_and_shapes_are_the_minimum_where_the_floor_binds(seed):
    """Against a general optimiser on the same convex problem."""
    residual, weight, floor, objective = bounded_problem(seed)
    G, p = residual.shape
    psi = noise.FreeShape().fit(residual, weight, floor, np.ones((G, p)))
    assert (psi >= floor * (1 - 1e-9)).all() and (psi <= floor * (1 + 1e-9)).any()
    volumes = np.log(psi).mean(axis=1)
    np.testing.assert_allclose(volumes, volumes[0], atol=1e-9)
    peer = minimize(
        lambda x: objective(x.reshape(G, p)),
        np.full(G * p, np.log(floor.max()) + 0.1),
        bounds=np.tile(np.log(floor), G)[:, None] + [0, 50],
        constraints={
            "type": "eq",
            "fun": lambda x: np.diff(x.reshape(G, p).mean(axis=1)),
        },
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    assert peer.success
    assert objective(np.log(psi)) < peer.fun + 1e-8


@pytest.mark.parametrize("seed", range(4))
def test_volumes_and_a_shape_descend_to_the_minimum_where_the_floor_binds(seed):
    residual, weight, floor, objective = bounded_problem(seed)
    G, p = residual.shape
    psi = np.ones((G, p))
    values = [objective(np.log(psi))]
    for _ in range(60):
        psi = noise.FreeVolume().fit(residual, weight, floor, psi)
        values.append(objective(np.log(psi)))
    assert (np.diff(values) <= 1e-12).all()
    assert (psi >= floor * (1 - 1e-9)).all() and (psi <= floor * (1 + 1e-9)).any()
    peer = minimize(
        lambda x: objective(x[:G, None] + x[G:]),
        np.r_[np.zeros(G), np.log(floor)],
        bounds=[*[(0, 50)] * G, *((low, 50) for low in np.log(floor))],
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 5000},
    )
    assert objective(np.log(psi)) == pytest.approx(peer.fun, abs=1e-6)


def eliminated(matrix, vector):
    """Determinant, and ``v' A^-1 v``, in exact fractions."""
    rows = [
        [*map(Fraction, row), Fraction(entry)] for row, entry in zip(matrix, vector, strict=True)
    ]
    determinant, distance = Fraction(1), Fraction(0)
    for k, pivot in enumerate(rows):
        determinant *= pivot[k]
        distance += pivot[-1] ** 2 / pivot[k]
        for row in rows[k + 1 :]:
            ratio = row[k] / pivot[k]
            row[:] = [entry - ratio * other for entry, other in zip(row, pivot, strict=True)]
    return determinant, distance


def test_squared_distances_stand_up_to_noise_of_almost_nothing():
    """Against exact fractions, at noise of 1e-10 of a column's variance."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((5, 4))
    problem = FactorAnalyzers(Sample(values, Units(np.zeros(4), 1.0)), 2, True, noise.FreeShape())
    psi, loadings = np.array([1e-10, 1.0, 0.5, 2.0]), rng.standard_normal((2, 4))
    parameters = Parameters(np.zeros(1), np.zeros((1, 4)), loadings[None], np.log(psi)[None])
    found = problem.log_joint(parameters)[:, 0]
    exact = [[Fraction(value) for value in column] for column in loadings.T]
    covariance = [[a[0] * b[0] + a[1] * b[1] for b in exact] for a in exact]
    for k, value in enumerate(psi):
        covariance[k][k] += Fraction(value)
    for row, value in zip(values, found, strict=True):
        determinant, distance = eliminated(covariance, row)
        expected = -0.5 * (float(distance) + np.log(float(determinant)) + 4 * np.log(2 * np.pi))
        assert value == pytest.approx(expected, rel=1e-8)


# -- robustness ---------------------------------------------------------------------------------


def awkward():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 8))
    yield "wide", rng.standard_normal((20, 60))
    yield "constant column", np.where(np.arange(8) == 2, 7.0, X)
    yield "equal columns", np.where(np.arange(8) == 2, X[:, :1], X)
    yield "equal rows", np.repeat(X[:4], 10, axis=0)
    yield "low rank", X[:, :1] @ np.ones((1, 8)) + 1e-9 * X
    yield "shifted", X + 1e6
    yield "tiny", X * 1e-9
    yield "huge", X * 1e9
    yield "two distinct rows, three components asked", np.repeat(X[:2], 10, axis=0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in awkward()])
def test_awkward_data_never_give_nan_or_a_runaway(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        best, table = search_parsimonious(data, 3, random_state=0, max_iter=60)
    assert len(table) == 36 and np.isfinite(table["log_likelihood"]).all()
    assert np.isfinite(best.means_).all() and (best.noise_variances_ > 0).all()
    # No density beyond what the floor on the noise allows.
    n, p = data.shape
    units = np.log(data.var(axis=0).mean() or 1.0)
    assert (table["log_likelihood"] < n * p * 0.5 * (np.log(1e12) - units)).all()


def test_results_move_with_the_data():
    plain, moved = fit(), fit(data=1e3 * X + 50)
    np.testing.assert_array_equal(plain.labels_, moved.labels_)
    jacobian = X.size * np.log(1e3)
    assert moved.log_likelihood_ == pytest.approx(plain.log_likelihood_ - jacobian, abs=1e-3)


def test_equal_means_leave_it_all_but_blind():
    """One draw of components that differ in spatial covariance only.

    Not a law: three factors leave more variance over in one component than in the other, and
    models with ``psi_g`` make something of it in some draws.
    """
    component = {"alpha": [1, -0.9, 0.3]}
    scenario = simulate.Scenario.from_config(
        "grid",
        {
            "locations": {"grid": [10, 10]},
            "n": 200,
            "weights": [0.5, 0.5],
            "components": [{**component, "beta": 2.5}, {**component, "beta": 6}],
        },
    )
    data = simulate.draw(scenario, 0, 1)
    best, table = search_parsimonious(data.X, 2, random_state=0)
    assert abs(adjusted_rand_score(data.labels, best.labels_)) < 0.05
    assert table["converged"].all() and not table["degenerate"].any()


# -- estimator ----------------------------------------------------------------------------------


def test_it_recovers_separated_components():
    fitted = ParsimoniousGaussianMixture(2, n_factors=2, random_state=0).fit(X)
    assert adjusted_rand_score(LABELS, fitted.labels_) == 1
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)
    np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1)
    assert fitted.fit_predict(X).shape == (len(X),)


def test_information_criteria():
    fitted = fit()
    m, n = fitted.n_parameters_, len(X)
    assert fitted.bic(X) == pytest.approx(-2 * fitted.log_likelihood_ + m * np.log(n))
    assert fitted.aic(X) == pytest.approx(-2 * fitted.log_likelihood_ + 2 * m)
    certainty = np.log(fitted.predict_proba(X).max(axis=1)).sum()
    assert fitted.icl(X) == pytest.approx(fitted.bic(X) - 2 * certainty)
    assert fitted.icl(X) > fitted.bic(X)


def test_starts():
    hard = fit(init=np.array(["b", "a"])[LABELS])
    soft = fit(init=np.eye(2)[1 - LABELS])
    assert hard.log_likelihood_ == soft.log_likelihood_
    np.testing.assert_array_equal(hard.labels_, 1 - LABELS)
    one = fit(init="random", n_init=1, random_state=5)
    many = fit(init="random", n_init=6, random_state=5)
    assert many.log_likelihood_ >= one.log_likelihood_ - 1e-6
    assert (
        fit(init=None, n_init=3, random_state=5).log_likelihood_
        == fit(init=None, n_init=3, random_state=5).log_likelihood_
    )
    fit(init="kmeans", random_state=np.random.default_rng(0))


def test_clone_keeps_all_settings():
    model = ParsimoniousGaussianMixture(
        3, n_factors=2, model="CUCU", init="random", n_init=4, tol=1e-3, max_iter=50, random_state=7
    )
    assert clone(model).get_params() == model.get_params()


def test_it_says_when_it_has_not_converged():
    with pytest.warns(ConvergenceWarning, match=r"did not converge in 5 iterations \(max_iter=5\)"):
        fitted = fit(max_iter=5)
    assert not fitted.converged_ and fitted.n_iter_ == 5


def test_it_says_when_a_component_is_degenerate():
    init = np.zeros(len(X))
    init[0] = 1
    far = X.copy()
    far[0] += 100
    with pytest.warns(ConvergenceWarning, match=r"component 2 \(labels_ 1\): too few rows"):
        fitted = fit(init=init, data=far)
    assert fitted.degenerate_components_ == [1]


def test_search_prefers_sound_fits():
    far = X.copy()
    far[0] += 100
    init = np.zeros(len(X))
    init[0] = 1
    _, table = search_parsimonious(far, 2, models=["UUU", "CCC"], n_factors=[1], init=init)
    assert table["degenerate"].all()
    best, table = search_parsimonious(far, 2, random_state=0, init=LABELS)
    assert not best.degenerate_components_
    sound = table[~table["degenerate"]]
    assert best.bic(far) == pytest.approx(sound["bic"].min())


def test_search_equals_single_fits():
    _, table = search_parsimonious(X, 2, init=LABELS)
    assert len(table) == 36
    for row in table.itertuples():
        single = fit(row.model, row.n_factors)
        assert single.log_likelihood_ == pytest.approx(row.log_likelihood, abs=0.05)
        assert single.bic(X) == pytest.approx(row.bic, abs=0.1)


def test_plug_in_reports_what_it_chose():
    method = methods.get("pgmm")
    data = Dataset(
        X=X,
        coordinates=np.arange(9.0)[:, None],
        labels=LABELS,
        label_names=("a", "b"),
        shape=None,
        description="two factor analyzers",
        source="drawn here",
        truth=None,
    )
    assert method.supports(data, 2) is None
    result = method.fit(data, 2, np.random.default_rng(0))
    best, table = search_parsimonious(X, 2, random_state=np.random.default_rng(0))
    assert result.extras == {
        "model": best.model,
        "n_factors": best.n_factors,
        "models_fitted": 36,
        "models_degenerate": int(table["degenerate"].sum()),
    }
    assert (result.log_likelihood, result.n_parameters) == (
        best.log_likelihood_,
        best.n_parameters_,
    )
    narrow = replace(data, X=X[:, :2], coordinates=data.coordinates[:2])
    assert "identified from 3 locations on" in method.supports(narrow, 2)


# -- bad input ----------------------------------------------------------------------------------


def test_largest_number_of_factors_is_ledermanns():
    assert [largest_n_factors(p) for p in (1, 2, 3, 4, 5, 6, 13)] == [0, 0, 1, 1, 2, 3, 8]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"q": 6}, r"n_factors=6 is too large for X with 9 columns: .* q <= 5"),
        ({"q": 9}, "n_factors=9 is too large"),
        ({"q": 0}, "n_factors must be an integer of at least 1, got 0"),
        ({"G": 120, "init": None}, "X has 120 rows .* n_components=120 needs more"),
        ({"G": 0}, "n_components must be an integer of at least 1"),
        ({"model": "UUX"}, "model must be one of 'CCC', .* got 'UUX'"),
        ({"init": "means"}, "init must be one of 'kmeans', 'random', got 'means'"),
        ({"init": LABELS[:-1]}, r"init must be .* got an array of shape \(119,\)"),
        ({"init": np.zeros(120)}, "init has 1 distinct labels, but n_components=2"),
        ({"init": np.full((120, 2), 0.4)}, "init row 0: responsibilities must .* sum to 1"),
        ({"tol": 0}, "tol must be a positive number"),
        ({"max_iter": 1.5}, "max_iter must be an integer"),
        ({"n_init": 0}, "n_init must be an integer"),
        ({"random_state": "x"}, "random_state must be"),
        ({"data": np.where(np.arange(9) == 4, np.nan, X)}, "X contains NaN at row 0, column 4"),
        ({"data": X[0]}, "1D array"),
        ({"data": np.full((20_000, 9), 0.1)}, "all rows are the same; there is nothing to cluster"),
        ({"data": np.where(X[3, 2] == X, np.inf, X)}, "X contains infinity at row 3, column 2"),
    ],
)
def test_bad_input_is_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        fit(**{"init": None, **settings})


def test_search_refuses_what_leaves_nothing():
    with pytest.raises(ValueError, match="n_factors=4 is too large"):
        search_parsimonious(X[:, :5], 2, n_factors=[4])
    with pytest.raises(ValueError, match="nothing to fit"):
        search_parsimonious(X, 2, models=[])


def test_arguments_after_the_components_are_named():
    with pytest.raises(TypeError, match="positional"):
        ParsimoniousGaussianMixture(2, 2)


def test_rows_of_another_width_are_refused():
    with pytest.raises(ValueError, match="8 features"):
        fit().predict(X[:, :8])
    with pytest.raises(NotFittedError):
        ParsimoniousGaussianMixture(2, n_factors=2).predict(X)


# -- cost ---------------------------------------------------------------------------------------


def test_time_per_iteration_is_at_most_linear_in_p():
    widths = np.array([50, 100, 200, 400, 800])
    seconds = []
    for p in widths:
        data, labels = factor_data(200, p)
        runs = []
        for _ in range(5):
            start = process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                fitted = fit("CUU", init=labels, data=data, max_iter=30, tol=1e-12)
            runs.append((process_time() - start) / fitted.n_iter_)
        seconds.append(min(runs))
    exponent = np.polyfit(np.log(widths), np.log(seconds), 1)[0]
    assert exponent < 1.1, dict(zip(widths.tolist(), seconds, strict=True))


def test_the_whole_search_is_fast():
    data, _ = factor_data(200, 100)
    runs = []
    for _ in range(3):
        start = process_time()
        search_parsimonious(data, 2, random_state=0)
        runs.append(process_time() - start)
    assert min(runs) < 4  # seconds; the R package took about 16

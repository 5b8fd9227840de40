"""Several variables at each location together with whatever else a fit can have."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, multivariate_t

import spatgmm
from spatgmm import SpatialGaussianMixture, plot
from spatgmm.common.agreement import ari
from spatgmm.common.locations import grid_coordinates
from spatgmm.fitting import memory
from spatgmm.fitting.diagnostics import DiagnosticsWarning
from spatgmm.fitting.outlying import OutlyingMapsWarning

SHAPE = (4, 3)
GRID = grid_coordinates(SHAPE)
COMPONENTS = [((4.0, -3.6, 1.6), 2.5), ((6.0, -4.0, 2.4), 6.0)]
PSI = [np.array([[1.2, 0.6], [0.6, 0.8]]), np.array([[0.9, -0.5], [-0.5, 1.1]])]
PLAIN = {"coordinates": SHAPE, "n_variables": 2, "random_state": 0}


@pytest.fixture(scope="module")
def draw(plain):
    def maps(n=80, seed=0):
        """Maps (n, p, 2) and their labels."""
        rng = np.random.default_rng(seed)
        labels = rng.integers(2, size=n)
        X = np.empty((n, len(GRID), 2))
        for i, g in enumerate(labels):
            (alpha, beta), between = COMPONENTS[g], PSI[g]
            root = np.linalg.cholesky(plain.covariance(GRID, alpha, beta))
            noise = rng.standard_normal(X.shape[1:])
            X[i] = g + root @ noise @ np.linalg.cholesky(between).T
        return X, labels

    return maps


def covariance(model, g):
    return np.kron(model.covariances_[g], model.variable_covariances_[g])


def log_densities(model, rows, g, Xi=None):
    """Of maps without gaps under a component's tails, by scipy."""
    mean, Xi = model.means_[g].ravel(), covariance(model, g) if Xi is None else Xi
    values = model.tail_parameters_.iloc[g]
    if model.tails == "t":
        return multivariate_t(mean, Xi, df=values["df"]).logpdf(rows)
    good = np.log(values["eta"]) + multivariate_normal(mean, Xi).logpdf(rows)
    wide = multivariate_normal(mean, values["lambda"] * Xi).logpdf(rows)
    return np.logaddexp(good, np.log1p(-values["eta"]) + wide)


@pytest.mark.parametrize("tails", ["t", "contaminated"])
def test_heavy_tails(draw, tails):
    X, labels = draw()
    X[:3] = 1 + 5 * (X[:3] - 1)
    model = SpatialGaussianMixture(2, tails=tails, **PLAIN).fit(X)
    assert ari(labels[3:], model.labels_[3:]) > 0.75
    assert set(np.flatnonzero(model.outlier_probability_ > 0.5)) >= {0, 1, 2}
    assert (model.outlier_probability_[3:] > 0.5).mean() < 0.05
    rows = X.reshape(len(X), -1)
    joint = [np.log(w) + log_densities(model, rows, g) for g, w in enumerate(model.weights_)]
    assert model.log_likelihood_ == pytest.approx(logsumexp(joint, axis=0).sum(), rel=1e-10)
    trace = model.log_likelihood_trace_
    assert (np.diff(trace) > -1e-9 * abs(trace[-1])).all()


@pytest.mark.parametrize("tails", ["t", "contaminated"])
def test_standard_errors_under_heavy_tails_are_those_of_a_numerical_hessian(draw, plain, tails):
    X, labels = draw(300)
    X = X[labels == 0]
    X[:3] *= 4
    model = SpatialGaussianMixture(1, **PLAIN, mean="zero", tails=tails, tol=1e-9).fit(X)
    rows, psi = X.reshape(len(X), -1), model.variable_covariances_[0]
    at = np.array([*model.alpha_[0], model.beta_[0], psi[0, 0], psi[1, 0]])

    def value(parameters):
        *alpha, beta, first, between = parameters
        Xi = plain.covariance(GRID, alpha, beta)
        whole = np.kron(Xi, [[first, between], [between, 2 - first]])
        return log_densities(model, rows, 0, whole).sum()

    steps = 1e-3 * np.maximum(np.abs(at), 0.1) * np.eye(6)
    hessian = [
        [
            (value(at + s + t) - value(at + s - t) - value(at - s + t) + value(at - s - t))
            / (4 * s.sum() * t.sum())
            for t in steps
        ]
        for s in steps
    ]
    expected = np.sqrt(np.diag(np.linalg.inv(-np.array(hessian))))
    found = model.standard_errors(X).set_index("parameter")["std_error"]
    names = ["alpha1", "alpha2", "alpha3", "beta", "psi[0,0]", "psi[1,0]"]
    np.testing.assert_allclose(found[names], expected, rtol=5e-3)


@pytest.mark.parametrize("tails", ["t", "contaminated"])
def test_heavy_tails_with_missing_values(draw, tails):
    X, labels = draw()
    X[:3] = 1 + 5 * (X[:3] - 1)
    gaps = np.random.default_rng(1).random(X.shape) < 0.1
    X[gaps] = np.nan
    options = PLAIN | {"tails": tails, "missing": "em", "init": labels}
    model = SpatialGaussianMixture(2, **options).fit(X)
    assert set(np.flatnonzero(model.outlier_probability_ > 0.5)) >= {0, 1, 2}
    trace = model.log_likelihood_trace_
    assert (np.diff(trace) > -1e-9 * abs(trace[-1])).all()
    assert np.isfinite(model.standard_errors(X).query("note == ''")["std_error"]).all()
    np.testing.assert_allclose(model.impute(X)[~gaps], X[~gaps], atol=1e-9)


def test_a_map_that_is_broken_in_a_small_variable_is_named(draw):
    X, _ = draw()
    X[5, :, 1] += 100
    X[..., 0] *= 1e4
    with pytest.warns(OutlyingMapsWarning, match="row 5"):
        model = SpatialGaussianMixture(2, tails="t", **PLAIN).fit(X)
    assert model.outlier_probability_[5] > 0.99


@pytest.mark.parametrize("options", [{"variance": "location"}, {"solver": "gls"}])
def test_what_cannot_be_together_is_refused_by_name(draw, options):
    (name,) = options
    with pytest.raises(ValueError, match=name):
        SpatialGaussianMixture(2, **PLAIN | options).fit(draw()[0])


def test_known_labels_and_weights(draw):
    X, labels = draw()
    known = np.where(np.arange(len(X)) < 20, 1 - labels, -1)
    model = SpatialGaussianMixture(2, **PLAIN).fit(X, known_labels=known)
    assert (model.labels_[:20] == 1 - labels[:20]).all()
    assert ari(labels, model.labels_) > 0.9

    twice = SpatialGaussianMixture(2, **PLAIN, init=labels).fit(
        X, sample_weight=np.where(np.arange(len(X)) < 10, 2.0, 1.0)
    )
    rows = np.r_[:10, : len(X)]
    copied = SpatialGaussianMixture(2, **PLAIN, init=labels[rows]).fit(X[rows])
    np.testing.assert_allclose(twice.variable_covariances_, copied.variable_covariances_, 1e-4)
    assert twice.log_likelihood_ == pytest.approx(copied.log_likelihood_, rel=1e-7)
    weights = np.where(np.arange(len(X)) < 10, 2.0, 1.0)
    errors = [
        one["std_error"].to_numpy()
        for one in (twice.standard_errors(X), copied.standard_errors(X[rows]))
    ]
    np.testing.assert_allclose(*errors, rtol=1e-2)

    absent = SpatialGaussianMixture(2, **PLAIN, init=labels).fit(X, sample_weight=weights > 1.5)
    assert len(absent.labels_) == len(X)


@pytest.mark.parametrize(
    "options",
    [
        {"space": "sphere", "coordinates": GRID * 10},
        {"period": (4, None)},
        {"metric": "additive"},
        {"fixed": {"beta": 0.5}},
        {"tails": "t", "mean": "constant"},
    ],
    ids=lambda options: "-".join(options),
)
@pytest.mark.parametrize("likelihood", ["exact", "vecchia"])
def test_places_metrics_and_held_parameters(draw, options, likelihood, tmp_path):
    X, labels = draw()
    model = SpatialGaussianMixture(
        2, **PLAIN | {"decay": "exponential", "likelihood": likelihood, "init": labels} | options
    ).fit(X)
    joint = np.empty((len(X), 2))
    rows = X.reshape(len(X), -1)
    if likelihood == "exact" and "tails" not in options:
        for g, weight in enumerate(model.weights_):
            normal = multivariate_normal(model.means_[g].ravel(), covariance(model, g))
            joint[:, g] = np.log(weight) + normal.logpdf(rows)
        total = logsumexp(joint, axis=1).sum()
        assert model.log_likelihood_ == pytest.approx(total, rel=1e-9)
    if "fixed" in options:
        np.testing.assert_array_equal(model.beta_, 0.5)
        free = SpatialGaussianMixture(2, **PLAIN, decay="exponential", init=labels).fit(X)
        assert free.n_parameters_ == model.n_parameters_ + 2
    model.save(tmp_path / "model.npz")
    again = spatgmm.load(tmp_path / "model.npz")
    np.testing.assert_allclose(again.score_samples(X), model.score_samples(X), rtol=1e-9)
    np.testing.assert_allclose(again.means_, model.means_)


def test_a_start_from_given_parameters(draw):
    X, labels = draw()
    fitted = SpatialGaussianMixture(2, **PLAIN, init=labels).fit(X)
    given = {
        "weights": fitted.weights_,
        "means": fitted.means_,
        "alpha": fitted.alpha_,
        "shape": fitted.shape_,
        "variable_covariances": fitted.variable_covariances_,
    }
    again = SpatialGaussianMixture(2, **PLAIN, init=given).fit(X)
    assert again.log_likelihood_trace_[0] == pytest.approx(fitted.log_likelihood_, rel=1e-10)
    by_means = SpatialGaussianMixture(2, **PLAIN, init={"means": fitted.means_}).fit(X)
    assert np.isfinite(by_means.log_likelihood_)
    without = {name: given[name] for name in ("alpha", "shape")}
    with pytest.raises(ValueError, match="variable_covariances"):
        SpatialGaussianMixture(2, **PLAIN, init=without).fit(X)
    twice = given | {"variable_covariances": 2 * fitted.variable_covariances_}
    with pytest.raises(ValueError, match="mean diagonal 1"):
        SpatialGaussianMixture(2, **PLAIN, init=twice).fit(X)


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "missing"])
def test_interpolation_is_the_conditional_expectation_of_all_values(draw, plain, missing):
    X, _ = draw(60)
    if missing:
        X[::3, 4, 1] = np.nan
        X[1::3, 7] = np.nan
    wanted = np.array([[0.5, 1.5], [2.2, 0.3], [1.0, 2.0]])
    model = SpatialGaussianMixture(
        1, **PLAIN, mean="zero", missing="em" if missing else "error"
    ).fit(X)
    found = model.interpolate(X, wanted)
    assert found.shape == (60, 3, 2)
    assert np.isfinite(found).all()
    at_location = model.impute(X) if missing else X
    np.testing.assert_allclose(found[:, 2], at_location[:, 5], rtol=1e-6, atol=1e-8)
    # Brute force: all values of the fit and the two other places in one matrix.
    a, beta = model.alpha_[0], model.beta_[0]
    unit = np.sqrt(((GRID[:, None] - GRID) ** 2).sum(axis=2)).max() / 2
    places = np.vstack([GRID, wanted[:2]])
    delta = np.sqrt(((places[:, None] - places) ** 2).sum(axis=2)) / unit
    Xi = a[0] + a[1] * plain.decay(delta, beta) + a[2] * np.eye(len(places))
    whole = np.kron(Xi, model.variable_covariances_[0])
    for i in (0, 1, 2):
        row = X[i].ravel()
        seen = np.flatnonzero(~np.isnan(row))
        out = np.arange(len(row), len(whole))
        expected = whole[np.ix_(out, seen)] @ np.linalg.solve(whole[np.ix_(seen, seen)], row[seen])
        np.testing.assert_allclose(found[i, :2].ravel(), expected, rtol=1e-6, atol=1e-8)


def test_diagnostics_see_each_variable(draw):
    X, labels = draw()
    model = SpatialGaussianMixture(2, **PLAIN, init=labels).fit(X)
    found = model.diagnostics(X, n_simulations=99)
    assert found.flagged == []
    assert len(found.distances) == len(X)
    assert (found.distances["n_observed"] == 24).all()
    assert set(found.variances["location"]) == set(range(12))
    rough = X.copy()
    rough[:, 5] *= 3
    with pytest.warns(DiagnosticsWarning, match="variance"):
        SpatialGaussianMixture(2, **PLAIN, init=labels).fit(rough).diagnostics(rough, 99)


def test_bootstrap(draw):
    X, labels = draw()
    model = SpatialGaussianMixture(2, **PLAIN, init=labels, tol=1e-2).fit(X)
    table = model.standard_errors(X, method="bootstrap", n_bootstrap=8)
    assert {"psi[0,0]", "psi[1,0]", "psi[1,1]"} < set(table["parameter"])
    of_psi = table[table["parameter"].str.startswith("psi")]
    near = model.standard_errors(X).set_index(["component", "parameter"])["std_error"]
    ratio = of_psi.set_index(["component", "parameter"])["std_error"] / near
    assert ((ratio.dropna() > 0.3) & (ratio.dropna() < 3)).all() and len(ratio.dropna()) == 6


def test_a_test_of_components(draw):
    X, _ = draw(60)
    found = spatgmm.component_test(
        X.reshape(-1, *SHAPE, 2), 1, n_variables=2, n_init=1, n_bootstrap=19, tol=1e-2
    )
    assert found.p_value < 0.1


def test_pictures_have_a_panel_for_each_variable(draw):
    X, labels = draw()
    model = SpatialGaussianMixture(2, **PLAIN, init=labels).fit(X)
    ax = plot.maps(model)
    panels = [one for one in ax.child_axes if one.images]
    assert len(panels) == 4
    plot.correlogram(model, X)
    plot.correlogram(model)
    plot.standard_errors(model, X)
    line = SpatialGaussianMixture(2, n_variables=2, init=labels, coordinates=(12,)).fit(X)
    assert len(plot.maps(line).child_axes) == 2
    plt.close("all")


def test_memory_counts_each_variable(draw, monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "check", lambda _, n_bytes, n, p: asked.append((n_bytes, n, p)))
    X, labels = draw()
    SpatialGaussianMixture(2, **PLAIN, init=labels).fit(X)
    one = SpatialGaussianMixture(2, coordinates=SHAPE, init=np.tile(labels, 2), random_state=0)
    one.fit(np.concatenate([X[..., 0], X[..., 1]]))
    (together, n, p), (alone, *_) = asked
    assert (n, p) == (len(X), 12)
    assert together == alone

"""Several variables at each location, against dense matrices, numbers and invariances."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import spatgmm
from spatgmm import SpatialGaussianMixture
from spatgmm.common.agreement import ari
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay, metric, variables
from spatgmm.covariance.family import theta_from_alpha
from spatgmm.fitting import engine
from spatgmm.fitting.variables import VariableEngine

PSI = (
    np.array([[1.0, 0.5, 0.2], [0.5, 1.2, -0.1], [0.2, -0.1, 0.8]]),
    np.array([[1.0, -0.3, 0.0], [-0.3, 0.8, 0.2], [0.0, 0.2, 1.2]]),
)
SHAPE = (5, 4)
GRID = grid_coordinates(SHAPE)
IRREGULAR = np.random.default_rng(5).uniform(size=(12, 2))
COMPONENTS = [((4.0, -3.6, 1.6), 2.5), ((6.0, -4.0, 2.4), 6.0)]


@pytest.fixture(scope="module")
def draw(plain):
    def maps(n, coordinates=GRID, components=COMPONENTS, psi=PSI, seed=0, mean=0.0):
        """Maps (n, p, q) and their labels."""
        rng = np.random.default_rng(seed)
        labels = rng.integers(len(components), size=n)
        X = np.empty((n, len(coordinates), len(psi[0])))
        for g, ((alpha, beta), between) in enumerate(zip(components, psi, strict=True)):
            root = np.linalg.cholesky(plain.covariance(coordinates, alpha, beta))
            rows = np.flatnonzero(labels == g)
            noise = rng.standard_normal((len(rows), *X.shape[1:]))
            X[rows] = g * mean + root @ noise @ np.linalg.cholesky(between).T
        return X, labels

    return maps


def dense_joint(model, X):
    """``log(pi_g) + log N`` with matrices of all values of a map, NaN left out."""
    flat = X.reshape(len(X), -1)
    joint = np.empty((len(X), len(model.weights_)))
    for g, weight in enumerate(model.weights_):
        mean = model.means_[g].ravel()
        covariance = np.kron(model.covariances_[g], model.variable_covariances_[g])
        for i, row in enumerate(flat):
            there = ~np.isnan(row)
            normal = multivariate_normal(mean[there], covariance[np.ix_(there, there)])
            joint[i, g] = np.log(weight) + normal.logpdf(row[there])
    return joint


@pytest.mark.parametrize("coordinates", [GRID, IRREGULAR], ids=["grid", "irregular"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"variables": "diagonal", "mean": "constant"},
        {"variables": "factor", "n_factors": 1, "mean": "smooth"},
        {"mean": "common", "sharing": "beta", "metric": "axes"},
        {"mean": "zero"},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_likelihood_is_that_of_dense_matrices(draw, coordinates, options):
    X, labels = draw(60, coordinates)
    X *= [1.0, 20.0, 0.1]  # temperature, rain and humidity
    model = SpatialGaussianMixture(
        2, coordinates=coordinates, n_variables=3, init=labels, tol=1e-3, **options
    ).fit(X)
    expected = dense_joint(model, X)
    total = logsumexp(expected, axis=1).sum()
    assert model.log_likelihood_ == pytest.approx(total, rel=1e-11)
    np.testing.assert_allclose(model.score_samples(X), logsumexp(expected, axis=1), rtol=1e-9)
    np.testing.assert_allclose(
        np.trace(model.variable_covariances_, axis1=1, axis2=2) / 3, 1, rtol=1e-12
    )
    assert (np.diff(model.log_likelihood_trace_) > -1e-9 * abs(total)).all()


def test_vecchia_with_all_neighbours_is_exact_and_cosines_are_near(draw):
    X, labels = draw(60)
    options = {"coordinates": SHAPE, "n_variables": 3, "init": labels, "random_state": 0}
    exact = SpatialGaussianMixture(2, **options).fit(X)
    vecchia = SpatialGaussianMixture(2, likelihood="vecchia", n_neighbors=19, **options).fit(X)
    assert vecchia.log_likelihood_ == pytest.approx(exact.log_likelihood_, abs=1e-2)
    assert exact.log_likelihood(X, "vecchia") == pytest.approx(exact.log_likelihood_, rel=1e-3)
    cosine = SpatialGaussianMixture(2, likelihood="cosine", **options).fit(X)
    np.testing.assert_allclose(cosine.variable_covariances_, exact.variable_covariances_, atol=0.05)


@pytest.mark.parametrize("likelihood", ["exact", "cosine", "vecchia"])
def test_log_likelihood_never_falls_and_finds_the_groups(draw, likelihood):
    X, labels = draw(80, seed=3)
    model = SpatialGaussianMixture(
        2, coordinates=SHAPE, n_variables=3, likelihood=likelihood, random_state=0
    ).fit(X)
    assert ari(labels, model.labels_) > 0.9
    trace = model.log_likelihood_trace_
    assert (np.diff(trace) > -1e-9 * abs(trace[-1])).all()


def test_groups_that_differ_in_their_variables_alone_are_found(draw):
    X, labels = draw(150, components=[COMPONENTS[0]] * 2, seed=4)
    model = SpatialGaussianMixture(2, coordinates=SHAPE, n_variables=3, random_state=0).fit(X)
    assert ari(labels, model.labels_) > 0.9


def test_one_variable_is_the_same_model(draw):
    X, _ = draw(80, psi=[np.eye(1)] * 2)
    X = X[:, :, 0]
    model = SpatialGaussianMixture(2, coordinates=SHAPE, random_state=0).fit(X)
    carried = VariableEngine(model._engine, variables.Full(np.ones(1)))
    plain, wrapped = model._engine.maps(X), carried.maps(X)
    mean, covariance = model._mixture.means[0], model._mixture.covariances[0]
    same = carried.family.at(covariance.theta)
    np.testing.assert_array_equal(
        wrapped.log_density(mean, same), plain.log_density(mean, covariance)
    )
    weights = np.random.default_rng(0).uniform(size=80)
    moments = wrapped.moments(weights, mean)
    assert same.objective(moments) == pytest.approx(
        covariance.objective(plain.moments(weights, mean)), rel=1e-12
    )
    assert model.variable_covariances_.shape == (2, 1, 1)


def test_many_variables_with_few_factors(draw):
    rng = np.random.default_rng(1)
    psi = [root @ root.T + 0.5 * np.eye(9) for root in rng.standard_normal((2, 9, 2))]
    X, labels = draw(60, psi=psi)
    model = SpatialGaussianMixture(
        2, coordinates=SHAPE, n_variables=9, variables="factor", n_factors=2, random_state=0
    ).fit(X)
    assert ari(labels, model.labels_) == 1
    # One for the weight; means; alpha and beta; loadings but for a rotation, own variances, scale.
    assert model.n_parameters_ == 1 + 2 * (20 * 9 + 4 + (9 * 2 - 1) + 9 - 1)
    for g, matrix in enumerate(model.variable_covariances_):
        true = psi[labels[model.labels_ == g][0]]
        np.testing.assert_allclose(matrix, true * 9 / np.trace(true), atol=0.15)
    assert np.isfinite(model.standard_errors(X)["std_error"]).all()


# -- invariances ------------------------------------------------------------------------------


def test_units_of_variables_do_not_matter(draw):
    X, labels = draw(60)
    options = {"coordinates": SHAPE, "n_variables": 3, "init": labels, "tol": 1e-8}
    one = SpatialGaussianMixture(2, **options).fit(X)
    units = np.array([1.0, 1e3, 1e-2])
    other = SpatialGaussianMixture(2, **options).fit(X * units + [5.0, -7.0, 0.1])
    logs = X.shape[0] * X.shape[1] * np.log(units).sum()
    assert other.log_likelihood_ == pytest.approx(one.log_likelihood_ - logs, abs=1e-4)

    def whole(model):
        """What does not depend on where a common factor stands."""
        return np.einsum("gjk,guv->gjkuv", model.covariances_, model.variable_covariances_)

    np.testing.assert_allclose(
        whole(other), whole(one) * np.outer(units, units), rtol=1e-4, atol=1e-6
    )


def test_order_of_variables_does_not_matter(draw):
    X, labels = draw(60)
    options = {"coordinates": SHAPE, "n_variables": 3, "init": labels}
    one = SpatialGaussianMixture(2, **options).fit(X)
    order = [2, 0, 1]
    other = SpatialGaussianMixture(2, **options).fit(X[:, :, order])
    assert other.log_likelihood_ == pytest.approx(one.log_likelihood_, abs=1e-3)
    moved = one.variable_covariances_[:, order][:, :, order]
    np.testing.assert_allclose(other.variable_covariances_, moved, atol=1e-4)


def test_forms_of_the_same_maps(draw):
    X, labels = draw(60)
    options = {"coordinates": SHAPE, "n_variables": 3, "init": labels}
    one = SpatialGaussianMixture(2, **options).fit(X)
    for form in (X.reshape(60, *SHAPE, 3), X.reshape(60, -1)):
        other = SpatialGaussianMixture(2, **options).fit(form)
        assert other.log_likelihood_ == one.log_likelihood_
        np.testing.assert_array_equal(other.predict(X), one.predict(form))
    assert one.means_.shape == (2, 20, 3)
    assert one.covariances_.shape == (2, 20, 20)


# -- covariances of variables -----------------------------------------------------------------


def kinds(q):
    shares = np.arange(1.0, q + 1) / np.arange(1.0, q + 1).sum()
    return [variables.Full(shares), variables.Diagonal(shares), variables.Factor(shares, 2)]


@pytest.mark.parametrize("kind", kinds(5), ids=lambda kind: kind.name)
def test_covariances_of_variables(kind):
    rng = np.random.default_rng(0)
    root = rng.standard_normal((5, 5))
    scatter = root @ root.T + 0.5 * np.eye(5)
    psi = kind.fitted(scatter, None)

    def objective(psi):
        return psi.log_det + np.vdot(psi.inverse, scatter)

    # It is a minimum among its neighbours, as many-dimensional as it is said to be.
    for _ in range(20):
        psi = kind.fitted(scatter, psi)
    flat = kind.flat(psi)
    np.testing.assert_allclose(kind.from_flat(flat).matrix, psi.matrix, atol=1e-10)
    for _ in range(20):
        trial = kind.from_flat(flat + 1e-3 * rng.standard_normal(flat.size))
        assert objective(trial) > objective(psi) - 1e-9
    psi = kind.scaled(psi)
    tangents = kind.tangents(psi)
    assert len(tangents) == kind.n_parameters
    np.testing.assert_allclose(np.einsum("kuu,u->k", tangents, kind.shares), 0, atol=1e-12)
    assert kind.scale(kind.scaled(psi)) == pytest.approx(1)


@pytest.mark.parametrize("kind", kinds(3), ids=lambda kind: kind.name)
def test_score_is_the_derivative_of_the_objective(draw, kind):
    X, _ = draw(30)
    one = engine.choose(
        "exact",
        GRID,
        decay.get("sigmoid"),
        metric.get("isotropic"),
        complete=True,
        alike=True,
        n_neighbors=60,
    )
    carried = VariableEngine(one, kind)
    maps = carried.maps(X.reshape(30, -1))
    weights = np.random.default_rng(1).uniform(size=30)
    moments = maps.moments(weights, maps.mean(weights))
    family = carried.family.having(kind.scaled(kind.fitted(PSI[0], None)))
    theta = theta_from_alpha((4.0, -3.6, 1.6), 2.5)
    at = family.at(theta)
    score, information = at.score_and_information(moments)
    for k, direction in enumerate(1e-4 * np.eye(4)):
        values = [family.at(family.moved(theta, s * direction)).objective(moments) for s in (1, -1)]
        assert score[k] == pytest.approx((values[1] - values[0]) / 4e-4, rel=1e-5)
    # An M-step's Psi does not raise the objective, nor does its scale.
    better = family.improved(at, moments)
    assert better.objective(moments) <= at.objective(moments)
    assert kind.scale(better.psi) == pytest.approx(1)
    residuals = [block - m for block, m in zip(maps.blocks, maps.mean(weights), strict=True)]
    distance = sum((r * s).sum(axis=1) for r, s in zip(residuals, at.solve(residuals), strict=True))
    np.testing.assert_allclose(at.mahalanobis(residuals), distance)
    mean_distance = weights @ distance / weights.sum()
    assert at.objective(moments) == pytest.approx(at.log_det + mean_distance)
    assert np.linalg.eigvalsh(information).min() > 0


# -- missing values, saving, sampling ---------------------------------------------------------


@pytest.fixture(scope="module")
def gaps(draw):
    """Maps where single values are missing, and whole locations."""
    X, labels = draw(60, seed=6)
    whole = X.copy()
    rng = np.random.default_rng(6)
    X[rng.random(X.shape) < 0.05] = np.nan
    X[rng.random(X.shape[:2]) < 0.05] = np.nan
    model = SpatialGaussianMixture(
        2, coordinates=SHAPE, n_variables=3, missing="em", init=labels, tol=1e-6, max_iter=2000
    ).fit(X)
    return X, whole, model


def test_missing_values_have_the_likelihood_of_the_others(gaps):
    X, _, model = gaps
    expected = logsumexp(dense_joint(model, X), axis=1)
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-9)
    assert model.log_likelihood_ == pytest.approx(expected.sum(), rel=1e-10)
    assert (np.diff(model.log_likelihood_trace_) > -1e-9 * abs(expected.sum())).all()


def test_imputed_values_are_conditional_expectations(gaps):
    X, whole, model = gaps
    filled = model.impute(X)
    there = ~np.isnan(X)
    np.testing.assert_allclose(filled[there], X[there])
    i = np.flatnonzero(~there.all(axis=(1, 2)))[0]
    row, seen = X[i].ravel(), there[i].ravel()
    expected = 0.0
    for g, share in enumerate(model.predict_proba(X[i : i + 1])[0]):
        S = np.kron(model.covariances_[g], model.variable_covariances_[g])
        mean = model.means_[g].ravel()
        pulled = np.linalg.solve(S[np.ix_(seen, seen)], row[seen] - mean[seen])
        expected += share * (mean + S[:, seen] @ pulled)
    np.testing.assert_allclose(filled[i].ravel()[~seen], expected[~seen], rtol=1e-6)
    error = np.abs(filled - whole)[~there].mean()
    assert error < np.abs(np.nanmean(X, axis=0) - whole)[~there].mean()


def test_missing_values_are_refused_where_they_cannot_be_carried(gaps):
    X, _, _ = gaps
    options = {"coordinates": SHAPE, "n_variables": 3, "missing": "em"}
    with pytest.raises(
        ValueError, match="missing='em' with n_variables=3 needs likelihood='exact'"
    ):
        SpatialGaussianMixture(2, likelihood="vecchia", **options).fit(X)
    X = X.copy()
    X[:, 7, 1] = np.nan
    with pytest.raises(ValueError, match="no map has a value of variable 1 at location 7"):
        SpatialGaussianMixture(2, **options).fit(X)


def test_locations_that_no_map_has_are_left_out(draw):
    X, labels = draw(60)
    X[:, 3] = np.nan
    options = {"n_variables": 3, "missing": "em", "init": labels}
    model = SpatialGaussianMixture(2, coordinates=GRID, **options).fit(X)
    kept = np.delete(np.arange(20), 3)
    other = SpatialGaussianMixture(2, coordinates=GRID[kept], **options).fit(X[:, kept])
    assert model.log_likelihood_ == other.log_likelihood_
    assert np.isnan(model.means_[:, 3]).all()
    assert np.isnan(model.covariances_[:, 3]).all()
    np.testing.assert_allclose(model.impute(X)[:, kept], X[:, kept])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"variables": "factor", "n_factors": 2, "likelihood": "cosine"},
        {"likelihood": "vecchia"},
    ],
    ids=["full", "factor", "vecchia"],
)
def test_saved_and_loaded(draw, tmp_path, options):
    X, labels = draw(60)
    model = SpatialGaussianMixture(2, coordinates=SHAPE, n_variables=3, init=labels, **options)
    model.fit(X * [1.0, 10.0, 3.0]).save(tmp_path / "model.npz")
    again = spatgmm.load(tmp_path / "model.npz")
    np.testing.assert_allclose(again.predict_proba(X), model.predict_proba(X), atol=1e-12)
    np.testing.assert_array_equal(again.variable_covariances_, model.variable_covariances_)
    np.testing.assert_allclose(again.means_, model.means_, rtol=1e-12)
    assert again.n_parameters_ == model.n_parameters_


@pytest.mark.parametrize("likelihood", ["exact", "cosine", "vecchia"])
def test_a_sample_may_lack_a_component(draw, likelihood):
    X, labels = draw(60)
    model = SpatialGaussianMixture(
        2, coordinates=SHAPE, n_variables=3, init=labels, likelihood=likelihood, random_state=0
    ).fit(X)
    maps, drawn = model.sample()
    assert maps.shape == (1, 20, 3) and np.isfinite(maps).all() and drawn.shape == (1,)


def test_samples_have_the_covariance(draw):
    X, labels = draw(60)
    model = SpatialGaussianMixture(
        1, coordinates=SHAPE, n_variables=3, mean="zero", random_state=0
    ).fit(X[labels == 0] * [1.0, 10.0, 3.0])
    maps, _ = model.sample(4000)
    assert maps.shape == (4000, 20, 3)
    expected = np.kron(model.covariances_[0], model.variable_covariances_[0])
    found = np.cov(maps.reshape(4000, -1).T)
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert np.abs((found - expected) / size).max() < 0.1


# -- standard errors --------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [False, True], ids=["complete", "missing"])
def test_standard_errors_are_those_of_a_numerical_hessian(draw, plain, missing):
    line, psi = grid_coordinates((5,)), (np.array([[0.8, 0.5], [0.5, 1.2]]), np.eye(2))
    components = [COMPONENTS[0], ((6.0, -5.0, 1.0), 4.0)]
    X, labels = draw(150, line, components, psi, seed=8)
    if missing:
        X[np.random.default_rng(8).integers(len(X), size=15), 2, 1] = np.nan
        X[:10, 4] = np.nan
    model = SpatialGaussianMixture(
        2,
        coordinates=line,
        n_variables=2,
        mean="zero",
        init=labels,
        missing="em",
        tol=1e-9,
        max_iter=3000,
    ).fit(X)

    patterns, which = np.unique(~np.isnan(X.reshape(len(X), -1)), axis=0, return_inverse=True)
    which = which.ravel()

    def log_likelihood(x):
        joint = np.empty((len(X), 2))
        components = zip((x[0], 1 - x[0]), x[1:].reshape(2, 6), strict=True)
        for g, (weight, (a1, a2, a3, beta, variance, between)) in enumerate(components):
            Psi = np.array([[variance, between], [between, 2 - variance]])
            S = np.kron(plain.covariance(line, (a1, a2, a3), beta), Psi)
            for k, there in enumerate(patterns):
                normal = multivariate_normal(None, S[np.ix_(there, there)])
                rows = X.reshape(len(X), -1)[which == k][:, there]
                joint[which == k, g] = np.log(weight) + normal.logpdf(rows)
        return logsumexp(joint, axis=1).sum()

    Psi = model.variable_covariances_
    of_components = np.column_stack([model.alpha_, model.beta_, Psi[:, 0, 0], Psi[:, 1, 0]])
    x = np.concatenate([model.weights_[:1], of_components.ravel()])
    assert log_likelihood(x) == pytest.approx(model.log_likelihood_)
    steps = 1e-3 * np.diag(np.maximum(np.abs(x), 0.1))

    def curvature(a, b):
        ends = [(s, t, x + s * a + t * b) for s in (1, -1) for t in (1, -1)]
        return sum(s * t * log_likelihood(end) for s, t, end in ends) / (4 * a.sum() * b.sum())

    H = np.array(
        [
            [curvature(a, b) if i >= j else 0.0 for j, b in enumerate(steps)]
            for i, a in enumerate(steps)
        ]
    )
    H += np.tril(H, -1).T
    expected = np.sqrt(np.diag(np.linalg.inv(-H)))
    found = model.standard_errors(X).set_index(["component", "parameter"])["std_error"]
    names = ("alpha1", "alpha2", "alpha3", "beta", "psi[0,0]", "psi[1,0]")
    found = [found[0, "weight"], *(found[g, name] for g in range(2) for name in names)]
    np.testing.assert_allclose(found, expected, rtol=5e-3)


@pytest.mark.parametrize("mean", ["free", "constant"])
@pytest.mark.parametrize("likelihood", ["cosine", "vecchia"])
def test_standard_errors_of_other_likelihoods_are_near_those_of_the_exact_one(
    draw, likelihood, mean
):
    X, labels = draw(150, seed=9)
    options = {"coordinates": SHAPE, "n_variables": 3, "init": labels, "mean": mean}
    exact = SpatialGaussianMixture(2, **options).fit(X).standard_errors(X)
    other = SpatialGaussianMixture(2, likelihood=likelihood, **options).fit(X).standard_errors(X)
    assert list(other["parameter"]) == list(exact["parameter"])
    np.testing.assert_allclose(other["std_error"], exact["std_error"], rtol=0.6)


# -- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, message",
    [
        ({"variables": "factor"}, "needs n_factors below n_variables=3, got None"),
        ({"variables": "factor", "n_factors": 3}, "needs n_factors below n_variables=3, got 3"),
        ({"n_factors": 2}, "needs variables='factor'"),
        ({"n_variables": 0}, "n_variables must be an integer"),
        ({"n_variables": 7}, "X: 60 columns are not 7 values for each location"),
        ({"variance": "location"}, "n_variables=3: variance must be 'constant'"),
        ({"sharing": "alpha"}, "n_variables=3: sharing must be one of 'none', 'beta'"),
        ({"solver": "gls"}, "solver='gls' is the paper's algorithm: n_variables"),
    ],
)
def test_refused(draw, options, message):
    X, _ = draw(20)
    options = {"coordinates": SHAPE, "n_variables": 3} | options
    with pytest.raises(ValueError, match=message):
        SpatialGaussianMixture(2, **options).fit(X.reshape(20, -1))


def test_variables_without_a_covariance_are_refused(draw):
    X, labels = draw(40)
    options = {"coordinates": SHAPE, "init": labels}
    X[:, :, 2] = 7.0
    with pytest.raises(ValueError, match="variable 2 does not vary"):
        SpatialGaussianMixture(2, n_variables=3, **options).fit(X)
    X[:, :, 2] = X[:, :, 0] + 2 * X[:, :, 1]
    with pytest.raises(ValueError, match=r"variable \d is a combination of the others"):
        SpatialGaussianMixture(2, n_variables=3, **options).fit(X)
    for kind in ({"variables": "diagonal"}, {"variables": "factor", "n_factors": 2}):
        model = SpatialGaussianMixture(2, n_variables=3, **options, **kind).fit(X)
        assert np.isfinite(model.log_likelihood_)


def test_a_missing_value_is_named_by_location_and_variable(draw):
    X, _ = draw(20)
    X[4, 7, 1] = np.nan
    with pytest.raises(ValueError, match="NaN at row 4, location 7, variable 1"):
        SpatialGaussianMixture(2, coordinates=SHAPE, n_variables=3).fit(X)


def test_last_axis_must_hold_the_variables(draw):
    X, _ = draw(20)
    with pytest.raises(ValueError, match="its last axis holds no 4 values of a location"):
        SpatialGaussianMixture(2, coordinates=SHAPE, n_variables=4).fit(X)

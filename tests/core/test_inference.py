"""Standard errors against a numerical Hessian, and the words of geostatistics against formulas."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning

from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates

COMPONENTS = [(0.6, 0.0, (4.0, -3.6, 1.6), 2.5), (0.4, 3.0, (6.0, -4.0, 2.4), 6.0)]
LARGEST = 18.0  # distance between the ends of the line
NAMES = ("alpha1", "alpha2", "alpha3", "beta")


def hessian(function, x):
    """Second derivatives by central differences, steps in proportion to the parameters."""
    steps = 1e-4 * np.maximum(np.abs(x), 0.1)
    m = len(x)
    H = np.empty((m, m))
    for i in range(m):
        for j in range(i + 1):
            total = 0.0
            for si, sj in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                at = x.copy()
                at[i] += si * steps[i]
                at[j] += sj * steps[j]
                total += si * sj * function(at)
            H[i, j] = H[j, i] = total / (4 * steps[i] * steps[j])
    return H


@pytest.fixture(scope="module", params=["free", "constant"])
def case(request, plain):
    """A fit (p = 7, n = 150) and the covariance of its estimates from a numerical Hessian."""
    mean, coordinates = request.param, 3.0 * grid_coordinates((7,))
    X, labels = plain.draw(coordinates, 150, COMPONENTS, seed=2)
    model = SpatialGaussianMixture(
        2, coordinates=coordinates, mean=mean, init=labels, tol=1e-9, max_iter=2000
    ).fit(X)
    assert model.converged_
    p, size = 7, 7 if mean == "free" else 1

    def log_likelihood(parameters):
        weight, rest = parameters[0], parameters[1:]
        means = [np.broadcast_to(part, p) for part in np.split(rest[: 2 * size], 2)]
        thetas = rest[2 * size :].reshape(2, 4)
        covariances = [plain.covariance(coordinates, theta[:3], theta[3]) for theta in thetas]
        return plain.log_likelihood(X, [weight, 1 - weight], means, covariances)

    x = np.concatenate(
        [
            model.weights_[:1],
            model.means_[:, :size].ravel(),
            np.column_stack([model.alpha_, model.beta_]).ravel(),
        ]
    )
    covariance = np.linalg.inv(-hessian(log_likelihood, x))
    return SimpleNamespace(
        model=model,
        X=X,
        coordinates=coordinates,
        mean=mean,
        weight_variance=covariance[0, 0],
        theta_covariance=[covariance[-8:-4, -8:-4], covariance[-4:, -4:]],
    )


def table(frame, *keys):
    """Estimates by component and name."""
    return frame.set_index(["component", *keys])


def test_standard_errors_are_those_of_the_numerical_hessian(case):
    found = table(case.model.standard_errors(case.X), "parameter")
    for g in range(2):
        expected = np.sqrt(np.diag(case.theta_covariance[g]))
        np.testing.assert_allclose(
            [found.loc[(g, name), "std_error"] for name in NAMES], expected, rtol=2e-3
        )
        assert found.loc[(g, "weight"), "std_error"] == pytest.approx(
            np.sqrt(case.weight_variance), rel=2e-3
        )


def test_estimates_in_the_table_are_the_attributes(case):
    found = table(case.model.standard_errors(case.X), "parameter")["estimate"]
    for g in range(2):
        assert found[g, "weight"] == case.model.weights_[g]
        np.testing.assert_allclose([found[g, name] for name in NAMES[:3]], case.model.alpha_[g])
        assert found[g, "beta"] == case.model.beta_[g]


def test_intervals_are_normal_ones_corrected_for_the_estimated_mean(case):
    frame = case.model.standard_errors(case.X)
    counts = case.model.predict_proba(case.X).sum(axis=0)
    for row in frame.itertuples():
        correction = 1.0
        if case.mean == "free" and row.parameter.startswith("alpha"):
            correction = counts[row.component] / (counts[row.component] - 1)
        half = norm.ppf(0.975) * row.std_error
        np.testing.assert_allclose(
            [row.lower, row.upper],
            [correction * (row.estimate - half), correction * (row.estimate + half)],
        )


def test_standard_errors_shrink_with_the_square_root_of_n(case):
    # The same maps four times over: the same maximum, four times the information.
    once = case.model.standard_errors(case.X)["std_error"]
    fourfold = case.model.standard_errors(np.tile(case.X, (4, 1)))["std_error"]
    np.testing.assert_allclose(fourfold, once / 2, rtol=1e-8)


def test_geostatistics_follow_from_alpha_and_beta(case, plain):
    found = table(case.model.geostatistics(), "quantity")["estimate"]
    for g, ((a1, a2, a3), beta) in enumerate(zip(case.model.alpha_, case.model.beta_, strict=True)):
        assert found[g, "baseline"] == pytest.approx(a1 + a2)
        assert found[g, "partial_sill"] == pytest.approx(-a2)
        assert found[g, "nugget"] == pytest.approx(a3)
        assert found[g, "sill"] == pytest.approx(a3 - a2)
        delta = brentq(lambda d, beta=beta: plain.decay(d, beta) - 0.95, 0, 2)
        assert found[g, "effective_range"] == pytest.approx(delta / 2 * LARGEST)


def test_geostatistics_have_errors_by_the_delta_method(case, plain):
    found = table(case.model.geostatistics(case.X), "quantity")["std_error"]

    def effective_range(beta):
        return brentq(lambda d: plain.decay(d, beta) - 0.95, 0, 2, xtol=1e-13) / 2 * LARGEST

    for g, covariance in enumerate(case.theta_covariance):
        beta = case.model.beta_[g]
        slope = (effective_range(beta + 1e-3) - effective_range(beta - 1e-3)) / 2e-3
        gradients = {
            "baseline": [1, 1, 0, 0],
            "partial_sill": [0, -1, 0, 0],
            "nugget": [0, 0, 1, 0],
            "sill": [0, -1, 1, 0],
            "effective_range": [0, 0, 0, slope],
        }
        for name, gradient in gradients.items():
            expected = np.sqrt(np.array(gradient) @ covariance @ gradient)
            assert found[g, name] == pytest.approx(expected, rel=3e-3)


def test_correlogram_is_the_fitted_correlation(case, plain):
    distances = np.array([0.0, 1.0, 3.0, 6.0])
    frame = case.model.correlogram(distances)
    for g, rows in frame.groupby("component"):
        a1, a2, a3 = case.model.alpha_[g]
        delta = 2 * distances / LARGEST
        expected = (a1 + a2 * plain.decay(delta, case.model.beta_[g])) / (a1 + a3)
        expected[0] = 1.0
        np.testing.assert_allclose(rows["correlation"], expected, rtol=1e-9)
        np.testing.assert_allclose(rows["scaled_distance"], delta)
    # At the locations' own distances it is the correlation matrix.
    Xi = case.model.covariances_[0]
    there = case.model.correlogram([3.0]).query("component == 0")["correlation"].item()
    assert there == pytest.approx(Xi[0, 1] / Xi[0, 0])


def test_correlogram_reaches_to_the_largest_distance(case):
    frame = case.model.correlogram()
    assert frame["distance"].max() == pytest.approx(LARGEST)
    assert len(frame) == 2 * 200


def test_beta_at_its_lower_bound_has_no_standard_error_but_a_note():
    # Exponential correlation falls fastest at the start: no sigmoid can follow it.
    delta = np.abs(np.subtract.outer(np.arange(9.0), np.arange(9.0)))
    X = np.random.default_rng(3).multivariate_normal(np.zeros(9), np.exp(-delta / 8), size=200)
    model = SpatialGaussianMixture(1, init=np.zeros(200, dtype=int)).fit(X)
    assert model.beta_[0] == pytest.approx(1e-3, rel=0.01)
    found = table(model.standard_errors(X), "parameter").loc[0]
    assert np.isnan(found.loc["beta", ["std_error", "lower", "upper"]].astype(float)).all()
    assert "lower bound: linear decay" in found.loc["beta", "note"]
    assert np.isfinite(found.loc[list(NAMES[:3]), "std_error"].astype(float)).all()
    ranges = table(model.geostatistics(X), "quantity").loc[(0, "effective_range")]
    assert np.isfinite(ranges["estimate"])
    assert np.isnan(ranges["std_error"])


def test_information_that_is_not_positive_definite_warns_and_gives_no_errors(plain):
    # One iteration from labels at random is nowhere near a maximum.
    X, _ = plain.draw(grid_coordinates((2, 3)), 30, COMPONENTS, seed=4)
    model = SpatialGaussianMixture(2, coordinates=(2, 3), init=np.arange(30) % 2, max_iter=1)
    with pytest.warns(UserWarning, match="did not converge"):
        model.fit(X)
    with pytest.warns(UserWarning, match="observed information is not positive definite"):
        frame = model.standard_errors(X)
    assert frame["std_error"].isna().all()
    assert frame["estimate"].notna().all()
    with pytest.warns(UserWarning, match="observed information is not positive definite"):
        assert model.geostatistics(X)["std_error"].isna().all()


def test_a_component_without_maps_has_no_standard_error_but_a_note(plain):
    X, _ = plain.draw(grid_coordinates((7,)), 60, [(1.0, 0.0, (4.0, -3.6, 1.6), 2.5)], seed=3)
    X[0] += 100  # a component of its own, too few to estimate a covariance from
    start = np.zeros(60, dtype=int)
    start[0] = 1
    with pytest.warns(ConvergenceWarning, match=r"component 2 \(labels_ 1\)"):
        model = SpatialGaussianMixture(2, init=start, mean="constant", max_iter=2000).fit(X)
    errors = model.standard_errors(X).set_index(["component", "parameter"])
    assert errors.loc[1, "std_error"].isna().all()
    assert errors.loc[1, "note"].str.contains("fewer than 1.5 maps").all()
    assert model.geostatistics(X).query("component == 1")["std_error"].isna().all()
    # The other component's are those of its maps alone.
    alone = SpatialGaussianMixture(1, mean="constant", max_iter=2000).fit(X[1:])
    np.testing.assert_allclose(
        errors.loc[0].loc[list(NAMES), "std_error"],
        alone.standard_errors(X[1:]).query("parameter != 'weight'")["std_error"],
        rtol=1e-3,
    )


@pytest.mark.parametrize("scale", [2.0**k for k in (-465, -300, -200, 200, 300, 465)])
def test_errors_follow_the_unit_of_the_data_however_large(scale):
    rng = np.random.default_rng(6)
    X = rng.normal(size=(40, 9)) + rng.normal(size=(40, 1)) + 2 * (np.arange(40) < 20)[:, None]
    options = {"coordinates": (3, 3), "init": np.arange(40) // 20}
    plain, scaled = (SpatialGaussianMixture(2, **options).fit(unit * X) for unit in (1, scale))
    for name, covariances in [
        ("standard_errors", ("alpha1", "alpha2", "alpha3")),
        ("geostatistics", ("baseline", "partial_sill", "nugget", "sill")),
    ]:
        table, expected = getattr(scaled, name)(scale * X), getattr(plain, name)(X)
        of_squares = table.iloc[:, 1].isin(covariances)
        for column in ("estimate", "std_error", "lower", "upper"):
            there = table[column].where(~of_squares, table[column] / scale**2)
            np.testing.assert_allclose(there, expected[column], rtol=1e-4)


@pytest.mark.parametrize("solver", ["scoring", "gls"])
@pytest.mark.parametrize("decay", ["sigmoid", "exponential"])
@pytest.mark.parametrize("beta", [1e-9, 1e9])
def test_a_first_beta_outside_its_bounds_is_refused(solver, decay, beta):
    X = np.random.default_rng(6).normal(size=(20, 9))
    model = SpatialGaussianMixture(
        1, coordinates=(3, 3), solver=solver, decay=decay, init="kmeans", beta_init=beta
    )
    with pytest.raises(ValueError, match=r"^beta_init=1e.0?9 is outside the bounds of beta"):
        model.fit(X)

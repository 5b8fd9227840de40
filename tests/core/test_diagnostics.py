"""Is the model right: what is flagged, what is not, and what the numbers are."""

import warnings

import numpy as np
import pytest
from scipy.special import j0
from scipy.stats import chi2

from spatgmm import SpatialGaussianMixture, component_test
from spatgmm.common.locations import grid_coordinates
from spatgmm.fitting import bootstrap
from spatgmm.fitting.diagnostics import DiagnosticsWarning

GRID = (7, 7)
N = 150


def drawn(seed, correlation=lambda h: np.exp(-h / 2), scale=1.0, shape=GRID):
    """Maps of one component with this correlation of offsets (m, d) and a nugget."""
    places = grid_coordinates(shape)
    offsets = places[:, None] - places[None]
    covariance = 0.7 * correlation(offsets) + 0.3 * np.eye(len(places))
    noise = np.random.default_rng(seed).standard_normal((N, len(places)))
    return scale * (noise @ np.linalg.cholesky(covariance).T)


def isotropic(offsets):
    return np.exp(-np.sqrt((offsets**2).sum(axis=-1)) / 2)


def diagnosed(X, shape=GRID, n_simulations=99, **options):
    options = {"decay": "exponential", "random_state": 0} | options
    model = SpatialGaussianMixture(1, coordinates=shape, **options).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiagnosticsWarning)
        return model, model.diagnostics(X, n_simulations=n_simulations)


def test_a_right_model_passes_and_wrong_ones_say_where():
    assert diagnosed(drawn(1, isotropic))[1].flagged == []

    waves = drawn(2, lambda h: j0(1.6 * np.sqrt((h**2).sum(axis=-1))))
    assert "correlation" in diagnosed(waves)[1].flagged

    stripes = drawn(3, lambda h: np.exp(-np.abs(h) @ [0.3, 1.2]))
    _, found = diagnosed(stripes)
    finding = found.checks.set_index("check").loc["direction"]
    assert finding["flagged"] and "along direction 0°" in finding["finding"]

    uneven = drawn(4, isotropic, scale=np.linspace(0.7, 1.4, 49))
    finding = diagnosed(uneven)[1].checks.set_index("check").loc["variance"]
    assert finding["flagged"] and "variance='location'" in finding["finding"]

    broken = drawn(5, isotropic)
    broken[:3] *= 3
    finding = diagnosed(broken)[1].checks.set_index("check").loc["distances"]
    assert finding["flagged"] and "outlying maps" in finding["finding"]


def test_variances_that_differ_are_no_matter_of_correlation():
    # A deviation four times as large from one side to the other, and a spot that varies more.
    sides = np.repeat(np.linspace(0.5, 2, 7), 7)
    spot = 1 + np.exp(-((grid_coordinates(GRID) - 3) ** 2).sum(axis=1) / 4)
    for seed, scale in ((9, sides), (10, spot)):
        X = drawn(seed, isotropic, scale=scale)
        _, found = diagnosed(X)
        _, even = diagnosed(X / scale)
        assert "variance" in found.flagged and "direction" not in found.flagged
        for shown in ("correlation", "directions"):
            column = {"correlation": "correlation", "directions": "log_ratio"}[shown]
            np.testing.assert_allclose(
                getattr(found, shown)[column], getattr(even, shown)[column], atol=1e-9
            )


def test_what_was_found_is_a_warning():
    X = drawn(4, isotropic, scale=np.linspace(0.7, 1.4, 49))
    model = SpatialGaussianMixture(1, coordinates=GRID, random_state=0).fit(X)
    with pytest.warns(DiagnosticsWarning, match="variance differs by location"):
        model.diagnostics(X, n_simulations=99)


def test_numbers_are_those_of_their_definitions():
    X = drawn(6, isotropic)
    model, found = diagnosed(X)
    residuals = X - model.means_[0]
    squared = np.einsum("ij,jk,ik->i", residuals, np.linalg.inv(model.covariances_[0]), residuals)
    np.testing.assert_allclose(found.distances["squared_distance"], squared)
    np.testing.assert_allclose(found.distances["p_value"], chi2.sf(squared, 49))

    scatter = residuals.T @ residuals / N
    variances = np.log(np.diag(scatter))
    np.testing.assert_allclose(found.variances["log_ratio"], variances - variances.mean())

    nearest = found.correlation.iloc[0]
    places = grid_coordinates(GRID)
    distances = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=-1))
    pairs = np.triu(distances == 1, 1)
    assert nearest["n_pairs"] >= pairs.sum()
    assert nearest["n_pairs"] == pairs.sum() and nearest["distance"] == pytest.approx(1)
    deviations = np.sqrt(np.diag(scatter))
    correlations = scatter / np.outer(deviations, deviations)
    np.testing.assert_allclose(nearest["correlation"], correlations[pairs].mean())
    assert (found.correlation["lower"] < found.correlation["upper"]).all()

    # Semivariances of standardised values, by the direction of the pair.
    along = [pairs & (places[:, None, k] != places[None, :, k]) for k in range(2)]
    semivariances = np.log([1 - correlations[of_direction].mean() for of_direction in along])
    first = found.directions.iloc[:2]
    assert first["direction"].tolist() == [0, 90]
    np.testing.assert_allclose(first["log_ratio"], semivariances - semivariances.mean())


def test_missing_pixels_lines_and_empty_components():
    X = drawn(7, isotropic)
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    _, found = diagnosed(X, missing="em")
    assert found.flagged == []
    np.testing.assert_array_equal(found.distances["n_observed"], (~np.isnan(X)).sum(axis=1))

    line = drawn(8, isotropic, shape=(20,))
    _, found = diagnosed(line, shape=(20,))
    assert "direction" not in found.checks["check"].tolist() and found.directions.empty

    with pytest.raises(ValueError, match="n_simulations must be"):
        diagnosed(line, shape=(20,), n_simulations=10)


def test_bootstrap_agrees_with_the_observed_information(plain):
    X, _ = plain.draw(
        grid_coordinates((6, 6)),
        150,
        [(0.5, 0.0, (1, -0.9, 0.4), 2.5), (0.5, 3.0, (1, -0.6, 0.5), 5.0)],
        seed=2,
    )
    model = SpatialGaussianMixture(2, coordinates=(6, 6), random_state=0).fit(X)
    exact = model.standard_errors(X)
    again = model.standard_errors(X, method="bootstrap", n_bootstrap=80)
    keys = ["component", "parameter"]
    assert again[keys].equals(exact[keys])
    np.testing.assert_array_equal(again["estimate"], exact["estimate"])
    known = exact["std_error"].notna()
    ratio = again["std_error"][known] / exact["std_error"][known]
    assert ratio.between(0.65, 1.5).all() and known.sum() >= 9
    assert (again["lower"] < again["upper"]).all()
    with pytest.raises(ValueError, match="method must be"):
        model.standard_errors(X, method="jackknife")


def test_intervals_take_back_the_bias_of_the_estimate():
    rng = np.random.default_rng(0)
    refitted = (1.0 + 0.1 + 0.1 * rng.standard_normal(4000))[:, None, None]  # one sd too high
    table = bootstrap.standard_errors(np.array([[1.0]]), refitted, ["beta"])
    # Phi(2 z0 +- 1.96) of N(1.1, 0.1) with z0 = -1: 1.1 - 0.2 +- 0.196.
    np.testing.assert_allclose(table[["lower", "upper"]].iloc[0], [0.704, 1.096], atol=0.03)


def test_simulation_stops_once_it_has_decided():
    assert bootstrap.exceeding(5.0, iter([1.0] * 99), 99) == 1 / 100
    asked = iter([9.0] * 99)
    assert bootstrap.exceeding(5.0, asked, 99) == 1.0
    assert len(list(asked)) == 94
    # The decision at 0.05 is that of all simulations, and the p-value no smaller than it should be.
    rng = np.random.default_rng(0)
    for most in (19, 38, 39, 99):
        found = []
        for _ in range(2000):
            statistic, *simulated = rng.normal(size=1 + most)
            p_value = bootstrap.exceeding(statistic, iter(simulated), most)
            in_full = (1 + (np.array(simulated) >= statistic).sum()) / (1 + most)
            assert (p_value <= 0.05) == (in_full <= 0.05)
            found.append(p_value)
        for level in (0.02, 0.05, 0.2, 0.5):
            error = np.sqrt(level * (1 - level) / len(found))
            assert np.mean(np.array(found) <= level) < level + 4 * error


def test_component_test_finds_two_and_no_third(plain):
    X, _ = plain.draw(
        grid_coordinates((5, 5)),
        80,
        [(0.5, 0.0, (1, -0.9, 0.4), 2.5), (0.5, 2.0, (1, -0.6, 0.5), 5.0)],
        seed=3,
    )
    options = {"coordinates": (5, 5), "mean": "constant", "n_init": 1, "random_state": 0}
    assert component_test(X, 1, n_bootstrap=19, **options).p_value == 1 / 20
    assert component_test(X, 2, n_bootstrap=19, **options).p_value > 0.05


def test_too_few_maps_say_so():
    X = np.random.default_rng(0).normal(size=(4, 3))
    model = SpatialGaussianMixture(1, decay="exponential", mean="constant", random_state=0).fit(X)
    with pytest.raises(ValueError, match="no component has 5 of the maps"):
        model.diagnostics(X)

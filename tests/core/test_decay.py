"""Decays against their formulas, limits and finite differences."""

import numpy as np
import pytest
from scipy.special import gamma, kv

from spatgmm.covariance import decay

BETAS = [1e-3, 0.01, 0.3, 1.0, 2.5, 6.0, 20.0, 80.0]
DELTA = np.array([0.0, 1e-6, 0.05, 0.3, 0.9, 1.5, 1.999, 2.0])


@pytest.fixture
def sigmoid():
    return decay.get("sigmoid")


@pytest.mark.parametrize("beta", BETAS)
def test_it_runs_from_0_at_distance_0_to_1_at_distance_2(sigmoid, beta):
    assert sigmoid.value(np.array(0.0), beta) == 0
    assert sigmoid.value(np.array(2.0), beta) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("beta", BETAS)
def test_it_rises_with_distance(sigmoid, beta):
    values = sigmoid.value(np.linspace(0, 2, 200), beta)
    assert (np.diff(values) >= 0).all()
    assert ((values >= 0) & (values <= 1 + 1e-14)).all()


@pytest.mark.parametrize("beta", BETAS[2:])
def test_it_is_the_printed_formula(sigmoid, plain, beta):
    np.testing.assert_allclose(sigmoid.value(DELTA, beta), plain.decay(DELTA, beta), atol=1e-13)


def test_it_becomes_the_straight_line_as_beta_falls_to_0(sigmoid):
    for beta in (1e-3, 1e-5, 1e-8):
        np.testing.assert_allclose(sigmoid.value(DELTA, beta), DELTA / 2, atol=0.5 * beta)


@pytest.fixture(params=decay.names())
def case(request):
    """A decay, and shapes from one bound to the other."""
    each = decay.get(request.param)
    lower, upper = each.bounds(0.15)
    mix = np.random.default_rng(0).uniform(size=(4, len(lower)))
    return each, [lower, upper, *(lower + mix * (upper - lower)), *each.grid(0.15)[0]]


def test_every_decay_rises_from_0_to_1(case):
    each, shapes = case
    for shape in shapes:
        values = each.value(np.linspace(0, 2, 200), shape)
        assert values[0] == pytest.approx(0, abs=1e-12)
        assert values[-1] == pytest.approx(1, abs=1e-12)
        assert (np.diff(values) >= -1e-12).all()


def test_derivatives_are_those_of_finite_differences(case):
    each, shapes = case
    lower, _ = each.bounds(0.15)
    for shape in shapes:
        found = each.derivatives(DELTA, shape)
        assert found.shape == (len(shape), len(DELTA))
        for j in range(len(shape)):
            # Five-point stencil: its own error is of order step^4; inside the decay's domain.
            step = 1e-2 * min(shape[j], 1.0) if shape[j] > 0 else 1e-3
            at = np.array(shape, dtype=float)
            at[j] = np.clip(at[j], lower[j] + (step if lower[j] == 0 else 0) * 2, np.inf)
            moved = [np.where(np.arange(len(at)) == j, at + k * step, at) for k in (-2, -1, 1, 2)]
            f = [each.value(DELTA, shape) for shape in moved]
            numeric = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)
            by_formula = each.derivatives(DELTA, at)[j]
            np.testing.assert_allclose(by_formula, numeric, rtol=1e-5, atol=1e-13 / step + 1e-10)


def test_slopes_are_those_of_finite_differences(case):
    each, shapes = case
    delta, step = np.array([0.05, 0.3, 0.9, 1.5, 1.9]), 1e-4
    for shape in shapes:
        f = [each.value(delta + k * step, shape) for k in (-2, -1, 1, 2)]
        numeric = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)
        np.testing.assert_allclose(each.slope(delta, shape), numeric, rtol=1e-6, atol=1e-9)


def test_derivatives_vanish_at_both_ends(case):
    each, shapes = case
    for shape in shapes:
        np.testing.assert_allclose(each.derivatives(np.array([0.0, 2.0]), shape), 0, atol=1e-11)


def test_a_step_stays_within_reach_and_the_grid_within_bounds(case):
    each, shapes = case
    lower, upper = each.bounds(0.15)
    grid, between = each.grid(0.15)
    assert ((grid >= lower - 1e-12) & (grid <= upper + 1e-12)).all()
    assert len(between) == len(grid) and not between[[0, -1]].any()
    for shape in shapes:
        low, high = each.reach(np.asarray(shape))
        assert ((low <= shape) & (shape <= high)).all()


@pytest.mark.parametrize(
    ("name", "nu"), [("exponential", 0.5), ("matern32", 1.5), ("matern52", 2.5)]
)
def test_matern_decays_are_those_of_the_bessel_function(name, nu):
    # 1 - C(x), C(x) = 2^(1-nu)/Gamma(nu) x^nu K_nu(x), scaled to 1 at distance 2.
    def rise(x):
        return 1 - 2 ** (1 - nu) / gamma(nu) * x**nu * kv(nu, x)

    expected = rise(3.0 * DELTA[1:]) / rise(6.0)
    np.testing.assert_allclose(decay.get(name).value(DELTA[1:], 3.0), expected, atol=1e-10)


def test_splines_reach_the_shapes_of_the_other_decays():
    splines, delta = decay.get("ispline"), np.linspace(0, 2, 60)
    for name in ("exponential", "matern32", "sigmoid"):
        wanted = decay.get(name).value(delta, 3.0)
        nearest = min(np.abs(splines.value(delta, s) - wanted).max() for s in splines.grid(0.15)[0])
        assert nearest < 0.1


def test_weights_of_splines_are_a_mixture():
    splines = decay.get("ispline")
    for shape in np.random.default_rng(1).uniform(size=(20, splines.n_weights - 1)):
        weights = splines.weights(shape)
        assert (weights >= 0).all() and weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("nearest", [0.02, 0.2, 0.7, 0.99])
def test_beta_ends_where_the_decay_is_half_over_at_the_nearest_neighbour(sigmoid, nearest):
    (lower,), (upper,) = sigmoid.bounds(nearest)
    assert lower == 1e-3
    assert sigmoid.value(np.array(nearest), upper) == pytest.approx(0.5, abs=1e-10)


@pytest.mark.parametrize("nearest", [1.0, 1.4, 2.0])
def test_bounds_of_beta_are_in_order_for_two_or_three_far_locations(sigmoid, nearest):
    (lower,), (upper,) = sigmoid.bounds(nearest)
    assert 0 < lower < upper < np.inf


def test_an_unknown_decay_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown decay 'linear'.*sigmoid"):
        decay.get("linear")


def test_matern_of_smallest_smoothness_is_the_exponential():
    assert decay.get("matern12") is decay.get("exponential")
    assert "matern12" not in decay.names()

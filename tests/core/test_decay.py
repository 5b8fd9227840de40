"""The sigmoid decay against its formula, its limits and finite differences."""

import numpy as np
import pytest

from spatgmm import decay

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


@pytest.mark.parametrize("beta", BETAS)
def test_derivatives_are_those_of_finite_differences(sigmoid, beta):
    step = 1e-2 * min(beta, 1.0)
    # Five-point stencils: their own error is of order step^4.
    f = [sigmoid.value(DELTA, beta + k * step) for k in (-2, -1, 0, 1, 2)]
    first = (f[0] - 8 * f[1] + 8 * f[3] - f[4]) / (12 * step)
    second = (-f[0] + 16 * f[1] - 30 * f[2] + 16 * f[3] - f[4]) / (12 * step**2)
    by_formula = sigmoid.derivatives(DELTA, beta)
    np.testing.assert_allclose(by_formula[0], first, rtol=1e-5, atol=1e-9 / step * 1e-4)
    np.testing.assert_allclose(by_formula[1], second, rtol=1e-4, atol=1e-14 / step**2 + 1e-9)


def test_derivatives_vanish_at_both_ends(sigmoid):
    for order in sigmoid.derivatives(np.array([0.0, 2.0]), 3.0):
        np.testing.assert_allclose(order, 0, atol=1e-14)


@pytest.mark.parametrize("nearest", [0.02, 0.2, 0.7, 0.99])
def test_beta_ends_where_the_decay_is_half_over_at_the_nearest_neighbour(sigmoid, nearest):
    lower, upper = sigmoid.bounds(nearest)
    assert lower == 1e-3
    assert sigmoid.value(np.array(nearest), upper) == pytest.approx(0.5, abs=1e-10)


@pytest.mark.parametrize("nearest", [1.0, 1.4, 2.0])
def test_bounds_of_beta_are_in_order_for_two_or_three_far_locations(sigmoid, nearest):
    lower, upper = sigmoid.bounds(nearest)
    assert 0 < lower < upper < np.inf


def test_an_unknown_decay_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown decay 'linear'.*sigmoid"):
        decay.get("linear")

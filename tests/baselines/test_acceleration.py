"""The guarded EM loop on maps whose limit is known."""

from __future__ import annotations

import numpy as np
import pytest

from spatgmm.baselines.em import run_best, run_em


def climb(rates, start, tol=1e-9, max_iter=5000, **changed):
    """A linear map towards 0 with these rates, on the concave function it climbs."""
    rates = np.asarray(rates)
    calls = []

    def step(x):
        calls.append(x)
        return -0.5 * float(((1 - rates) * x) @ x), rates * x

    settings = {"metric": np.ones_like, "repair": lambda x: x, **changed}
    return run_em(step, np.asarray(start, float), tol, max_iter, **settings), len(calls)


def test_slow_maps_take_few_steps():
    rates = [0.9999, 0.999, 0.9, 0.5]
    result, calls = climb(rates, np.ones(4))
    assert result.converged and calls < 60
    np.testing.assert_allclose(result.parameters, 0, atol=1e-2)
    assert result.log_likelihood > -1e-8
    # Plain steps would need ln(1e-8) / ln(0.9999) of them.
    assert (np.diff(result.trace) >= 0).all() and result.n_iter == calls


def test_bad_extrapolations_are_refused():
    """A repair that spoils every extrapolation leaves plain EM, and its monotone trace."""
    result, _ = climb([0.9, 0.5], [3.0, 1.0], repair=lambda x: x + 1e3)
    assert result.converged and (np.diff(result.trace) >= 0).all()
    assert result.log_likelihood == pytest.approx(0, abs=1e-7)
    result, _ = climb([0.9, 0.5], [3.0, 1.0], repair=lambda x: x * np.nan)
    assert result.converged and np.isfinite(result.parameters).all()


def test_a_saddle_is_left():
    """Growing residuals: away from the saddle at 0, not back to it."""

    def step(x):
        gradient = x - x**3
        return float(0.5 * x @ x - 0.25 * (x**4).sum()), x + 0.01 * gradient

    result = run_em(step, np.array([1e-3]), 1e-10, 2000, np.ones_like, lambda x: x)
    assert result.parameters[0] == pytest.approx(1, abs=1e-3)


def test_the_limit_on_iterations_holds():
    for limit in (1, 2, 7, 9):
        result, calls = climb([0.9999, 0.999, 0.9, 0.5], np.ones(4), tol=1e-15, max_iter=limit)
        assert result.n_iter == calls <= limit and not result.converged


def test_of_several_starts_a_sound_one_is_kept():
    def step(x):  # two optima: 2 at x = 5, 1 at x = -5
        goal, value = (5.0, 2.0) if x[0] > 0 else (-5.0, 1.0)
        return value - (x[0] - goal) ** 2, goal + 0.5 * (x - goal)

    arguments = (step, [np.array([-1.0]), np.array([1.0])], 1e-9, 500, np.ones_like, lambda x: x)
    assert run_best(*arguments, lambda x: True).parameters[0] == pytest.approx(5, abs=1e-3)
    assert run_best(*arguments, lambda x: x[0] < 0).parameters[0] == pytest.approx(-5, abs=1e-3)

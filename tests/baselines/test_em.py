"""The EM loop on maps whose limit is known."""

from __future__ import annotations

import numpy as np
import pytest

from spatgmm.common import em


class Map(em.Problem):
    """``x -> update(x)`` climbing ``height(x)``; the sign of x stands for labels."""

    def __init__(self, height, update, repair=lambda x: x):
        self._height, self._update, self._repair = height, update, repair
        self.calls = 0

    def expectation(self, parameters):
        self.calls += 1
        labels = [0, 0, 1, 1] if parameters[0] > 0 else [0, 1, 0, 1]
        return em.Expectation(self._height(parameters), np.eye(2)[labels])

    def maximisation(self, parameters, expected):
        return self._update(parameters)

    def flat(self, parameters):
        return parameters

    def from_flat(self, flat, like):
        return self._repair(flat)

    def metric(self, parameters):
        return np.ones_like(parameters)


def linear(rates, repair=lambda x: x):
    """Towards 0 with these rates, on the concave function that climbs."""
    rates = np.asarray(rates)
    return Map(lambda x: -0.5 * float(((1 - rates) * x) @ x), lambda x: rates * x, repair)


SLOW = [0.9999, 0.999, 0.9, 0.5]


def climb(problem, start, tol=1e-9, max_iter=5000):
    return em.run(problem, np.asarray(start, float), tol=tol, max_iter=max_iter)


def test_slow_maps_take_few_steps():
    problem = linear(SLOW)
    fit = climb(problem, np.ones(4))
    assert fit.converged and problem.calls < 70
    np.testing.assert_allclose(fit.parameters, 0, atol=1e-2)
    assert fit.log_likelihood > -1e-8
    # Plain steps would need ln(1e-8) / ln(0.9999) of them.
    assert (np.diff(fit.trace) >= 0).all() and fit.n_iter == len(fit.trace) - 1


def test_without_leaps_every_step_is_the_maps():
    problem = linear(SLOW)
    problem.leaps = False
    fit = climb(problem, np.ones(4), max_iter=30)
    np.testing.assert_allclose(fit.parameters, np.array(SLOW) ** 30)
    assert not fit.converged and problem.calls == 31


@pytest.mark.parametrize(
    "repair", [lambda x: x + 1e3, lambda x: x * np.nan, lambda x: None, lambda x: 1 / 0 * x]
)
def test_bad_extrapolations_are_refused(repair):
    """A repair that spoils every extrapolation leaves plain EM, and its monotone trace."""

    def spoilt(x):
        try:
            return repair(x)
        except ZeroDivisionError:
            raise np.linalg.LinAlgError from None

    fit = climb(linear([0.9, 0.5], spoilt), [3.0, 1.0])
    assert fit.converged and (np.diff(fit.trace) >= 0).all()
    assert fit.log_likelihood == pytest.approx(0, abs=1e-7)


def test_a_saddle_is_left():
    """Growing residuals: away from the saddle at 0, not back to it."""
    problem = Map(
        lambda x: float(0.5 * x @ x - 0.25 * (x**4).sum()), lambda x: x + 0.01 * (x - x**3)
    )
    assert climb(problem, [1e-3], 1e-10, 2000).parameters[0] == pytest.approx(1, abs=1e-3)


def test_the_limit_on_iterations_holds():
    for limit in (1, 2, 7, 9):
        fit = climb(linear(SLOW), np.ones(4), tol=1e-15, max_iter=limit)
        assert fit.n_iter == limit and not fit.converged


def test_a_step_downhill_stops_it_at_the_better_parameters():
    """A step that loses is a numerical failure; one that loses no more than rounding is the end."""
    wrong = climb(Map(lambda x: -float(x @ x), lambda x: 2 * x), [1.0])
    assert not wrong.converged and wrong.parameters[0] == 1 and wrong.log_likelihood == -1
    rounded = climb(Map(lambda x: -1e9 - float(x @ x), lambda x: x + 1e-8), [1e-6])
    assert rounded.converged
    falling = Map(lambda x: -float(x @ x), lambda x: 2 * x)
    falling.may_fall, falling.leaps = True, False
    falling.has_converged = lambda trace, tol: False
    assert climb(falling, [1.0], max_iter=3).parameters[0] == 8


class TwoOptima(Map):
    """2 at x = 5, and 1 at x = -5."""

    def __init__(self, sound=lambda x: True):
        def goal(x):
            return 5.0 if x[0] > 0 else -5.0

        super().__init__(
            lambda x: (2.0 if x[0] > 0 else 1.0) - float((x[0] - goal(x)) ** 2),
            lambda x: goal(x) + 0.5 * (x - goal(x)),
        )
        self.sound = lambda parameters, expected: sound(parameters)


def best_of(problem, starts, max_iter=500, rounds=((4, 3),)):
    starts = [np.array([start]) for start in starts]
    return em.run_best(
        problem, starts, [em.Round(*each) for each in rounds], tol=1e-9, max_iter=max_iter
    )


def test_of_several_starts_a_sound_one_comes_first():
    ends = [fit.parameters[0] for fit in best_of(TwoOptima(), [-1.0, 1.0])]
    assert ends == pytest.approx([5, -5], abs=1e-3)
    ends = [fit.parameters[0] for fit in best_of(TwoOptima(lambda x: x[0] < 0), [-1.0, 1.0])]
    assert ends == pytest.approx([-5, 5], abs=1e-3)


def test_starts_on_the_way_to_the_same_optimum_are_finished_once():
    assert len(best_of(TwoOptima(), [-1.0, 1.0, 2.0, -2.0])) == 2
    assert len(best_of(TwoOptima(), [-1.0, 1.0], rounds=[(2, 2), (2, 1)])) == 1
    assert len(best_of(TwoOptima(), [-1.0, 1.0, 2.0, -2.0], rounds=[])) == 4


@pytest.mark.parametrize("max_iter", [1, 5, 10, 500])
def test_rounds_make_one_fit(max_iter):
    for fit in best_of(TwoOptima(), [-1.0, 1.0], max_iter, [(2, 3), (4, 2)]):
        assert fit.n_iter <= max_iter and fit.trace == sorted(fit.trace)
        assert fit.trace[0] < fit.trace[-1] == fit.log_likelihood
    straight = climb(TwoOptima(), [1.0], max_iter=max_iter)
    assert best_of(TwoOptima(), [1.0], max_iter)[0].trace == straight.trace


def test_starts_from_which_em_cannot_go_on_are_left_out():
    class Fragile(TwoOptima):
        def maximisation(self, parameters, expected):
            if parameters[0] < 0:
                raise em.StartError("lost")
            return super().maximisation(parameters, expected)

    assert len(best_of(Fragile(), [-1.0, 1.0, -2.0])) == 1
    with pytest.raises(em.StartError, match="lost"):
        best_of(Fragile(), [-1.0, -2.0])


def test_posterior_is_bayes_rule():
    with np.errstate(divide="ignore"):
        joint = np.log([[0.2, 0.3], [0.05, 0.15], [0.0, 0.1]])
    log_likelihood, responsibilities = em.posterior(joint - 1000)
    assert log_likelihood == pytest.approx(np.log([0.5, 0.2, 0.1]).sum() - 3000)
    np.testing.assert_allclose(responsibilities, [[0.4, 0.6], [0.25, 0.75], [0, 1]])

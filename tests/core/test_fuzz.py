"""The first of the data sets of ``make fuzz``: no exception, no NaN, no fall, nothing unsaid."""

import numpy as np
import pytest


@pytest.mark.parametrize("seed", range(40))
def test_a_fit_is_sound_whatever_the_data(fuzz, seed):
    fuzz.check(fuzz.problem(seed))


def test_the_seed_alone_makes_the_data_set(fuzz):
    first, again = fuzz.problem(11), fuzz.problem(11)
    np.testing.assert_array_equal(first.X, again.X)
    assert str(first) == str(again)


def test_data_sets_are_of_every_kind(fuzz):
    problems = [fuzz.problem(seed) for seed in range(40)]
    assert {made.n_components for made in problems} == {1, 2, 3, 4}
    assert {made.coordinates.shape[1] for made in problems} == {1, 2, 3}
    assert min(len(made.X) / made.X.shape[1] for made in problems) < 0.2
    scales = [np.nanstd(made.X) for made in problems]
    assert min(scales) < 1e-4
    assert max(scales) > 1e4
    assert any(abs(np.nanmean(made.X)) > 9e5 for made in problems)
    assert any(len(set(map(bytes, made.X))) < len(made.X) for made in problems)


def test_a_failure_names_its_seed(fuzz, monkeypatch):
    def fall(model, X, y=None):
        raise ArithmeticError("made to fail")

    monkeypatch.setattr(fuzz.SpatialGaussianMixture, "fit", fall)
    assert fuzz.outcome(3).startswith("seed 3 (n=")
    assert "made to fail" in fuzz.outcome(3)

"""The first of the random data sets for the baselines: nothing silent, all numbers finite."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

_SPEC = importlib.util.spec_from_file_location("fuzz_baselines", Path(__file__).parent / "fuzz.py")
fuzz = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = fuzz  # dataclasses look themselves up there
_SPEC.loader.exec_module(fuzz)


@pytest.mark.parametrize("seed", range(60))
def test_a_fit_is_sound_whatever_the_data(seed):
    fuzz.check(fuzz.problem(seed))


def test_the_seed_alone_makes_the_data_set():
    first, again = fuzz.problem(11), fuzz.problem(11)
    np.testing.assert_array_equal(first.expected, again.expected)
    assert str(first) == str(again)


def test_data_sets_are_of_every_kind():
    problems = [fuzz.problem(seed) for seed in range(60)]
    assert len({type(made.estimator) for made in problems}) == 3
    assert len({type(made.X) for made in problems}) >= 4
    spans = [np.ptp(made.expected) for made in problems]
    assert min(spans) < 1e-100
    assert max(spans) > 1e100

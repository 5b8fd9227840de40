"""`select` in several processes: the same table, the same words."""

import warnings

import numpy as np
import pandas as pd
import pytest

from spatgmm import select

X = np.random.default_rng(0).normal(size=(40, 9)) * np.repeat([1.0, 3.0], 20)[:, None]
GIVEN = {"coordinates": (3, 3), "n_init": 2, "metric": ["isotropic", "axes"]}


@pytest.mark.parametrize("random_state", [7, np.random.default_rng(7)], ids=["seed", "generator"])
def test_the_table_is_the_same_however_many_processes(random_state):
    tables = [
        select(X, [1, 2], random_state=random_state, n_jobs=n_jobs, **GIVEN)
        for n_jobs in (None, 2, -1)
    ]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(
            table.drop(columns="estimator"), tables[0].drop(columns="estimator")
        )
    best = [table["estimator"][0] for table in tables]
    np.testing.assert_array_equal(best[1].predict(X), best[0].labels_)
    np.testing.assert_array_equal(best[1].covariances_, best[0].covariances_)


def test_what_fits_warn_of_comes_back(recwarn):
    constant = np.column_stack([X, np.full(40, 3.0)])
    given = {"coordinates": np.arange(10), "random_state": 0, "max_iter": 1, "n_init": 1}
    for n_jobs in (1, 2):
        recwarn.clear()
        select(constant, [1], n_jobs=n_jobs, **given)
        told = {str(warning.message) for warning in recwarn}
        assert any("1 of 10 columns are constant" in one for one in told)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="constant"):
            select(constant, [1], **given)


def test_progress_is_shown(capsys):
    select(X, [1, 2], coordinates=(3, 3), n_init=1, n_jobs=2, verbose=True)
    assert "2/2" in capsys.readouterr().err


@pytest.mark.parametrize("n_jobs", [0, -2, 1.5, "two", True])
def test_bad_numbers_of_processes_are_refused(n_jobs):
    with pytest.raises(ValueError, match="n_jobs"):
        select(X, [1], coordinates=(3, 3), n_jobs=n_jobs)


def test_a_refusal_in_another_process_is_the_same():
    for n_jobs in (1, 2):
        with pytest.raises(ValueError, match="coordinates has 8 locations"):
            select(X, [1, 2], coordinates=(4, 2), n_jobs=n_jobs)

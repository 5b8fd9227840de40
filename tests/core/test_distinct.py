from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from spatgmm.distinct import ari, distinct

pairs_of_labels = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=30)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(pairs_of_labels)
def test_ari_is_that_of_scikit_learn(pairs):
    a, b = np.array(pairs).T
    assert ari(a, b) == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)


def test_the_best_of_each_clustering_is_kept_in_order():
    halves = np.repeat([0, 1], 50)
    candidates = [
        SimpleNamespace(rank=3, labels=np.tile([0, 1], 50)),
        SimpleNamespace(rank=2, labels=1 - halves),
        SimpleNamespace(rank=1, labels=halves),
    ]
    assert [candidate.rank for candidate in distinct(candidates)] == [1, 3]

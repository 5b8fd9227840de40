from types import SimpleNamespace

import numpy as np

from spatgmm.common.agreement import distinct


def test_the_best_of_each_clustering_is_kept_in_order():
    halves = np.repeat([0, 1], 50)
    candidates = [
        SimpleNamespace(rank=3, labels=np.tile([0, 1], 50)),
        SimpleNamespace(rank=2, labels=1 - halves),
        SimpleNamespace(rank=1, labels=halves),
    ]
    assert [candidate.rank for candidate in distinct(candidates)] == [1, 3]

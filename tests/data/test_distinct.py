from dataclasses import dataclass

import numpy as np

from spatgmm.common.agreement import distinct


@dataclass
class Candidate:
    rank: int
    labels: np.ndarray
    n_starts: int = 1


def test_the_best_of_each_clustering_is_kept_in_order_and_stands_for_all():
    halves = np.repeat([0, 1], 50)
    candidates = [
        Candidate(rank=3, labels=np.tile([0, 1], 50)),
        Candidate(rank=2, labels=1 - halves, n_starts=4),
        Candidate(rank=1, labels=halves),
    ]
    assert [(one.rank, one.n_starts) for one in distinct(candidates)] == [(1, 5), (3, 1)]
    assert candidates[2].n_starts == 1

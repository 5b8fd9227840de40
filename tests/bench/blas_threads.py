"""One EM iteration on one and on two BLAS threads: from which size on does sharing it pay?

Threads wait for one another, so that on cores with other work two can be hundreds of times slower
than one; only figures of an idle machine say what two are worth.
"""

from __future__ import annotations

import os
from functools import partial

import numpy as np
import pandas as pd
from measure import side_by_side
from problems import ExactEM
from threadpoolctl import threadpool_limits

#: Grids, and iterations timed in a row, so that the fastest take long enough to be timed.
_PROBLEMS = {(10, 10): 50, (20, 20): 10, (32, 32): 3, (32, 64): 1, (64, 64): 1}
_N, _G = 200, 2


def run() -> pd.DataFrame:
    """Seconds per iteration on one dense block, n = 200, G = 2; a row per size.

    Numbers of threads that there are no cores for are left out.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    counts = [count for count in (1, 2) if count <= cores]
    rows = []
    for shape, n_iterations in _PROBLEMS.items():
        problem = ExactEM(shape, _N, _G, symmetry=False)
        seconds = side_by_side({k: partial(_iterate, problem, n_iterations, k) for k in counts})
        row = {"p": int(np.prod(shape)), "n": _N, "G": _G}
        row |= {f"seconds, threads: {k}": seconds[k] / n_iterations for k in counts}
        row |= {f"1 thread / {k} threads": seconds[1] / seconds[k] for k in counts if k > 1}
        rows.append(row)
    return pd.DataFrame(rows)


def _iterate(problem: ExactEM, n_iterations: int, n_threads: int) -> None:
    with threadpool_limits(n_threads, user_api="blas"):
        problem.after(n_iterations)

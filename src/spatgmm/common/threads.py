"""BLAS threads inside a fit, by the size of its matrices.

With p around 100 and busy cores, two BLAS threads made the same fit 100 times slower: matrices of
this size are too small to share.  Parallelism belongs to processes; only the largest matrices gain
from threads (``make bench`` shows both).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController

#: Rows from which a matrix is worth more than one thread.
_LARGE = 3000


@cache
def _controller(user_api: str) -> ThreadpoolController:
    # Looking up the loaded libraries takes milliseconds; it is done once per process for each, as
    # scikit-learn may bring OpenMP long after numpy brought BLAS.
    return ThreadpoolController().select(user_api=user_api)


def blas_threads(n_rows: int) -> AbstractContextManager:
    """A context for work on matrices of that many rows.

    One thread for BLAS and LAPACK, or for large ones as many as they have been given
    (``OPENBLAS_NUM_THREADS`` and the like; the workflow's jobs give one).
    """
    return _controller("blas").limit(limits=1 if n_rows < _LARGE else None)


def one_blas_thread() -> AbstractContextManager:
    """A context in which BLAS and LAPACK run on one thread."""
    return blas_threads(0)


def one_openmp_thread() -> AbstractContextManager:
    """A context for scikit-learn's k-means, to be entered once that is imported.

    On busy cores its two threads wait for each other: 0.2 s for 200 maps instead of 0.006.
    """
    return _controller("openmp").limit(limits=1)

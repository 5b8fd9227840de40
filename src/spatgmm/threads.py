"""One BLAS thread inside a fit.

With p around 100 and busy cores, two BLAS threads made the same fit 100 times slower: matrices of
this size are too small to share.  Parallelism belongs to processes.
"""

from __future__ import annotations

from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    # Looking up the loaded libraries takes milliseconds; it is done once per process.
    return ThreadpoolController()


def one_blas_thread():
    """A context in which BLAS and LAPACK run on one thread."""
    return _controller().limit(limits=1, user_api="blas")

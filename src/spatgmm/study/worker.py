"""Fits in a process of their own, which is killed when one takes too long or ends when one crashes.

Code in R or BLAS does not come back to the interpreter to be interrupted, and a crash there takes
the process with it.  One forked process does all fits of a job, and another one takes over after a
kill, so that the price is a message per fit.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from threadpoolctl import threadpool_limits

from spatgmm.study.design import Batch
from spatgmm.study.rows import FAILED, TIMEOUT

Row = dict[str, Any]


class Fit(NamedTuple):
    """One replicate of a batch."""

    batch: Batch
    replicate: int


#: Rows of these fits; calls back with the known part of a row before each.
Work = Callable[[Sequence[Fit], Callable[[Row], None]], Iterator[Row]]

# By fork the new process has everything imported; nothing was computed in the parent yet.
_FORK = multiprocessing.get_context("fork")
_PR_SET_PDEATHSIG = 1

#: A method's own code ended the process; any other signal came from outside.
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}

#: Of these, what native code also does when memory or the disk runs out, and what others send.
_DISTURBANCES = {signal.SIGABRT, signal.SIGBUS}


class ReplicateError(RuntimeError):
    """A replicate could not even be tried, or was stopped from outside; no method is to blame.

    Parameters
    ----------
    message : str
    fit : Fit
    """

    def __init__(self, message: str, fit: Fit) -> None:
        super().__init__(message)
        self.fit = fit


def rows(work: Work, fits: Sequence[Fit], time_limit: float | None) -> Iterator[Row]:
    """The rows of all fits, one each.

    Parameters
    ----------
    work : callable
        Gives the rows, in the order of the fits.
    fits : sequence of Fit
    time_limit : float or None
        Seconds per fit; one that takes longer becomes a row with status ``timeout``.

    Yields
    ------
    dict
        A fit that crashes the process becomes a row with status ``failed``.

    Raises
    ------
    ReplicateError
        If maps cannot be had, or the process was killed from outside.
    """
    left = list(fits)
    while left:
        for row in _until_it_ends(work, left, time_limit):
            left.pop(0)
            yield row


def _until_it_ends(work: Work, fits: list[Fit], limit: float | None) -> Iterator[Row]:
    """Rows by one process, the last of which may be about its end."""
    receiving, sending = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_serve, args=(work, list(fits), receiving, sending), daemon=True)
    process.start()
    sending.close()
    started, deadline = {}, None
    try:
        for fit in list(fits):
            kind = "started"
            while kind == "started":
                if not receiving.poll(deadline and max(0.0, deadline - time.monotonic())):
                    error = f"stopped after the time limit of {limit:g} s"
                    late = {"status": TIMEOUT, "error": error, "seconds": limit}
                    yield started | late | {"disturbed": False}
                    return
                try:
                    kind, content = receiving.recv()
                except (EOFError, OSError):  # whole messages only
                    process.join()
                    yield _crashed(started, process.exitcode, fit)
                    return
                if kind == "started":
                    started = content
                    deadline = None if limit is None else time.monotonic() + limit
            if kind == "error":
                raise ReplicateError(content, fit)
            started, deadline = {}, None
            yield content
    finally:
        process.kill()
        process.join()
        receiving.close()


def _serve(work: Work, fits: Sequence[Fit], receiving: Connection, sending: Connection) -> None:
    _die_with_parent()
    receiving.close()  # or sending would never fail once the parent is gone
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a whole terminal: the parent's to handle
    # Parallelism belongs to jobs, and a parent's OpenMP threads do not survive the fork.
    threadpool_limits(limits=1)
    try:
        for row in work(fits, lambda row: sending.send(("started", row))):
            sending.send(("row", row))
    except BrokenPipeError:
        return
    except Exception as error:
        traceback.print_exc()
        sending.send(("error", str(error)))


def _crashed(started: Row, exitcode: int, fit: Fit) -> Row:
    """The row of a fit that has ended the process, unless it was not the fit's doing."""
    if started and -exitcode in _CRASHES:
        ended = signal.Signals(-exitcode)
        return started | {
            "status": FAILED,
            "error": f"crashed with {ended.name}",
            "disturbed": ended in _DISTURBANCES,
            "seconds": None,
        }
    ended = f"was killed by signal {-exitcode}" if exitcode < 0 else f"ended, status {exitcode}"
    likely = "; most likely memory ran out" if exitcode == -signal.SIGKILL else ""
    raise ReplicateError(f"replicate {fit.replicate}: the fitting process {ended}{likely}", fit)


def _die_with_parent() -> None:
    """Leave no fit behind when the parent is killed, where the system can (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

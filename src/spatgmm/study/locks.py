"""Locks that end with the process that holds them, whatever ends it; none is ever left behind."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

#: What file systems say that have no locks; work goes on there without.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def take(descriptor: int, wait: bool) -> None:
    """Lock an open file until it is closed or the process ends.

    Raises
    ------
    BlockingIOError
        If another process has it and `wait` is false.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def hold(path: Path) -> int:
    """Lock a file that is made for it, for as long as the descriptor is open.

    Raises
    ------
    BlockingIOError
        If another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        take(descriptor, wait=False)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


def held(path: Path) -> bool:
    """Whether a process holds the lock: of this machine, or of one that shares the file system."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        take(descriptor, wait=False)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False

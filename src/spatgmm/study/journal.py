"""Rows of a batch on disk as they come, so that a kill loses no more than the fit in progress.

A journal is a file of lines beside the batch's Parquet file, which replaces it once the batch is
complete: a row as JSON, a tab, a checksum of it.  Who writes it holds its lock, which ends with
the process whatever ends that: a second process that is given the same batch, such as after a kill
of Snakemake alone, waits.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spatgmm.common.files import DamagedFile
from spatgmm.study import locks

SUFFIX = ".rows"


class Journal:
    """The journal of one batch, opened for writing after what earlier processes left behind.

    A last line that they left half-written is dropped.

    Parameters
    ----------
    path : Path
        Missing folders are made.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._descriptor = _open_locked(path)
        os.ftruncate(self._descriptor, _complete(path.read_bytes()))

    def append(self, row: Mapping[str, Any]) -> None:
        """Write a row; OSError where the disk is full."""
        content = json.dumps(row, default=_plain).encode()
        line = content + b"\t" + _checksum(content) + b"\n"
        while line:  # a full disk may take a part first
            line = line[os.write(self._descriptor, line) :]

    def remove(self) -> None:
        """Delete the file, whose rows are elsewhere by now."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def read(path: Path, tell: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """The complete rows of a journal, none where there is no such file.

    Parameters
    ----------
    path : Path
    tell : callable
        Hears of lines that are not as they were written; of the last one, which a kill leaves
        half-written, only if it looks complete.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    lines = content[: _complete(content)].split(b"\n")[:-1]
    parts = [line.rpartition(b"\t") for line in lines]
    found = [json.loads(row) for row, _, check in parts if row and _checksum(row) == check]
    if len(found) < len(lines):
        lost = len(lines) - len(found)
        tell(str(DamagedFile(path, f"{lost} of {len(lines)} rows cannot be read")))
    return found


def _open_locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            locks.take(descriptor, wait=False)
        except BlockingIOError:
            print(f"{path}: another process is at this batch; waiting for it", file=sys.stderr)
            locks.take(descriptor, wait=True)
        try:
            # Whoever had it may have finished and removed it meanwhile.
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=8).hexdigest().encode()


def _complete(content: bytes) -> int:
    return content.rfind(b"\n") + 1


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a row of results cannot hold a {type(value).__name__}")

"""Batches that the next run has to look at again although their files are there.

Snakemake reruns a job whose parameters have changed.  One of them is how many times a batch was
to be looked at again; a small file holds the number, and whether the latest time is still to come.
"""

from __future__ import annotations

from pathlib import Path

from spatgmm.common.files import atomic_path
from spatgmm.study.design import Batch

_PENDING = "pending"


def times(results: Path, batch: Batch) -> int:
    """How many times this batch was to be looked at again, the time that is to come included."""
    try:
        number, *pending = _path(results, batch).read_text().split()
        return int(number) + (pending == [_PENDING])
    except (OSError, ValueError):  # no such file; whatever else it holds, it is not worth a stop
        return 0


def mark(results: Path, batch: Batch, pending: bool) -> None:
    """Keep in mind after a look at a batch whether another one is needed."""
    path, number = _path(results, batch), times(results, batch)
    if pending or path.exists():
        with atomic_path(path) as temporary:
            temporary.write_text(f"{number} {_PENDING if pending else ''}".strip())


def _path(results: Path, batch: Batch) -> Path:
    return results / "again" / str(batch)

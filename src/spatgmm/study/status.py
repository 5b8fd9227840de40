"""What has become of a run so far, read from its folder alone."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from spatgmm.study import journal, locks, provenance
from spatgmm.study.design import Batch, Design, fits_path
from spatgmm.study.rows import LOST


@dataclass
class Status:
    """Numbers of fits by state, and which of them gave no result.

    Attributes
    ----------
    total : int
        Fits of the design.
    ended : Counter
        By status, fits of finished and unfinished batches alike.
    stale : int
        Fits of other code than that which is here; the next run repeats them.
    running, interrupted : int
        Batches that a process is at, and those that one has left half-done.
    failed : list of (Batch, int, str)
        Batch, replicate and error of each fit that failed or ran out of time.
    """

    total: int
    ended: Counter = field(default_factory=Counter)
    stale: int = 0
    running: int = 0
    interrupted: int = 0
    failed: list[tuple[Batch, int, str]] = field(default_factory=list)


def survey(results: Path, design: Design) -> Status:
    """Read every batch's file and journal."""
    status = Status(sum(design.replicates().values()))
    for batch in design.batches():
        code = provenance.fit_code(design.methods[batch.method].plugin)
        path = fits_path(results, batch)
        log = path.with_suffix(journal.SUFFIX)
        if log.exists():
            if locks.held(log):
                status.running += 1
            else:
                status.interrupted += 1
        seen = set()
        for replicate, ended, error, made_by in (*_rows(path), *_journal(log)):
            if replicate in seen:
                continue
            seen.add(replicate)
            if made_by != code:
                status.stale += 1
                continue
            status.ended[ended] += 1
            if ended in LOST:
                status.failed.append((batch, replicate, str(error)))
    return status


def alone(config: str | Path, case: str, method: str, replicate: int) -> str:
    """The command that repeats one fit and shows its row."""
    command = ["python", "-m", "spatgmm", "study", "fit", "--config", str(config)]
    command += ["--case", case, "--method", method, "--replicates", str(replicate), "--show"]
    return shlex.join(command)


def _rows(path: Path) -> Iterator[tuple]:
    if path.exists():
        table = pq.read_table(path, columns=["replicate", "status", "error", "code_hash"])
        yield from zip(*(column.to_pylist() for column in table.columns), strict=True)


def _journal(path: Path) -> Iterator[tuple]:
    for row in journal.read(path):
        yield row["replicate"], row["status"], row["error"], row["code_hash"]

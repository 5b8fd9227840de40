"""What has become of a run so far, read from its folder alone."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from spatgmm.common.files import DamagedFile
from spatgmm.study import journal, locks, parquet, provenance
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
    disturbed : int
        Fits that what surrounded them kept from a result; the next run repeats them.
    damaged : list of str
        A line for each damaged file.
    """

    total: int
    ended: Counter = field(default_factory=Counter)
    stale: int = 0
    running: int = 0
    interrupted: int = 0
    failed: list[tuple[Batch, int, str]] = field(default_factory=list)
    disturbed: int = 0
    damaged: list[str] = field(default_factory=list)


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
        # A journal beside a finished batch holds what was repeated of it.
        rows = {row["replicate"]: row for row in _rows(path, status.damaged.append)}
        rows |= {row["replicate"]: row for row in journal.read(log, status.damaged.append)}
        for replicate, row in rows.items():
            if row["code_hash"] != code:
                status.stale += 1
                continue
            status.ended[row["status"]] += 1
            status.disturbed += bool(row["disturbed"])
            if row["status"] in LOST:
                status.failed.append((batch, replicate, str(row["error"])))
    return status


def alone(config: str | Path, case: str, method: str, replicate: int) -> str:
    """The command that repeats one fit and shows its row."""
    command = ["python", "-m", "spatgmm", "study", "fit", "--config", str(config)]
    command += ["--case", case, "--method", method, "--replicates", str(replicate), "--show"]
    return shlex.join(command)


def _rows(path: Path, tell: Callable[[str], None]) -> list[dict]:
    columns = ["replicate", "status", "error", "disturbed", "code_hash"]
    try:
        return parquet.read(path, columns).to_pylist()
    except FileNotFoundError:
        return []
    except DamagedFile as error:
        tell(str(error))
        return []

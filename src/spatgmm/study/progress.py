"""How far a run is: a line per finished batch, from Snakemake's own events.

The process that schedules the jobs says it, wherever they run, so that a cluster looks like a
laptop.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spatgmm.study.design import Batch, Design, fits_path
from spatgmm.study.rows import LOST, OK, ended

#: Reasons that a line gives for fits without a result, and characters of each.
_REASONS, _SHOWN = 3, 100


def line(batch: Batch, rows: Iterable[Mapping[str, Any]]) -> str:
    """What became of a batch.

    Parameters
    ----------
    batch : Batch
    rows : iterable of mapping
        With columns ``status``, ``error``, ``ari`` and ``seconds``.
    """
    rows = list(rows)
    counts = ended(row["status"] for row in rows)
    told = ", ".join(f"{number} {status}" for status, number in counts.items())
    aris = [row["ari"] for row in rows if row["status"] == OK]
    mean = f", mean ARI {sum(aris) / len(aris):.3f}" if aris else ""
    seconds = sum(row["seconds"] or 0.0 for row in rows)
    where = f"{batch.case:20} {batch.method:14} {batch.first:3}-{batch.last}"
    why = reasons(row["error"] for row in rows if row["status"] in LOST)
    return f"{where}: {told}{mean}, {seconds:.1f} s{why and f' ({why})'}"


def reasons(errors: Iterable[str]) -> str:
    """Errors of fits as a reader wants them: the most frequent first, each once, a line each."""
    counted = Counter(" ".join(str(error).split())[:_SHOWN] for error in errors).most_common()
    told = [f"{number} × {error}" for error, number in counted[:_REASONS]]
    return "; ".join(told + ["..."] * (len(counted) > _REASONS))


def clock(seconds: float) -> str:
    """A duration as a reader says it."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def follow(logger: logging.Logger, progress: Progress) -> None:
    """Say what became of batches instead of what jobs Snakemake starts, on the terminal."""
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(
            handler, logging.FileHandler
        ):
            handler.addFilter(_worth_reading)
    logger.addHandler(progress)


class Progress(logging.Handler):
    """Listens to Snakemake's events.

    Parameters
    ----------
    design : Design
    results : Path
    waiting : dict of Batch by job id
        The batches that this run has to do.
    """

    def __init__(self, design: Design, results: Path, waiting: Mapping[int, Batch]) -> None:
        super().__init__()
        self._results = results
        self._waiting = dict(waiting)
        self._total = sum(design.replicates().values())
        self._left = self._ours = sum(_size(batch) for batch in waiting.values())
        self._start = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line if a batch has finished, or why a job has failed."""
        try:
            event = _event(record)
            if event == "job_finished" and record.job_id in self._waiting:
                self._say(self._finished(self._waiting.pop(record.job_id)))
            elif event == "job_error":
                # The job's own log, or else what the cluster kept of it.
                told = filter(None, map(_last_line, map(Path, record.log)))
                nothing = "its log is empty: cancelled, killed, or no room on the disk"
                self._say(f"{record.rule_name} failed: {next(told, nothing)}")
        except Exception:  # a line that cannot be said must not end the run
            self.handleError(record)

    def _finished(self, batch: Batch) -> str:
        import pyarrow.parquet as pq

        self._left -= _size(batch)
        path = fits_path(self._results, batch)
        rows = pq.read_table(path, columns=["status", "ari", "seconds"]).to_pylist()
        told = f"{line(batch, rows)}; {self._total - self._left:,}/{self._total:,} fits"
        if self._left:
            done = self._ours - self._left
            rest = (time.monotonic() - self._start) / done * self._left
            told += f", {clock(rest)} left"
        return told

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def _event(record: logging.LogRecord) -> str:
    return str(getattr(record, "event", ""))


def _worth_reading(record: logging.LogRecord) -> bool:
    noise = record.getMessage().startswith(("Select jobs", "Execute ", "Cannot restore"))
    return _event(record) not in ("job_finished", "progress") and not noise


def _size(batch: Batch) -> int:
    return batch.last - batch.first + 1


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""

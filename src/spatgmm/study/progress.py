"""How far a run is: a line per finished batch, from Snakemake's own events about jobs.

The process that schedules the jobs says it, wherever they run, so that a cluster looks like a
laptop.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from spatgmm.study.design import Batch, Design, Job, fits_path
from spatgmm.study.remaining import Remaining
from spatgmm.study.rows import LOST, OK, STATUSES, ended

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
    """Say what is ahead, and what became of batches instead of what jobs Snakemake starts."""
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(
            handler, logging.FileHandler
        ):
            handler.addFilter(_worth_reading)
    logger.addHandler(progress)
    if told := progress.outlook():
        print(told, file=sys.stderr, flush=True)


def finish(logger: logging.Logger) -> str | None:
    """Say how the fits of this run ended.

    Returns
    -------
    str or None
        Why the run is to end with an error all the same: fits failed that may not fail next time.
    """
    for progress in (handler for handler in logger.handlers if isinstance(handler, Progress)):
        if told := progress.summary():
            print(told, file=sys.stderr, flush=True)
        if progress.disturbed:
            return (
                f"{progress.disturbed:,} fits failed for lack of memory, room or the like; all "
                "else is done, and the same command tries them again"
            )
    return None


class Progress(logging.Handler):
    """Listens to Snakemake's events.

    Parameters
    ----------
    design : Design
    results : Path
    waiting : dict of Job by Snakemake's id of it
        What this run has to do.
    now : callable
        Seconds from any start.
    at_once : int
        Jobs that may run at a time.

    Attributes
    ----------
    disturbed : int
        Failed fits of this run that were not the method's or the maps' fault.
    """

    def __init__(
        self,
        design: Design,
        results: Path,
        waiting: Mapping[int, Job],
        now: Callable[[], float] = time.monotonic,
        at_once: int = 1,
    ) -> None:
        super().__init__()
        self._results = results
        self._waiting = dict(waiting)
        self._total = sum(design.replicates().values())
        self._left = sum(len(batch) for job in waiting.values() for batch in job)
        self._remaining = Remaining(design, self._waiting.values(), now, at_once)
        self._ended: Counter[str] = Counter()
        self._errors: list[str] = []
        self.disturbed = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line if a batch has finished, or why a job has failed."""
        try:
            event = _event(record)
            if event == "job_started":
                jobs = [self._waiting[id] for id in record.jobs if id in self._waiting]
                self._remaining.started(jobs)
            elif event == "job_finished" and record.job_id in self._waiting:
                self._say("\n".join(self._finished(self._waiting.pop(record.job_id))))
            elif event == "job_error":
                if job := self._waiting.get(getattr(record, "jobid", None)):
                    self._remaining.stopped(job)
                # The job's own log, or else what the cluster kept of it.
                told = filter(None, map(_last_line, map(Path, record.log)))
                nothing = "its log is empty: cancelled, killed, or no room on the disk"
                self._say(f"{record.rule_name} failed: {next(told, nothing)}")
        except Exception:  # a line that cannot be said must not end the run
            self.handleError(record)

    def outlook(self) -> str:
        """What this run is to fit, and how long that may take; empty where it is nothing."""
        if not self._left:
            return ""
        fits = f"{self._left:,} fits in {len(self._waiting):,} jobs"
        return f"{fits}: {clock(self._remaining.seconds())}, by what such fits usually take"

    def summary(self) -> str:
        """How many fits of this run have no result, and why; empty where all have one."""
        lost = {status: self._ended[status] for status in STATUSES if status != OK}
        counts = ", ".join(f"{number:,} {status}" for status, number in lost.items() if number)
        if not counts:
            return ""
        text = f"Of {sum(self._ended.values()):,} fits without a result: {counts}"
        return text + (f" ({reasons(self._errors)})" if self._errors else "")

    def _finished(self, job: Job) -> list[str]:
        """A line per batch."""
        from spatgmm.study import parquet

        columns = ["status", "error", "disturbed", "ari", "seconds"]
        rows = {
            batch: parquet.read(fits_path(self._results, batch), columns).to_pylist()
            for batch in job
        }
        self._remaining.finished(
            job, {batch: sum(row["seconds"] or 0.0 for row in of) for batch, of in rows.items()}
        )
        lines = []
        for batch, of in rows.items():
            self._left -= len(batch)
            self._count(of)
            lines.append(f"{line(batch, of)}; {self._total - self._left:,}/{self._total:,} fits")
        if self._left:
            lines[-1] += f", {clock(self._remaining.seconds())} left"
        return lines

    def _count(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            self._ended[row["status"]] += 1
            if row["status"] in LOST:
                self._errors.append(row["error"])
                self.disturbed += bool(row["disturbed"])

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def _event(record: logging.LogRecord) -> str:
    return str(getattr(record, "event", ""))


def _worth_reading(record: logging.LogRecord) -> bool:
    noise = record.getMessage().startswith(("Select jobs", "Execute ", "Cannot restore"))
    return _event(record) not in ("job_finished", "progress") and not noise


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""

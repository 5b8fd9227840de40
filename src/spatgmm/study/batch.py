"""The batches of a job: what is there already is taken over, the rest is fitted.

Rows are taken from whatever files of the same case and method hold them, complete or interrupted,
so that other batch sizes and further replicates repeat no fit.  A row counts only if it comes of
the same settings, maps and code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

from spatgmm import methods
from spatgmm.common.files import DamagedFile
from spatgmm.study import again, cases, journal, parquet, provenance, worker
from spatgmm.study.design import Batch, Design, Job, digest, fits_path
from spatgmm.study.fit import fit_rows
from spatgmm.study.rows import TIMEOUT
from spatgmm.study.worker import Fit, ReplicateError

Row = dict[str, Any]


def complete(
    results: Path,
    design: Design,
    job: Job,
    on_row: Callable[[Row], None] = lambda row: None,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[Batch, list[Row]]:
    """Fit what is missing of a job's batches and write their files.

    A batch that comes to nothing does not keep the others from being fitted.

    Parameters
    ----------
    results : Path
    design : Design
    job : tuple of Batch
    on_row : callable
        Gets each new row once it is on disk.
    tell : callable
        Hears of files that are damaged.

    Returns
    -------
    dict of list of dict
        All rows of each batch, new and old.

    Raises
    ------
    spatgmm.study.worker.ReplicateError
        See :func:`fit`; no file is written then, and every row is kept in the journals.
    DamagedFile
        If the maps of a data set are.
    OSError
        If the disk is full; rows written before are kept.
    """
    with ExitStack() as stack:
        # In the same order in every process, so that no two wait for each other.
        journals = {
            batch: stack.enter_context(
                journal.Journal(fits_path(results, batch).with_suffix(journal.SUFFIX))
            )
            for batch in sorted(job, key=str)
        }
        there = {batch: finished(results, design, batch, tell) for batch in job}
        missing = [
            Fit(batch, r) for batch in job for r in batch.replicates if r not in there[batch]
        ]
        failures = []
        while missing:
            try:
                for row in fit(results, design, missing):
                    done = missing.pop(0)
                    journals[done.batch].append(row)
                    there[done.batch][done.replicate] = row
                    on_row(row)
            except ReplicateError as error:
                failures.append(error)
                missing = [one for one in missing if one.batch != error.fit.batch]
        if failures:
            raise failures[0]
        rows = {batch: [there[batch][r] for r in batch.replicates] for batch in job}
        for batch, done in rows.items():
            parquet.write(fits_path(results, batch), done)
            again.mark(results, batch, pending=any(row["disturbed"] for row in done))
        # Only now: Snakemake deletes the new files of a job that has failed half-way.
        for kept in journals.values():
            kept.remove()
    return rows


def fit(results: Path, design: Design, wanted: Sequence[Fit]) -> Iterator[Row]:
    """Rows of these replicates of batches, fitted now.

    One process fits them all, so that what a method imports or starts is there for the next batch.

    Parameters
    ----------
    results : Path
    design : Design
    wanted : sequence of Fit
        By methods that differ in parameters at most.

    Raises
    ------
    ReplicateError
        If maps cannot be had or the process was killed.
    """
    batches = dict.fromkeys(one.batch for one in wanted)
    stamps = {batch: identity(results, design, batch) for batch in batches}
    limits = {design.methods[batch.method].time_limit for batch in batches}
    (limit,) = limits or {None}
    for plugin in {design.methods[batch.method].plugin for batch in batches}:
        methods.get(plugin)  # imported once, not again after a kill

    def work(wanted: Sequence[Fit], started: Callable[[Row], None]) -> Iterator[Row]:
        for batch, fits in groupby(wanted, key=lambda one: one.batch):
            variant = design.methods[batch.method]
            # In the fitting process, since it may start R.
            versions = stamps[batch] | provenance.versions(variant.plugin)
            for row in fit_rows(
                design.cases[batch.case],
                variant,
                [one.replicate for one in fits],
                root_seed=design.root_seed,
                results=results,
                started=lambda row, versions=versions: started(row | versions),
            ):
                yield row | versions

    return worker.rows(work, wanted, limit)


def finished(
    results: Path, design: Design, batch: Batch, tell: Callable[[str], None] = lambda text: None
) -> dict[int, Row]:
    """Rows of a batch that are on disk and stand, whatever batches they were written in.

    Those that were ended by what surrounded them do not stand, nor those of other settings, maps
    or code; `tell` hears of files that are damaged.

    Returns
    -------
    dict of dict by replicate
    """
    wanted = batch.replicates
    same = identity(results, design, batch)
    limit = design.methods[batch.method].time_limit
    found: dict[int, Row] = {}
    for path in _files(fits_path(results, batch).parent, wanted):
        for row in _read(path, tell):
            stands = all(row.get(name) == value for name, value in same.items())
            # More time may bring a result.
            more_time = row["status"] == TIMEOUT and (limit is None or limit > row["seconds"])
            if stands and not more_time and not row["disturbed"] and row["replicate"] in wanted:
                found[row["replicate"]] = row
    return found


def identity(results: Path, design: Design, batch: Batch) -> Row:
    """What every row of a batch shares, and a row must have to stand as one of its rows.

    Raises
    ------
    DamagedFile
        If the maps of a data set are.
    """
    case, variant = design.cases[batch.case], design.methods[batch.method]
    settings = [design.fit_settings(case.id, variant.id)]
    if not case.simulated:
        settings.append(cases.fingerprint(case, results))
    return {
        "case": case.id,
        "method": variant.id,
        "settings_hash": digest(settings),
        "code_hash": provenance.fit_code(variant.plugin),
    }


def _files(folder: Path, wanted: range) -> list[Path]:
    """Files of batches that overlap these replicates."""
    overlapping = []
    for path in sorted(folder.glob("*-*")):
        first, _, last = path.stem.partition("-")
        known = path.suffix in (".parquet", journal.SUFFIX) and first.isdigit() and last.isdigit()
        if known and int(first) < wanted.stop and int(last) >= wanted.start:
            overlapping.append(path)
    return overlapping


def _read(path: Path, tell: Callable[[str], None]) -> list[Row]:
    try:
        return (
            journal.read(path, tell)
            if path.suffix == journal.SUFFIX
            else parquet.read(path).to_pylist()
        )
    except FileNotFoundError:  # a neighbour finished meanwhile
        return []
    except DamagedFile as error:
        tell(str(error))
        return []

"""One batch of replicates: what is there already is taken over, the rest is fitted.

Rows are taken from whatever files of the same case and method hold them, complete or interrupted,
so that other batch sizes and further replicates repeat no fit.  A row counts only if it comes of
the same settings, maps and code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from spatgmm import methods
from spatgmm.common.files import DamagedFile
from spatgmm.study import again, cases, journal, parquet, provenance, worker
from spatgmm.study.design import Batch, Design, digest, fits_path
from spatgmm.study.fit import fit_rows
from spatgmm.study.rows import TIMEOUT

Row = dict[str, Any]


def complete(
    results: Path,
    design: Design,
    batch: Batch,
    on_row: Callable[[Row], None] = lambda row: None,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Row]:
    """Fit what is missing of a batch and write its file.

    Parameters
    ----------
    results : Path
    design : Design
    batch : Batch
    on_row : callable
        Gets each new row once it is on disk.
    tell : callable
        Hears of files that are damaged.

    Returns
    -------
    list of dict
        All rows of the batch, new and old.

    Raises
    ------
    spatgmm.study.fit.ReplicateError
        See :func:`fit`.
    DamagedFile
        If the maps of a data set are.
    OSError
        If the disk is full; rows written before are kept.
    """
    path = fits_path(results, batch)
    with journal.Journal(path.with_suffix(journal.SUFFIX)) as kept:
        there = finished(results, design, batch, tell)
        missing = [r for r in range(batch.first, batch.last + 1) if r not in there]
        for row in fit(results, design, batch, missing):
            kept.append(row)
            there[row["replicate"]] = row
            on_row(row)
        done = [there[replicate] for replicate in sorted(there)]
        parquet.write(path, done)
        again.mark(results, batch, pending=any(row["disturbed"] for row in done))
        kept.remove()
    return done


def fit(results: Path, design: Design, batch: Batch, replicates: Sequence[int]) -> Iterator[Row]:
    """Rows of these replicates of a batch's case and method, fitted now.

    Raises
    ------
    spatgmm.study.fit.ReplicateError
        If maps cannot be had or the process was killed.
    """
    case, variant = design.cases[batch.case], design.methods[batch.method]
    stamp = identity(results, design, batch)
    methods.get(variant.plugin)  # imported once, not again after a kill

    def work(replicates: Sequence[int], started: Callable[[Row], None]) -> Iterator[Row]:
        # In the fitting process, since it may start R.
        versions = stamp | provenance.versions(variant.plugin)
        for row in fit_rows(
            case,
            variant,
            replicates,
            root_seed=design.root_seed,
            results=results,
            started=lambda row: started(row | versions),
        ):
            yield row | versions

    return worker.rows(work, replicates, variant.time_limit)


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
    wanted = range(batch.first, batch.last + 1)
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

"""One batch of replicates: what is there already is taken over, the rest is fitted.

Rows are taken from whatever files of the same case and method hold them, complete or interrupted,
so that other batch sizes and further replicates repeat no fit.  A row counts only if it comes of
the same settings, maps and code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from spatgmm import methods
from spatgmm.study import journal, parquet, provenance, worker
from spatgmm.study.cases import data_path
from spatgmm.study.design import Batch, Design, digest, fits_path
from spatgmm.study.fit import fit_rows
from spatgmm.study.rows import TIMEOUT

Row = dict[str, Any]


def complete(
    results: Path, design: Design, batch: Batch, told: Callable[[Row], None] = lambda row: None
) -> list[Row]:
    """Fit what is missing of a batch and write its file.

    Parameters
    ----------
    results : Path
    design : Design
    batch : Batch
    told : callable
        Hears of each new row once it is on disk.

    Returns
    -------
    list of dict
        All rows of the batch, new and old.

    Raises
    ------
    spatgmm.study.fit.ReplicateError
        See :func:`fit`.
    OSError
        If the disk is full; rows written before are kept.
    """
    path = fits_path(results, batch)
    with journal.Journal(path.with_suffix(journal.SUFFIX)) as kept:
        there = finished(results, design, batch)
        missing = [r for r in range(batch.first, batch.last + 1) if r not in there]
        for row in fit(results, design, batch, missing):
            kept.append(row)
            there[row["replicate"]] = row
            told(row)
        done = [there[replicate] for replicate in sorted(there)]
        parquet.write(path, done)
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
    identity = _identity(results, design, batch)
    methods.get(variant.plugin)  # imported once, not again after a kill

    def work(replicates: Sequence[int], started: Callable[[Row], None]) -> Iterator[Row]:
        # In the fitting process, since it may start R.
        stamp = identity | provenance.versions(variant.plugin)
        for row in fit_rows(
            case,
            variant,
            replicates,
            root_seed=design.root_seed,
            results=results,
            started=lambda row: started(row | stamp),
        ):
            yield row | stamp

    return worker.rows(work, replicates, variant.time_limit)


def finished(results: Path, design: Design, batch: Batch) -> dict[int, Row]:
    """Rows of a batch that are on disk, by replicate, whatever batches they were written in."""
    wanted = range(batch.first, batch.last + 1)
    identity = _identity(results, design, batch)
    limit = design.methods[batch.method].time_limit
    found: dict[int, Row] = {}
    for path in _files(fits_path(results, batch).parent, wanted):
        for row in _read(path, wanted):
            valid = all(row.get(name) == value for name, value in identity.items())
            # More time may bring a result.
            if row["status"] == TIMEOUT and (limit is None or limit > row["seconds"]):
                valid = False
            if valid:
                found[row["replicate"]] = row
    return found


def _identity(results: Path, design: Design, batch: Batch) -> Row:
    """What a row must share with another one to stand in its place."""
    case, variant = design.cases[batch.case], design.methods[batch.method]
    settings = [design.fit_settings(case.id, variant.id)]
    if not case.simulated:
        maps = data_path(results, case.id).read_bytes()
        settings.append(hashlib.blake2b(maps).hexdigest())
    return {"settings_hash": digest(settings), "code_hash": provenance.fit_code(variant.plugin)}


def _files(folder: Path, wanted: range) -> list[Path]:
    """Files of batches that overlap these replicates."""
    overlapping = []
    for path in sorted(folder.glob("*-*")):
        first, _, last = path.stem.partition("-")
        known = path.suffix in (".parquet", journal.SUFFIX) and first.isdigit() and last.isdigit()
        if known and int(first) < wanted.stop and int(last) >= wanted.start:
            overlapping.append(path)
    return overlapping


def _read(path: Path, wanted: range) -> Iterator[Mapping[str, Any]]:
    try:
        if path.suffix == journal.SUFFIX:
            found = journal.read(path)
        else:
            found = pq.read_table(path).to_pylist()
    except FileNotFoundError:  # a neighbour finished meanwhile
        return
    yield from (row for row in found if row["replicate"] in wanted)

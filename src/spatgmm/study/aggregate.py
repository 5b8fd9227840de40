"""All batches as one table, and the table of the design."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spatgmm.common.files import DamagedFile, atomic_path
from spatgmm.study import again, cases, parquet, vary
from spatgmm.study.batch import identity
from spatgmm.study.design import Batch, Design, fits_path, varied
from spatgmm.study.parquet import SCHEMA

#: Rows that are held in memory before they are written.
ROW_GROUP = 50_000

#: Files, and replicates in one, that an error names.
_NAMED = 10


def merge_fits(results: Path, design: Design) -> int:
    """Write ``fits.parquet`` from the batches of the design, and of no others.

    Batches are read one after the other, so that memory does not grow with their number.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    ValueError
        If files are damaged or do not hold what the design asks for: it names them, and the next
        run makes their batches again.
    """
    schema = _schema(results, design)
    rows, waiting = 0, []
    with (
        atomic_path(results / "fits.parquet") as temporary,
        pq.ParquetWriter(temporary, schema) as writer,
    ):
        for batch in design.batches():
            waiting.append(_conform(parquet.read(fits_path(results, batch)), schema))
            # A row group per batch would hold more about columns than in them.
            if sum(map(len, waiting)) >= ROW_GROUP:
                rows += _write(writer, waiting)
        rows += _write(writer, waiting)
    return rows


def design_table(results: Path, design: Design) -> pd.DataFrame:
    """What every case and method is: a row per study, case and method.

    Every varied key is a column, those of the methods as ``method.<parameter>``; it is empty
    where a scenario, data set or method has no such key.
    """
    sizes = {case.id: cases.sizes(case, results) for case in design.cases.values()}
    rows = []
    for study, pairs in design.studies.items():
        for (id, method), replicates in pairs.items():
            case, variant = design.cases[id], design.methods[method]
            row = {"case": id, "study": study, "scenario": case.scenario, "method": method}
            row |= {"base_method": variant.base_method, "replicates": replicates}
            row |= sizes[id]
            if variant.n_components is not None:
                row["n_components"] = variant.n_components
            called = design.labels.get(id) or design.labels.get(method)
            rows.append(row | varied(case, variant) | ({vary.LABEL: called} if called else {}))
    return pd.DataFrame(rows)


def write_design(results: Path, design: Design) -> None:
    """Write ``design.csv``."""
    with atomic_path(results / "design.csv") as temporary:
        design_table(results, design).to_csv(temporary, index=False)


def _schema(results: Path, design: Design) -> pa.Schema:
    """The fixed columns, then every further one that some batch has; all files are checked."""
    seen, problems = SCHEMA, []
    for batch in design.batches():
        path, same = fits_path(results, batch), identity(results, design, batch)
        try:
            table = parquet.read(path)
            problem = _problem(table, batch, same)
        except (DamagedFile, FileNotFoundError) as error:
            problem = str(error)
        if problem:
            again.mark(results, batch, pending=True)
            problems.append(problem if str(path) in problem else f"{path}: {problem}")
            continue
        found = table.schema.remove_metadata()
        if not found.equals(seen):
            seen = pa.unify_schemas([seen, found])
    if problems:
        shown = problems[:_NAMED] + [f"and {len(problems) - _NAMED} more"][: len(problems) > _NAMED]
        lines = "".join(f"\n  {line}" for line in shown)
        raise ValueError(
            f"{len(problems)} file(s) do not hold what the design asks for; the same command of "
            f"Snakemake makes them again:{lines}"
        )
    further = sorted(set(seen.names) - set(SCHEMA.names))
    return pa.schema([seen.field(name) for name in [*SCHEMA.names, *further]])


def _problem(table: pa.Table, batch: Batch, same: Mapping[str, str]) -> str | None:
    """What is wrong with a batch's rows, whose columns `same` have these values throughout."""
    wanted = set(range(batch.first, batch.last + 1))
    there = Counter(table["replicate"].to_pylist())
    for what, replicates in (
        ("lacks", wanted - set(there)),
        ("has no use for", set(there) - wanted),
        ("holds more than once", {replicate for replicate in there if there[replicate] > 1}),
    ):
        if replicates:
            return f"{what} replicate {', '.join(map(str, sorted(replicates)[:_NAMED]))}"
    for name, value in same.items():
        others = set(table[name].to_pylist()) - {value}
        if others:
            return f"holds rows of another {name.replace('_hash', '')}: {others.pop()!r}"
    return None


def _write(writer: pq.ParquetWriter, waiting: list[pa.Table]) -> int:
    """Write what waits and forget it; the number of its rows."""
    rows = sum(map(len, waiting))
    if rows:
        writer.write_table(pa.concat_tables(waiting))
    waiting.clear()
    return rows


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly these columns."""
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)

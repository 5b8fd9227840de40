"""Rows of results as Parquet: the columns every fit has, and those that some bring along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spatgmm.common.files import atomic_path

#: Columns of every row; ``extra.*``, ``estimate.*`` and the like follow them.
COLUMNS = pa.schema(
    [
        ("case", pa.string()),
        ("scenario", pa.string()),
        ("method", pa.string()),
        ("plugin", pa.string()),
        ("replicate", pa.int64()),
        ("n", pa.int64()),
        ("p", pa.int64()),
        ("n_components", pa.int64()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("ari", pa.float64()),
        ("accuracy", pa.float64()),
        ("log_likelihood", pa.float64()),
        ("n_parameters", pa.int64()),
        ("bic", pa.float64()),
        ("n_iter", pa.int64()),
        ("converged", pa.bool_()),
        ("seconds", pa.float64()),
        ("peak_memory_mb", pa.float64()),
        ("settings_hash", pa.string()),
        ("code_hash", pa.string()),
        ("spatgmm", pa.string()),
        ("python", pa.string()),
        ("numpy", pa.string()),
        ("scipy", pa.string()),
        ("scikit_learn", pa.string()),
        ("r", pa.string()),
        ("labels", pa.list_(pa.int16())),
    ]
)


def table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table; further columns hold texts or floats, or nothing of a type yet."""
    rows = [dict(row) for row in rows]
    further = sorted({name for row in rows for name in row} - set(COLUMNS.names))
    fields = list(COLUMNS)
    for name in further:
        values = [row[name] for row in rows if row.get(name) is not None]
        fields.append(pa.field(name, _type(values)))
    columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in fields]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def write(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows to one Parquet file, complete or not at all."""
    with atomic_path(path) as temporary:
        pq.write_table(table(rows), temporary)


def _type(values: list[Any]) -> pa.DataType:
    if not values:
        return pa.null()
    return pa.string() if any(isinstance(value, str) for value in values) else pa.float64()

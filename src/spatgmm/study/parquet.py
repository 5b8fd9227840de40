"""Rows of results in Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spatgmm.common.files import atomic_path
from spatgmm.study import rows

#: Columns of every file; further ones follow them.
SCHEMA = pa.schema(
    [
        (name, pa.list_(pa.int16()) if type == "list<int16>" else pa.type_for_alias(type))
        for name, type in rows.COLUMNS.items()
    ]
)


def table(found: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table; further columns hold texts or floats, or nothing of a type yet."""
    found = list(found)
    further = sorted({name for row in found for name in row} - set(SCHEMA.names))
    fields = list(SCHEMA)
    for name in further:
        values = [row[name] for row in found if row.get(name) is not None]
        fields.append(pa.field(name, _type(values)))
    columns = [pa.array([row.get(field.name) for row in found], field.type) for field in fields]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def write(path: str | Path, found: Iterable[Mapping[str, Any]]) -> None:
    """Write rows to one file, complete or not at all."""
    with atomic_path(path) as temporary:
        pq.write_table(table(found), temporary)


def _type(values: list[Any]) -> pa.DataType:
    if not values:
        return pa.null()
    return pa.string() if any(isinstance(value, str) for value in values) else pa.float64()

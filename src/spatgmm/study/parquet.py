"""Rows of results in Parquet files, each sealed with a checksum of all its bytes.

The checksum stands in the footer among its keys and values, as text of a fixed length; it is that
of the file with blanks in its place.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spatgmm.common.files import DamagedFile, atomic_path
from spatgmm.study import rows

#: Columns of every file; further ones follow them.
SCHEMA = pa.schema(
    [
        (name, pa.list_(pa.int16()) if type == "list<int16>" else pa.type_for_alias(type))
        for name, type in rows.COLUMNS.items()
    ]
)

_KEY, _SEAL = "checksum", b"blake2b:"
_DIGITS = 32


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
    write_table(path, table(found))


def write_table(path: str | Path, whole: pa.Table) -> None:
    """Write a table of rows to one file, complete or not at all."""
    content = io.BytesIO()
    with pq.ParquetWriter(content, whole.schema) as writer:
        writer.write_table(whole)
        writer.add_key_value_metadata({_KEY: (_SEAL + b" " * _DIGITS).decode()})
    blank = content.getvalue()
    start = _sealed_at(blank)
    with atomic_path(path) as temporary:
        temporary.write_bytes(blank[:start] + _digest(blank) + blank[start + _DIGITS :])


def read(path: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a file, or some of their columns.

    Raises
    ------
    DamagedFile
        If it is not what was written.
    FileNotFoundError
    """
    content = Path(path).read_bytes()
    start = _sealed_at(content)
    if start is None:
        raise DamagedFile(path, f"{len(content)} bytes without a checksum")
    digest = content[start : start + _DIGITS]
    if digest != _digest(content[:start] + b" " * _DIGITS + content[start + _DIGITS :]):
        raise DamagedFile(path, "its checksum does not agree")
    # Not pq.read_table, which imports pandas.
    return pq.ParquetFile(pa.BufferReader(content)).read(columns, use_threads=False)


def _sealed_at(content: bytes) -> int | None:
    """Where the checksum's digits begin."""
    found = content.rfind(_SEAL)
    return None if found < 0 or found + len(_SEAL) + _DIGITS > len(content) else found + len(_SEAL)


def _digest(blank: bytes) -> bytes:
    return hashlib.blake2b(blank, digest_size=_DIGITS // 2).hexdigest().encode()


def _type(values: list[Any]) -> pa.DataType:
    if not values:
        return pa.null()
    return pa.string() if any(isinstance(value, str) for value in values) else pa.float64()

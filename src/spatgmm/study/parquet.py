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

import numpy as np
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
    columns = [_array([row.get(field.name) for row in found], field.type) for field in fields]
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
        raise DamagedFile(
            path, f"{len(content)} bytes without a checksum: cut short, or of an older version"
        )
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


def _array(values: Sequence[Any], type: pa.DataType) -> pa.Array:
    """What ``pa.array`` gives, which imports pandas to see whether it got some of that.

    A quarter of what it took to start a job was pandas, for nothing.
    """
    there = [value is not None for value in values]
    buffers, children = [_bits(there)], []
    if pa.types.is_null(type):
        return pa.nulls(len(values))
    if pa.types.is_string(type) or pa.types.is_list(type):
        parts = [value if value is not None else () for value in values]
        if pa.types.is_string(type):
            parts = [part.encode() if part else b"" for part in parts]
        offsets = np.cumsum([0, *map(len, parts)], dtype=np.int32)
        buffers.append(pa.py_buffer(offsets))
        if pa.types.is_string(type):
            buffers.append(pa.py_buffer(b"".join(parts)))
        else:
            children = [_array([value for part in parts for value in part], type.value_type)]
    elif pa.types.is_boolean(type):
        buffers.append(_bits([bool(value) for value in values]))
    else:
        numbers = [0 if value is None else value for value in values]
        buffers.append(pa.py_buffer(np.array(numbers, dtype=str(type))))
    return pa.Array.from_buffers(type, len(values), buffers, children=children)


def _bits(flags: list[bool]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(np.array(flags, dtype=bool), bitorder="little"))


def _type(values: list[Any]) -> pa.DataType:
    if not values:
        return pa.null()
    return pa.string() if any(isinstance(value, str) for value in values) else pa.float64()

"""Arrays of numpy: .npy, and .npz with one array or a named one."""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from spatgmm.common.errors import UsageError
from spatgmm.common.words import shown
from spatgmm.reading.stack import Stack
from spatgmm.reading.words import first_line, listed, missing_hint

#: Maps, rows, columns, slices.
_MOST_AXES = 4


def from_npy(path: str, name: str | None) -> Stack:
    """The array in a .npy file, which has no names."""
    if name is not None:
        raise UsageError(f"{path}: holds one array without a name, not {shown(name)}")
    try:
        with open(path, "rb") as file:
            array = _array(file, os.path.getsize(path))
    except Exception as error:  # a forged header raises errors of many kinds
        raise ValueError(f"{path}: cannot be read as an array: {first_line(error)}") from None
    return _stack(path, array)


def from_npz(path: str, name: str | None) -> Stack:
    """The array of that name in a .npz file, or the only one."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
            entry = members[pick(path, name, members, "array")]
            with archive.open(entry) as file:
                array = _array(file, entry.file_size)
    except UsageError:
        raise
    except Exception as error:  # a forged header raises errors of many kinds
        raise ValueError(f"{path}: cannot be read as arrays: {first_line(error)}") from None
    return _stack(path, array)


def pick(path: str, name: str | None, known, kind: str) -> str:
    """The name that was asked for, or the only one there is."""
    known = [str(one) for one in known]
    if name in known:
        return name
    if name is None and len(known) == 1:
        return known[0]
    if not known:
        raise ValueError(f"{path}: holds no {kind} of maps")
    missing = f"has no {kind} {shown(name)}" if name else f"holds {len(known)} {kind}s"
    raise UsageError(f"{path}: {missing}; choose {path}:NAME, NAME one of {listed(known)}")


def _array(file: BinaryIO, size: int) -> np.ndarray:
    """The array behind a header that does not promise more than the file holds."""
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError("does not hold one array of real numbers")
    shape, fortran, dtype = readers[version](file)
    if dtype.kind not in "iufb":
        raise ValueError("does not hold one array of real numbers")
    count = int(np.prod(shape, dtype=object)) if shape else 1
    if any(side < 0 for side in shape) or count * dtype.itemsize > size:
        raise ValueError(f"its header promises shape {shape}, more than the file holds")
    if isinstance(file, zipfile.ZipExtFile):
        data = file.read(count * dtype.itemsize)
    else:
        data = np.fromfile(file, dtype=dtype, count=count)
    array = np.frombuffer(data, dtype=dtype, count=count)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _stack(path: str, array: np.ndarray) -> Stack:
    """An array of maps; one without further axes has the shape ()."""
    if array.size == 0:
        raise ValueError(f"{path}: holds no values, its shape is {array.shape}")
    if not 1 <= array.ndim <= _MOST_AXES:
        raise ValueError(
            f"{path}: an array of maps has 2, 3 or 4 axes (maps, rows, columns, slices), not "
            f"{array.ndim}"
        )
    shape = None if array.ndim == 2 else array.shape[1:]
    return Stack(array.reshape(len(array), -1).astype(float), shape)


def finite(path: str, stack: Stack, missing: bool | None = None, missing_values=()) -> Stack:
    """The same, if values are finite, or missing where they may be; else a refusal by place."""
    values = stack.values
    if missing_values:
        values = np.where(np.isin(values, missing_values), np.nan, values)
    bad = np.isinf(values) if missing else ~np.isfinite(values)
    if bad.any():
        row, column = np.unravel_index(bad.argmax(), bad.shape)
        at = f"row {row + 1}, column {column + 1}"
        if stack.shape:
            pixel = np.unravel_index(column, stack.shape)
            at = f"row {row + 1}, pixel ({', '.join(str(i + 1) for i in pixel)})"
        flaw = f"{values[row, column]} is not a finite number"
        if np.isnan(values[row, column]):
            flaw = "the value is missing"
            flaw += missing_hint(np.isnan(values)) if missing is not None else ""
        raise ValueError(f"{path}: {at}: {flaw}")
    return replace(stack, values=values)

"""Files that are written whole or not at all, and those that are damaged all the same."""

from __future__ import annotations

import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np


class DamagedFile(ValueError):
    """A file of this project's that is not as it was written.

    Parameters
    ----------
    path : path-like
    why : str
        What is wrong with it.
    """

    def __init__(self, path: str | os.PathLike, why: str) -> None:
        super().__init__(f"{path}: damaged ({why})")
        self.path = Path(path)


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place once the block ends without error.

    Readers see the old file or the whole new one, never half a file, also after a power failure.
    The temporary name keeps the suffix, from which writers such as matplotlib and numpy choose the
    format.

    Parameters
    ----------
    path : path-like
        The file to write; missing folders are made.

    Yields
    ------
    Path
        Where to write.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        # Some file systems refuse this for folders; they keep names in their own way.
        with suppress(OSError):
            sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file's content, or a folder's list of names, on the disk and not only on its way."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_arrays(
    path: str | os.PathLike, settings: Mapping, arrays: Mapping[str, np.ndarray]
) -> None:
    """Write arrays, and settings that JSON can hold, to one ``.npz`` file; no pickle."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        whole: dict[str, Any] = {"settings": np.array(json.dumps(settings)), **arrays}
        np.savez_compressed(file, **whole)


def read_arrays(path: str | os.PathLike) -> tuple[dict, dict[str, np.ndarray]]:
    """Settings and arrays that :func:`write_arrays` wrote.

    Raises
    ------
    DamagedFile
        If the file is not as it was written, or is none of these.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file}
        return json.loads(str(arrays.pop("settings"))), arrays
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DamagedFile(path, flaw(error)) from None


def flaw(error: Exception) -> str:
    """Why an archive of arrays cannot be read, in one line; never to trust it and unpickle."""
    text = str(error).partition("\n")[0]
    return "no archive of arrays" if "pickle" in text else text or type(error).__name__

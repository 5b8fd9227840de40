"""The one way from a plug-in to R: R is started once per process, silent, with clear errors."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

#: What R says when it gets no memory.
_NO_MEMORY = re.compile("cannot allocate|memory exhausted")


def missing(packages: Sequence[str]) -> str | None:
    """None if R and these packages are there, else one line that says what to install."""
    if not packages:
        return None
    try:
        _start()
    except RuntimeError as error:
        return str(error)
    absent = [package for package in packages if not _has(package)]
    if not absent:
        return None
    debian = " ".join(f"r-cran-{package.lower()}" for package in absent)
    return f"R package {', '.join(absent)} is not installed (on Debian: apt-get install {debian})"


def versions(packages: Sequence[str]) -> dict[str, str]:
    """R's own version and those of its packages, by name, as far as they are there."""
    try:
        R = _start().r
    except RuntimeError:
        return {}
    there = [package for package in packages if _has(package)]
    found = {name: R(f'as.character(packageVersion("{name}"))')[0] for name in there}
    return {"R": str(R("as.character(getRversion())")[0]), **found}


class Unavailable(RuntimeError):
    """R, one of its packages or the memory it needs is not there; it may be another time."""


@contextmanager
def session(*packages: str) -> Iterator[ModuleType]:
    """``rpy2.robjects`` with packages attached and numpy arrays converted both ways.

    Conversion holds inside the block only, and R writes nothing to the console there.

    Parameters
    ----------
    *packages : str
        R packages to attach.

    Yields
    ------
    module
        ``rpy2.robjects``; ``r("code")`` evaluates, ``globalenv`` is R's workspace.

    Raises
    ------
    Unavailable
        If R or a package is absent, or R has no memory left.
    RuntimeError
        If R reports another error; the message is R's.
    """
    reason = missing(packages)
    if reason is not None:
        raise Unavailable(reason)
    ro = _start()
    from rpy2.rinterface_lib import callbacks
    from rpy2.rinterface_lib.embedded import RRuntimeError

    def silent(text: str) -> None:
        pass

    with (
        callbacks.replace_in_module(callbacks, "consolewrite_print", silent),
        callbacks.replace_in_module(callbacks, "consolewrite_warnerror", silent),
        (ro.default_converter + ro.numpy2ri.converter).context(),
    ):
        try:
            for package in packages:
                ro.r(f"suppressPackageStartupMessages(library({package}))")
            yield ro
        except RRuntimeError as error:
            kind = Unavailable if _NO_MEMORY.search(str(error)) else RuntimeError
            raise kind(f"R: {' '.join(str(error).split())}") from error


@functools.cache
def _start() -> ModuleType:
    # ABI mode needs no compiler, and must be chosen before rpy2's first import.
    os.environ.setdefault("RPY2_CFFI_MODE", "ABI")
    # R puts its own libraries first on this path, where the processes that this one starts would
    # find other versions of theirs.
    library_path = os.environ.get("LD_LIBRARY_PATH")
    try:
        import rpy2.robjects as ro
        import rpy2.robjects.numpy2ri  # noqa: F401  (makes ro.numpy2ri available)
    except ImportError as error:
        raise RuntimeError(f"the Python package rpy2 cannot be imported ({error})") from error
    except Exception as error:  # no R: ValueError; an R that does not fit: OSError or ffi.error
        raise RuntimeError(
            f"R cannot be started ({error}); install R (on Debian: apt-get install r-base-core) "
            "or set R_HOME to where it is"
        ) from error
    finally:
        if library_path is None:
            os.environ.pop("LD_LIBRARY_PATH", None)
        else:
            os.environ["LD_LIBRARY_PATH"] = library_path
    return ro


@functools.cache
def _has(package: str) -> bool:
    return bool(_start().r(f'nzchar(system.file(package = "{package}"))')[0])

"""How much memory this process may still take, and refusals before work that needs more."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

#: Where Linux tells what is free, what this process has, and the limits of control groups.
_MEMINFO, _STATUS = Path("/proc/meminfo"), Path("/proc/self/status")
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def available() -> float:
    """Bytes that this process may still take: of the machine, its control group and its limits."""
    return max(min(_limits()), 0.0)


def check(n_bytes: float, what: str, instead: str) -> None:
    """Refuse work that needs more memory than there is.

    Parameters
    ----------
    n_bytes : float
        Estimate of what it needs.
    what, instead : str
        What needs it, and what to do instead.

    Raises
    ------
    ValueError
        With both figures.
    """
    there = available()
    if n_bytes > there:
        raise ValueError(
            f"{what} needs about {n_bytes / 2**30:.2g} GB of memory, {there / 2**30:.2g} GB are "
            f"available; {instead}"
        )


def _limits() -> Iterator[float]:
    yield _field(_MEMINFO, "MemAvailable") or float(
        os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    )
    for limit, usage in _GROUPS:
        most, taken = _number(limit), _number(usage)
        if most is not None and taken is not None:
            yield most - taken
    for kind, name in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            yield soft - (_field(_STATUS, name) or 0.0)


def _field(path: Path, name: str) -> float | None:
    """A size in one of the system's tables, in bytes; None where there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return 1024 * float(found[0]) if found else None


def _number(path: str) -> float | None:
    try:
        return float(Path(path).read_text())
    except (OSError, ValueError):  # "max": no limit
        return None

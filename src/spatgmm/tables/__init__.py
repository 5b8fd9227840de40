"""The study's tables: ``names()``, ``write(name, config, results_dir)``.

Each table is one module with ``build(results)``, imported when its table is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from spatgmm import needs

#: By name: the module, and what it needs of a configuration.
_TABLES = {
    "table1": ("recovery", needs.study("recovery")),
    "table2": ("comparison", needs.study("comparison")),
    "table3": ("real_raw", needs.datasets(centred=False)),
    "table4": ("real_centred", needs.datasets(centred=True)),
    "table5": ("film_parameters", needs.study("film")),
}


def names() -> list[str]:
    """The tables there are."""
    return list(_TABLES)


def missing(name: str, config: Mapping) -> str | None:
    """Why this configuration cannot fill the table; None if it can.

    Raises
    ------
    ValueError
        If there is no such table; the message lists those that exist.
    """
    if name not in _TABLES:
        raise ValueError(f"unknown table {name!r}; known are {', '.join(_TABLES)}")
    return _TABLES[name][1](config)


def build(name: str, results):
    """The table from a run's results.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    results : spatgmm.results.Results

    Returns
    -------
    spatgmm.tables.table.Table

    Raises
    ------
    ValueError
        If there is no such table, or the configuration lacks what it shows.
    """
    _check(name, results.config)
    return import_module(f"spatgmm.tables.{_TABLES[name][0]}").build(results)


def write(name: str, config: Mapping, results_dir) -> list[Path]:
    """Write a table as ``<results_dir>/tables/<name>.csv``, ``.tex`` and ``.md``.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    config : mapping
        The validated study configuration.
    results_dir : path-like
        ``results/<name>`` of that configuration.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ValueError
        If there is no such table, or the configuration lacks what it shows.
    FileNotFoundError
        If the run's fits are not there.
    """
    from spatgmm.results import Results
    from spatgmm.tables import writer

    _check(name, config)
    table = build(name, Results(config, results_dir))
    return writer.write(name, table, Path(results_dir) / "tables")


def _check(name: str, config: Mapping) -> None:
    lacking = missing(name, config)
    if lacking:
        raise ValueError(f"{name}: {lacking}")

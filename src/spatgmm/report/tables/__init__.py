"""The study's tables: ``names()``, ``missing(name, config)``, ``build(name, results)``, ``write``.

Each table is one module with ``build(results)``, and one line here.  ``write(name, config,
results_dir)`` leaves ``<results_dir>/tables/<name>.csv``, ``.tex`` and ``.md``.
"""

from __future__ import annotations

from dataclasses import replace

from spatgmm.report.registry import Registry
from spatgmm.study import needs


def _save(name, module, results, directory):
    from spatgmm.report.tables import writer

    return writer.write(name, build(name, results), directory)


_registry = Registry(
    "table",
    __name__,
    {
        "table1": ("recovery", needs.study("recovery")),
        "table2": ("comparison", needs.study("comparison")),
        "table3": ("real_raw", needs.datasets(centred=False)),
        "table4": ("real_centred", needs.datasets(centred=True)),
        "table5": ("film_parameters", needs.study("film")),
        "table6": ("stability", needs.study("stability")),
        "table7": ("coordinates", needs.study("coordinates")),
        "table8": ("anisotropy", needs.study("anisotropy")),
        "table9": ("selection", needs.study("selection")),
        "table10": ("sweep", needs.study("sweep")),
    },
    _save,
)

names, missing, write = _registry.names, _registry.missing, _registry.write


def build(name: str, results):
    """The table from a run's results; a note says so if they mix fits of different code.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    results : spatgmm.report.results.Results

    Returns
    -------
    spatgmm.report.tables.table.Table

    Raises
    ------
    ValueError
        If there is no such table, or the configuration lacks what it shows.
    """
    _registry.check(name, results.config)
    table = _registry.module(name).build(results)
    mixed = results.mixed()
    return replace(table, notes=(*table.notes, mixed)) if mixed else table

"""From an output of the catalogue to the module that makes it, and to its files.

A table's module has ``build(results, *studies)``, which gives a
:class:`~spatgmm.report.tables.table.Table`; a figure's gives a
:class:`~spatgmm.report.figures.drawing.Drawing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from spatgmm.report.results import Results
from spatgmm.study import outputs
from spatgmm.study.outputs import Asked


def build(asked: Asked, results: Results):
    """The table or drawing from a run's results; a note says so if they mix fits of different code.

    Parameters
    ----------
    asked : spatgmm.study.outputs.Asked
    results : Results

    Returns
    -------
    Table or Drawing
        Both have a ``finding`` and ``notes``.
    """
    maker = import_module(asked.output.code)
    made = maker.build(results, *asked.studies, **asked.output.options)
    mixed = results.mixed()
    return replace(made, notes=(*made.notes, mixed)) if mixed else made


def write(name: str, config: Mapping, results_dir) -> list[Path]:
    """Write an output into its folder of the results.

    Parameters
    ----------
    name : str
        As its files are called: ``table2``.
    config : mapping
        The validated study configuration.
    results_dir : path-like
        ``results/<name>`` of that configuration.

    Returns
    -------
    list of Path
        The files written: CSV, LaTeX and Markdown of a table, PDF, PNG and SVG of a figure.

    Raises
    ------
    ValueError
        If there is no such output, or the configuration lacks what it shows.
    FileNotFoundError
        If the run's fits are not there.
    """
    asked = outputs.find(config, name)
    made = build(asked, Results(config, results_dir))
    return made.save(asked, Path(results_dir) / f"{asked.output.kind}s")

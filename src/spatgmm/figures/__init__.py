"""The study's figures: ``names()``, ``write(name, config, results_dir)``.

Each figure is one module with ``caption(results)``, ``draw(results)`` and ``finding(results)``.
It is imported when its figure is asked for, and with it the plotting library.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from spatgmm import needs

#: By name: the module, and what it needs of a configuration.
_FIGURES = {
    "figure1": ("example_maps", needs.scenarios),
    "figure2": ("decay_curves", needs.scenarios),
    "figure3": ("ari", needs.study("comparison")),
    "figure4": ("covariances", needs.grid_scenario),
    "figure5": ("recovery", needs.study("recovery")),
    "figure6": ("real_data", needs.datasets()),
    "figure8": ("run_time", needs.study("comparison")),
}


def names() -> list[str]:
    """The figures there are."""
    return list(_FIGURES)


def missing(name: str, config: Mapping) -> str | None:
    """Why this configuration cannot fill the figure; None if it can.

    Raises
    ------
    ValueError
        If there is no such figure; the message lists those that exist.
    """
    if name not in _FIGURES:
        raise ValueError(f"unknown figure {name!r}; known are {', '.join(_FIGURES)}")
    return _FIGURES[name][1](config)


def module(name: str):
    """The module that draws this figure."""
    return import_module(f"spatgmm.figures.{_FIGURES[name][0]}")


def write(name: str, config: Mapping, results_dir) -> list[Path]:
    """Write a figure as ``<results_dir>/figures/<name>.pdf`` and ``.png``.

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
        If there is no such figure, or the configuration lacks what it shows.
    FileNotFoundError
        If the run's fits are not there.
    """
    from spatgmm.figures import style
    from spatgmm.results import Results

    lacking = missing(name, config)
    if lacking:
        raise ValueError(f"{name}: {lacking}")
    style.apply()
    figure = module(name).draw(Results(config, results_dir))
    return style.save(figure, name, Path(results_dir) / "figures")

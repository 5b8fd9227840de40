"""Data sets by name: one file here, one loader.

A file is found by its presence; files whose name starts with ``_`` are no loaders.  It defines
``load(**settings) -> Dataset``, all settings as keywords with defaults, and ``missing(**settings)
-> str | None``: what must be installed first.  The first line of its docstring describes it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

import numpy as np

from spatgmm.data import Dataset


def names() -> list[str]:
    """Names of all data sets, without importing any loader."""
    files = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(file for file in files if not file.startswith("_"))


def load(name: str, **settings: Any) -> Dataset:
    """Load a data set.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    **settings
        The loader's own, see :func:`defaults`; ``centred=True`` subtracts each true group's
        mean map, ``distort`` moves the locations (:meth:`spatgmm.data.Dataset.distorted`).

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If the name, a setting or the user's file is wrong; the message says where.
    RuntimeError
        If a package is missing; the message says what to install.
    """
    check(name, **settings)
    reason = missing(name, **settings)
    if reason is not None:
        raise RuntimeError(f"data set {name!r}: {reason}")
    distort = settings.pop("distort", {})
    data = _module(name).load(**settings)
    if not distort:
        return data
    # The same distortion of the same data whenever they are loaded.
    return data.distorted(np.random.default_rng(0), **distort)


def check(name: str, **settings: Any) -> None:
    """Refuse an unknown data set or setting, with a ValueError that lists the known ones."""
    known = defaults(name)
    for setting in settings:
        if setting not in known:
            raise ValueError(
                f"data set {name!r} has no setting {setting!r}; its settings: {', '.join(known)}"
            )


def defaults(name: str) -> dict[str, Any]:
    """The settings a loader takes, with their defaults."""
    parameters = inspect.signature(_module(name).load).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters} | {"distort": {}}


def missing(name: str, **settings: Any) -> str | None:
    """None if the data set can be loaded here, else one line that says what to install."""
    return _module(name).missing(**settings)


def summary(name: str) -> str:
    """One line that says what the data set is."""
    return inspect.getdoc(_module(name)).splitlines()[0]


def _module(name: str) -> ModuleType:
    if name not in names():
        raise ValueError(f"unknown data set {name!r}; known are {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")

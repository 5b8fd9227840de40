"""Data sets by name: one file here, one loader.

A file is found by its presence; files whose name starts with ``_`` are no loaders.  It defines
``DEFAULTS``, its settings with their defaults, plain or declared
(:mod:`spatgmm.common.constraints`), and ``load(**settings) -> Dataset``, which gets all of them;
where something must be installed first, also ``missing(**settings) -> str | None``, which says
what.  ``VALUES`` and ``DISTANCE_UNIT`` say what figures write beside its maps, and the first line
of its docstring describes it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from spatgmm.common import constraints
from spatgmm.common.constraints import FLAG, Keys, Parameter, Problem
from spatgmm.data import Dataset
from spatgmm.scenarios import DISTORT

#: What all data sets take.
_COMMON = {
    "centred": Parameter(False, FLAG, "subtract each true group's mean map"),
    "distort": Parameter({}, DISTORT, "move the locations, as scenarios do"),
}


def names() -> list[str]:
    """Names of all data sets, without importing any loader.

    Examples
    --------
    >>> from spatgmm import datasets
    >>> datasets.names()
    ['climate', 'faces', 'film', 'raman', 'texture']
    """
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

    Examples
    --------
    >>> from spatgmm import datasets
    >>> data = datasets.load("texture", patch=8, per_image=5, centred=True)
    >>> data.X.shape, data.shape, data.label_names
    ((10, 64), (8, 8), ('grass', 'gravel'))
    """
    found = [str(problem) for problem in problems(name, settings)]
    if found:
        raise ValueError(f"data set {name!r}: {'; '.join(found)}")
    reason = missing(name, **settings)
    if reason is not None:
        raise RuntimeError(f"data set {name!r}: {reason}")
    settings = defaults(name) | settings
    centred, distort = settings.pop("centred"), settings.pop("distort")
    data = _module(name).load(**settings)
    if centred:
        data = data.centred()
    # The same distortion of the same data whenever they are loaded.
    return data.distorted(np.random.default_rng(0), **distort)


def problems(name: str, settings: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that is wrong with the settings of a data set, as far as is known unloaded."""
    return Keys(declared(name)).problems(settings)


def declared(name: str) -> dict[str, Parameter]:
    """The settings a loader takes."""
    return _COMMON | constraints.declared(_module(name).DEFAULTS)


def defaults(name: str) -> dict[str, Any]:
    """The settings a loader takes, with their defaults."""
    return constraints.defaults(declared(name))


def missing(name: str, **settings: Any) -> str | None:
    """None if the data set can be loaded here, else one line that says what to install."""
    question = getattr(_module(name), "missing", None)
    return None if question is None else question(**settings)


def values(name: str) -> str:
    """What the values of its maps are, with their unit where it is known."""
    return getattr(_module(name), "VALUES", "value")


def distance_unit(name: str) -> str:
    """The unit of its coordinates; empty where it is not known."""
    return getattr(_module(name), "DISTANCE_UNIT", "")


def summary(name: str) -> str:
    """One line that says what the data set is."""
    return (inspect.getdoc(_module(name)) or "").partition("\n")[0]


def _module(name: str) -> ModuleType:
    if name not in names():
        raise ValueError(f"unknown data set {name!r}; known are {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")

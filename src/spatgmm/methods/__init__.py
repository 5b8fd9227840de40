"""Clustering methods as plug-ins: one file here, one method.

A file is found by its presence; ``gmm_full.py`` is the method ``gmm-full``, and files whose name
starts with ``_`` are no methods.  ``_template.py`` shows all that a file holds; copy it to add one.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np

from spatgmm.common import constraints, r
from spatgmm.common.constraints import Keys, Parameter, Problem
from spatgmm.data import Dataset
from spatgmm.fitting.options import OPTIONS

#: What every method takes.
N_COMPONENTS = OPTIONS["n_components"]


@dataclass(frozen=True, eq=False)
class FitResult:
    """What a method found.

    Attributes
    ----------
    labels : ndarray of shape (n,)
        Component of each map, an integer from 0 to ``n_components - 1``.
    log_likelihood : float or None
        Total, natural logarithm; None for methods without a likelihood.
    n_parameters : int or None
        Number of free parameters, for BIC; None without a likelihood.
    n_iter : int or None
    converged : bool or None
    probabilities : ndarray of shape (n, n_components) or None
        Of the components, for each map; None for methods without them.
    outlier_probability : ndarray of shape (n,) or None
        That a map outlies whichever component it is of; None for methods that do not ask.
    means : ndarray of shape (n_components, p) or None
        Mean maps of the model, where it has its own.
    extras : dict
        Scalars by name, which become columns of the results, and optionally ``"parameters"``:
        a DataFrame with columns component, parameter, estimate, std_error, lower, upper, and
        ``"covariances"``: by component, a DataFrame of its estimates' covariances.
    model : object or None
        The fitted model, where it can be kept: it has ``save(path)``.
    """

    labels: np.ndarray
    log_likelihood: float | None = None
    n_parameters: int | None = None
    n_iter: int | None = None
    converged: bool | None = None
    probabilities: np.ndarray | None = None
    outlier_probability: np.ndarray | None = None
    means: np.ndarray | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    model: Any = None


@dataclass(frozen=True)
class Method:
    """A plug-in, with the checks that all plug-ins share.

    Attributes
    ----------
    name : str
        As in configurations and results.
    label : str
        For tables and legends.
    declared : mapping of str to Parameter
        Every parameter the method takes.
    requires : tuple of str
        R packages it needs.
    control : bool
        Whether it may look at the true parameters: controls mark what is attainable.
    uses : tuple of str
        Attributes of the data that it heeds besides maps of one variable and their locations.
    """

    name: str
    label: str
    declared: Mapping[str, Parameter]
    requires: tuple[str, ...]
    control: bool
    _supports: Callable | None
    _fit: Callable
    uses: tuple[str, ...] = ()

    @property
    def defaults(self) -> dict[str, Any]:
        """Every parameter's default."""
        return constraints.defaults(self.declared)

    def parameters(self, **changed: Any) -> dict[str, Any]:
        """Defaults, with these changed.

        Raises
        ------
        ValueError
            If the method has no such parameter, or does not take its value.
        """
        found = [str(problem) for problem in self.problems(changed)]
        if found:
            raise ValueError(f"method {self.name!r}: {'; '.join(found)}")
        return {**self.defaults, **changed}

    def problems(self, values: Mapping[str, Any]) -> Iterator[Problem]:
        """Everything that is wrong with values of parameters, and with ``n_components``."""
        return Keys({"n_components": N_COMPONENTS, **self.declared}).problems(values)

    def supports(self, data: Dataset, n_components: int) -> str | None:
        """None if the method can run on these data here, else the reason why not."""
        if n_components < 1:
            return f"n_components must be at least 1, got {n_components}"
        if len(data.X) <= n_components:
            return f"{len(data.X)} maps are too few for {n_components} components"
        if "n_variables" not in self.uses and data.n_variables > 1:
            return f"takes one variable at each location, here are {data.n_variables}"
        if "missing" not in self.declared and np.isnan(data.X).any():
            return "maps have missing pixels"
        lacking = r.missing(self.requires)
        if lacking is not None or self._supports is None:
            return lacking
        return self._supports(self._seen(data), n_components)

    def fit(
        self, data: Dataset, n_components: int, rng: np.random.Generator, **parameters: Any
    ) -> FitResult:
        """Cluster the maps.

        Parameters
        ----------
        data : Dataset
            Only controls are shown its labels and true parameters.
        n_components : int
        rng : numpy.random.Generator
            The only source of randomness.
        **parameters
            As in :attr:`declared`.

        Returns
        -------
        FitResult

        Raises
        ------
        ValueError
            If a parameter or its value is unknown, or the method does not support the data.
        """
        parameters = self.parameters(**parameters)
        reason = self.supports(data, n_components)
        if reason is not None:
            raise ValueError(f"method {self.name!r} cannot run: {reason}")
        result = self._fit(self._seen(data), n_components, rng, **parameters)
        labels = np.asarray(result.labels)
        if labels.shape != (len(data.X),) or not np.issubdtype(labels.dtype, np.integer):
            raise RuntimeError(
                f"method {self.name!r} returned labels of type {labels.dtype} and shape "
                f"{labels.shape} for {len(data.X)} maps"
            )
        if labels.min() < 0 or labels.max() >= n_components:
            raise RuntimeError(
                f"method {self.name!r} returned labels {labels.min()} to {labels.max()} "
                f"for {n_components} components"
            )
        return replace(result, labels=labels)

    def _seen(self, data: Dataset) -> Dataset:
        """The data as the method gets to see them: a comparison is fair by construction."""
        if self.control:
            return data
        return replace(data, labels=None, label_names=(), truth=None)


def names() -> list[str]:
    """Names of all methods, without importing any.

    Examples
    --------
    >>> from spatgmm import methods
    >>> "kmeans" in methods.names()
    True
    """
    files = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(file.replace("_", "-") for file in files if not file.startswith("_"))


def get(name: str) -> Method:
    """The method of that name; only its own file is imported.

    Raises
    ------
    ValueError
        If there is none; the message lists those that exist.

    Examples
    --------
    >>> import numpy as np
    >>> from spatgmm import methods
    >>> from spatgmm.data import Dataset
    >>> X = np.random.default_rng(0).normal(size=(20, 4))
    >>> X[10:] += 5
    >>> method = methods.get("kmeans")
    >>> result = method.fit(Dataset(X, coordinates=(2, 2)), 2, np.random.default_rng(0))
    >>> np.bincount(result.labels)
    array([10, 10])
    """
    if name not in names():
        raise ValueError(f"unknown method {name!r}; known are {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    return _from_module(name, module)


def _from_module(name: str, module: ModuleType) -> Method:
    for attribute in ("LABEL", "DEFAULTS", "fit"):
        if not hasattr(module, attribute):
            raise ImportError(f"{module.__file__} does not define {attribute}")
    return Method(
        name=name,
        label=module.LABEL,
        declared=constraints.declared(module.DEFAULTS),
        requires=tuple(getattr(module, "REQUIRES", ())),
        control=getattr(module, "CONTROL", False),
        uses=tuple(getattr(module, "USES", ())),
        _supports=getattr(module, "supports", None),
        _fit=module.fit,
    )

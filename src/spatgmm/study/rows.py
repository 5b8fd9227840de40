"""What a row of results holds: its columns, how a fit can end, and the names of estimates.

Everything that writes or reads a row takes the names from here.  Nothing heavy is imported: every
job needs this, and so does the process that schedules them.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

#: How a fit ends: with a result; with an error or a crash; stopped at its time limit; not tried,
#: since the method says that it cannot run on these maps.
OK, FAILED, TIMEOUT, UNSUPPORTED = STATUSES = ("ok", "failed", "timeout", "unsupported")

#: Ends of fits that were tried and gave no result.
LOST = (FAILED, TIMEOUT)

#: Columns that say which software made a row, and its name.
VERSIONS = {
    "spatgmm": "spatgmm",
    "python": "Python",
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit_learn": "scikit-learn",
    "r": "R",
}

#: Columns of every row with their types in Arrow's words; extras and estimates follow them.
COLUMNS = {
    "case": "string",
    "scenario": "string",
    "method": "string",
    "plugin": "string",
    "replicate": "int64",
    "n": "int64",
    "p": "int64",
    "n_components": "int64",
    "status": "string",
    "error": "string",
    "ari": "float64",
    "accuracy": "float64",
    "log_likelihood": "float64",
    "n_parameters": "int64",
    "bic": "float64",
    "n_iter": "int64",
    "converged": "bool",
    "seconds": "float64",
    "peak_memory_mb": "float64",
    "settings_hash": "string",
    "code_hash": "string",
    **dict.fromkeys(VERSIONS, "string"),
    "labels": "list<int16>",
    # Whether what surrounded the fit ended it (R is not there, memory ran out), not data or code.
    "disturbed": "bool",
}

#: What a row holds of an estimate: columns ``<kind>.<component>.<parameter>``, components counted
#: from 0 and numbered as the true groups.
KINDS = ("estimate", "std_error", "lower", "upper")

#: A "parameter" of kind ``estimate`` that is the covariance of two estimates: ``cov.<a>.<b>``.
_COVARIANCE = "cov"


def extra(name: str) -> str:
    """Column of a scalar that a method reports beyond what every row has."""
    return f"extra.{name}"


def column(kind: str, component: int, parameter: str) -> str:
    """Column of one of :data:`KINDS` of a component's parameter."""
    return f"{kind}.{component}.{parameter}"


def of_estimates(
    parameters: pd.DataFrame, covariances: Mapping[int, pd.DataFrame] | None = None
) -> dict[str, float]:
    """Columns of a row for a method's estimates.

    Parameters
    ----------
    parameters : DataFrame
        Columns component, parameter and :data:`KINDS`.
    covariances : mapping of DataFrame by component, or None
        Covariances of a component's estimates, parameter by parameter.
    """
    cells = {
        column(kind, line.component, line.parameter): float(getattr(line, kind))
        for line in parameters.itertuples()
        for kind in KINDS
    }
    for component, matrix in (covariances or {}).items():
        # The diagonal is there already, as standard errors.
        for a, b in itertools.combinations(matrix, 2):
            name = f"{_COVARIANCE}.{a}.{b}"
            cells |= dict.fromkeys((column(kind, component, name) for kind in KINDS), np.nan)
            cells[column(KINDS[0], component, name)] = float(matrix.loc[a, b])
    return cells


def estimates(row: Mapping[Hashable, Any], kind: str = KINDS[0]) -> dict[int, dict[str, float]]:
    """A row's estimates, or another of :data:`KINDS`, by component and parameter.

    Cells without a value are left out.
    """
    return {
        component: {name: v for name, v in cells.items() if not _pair(name)}
        for component, cells in _by_component(row, kind).items()
    }


def covariances(row: Mapping[Hashable, Any]) -> dict[int, pd.DataFrame]:
    """Covariances of a row's estimates by component, as :func:`of_estimates` takes them.

    NaN where the row does not hold one; on the diagonal are squares of standard errors.
    """
    import pandas as pd

    found, errors = {}, estimates(row, "std_error")
    for component, cells in _by_component(row, KINDS[0]).items():
        names = [name for name in cells if not _pair(name)]
        matrix = pd.DataFrame(np.nan, names, names)
        for name, error in errors.get(component, {}).items():
            matrix.loc[name, name] = error**2
        for name, value in cells.items():
            if (pair := _pair(name)) and set(pair) <= set(names):
                matrix.loc[pair] = matrix.loc[pair[::-1]] = value
        found[component] = matrix
    return found


def values(fits: pd.DataFrame, kind: str, component: int, parameter: str) -> np.ndarray:
    """A column of estimates (:func:`column`) as floats; all NaN where no fit has it."""
    name = column(kind, component, parameter)
    if name not in fits:
        return np.full(len(fits), np.nan)
    return fits[name].to_numpy(dtype=float, na_value=np.nan)


def ended(statuses: Iterable[str]) -> dict[str, int]:
    """Numbers of fits by how they ended, in the order of :data:`STATUSES`."""
    statuses = list(statuses)
    return {status: statuses.count(status) for status in STATUSES if status in statuses}


def _pair(parameter: str) -> tuple[str, str] | None:
    """The two parameters whose estimates' covariance this name stands for, if it does."""
    start, *names = parameter.split(".")
    return tuple(names) if start == _COVARIANCE and len(names) == 2 else None


def _by_component(row: Mapping[Hashable, Any], kind: str) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for name, value in row.items():
        of_kind, _, rest = str(name).partition(".")
        component, _, parameter = rest.partition(".")
        if of_kind == kind and component.isdigit() and value is not None and value == value:
            found.setdefault(int(component), {})[parameter] = float(value)
    return dict(sorted(found.items()))

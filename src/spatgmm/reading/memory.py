"""Maps that are passed in Python: arrays, masked ones, data frames and xarray."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import sparse

from spatgmm.reading.labelled import from_labelled, is_labelled
from spatgmm.reading.stack import Stack
from spatgmm.reading.words import shown

#: Axes of an array of maps at most: maps, rows, columns, slices.
_MOST_AXES = 4


def take(X, n_variables: int = 1) -> Stack:
    """Maps, their own grid and their own places.

    Several variables are the last axis; of a matrix they are columns that stand beside each other
    for every location.  A masked value becomes NaN, a missing one.  What scikit-learn checks
    (lists, sparse matrices, numbers of axes and rows) is left to it: `values` are then what was
    passed.

    Raises
    ------
    ValueError
        If values are no numbers, or there are too many axes; the message names the place.
    """
    if is_labelled(X):
        return from_labelled(X, n_variables=n_variables)
    if sparse.issparse(X):
        return Stack(X)
    if isinstance(X, pd.DataFrame):
        return _of_variables(Stack(_from_frame(X), places=list(X.columns)), n_variables)
    if isinstance(X, np.ma.MaskedArray):
        X = X.astype(float).filled(np.nan) if X.dtype.kind in "iufb" else X.filled()
    if np.ndim(X) < 2:
        return Stack(X)
    X = np.asarray(X)
    _check_kind(X)
    if X.ndim == 2:
        return _of_variables(Stack(X), n_variables)
    most = _MOST_AXES + (n_variables > 1)
    if X.ndim > most:
        raise ValueError(f"X has {X.ndim} axes; maps have at most 3 (X at most {most})")
    if n_variables == 1:
        return Stack(X.reshape(len(X), -1), X.shape[1:])
    if X.shape[-1] != n_variables:
        raise ValueError(
            f"X has shape {X.shape}: with n_variables={n_variables} its last axis holds the "
            f"{n_variables} values of a location"
        )
    # A single axis of places is no grid: they may lie anywhere.
    shape = X.shape[1:-1] if X.ndim > 3 else None
    return Stack(X.reshape(len(X), -1), shape, n_variables=n_variables)


def _of_variables(stack: Stack, n_variables: int) -> Stack:
    """Maps whose rows are flat already, as those of so many variables."""
    if n_variables == 1:
        return stack
    width = np.shape(stack.values)[1] if np.ndim(stack.values) == 2 else n_variables
    if width % n_variables:
        raise ValueError(
            f"X has {width} columns, which are not n_variables={n_variables} for each location"
        )
    return replace(stack, places=None, n_variables=n_variables)


def _from_frame(X: pd.DataFrame):
    """A data frame as scikit-learn takes it, or a refusal that names the column."""
    for name, column in X.items():
        if column.dtype.kind in "iufbc":
            continue
        numbers = pd.to_numeric(column.astype(object), errors="coerce")
        bad = np.flatnonzero(numbers.isna() & column.notna()) if column.dtype.kind != "M" else [0]
        if len(bad) and (column.dtype.kind in "mM" or isinstance(column.iloc[bad[0]], str)):
            raise ValueError(
                f"X: column {shown(name)}, row {bad[0]}: {shown(str(column.iloc[bad[0]]))} is not "
                "a number"
            )
    return X


def _check_kind(X: np.ndarray) -> None:
    """Refuse text and dates."""
    if X.dtype.kind in "mM":
        raise ValueError("X must be numbers, got dates or times")
    if X.dtype.kind not in "OUST":
        return
    for index, cell in np.ndenumerate(X):
        if isinstance(cell, str) and np.isnan(pd.to_numeric(cell, errors="coerce")):
            place = ", ".join(map(str, index[1:]))
            raise ValueError(f"X: row {index[0]}, column {place}: {shown(cell)} is not a number")

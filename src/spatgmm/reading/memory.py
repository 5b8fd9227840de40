"""Maps that are passed in Python: arrays, masked ones, data frames and xarray."""

from __future__ import annotations

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
    return _of_variables(Stack(X.reshape(len(X), -1), X.shape[1:]), n_variables)


def _of_variables(stack: Stack, n_variables: int) -> Stack:
    if np.ndim(stack.values) < 2:
        return stack
    try:
        return stack.of_variables(n_variables)
    except ValueError as error:
        raise ValueError(f"X: {error} (n_variables={n_variables})") from None


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

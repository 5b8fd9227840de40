"""Maps that are passed in Python: arrays, masked ones, data frames and xarray."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import sparse

from spatgmm.common.values import as_numbers
from spatgmm.reading.labelled import from_labelled, is_labelled
from spatgmm.reading.stack import Stack

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
    X = as_numbers(X)
    if isinstance(X, pd.DataFrame):
        return _of_variables(Stack(X, places=list(X.columns)), n_variables)
    if sparse.issparse(X) or np.ndim(X) < 2:
        return Stack(X)
    if np.ndim(X) == 2:
        return _of_variables(Stack(X), n_variables)
    most = _MOST_AXES + (n_variables > 1)
    if X.ndim > most:
        raise ValueError(f"X has {X.ndim} axes; maps have at most 3 (X at most {most})")
    return _of_variables(Stack(X.reshape(len(X), -1), X.shape[1:]), n_variables)


def _of_variables(stack: Stack, n_variables: int) -> Stack:
    if n_variables == 1:
        return stack
    if not isinstance(stack.values, pd.DataFrame):
        stack = replace(stack, values=np.asarray(stack.values))
    try:
        return stack.of_variables(n_variables)
    except ValueError as error:
        raise ValueError(f"X: {error} (n_variables={n_variables})") from None

"""Maps that are passed in Python: arrays, masked ones, data frames and xarray."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from spatgmm.common.values import as_numbers
from spatgmm.reading.labelled import from_labelled, is_labelled
from spatgmm.reading.stack import Stack

#: Axes of an array of maps at most: maps, rows, columns, slices.
_MOST_AXES = 4


def take(X) -> Stack:
    """Maps, their own grid and their own places.

    A masked value becomes NaN, a missing one.  What scikit-learn checks (lists, sparse matrices,
    numbers of axes and rows) is left to it: `values` are then what was passed.

    Raises
    ------
    ValueError
        If values are no numbers, or there are too many axes; the message names the place.
    """
    if is_labelled(X):
        return from_labelled(X)
    X = as_numbers(X)
    if isinstance(X, pd.DataFrame):
        return Stack(X, places=list(X.columns))
    if sparse.issparse(X) or np.ndim(X) <= 2:
        return Stack(X)
    if X.ndim > _MOST_AXES:
        raise ValueError(f"X has {X.ndim} axes; maps have at most 3 (X at most {_MOST_AXES})")
    return Stack(X.reshape(len(X), -1), X.shape[1:])

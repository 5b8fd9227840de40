"""Values that users pass as data: taken as numbers, or refused by the place of what is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from spatgmm.common.words import shown

#: Beyond them squares and fourth powers overflow, or sums of those.
LARGEST_SQUARED, LARGEST_FOURTH = 1e150, 1e70


def as_numbers(X: Any) -> Any:
    """`X` in a form whose every cell is a number or NaN, a masked one NaN.

    Data frames stay what they are, for their names; sparse and complex data, and arrays that have
    too few axes, are left to the checks of scikit-learn.

    Raises
    ------
    ValueError
        If a cell is no number, or `X` is nothing that holds any; the message names the place.
    """
    if sparse.issparse(X):
        return X
    if isinstance(X, pd.DataFrame):
        _check_frame(X)
        scarce = [isinstance(dtype, pd.SparseDtype) for dtype in X.dtypes]
        return X.astype(float) if any(scarce) else X
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1 and len(X):
        X = list(X) if np.ndim(X[0]) else X  # an array of images
    if isinstance(X, list | tuple) and any(isinstance(row, np.ma.MaskedArray) for row in X):
        X = np.ma.array(X)
    if isinstance(X, np.ma.MaskedArray):
        return _floats(X.data, np.ma.getmaskarray(X))
    if isinstance(X, pd.Series):
        return X
    try:
        array = np.asarray(X)
    except (TypeError, ValueError):
        raise ValueError("X must be an array of numbers; its rows differ in length") from None
    return array if array.dtype.kind in "iufbc" else _floats(array)


def check_size(X: np.ndarray, largest: float = LARGEST_SQUARED) -> None:
    """Refuse numbers whose powers overflow, naming the first; NaN and infinity pass."""
    with np.errstate(invalid="ignore"):
        bad = np.argwhere((np.abs(X) > largest) & np.isfinite(X))
    if bad.size:
        row, column = bad[0]
        power = "square" if largest == LARGEST_SQUARED else "fourth power"
        raise ValueError(
            f"X has {X[row, column]:.3g} at row {row}, column {column}: beyond {largest:g} its "
            f"{power} overflows; take another unit"
        )


def check_order(name: str, given: object, X: object) -> None:
    """Refuse labels or weights of maps whose index lists the rows of `X` in another order."""
    if not (isinstance(given, pd.Series) and isinstance(X, pd.DataFrame)):
        return
    if given.index.equals(X.index) or not given.index.is_unique or len(given) != len(X):
        return
    if set(given.index) == set(X.index):
        raise ValueError(
            f"{name}: its index lists the rows of X in another order; pass {name}.loc[X.index]"
        )


def _check_frame(X: pd.DataFrame) -> None:
    for name, column in X.items():
        if column.dtype.kind in "iufbc":
            continue
        place = f"X: column {shown(name)}, row {{}}: "
        if column.dtype.kind in "mM":
            raise ValueError(place.format(0) + f"{shown(str(column.iloc[0]))} is not a number")
        _check_cells(column.to_numpy(dtype=object), lambda index, place=place: place.format(*index))


def _floats(array: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """An array as floats, NaN where the mask hides a cell, whatever is beneath."""
    if array.dtype.kind in "mM":
        raise ValueError("X must be numbers, got dates or times")
    if array.dtype.kind == "V" or (array.dtype.kind == "O" and array.ndim == 0):
        what = "records" if array.dtype.kind == "V" else type(array.item()).__name__
        raise ValueError(f"X must be an array of numbers, got {what}")
    if mask is not None and mask.any():
        array = np.where(mask, np.nan, array if array.dtype.kind in "iufbc" else array.astype("O"))
    if array.dtype.kind not in "iufbc":
        _check_cells(array, _place)
        array = np.where(pd.isna(array), np.nan, array) if array.dtype.kind == "O" else array
    return array if array.dtype.kind == "c" else array.astype(float)


def _check_cells(cells: np.ndarray, place: Callable[..., str]) -> None:
    """Refuse the first cell that is no number; one that is missing passes."""
    for index, cell in np.ndenumerate(cells):
        try:
            float(cell)
        except OverflowError:
            raise ValueError(f"{place(index)}{shown(cell)} is beyond the largest number") from None
        except (TypeError, ValueError) as error:
            if np.ndim(cell) == 0 and pd.isna(cell):
                continue
            told = f"{place(index)}{shown(cell)} is not a number"
            # What no text could be either is a TypeError, as scikit-learn has it.
            if isinstance(error, TypeError) and isinstance(cell, dict):
                raise TypeError(f"{told}: {error}") from None
            raise ValueError(told) from None


def _place(index: tuple[int, ...]) -> str:
    row, *others = index or (0,)
    return f"X: row {row}, column {', '.join(map(str, others))}: " if others else f"X: row {row}: "

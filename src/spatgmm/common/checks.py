"""What users pass to the estimator, checked early: refusals name the argument and the place."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from spatgmm.common.constraints import SEED, check_value

#: What scikit-learn's users pass as ``random_state``.
Seed = int | np.random.Generator | np.random.RandomState | None

#: The square of a smaller number is 0.
_SMALLEST_RANGE = 1e-150


def check_finite(X: np.ndarray, missing: bool | None = None, n_variables: int = 1) -> None:
    """Refuse infinite values, naming the first, and missing ones unless they are `missing`.

    None: they are refused, and there is no choice to hint at.
    """
    bad = np.isinf(X) if missing else ~np.isfinite(X)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        kind = "NaN" if np.isnan(X[row, column]) else "infinity"
        hint = "complete, finite maps are needed"
        if kind == "NaN" and missing is not None:
            hint += " (missing='em' takes NaN as missing pixels)"
        at = f"column {column}"
        if n_variables > 1:
            at = f"location {column // n_variables}, variable {column % n_variables}"
        raise ValueError(
            f"X contains {kind} at row {row}, {at} ({bad.sum()} such values in all); " + hint
        )


def numbers(place: str, values: ArrayLike, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """A copy of an array that users give, of that shape if any; refusals begin with `place`."""
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place} must be numbers: {error}") from error
    if shape is not None and array.shape != shape:
        raise ValueError(f"{place} must have shape {shape}, got {array.shape}")
    return array


def finite(place: str, values: np.ndarray) -> np.ndarray:
    """The values, if none of them is NaN or infinite."""
    bad = np.argwhere(~np.isfinite(values))
    if bad.size:
        raise ValueError(f"{place} is not finite at {', '.join(map(str, bad[0]))}")
    return values


def check_some_values(X: np.ndarray) -> None:
    """Refuse maps without any value: nothing can be learnt from them."""
    empty = np.flatnonzero(np.isnan(X).all(axis=1))
    if empty.size:
        raise ValueError(f"X: every value of row {empty[0]} is missing")


def check_variables(there: np.ndarray) -> None:
    """Refuse locations where a variable has no value in any map, but another one has.

    `there`, of shape (p, q), says which are observed at all.
    """
    partly = np.argwhere(there.any(axis=1, keepdims=True) & ~there)
    if partly.size:
        location, variable = partly[0]
        raise ValueError(
            f"X: no map has a value of variable {variable} at location {location}, where others "
            "have; leave the location out"
        )


def check_rows_differ(X: np.ndarray) -> None:
    """Refuse rows that differ by no more than rounding; missing values (NaN) differ from none.

    Ranges tell, not the spread about a mean: the mean of many equal numbers is itself rounded.
    """
    ranges = np.fmax.reduce(X, axis=0) - np.fmin.reduce(X, axis=0)
    rounding = 4 * np.finfo(float).eps * np.fmax.reduce(np.abs(X), axis=None)
    if ranges.max() <= max(rounding, _SMALLEST_RANGE):
        raise ValueError("X: all rows are the same; there is nothing to cluster")


def warn_constant_columns(X: np.ndarray, scaled: bool) -> None:
    """Warn of pixels that are the same in all maps; `scaled`: whether each has its own scale."""
    constant = np.flatnonzero(np.nanmax(X, axis=0) == np.nanmin(X, axis=0))
    if constant.size:
        harm = (
            "with variance='location' their scales are next to nothing, so that they outweigh all "
            "others and the clusters may be worthless"
            if scaled
            else "they bias the nugget"
        )
        warnings.warn(
            f"X: {constant.size} of {X.shape[1]} columns are constant (first: column "
            f"{constant[0]}); masked pixels? {harm[:1].upper()}{harm[1:]}: leave them out, as NaN "
            "in all maps with missing='em'",
            UserWarning,
            stacklevel=3,
        )


def random_generator(random_state: Seed) -> np.random.Generator:
    """A Generator from what scikit-learn users pass as ``random_state``."""
    check_value("random_state", random_state, SEED)
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    return np.random.default_rng(random_state)  # of a Generator, itself


def responsibilities_from(init: ArrayLike, n: int, n_components: int) -> np.ndarray:
    """Responsibilities (n, G) from labels (n,) or responsibilities (n, G).

    Raises
    ------
    ValueError
        If the shape is neither, labels are not integers 0 .. G-1, a component has no map, or
        rows of responsibilities are negative or do not sum to 1.
    """
    if np.ma.is_masked(init):
        raise ValueError("init must be labels or responsibilities, and some are masked")
    try:
        init = np.asarray(init, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"init must be labels or responsibilities, numbers: {error}") from error
    if init.shape == (n,):
        bad = np.flatnonzero(~((init == np.floor(init)) & (init >= 0) & (init < n_components)))
        if bad.size:
            raise ValueError(
                f"init[{bad[0]}] is {init[bad[0]]:g}: labels are integers 0 .. {n_components - 1}"
            )
        responsibilities = np.eye(n_components)[init.astype(int)]
    elif init.shape == (n, n_components):
        responsibilities = init
        bad = np.flatnonzero(
            ~(np.abs(responsibilities.sum(axis=1) - 1) < 1e-6) | (responsibilities < 0).any(axis=1)
        )
        if bad.size:
            raise ValueError(
                f"init row {bad[0]}: responsibilities must be non-negative and sum to 1"
            )
    else:
        raise ValueError(
            f"init must be 'multistart', 'kmeans', labels of shape ({n},) or responsibilities of "
            f"shape ({n}, {n_components}), got an array of shape {init.shape}"
        )
    empty = np.flatnonzero(responsibilities.sum(axis=0) == 0)
    if empty.size:
        raise ValueError(f"init: component {empty[0]} has no map")
    return responsibilities

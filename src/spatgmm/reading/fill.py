"""Fill values: numbers such as -9999 that stand for a missing value, unknown to the reader."""

from __future__ import annotations

import warnings

import numpy as np

#: Values that are looked at; all are counted afterwards.
_SAMPLE = 20_000

#: A gap this many times as wide as the range of the others is no tail of a distribution.
_GAP = 3.0

#: The same for numbers that are fill values by custom.
_GAP_OF_USUAL = 0.5

_USUAL = {-9999.0, -999.0, -99.0, -32768.0, -32767.0, 9999.0, 999.0, 99999.0, -99999.0, 65535.0}

#: Fewer different values are a scale of a few steps, with all its steps far apart.
_FEWEST, _FEWEST_BESIDE_USUAL = 10, 3

#: Different fill values at one end: no data, not measured.
_MOST_KINDS = 3


class FillValueWarning(UserWarning):
    """A value far outside the others occurs many times."""


def fill_values(values: np.ndarray) -> dict[float, int]:
    """Values that occur several times, far outside all the others, and how often.

    Parameters
    ----------
    values : ndarray
        Of any shape; NaN is passed over.
    """
    flat = values.ravel()
    low, high = np.fmin.reduce(flat), np.fmax.reduce(flat)
    if not (np.isfinite(low) and np.isfinite(high)) or low == high:
        return {}
    sample = np.append(flat[:: max(1, len(flat) // _SAMPLE)], [low, high])
    distinct = np.unique(sample[~np.isnan(sample)])
    for taken in range(2 * _MOST_KINDS, 0, -1):
        for below in range(min(taken, _MOST_KINDS) + 1):
            above = taken - below
            if above > _MOST_KINDS or len(distinct) <= taken:
                continue
            counts = _counts(flat, distinct, below, above)
            if counts:
                return counts
    return {}


def _counts(flat: np.ndarray, distinct: np.ndarray, below: int, above: int) -> dict[float, int]:
    """The outer values of the sorted `distinct` and their counts, if they are fill values."""
    inner = distinct[below : len(distinct) - above]
    outer = np.concatenate([distinct[:below], distinct[len(distinct) - above :]])
    gaps = [inner[0] - outer[below - 1]] if below else []
    gaps += [outer[below] - inner[-1]] if above else []
    usual = all(value in _USUAL for value in outer)
    if len(inner) < (_FEWEST_BESIDE_USUAL if usual else _FEWEST):
        return {}
    if min(gaps) < (_GAP_OF_USUAL if usual else _GAP) * (inner[-1] - inner[0]):
        return {}
    counts = {float(value): int(np.count_nonzero(flat == value)) for value in outer}
    return counts if min(counts.values()) > 1 else {}


def told(found: dict[float, int]) -> str:
    """Fill values in words."""
    kinds = ", ".join(f"{value:g} ({count} times)" for value, count in found.items())
    return f"{kinds} is far outside all other values: does it stand for a missing one?"


def warn_of_fill_values(values: np.ndarray, stacklevel: int = 2) -> None:
    """Warn of values of X that look like fill values, with their counts."""
    found = fill_values(values)
    if found:
        message = f"X: {told(found)} NaN and missing='em' say so"
        warnings.warn(message, FillValueWarning, stacklevel=stacklevel + 1)

"""Words that the readers share: what stands for a missing value, and names in messages."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spatgmm.common.words import LONGEST

#: What stands for a missing value in text, in lower case.
MISSING = frozenset(
    ["", ".", "-", "--", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "<na>", "#na"]
)

#: What programs write for 1 and 0, in lower case.
FLAGS = ("true", "false")

#: The same in every case that occurs; pandas compares letter by letter.
MISSING_IN_ANY_CASE = sorted({w for m in MISSING for w in (m, m.upper(), m.title())} | {"NaN"})

#: Number of names that a message repeats.
_MOST = 8


def listed(names: Iterable) -> str:
    """Names after each other, the first of many."""
    names = [str(name).strip() for name in names]
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(name[:LONGEST] for name in names[:_MOST]) + more


def is_number(word: str) -> bool:
    """Whether a word is a number as Python writes it."""
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word


def first_line(error: BaseException) -> str:
    """What an error of another library says, in one line that is not too long."""
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "..."


def missing_hint(missing: np.ndarray) -> str:
    """What to do about missing values."""
    holes = int(missing.all(axis=0).sum())
    if holes:
        return f" ({holes} of {missing.shape[1]} places have no value in any map: --missing em)"
    return " (--missing em takes empty values as missing pixels)"

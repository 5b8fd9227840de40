"""Words that the readers share: what stands for a missing value, and cells in messages."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

#: What stands for a missing value in text, in lower case.
MISSING = frozenset(
    ["", ".", "-", "--", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "<na>", "#na"]
)

#: The same in every case that occurs; pandas compares letter by letter.
MISSING_IN_ANY_CASE = sorted({w for m in MISSING for w in (m, m.upper(), m.title())} | {"NaN"})

#: Characters of a cell, and number of names, that a message repeats.
_LONGEST, _MOST = 40, 8


def shown(cell) -> str:
    """A cell as messages repeat it: never a whole row."""
    text = repr(cell.item() if isinstance(cell, np.generic) else cell)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 5]}...{text[-1]}"


def listed(names: Iterable) -> str:
    """Names after each other, the first of many."""
    names = [str(name).strip() for name in names]
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(name[:_LONGEST] for name in names[:_MOST]) + more


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

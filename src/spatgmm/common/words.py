"""Cells and values as messages repeat them."""

from __future__ import annotations

import numpy as np

#: Characters of a cell that a message repeats.
LONGEST = 40


def shown(cell: object) -> str:
    """A cell as messages repeat it: in one line, never a whole row."""
    try:
        text = repr(cell.item() if isinstance(cell, np.generic) else cell)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        text = "a number of thousands of digits"
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 5]}...{text[-1]}"

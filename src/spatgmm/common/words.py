"""Cells and values as messages repeat them, parameters as they are written."""

from __future__ import annotations

import re

import numpy as np

#: Characters of a cell that a message repeats.
LONGEST = 40


#: Parameters that every component has; :mod:`spatgmm.report.tables.writer` knows them in LaTeX.
SYMBOLS = {"weight": "π", "alpha1": "α₁", "alpha2": "α₂", "alpha3": "α₃", "beta": "β"}

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def symbol(parameter: str) -> str:
    """A parameter as it is written; by its name where it has no symbol.

    Covariances of variables, ``psi[1,0]``, count from 1 as everything that readers see: ψ₂₁.
    """
    found = re.fullmatch(r"psi\[(\d+),(\d+)\]", parameter)
    if found is None:
        return SYMBOLS.get(parameter, parameter)
    numbers = [str(int(number) + 1) for number in found.groups()]
    between = "" if max(map(len, numbers)) == 1 else ","
    return "ψ" + between.join(numbers).translate(_SUBSCRIPTS)


def named_components(*numbers: int) -> str:
    """Components as messages name them: counted from 1 as in files, and by their labels.

    Parameters
    ----------
    *numbers : int
        Counted from 0, as arrays do.

    Examples
    --------
    >>> named_components(1)
    'component 2 (labels_ 1)'
    >>> named_components(0, 2)
    'components 1, 3 (labels_ 0, 2)'
    """
    named = ", ".join(str(number + 1) for number in numbers)
    labels = ", ".join(map(str, numbers))
    return f"component{'s' * (len(numbers) > 1)} {named} (labels_ {labels})"


def shown(cell: object) -> str:
    """A cell as messages repeat it: in one line, never a whole row."""
    try:
        text = repr(cell.item() if isinstance(cell, np.generic) else cell)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        text = "a number of thousands of digits"
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 5]}...{text[-1]}"

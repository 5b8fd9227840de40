"""Numbers as text, as every table, figure and finding writes them."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Said wherever a data set is shown that nobody measured.
STAND_IN = "synthetic stand-in"

#: A text that begins as a number does, as the functions here write it.
NUMBER = r"^[−–\d]"


def number(value: float, digits: int = 3) -> str:
    """A number with fixed digits after the point; a dash for none."""
    if value is None or not np.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.replace("-", "")


def with_error(value: float, error: float, digits: int = 3) -> str:
    """``value (standard error)``."""
    if not np.isfinite(error):
        return number(value, digits)
    return f"{number(value, digits)} ({number(error, digits)})"


def significant(value: float, digits: int = 3) -> str:
    """A positive quantity that spans magnitudes, such as seconds, to significant digits."""
    if value is None or not np.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))
    return f"{value:.{decimals}f}"


def percent(share: float, digits: int = 0) -> str:
    """A share of 1 as a percentage; a dash for none."""
    return f"{100 * share:.{digits}f} %" if np.isfinite(share) else "–"


def listing(items: list[str]) -> str:
    """``a, b and c``; items that hold commas of their own are set apart by semicolons."""
    items = list(items)
    if len(items) < 2:
        return "".join(items)
    comma = "; " if any(", " in item for item in items) else ", "
    last = f"{comma}and " if comma == "; " and len(items) > 2 else " and "
    return comma.join(items[:-1]) + last + items[-1]


def failures(raw: pd.DataFrame) -> str:
    """How many of all fits failed, from columns n_ok and n_failed."""
    failed = int(raw["n_failed"].sum())
    return f"{failed} of {failed + int(raw['n_ok'].sum())} fits failed"


def one_line(text, limit: int = 160) -> str:
    """The first line of an error message, short enough for a footnote."""
    line = str(text).strip().splitlines()[0].strip() if str(text).strip() else "no message"
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def reason(messages: pd.Series) -> str:
    """The most frequent of the messages, for a footnote; empty where there is none."""
    messages = messages.dropna()
    return one_line(messages.mode().iloc[0]) if len(messages) else ""

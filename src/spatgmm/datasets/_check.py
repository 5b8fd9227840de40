"""Checks of loaders' settings."""

from __future__ import annotations

from collections.abc import Collection
from numbers import Integral, Real
from typing import Any


def whole(name: str, value: Any, least: int, most: int) -> None:
    """Refuse anything but a whole number between `least` and `most`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}, got {value!r}")


def between(name: str, value: Any, above: float, most: float) -> None:
    """Refuse anything but a number above `above` and at most `most`."""
    if isinstance(value, bool) or not isinstance(value, Real) or not above < value <= most:
        raise ValueError(f"{name} must be above {above:g} and at most {most:g}, got {value!r}")


def one_of(name: str, value: Any, known: Collection) -> None:
    """Refuse anything but one of `known`."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")


def true_or_false(name: str, value: Any) -> None:
    """Refuse anything but a truth value."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r}")

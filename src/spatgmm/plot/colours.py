"""Colours of components and of values, the same in every picture."""

from __future__ import annotations

#: Diverging colour map for values around zero, sequential one for covariances.
DIVERGING, SEQUENTIAL = "RdBu_r", "viridis"

#: Colours of components or groups, in their order (Paul Tol's "bright").
GROUP_COLOURS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#AA3377", "#66CCEE", "#BBBBBB")


def group_colour(component: int) -> str:
    """Colour of a component, counted from 0."""
    return GROUP_COLOURS[component % len(GROUP_COLOURS)]

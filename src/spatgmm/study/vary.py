"""What a study varies: its points, and where each key of a point belongs.

A key ``method.<parameter>`` belongs to the methods, every other one, a dotted path, to the
scenarios and data sets.  A point sets a key wherever it exists and leaves alone what has no such
key; a key that exists nowhere is a mistake.  A point of a list may have a ``label``, which tables
and figures call it by.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from spatgmm.common.constraints import reaches
from spatgmm.scenarios import SCENARIO

#: Start of the keys that belong to the methods.
METHOD = "method."

#: Key of what a person calls a point; it belongs to nobody and decides nothing.
LABEL = "label"

Point = dict[str, Any]


def points(vary: Mapping[str, list] | list[Mapping]) -> list[Point]:
    """The points of a product of values by key, or of a list of points; without their labels."""
    if isinstance(vary, list):
        return [{key: v for key, v in point.items() if key != LABEL} for point in vary]
    return [dict(zip(vary, values, strict=True)) for values in itertools.product(*vary.values())]


def labels(vary: Mapping[str, list] | list[Mapping]) -> list[str]:
    """What a person calls each of the points; empty where nobody said."""
    if isinstance(vary, list):
        return [str(point.get(LABEL, "")) for point in vary]
    return [""] * len(points(vary))


def of_methods(point: Point) -> Point:
    """A point's part for the methods, by parameter."""
    return {key.removeprefix(METHOD): v for key, v in point.items() if key.startswith(METHOD)}


def of_data(point: Point) -> Point:
    """A point's part for scenarios and data sets, by dotted path."""
    return {key: value for key, value in point.items() if not key.startswith(METHOD)}


def scenario_has(scenario: Mapping, path: str) -> bool:
    """Whether a scenario has this key, or may have: optional ones need not be stated."""
    node: Any = scenario
    parts = _parts(path)
    for number, key in enumerate(parts):
        if isinstance(key, int):
            if not isinstance(node, list) or key >= len(node):
                return False
        elif not isinstance(node, dict) or key not in node:
            # Not stated: from here on the rules decide, and nothing is in a list yet.
            rest = parts[number:]
            return not any(isinstance(k, int) for k in rest) and reaches(SCENARIO, parts)
        node = node[key]
    return True


def set_key(settings: dict, path: str, value: Any) -> None:
    """Set a key of a scenario (:func:`scenario_has`) or data set, by dotted path."""
    *parents, last = _parts(path)
    node: Any = settings
    for key in parents:
        if isinstance(node, dict) and not isinstance(node.get(key), dict | list):
            node[key] = {}
        node = node[key]
    node[last] = value


def _parts(path: str) -> list[str | int]:
    return [int(key) if key.isdigit() else key for key in path.split(".")]

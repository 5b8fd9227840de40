"""How methods look: a colour for each, and markers and lines where colours run out."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from spatgmm.study.design import Variant

# Okabe and Ito's palette for all kinds of colour blindness, with hues of Paul Tol's between.
_COLOURS = (
    "#E69F00",
    "#CC79A7",
    "#D55E00",
    "#56B4E9",
    "#882255",
    "#0072B2",
    "#AA4499",
    "#332288",
    "#000000",
    "#888888",
    "#999933",
    "#009E73",
)
_MARKERS = "osD^vPX"
_LINES = ("-", "--", ":", "-.")

# A method's colour is a hash of its name, the same in every study. This salt was searched for so
# that the methods of the published comparison all differ.
_SALT = 8146


@dataclass(frozen=True)
class Look:
    """Of one method in every figure of a run.

    Attributes
    ----------
    colour : str
    marker, line : str
        Matplotlib's names.
    hollow : bool
        Whether markers are empty inside: so are those that share a colour with another method.
    """

    colour: str
    marker: str
    line: str
    hollow: bool


def looks(variants: Iterable[Variant]) -> dict[str, Look]:
    """The look of every method variant of a run, by id; no two are the same.

    A plug-in whose colour an earlier one has takes the next that is free, and only where none is
    left shares one, with other markers and lines. So do variants of one plug-in.

    Parameters
    ----------
    variants : iterable of Variant
        In the order of the configuration.
    """
    variants = list(variants)
    slots: dict[str, int] = {}
    for plugin in dict.fromkeys(variant.plugin for variant in variants):
        wanted = zlib.crc32(f"{_SALT}:{plugin}".encode()) % len(_COLOURS)
        tried = [(wanted + k) % len(_COLOURS) for k in range(len(_COLOURS))]
        slots[plugin] = next((slot for slot in tried if slot not in slots.values()), wanted)
    sharing = [0] * len(_COLOURS)
    found = {}
    for variant in variants:
        slot = slots[variant.plugin]
        number = sharing[slot]
        sharing[slot] += 1
        found[variant.id] = Look(
            _COLOURS[slot],
            _MARKERS[(slot + number) % len(_MARKERS)],
            _LINES[number % len(_LINES)],
            hollow=bool(number % 2),
        )
    return found

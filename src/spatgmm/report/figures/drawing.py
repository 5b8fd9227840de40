"""What a figure is: how it is drawn, and what to say about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from spatgmm.report.figures import style
from spatgmm.study.outputs import Asked


@dataclass(frozen=True)
class Drawing:
    """One figure.

    Attributes
    ----------
    draw : callable
        Draws it; only who wants the picture needs to wait for it.
    finding : str
        What it shows, made from the numbers behind it.
    notes : tuple of str
        What to know of this run.
    """

    draw: Callable[[], Figure]
    finding: str
    notes: tuple[str, ...] = ()

    def save(self, asked: Asked, directory: Path) -> list[Path]:
        """Write PDF, PNG and SVG; each is complete or not written."""
        style.apply()
        return style.save(self.draw(), asked.name, directory)

    def markdown(self, asked: Asked) -> str:
        """Picture, caption and notes."""
        caption = f"**{asked.label}.** {asked.caption}"
        return "\n\n".join([picture(asked), caption, *self.notes])


def picture(asked: Asked) -> str:
    """The picture, as a summary beside the folder of figures shows it."""
    return f"![{asked.label}](figures/{asked.name}.png)"

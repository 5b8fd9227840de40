"""How figures look: sizes and fonts of a journal, colours of groups."""

from __future__ import annotations

import textwrap
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # files only; also where there is no screen

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from spatgmm.common.files import atomic_path
from spatgmm.plot.colours import SEQUENTIAL

#: Widths of one and of two columns, in inches (89 and 183 mm).
COLUMN, PAGE = 3.5, 7.2

_RC = {
    "figure.dpi": 100,
    "font.family": "sans-serif",
    "font.sans-serif": ["Arial", "DejaVu Sans", "Liberation Sans", "sans-serif"],
    "axes.edgecolor": ".15",
    "axes.labelcolor": ".15",
    "text.color": ".15",
    "xtick.color": ".15",
    "ytick.color": ".15",
    "image.cmap": SEQUENTIAL,
    "lines.solid_capstyle": "round",
    "savefig.dpi": 300,
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "xtick.major.size": 4,
    "ytick.major.size": 4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "pdf.fonttype": 42,  # text stays text in the PDF
    "svg.fonttype": "none",  # and in the SVG
    "svg.hashsalt": "spatgmm",  # names in it are the same every time
    "figure.constrained_layout.use": True,
}


def apply() -> None:
    """Set matplotlib's defaults for all figures."""
    matplotlib.rcdefaults()
    plt.rcParams.update(_RC)


def title(ax, text: str) -> None:
    """A panel's title, on several lines where it is long; a value stays beside its name."""
    ax.set_title(textwrap.fill(text.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"), 36))


def letter(ax, index: int) -> None:
    """Mark a panel (a), (b), ... above its upper left corner."""
    ax.set_title(f"({chr(ord('a') + index)})", loc="left", fontweight="bold")


def save(figure: Figure, name: str, directory: Path) -> list[Path]:
    """Write PDF, PNG and SVG, each complete or not at all, and close the figure."""
    # Without a date in it, the same figure is the same file.
    dates = {".pdf": {"CreationDate": None}, ".png": None, ".svg": {"Date": None}}
    paths = []
    for suffix, metadata in dates.items():
        path = Path(directory) / f"{name}{suffix}"
        with atomic_path(path) as temporary:
            figure.savefig(temporary, metadata=metadata)
        paths.append(path)
    plt.close(figure)
    return paths

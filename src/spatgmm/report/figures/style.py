"""How figures look: one colour and marker per method everywhere, sizes and fonts of a journal."""

from __future__ import annotations

import zlib
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # files only; also where there is no screen

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from spatgmm.common.files import atomic_path

#: Widths of one and of two columns, in inches (89 and 183 mm).
COLUMN, PAGE = 3.5, 7.2

#: Diverging colour map for values around zero, sequential one for covariances.
DIVERGING, SEQUENTIAL = "RdBu_r", "viridis"

# Okabe and Ito's palette for all kinds of colour blindness, with hues of Paul Tol's between.
_METHOD_COLOURS = (
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
_METHOD_MARKERS = "osD^vPX"

# A method's colour is a hash of its name: a new method never changes another's colour.  This
# salt was searched for so that the methods of the published comparison all differ.
_SALT = 8146

#: Colours of components or groups, in their order (Paul Tol's "bright").
GROUP_COLOURS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#AA3377", "#66CCEE", "#BBBBBB")

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
    "figure.constrained_layout.use": True,
}


def apply() -> None:
    """Set matplotlib's defaults for all figures."""
    matplotlib.rcdefaults()
    plt.rcParams.update(_RC)


def method_colour(plugin: str) -> str:
    """The colour of a method, a function of its plug-in's name alone."""
    return _METHOD_COLOURS[_hash(plugin) % len(_METHOD_COLOURS)]


def method_marker(method: str) -> str:
    """The marker of a method variant, a function of its id alone."""
    return _METHOD_MARKERS[_hash(method) // len(_METHOD_COLOURS) % len(_METHOD_MARKERS)]


def group_colour(component: int) -> str:
    return GROUP_COLOURS[component % len(GROUP_COLOURS)]


def letter(ax, index: int) -> None:
    """Mark a panel (a), (b), ... above its upper left corner."""
    ax.set_title(f"({chr(ord('a') + index)})", loc="left", fontweight="bold")


def save(figure: Figure, name: str, directory: Path) -> list[Path]:
    """Write PDF and PNG, each complete or not at all, and close the figure."""
    paths = []
    for suffix in (".pdf", ".png"):
        path = Path(directory) / f"{name}{suffix}"
        # Without a date in it, the same figure is the same file.
        metadata = {"CreationDate": None} if suffix == ".pdf" else None
        with atomic_path(path) as temporary:
            figure.savefig(temporary, metadata=metadata)
        paths.append(path)
    plt.close(figure)
    return paths


def _hash(text: str) -> int:
    return zlib.crc32(f"{_SALT}:{text}".encode())

"""Self-contained pages: templates, tables that sort, and pictures inside the page.

Whatever a page shows is in its one file: style, script, figures.  Texts are escaped by the template
engine, so that names of files, maps and methods can hold anything.
"""

from __future__ import annotations

import base64
import functools
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from spatgmm.report.words import NUMBER

#: A drawing that is so many times as long as a PNG picture of it gives way to that.
_MOST_TIMES = 2.0

#: What a drawing says of itself, with addresses that a page needs not hold.
_PREAMBLE = re.compile(r"^.*?(?=<svg\b)|<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL)
_NAMESPACES = re.compile(r'\sxmlns(:\w+)?="[^"]*"')
_SIZE = re.compile(r'<svg width="([\d.]+)pt" height="[\d.]+pt"')

#: A look that so many parts of a drawing share is told once.
_OFTEN = 20

#: Tags, and digits in them that no screen shows: beyond a hundredth of a point.
_TAG = re.compile(r"<[^>]+>")
_DIGITS = re.compile(r"(?<![\d.])(\d*[1-9]\d*\.\d\d)\d+")

#: Names in a drawing, where they are given and where they are used.
_NAMED = re.compile(r'(\bid="|url\(#|href="#)([^")]+)')

#: How something in a drawing looks.
_STYLED = re.compile(r'\bstyle="([^"]+)"')


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, whether it repeats the one above, and whether it is a number."""

    text: str
    again: bool = False
    is_number: bool = False


@dataclass(frozen=True)
class Grid:
    """A table for a template.

    Attributes
    ----------
    upper : list of (str, int)
        Headings that span columns, with how many; empty where there is one level.
    head : list of Cell
    rows : list of list of Cell
    """

    upper: list[tuple[str, int]]
    head: list[Cell]
    rows: list[list[Cell]]


def grid(frame: pd.DataFrame) -> Grid:
    """A frame of formatted texts; columns may have two levels.

    A cell that is empty since it repeats the one above gets that one's text: rows that are sorted
    must each say what they are of.
    """
    columns = [c if isinstance(c, tuple) else ("", str(c)) for c in frame.columns]
    spans: list[tuple[str, int]] = []
    for above, _ in columns:
        if spans and spans[-1][0] == above:
            spans[-1] = (above, spans[-1][1] + 1)
        else:
            spans.append((above, 1))
    texts = [column[column != ""].astype(str) for _, column in frame.items()]
    numbers = [len(column) > 0 and bool(column.str.match(NUMBER).all()) for column in texts]
    # A column whose only heading stands in the upper level is sorted by that one.
    head = [
        Cell(below or above, is_number=number)
        for (above, below), number in zip(columns, numbers, strict=True)
    ]
    alone = {above for above, below in columns if not below}
    upper = [("" if above in alone else above, width) for above, width in spans]
    rows: list[list[Cell]] = []
    for line in frame.to_numpy(dtype=str):
        cells = []
        for k, text in enumerate(line):
            again = not text and bool(rows)
            cells.append(Cell(rows[-1][k].text if again else text, again, numbers[k]))
        rows.append(cells)
    return Grid(upper if any(above for above, _ in upper) else [], head, rows)


def render(template: str, **values) -> str:
    """A page from a template of this package.

    Parameters
    ----------
    template : str
        Name of a file in ``templates``.
    **values
        What it shows.
    """
    return _engine().get_template(template).render(**values)


def picture(path: Path, title: str, name: str) -> Markup:
    """The drawing at `path` (``.svg``), or the PNG picture beside it where that is much smaller.

    Parameters
    ----------
    path : Path
        Whatever its suffix.
    title : str
        For those who cannot see it.
    name : str
        Of the picture in the page, which nothing else there has.

    Raises
    ------
    FileNotFoundError
        If neither is there.
    """
    drawn, dots = (Path(path).with_suffix(suffix) for suffix in (".svg", ".png"))
    if not drawn.is_file():
        return png(dots.read_bytes(), title)
    drawing = svg(drawn.read_text(encoding="utf-8"), title, name)
    return _shorter(drawing, dots.read_bytes(), title) if dots.is_file() else drawing


def drawn(figure: Figure, title: str, name: str) -> Markup:
    """A figure for the inside of a page, as :func:`picture` has it from files."""
    lines, dots = io.StringIO(), io.BytesIO()
    figure.savefig(lines, format="svg", metadata={"Date": None})
    figure.savefig(dots, format="png")
    return _shorter(svg(lines.getvalue(), title, name), dots.getvalue(), title)


def _shorter(drawing: Markup, dots: bytes, title: str) -> Markup:
    """A drawing, unless a picture of it is much shorter."""
    picture = png(dots, title)
    return drawing if len(drawing) <= _MOST_TIMES * len(picture) else picture


def svg(drawing: str, title: str, name: str) -> Markup:
    """A drawing for the inside of a page, whose ids are its own (``name-...``) and which scales."""
    drawing = _NAMESPACES.sub("", _PREAMBLE.sub("", drawing))
    drawing = _SIZE.sub(r'<svg style="--width:\1pt"', drawing)
    drawing = _TAG.sub(lambda tag: _DIGITS.sub(r"\1", tag[0]), drawing)
    # Thousands of points that look the same say so in a word each.
    names: dict[str, int] = {}
    drawing = _NAMED.sub(
        lambda found: f"{found[1]}{name}-{names.setdefault(found[2], len(names))}", drawing
    )
    looks = Counter(_STYLED.findall(drawing))
    classes = {
        look: f"{name}-c{k}" for k, (look, count) in enumerate(looks.items()) if count >= _OFTEN
    }
    drawing = _STYLED.sub(
        lambda found: f'class="{classes[found[1]]}"' if found[1] in classes else found[0], drawing
    )
    rules = "".join(f".{one}{{{look}}}" for look, one in classes.items())
    drawing = drawing.replace(">", f"><style>{rules}</style>", 1) if rules else drawing
    said = Markup('<svg role="img" aria-label="{}"').format(title)
    return Markup(drawing.replace("<svg", said, 1))


def png(content: bytes, title: str) -> Markup:
    """A picture for the inside of a page."""
    data = base64.b64encode(content).decode()
    return Markup('<img alt="{}" src="data:image/png;base64,{}">').format(title, data)


@functools.cache
def _engine() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("spatgmm.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

"""Any table in any habit of writing: read exactly as meant, or refused with what decides.

A data set is drawn, written in a random dialect, and read.  Where the file can be read in two ways
the refusal names the option, and with the option it is read as meant; never are there silently
other values.  SPATGMM_EXAMPLES=3000 tries more of them.
"""

import bz2
import gzip
import io
import lzma
import os
import re
import zipfile
from dataclasses import dataclass, field

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spatgmm.reading import read

EXAMPLES = int(os.environ.get("SPATGMM_EXAMPLES", "150"))
COMMON = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="SPATGMM_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)

#: How numbers are printed; what a spreadsheet, C and Python do.
PRINTED = {
    "decimals": lambda rng: f"{rng.normal():.3f}".rstrip("0").rstrip("."),
    "fixed": lambda rng: f"{rng.uniform(-40, 40):.3f}",
    "whole": lambda rng: str(rng.integers(0, 256)),
    "thousands": lambda rng: str(round(float(10 ** rng.uniform(0, 7)), 2)),
    "whole thousands": lambda rng: str(int(10 ** rng.uniform(0, 7))),
    "tiny": lambda rng: f"{rng.normal() * 1e-7:.4e}",
    "rising": None,
    "constant": lambda rng: rng.choice(["0", "1", "-0.5"]),
    "flags": lambda rng: str(bool(rng.integers(0, 2))),
}

HEADERS = ("none", "words", "letters", "from 0", "from 1", "even", "sorted", "stations", "dates")
INDICES = ("none", "counted", "from 1", "words", "padded", "dates", "numbers", "years")
COMPRESSED = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": lambda content: _zipped(content),
}
OPTION = re.compile(r"--(?:no-)?(header|index|columns|decimal|missing)")


def _zipped(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inside.csv", content)
    return file.getvalue()


@dataclass
class Dialect:
    """How a table is written."""

    separator: str = ","
    decimal: str = "."
    grouped: bool = False
    quoted: str = "where needed"
    encoding: str = "utf-8"
    line_end: str = "\n"
    trailing: bool = False
    padded: bool = False
    blank_lines: bool = False
    comments: str = ""
    missing: str = "NA"
    minus: str = "-"
    suffix: str = ".csv"
    compressed: str = ""

    def number(self, text):
        """A number of Python's as it is written here."""
        if text in ("True", "False"):
            return text
        if self.grouped and "e" not in text:
            whole, point, part = text.lstrip("-").partition(".")
            text = "-" * text.startswith("-") + f"{int(whole):,}" + point + part
        marks = {",": {".": ",", ",": "."}, ".": {}}[self.decimal]
        return text.translate(str.maketrans(marks)).replace("-", self.minus, 1)

    def line(self, cells):
        if self.quoted == "all" or self.separator == " ":
            quote = self.quoted == "all"
            cells = [f'"{c}"' if quote or " " in c or not c else c for c in cells]
        else:
            cells = [f'"{c}"' if self.separator in c else c for c in cells]
        between = self.separator + " " * self.padded
        return between.join(cells) + self.separator * self.trailing

    def content(self, rows, above=()):
        lines = [self.line(row) for row in rows]
        if self.comments == "above":
            lines = ["# made by a program; 3, 4", "#", *lines]
        elif self.comments == "between":
            lines = [*lines[:2], "# half-way", *lines[2:]]
        elif self.comments == "sep=":
            lines = [f"sep={self.separator}", *lines]
        if self.blank_lines:
            lines = ["", *lines[:3], "", *lines[3:], ""]
        text = self.line_end.join([*lines, ""])
        return COMPRESSED[self.compressed](text.encode(self.encoding))


@st.composite
def dialects(draw, table):
    """A legal dialect: what separates values is in none of them, unless they are quoted."""
    separator = draw(st.sampled_from([",", ",", ";", "\t", "|", " "]))
    decimal = draw(st.sampled_from([".", ".", ","]))
    blank = separator == " "
    grouped = "thousands" in table and draw(st.booleans())
    quoted = draw(st.sampled_from(["where needed", "where needed", "all"]))
    return Dialect(
        separator=separator,
        decimal=decimal,
        grouped=grouped,
        # Whoever separates by decimal commas quotes.
        quoted="all" if grouped and separator == decimal else quoted,
        encoding=draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"])),
        line_end=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        trailing=not blank and draw(st.integers(0, 5)) == 0,
        padded=not blank and separator != "\t" and draw(st.integers(0, 5)) == 0,
        blank_lines=draw(st.integers(0, 5)) == 0,
        comments=draw(st.sampled_from(["", "", "", "above", "between", "sep="])),
        missing=draw(st.sampled_from(["NA", "nan", "NULL", ".", "-", "n/a"] + [""] * (not blank))),
        suffix=draw(st.sampled_from([".csv", ".txt", ".tsv"])),
        compressed=draw(st.sampled_from(["", "", "", "", *COMPRESSED])),
    )


@dataclass
class Case:
    """Maps, how they are written, and what decides where that is not clear."""

    X: np.ndarray
    names: list | None
    coordinates: np.ndarray
    maps: bytes
    places: bytes | str
    suffixes: tuple
    truth: dict = field(default_factory=dict)
    told: str = ""

    def __repr__(self):
        return self.told


def _headings(kind, p, rng):
    return {
        "none": None,
        "words": [f"pixel {i}" for i in range(p)],
        "letters": [f"{chr(97 + i % 26)}{i // 26}" for i in range(p)],
        "from 0": [str(i) for i in range(p)],
        "from 1": [str(i + 1) for i in range(p)],
        "even": [str(400 + 2 * i) for i in range(p)],
        "sorted": [f"{v:.1f}" for v in np.sort(rng.choice(4000, p, replace=False)) / 10 + 400],
        "stations": [str(v) for v in rng.choice(np.arange(100, 999), p, replace=False)],
        "dates": [f"2021-03-{i + 1:02}" for i in range(p)],
    }[kind]


def _row_names(kind, n, rng):
    return {
        "none": None,
        "counted": [str(i) for i in range(n)],
        "from 1": [str(i + 1) for i in range(n)],
        "words": [f"map {i}" for i in range(n)],
        "padded": [f"{i:03}" for i in range(n)],
        "dates": [f"{i + 1:02}.07.2020" for i in range(n)],
        "numbers": [str(v) for v in rng.choice(np.arange(1000, 9999), n, replace=False)],
        "years": [str(1990 + i) for i in range(n)],
    }[kind]


def _maps_as_text(printed, n, p, rng):
    if printed == "rising":
        return [[f"{v:.2f}" for v in np.cumsum(rng.uniform(0.02, 1, p))] for _ in range(n)]
    cells = [[PRINTED[printed](rng) for _ in range(p)] for _ in range(n)]
    return cells


def _values(cells):
    flags = {"True": 1.0, "False": 0.0}
    return np.array([[flags[c] if c in flags else float(c) for c in row] for row in cells])


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.sampled_from([(2, 2), (2, 3), (3, 3), (2, 5), (3, 4), (4, 4), (1, 5)]))
    n, p = draw(st.integers(2, 30)), shape[0] * shape[1]
    printed = draw(st.sampled_from(list(PRINTED)))
    # What looks like one more map, whatever one does: whole numbers of stations above whole
    # numbers, or a few that rise.
    alike = {"stations"} if printed in ("whole", "whole thousands", "constant") else set()
    alike |= {"sorted"} if p < 5 else set()
    header = draw(st.sampled_from([kind for kind in HEADERS if kind not in alike]))
    index = draw(st.sampled_from(INDICES))
    units = header != "none" and printed != "flags" and draw(st.integers(0, 7)) == 0
    form = draw(dialects(printed))
    cells = _maps_as_text(printed, n, p, rng)
    X = _values(cells)
    if draw(st.booleans()) and printed != "flags":
        # Gaps are in a few places; an empty last value is no row that ends early.
        for _ in range(draw(st.integers(1, 3))):
            i, j = rng.integers(n), rng.integers(p)
            X[i, j] = np.nan
    gaps = np.isnan(X)
    written = [
        [form.missing if gaps[i, j] else form.number(cells[i][j]) for j in range(p)]
        for i in range(n)
    ]
    headings, names = _headings(header, p, rng), _row_names(index, n, rng)
    corner = draw(st.sampled_from(["id", "", "sample_id"])) if form.separator != " " else "id"
    rows = written if names is None else [[names[i], *row] for i, row in enumerate(written)]
    if headings is not None:
        top = [form.number(h) if header in ("even", "sorted") else h for h in headings]
        rows = [[corner] * (names is not None) + top, *rows]
        if units:
            rows.insert(1, ["-"] * (names is not None) + ["mV"] * p)
    truth = {
        "header": headings is not None,
        "index": names is not None,
        "decimal": form.decimal,
    }
    points, places, suffix, columns = draw(_places(shape, headings, rng))
    truth |= {"columns": columns}
    told = f"maps:\n{form}\n" + "\n".join(form.line(row) for row in rows[:6])
    told += f"\n({n} maps, {printed}, header {header}, index {index})\nplaces: {places[:400]!r}"
    suffixes = (form.suffix + form.compressed, suffix)
    return Case(X, names, points, form.content(rows), places, suffixes, truth, told)


@st.composite
def _places(draw, shape, headings, rng):
    """Coordinates in the order of the columns, and a file of them or a grid shape."""
    p = shape[0] * shape[1]
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(p, 2)
    if draw(st.booleans()):
        return grid.astype(float), f"{shape[0]}x{shape[1]}", "", None
    form = draw(dialects("decimals"))
    form.comments = ""
    axes = draw(
        st.sampled_from([("x", "y"), ("lon", "lat"), ("Easting (m)", "Northing (m)"), None])
    )
    if draw(st.booleans()):
        points = np.round(grid + rng.uniform(0, 0.4, grid.shape), 2)
    else:
        points = grid * [1.5, 2.0]
    text = [[form.number(str(v)) for v in point] for point in points]
    order = np.arange(p)
    label = draw(st.sampled_from(["none", "none", "counted", "names"])) if axes else "none"
    swapped = bool(axes) and draw(st.booleans())
    rows = [row[::-1] if swapped else row for row in text]
    top = list(axes[::-1] if swapped else axes) if axes else []
    if label == "counted":
        rows, top = [[str(i), *row] for i, row in enumerate(rows)], ["id", *top]
    if label == "names" and headings is not None:
        order = rng.permutation(p)
        rows, top = [[headings[i], *rows[i]] for i in order], ["place", *top]
    content = form.content([top, *rows] if axes else rows)
    columns = list(axes) if axes else ["1", "2"]
    return points.astype(float), content, form.suffix + form.compressed, columns


def _written(folder, stem, suffix, content):
    path = folder / (stem + suffix)
    path.write_bytes(content)
    return str(path)


def _check(folder, case):
    maps = _written(folder, "maps", case.suffixes[0], case.maps)
    places = case.places
    if isinstance(places, bytes):
        places = _written(folder, "places", case.suffixes[1], places)
    options = {"missing": bool(np.isnan(case.X).any())}
    for _ in range(5):
        try:
            done = read(maps, places, **options)
            break
        except ValueError as error:
            message = str(error)
            assert "\n" not in message and len(message) < 600, message
            assert maps in message or str(places) in message, message
            asked = {name for name in OPTION.findall(message) if name in case.truth}
            new = {name: case.truth[name] for name in asked if name not in options}
            assert new, f"{message}\nnames nothing that decides\n{case.told}"
            options |= new
    note = f"{case.told}\nread with {options}: {done.notes}"
    assert done.data.X.shape == case.X.shape, f"{done.data.X[:2]}\n{note}"
    found, found_names = done.data.X, done.names
    if places is None:  # maps come in the order in which they first occur
        assert sorted(found_names) == sorted(case.names), note
        rows = [found_names.index(name) for name in case.names]
        found, found_names = found[rows], case.names
    np.testing.assert_allclose(found, case.X, rtol=1e-15, atol=0, err_msg=note)
    np.testing.assert_allclose(
        done.data.coordinates, case.coordinates, rtol=1e-15, atol=0, err_msg=note
    )
    if case.names is not None:
        assert found_names == case.names, note


@COMMON
@given(case=cases())
def test_maps_are_read_as_meant_or_asked_about(tmp_path_factory, case):
    _check(tmp_path_factory.mktemp("dialects", numbered=True), case)


@st.composite
def long_tables(draw):
    """The same as a row per value, in any order of rows and columns."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape, n = draw(st.sampled_from([(2, 2), (2, 3), (3, 3)])), draw(st.integers(2, 6))
    printed = draw(st.sampled_from(["decimals", "fixed", "thousands", "tiny"]))
    form = draw(dialects(printed))
    names = _row_names(draw(st.sampled_from(["counted", "words", "dates", "padded"])), n, rng)
    points = np.argwhere(np.ones(shape)) * [1.5, 2.0]
    cells = _maps_as_text(printed, n, len(points), rng)
    axes = draw(st.sampled_from([("y", "x"), ("lat", "lon")]))
    columns = ["map", *axes, "value"]
    rows = [
        [names[i], *map(form.number, map(str, point)), form.number(cells[i][j])]
        for i in range(n)
        for j, point in enumerate(points)
    ]
    rows = [rows[0], *(rows[1 + i] for i in rng.permutation(len(rows) - 1))]
    order = draw(st.permutations(range(4)))
    rows = [[row[column] for column in order] for row in [columns, *rows]]
    told = f"{form}\n" + "\n".join(form.line(row) for row in rows[:6])
    truth = {"header": True, "decimal": form.decimal}
    suffixes = (form.suffix + form.compressed, "")
    # Places come out line by line, and x before y; maps as they first occur.
    return Case(
        _values(cells), names, points[:, ::-1], form.content(rows), None, suffixes, truth, told
    )


@COMMON
@given(case=long_tables())
def test_long_tables_are_read_as_meant_or_asked_about(tmp_path_factory, case):
    _check(tmp_path_factory.mktemp("long", numbered=True), case)

"""A table as CSV (raw numbers), Markdown and LaTeX (formatted)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from tabulate import tabulate

from spatgmm.common.files import atomic_path
from spatgmm.report.words import NUMBER
from spatgmm.study.outputs import Asked

if TYPE_CHECKING:
    from spatgmm.report.tables.table import Table

_LATEX = {
    "α₁": r"$\alpha_1$",
    "α₂": r"$\alpha_2$",
    "α₃": r"$\alpha_3$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "π": r"$\pi$",
    "ψ": r"$\psi$",
    **{digit: f"$_{n}$" for n, digit in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    "Ξ": r"$\Xi$",
    "δ": r"$\delta$",
    "√": r"$\surd$",
    "−": r"$-$",
    "×": r"$\times$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "²": r"$^2$",
    "–": "--",
    "…": r"\ldots{}",
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}
_LATEX_PATTERN = re.compile("|".join(re.escape(k) for k in sorted(_LATEX, key=len, reverse=True)))
_MARK = re.compile(r"\[([a-z]{1,2})\]")

#: Characters that fit side by side into a line of text, and what lies between two columns.
_LINE, _BETWEEN = 72, 2

#: As wide as it is, and at most as wide as the page: nothing is enlarged.
_FITTED = r"\ifdim\width>\linewidth\linewidth\else\width\fi"


def write(asked: Asked, table: Table, directory: Path) -> list[Path]:
    """Write the three files; each is complete or not written.

    Returns
    -------
    list of Path
        The CSV, LaTeX and Markdown files.
    """
    contents = {
        ".csv": table.raw.to_csv(index=False),
        ".tex": to_latex(asked, table),
        ".md": to_markdown(asked, table),
    }
    paths = []
    for suffix, text in contents.items():
        path = Path(directory) / f"{asked.name}{suffix}"
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def to_markdown(asked: Asked, table: Table) -> str:
    """A pipe table below its caption, notes after it."""
    parts = [f"**{asked.label}.** {asked.caption}", pipe_table(table.formatted), *table.notes]
    return "\n\n".join(parts) + "\n"


def pipe_table(frame: pd.DataFrame) -> str:
    """Formatted texts as a table in Markdown."""
    return tabulate(
        [[cell.replace("|", "\\|") for cell in row] for row in frame.to_numpy(dtype=str)],
        headers=[" ".join(filter(None, _levels(column))) for column in frame.columns],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=["left" if left else "right" for left in _left_columns(frame)],
    )


def to_latex(asked: Asked, table: Table) -> str:
    """A ``booktabs`` table; wide ones lie on their side (package ``rotating``)."""
    frame = table.formatted
    columns = [_levels(column) for column in frame.columns]
    wide = _characters(columns, frame) > _LINE
    environment = "sidewaystable" if wide else "table"
    lines = [
        r"% needs \usepackage{booktabs,graphicx,rotating}",
        rf"\begin{{{environment}}}",
        r"\centering",
        rf"\caption{{{escape(asked.caption)}}}",
        rf"\label{{tab:{asked.name}}}",
    ]
    spec = "".join("l" if left else "r" for left in _left_columns(frame))
    tabular = [rf"\begin{{tabular}}{{{spec}}}", r"\toprule", *_latex_head(columns), r"\midrule"]
    tabular += [
        " & ".join(_superscript(escape(cell)) for cell in row) + r" \\"
        for row in frame.to_numpy(dtype=str)
    ]
    tabular += [r"\bottomrule", r"\end{tabular}"]
    if wide:
        tabular = [rf"\resizebox{{{_FITTED}}}{{!}}{{%", *tabular, "}"]
    lines += tabular
    if table.notes:
        notes = r" \\ ".join(_superscript(escape(note)) for note in table.notes)
        lines.append(r"\par\smallskip\begin{minipage}{\textwidth}\footnotesize")
        lines += [notes, r"\end{minipage}"]
    lines.append(rf"\end{{{environment}}}")
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text as LaTeX: symbols in mathematics, special characters escaped."""
    return _LATEX_PATTERN.sub(lambda found: _LATEX[found.group()], text)


def _superscript(text: str) -> str:
    # In front of a row's first cell "[a]" would be read as an argument of the line end before it.
    return _MARK.sub(r"\\textsuperscript{\1}", text)


def _levels(column) -> tuple[str, ...]:
    return tuple(map(str, column)) if isinstance(column, tuple) else (str(column),)


def _characters(columns: list[tuple[str, ...]], frame: pd.DataFrame) -> int:
    """Width of a table, from the widest cell of each column."""
    cells = zip(columns, frame.to_numpy(dtype=str).T, strict=True)
    widest = [max(map(len, [column[-1], *below])) for column, below in cells]
    return sum(widest) + _BETWEEN * (len(widest) - 1)


def _left_columns(frame: pd.DataFrame) -> list[bool]:
    """Words are set left, numbers right."""
    return [not frame.iloc[:, i].astype(str).str.match(NUMBER).any() for i in range(frame.shape[1])]


def _latex_head(columns: list[tuple[str, ...]]) -> list[str]:
    """Header rows; equal neighbours of the upper level are joined."""
    if len(columns[0]) == 1:
        return [" & ".join(escape(column[0]) for column in columns) + r" \\"]
    upper, rules, start = [], [], 0
    while start < len(columns):
        stop = start + 1
        while stop < len(columns) and columns[stop][0] == columns[start][0]:
            stop += 1
        text = _superscript(escape(columns[start][0]))
        if stop - start == 1:
            upper.append(text)
        else:
            upper.append(rf"\multicolumn{{{stop - start}}}{{c}}{{{text}}}")
            rules.append(rf"\cmidrule(lr){{{start + 1}-{stop}}}")
        start = stop
    lower = " & ".join(escape(column[1]) for column in columns) + r" \\"
    return [" & ".join(upper) + r" \\", "".join(rules), lower]

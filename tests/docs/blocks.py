"""The blocks of a page, and how they are run: ``python blocks.py PAGE [--dry]``.

In their order, in the current folder: ``python`` in one namespace, ``sh`` by bash, and a block with
a ``title`` becomes the file of that name.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

#: Kinds of blocks that are not run; any other must be one that is.
NOT_RUN = {"yaml", "text", "bibtex", "snakemake"}

#: What takes too long, or changes the machine, is asked what it would do.
DRY = {
    "make ": "make --dry-run ",
    "snakemake ": "snakemake --quiet all --dry-run ",
    "pip install ": "pip install --dry-run --no-deps --no-build-isolation --no-index ",
}

#: Searches, of which shorter ones show as much.
SHORTER = {"--components 1:5": "--components 1:2", "range(1, 6)": "range(1, 3)"}

#: The environment is there when tests run.
SET_UP = (". .venv/bin/activate", "export RPY2_CFFI_MODE=ABI", "pre-commit install")

_FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, the file that it is, or an empty text, and what it holds."""

    kind: str
    title: str
    text: str


def blocks(page: str) -> list[Block]:
    """All blocks of a page's text."""
    found = [Block(kind, title, text) for kind, title, text in _FENCE.findall(page)]
    assert 2 * len(found) == len(re.findall(r"^ *```", page, re.MULTILINE)), "a fence without kind"
    return found


def harmless(text: str) -> str:
    """Commands of which the long ones only say what they would do."""
    lines = [line for line in text.splitlines() if not line.startswith(SET_UP)]
    for start, instead in DRY.items():
        lines = [
            instead + line.removeprefix(start) if line.startswith(start) else line for line in lines
        ]
    return "\n".join(lines)


def run(page: str, dry: bool) -> None:
    """Run a page in the current folder; what fails ends it."""
    namespace: dict = {"__name__": "page"}
    if Path("before.py").exists():
        exec(Path("before.py").read_text(), namespace)
    if dry:
        for long, short in SHORTER.items():
            page = page.replace(long, short)
    for block in blocks(page):
        if block.title:
            Path(block.title).parent.mkdir(parents=True, exist_ok=True)
            Path(block.title).write_text(block.text)
        elif block.kind == "python":
            exec(compile(block.text, "page", "exec"), namespace)
        elif block.kind == "sh":
            commands = harmless(block.text) if dry else block.text
            subprocess.run(["bash", "-euo", "pipefail", "-c", commands], check=True)
            # Each block stands for itself: its fit does not meet that of the one before.
            shutil.rmtree("spatgmm-fit", ignore_errors=True)
        else:
            assert block.kind in NOT_RUN, f"who runs {block.kind}?"


if __name__ == "__main__":
    run(Path(sys.argv[1]).read_text(encoding="utf-8"), dry="--dry" in sys.argv)

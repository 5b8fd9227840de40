"""MkDocs' hooks: pages that are made from the one source of what they say.

References come from the declarations that the package itself checks with, and pages of the project
from the files at its root, whose links are turned to where their targets are on the site.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # MkDocs loads a hook by its path alone

import reference  # noqa: E402

ROOT = HERE.parents[1]

#: Pages made of a file of the project.
INCLUDED = {
    "project/architecture.md": "ARCHITECTURE.md",
    "project/contributing.md": "CONTRIBUTING.md",
    "project/changelog.md": "CHANGELOG.md",
    "reference/configurations.md": "config/README.md",
}

#: Other files of the project that have a place on the site.
PAGES = {"README.md": "index.md", "workflow/report/comparison.png": "comparison.png"}

#: Addresses that pages of this build link to.
outside: set[str] = set()

#: Asks for a section of the README.
_SECTION = re.compile(r"^<!-- README: (.+) -->$", re.MULTILINE)

_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    pages = {page: included(page, name) for page, name in INCLUDED.items()}
    for page, text in (pages | reference.pages()).items():
        files.append(File.generated(config, page, content=text))
    picture = "workflow/report/comparison.png"
    files.append(File.generated(config, PAGES[picture], abs_src_path=str(ROOT / picture)))
    return files


def on_page_markdown(markdown: str, page: Page, **kwargs: Any) -> str:
    """Put sections of the README where a page asks for them, so that each stands once."""
    return _SECTION.sub(lambda match: section(page.file.src_uri, match[1]), markdown)


def on_page_content(html: str, page: Page, files: Files, **kwargs: Any) -> str:
    """Remember what lies outside of the site; in notebooks, turn links to pages into addresses.

    MkDocs does so in Markdown only.

    Raises
    ------
    ValueError
        For a link to a page that is not there.
    """
    outside.update(re.findall(r'href="(https?://[^"#]+)', html))

    def turn(match: re.Match[str]) -> str:
        source = normpath(join(dirname(page.file.src_uri), match[1]))
        target = files.get_file_from_path(source)
        if target is None:
            raise ValueError(f"{page.file.src_uri}: links to {match[1]}, which is no page")
        return f'href="{get_relative_url(target.url, page.url)}'

    notebook = page.file.src_uri.endswith(".py")
    return re.sub(r'href="([^":#]+\.(?:md|py))(?=["#])', turn, html) if notebook else html


def on_post_build(**kwargs: Any) -> None:
    """List what no build can check."""
    print("links that lead elsewhere, not checked:", *sorted(outside), sep="\n  ")


def section(page: str, heading: str) -> str:
    """What the README says under a heading, up to the next one.

    Raises
    ------
    ValueError
        If it has no such heading.
    """
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.M | re.S)
    if found is None:
        raise ValueError(f"{page}: the README has no heading {heading!r}")
    return turned(page, "README.md", found[1])


def included(page: str, name: str) -> str:
    """A file of the project as a page."""
    return turned(page, name, (ROOT / name).read_text(encoding="utf-8"))


def turned(page: str, name: str, text: str) -> str:
    """Text of a file of the project, its links to other such files turned to their pages.

    Raises
    ------
    ValueError
        For a link to a file of the project that is no page.
    """
    pages = {file: page for page, file in INCLUDED.items()} | PAGES

    def turn(match: re.Match[str]) -> str:
        target, anchor = match.groups()
        file = normpath(join(dirname(name), target))
        if file not in pages:
            raise ValueError(f"{name}: links to {target}, which is no page of the site")
        return f"]({relpath(pages[file], dirname(page) or '.')}{anchor or ''})"

    return _LINK.sub(turn, text)

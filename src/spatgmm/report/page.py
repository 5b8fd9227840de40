"""``report.html``: a finished run as one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup

from spatgmm.common.files import atomic_path
from spatgmm.report import html
from spatgmm.report.results import Results
from spatgmm.report.story import Story
from spatgmm.study.outputs import Asked


def write(config: Mapping, results_dir) -> Path:
    """Write ``<results_dir>/report.html``; its figures must be in ``<results_dir>/figures``.

    Parameters
    ----------
    config : mapping
        The validated study configuration.
    results_dir : path-like
        ``results/<name>`` of that configuration.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If the run's fits or figures are not there.
    """
    path = Path(results_dir) / "report.html"
    page = text(Story(Results(config, results_dir)), datetime.now(UTC))
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def text(story: Story, written: datetime) -> str:
    """The page."""
    figures = [told for told in story.outputs if told.asked.output.kind == "figure"]
    tables = [told for told in story.outputs if told.asked.output.kind == "table"]
    opening = [told.asked for told in story.opening if told.asked.output.kind == "figure"]
    folder = story.results.directory / "figures"

    def picture(asked: Asked, name: str) -> Markup:
        return html.picture(folder / asked.name, asked.output.title, name)

    return html.render(
        "study.html",
        story=story,
        written=f"{written:%Y-%m-%d %H:%M} UTC",
        opening=opening[0] if opening else None,
        opening_picture=picture(opening[0], "opening") if opening else None,
        pictures={told.asked.name: picture(told.asked, told.asked.name) for told in figures},
        grids={told.asked.name: html.grid(told.made.formatted) for told in tables},
        methods=html.grid(story.methods()),
        data=html.grid(story.data()),
        failures=html.grid(story.failures()),
        times=html.grid(story.times()),
        provenance=story.provenance().items(),
        commands=story.commands(),
        root_seed=story.results.design.root_seed,
    )

"""``summary.md``: every table and figure of a run, what each shows, and where it all comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from spatgmm.common.files import atomic_path
from spatgmm.report.figures.drawing import picture
from spatgmm.report.results import Results
from spatgmm.report.story import Story
from spatgmm.report.tables import writer


def write(config: Mapping, results_dir) -> Path:
    """Write ``<results_dir>/summary.md``.

    It holds the outputs that the configuration names, in their order; figures are linked as
    ``figures/<name>.png``.

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
        If the run's fits are not there.
    """
    path = Path(results_dir) / "summary.md"
    with atomic_path(path) as temporary:
        temporary.write_text(text(Story(Results(config, results_dir))), encoding="utf-8")
    return path


def text(story: Story) -> str:
    """The summary in Markdown."""
    opening = [told.asked for told in story.opening if told.asked.output.kind == "figure"]
    parts = [
        f"# {story.question}",
        *story.headline,
        *(picture(asked) for asked in opening),
        *(f"**{warning}**" for warning in story.warnings),
        _contents(story),
    ]
    for chapter in story.chapters:
        parts.append(f"## {chapter.question}")
        for told in chapter.outputs:
            parts += [
                f"### {told.asked.label}",
                f"**What it shows.** {told.made.finding}",
                told.made.markdown(told.asked),
            ]
    parts.append(provenance(story))
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def provenance(story: Story) -> str:
    """Seconds, versions and code, as a section in Markdown."""
    facts = story.provenance()
    short = ("Code", "Root seed", "Seconds in fits", "Made with")
    return "\n".join(
        [
            "## Provenance",
            "",
            "; ".join(f"{name.lower()}: {facts[name]}" for name in short).capitalize() + ".",
            "",
            "<details><summary>Fits, seconds and code by method</summary>",
            "",
            writer.pipe_table(story.methods()),
            "",
            "</details>",
        ]
    )


def _contents(story: Story) -> str:
    lines = []
    for chapter in story.chapters:
        lines.append(f"- {chapter.question}")
        lines += [
            f"  - [{told.asked.label}](#{told.asked.label.lower().replace(' ', '-')}): "
            f"{told.asked.output.title}"
            for told in chapter.outputs
        ]
    return "\n".join([*lines, "- [Provenance](#provenance)"])

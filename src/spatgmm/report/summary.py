"""``summary.md``: every table and figure of a run, what each shows, and where it all comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from spatgmm.common.files import atomic_path
from spatgmm.report import registry
from spatgmm.report.figures.drawing import picture
from spatgmm.report.results import Results, tallied
from spatgmm.report.words import STAND_IN, significant
from spatgmm.study import outputs, rows


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
        temporary.write_text(text(Results(config, results_dir)), encoding="utf-8")
    return path


def text(results: Results) -> str:
    """The summary in Markdown."""
    wanted = outputs.asked(results.config)
    made = {asked.name: registry.build(asked, results) for asked in wanted}
    first = [asked for asked in wanted if asked.output.headline]
    parts = [
        f"# Results of the configuration `{results.config['name']}`",
        _runs(results),
        *(made[asked.name].finding for asked in first if asked.output.kind == "table"),
        *(picture(asked) for asked in first if asked.output.kind == "figure"),
        _synthetic(results),
        _contents(wanted),
    ]
    for asked in wanted:
        one = made[asked.name]
        parts += [f"## {asked.label}", f"**What it shows.** {one.finding}", one.markdown(asked)]
    parts.append(provenance(results))
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def provenance(results: Results) -> str:
    """Seconds, versions and code, as a section in Markdown."""
    tally = results.tally()
    versions = []
    for column, label in rows.VERSIONS.items():
        found = sorted(str(version) for version in tally[column].dropna().unique())
        if found:
            versions.append(f"{label} {' and '.join(found)}")
    lines = [
        "## Provenance",
        "",
        f"Root seed {results.design.root_seed}; {significant(tally['seconds'].sum())} seconds in "
        f"fits, all processes together. Made with {', '.join(versions)}.",
    ]
    if mixed := results.mixed():
        lines += ["", f"**{mixed}**"]
    lines += [
        "",
        "<details><summary>Fits, seconds and code by method</summary>",
        "",
        "| method | plug-in | code | fits ok | failed | not applicable | seconds |",
        "|:--|:--|:--|--:|--:|--:|--:|",
    ]
    base_methods = tally["method"].map(lambda method: results.design.methods[method].base_method)
    for method, group in tally.groupby(base_methods, sort=False):
        ended = _ended(group)
        hashes = ", ".join(sorted(group["code_hash"].dropna().unique()))
        lines.append(
            f"| {method} | {group['plugin'].iloc[0]} | `{hashes}` | {ended['n_ok']} | "
            f"{ended['n_failed']} | {ended['n_unsupported']} | "
            f"{significant(float(group['seconds'].sum()))} |"
        )
    return "\n".join([*lines, "", "</details>"])


def _runs(results: Results) -> str:
    """What was run, and how it ended."""
    tally, design = results.tally(), results.design
    ended = _ended(tally)
    methods = {variant.base_method for variant in design.methods.values()}
    return (
        f"{tally['fits'].sum()} fits by {len(methods)} methods in {len(design.studies)} studies: "
        f"{ended['n_ok']} ok, {ended['n_failed']} failed, {ended['n_unsupported']} not applicable "
        "to their data."
    )


def _contents(wanted: list[outputs.Asked]) -> str:
    lines = [
        f"- [{asked.label}](#{asked.label.lower().replace(' ', '-')}): {asked.output.title}"
        for asked in wanted
    ]
    return "\n".join([*lines, "- [Provenance](#provenance)"])


def _ended(tally: pd.DataFrame) -> dict[str, int]:
    return tallied(tally.groupby("status")["fits"].sum().to_dict())


def _synthetic(results: Results) -> str:
    cases = [case.id for case in results.design.cases.values() if not case.simulated]
    stand_ins = [case for case in cases if results.is_stand_in(case)]
    if not stand_ins:
        return ""
    return (
        f"**{', '.join(stand_ins)}: {STAND_IN}.** These maps were simulated from documented "
        "parameters in place of measurements that only a user can bring; their numbers say "
        "nothing about real samples."
    )

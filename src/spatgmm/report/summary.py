"""``summary.md``: every table and figure of a run, what each shows, and where it all comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from spatgmm.common.files import atomic_path
from spatgmm.report import registry
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
    config = results.config
    parts = [f"# Results of the configuration `{config['name']}`", _synthetic(results)]
    for asked in outputs.asked(config):
        made = registry.build(asked, results)
        parts += [f"## {asked.label}", f"**What it shows.** {made.finding}", made.markdown(asked)]
    parts.append(provenance(results))
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def provenance(results: Results) -> str:
    """Fits by outcome, seconds, versions and code, as a section in Markdown."""
    tally = results.tally()
    ended = _ended(tally)
    lines = [
        "## Provenance",
        "",
        f"- Fits: {tally['fits'].sum()}, of which {ended['n_ok']} ok, {ended['n_failed']} failed, "
        f"{ended['n_unsupported']} not applicable to their data",
        f"- Seconds spent in fits, all processes together: {significant(tally['seconds'].sum())}",
        f"- Root seed: {results.design.root_seed}",
    ]
    for column, label in rows.VERSIONS.items():
        found = sorted(str(version) for version in tally[column].dropna().unique())
        if found:
            lines.append(f"- {label}: {', '.join(found)}")
    lines += [
        "",
        "| method | plug-in | code | fits ok | failed | not applicable | seconds |",
        "|:--|:--|:--|--:|--:|--:|--:|",
    ]
    for method, group in tally.groupby("method", sort=False):
        ended = _ended(group)
        hashes = ", ".join(sorted(group["code_hash"].dropna().unique()))
        lines.append(
            f"| {method} | {group['plugin'].iloc[0]} | `{hashes}` | {ended['n_ok']} | "
            f"{ended['n_failed']} | {ended['n_unsupported']} | "
            f"{significant(float(group['seconds'].sum()))} |"
        )
    if mixed := results.mixed():
        lines += ["", f"**{mixed}**"]
    return "\n".join(lines)


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

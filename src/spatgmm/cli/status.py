"""``spatgmm status``: how far a run is, what failed in it, and how to repeat that alone."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run's folder."""
    parser.add_argument("results", type=Path, help="results/<name>")
    parser.add_argument("--all", action="store_true", help="name every failed fit, not only ten")


def run(arguments: argparse.Namespace) -> None:
    """Print a summary, then the failed fits."""
    from spatgmm import study
    from spatgmm.study import status

    config = arguments.results / "config.yaml"
    if not config.is_file():
        raise ValueError(f"{arguments.results} is no run's folder: it holds no config.yaml")
    _, design = study.load(config)
    found = status.survey(arguments.results, design)
    ended = sum(found.ended.values())
    told = ", ".join(f"{number:,} {name}" for name, number in sorted(found.ended.items()))
    print(f"{ended:,} of {found.total:,} fits done" + (f": {told}" if told else ""))
    if found.stale:
        print(f"{found.stale:,} fits are of other code; the next run repeats them")
    if found.disturbed:
        print(
            f"{found.disturbed:,} of them lacked R, memory or the like; the next run repeats them"
        )
    for line in found.damaged:
        print(f"{line}; what it lacks is fitted again")
    print(f"batches in progress: {found.running}, interrupted half-way: {found.interrupted}")
    shown = found.failed if arguments.all else found.failed[:10]
    for batch, replicate, error in shown:
        first_line = (error.strip().splitlines() or ["no message"])[0]
        print(f"\n{batch.case}, {batch.method}, replicate {replicate}: {first_line}")
        print(f"  {status.alone(config, batch.case, batch.method, replicate)}")
    if len(shown) < len(found.failed):
        print(f"\nand {len(found.failed) - len(shown):,} more; --all names them")

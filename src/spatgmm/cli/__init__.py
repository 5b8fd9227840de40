"""The command line: ``spatgmm COMMAND``, one module per command.

A command's module has ``add_arguments(parser)`` and ``run(arguments) -> int | None``.  Only the
module of the command that is called is imported, so that a pipeline's many calls start fast.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "fit": "cluster your own maps",
    "methods": "what there is to compare with, what can run here, and why not",
    "datasets": "the data sets that come with loaders",
    "status": "how far a run is, what failed, and how to repeat that alone",
    "study": "one step of a study; the workflow's rules call it",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; bad input ends with one clear message and status 2, not a traceback.

    Parameters
    ----------
    argv : sequence of str or None
        Arguments after the program's name; None: those of this process.

    Returns
    -------
    int
        Exit status.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="spatgmm",
        description="Gaussian mixtures with a spatially constrained covariance.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if argv[:1] == [name]:
            import_module(f"spatgmm.cli.{name}").add_arguments(command)
    arguments = parser.parse_args(argv)
    try:
        return import_module(f"spatgmm.cli.{arguments.command}").run(arguments) or 0
    except (ValueError, FileNotFoundError) as error:
        print(f"spatgmm {arguments.command}: {error}", file=sys.stderr)
        return 2

"""The command line: ``spatgmm COMMAND``, one module per command.

A command's module has ``add_arguments(parser)`` and ``run(arguments) -> int | None``.  Only the
module of the command that is called is imported, so that a pipeline's many calls start fast.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from typing import NoReturn

from spatgmm import __version__
from spatgmm.common.errors import UsageError

COMMANDS = {
    "fit": "cluster your own maps",
    "predict": "the clusters of further maps, by a model that was fitted",
    "methods": "what there is to compare with, what can run here, and why not",
    "datasets": "the data sets that come with loaders",
    "status": "how far a run is, what failed, and how to repeat that alone",
    "study": "one step of a study; the workflow's rules call it",
}

#: Exit status after Ctrl-C, as shells have it: 128 and the number of the signal.
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; whatever goes wrong ends in one clear line, not in a traceback.

    Parameters
    ----------
    argv : sequence of str or None
        Arguments after the program's name; None: those of this process.

    Returns
    -------
    int
        0: done; 1: failed, on a file's contents, a fit or a disk; 2: wrong usage, which another
        command line mends; 130: interrupted.
    """
    command = "spatgmm"
    try:
        arguments = _parsed(argv)
        command += f" {arguments.command}"
        status = import_module(f"spatgmm.cli.{arguments.command}").run(arguments) or 0
        if sys.stdout is not None:  # it may have been closed from the start
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read the output has seen enough (`| head`); what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _end(command, "interrupted", _INTERRUPTED)
    except ModuleNotFoundError as error:
        if f"{error.name}".startswith("spatgmm"):
            raise
        return _end(command, f"needs {error.name} (pip install 'spatgmm[study]')", 1)
    except UsageError as error:
        return _end(command, str(error), 2)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        return _end(command, f"{named}{error.strerror or error}", 1)
    except MemoryError as error:
        return _end(command, f"not enough memory: {error}".rstrip(": "), 1)
    except ValueError as error:
        return _end(command, str(error), 1)


def console() -> NoReturn:
    """The program: leaves Python with the status of :func:`main`."""
    status = main()
    if status == _INTERRUPTED:
        # Where the interrupt met code that an extension was running, Python remembers it and would
        # in the end die by the signal, whoever has caught it.
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _end(command: str, message: str, status: int) -> int:
    print(f"{command}: {message}", file=sys.stderr)
    return status


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    argv = list(sys.argv[1:] if argv is None else argv)
    # The words themselves too, for those who keep how they were called.
    return parser(argv[:1]).parse_args(argv, argparse.Namespace(words=argv))


def parser(loaded: Collection[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """The parser of the command line, with the arguments of those commands that are loaded."""
    whole = argparse.ArgumentParser(
        prog="spatgmm",
        description="Gaussian mixtures with a spatially constrained covariance.",
        epilog="Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
    )
    whole.add_argument("--version", action="version", version=f"spatgmm {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name in loaded:
            import_module(f"spatgmm.cli.{name}").add_arguments(command)
    return whole

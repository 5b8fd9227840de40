"""``spatgmm study``: one step of a study, as the workflow's rules call it.

Every step takes the configuration with ``--config`` and works in ``results/<name>/`` of the
current folder.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spatgmm.common.errors import UsageError
from spatgmm.study.design import Batch, Design, data_path

RESULTS = Path("results")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The steps and their arguments."""
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)

    def add(name: str, step, help: str) -> argparse.ArgumentParser:
        added = steps.add_parser(name, help=help)
        added.add_argument("--config", required=True, help="configuration file")
        added.set_defaults(step=step)
        return added

    data = add("data", _data, "load the maps of a data set")
    data.add_argument("--case", required=True, help="id of the case")
    fit = add("fit", _fit, "fit replicates of a case by a method")
    fit.add_argument("--case", required=True, help="id of the case")
    fit.add_argument("--method", required=True, help="id of the method")
    fit.add_argument("--replicates", required=True, help="FIRST-LAST, counted from 0, or one")
    fit.add_argument("--show", action="store_true", help="print the rows instead of storing them")
    add("design", _design, "write the table of the design")
    add("aggregate", _aggregate, "merge all batches into fits.parquet")
    for name in ("table", "figure"):
        add(name, _table_or_figure, f"write a {name}").add_argument("name", help=f"{name}1, ...")
    add("summary", _summary, "write summary.md")


def run(arguments: argparse.Namespace) -> None:
    """Do one step."""
    # Parallelism belongs to jobs: two BLAS threads on busy cores made the same fit far slower.
    # Before numpy is first imported, or it has no effect.
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    arguments.step(arguments)


def _load(arguments: argparse.Namespace) -> tuple[dict[str, Any], Design, Path]:
    from spatgmm import study

    config, design = study.load(arguments.config)
    return config, design, RESULTS / design.name


def _data(arguments: argparse.Namespace) -> None:
    from spatgmm.study import cases

    _, design, results = _load(arguments)
    real = {id: case for id, case in design.cases.items() if not case.simulated}
    case = _known(real, arguments.case, "data set")
    cases.load(case).save(data_path(results, case.id))


def _fit(arguments: argparse.Namespace) -> None:
    from spatgmm.study import batch as batches
    from spatgmm.study import progress
    from spatgmm.study.fit import ReplicateError

    _, design, results = _load(arguments)
    _known(design.cases, arguments.case, "case")
    _known(design.methods, arguments.method, "method")
    first, _, last = arguments.replicates.partition("-")
    batch = Batch(arguments.case, arguments.method, int(first), int(last or first))

    def told(row: Mapping[str, Any]) -> None:
        if row["status"] in ("failed", "timeout"):
            print(f"{_one(arguments, row['replicate'])}: {row['error']}", file=sys.stderr)

    try:
        if arguments.show:
            for row in batches.fit(results, design, batch, range(batch.first, batch.last + 1)):
                print("\n".join(f"{name}: {value}" for name, value in row.items()), end="\n\n")
                told(row)
        else:
            done = batches.complete(results, design, batch, told)
            print(progress.line(batch, done), file=sys.stderr)
    except ReplicateError as error:
        raise ValueError(f"{error}; {_one(arguments, error.replicate)}") from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        where = results / "fits" / batch.case / batch.method
        raise ValueError(
            f"{where}: {error.strerror}; every row written so far is kept, and the same command "
            "goes on from there once there is room"
        ) from error


def _one(arguments: argparse.Namespace, replicate: int) -> str:
    """Where a replicate failed, and the command that repeats it alone."""
    from spatgmm.study import status

    command = status.alone(arguments.config, arguments.case, arguments.method, replicate)
    return f"{arguments.case}, {arguments.method}, replicate {replicate} failed; alone: {command}"


def _design(arguments: argparse.Namespace) -> None:
    from spatgmm.study import aggregate

    _, design, results = _load(arguments)
    aggregate.write_design(results, design)


def _aggregate(arguments: argparse.Namespace) -> None:
    from spatgmm.study import aggregate

    _, design, results = _load(arguments)
    aggregate.merge_fits(results, design)


def _table_or_figure(arguments: argparse.Namespace) -> None:
    from spatgmm.report import figures, tables

    config, _, results = _load(arguments)
    kind = tables if arguments.name in tables.names() else figures
    kind.write(arguments.name, config, results)


def _summary(arguments: argparse.Namespace) -> None:
    from spatgmm.report import summary

    config, _, results = _load(arguments)
    summary.write(config, results)


def _known(names: Mapping[str, Any], name: str, kind: str) -> Any:
    if name not in names:
        from spatgmm.study.config import suggest

        raise UsageError(f"unknown {kind} {name!r}; {suggest(name, names)}")
    return names[name]

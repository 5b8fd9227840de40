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
from typing import TYPE_CHECKING, Any

from spatgmm.common.errors import UsageError
from spatgmm.study.design import Batch, Design, Job

if TYPE_CHECKING:
    from spatgmm.common.files import DamagedFile

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
    fit = add("fit", _fit, "fit batches of replicates, each of a case by a method")
    fit.add_argument("--case", help="id of the case")
    fit.add_argument("--method", help="id of the method")
    fit.add_argument("--replicates", help="FIRST-LAST, counted from 0, or one")
    fit.add_argument("--show", action="store_true", help="print the rows instead of storing them")
    fit.add_argument(
        "--batches",
        nargs="+",
        metavar="CASE/METHOD/FIRST-LAST",
        help="instead of a case, a method and replicates: several, in one process",
    )
    add("check", _check, "name everything that is wrong with the configuration, and do nothing")
    add("design", _design, "write the table of the design")
    add("aggregate", _aggregate, "merge all batches into fits.parquet")
    for name in ("table", "figure"):
        add(name, _table_or_figure, f"write a {name}").add_argument("name", help=f"{name}1, ...")
    add("summary", _summary, "write summary.md")
    add("report", _report, "write report.html")


def run(arguments: argparse.Namespace) -> None:
    """Do one step."""
    # Parallelism belongs to jobs: two BLAS threads on busy cores made the same fit far slower.
    # Before numpy is first imported, or it has no effect.
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    from spatgmm.common.files import DamagedFile

    try:
        arguments.step(arguments)
    except DamagedFile as error:
        _load_again(arguments, error)
        arguments.step(arguments)


def _load_again(arguments: argparse.Namespace, error: DamagedFile) -> None:
    """Replace the file of a data set that is damaged; any other stays an error."""
    from spatgmm.study import cases, loading

    _, design, results = _load(arguments)
    for case in design.cases.values():
        if not case.simulated and cases.data_path(results, case.id) == error.path:
            _tell(f"{error}; loaded again")
            loading.load(case).save(error.path)
            return
    raise error


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def _load(arguments: argparse.Namespace) -> tuple[dict[str, Any], Design, Path]:
    from spatgmm import study

    config, design = study.load(arguments.config)
    return config, design, RESULTS / design.name


def _check(arguments: argparse.Namespace) -> None:
    from spatgmm import study

    study.prepare(study.read(arguments.config), arguments.config)
    print(f"{arguments.config}: nothing is wrong with it")


def _data(arguments: argparse.Namespace) -> None:
    from spatgmm.study import cases, loading

    _, design, results = _load(arguments)
    real = {id: case for id, case in design.cases.items() if not case.simulated}
    case = _known(real, arguments.case, "data set")
    loading.load(case).save(cases.data_path(results, case.id))


def _fit(arguments: argparse.Namespace) -> None:
    from spatgmm.study import batch as batches
    from spatgmm.study import progress
    from spatgmm.study.rows import LOST
    from spatgmm.study.worker import Fit, ReplicateError

    job = _job(arguments)
    _, design, results = _load(arguments)
    for batch in job:
        _known(design.cases, batch.case, "case")
        _known(design.methods, batch.method, "method")
    plugins = {design.methods[batch.method].base_method for batch in job}
    if len(plugins) > 1:
        raise UsageError(f"--batches: one method in one process, not {', '.join(sorted(plugins))}")

    def on_row(row: Mapping[str, Any]) -> None:
        if row["status"] in LOST:
            one = _one(arguments.config, row["case"], row["method"], row["replicate"])
            _tell(f"{one}: {row['error']}")

    try:
        if arguments.show:
            fits = [Fit(batch, replicate) for batch in job for replicate in batch.replicates]
            for row in batches.fit(results, design, fits):
                print("\n".join(f"{name}: {value}" for name, value in row.items()), end="\n\n")
                on_row(row)
        else:
            done = batches.complete(
                results, design, job, on_row, lambda text: _tell(f"{text}; its fits are repeated")
            )
            for batch, rows in done.items():
                _tell(progress.line(batch, rows))
    except ReplicateError as error:
        batch, replicate = error.fit
        one = _one(arguments.config, batch.case, batch.method, replicate)
        raise ValueError(f"{error}; {one}") from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ValueError(
            f"{results / 'fits'}: {error.strerror}; every row written so far is kept, and the same "
            "command goes on from there once there is room"
        ) from error


def _job(arguments: argparse.Namespace) -> Job:
    """The batches that the command line names."""
    one = (arguments.case, arguments.method, arguments.replicates)
    if arguments.batches and not any(one):
        names = arguments.batches
    elif all(one) and not arguments.batches:
        names = ["/".join(one)]
    else:
        raise UsageError("study fit: either --case, --method and --replicates, or --batches")
    try:
        return tuple(map(Batch.parse, names))
    except ValueError as error:
        raise UsageError(f"study fit: {error}") from None


def _one(config: str, case: str, method: str, replicate: int) -> str:
    """Where a replicate failed, and the command that repeats it alone."""
    from spatgmm.study import status

    command = status.alone(config, case, method, replicate)
    return f"{case}, {method}, replicate {replicate} failed; alone: {command}"


def _design(arguments: argparse.Namespace) -> None:
    from spatgmm.study import aggregate

    _, design, results = _load(arguments)
    aggregate.write_design(results, design)


def _aggregate(arguments: argparse.Namespace) -> None:
    from spatgmm.study import aggregate

    _, design, results = _load(arguments)
    aggregate.merge_fits(results, design)


def _table_or_figure(arguments: argparse.Namespace) -> None:
    from spatgmm.report import registry

    config, _, results = _load(arguments)
    registry.write(arguments.name, config, results)


def _summary(arguments: argparse.Namespace) -> None:
    from spatgmm.report import summary

    config, _, results = _load(arguments)
    summary.write(config, results)


def _report(arguments: argparse.Namespace) -> None:
    from spatgmm.report import page

    config, _, results = _load(arguments)
    page.write(config, results)


def _known(names: Mapping[str, Any], name: str, kind: str) -> Any:
    if name not in names:
        from spatgmm.common.constraints import suggest

        raise UsageError(f"unknown {kind} {name!r}; {suggest(name, names)}")
    return names[name]

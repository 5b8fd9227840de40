"""``spatgmm study``: one step of a study, as the workflow's rules call it.

Every step takes the configuration with ``--config`` and works in ``results/<name>/`` of the
current folder.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spatgmm.study.design import Batch, Design, data_path, fits_path

RESULTS = Path("results")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The steps and their arguments."""
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)

    def add(name: str, step, help: str) -> argparse.ArgumentParser:
        added = steps.add_parser(name, help=help)
        added.add_argument("--config", required=True, help="configuration file")
        added.set_defaults(step=step)
        return added

    data = add("data", _data, "load or draw the maps of a case")
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
    try:
        arguments.step(arguments)
    except Exception as error:
        if not sys.stderr.isatty():  # stderr is the job's log: say it on the terminal too
            what = getattr(arguments, "name", None) or getattr(arguments, "case", "")
            step = arguments.step.__name__.removeprefix("_")
            print(f"study {step} {what} failed: {error}", flush=True)
        raise


def _load(arguments: argparse.Namespace) -> tuple[dict[str, Any], Design, Path]:
    from spatgmm import study

    config, design = study.load(arguments.config)
    return config, design, RESULTS / design.name


def _data(arguments: argparse.Namespace) -> None:
    from spatgmm import datasets, simulate

    _, design, results = _load(arguments)
    case = _known(design.cases, arguments.case, "case")
    settings = dict(case.settings)
    if case.simulated:
        scenario = simulate.Scenario.from_config(case.id, settings)
        data = simulate.draw(scenario, 0, design.root_seed)
    else:
        try:
            data = datasets.load(settings.pop("load"), **settings)
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"datasets.{case.id}: {error}") from error
        if data.labels is None:
            raise ValueError(
                f"datasets.{case.id}: these maps have no groups to compare clusters with; "
                "spatgmm fit clusters maps without"
            )
    data.save(data_path(results, case.id))


def _fit(arguments: argparse.Namespace) -> None:
    from spatgmm.study import provenance, rows
    from spatgmm.study.run import ReplicateError

    _, design, results = _load(arguments)
    _known(design.cases, arguments.case, "case")
    _known(design.methods, arguments.method, "method")
    first, _, last = arguments.replicates.partition("-")
    batch = Batch(arguments.case, arguments.method, int(first), int(last or first))
    stamp = {"scenario": design.cases[batch.case].source}
    stamp |= provenance.versions(design.methods[batch.method].plugin)
    start = time.perf_counter()
    done: list[dict[str, Any]] = []
    try:
        for row in _rows(design, batch, results):
            done.append(row | stamp)
            if row["status"] == "failed":
                print(f"{_one(arguments, row)}: {row['error']}", file=sys.stderr)
    except ReplicateError as error:
        culprit = {"replicate": batch.first + len(done)}
        raise ValueError(f"{error}\n{_one(arguments, culprit)}") from error
    if arguments.show:
        for row in done:
            print("\n".join(f"{name}: {value}" for name, value in row.items()), end="\n\n")
    else:
        rows.write(fits_path(results, batch), done)
        print(_progress(batch, done, time.perf_counter() - start), flush=True)


def _rows(design: Design, batch: Batch, results: Path) -> Iterator[dict[str, Any]]:
    from spatgmm.study import run

    case, variant = design.cases[batch.case], design.methods[batch.method]
    path = data_path(results, case.id)
    return run.fit_rows(
        run.source(case.id, case.simulated, case.settings, design.root_seed, path),
        range(batch.first, batch.last + 1),
        case=case.id,
        method=variant.id,
        plugin=variant.plugin,
        parameters=variant.parameters,
        n_components=variant.n_components,
        root_seed=design.root_seed,
        keep_labels=not case.simulated,
    )


def _one(arguments: argparse.Namespace, row: Mapping[str, Any]) -> str:
    """Where a replicate failed, and the command that repeats it alone."""
    command = ["python", "-m", "spatgmm", "study", "fit", "--config", arguments.config]
    command += ["--case", arguments.case, "--method", arguments.method]
    command += ["--replicates", str(row["replicate"]), "--show"]
    return (
        f"{arguments.case}, {arguments.method}, replicate {row['replicate']} failed; "
        f"alone: {shlex.join(command)}"
    )


def _progress(batch: Batch, done: list[dict[str, Any]], seconds: float) -> str:
    counts = {
        status: sum(row["status"] == status for row in done)
        for status in ("ok", "failed", "unsupported")
    }
    told = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
    aris = [row["ari"] for row in done if row["status"] == "ok"]
    mean = f", mean ARI {sum(aris) / len(aris):.3f}" if aris else ""
    where = f"{batch.case:20} {batch.method:14} {batch.first:3}-{batch.last}"
    return f"{where}: {told}{mean}, {seconds:.1f} s"


def _design(arguments: argparse.Namespace) -> None:
    from spatgmm.study import aggregate

    _, design, results = _load(arguments)
    aggregate.write_design(results, design)


def _aggregate(arguments: argparse.Namespace) -> None:
    from spatgmm.study import aggregate

    _, design, results = _load(arguments)
    aggregate.merge_fits(results, design)


def _table_or_figure(arguments: argparse.Namespace) -> None:
    from spatgmm import figures, tables

    config, _, results = _load(arguments)
    kind = tables if arguments.name in tables.names() else figures
    kind.write(arguments.name, config, results)


def _summary(arguments: argparse.Namespace) -> None:
    from spatgmm.tables import summary

    config, _, results = _load(arguments)
    summary.write(config, results)


def _known(names: Mapping[str, Any], name: str, kind: str) -> Any:
    if name not in names:
        from spatgmm.study.config import suggest

        raise ValueError(f"unknown {kind} {name!r}; {suggest(name, names)}")
    return names[name]

"""Large studies: planning and starting 100,000 fits, and 10 million rows becoming tables.

Rows are generated, so that what is measured is the pipeline and not the fits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import yaml
from measure import Measurement
from tqdm import tqdm

from spatgmm import study
from spatgmm.common.files import atomic_path
from spatgmm.study import batch as batches
from spatgmm.study import parquet
from spatgmm.study.design import Design, fits_path

ROOT = Path(__file__).parents[2]
PART = "large studies"
_MIB = 2**20
_METHODS = ["spatgmm", "gmm-diag", "kmeans", "truth"]


def run() -> list[Measurement]:
    """All measurements."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_plan(Path(folder) / "plan"), *_aggregate(Path(folder) / "rows")]


def _plan(folder: Path) -> list[Measurement]:
    """500 points x 4 methods x 50 replicates."""
    config = _config(folder, points=500, replicates=50, batch_size=50)
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    snakemake += ["--workflow-profile", str(ROOT / "profiles/default"), "--directory", str(folder)]
    snakemake += ["--cores", "1", "all", "--configfile", str(config)]
    log = folder / "results/scale/fits"
    measured = []
    for what, options, until in (
        ("dry run", ["--dry-run"], lambda: False),
        ("until the first fit is on disk", [], lambda: any(log.rglob("*.rows"))),
    ):
        seconds, peak = _watch([*snakemake, *options], folder, until)
        what = f"100,000 fits: {what}"
        measured.append(Measurement(PART, what, seconds, "s", "at most", 30))
        measured.append(Measurement(PART, f"{what}, peak memory", peak, "MiB", "at most", 1024))
    return measured


def _aggregate(folder: Path) -> list[Measurement]:
    """2,500 points x 4 methods x 1,000 replicates."""
    config = _config(folder, points=2500, replicates=1000, batch_size=1000)
    _, design = study.load(config)
    _generate(folder / "results" / design.name, design)
    with atomic_path(folder / "results" / design.name / "config.yaml") as path:
        path.write_text(config.read_text())
    measured = []
    step = [sys.executable, "-m", "spatgmm", "study"]
    for what, command in (
        ("aggregate", ["aggregate"]),
        ("table 10", ["table", "table10"]),
        ("summary with table 10 and a figure", ["summary"]),
    ):
        command = [*step, command[0], "--config", str(config), *command[1:]]
        seconds, peak = _watch(command, folder, lambda: False)
        what = f"10,000,000 rows: {what}"
        measured.append(Measurement(PART, what, seconds, "s"))
        measured.append(Measurement(PART, f"{what}, peak memory", peak, "MiB", "at most", 2048))
    return measured


def _config(folder: Path, points: int, replicates: int, batch_size: int) -> Path:
    folder.mkdir(parents=True)
    component = {"alpha": [1, -0.9, 0.3], "beta": 2.5}
    scenario = {
        "locations": {"grid": [10, 10]},
        "n": 200,
        "weights": [0.5, 0.5],
        "components": [component, component],
    }
    betas = [round(2.5 + 0.01 * k, 2) for k in range(points // 5)]
    vary = {"components.1.beta": betas, "n": [50, 100, 200, 400, 800]}
    sweep = {"scenarios": ["grid"], "vary": vary, "methods": _METHODS, "replicates": replicates}
    config = {
        "name": "scale",
        "batch_size": batch_size,
        "scenarios": {"grid": scenario},
        "studies": {"sweep": sweep},
        "outputs": ["table10", "figure11"],
    }
    path = folder / "scale.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def _generate(results: Path, design: Design) -> None:
    """Every batch's file, with the columns of a fit by spatgmm."""
    rng = np.random.default_rng(0)
    for batch in tqdm(list(design.batches()), unit=" files", disable=not sys.stderr.isatty()):
        size = batch.last - batch.first + 1
        columns = {
            **{n: [v] * size for n, v in batches.identity(results, design, batch).items()},
            "scenario": ["grid"] * size,
            "plugin": [batch.method] * size,
            "replicate": np.arange(batch.first, batch.last + 1),
            "status": np.where(rng.random(size) < 0.99, "ok", "failed"),
            "python": ["3.11.0"] * size,
        }
        columns |= {n: rng.normal(size=size) for n in ("ari", "log_likelihood", "bic", "seconds")}
        for g in range(2):
            for name in ("weight", "alpha1", "alpha2", "alpha3", "beta"):
                columns[f"estimate.{g}.{name}"] = rng.normal(size=size)
        for field in parquet.SCHEMA:
            columns.setdefault(field.name, pa.nulls(size, field.type))
        parquet.write_table(fits_path(results, batch), pa.table(columns))


def _watch(command: list[str], folder: Path, enough: Callable[[], bool]) -> tuple[float, float]:
    """Seconds until a command ends or `enough` is true, and its peak memory in MiB."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    start, peak = time.perf_counter(), 0.0
    started = psutil.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    stopped = False
    while started.poll() is None:
        try:
            peak = max(peak, started.memory_info().rss / _MIB)
        except psutil.NoSuchProcess:
            break
        if enough():
            stopped = True
            break
        time.sleep(0.05)
    seconds = time.perf_counter() - start
    if stopped:
        for process in [*started.children(recursive=True), started]:
            process.kill()
    _, said = started.communicate()
    if started.returncode and not stopped:
        raise RuntimeError(f"{' '.join(command)} failed:\n{said}")
    return seconds, peak

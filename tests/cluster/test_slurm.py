"""Studies on a real Slurm of one node: `make test-cluster` starts it and calls these tests.

The rows are those of a run on this machine, a cancelled job and one over its memory included.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[2]
TIMINGS = ["seconds", "peak_memory_mb"]

pytestmark = pytest.mark.skipif(
    "SPATGMM_ONE_NODE" not in os.environ, reason="needs the Slurm that make test-cluster starts"
)


def snakemake(folder, config, *options, wait=True, sources=ROOT):
    """All of a configuration in a folder, on the cluster or, with other options, here."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", sources / "Snakefile"]
    command += ["--workflow-profile", sources / "profiles/default", "--directory", folder]
    command += [*options, "all", "--configfile", config]
    started = subprocess.Popen(
        list(map(str, command)),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    if not wait:
        return started
    said, _ = started.communicate(timeout=600)
    assert started.returncode == 0, said
    return said


def on_slurm(sources=ROOT, *further):
    # A cluster of one node answers at once, and its node's files are here.
    quick = ["--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "5"]
    partition = ["--default-resources", "slurm_partition=main", "mem_mb=1000"]
    return ["--profile", sources / "profiles/slurm", *partition, *quick, *further]


def rows(folder, name):
    fits = pd.read_parquet(folder / "results" / name / "fits.parquet").drop(columns=TIMINGS)
    return fits.sort_values(["case", "method", "replicate"], ignore_index=True)


def test_the_smoke_study_has_the_same_rows_as_here(tmp_path):
    config = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    config["outputs"] = ["table2"]  # the others say nothing about where fits were made
    (tmp_path / "smoke.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    told = {}
    for place, options in (("cluster", on_slurm()), ("here", ["--cores", "2"])):
        (tmp_path / place).mkdir()
        told[place] = snakemake(tmp_path / place, tmp_path / "smoke.yaml", *options)
    here, cluster = rows(tmp_path / "here", "smoke"), rows(tmp_path / "cluster", "smoke")
    assert len(here) == len(cluster) > 30
    assert set(here["status"]) <= {"ok", "failed", "unsupported"}
    pd.testing.assert_frame_equal(cluster, here, check_exact=False, rtol=1e-6)
    # A line per batch, wherever it ran.
    assert f"{len(here)}/{len(here)} fits" in told["cluster"]


SLOW = """
def fit(data, n_components, rng):
    import os, time

    if os.path.exists("hungry"):
        hoard = bytearray(900_000_000)
        time.sleep(20)
    time.sleep(0.3)
    return FitResult(rng.integers(n_components, size=len(data.X)))
"""


@pytest.fixture
def slow_study(tmp_path):
    """A study that takes its time: (sources, configuration file)."""
    sources = tmp_path / "sources"
    for name in ("src", "workflow", "profiles", "envs"):
        shutil.copytree(ROOT / name, sources / name)
    shutil.copy(ROOT / "Snakefile", sources)
    plugin = (sources / "src/spatgmm/methods/random.py").read_text().replace('"random"', '"slow"')
    (sources / "src/spatgmm/methods/slow.py").write_text(plugin.partition("\ndef fit(")[0] + SLOW)
    config = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    config |= {"name": "slow", "outputs": [], "datasets": {}, "methods": {}}
    config["studies"] = {"slow": {"scenarios": ["grid"], "methods": ["slow"], "replicates": 30}}
    (tmp_path / "slow.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return sources, tmp_path / "slow.yaml"


def wait_for(condition):
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def written(tmp_path):
    journals = (tmp_path / "results/slow/fits").rglob("*.rows")
    return sum(path.read_text().count("\n") for path in journals)


def test_cancelled_and_starved_jobs_lose_no_row(slow_study, tmp_path):
    sources, config = slow_study
    started = snakemake(
        tmp_path, config, *on_slurm(sources, "--retries", "0"), wait=False, sources=sources
    )
    wait_for(lambda: written(tmp_path) >= 3)
    jobs = subprocess.run(["squeue", "-h", "-o", "%A"], capture_output=True, text=True, check=True)
    subprocess.run(["scancel", *jobs.stdout.split()], check=True)
    said, _ = started.communicate(timeout=200)
    assert started.returncode != 0
    assert "CANCELLED" in said
    kept = written(tmp_path)
    assert kept >= 3

    (tmp_path / "hungry").touch()
    limits = ["--retries", "0", "--set-resources", "fit:mem_mb=500"]
    started = snakemake(tmp_path, config, *on_slurm(sources, *limits), wait=False, sources=sources)
    said, _ = started.communicate(timeout=200)
    assert started.returncode != 0, said
    assert written(tmp_path) == kept

    (tmp_path / "hungry").unlink()
    snakemake(tmp_path, config, *on_slurm(sources), sources=sources)
    fits = pd.read_parquet(tmp_path / "results/slow/fits.parquet")
    assert list(fits["replicate"]) == list(range(30))
    before = fits
    shutil.rmtree(tmp_path / "results")
    snakemake(tmp_path, config, "--cores", "2", sources=sources)
    pd.testing.assert_frame_equal(
        rows(tmp_path, "slow"), before.drop(columns=TIMINGS), check_exact=True
    )


def test_the_fallback_for_other_schedulers(slow_study, tmp_path):
    sources, config = slow_study
    profile = ["--profile", sources / "profiles/cluster-generic", "--latency-wait", "5"]
    snakemake(tmp_path, config, *profile, "--seconds-between-status-checks", "1", sources=sources)
    fits = pd.read_parquet(tmp_path / "results/slow/fits.parquet")
    assert list(fits["replicate"]) == list(range(30))

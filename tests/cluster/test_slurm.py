"""Studies on a real Slurm of one node: `make test-cluster` starts it and calls these tests.

The rows are those of a run on this machine, whatever happens to jobs or to Snakemake meanwhile.
"""

import os
import re
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from threadpoolctl import threadpool_limits

from spatgmm import study
from spatgmm.cli import main
from spatgmm.study import journal

ROOT = Path(__file__).parents[2]
TIMINGS = ["seconds", "peak_memory_mb"]

pytestmark = pytest.mark.skipif(
    "SPATGMM_ONE_NODE" not in os.environ, reason="needs the Slurm that make test-cluster starts"
)


@pytest.fixture(scope="session")
def snakemake(start_snakemake):
    """All fits of a configuration: what Snakemake said, or with ``wait=False`` itself."""

    def run(folder, config, *options, wait=True, **where):
        fits = f"results/{config.stem}/fits.parquet"
        started = start_snakemake(folder, config, fits, *options, **where)
        return to_the_end(started) if wait else started

    return run


def to_the_end(started):
    said, _ = started.communicate(timeout=600)
    assert started.returncode == 0, said
    return said


def on_slurm(sources=ROOT, profile="slurm", seconds=5):
    """Options for jobs on Slurm, with a first look at their state after so many seconds.

    The executor for Slurm waits 10 s longer each time that no job has ended well since its last
    look, so the first one should come when a job has.
    """
    ask = "slurm-init-seconds-before-status-checks"
    if profile == "cluster-generic":
        ask, seconds = "seconds-between-status-checks", 2
    options = ["--latency-wait", 5, f"--{ask}", seconds]
    return ["--profile", sources / "profiles" / profile, *options]


def rows(folder, name):
    fits = pd.read_parquet(folder / "results" / name / "fits.parquet").drop(columns=TIMINGS)
    return fits.sort_values(["case", "method", "replicate"], ignore_index=True)


def test_the_smoke_study_has_the_same_rows_as_here(snakemake, tmp_path, monkeypatch):
    config = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    places = {"cluster": 100, "here": 2}  # batch sizes: Slurm takes seconds to start a job
    for place, batch_size in places.items():
        (tmp_path / place).mkdir()
        path = tmp_path / place / "smoke.yaml"
        path.write_text(yaml.safe_dump(config | {"batch_size": batch_size}, sort_keys=False))
    said = snakemake(tmp_path / "cluster", tmp_path / "cluster/smoke.yaml", *on_slurm())
    monkeypatch.chdir(tmp_path / "here")
    step_by_step("smoke.yaml")
    here, cluster = rows(tmp_path / "here", "smoke"), rows(tmp_path / "cluster", "smoke")
    assert len(here) == len(cluster) > 30
    assert set(here["status"]) <= {"ok", "failed", "unsupported"}
    pd.testing.assert_frame_equal(cluster, here, check_exact=False, rtol=1e-6)
    # A line per batch, wherever it ran.
    assert f"{len(here)}/{len(here)} fits" in said


def step_by_step(config):
    """The rules' commands, one after the other in this process."""
    _, design = study.load(config)
    steps = [["data", "--case", case.id] for case in design.cases.values() if not case.simulated]
    for batch in design.batches():
        replicates = f"{batch.first}-{batch.last}"
        chosen = ["--case", batch.case, "--method", batch.method, "--replicates", replicates]
        steps.append(["fit", *chosen])
    with threadpool_limits(limits=1):  # as in a process of its own, to the last bit
        for name, *options in [*steps, ["aggregate"]]:
            assert main(["study", name, "--config", config, *options]) == 0


# It survives its own hunger once only: where there is memory enough.
SLOW = """
def fit(data, n_components, rng):
    import os, time

    if os.path.exists("hungry"):
        hoard = bytearray(900_000_000)
        time.sleep(5)
        os.unlink("hungry")
    time.sleep(0.4)
    return FitResult(rng.integers(n_components, size=len(data.X)))
"""


@pytest.fixture(scope="module")
def slow_study(tmp_path_factory, copy_sources, snakemake):
    """A study that takes its time: (sources, configuration file, rows of a run here)."""
    folder = tmp_path_factory.mktemp("slow")
    sources = copy_sources(folder / "sources")
    plugin = (sources / "src/spatgmm/methods/random.py").read_text().replace('"random"', '"slow"')
    (sources / "src/spatgmm/methods/slow.py").write_text(plugin.partition("\ndef fit(")[0] + SLOW)
    config = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    config |= {"name": "slow", "batch_size": 12, "outputs": [], "datasets": {}, "methods": {}}
    config["studies"] = {"slow": {"scenarios": ["grid"], "methods": ["slow"], "replicates": 12}}
    path = folder / "slow.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    snakemake(folder, path, "--cores", "2", sources=sources)
    return sources, path, rows(folder, "slow")


def wait_for_rows(folder, number):
    """The batch's rows, by replicate, once so many are on disk."""
    deadline = time.monotonic() + 90
    while True:
        journals = (folder / "results/slow/fits").rglob("*.rows")
        complete = [row for path in journals for row in journal.read(path)]
        if len(complete) >= number:
            return {row["replicate"]: row for row in complete}
        assert time.monotonic() < deadline
        time.sleep(0.1)


def jobs():
    listed = ["squeue", "--noheader", "--format", "%A"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


def assert_kept(folder, early):
    """These rows were not fitted again."""
    fits = pd.read_parquet(folder / "results/slow/fits.parquet").set_index("replicate")
    for replicate, row in early.items():
        assert fits.loc[replicate, "seconds"] == row["seconds"]


@pytest.mark.parametrize("profile", ["slurm", "cluster-generic"])
def test_a_cancelled_job_is_submitted_again_and_loses_no_row(
    snakemake, slow_study, tmp_path, profile
):
    sources, config, undisturbed = slow_study
    options = on_slurm(sources, profile, seconds=9)
    started = snakemake(tmp_path, config, *options, wait=False, sources=sources)
    early = wait_for_rows(tmp_path, 3)
    subprocess.run(["scancel", *jobs()], check=True)
    said = to_the_end(started)
    assert re.search(r"fit-\d+ failed", said), "that the job ended is told"
    pd.testing.assert_frame_equal(rows(tmp_path, "slow"), undisturbed)
    assert_kept(tmp_path, early)


def test_a_job_over_its_memory_is_given_more(snakemake, slow_study, tmp_path):
    sources, config, undisturbed = slow_study
    (tmp_path / "hungry").touch()
    limit = ["--set-resources", "fit:mem_mb=1000 * attempt"]
    said = snakemake(tmp_path, config, *on_slurm(sources, seconds=9), *limit, sources=sources)
    assert re.search(r"fit-\d+ failed", said), "the first attempt is killed, and that is told"
    assert not (tmp_path / "hungry").exists(), "the second one has enough"
    pd.testing.assert_frame_equal(rows(tmp_path, "slow"), undisturbed)


def test_after_a_kill_of_snakemake_the_same_command_goes_on(snakemake, slow_study, tmp_path):
    sources, config, undisturbed = slow_study
    started = snakemake(tmp_path, config, *on_slurm(sources), wait=False, sources=sources)
    early = wait_for_rows(tmp_path, 3)
    started.kill()
    started.communicate()
    assert jobs(), "the job goes on without Snakemake, and the new one waits for it"
    snakemake(tmp_path, config, *on_slurm(sources, seconds=9), sources=sources)
    pd.testing.assert_frame_equal(rows(tmp_path, "slow"), undisturbed)
    assert_kept(tmp_path, early)

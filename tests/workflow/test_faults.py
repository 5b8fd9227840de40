"""Kills, crashes, full disks and time limits: every row that was written is kept, and the same
command goes on to the same rows as an undisturbed run."""

import faulthandler
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from spatgmm import methods, study
from spatgmm.cli import main
from spatgmm.study import fit as run
from spatgmm.study import journal, locks

TIMINGS = ["seconds", "peak_memory_mb"]


@pytest.fixture
def call(tmp_path, monkeypatch, tiny):
    """Fit replicates by kmeans-once in a folder with a configuration file."""
    monkeypatch.chdir(tmp_path)

    def call(replicates, config=tiny, **changed):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config | changed))
        step = ["study", "fit", "--config", "config.yaml", "--case", "grid"]
        return main([*step, "--method", "kmeans-once", "--replicates", replicates])

    return call


@pytest.fixture
def table(tmp_path):
    return lambda name: pd.read_parquet(
        tmp_path / f"results/tiny/fits/grid/kmeans-once/{name}.parquet"
    )


@pytest.fixture
def trouble(monkeypatch):
    """Make the method do something in its nth fit; the fits of all processes are counted."""

    def install(tmp_path, what, nth):
        counter = tmp_path / "count"
        real = methods.get("kmeans")

        def fit(data, n_components, rng, **parameters):
            with counter.open("a") as file:
                file.write(".")
            if counter.stat().st_size == nth:
                what()
            return real._fit(data, n_components, rng, **parameters)

        fake = methods.Method(real.name, real.label, real.declared, (), False, real._supports, fit)
        monkeypatch.setattr(methods, "get", lambda name: fake)
        return lambda: counter.stat().st_size

    return install


def undisturbed(call, table):
    assert call("0-4") == 0
    whole = table("0-4").drop(columns=TIMINGS)
    for path in (Path("results")).rglob("*.parquet"):
        path.unlink()
    return whole


def test_a_fit_over_its_time_limit_is_a_row_and_the_batch_goes_on(
    call, table, trouble, tmp_path, capsys
):
    trouble(tmp_path, lambda: time.sleep(60), nth=2)
    assert call("0-3", time_limit=1) == 0
    found = table("0-3")
    assert list(found["status"]) == ["ok", "timeout", "ok", "ok"]
    late = found.loc[1]
    assert late["error"] == "stopped after the time limit of 1 s"
    assert (late["seconds"], late["n"], late["n_components"]) == (1, 40, 2)
    assert late["code_hash"] == found["code_hash"][0]
    assert "3 ok, 1 timeout" in capsys.readouterr().err


def test_more_time_repeats_only_what_ran_out_of_it(call, table, trouble, tmp_path):
    count = trouble(tmp_path, lambda: time.sleep(60), nth=2)
    assert call("0-3", time_limit=0.5) == 0
    assert count() == 4
    assert call("0-3", time_limit=0.4) == 0
    assert count() == 4
    assert call("0-3", time_limit=20) == 0
    assert count() == 5
    assert set(table("0-3")["status"]) == {"ok"}


def test_a_method_that_never_returns_to_the_interpreter_is_stopped(call, table, trouble, tmp_path):
    def stuck():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGALRM})
        time.sleep(60)

    trouble(tmp_path, stuck, nth=1)
    assert call("0-1", time_limit=0.5) == 0
    assert list(table("0-1")["status"]) == ["timeout", "ok"]


def test_a_crash_in_native_code_is_a_row_and_the_batch_goes_on(call, table, trouble, tmp_path):
    def crash():
        faulthandler.disable()  # or pytest's would fill the log with this one's stack
        os.kill(os.getpid(), signal.SIGSEGV)

    trouble(tmp_path, crash, nth=2)
    assert call("0-2") == 0
    found = table("0-2")
    assert list(found["status"]) == ["ok", "failed", "ok"]
    assert found["error"][1] == "crashed with SIGSEGV"


def test_a_killed_worker_ends_the_job_and_the_same_command_goes_on(
    call, table, trouble, tmp_path, capsys
):
    whole = undisturbed(call, table)
    count = trouble(tmp_path, lambda: os.kill(os.getpid(), signal.SIGKILL), nth=4)
    assert call("0-4") == 1
    said = capsys.readouterr().err
    assert "replicate 3" in said and "memory ran out" in said and "--replicates 3 --show" in said
    assert call("0-4") == 0
    assert count() == 4 + 2
    pd.testing.assert_frame_equal(table("0-4").drop(columns=TIMINGS), whole)


def test_a_full_disk_keeps_what_was_written(call, table, trouble, tmp_path, capsys):
    whole = undisturbed(call, table)
    count = trouble(tmp_path, lambda: None, nth=0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        assert call("0-4") == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = capsys.readouterr().err
    assert "every row written so far is kept" in said
    left = list(journal.read(tmp_path / "results/tiny/fits/grid/kmeans-once/0-4.rows"))
    assert 0 < len(left) < 5
    fitted = count()
    assert call("0-4") == 0
    assert count() == fitted + 5 - len(left)
    pd.testing.assert_frame_equal(table("0-4").drop(columns=TIMINGS), whole)


def test_other_batches_take_over_the_rows_that_are_there(call, trouble, table, tmp_path):
    count = trouble(tmp_path, lambda: None, nth=0)
    for replicates, fits in (
        ("0-1", 2),
        ("2-2", 3),
        ("0-3", 4),
        ("0-2", 4),
        ("3-5", 6),
        ("0-5", 6),
    ):
        assert call(replicates) == 0
        assert count() == fits, replicates
    assert list(table("0-5")["replicate"]) == [0, 1, 2, 3, 4, 5]


def test_rows_of_other_settings_or_code_are_not_taken_over(call, trouble, tmp_path, tiny):
    count = trouble(tmp_path, lambda: None, nth=0)
    call("0-1")
    tiny["scenarios"]["grid"]["n"] = 41
    call("0-1", config=tiny)
    assert count() == 4


def test_a_torn_last_line_is_not_a_row(tmp_path):
    path = tmp_path / "0-9.rows"
    with journal.Journal(path) as kept:
        kept.append({"replicate": 0, "ari": np.float64("nan"), "labels": np.array([1, 0])})
    with path.open("a") as file:
        file.write('{"replicate": 1, "ar')
    assert [row["replicate"] for row in journal.read(path)] == [0]
    with journal.Journal(path) as kept:
        kept.append({"replicate": 1})
    assert [row["replicate"] for row in journal.read(path)] == [0, 1]


def test_a_lock_ends_with_its_process(tmp_path):
    path = tmp_path / "lock"
    program = f"""
import sys, time
from pathlib import Path
from spatgmm.study import locks
descriptor = locks.hold(Path({str(path)!r}))
print("held", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        assert locks.held(path)
        with pytest.raises(BlockingIOError):
            locks.hold(path)
        holder.kill()
        holder.wait()
    assert not locks.held(path)


#: A method that takes its time, so that there is something to kill.
SLOW = """
def fit(data, n_components, rng):
    import time

    time.sleep(0.2)
    return FitResult(rng.integers(n_components, size=len(data.X)))
"""


@pytest.fixture
def slow_study(sources, tiny):
    template = (sources / "src/spatgmm/methods/random.py").read_text()
    slow = template.replace('"random"', '"slow"').partition("\ndef fit(")[0] + "\n" + SLOW
    (sources / "src/spatgmm/methods/slow.py").write_text(slow)
    tiny |= {"batch_size": 40, "outputs": []}
    tiny["studies"] = {"comparison": {"scenarios": ["grid"], "methods": ["slow"], "replicates": 40}}
    return tiny


def rows_there(results):
    journals = list((results / "fits").rglob("*.rows"))
    return sum(len(list(journal.read(path))) for path in journals)


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_snakemake_and_its_job_killed_half_way_go_on_with_the_same_command(
    snakemake, sources, slow_study, tmp_path
):
    results = tmp_path / "results/tiny"
    started = snakemake(slow_study, "all", sources=sources, wait=False)
    wait_for(lambda: rows_there(results) >= 3)
    # A second run at the same time keeps out.
    second = snakemake(slow_study, "all", sources=sources)
    assert second.returncode != 0 and "another run is at work" in second.stdout
    started.kill()
    started.wait()
    for path in (results / "fits").rglob("*.rows"):
        for process in os.listdir("/proc"):
            if process.isdigit() and _has_open(process, path):
                os.kill(int(process), signal.SIGKILL)
    wait_for(lambda: not any(map(locks.held, (results / "fits").rglob("*.rows"))))
    before = rows_there(results)
    assert before >= 3
    again = snakemake(slow_study, "all", sources=sources)
    assert again.returncode == 0, again.stdout
    assert "40/40 fits" in again.stdout
    fits = pd.read_parquet(results / "fits.parquet")
    assert list(fits["replicate"]) == list(range(40))
    _, design = study.prepare(slow_study, values=False)
    expected = run.fit_rows(
        design.cases["grid"],
        replace(design.methods["slow"], plugin="random"),
        range(40),
        root_seed=design.root_seed,
        results=results,
    )
    assert list(fits["ari"]) == [row["ari"] for row in expected]


def test_what_ends_snakemake_and_its_jobs_together_loses_no_row(
    snakemake, sources, slow_study, tmp_path
):
    results = tmp_path / "results/tiny"
    started = snakemake(slow_study, "all", sources=sources, wait=False, process_group=0)
    wait_for(lambda: rows_there(results) >= 3)
    os.killpg(started.pid, signal.SIGTERM)
    started.communicate(timeout=60)
    assert started.returncode != 0
    (path,) = (results / "fits").rglob("*.rows")
    wait_for(lambda: not locks.held(path))
    before = {row["replicate"]: row for row in journal.read(path)}
    assert len(before) >= 3
    again = snakemake(slow_study, "all", sources=sources)
    assert again.returncode == 0, again.stdout
    fits = pd.read_parquet(results / "fits.parquet").set_index("replicate")
    assert list(fits.index) == list(range(40))
    # Not fitted again: their run times are the old ones.
    assert all(fits["seconds"][r] == row["seconds"] for r, row in before.items())


def test_a_job_that_outlives_snakemake_is_waited_for(snakemake, sources, slow_study, tmp_path):
    results = tmp_path / "results/tiny"
    slow_study["studies"]["comparison"]["replicates"] = 20
    started = snakemake(slow_study, "all", sources=sources, wait=False)
    wait_for(lambda: rows_there(results) >= 2)
    started.kill()
    started.wait()
    again = snakemake(slow_study, "all", sources=sources)
    assert again.returncode == 0, again.stdout
    fits = pd.read_parquet(results / "fits.parquet")
    assert list(fits["replicate"]) == list(range(20))
    assert not list((results / "fits").rglob("*.rows"))


def _has_open(process, path):
    try:
        links = [os.readlink(f"/proc/{process}/fd/{n}") for n in os.listdir(f"/proc/{process}/fd")]
    except OSError:
        return False
    return str(path) in links

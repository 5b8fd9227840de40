"""How far a run is: the status command, and the lines that Snakemake's own process prints."""

import logging
import re
import shlex

import pytest

from spatgmm import methods, study
from spatgmm.cli import main
from spatgmm.study import config as study_config
from spatgmm.study import journal, progress
from spatgmm.study.design import Batch, fits_path


@pytest.fixture
def results(tmp_path, monkeypatch, tiny):
    """The folder of a run, with its record of the configuration, before any fit."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results/tiny"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(study_config.dump(study_config.resolve(tiny)))
    return folder


def fit(method, replicates, case="grid"):
    step = ["study", "fit", "--config", "results/tiny/config.yaml", "--case", case]
    return main([*step, "--method", method, "--replicates", replicates])


def test_a_run_that_has_not_begun(results, capsys):
    assert main(["status", "results/tiny"]) == 0
    assert "0 of 9 fits done" in capsys.readouterr().out


def test_done_failed_and_interrupted(results, monkeypatch, capsys):
    assert fit("kmeans-once", "0-1") == 0

    def breaks(self, data, n_components, rng, **parameters):
        raise FloatingPointError("singular, they said")

    with monkeypatch.context() as broken:
        broken.setattr(methods.Method, "fit", breaks)
        assert fit("truth", "2-2") == 0
    _, design = study.load(results / "config.yaml")
    there = fits_path(results, Batch("grid", "kmeans-once", 0, 1))
    with journal.Journal(there.with_name("2-2.rows")):
        capsys.readouterr()
        assert main(["status", "results/tiny"]) == 0
        assert "batches in progress: 1, interrupted half-way: 0" in capsys.readouterr().out
    assert main(["status", "results/tiny"]) == 0
    said = capsys.readouterr().out
    assert "3 of 9 fits done: 1 failed, 2 ok" in said
    assert "batches in progress: 0, interrupted half-way: 1" in said
    assert "grid, truth, replicate 2: FloatingPointError: singular, they said" in said

    command = next(line for line in said.splitlines() if "--show" in line)
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "spatgmm"]
    assert main(words[3:]) == 0
    assert "status: ok" in capsys.readouterr().out
    assert sum(design.replicates().values()) == 9


def test_fits_of_other_code_are_not_done(results, monkeypatch, capsys):
    assert fit("truth", "0-1") == 0
    monkeypatch.setattr("spatgmm.study.provenance.fit_code", lambda plugin: "other")
    assert main(["status", "results/tiny"]) == 0
    said = capsys.readouterr().out
    assert "0 of 9 fits done" in said
    assert "2 fits are of other code; the next run repeats them" in said


def test_a_folder_without_a_run_is_refused(tmp_path, capsys):
    assert main(["status", str(tmp_path)]) == 2
    assert "holds no config.yaml" in capsys.readouterr().err


def record(event, **fields):
    made = logging.LogRecord("snakemake", logging.INFO, "", 0, "", None, None)
    vars(made).update(event=event, **fields)
    return made


def jobs_of(batches):
    """Each batch in a job of its own, by Snakemake's ids."""
    return {id: (batch,) for id, batch in enumerate(batches)}


def test_a_line_per_finished_batch_with_fits_done_and_time_left(results, tiny, capsys):
    _, design = study.load(results / "config.yaml")
    batches = [Batch("grid", "truth", 0, 1), Batch("grid", "truth", 2, 2)]
    for batch in batches:
        fit("truth", f"{batch.first}-{batch.last}")
    listener = progress.Progress(design, results, jobs_of(batches))
    capsys.readouterr()
    listener.emit(record("job_finished", job_id=17))
    assert capsys.readouterr().err == ""
    listener.emit(record("job_finished", job_id=0))
    said = capsys.readouterr().err
    # What other runs have finished counts as done.
    assert "0-1: 2 ok, mean ARI" in said and "; 8/9 fits, " in said and said.endswith("left\n")
    listener.emit(record("job_finished", job_id=1))
    assert capsys.readouterr().err.endswith("; 9/9 fits\n")


def test_a_job_of_several_batches_says_a_line_for_each(results, tiny, capsys):
    _, design = study.load(results / "config.yaml")
    job = (Batch("grid", "truth", 0, 1), Batch("grid", "truth", 2, 2))
    for batch in job:
        fit("truth", f"{batch.first}-{batch.last}")
    listener = progress.Progress(design, results, {4: job})
    capsys.readouterr()
    listener.emit(record("job_started", jobs=[4]))
    listener.emit(record("job_finished", job_id=4))
    first, second = capsys.readouterr().err.splitlines()
    assert "0-1: 2 ok" in first and first.endswith("; 8/9 fits")
    assert "2-2: 1 ok" in second and second.endswith("; 9/9 fits")


def test_a_failed_job_says_why(results, tiny, tmp_path, capsys):
    _, design = study.load(results / "config.yaml")
    log = tmp_path / "job.log"
    log.write_text("a long story\nspatgmm study: no room\n\n")
    listener = progress.Progress(design, results, {})
    listener.emit(record("job_error", rule_name="fit", log=[str(log), str(tmp_path / "absent")]))
    listener.emit(record("job_error", rule_name="data", log=[str(tmp_path / "absent")]))
    nothing = "its log is empty: cancelled, killed, or no room on the disk"
    said = f"fit failed: spatgmm study: no room\ndata failed: {nothing}\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (100, "2 min"), (3000, "50 min"), (9000, "2.5 h")]
)
def test_durations_are_readable(seconds, text):
    assert progress.clock(seconds) == text


def test_the_time_left_counts_the_work_and_not_the_batches(results, tiny, capsys):
    _, design = study.load(results / "config.yaml")
    batches = [Batch("grid", "truth", 0, 1), Batch("grid", "truth", 2, 2)]
    assert fit("truth", "0-1") == 0
    now = [0.0]
    listener = progress.Progress(design, results, jobs_of(batches), lambda: now[0])
    listener.emit(record("job_started", jobs=[0, 17]))
    now[0] = 3600.0
    capsys.readouterr()
    listener.emit(record("job_finished", job_id=0))
    # The job took an hour to start, its fits nothing: one more job, and a bit less than an hour.
    assert re.search(r"; 8/9 fits, \d+ min left$", capsys.readouterr().err)


def test_a_run_ends_with_what_has_no_result_and_why(results, tiny, capsys, monkeypatch):
    def breaks(self, data, n_components, rng, **parameters):
        raise ValueError("not today")

    with monkeypatch.context() as broken:
        broken.setattr(methods.Method, "fit", breaks)
        assert fit("truth", "0-1") == 0
    assert fit("truth", "2-2") == 0
    _, design = study.load(results / "config.yaml")
    batches = [Batch("grid", "truth", 0, 1), Batch("grid", "truth", 2, 2)]
    listener = progress.Progress(design, results, jobs_of(batches))
    logger = logging.Logger("snakemake")
    progress.follow(logger, listener)
    assert progress.finish(logger) is None
    for job in (0, 1):
        listener.emit(record("job_finished", job_id=job))
    assert "2 failed (2 × ValueError: not today)" in listener.summary()
    assert "Of 3 fits without a result: 2 failed" in listener.summary()
    assert progress.finish(logger) is None
    listener.disturbed = 2
    assert "2 fits failed for lack of memory" in progress.finish(logger)


def test_reasons_are_counted_and_short():
    errors = ["a\nb", "c", "c", "d" * 300, "e"]
    said = progress.reasons(errors)
    assert said.startswith("2 × c; 1 × a b; 1 × ddd") and said.endswith("; ...")
    assert len(said) < 200

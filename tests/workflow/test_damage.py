"""Damaged files and disturbances: what can be read is kept, the rest is made again, and nothing
that was not the method's fault stays."""

import errno
import faulthandler
import gzip
import json
import os
import signal
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from spatgmm import methods, study
from spatgmm.cli import main
from spatgmm.common import r
from spatgmm.common.files import DamagedFile, atomic_path
from spatgmm.data import Dataset
from spatgmm.study import again, aggregate, cases, fit, journal, loading, parquet, rows
from spatgmm.study import batch as batches
from spatgmm.study import config as study_config
from spatgmm.study.design import Batch, fits_path
from spatgmm.study.worker import Fit

TIMINGS = ["seconds", "peak_memory_mb"]
BATCH = Batch("grid", "kmeans-once", 0, 4)


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny):
    """The results folder of a run of one batch of five fits, with the record of what is run."""
    monkeypatch.chdir(tmp_path)
    tiny |= {"batch_size": 5, "outputs": [], "datasets": {}}
    tiny["studies"] = {
        "comparison": {"scenarios": ["grid"], "methods": ["kmeans-once"], "replicates": 5}
    }
    results = tmp_path / "results/tiny"
    results.mkdir(parents=True)
    (results / "config.yaml").write_text(study_config.dump(study_config.resolve(tiny)))
    return results


def call(*arguments):
    step, *rest = arguments
    return main(["study", step, "--config", "results/tiny/config.yaml", *rest])


def fit_batch(replicates="0-4"):
    return call("fit", "--case", "grid", "--method", "kmeans-once", "--replicates", replicates)


def design_of(folder):
    return study.load(folder / "config.yaml")[1]


@pytest.fixture
def counted(monkeypatch, tmp_path):
    """Numbers of fits since the last question, over all processes."""
    counter = tmp_path / "count"
    counter.touch()
    real = methods.Method.fit

    def counting(self, *arguments, **parameters):
        with counter.open("a") as file:
            file.write(".")
        return real(self, *arguments, **parameters)

    monkeypatch.setattr(methods.Method, "fit", counting)

    def asked():
        number = counter.stat().st_size
        counter.write_text("")
        return number

    return asked


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


DAMAGES = {
    "empty": lambda content: b"",
    "garbage": lambda content: np.random.default_rng(0).bytes(500),
    "nul bytes": lambda content: b"\0" * len(content),
    "cut": lambda content: content[: len(content) // 2],
    "flipped at the start": lambda content: flipped(content, 40),
    "flipped in the middle": lambda content: flipped(content, len(content) // 2),
    "flipped at the end": lambda content: flipped(content, len(content) - 30),
    "beginning lost": lambda content: content[len(content) // 3 :],
    "twice": lambda content: content + content[:-1],
    "pieces exchanged": lambda content: content[200:] + content[:200],
    "line ends changed": lambda content: b"\r\n" + content.replace(b"\n", b"\r\n"),
    "compressed": gzip.compress,
    "backwards": lambda content: content[::-1],
    "text": lambda content: b"not what was here\n" * 3,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_batch_is_named_and_made_again(folder, counted, capsys, damage):
    assert fit_batch() == 0
    path = fits_path(folder, BATCH)
    whole = pd.read_parquet(path).drop(columns=TIMINGS)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(DamagedFile, match=r"0-4\.parquet"):
        parquet.read(path)
    counted(), capsys.readouterr()
    assert main(["status", "results/tiny"]) == 0
    said = capsys.readouterr().out
    assert said.count("0-4.parquet: damaged") == 1 and "0 of 5 fits done" in said
    assert call("aggregate") != 0
    said = capsys.readouterr().err
    assert "0-4.parquet" in said and "Traceback" not in said
    assert fit_batch() == 0
    assert capsys.readouterr().err.count("0-4.parquet: damaged") == 1
    assert counted() == 5
    pd.testing.assert_frame_equal(pd.read_parquet(path).drop(columns=TIMINGS), whole)
    assert call("aggregate") == 0


def test_every_flipped_bit_of_a_batch_is_found(folder):
    assert fit_batch("0-1") == 0
    path = fits_path(folder, Batch("grid", "kmeans-once", 0, 1))
    content = path.read_bytes()
    for place in np.random.default_rng(1).integers(len(content), size=300):
        path.write_bytes(flipped(content, place))
        with pytest.raises(DamagedFile):
            parquet.read(path)


def interrupted(folder, number=4):
    """A journal as a kill leaves it behind."""
    design = design_of(folder)
    path = fits_path(folder, BATCH).with_suffix(journal.SUFFIX)
    with journal.Journal(path) as kept:
        for row in batches.fit(folder, design, [Fit(BATCH, r) for r in range(number)]):
            kept.append(row)
    return path


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (lambda lines: [lines[0], lines[1][:50], *lines[2:]], 3),
        (lambda lines: [lines[0], lines[1][:50] + lines[2], lines[3]], 2),
        (lambda lines: [lines[0], flipped(lines[1], 60), *lines[2:]], 3),
        (lambda lines: [*lines[:2], b"\0" * 300, lines[3]], 3),
        (lambda lines: [b"", lines[0], b"{}", lines[1], b'{"replicate": 3}\t00'], 2),
        (lambda lines: [], 0),
        (lambda lines: [b"\0" * 4096], 0),
        (lambda lines: [np.random.default_rng(0).bytes(500)], 0),
    ],
)
def test_rows_of_a_damaged_journal_that_can_be_read_are_kept(folder, counted, capsys, damage, kept):
    path = interrupted(folder)
    lines = damage(path.read_bytes().split(b"\n")[:-1])
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    counted(), capsys.readouterr()
    assert main(["status", "results/tiny"]) == 0
    said = capsys.readouterr().out
    assert f"{kept} of 5 fits done" in said
    assert ("0-4.rows: damaged" in said) == bool(lines)
    assert fit_batch() == 0
    assert counted() == 5 - kept
    assert capsys.readouterr().err.count("0-4.rows: damaged") == bool(lines)
    assert list(pd.read_parquet(fits_path(folder, BATCH))["replicate"]) == [0, 1, 2, 3, 4]


@pytest.fixture
def real_data(folder):
    """The same folder with a data set, loaded."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["datasets"] = {"maps": {"load": "raman", "file": None}}
    config["studies"] = {"maps": {"datasets": ["maps"], "methods": ["kmeans-once"]}}
    (folder / "config.yaml").write_text(study_config.dump(study_config.resolve(config)))
    assert call("data", "--case", "maps") == 0
    return cases.data_path(folder, "maps")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("step", ["fit", "design"])
def test_damaged_maps_are_loaded_again(real_data, counted, capsys, damage, step):
    whole = real_data.read_bytes()
    arguments = ["--case", "maps", "--method", "kmeans-once", "--replicates", "0"]
    arguments = arguments if step == "fit" else []
    assert call(step, *arguments) == 0
    real_data.write_bytes(DAMAGES[damage](whole))
    if real_data.read_bytes() != whole and damage.startswith("flipped"):
        try:
            Dataset.load(real_data)
        except DamagedFile:
            pass
        else:  # a byte that nobody reads, such as a date
            return
    counted(), capsys.readouterr()
    assert call(step, *arguments) == 0
    said = capsys.readouterr().err
    assert said.count("maps.npz: damaged") == 1 and "Traceback" not in said
    assert real_data.read_bytes() == whole
    assert counted() == 0  # the maps are the same: so are the rows


def test_maps_that_cannot_be_loaded_again_are_an_error_with_both_reasons(
    real_data, monkeypatch, capsys
):
    def gone(case):
        raise ValueError("datasets.maps: the file is gone")

    monkeypatch.setattr(loading, "load", gone)
    real_data.write_bytes(b"")
    assert call("design") != 0
    said = capsys.readouterr().err
    assert "maps.npz: damaged" in said and "the file is gone" in said


def rewrite(path, change):
    found = parquet.read(path).to_pylist()
    parquet.write(path, change(found))


def other(column, value):
    return lambda found: [found[0] | {column: value}, *found[1:]]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda found: found[:2] + found[3:], "lacks replicate 2"),
        (lambda found: [*found, found[1]], "holds more than once replicate 1"),
        (lambda found: [*found, found[1] | {"replicate": 9}], "has no use for replicate 9"),
        (lambda found: [], "lacks replicate 0, 1, 2, 3, 4"),
        (other("method", "other"), "another method: 'other'"),
        (other("case", "other"), "another case: 'other'"),
        (other("code_hash", "0123"), "another code: '0123'"),
        (other("settings_hash", "0123"), "another settings: '0123'"),
    ],
)
def test_rows_that_the_design_does_not_ask_for_are_named_and_made_again(
    folder, capsys, counted, change, named
):
    assert fit_batch() == 0
    path = fits_path(folder, BATCH)
    whole = pd.read_parquet(path).drop(columns=TIMINGS)
    rewrite(path, change)
    assert again.times(folder, BATCH) == 0
    assert call("aggregate") != 0
    said = capsys.readouterr().err
    assert str(path.relative_to(folder.parents[1])) in said and named in said
    assert not (folder / "fits.parquet").exists()
    assert again.times(folder, BATCH) == 1  # so that Snakemake runs the job again
    counted()
    assert fit_batch() == 0
    assert counted() <= 5
    assert again.times(folder, BATCH) == 1  # and no further time
    pd.testing.assert_frame_equal(pd.read_parquet(path).drop(columns=TIMINGS), whole)
    assert call("aggregate") == 0


def test_a_batch_that_is_not_there_is_named(folder, capsys):
    assert call("aggregate") != 0
    assert "0-4.parquet" in capsys.readouterr().err


def no_memory():
    raise MemoryError("Unable to allocate 8 GiB")


def full_disk():
    raise OSError(errno.ENOSPC, "No space left on device")


def no_package():
    raise ImportError("No module named 'torch'")


def no_r():
    raise r.Unavailable("R: cannot allocate vector of size 3.7 Gb")


def behind_another():
    try:
        no_memory()
    except MemoryError:
        raise RuntimeError("the fit went wrong") from None


def aborted():
    faulthandler.disable()  # or pytest's would fill the log with this one's stack
    os.kill(os.getpid(), signal.SIGABRT)


@pytest.fixture
def trouble(monkeypatch, tmp_path):
    """What happens in the second fit, until it is taken away."""

    def install(what):
        real = methods.Method.fit
        calls = tmp_path / "calls"

        def fit(self, data, n_components, rng, **parameters):
            with calls.open("a") as file:
                file.write(".")
            if calls.stat().st_size == 2:
                what()
            return real(self, data, n_components, rng, **parameters)

        monkeypatch.setattr(methods.Method, "fit", fit)

    return install


@pytest.mark.parametrize("what", [no_memory, full_disk, no_package, no_r, behind_another, aborted])
def test_what_surrounded_a_fit_is_no_result(folder, trouble, capsys, what):
    trouble(what)
    assert fit_batch() == 0
    path = fits_path(folder, BATCH)
    first = pd.read_parquet(path)
    assert list(first["status"] == rows.OK) == [True, False, True, True, True]
    assert list(first["disturbed"]) == [False, True, False, False, False]
    assert again.times(folder, BATCH) == 1
    said = capsys.readouterr().err
    assert "4 ok, 1 failed" in said and first["error"][1] in said
    assert main(["status", "results/tiny"]) == 0
    assert "1 of them lacked R, memory or the like" in capsys.readouterr().out
    assert fit_batch() == 0
    second = pd.read_parquet(path)
    assert list(second["status"]) == [rows.OK] * 5
    kept = [0, 2, 3, 4]
    assert list(second["seconds"][kept]) == list(first["seconds"][kept])
    assert again.times(folder, BATCH) == 1


def singular():
    raise np.linalg.LinAlgError("singular")


def crashed():
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize("what", [singular, crashed])
def test_what_a_method_does_to_itself_stays(folder, trouble, counted, what):
    trouble(what)
    assert fit_batch() == 0
    first = pd.read_parquet(fits_path(folder, BATCH))
    counted()
    assert fit_batch() == 0
    assert counted() == 0
    pd.testing.assert_frame_equal(pd.read_parquet(fits_path(folder, BATCH)), first)
    assert list(first["status"])[1] == rows.FAILED and not first["disturbed"].any()
    assert again.times(folder, BATCH) == 0


def test_r_that_comes_back_is_used(folder, monkeypatch, capsys):
    needing = replace(methods.get("kmeans"), requires=("mclust",))
    monkeypatch.setattr(methods, "get", lambda name: needing)
    with monkeypatch.context() as without:
        without.setattr(r, "missing", lambda packages: "R cannot be started" if packages else None)
        assert fit_batch() == 0
    assert set(pd.read_parquet(fits_path(folder, BATCH))["status"]) == {rows.UNSUPPORTED}
    assert "5 unsupported" in capsys.readouterr().err
    monkeypatch.setattr(r, "missing", lambda packages: None)
    assert fit_batch() == 0
    assert set(pd.read_parquet(fits_path(folder, BATCH))["status"]) == {rows.OK}


def test_what_a_method_does_not_support_stays(folder, monkeypatch):
    never = replace(methods.get("kmeans"), _supports=lambda data, n_components: "never")
    monkeypatch.setattr(methods, "get", lambda name: never)
    assert fit_batch() == 0
    first = pd.read_parquet(fits_path(folder, BATCH))
    assert set(first["status"]) == {rows.UNSUPPORTED} and not first["disturbed"].any()
    assert fit_batch() == 0
    pd.testing.assert_frame_equal(pd.read_parquet(fits_path(folder, BATCH)), first)


def test_rs_own_lack_of_memory_is_told_from_its_errors():
    assert r._NO_MEMORY.search("Error: cannot allocate vector of size 3.7 Gb")
    assert not r._NO_MEMORY.search("Error in solve.default(x): system is singular")
    assert fit._by_surroundings(r.Unavailable("R cannot be started"))
    assert not fit._by_surroundings(RuntimeError("R: Error in solve.default(x)"))


def test_a_mark_that_is_garbage_stops_nothing(tmp_path):
    again.mark(tmp_path, BATCH, pending=False)
    assert not (tmp_path / "again").exists()
    again.mark(tmp_path, BATCH, pending=True)
    again.mark(tmp_path, BATCH, pending=True)
    assert again.times(tmp_path, BATCH) == 2
    (path,) = (tmp_path / "again").rglob("0-4")
    path.write_bytes(b"\0\xff")
    assert again.times(tmp_path, BATCH) == 0
    again.mark(tmp_path, BATCH, pending=True)
    assert again.times(tmp_path, BATCH) == 1


def test_content_is_on_the_disk_before_it_takes_the_place_of_what_was_there(tmp_path, monkeypatch):
    done = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append("sync") or sync(descriptor))
    monkeypatch.setattr(os, "replace", lambda *paths: done.append("replace") or replace(*paths))
    with atomic_path(tmp_path / "file.txt") as temporary:
        temporary.write_text("content")
    assert done == ["sync", "replace", "sync"]


def test_a_journal_goes_only_after_its_rows_are_on_the_disk(folder, monkeypatch):
    done = []
    replace, unlink = os.replace, journal.Journal.remove
    monkeypatch.setattr(os, "replace", lambda *paths: done.append("rows") or replace(*paths))
    monkeypatch.setattr(journal.Journal, "remove", lambda self: done.append("gone") or unlink(self))
    assert fit_batch() == 0
    assert done == ["rows", "gone"]


def test_a_journal_holds_lines_that_check_themselves(tmp_path):
    path = tmp_path / "0-1.rows"
    with journal.Journal(path) as kept:
        kept.append({"replicate": 0, "error": "a\tb\nc"})
    row, check = path.read_text().rstrip("\n").rsplit("\t", 1)
    assert json.loads(row)["error"] == "a\tb\nc" and len(check) == 16
    assert journal.read(path) == [{"replicate": 0, "error": "a\tb\nc"}]


def test_merging_reads_each_batch_that_the_design_asks_for(folder):
    assert fit_batch() == 0
    assert aggregate.merge_fits(folder, design_of(folder)) == 5


#: A method without memory for its second fit until a file says that there is some.
FORGETFUL = """
def fit(data, n_components, rng):
    import os

    if not os.path.exists("memory") and os.path.exists("second"):
        raise MemoryError("Unable to allocate 8 GiB")
    open("second", "w").close()
    return FitResult(rng.integers(n_components, size=len(data.X)))
"""


def test_the_same_command_repairs_a_run(snakemake, sources, tiny, tmp_path):
    template = (sources / "src/spatgmm/methods/random.py").read_text()
    text = template.replace('"random"', '"forgetful"').partition("\ndef fit(")[0] + "\n" + FORGETFUL
    (sources / "src/spatgmm/methods/forgetful.py").write_text(text)
    tiny |= {"batch_size": 2, "outputs": []}
    tiny["studies"] = {
        "comparison": {"scenarios": ["grid"], "methods": ["forgetful"], "replicates": 2}
    }
    results = tmp_path / "results/tiny"
    fits = results / "fits.parquet"

    first = snakemake(tiny, "results/tiny/fits.parquet", sources=sources)
    assert first.returncode == 1
    assert "Of 2 fits without a result: 1 failed (1 × MemoryError: Unable" in first.stdout
    assert "1 fits failed for lack of memory" in first.stdout and "again" in first.stdout
    assert "Traceback" not in first.stdout
    assert list(pd.read_parquet(fits)["status"]) == [rows.OK, rows.FAILED]

    (tmp_path / "memory").touch()
    second = snakemake(tiny, "results/tiny/fits.parquet", sources=sources)
    assert second.returncode == 0, second.stdout
    assert list(pd.read_parquet(fits)["status"]) == [rows.OK, rows.OK]
    assert "without a result" not in second.stdout
    third = snakemake(tiny, "results/tiny/fits.parquet", sources=sources)
    assert "Nothing to be done" in third.stdout

    path = results / "fits/grid/forgetful/0-1.parquet"
    path.write_bytes(path.read_bytes()[:100])
    fits.unlink()
    named = snakemake(tiny, "results/tiny/fits.parquet", sources=sources)
    assert named.returncode == 1
    log = (results / "logs/aggregate.log").read_text()
    assert "0-1.parquet: damaged" in log and "Traceback" not in log
    assert snakemake(tiny, "results/tiny/fits.parquet", sources=sources).returncode == 0
    assert list(pd.read_parquet(fits)["status"]) == [rows.OK, rows.OK]

"""`spatgmm fit` on whatever people bring: the right clusters or one line, and the right status."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from spatgmm.cli import main
from spatgmm.common.locations import grid_coordinates

RNG = np.random.default_rng(10)
GROUPS = np.repeat([0, 1], 15)
X = (RNG.normal(size=(30, 12)) + 3 * GROUPS[:, None] * (-1) ** np.arange(12)).round(4)
GRID = grid_coordinates((3, 4))
NAMES = [f"sample {i:02}" for i in range(30)]


@pytest.fixture
def fit(tmp_path, capsys):
    def run(data, *arguments, out="out"):
        where = [str(tmp_path / data), "--components", "2", "--method", "kmeans"]
        status = main(["fit", *where, *arguments, "--out", str(tmp_path / out)])
        said = capsys.readouterr()
        assert status == 0 or len(said.err.splitlines()) == 1
        return status, said.err

    return run


CASES = {
    "a header of numbers": lambda f: f.to_csv("m.csv", index=False),
    "an index": lambda f: f.to_csv("m.csv"),
    "semicolons, decimal commas": lambda f: f.to_csv("m.csv", sep=";", decimal=","),
    "R": lambda f: f.set_axis([f"V{i}" for i in f], axis=1).to_csv(
        "m.csv", sep=" ", index_label=False
    ),
    "compressed": lambda f: f.to_csv("m.csv", compression="gzip"),
}


@pytest.mark.parametrize("save", CASES.values(), ids=CASES)
def test_the_clusters_are_those_of_the_maps(fit, tmp_path, monkeypatch, save):
    monkeypatch.chdir(tmp_path)
    save(pd.DataFrame(X, index=NAMES))
    name = "m.csv"
    if save is CASES["compressed"]:
        (tmp_path / "m.csv").rename(tmp_path / "m.csv.gz")
        name = "m.csv.gz"
    places = pd.DataFrame(GRID, columns=["row", "col"]).assign(note="x")
    places.to_csv("c.csv", index=False)
    assert fit(name, "--coordinates", "c.csv")[0] == 0
    labels = pd.read_csv("out/labels.csv")
    assert adjusted_rand_score(GROUPS, labels["label"]) == 1
    expected = list(range(30)) if save is CASES["a header of numbers"] else NAMES
    assert labels["map"].tolist() == expected


def test_labels_have_probabilities_and_means_have_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame(X, index=NAMES, columns=[f"p{i}" for i in range(12)]).to_csv("m.csv")
    places = pd.DataFrame(GRID, columns=["x", "y"], index=[f"p{i}" for i in range(12)])
    places.iloc[::-1].to_csv("c.csv")
    assert main(["fit", "m.csv", "--coordinates", "c.csv", "--components", "2"]) == 0
    labels = pd.read_csv("spatgmm-fit/labels.csv")
    columns = ["map", "label", "probability_1", "probability_2", "outlier_probability"]
    assert labels.columns.tolist() == columns
    probabilities = labels[["probability_1", "probability_2"]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert labels["label"].tolist() == (probabilities.argmax(axis=1) + 1).tolist()
    means = pd.read_csv("spatgmm-fit/means.csv")
    assert means["location"].tolist() == [f"p{i}" for i in range(12)]
    np.testing.assert_array_equal(means[["coordinate_0", "coordinate_1"]], GRID)
    for g in (1, 2):
        members = X[labels["label"] == g].mean(axis=0)
        np.testing.assert_allclose(means[f"mean_{g}"], members, atol=0.05)


def test_fill_values_are_told_and_can_be_named(fit, tmp_path):
    Y = X.copy()
    Y[3:6, 2] = -9999
    pd.DataFrame(Y).to_csv(tmp_path / "m.csv", index=False)
    status, said = fit("m.csv", "--coordinates", "3x4")
    assert status == 0 and "-9999 (3 times)" in said
    notes = json.loads((tmp_path / "out" / "summary.json").read_text())["notes"]
    assert "-9999 (3 times)" in notes[0]
    named = ["--coordinates", "3x4", "--missing-value=-9999"]
    status, said = fit("m.csv", *named, out="other")
    assert status == 1 and "row 4, column 3" in said


def test_earlier_results_are_kept_unless_forced(fit, tmp_path):
    np.save(tmp_path / "m.npy", X.reshape(-1, 3, 4))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert fit("m.npy")[0] == 0
    before = (tmp_path / "out" / "labels.csv").read_bytes()
    status, said = fit("m.npy", "--seed", "5")
    assert status == 2 and "--force overwrites them" in said
    assert (tmp_path / "out" / "labels.csv").read_bytes() == before
    assert fit("m.npy", "--force")[0] == 0
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--coordinates", "3x4", "--no-header"], 0),
        (["--coordinates", "3x4", "--columns", "x,y"], 2),
        (["--coordinates", "2x5"], 2),
        (["--coordinates", "none.csv"], 2),
        ([], 2),
        (["--coordinates", "3x4", "--index"], 2),
    ],
)
def test_what_another_command_line_mends_is_wrong_usage(fit, tmp_path, arguments, status):
    pd.DataFrame(X).to_csv(tmp_path / "m.csv", index=False)
    assert fit("m.csv", *arguments)[0] == status


# -- the surroundings ------------------------------------------------------------------------


def spatgmm(*arguments, **options):
    command = [sys.executable, "-m", "spatgmm", *map(str, arguments)]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=120, **options)


@pytest.fixture
def command(tmp_path):
    np.save(tmp_path / "m.npy", X.reshape(-1, 3, 4))
    return ["fit", tmp_path / "m.npy", "--components", "2", "--method", "kmeans", "--out"]


def test_outputs_that_cannot_be_written(command, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "x")
    (tmp_path / "file").touch()
    for out, status in (("link", 2), ("file", 2), ("link/sub", 1), ("file/sub", 1)):
        done = spatgmm(*command, tmp_path / out)
        assert done.returncode == status, done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert out.partition("/")[0] in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_one_line(command, tmp_path, monkeypatch, capsys):
    with open("/dev/full", "w") as full:
        done = spatgmm(*command, tmp_path / "out", stdout=full)
    assert done.returncode == 1
    assert done.stderr == "spatgmm fit: No space left on device\n"

    def to_csv(self, path, **options):
        with open("/dev/full", "w") as file:
            file.write("too much")

    monkeypatch.setattr(pd.DataFrame, "to_csv", to_csv)
    assert main([*map(str, command), str(tmp_path / "other")]) == 1
    said = capsys.readouterr().err
    assert said.endswith("labels.csv: No space left on device\n") and said.count("\n") == 1
    assert not list((tmp_path / "other").iterdir())


def test_output_that_nobody_reads_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    done = spatgmm("methods", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    closed = spatgmm("methods", preexec_fn=lambda: os.close(1))
    assert (closed.returncode, closed.stderr) == (0, "")


def test_an_interrupt_is_one_line(tmp_path):
    np.save(tmp_path / "m.npy", RNG.normal(size=(500, 24, 24)))
    command = [sys.executable, "-m", "spatgmm", "fit", "m.npy", "--components", "2:9"]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "spatgmm-fit").exists():  # made right before the first fit
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 130
    assert said.splitlines()[-1] == "spatgmm fit: interrupted"
    assert "Traceback" not in said


@pytest.mark.parametrize("shape", ["3x4", "3X4", "3×4"])
def test_a_grid_shape_is_no_place_on_the_earth(fit, tmp_path, shape):
    pd.DataFrame(X).to_csv(tmp_path / "m.csv", index=False)
    assert fit("m.csv", "--coordinates", shape)[0] == 0
    arguments = ["--coordinates", shape, "--method", "spatgmm", "--space", "sphere"]
    status, said = fit("m.csv", *arguments)
    assert status == 2
    assert "--space sphere needs longitude and latitude of each location" in said


def test_a_mark_between_thousands_is_asked_about(fit, tmp_path):
    cells = [[f"{value:,}" for value in row] for row in (1000 * (X + 20)).astype(int)]
    pd.DataFrame(cells).to_csv(tmp_path / "m.csv", index=False)
    status, said = fit("m.csv", "--coordinates", "3x4")
    assert status == 2 and "say --decimal . or --decimal ," in said
    assert fit("m.csv", "--coordinates", "3x4", "--decimal", ".")[0] == 0
    labels = pd.read_csv(tmp_path / "out" / "labels.csv").label
    assert adjusted_rand_score(GROUPS, labels) == 1

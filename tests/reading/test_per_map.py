"""Labels and weights in files beside the maps: matched with the maps, or refused by name."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from spatgmm import reading, simulate
from spatgmm.cli import main
from spatgmm.reading import per_map

SIGMOID = ("--decay", "sigmoid")

NAMES = ["a", "b", "c", "d"]


def table(tmp_path, text: str):
    path = tmp_path / "of_maps.csv"
    path.write_text(text)
    return reading.read_table(str(path), header=False)


@pytest.mark.parametrize(
    ("text", "expected", "called"),
    [
        ("1\n2\n\n1\n".replace("\n\n", "\nNA\n"), [0, 1, -1, 0], []),
        ("label\n1\n2\n2\n1\n", [0, 1, 1, 0], []),
        ("2\n-1\n2\n-1\n", [1, -1, 1, -1], []),
        ("0\n1\n1\n0\n", [0, 1, 1, 0], ["0", "1"]),
        ("ring\nedge\nring\nring\n", [1, 0, 1, 1], ["edge", "ring"]),
        ("map,label\nc,2\na,1\n", [0, -1, 1, -1], []),
        ("c,2\na,1\n", [0, -1, 1, -1], []),
        ("map,label,probability_1\nd,2,0.1\nb,1,0.9\n", [-1, 0, -1, 1], []),
        ("map;label\nd;edge\nb;\n", [-1, -1, -1, 0], ["edge"]),
    ],
)
def test_labels_are_those_of_the_maps(tmp_path, text, expected, called):
    known, names = per_map.labels(table(tmp_path, text), NAMES, 2)
    assert known.tolist() == expected and names == called


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n2\n", "has 2 rows for 4 maps"),
        ("1\n2\n3\n1\n", r"has 3 labels \(1, 2, 3\) for 2 clusters"),
        ("map,label\na,1\ne,2\n", "the maps have no map 'e'"),
        ("a,1\na,2\n", "has map 'a' more than once"),
        ("-1\n-1\nNA\n-1\n", "knows the label of no map"),
        ("map,x,y\na,1,2\n", "which of its 3 columns is the label"),
    ],
)
def test_labels_that_make_no_sense_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        per_map.labels(table(tmp_path, text), NAMES, 2)


def test_weights_are_those_of_the_maps(tmp_path):
    assert per_map.weights(table(tmp_path, "1\n0.5\n0\n2\n"), NAMES).tolist() == [1, 0.5, 0, 2]
    named = "map,weight\nd,4\nc,3\nb,2\na,1\n"
    assert per_map.weights(table(tmp_path, named), NAMES).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n-1\n1\n1\n", "map b has the weight -1"),
        ("1\n1\nmany\n1\n", "map c has the weight 'many'"),
        ("map,weight\na,1\n", "has no weight for map b"),
    ],
)
def test_weights_that_make_no_sense_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        per_map.weights(table(tmp_path, text), NAMES)


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """Maps whose groups differ in covariance alone, their file and labels."""
    scenario = {
        "locations": {"grid": [5, 5]},
        "n": 60,
        "weights": [0.5, 0.5],
        "components": [{"alpha": [1, -0.9, 0.3], "beta": beta} for beta in (2.5, 6)],
    }
    data = simulate.draw(simulate.Scenario.from_config("told", scenario), 0, 1)
    folder = tmp_path_factory.mktemp("told")
    pd.DataFrame(data.X, index=[f"m{i}" for i in range(60)]).to_csv(folder / "maps.csv")
    return folder, data.labels


def fit(folder, out, *arguments) -> int:
    files = [str(folder / "maps.csv"), "--coordinates", "5x5", "--components", "2"]
    return main(["fit", *files, *arguments, "--out", str(out)])


def test_known_labels_decide_what_clusters_are_called(maps, tmp_path, capsys):
    folder, labels = maps
    names = np.array(["waves", "spots"])[labels]
    known = pd.DataFrame({"map": [f"m{i}" for i in range(60)], "label": names})[::7]
    known.to_csv(tmp_path / "known.csv", index=False)
    assert (
        fit(folder, tmp_path / "out", *SIGMOID, "--known-labels", str(tmp_path / "known.csv")) == 0
    )
    assert "9 of 60 labels are known; cluster 1 is 'spots', cluster 2 is 'waves'" in (
        capsys.readouterr().err
    )
    found = pd.read_csv(tmp_path / "out" / "labels.csv").set_index("map")["label"]
    assert (found[known["map"]] == np.where(known["label"] == "spots", 1, 2)).all()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["known_labels"].endswith("known.csv")


def test_maps_of_weight_zero_are_as_if_they_were_not_there(maps, tmp_path):
    folder, _ = maps
    (tmp_path / "weights.csv").write_text("\n".join(["1"] * 50 + ["0"] * 10) + "\n")
    assert fit(folder, tmp_path / "out", *SIGMOID, "--weights", str(tmp_path / "weights.csv")) == 0
    pd.read_csv(folder / "maps.csv", index_col=0)[:50].to_csv(tmp_path / "maps.csv")
    assert fit(tmp_path, tmp_path / "alone", *SIGMOID) == 0
    weighted, alone = (
        json.loads((tmp_path / name / "summary.json").read_text()) for name in ("out", "alone")
    )
    for name in ("log_likelihood", "bic"):
        assert weighted[name] == pytest.approx(alone[name], abs=1e-3)


def test_a_method_that_heeds_no_labels_refuses_them(maps, tmp_path, capsys):
    (tmp_path / "known.csv").write_text("1\n" * 60)
    known = ("--known-labels", str(tmp_path / "known.csv"))
    assert fit(maps[0], tmp_path / "out", "--method", "kmeans", *known) == 2
    assert "--known-labels: method 'kmeans' takes none" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0,5\n1\n2,5\n1\n", "weight\n0,5\n1\n2,5\n1\n"])
def test_weights_with_decimal_commas(tmp_path, text):
    path = tmp_path / "w.csv"
    path.write_text(text.replace("\n", ";\n"))
    found = per_map.weights(reading.read_table(str(path), header=False), NAMES)
    np.testing.assert_array_equal(found, [0.5, 1, 2.5, 1])


def test_one_row_too_many_is_no_header(tmp_path):
    with pytest.raises(ValueError, match="has 5 rows for 4 maps"):
        per_map.weights(table(tmp_path, "1\n2\n3\n4\n5\n"), NAMES)
    with pytest.raises(ValueError, match="has 5 rows for 4 maps"):
        per_map.labels(table(tmp_path, "dog\ncat\ncat\ndog\ndog\n"), NAMES, 2)


def test_names_of_several_maps_tell_none_apart(tmp_path):
    with pytest.raises(ValueError, match="'b' is the name of several"):
        per_map.labels(table(tmp_path, "a,1\nb,2\n"), ["a", "b", "b", "d"], 2)

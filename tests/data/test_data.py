from __future__ import annotations

import numpy as np
import pytest

from spatgmm.common.files import atomic_path
from spatgmm.data import Dataset, Truth


@pytest.fixture
def data() -> Dataset:
    rng = np.random.default_rng(1)
    return Dataset(
        X=rng.normal(size=(6, 4)),
        coordinates=(2, 2),
        labels=np.array([0, 1, 0, 1, 1, 0]),
        label_names=("a", "b"),
        shape=(2, 2),
        description="six maps",
        source="a test",
        truth=Truth(
            np.array([0.5, 0.5]), rng.normal(size=(2, 4)), rng.normal(size=(2, 3)), np.ones(2)
        ),
    )


def test_saved_data_come_back_whole(data, tmp_path):
    data.save(tmp_path / "folder" / "data.npz")
    back = Dataset.load(tmp_path / "folder" / "data.npz")
    for name in ("X", "coordinates", "labels"):
        np.testing.assert_array_equal(getattr(back, name), getattr(data, name))
    for name in ("weights", "means", "alpha", "beta"):
        np.testing.assert_array_equal(getattr(back.truth, name), getattr(data.truth, name))
    assert (back.label_names, back.shape) == (("a", "b"), (2, 2))
    assert (back.description, back.source) == ("six maps", "a test")
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["data.npz"]


def test_what_is_not_known_stays_unknown(tmp_path):
    Dataset(X=np.ones((3, 2)), coordinates=[[0.0, 1.0], [2.0, 3.0]]).save(tmp_path / "data.npz")
    back = Dataset.load(tmp_path / "data.npz")
    assert back.labels is None and back.shape is None and back.truth is None
    assert back.label_names == ()


def test_centring_leaves_zero_group_means_and_moves_the_truth_along(data):
    centred = data.centred()
    for group in (0, 1):
        members = data.labels == group
        np.testing.assert_allclose(centred.X[members].mean(axis=0), 0, atol=1e-15)
        np.testing.assert_allclose(
            centred.X[members] - centred.truth.means[group],
            data.X[members] - data.truth.means[group],
        )
    assert "centred" in centred.description


def test_centring_without_groups_is_refused():
    with pytest.raises(ValueError, match="true groups"):
        Dataset(X=np.ones((3, 2)), coordinates=[[0.0], [1.0]]).centred()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"X": np.ones(4)}, r"shape \(n, p\)"),
        ({"X": np.array([[1, 2, 3, 4], [1, 2, np.nan, 4.0]])}, "row 1, column 2"),
        ({"coordinates": (2, 3)}, "6 locations but X has 4"),
        ({"coordinates": [[0, 0], [0, 1], [1, np.inf], [1, 1]]}, "row 2 is not finite"),
        ({"shape": (3, 2)}, "does not hold"),
        ({"labels": np.array([0, 1])}, "labels must be 6 integers"),
        ({"labels": np.array([0.0, 1, 0, 1, 1, 0])}, "labels must be 6 integers"),
        ({"labels": np.array([0, 1, 0, 2, 1, 0])}, r"labels\[3\] is 2"),
    ],
)
def test_bad_data_are_refused_with_the_place(data, wrong, message):
    with pytest.raises(ValueError, match=message):
        Dataset(**{**vars(data), **wrong})


def test_atomic_path_keeps_the_old_file_when_writing_fails(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"), atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        assert path.read_text() == "old"
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_path_replaces_and_keeps_the_suffix(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with atomic_path(path) as temporary:
        assert temporary.suffix == ".csv" and temporary.parent == tmp_path
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_pixels_survive_a_file(tmp_path):
    X = np.array([[1.0, np.nan, 2.0], [0.0, 1.0, np.nan], [3.0, 1.0, 2.0]])
    Dataset(X, np.arange(3.0)[:, None], missing=True).save(tmp_path / "maps.npz")
    back = Dataset.load(tmp_path / "maps.npz")
    assert back.missing
    np.testing.assert_array_equal(back.X, X)


def test_files_from_before_missing_pixels_are_read(tmp_path):
    whole = Dataset(np.eye(3), np.arange(3.0)[:, None])
    whole.save(tmp_path / "maps.npz")
    with np.load(tmp_path / "maps.npz") as file:
        older = {name: file[name] for name in file if name != "missing"}
    np.savez(tmp_path / "older.npz", **older)
    assert not Dataset.load(tmp_path / "older.npz").missing

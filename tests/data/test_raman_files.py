"""The user's own Raman maps: what is read, and what is refused by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spatgmm import datasets


@pytest.fixture
def table() -> pd.DataFrame:
    """Four maps of 2 rows x 3 columns at two doses; the value names map, row and column."""
    rows = [
        (f"m{m}", 0.1 * x, 0.2 * y, 100 * m + 10 * y + x, 5.0 if m < 2 else 2.5)
        for m in range(4)
        for x in range(3)
        for y in range(2)
    ]
    return pd.DataFrame(rows, columns=["map_id", "x", "y", "value", "dose"])


def written(table: pd.DataFrame, tmp_path, suffix=".csv") -> str:
    path = tmp_path / f"maps{suffix}"
    if suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return str(path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_in_any_order_becomes_maps(table, tmp_path, suffix):
    shuffled = pd.concat([table.iloc[[0]], table.iloc[1:].sample(frac=1, random_state=1)])
    data = datasets.load("raman", file=written(shuffled, tmp_path, suffix))
    order = [int(m[1]) for m in shuffled["map_id"].unique()]
    expected = [[100 * m + 10 * y + x for y in range(2) for x in range(3)] for m in order]
    np.testing.assert_array_equal(data.X, expected)
    assert data.shape == (2, 3)
    np.testing.assert_allclose(data.coordinates[:4], [[0, 0], [0.1, 0], [0.2, 0], [0, 0.2]])
    assert data.label_names == ("dose 2.5", "dose 5")
    assert data.labels.tolist() == [1 if m < 2 else 0 for m in order]
    assert "synthetic" not in data.description + data.source


def test_without_doses_there_are_no_groups(table, tmp_path):
    file = written(table.drop(columns="dose"), tmp_path)
    data = datasets.load("raman", file=file)
    assert data.labels is None and data.label_names == ()
    with pytest.raises(ValueError, match="true groups"):
        datasets.load("raman", file=file, centred=True)


def test_sites_that_fill_no_grid_have_no_shape(table, tmp_path):
    corner = (table["x"] == table["x"].max()) & (table["y"] > 0)
    data = datasets.load("raman", file=written(table[~corner], tmp_path))
    assert data.shape is None and data.X.shape == (4, 5)


def test_last_digits_of_coordinates_do_not_matter(table, tmp_path):
    table["x"] += np.random.default_rng(1).normal(size=len(table)) * 1e-12
    data = datasets.load("raman", file=written(table, tmp_path, ".parquet"))
    assert data.X.shape == (4, 6)


def test_an_array_with_coordinates_gives_the_same_as_the_table(table, tmp_path):
    data = datasets.load("raman", file=written(table, tmp_path))
    order = np.random.default_rng(1).permutation(6)
    np.save(tmp_path / "maps.npy", data.X[:, order])
    sites = pd.DataFrame(data.coordinates[order], columns=["x", "y"])
    sites.to_csv(tmp_path / "sites.csv", index=False)
    np.save(tmp_path / "sites.npy", sites.to_numpy())
    np.save(tmp_path / "doses.npy", [5, 5, 2.5, 2.5])
    pd.DataFrame({"dose": [5, 5, 2.5, 2.5]}).to_csv(tmp_path / "doses.csv", index=False)
    for kind in ("csv", "npy"):
        array = datasets.load(
            "raman",
            file=str(tmp_path / "maps.npy"),
            coordinates=str(tmp_path / f"sites.{kind}"),
            doses=str(tmp_path / f"doses.{kind}"),
        )
        np.testing.assert_array_equal(array.X, data.X)
        np.testing.assert_allclose(array.coordinates, data.coordinates)
        assert array.labels.tolist() == data.labels.tolist() and array.shape == (2, 3)


def with_cell(table, row, column, value):
    return (
        table.astype({column: object})
        .astype(object)
        .mask((np.arange(len(table)) == row)[:, None] & (table.columns == column), value)
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t.drop(index=8), r"'m1' has no value at 1 sites, first site \(x=0.1, y=0\)"),
        (lambda t: pd.concat([t, t.iloc[[8]]]), r"'m1' has site \(x=0.1, y=0\) more than once"),
        (
            lambda t: with_cell(t, 8, "x", 0.15),
            r"'m1' has no value at .*\(x=0.1, y=0\), which 3 of 4",
        ),
        (
            lambda t: pd.concat([t, t.iloc[[8]].assign(x=9.0)]),
            r"'m1' is on different sites: only 1 of",
        ),
        (
            lambda t: with_cell(t, 8, "value", np.nan),
            r"row 9, column 4 \('value'\): the value is missing$",
        ),
        (lambda t: with_cell(t, 8, "value", np.inf), r"row 9, column 4 .*: inf is not"),
        (lambda t: with_cell(t, 8, "value", "n.a. "), r"row 9, column 4 .*: 'n.a. ' is"),
        (lambda t: with_cell(t, 8, "y", np.nan), r"row 9, column 3 \('y'\): the value is missing$"),
        (lambda t: with_cell(t, 8, "map_id", None), r"row 9: no map_id"),
        (lambda t: with_cell(t, 8, "dose", 7.0), r"'m1' needs one finite dose"),
        (
            lambda t: t.assign(dose=t["dose"].where(t["map_id"] != "m1")),
            r"'m1' needs one finite dose",
        ),
        (
            lambda t: t.drop(columns="value"),
            "needs .* its columns: map_id, x, y, dose",
        ),
        (lambda t: t[t["map_id"] == "m1"], r"has 1 map"),
        (lambda t: t.iloc[:0], r"has no rows"),
        (lambda t: t.assign(x=0.0, y=0.0).groupby("map_id").head(1), r"at least two"),
    ],
)
def test_damaged_tables_are_refused_by_name(table, tmp_path, damage, message):
    file = written(damage(table), tmp_path)
    with pytest.raises(ValueError, match=message):
        datasets.load("raman", file=file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.ones(6)}, "2, 3 or 4 axes, not 1"),
        (
            {"X": np.where(np.arange(24) == 8, np.nan, 1.0).reshape(4, 6)},
            "X.npy: row 2, column 3",
        ),
        ({"sites": np.ones((5, 2))}, "sites.npy, maps in .* 5 locations but X has 6"),
        ({"sites": np.array([[0, 0], [1, 0], [0, 0], [0, 1], [1, 1], [2, 1.0]])}, "more than once"),
        (
            {"sites": np.array([[0, 0], [1, 0], [2, np.nan], [0, 1], [1, 1], [2, 1]])},
            "row 3, column 2",
        ),
        ({"doses": np.ones(3)}, "one dose for each of 4 maps"),
        ({"doses": np.array([1, 2, np.inf, 2])}, "doses.npy: row 3, column 1: inf"),
        (
            {"doses": np.array(["low", "low", "high", "high"])},
            "not hold one array",
        ),
    ],
)
def test_damaged_arrays_are_refused_by_name(tmp_path, change, message):
    grid = np.array([[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1.0]])
    arrays = {"X": np.ones((4, 6)), "sites": grid, "doses": np.array([1.0, 1, 2, 2]), **change}
    files = {}
    for name, array in arrays.items():
        files[name] = str(tmp_path / f"{name}.npy")
        np.save(files[name], array)
    with pytest.raises(ValueError, match=message):
        datasets.load("raman", file=files["X"], coordinates=files["sites"], doses=files["doses"])


def test_files_that_do_not_go_together_are_refused(table, tmp_path):
    file = written(table, tmp_path)
    np.save(tmp_path / "maps.npy", np.ones((3, 6)))
    (tmp_path / "broken.parquet").write_text("no parquet")
    (tmp_path / "maps.xlsx").touch()
    for settings, message in [
        ({"file": str(tmp_path / "no.csv")}, "no.csv: there is no such file"),
        ({"file": str(tmp_path / "broken.parquet")}, "cannot be read"),
        ({"file": str(tmp_path / "maps.xlsx")}, "known are .csv"),
        ({"file": file, "coordinates": file}, "coordinates is for arrays only"),
        ({"coordinates": file}, "coordinates is given without file"),
        ({"file": str(tmp_path / "maps.npy")}, "needs coordinates"),
    ]:
        with pytest.raises(ValueError, match=message):
            datasets.load("raman", **settings)

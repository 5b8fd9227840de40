"""Parquet, arrays, long tables, and stacks that know their places; damage to each of them."""

import sys

import numpy as np
import pandas as pd
import pytest

from spatgmm.common.errors import NoSuchFileError, UsageError
from spatgmm.common.locations import grid_coordinates
from spatgmm.data import Dataset
from spatgmm.reading import labelled, read

X = np.random.default_rng(8).normal(size=(10, 6)).round(3)
GRID = grid_coordinates((2, 3))
NAMES = [f"map {i}" for i in range(10)]


def found(path, *coordinates, **options):
    done = read(str(path), *coordinates, **options)
    np.testing.assert_array_equal(done.data.X, X)
    return done


# -- Parquet and arrays ----------------------------------------------------------------------


def test_parquet_with_an_index_or_a_column_of_names(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcdef"))
    frame.to_parquet(tmp_path / "plain.parquet")
    assert found(tmp_path / "plain.parquet", "2x3").names is None
    frame.set_axis(NAMES).to_parquet(tmp_path / "index.parquet")
    assert found(tmp_path / "index.parquet", "2x3").names == NAMES
    frame.iloc[::-1].iloc[::-1].set_axis(np.arange(10) * 3).to_parquet(tmp_path / "some.parquet")
    assert found(tmp_path / "some.parquet", "2x3").names[:2] == ["0", "3"]
    frame.assign(who=NAMES).to_parquet(tmp_path / "column.parquet")
    done = found(tmp_path / "column.parquet", "2x3")
    assert done.names == NAMES and done.places == list("abcdef")
    frame.astype("Float64").convert_dtypes().to_parquet(tmp_path / "nullable.parquet")
    found(tmp_path / "nullable.parquet", "2x3")


def test_npz_with_one_array_or_a_named_one(tmp_path):
    np.savez(tmp_path / "one.npz", X=X.reshape(-1, 2, 3))
    assert found(tmp_path / "one.npz").data.shape == (2, 3)
    np.savez_compressed(tmp_path / "two.npz", maps=np.asfortranarray(X), labels=np.arange(10))
    found(f"{tmp_path}/two.npz:maps", "2x3")
    for name in ("", ":masks"):
        with pytest.raises(UsageError, match="NAME one of maps, labels"):
            read(f"{tmp_path}/two.npz{name}", "2x3")


def header(shape, descr="'<f8'"):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00v\x00" + text.ljust(117).encode() + b"\n" + bytes(64)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        header((10**10, 10**9)),
        header((2**62, 2**62)),
        header((-1, 4)),
        header("(2, 4"),
        header((2, 4), descr="'|O'"),
        header((2, 4), descr="[('a', '<f8')]"),
        header((2, 4)).replace(b"NUMPY\x01", b"NUMPY\x07"),
        b"\x93NUMPY\x01\x00v\x00" + b"(" * 117 + b"\n",
    ],
)
def test_forged_and_torn_arrays_are_named(tmp_path, content):
    (tmp_path / "bad.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad.npy: cannot be read as an array"):
        read(str(tmp_path / "bad.npy"), "2x2")


@pytest.mark.parametrize("shape", ["3x2", "6", "1x6"])
def test_a_grid_shape_that_contradicts_the_array(tmp_path, shape):
    np.save(tmp_path / "maps.npy", X.reshape(-1, 2, 3))
    with pytest.raises(UsageError, match="the maps in X are 2 x 3 grids"):
        read(str(tmp_path / "maps.npy"), shape)


def test_files_that_are_not_there_or_of_no_known_kind(tmp_path):
    (tmp_path / "maps.xlsx").touch()
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(NoSuchFileError, match="there is no such file"):
        read(str(tmp_path / "no.csv"))
    for name in ("maps.xlsx", "folder.csv"):
        with pytest.raises(UsageError, match=r"known are .csv, .tsv, .txt, .*\.npz, \.nc"):
            read(str(tmp_path / name))


# -- long tables -----------------------------------------------------------------------------


def long(names=("map", "row", "col", "value")):
    rows = [(name, *place, X[i, j]) for i, name in enumerate(NAMES) for j, place in enumerate(GRID)]
    return pd.DataFrame(rows, columns=names)


@pytest.mark.parametrize(
    "names",
    [
        ("map", "row", "col", "value"),
        ("Map_ID", "ROW", "Column", "Value"),
        ("sample", "y", "x", "intensity"),
        ("id", "lat", "lon", "value"),
    ],
)
def test_a_long_table_in_any_order_becomes_maps(tmp_path, names):
    frame = long(names)
    shuffled = pd.concat([frame[::6], frame.drop(frame.index[::6]).sample(frac=1, random_state=1)])
    shuffled.to_csv(tmp_path / "long.csv", index=False)
    done = found(tmp_path / "long.csv")
    assert done.names == NAMES
    assert done.data.shape == (2, 3)
    rows_first = GRID if names[1].lower() == "row" else GRID[:, ::-1]
    np.testing.assert_array_equal(done.data.coordinates, rows_first)


def test_one_of_several_variables(tmp_path):
    both = [long().assign(variable="height"), long().assign(variable="phase", value=0.0)]
    pd.concat(both).to_csv(tmp_path / "long.csv", index=False)
    found(f"{tmp_path}/long.csv:height")
    with pytest.raises(UsageError, match="NAME one of height, phase"):
        read(f"{tmp_path}/long.csv:depth")


def test_several_variables_stand_beside_each_other(tmp_path):
    path = str(tmp_path / "long.csv")
    both = [long().assign(variable="height"), long().assign(variable="phase", value=0.0)]
    pd.concat(both).to_csv(path, index=False)
    for variables in (None, 2, ["height", "phase"]):
        done = read(path, variables=variables)
        assert done.data.n_variables == 2
        assert done.data.variable_names == ("height", "phase")
        np.testing.assert_array_equal(done.data.X[:, ::2], read(f"{path}:height").data.X)
        assert not done.data.X[:, 1::2].any()
        assert "2 variables at each location: height, phase" in done.notes[-1]
    assert read(path, variables=["phase"]).data.X.shape == read(f"{path}:phase").data.X.shape
    with pytest.raises(UsageError, match="holds 2 variables"):
        read(path, variables=3)
    pd.concat([both[0], both[1].iloc[6:]]).to_csv(path, index=False)  # the first map has one
    with pytest.raises(ValueError, match="'height' and 'phase' are not of the same maps"):
        read(path)


def test_arrays_of_several_variables(tmp_path):
    X = np.random.default_rng(0).normal(size=(5, 2, 3, 2))
    np.save(tmp_path / "maps.npy", X)
    done = read(str(tmp_path / "maps.npy"), variables=2)
    assert done.data.shape == (2, 3)
    np.testing.assert_array_equal(done.data.X, X.reshape(5, -1))
    pd.DataFrame(X.reshape(5, -1)).to_csv(tmp_path / "maps.csv", index=False, header=False)
    wide = read(str(tmp_path / "maps.csv"), "2x3", variables=2, header=False)
    np.testing.assert_allclose(wide.data.X, done.data.X)
    with pytest.raises(UsageError, match="its last axis holds no 3 values"):
        read(str(tmp_path / "maps.npy"), variables=3)


def test_saved_data_keep_their_variables(tmp_path):
    X = np.random.default_rng(0).normal(size=(5, 12))
    known, weights = np.array([0, -1, 1, -1, -1]), np.arange(5.0)
    names = ("height", "phase")
    data = Dataset(
        X, GRID, n_variables=2, variable_names=names, known_labels=known, weights=weights
    )
    data.save(tmp_path / "data.npz")
    again = Dataset.load(tmp_path / "data.npz")
    assert (again.n_variables, again.variable_names) == (2, names)
    np.testing.assert_array_equal(again.known_labels, known)
    np.testing.assert_array_equal(again.weights, weights)
    with pytest.raises(ValueError, match="n_variables=5 does not fit"):
        Dataset(X, GRID, n_variables=5)


def test_what_else_a_long_table_says_is_told(tmp_path):
    long().assign(dose=5).to_csv(tmp_path / "long.csv")
    assert "a value per row; left aside: dose" in found(tmp_path / "long.csv").notes[0]
    with pytest.raises(UsageError, match="a long table brings its places"):
        read(str(tmp_path / "long.csv"), "2x3")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda t: t.drop(index=8), "map 'map 1' has no value at 1 sites, first site"),
        (lambda t: pd.concat([t, t.iloc[[8]]]), "map 'map 1' has site .* more than once"),
        (lambda t: t.assign(row=range(60), col=0), "on different sites|has no value|far too few"),
        (lambda t: t.astype(object).replace({"map 3": None}), "row 19: no map"),
        (lambda t: t.assign(col=t["col"].astype(object).where(t.index != 4)), "row 5, column 3"),
    ],
)
def test_damaged_long_tables_are_refused_by_place(tmp_path, damage, complaint):
    damage(long()).to_csv(tmp_path / "long.csv", index=False)
    with pytest.raises(ValueError, match=complaint):
        read(str(tmp_path / "long.csv"))


def test_a_value_that_is_missing_in_a_long_table(tmp_path):
    frame = long()
    frame.loc[8, "value"] = np.nan
    frame.to_csv(tmp_path / "long.csv", index=False)
    with pytest.raises(ValueError, match=r"row 9, column 4 \('value'\): the value is missing"):
        read(str(tmp_path / "long.csv"))
    assert np.isnan(read(str(tmp_path / "long.csv"), missing=True).data.X[1, 2])


# -- stacks that know their places -------------------------------------------------------------

LON, LAT = [5.0, 6.0, 7.5], [50.0, 40.0]
PLACES = np.column_stack([np.tile(LON, 2), np.repeat(LAT, 3)])


@pytest.fixture
def stack():
    xarray = pytest.importorskip("xarray")
    days = pd.date_range("2001-03-01", periods=10)
    return xarray.DataArray(
        X.reshape(-1, 2, 3),
        dims=("time", "lat", "lon"),
        coords={"time": days, "lat": LAT, "lon": LON},
        name="height",
    )


@pytest.mark.parametrize("kind", ["nc", "zarr"])
def test_netcdf_and_zarr(tmp_path, stack, kind):
    pytest.importorskip({"nc": "h5netcdf", "zarr": "zarr"}[kind])
    engine = {"nc": {"engine": "h5netcdf"}, "zarr": {"consolidated": False}}[kind]

    def save(data, name):
        getattr(data, {"nc": "to_netcdf", "zarr": "to_zarr"}[kind])(tmp_path / name, **engine)

    save(stack.to_dataset(), f"one.{kind}")
    done = found(tmp_path / f"one.{kind}")
    assert done.names[:2] == ["2001-03-01", "2001-03-02"]
    assert done.data.shape == (2, 3)
    np.testing.assert_array_equal(done.data.coordinates, PLACES)
    save(stack.to_dataset().assign(depth=2 * stack), f"two.{kind}")
    found(f"{tmp_path}/two.{kind}:height")
    with pytest.raises(UsageError, match="holds 2 variables"):
        read(f"{tmp_path}/two.{kind}")
    with pytest.raises(UsageError, match="the maps in X are 2 x 3 grids"):
        read(f"{tmp_path}/one.{kind}", "3x2")


def test_a_stack_of_geotiff(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    transform = rasterio.transform.from_origin(100, 50, 2, 1)
    shape = {"height": 2, "width": 3, "count": 10, "dtype": "float64"}
    with rasterio.open(
        tmp_path / "s.tif", "w", driver="GTiff", transform=transform, nodata=-1, **shape
    ) as file:
        values = X.reshape(-1, 2, 3).copy()
        values[4, 1, 2] = -1
        file.write(values)
    done = read(str(tmp_path / "s.tif"), missing=True)
    assert np.argwhere(np.isnan(done.data.X)).tolist() == [[4, 5]]
    np.testing.assert_array_equal(done.data.coordinates[[0, 5]], [[101, 49.5], [105, 48.5]])
    with pytest.raises(ValueError, match=r"row 5, pixel \(2, 3\): the value is missing"):
        read(str(tmp_path / "s.tif"))


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [("a.nc", "xarray", "netcdf"), ("a.zarr", "zarr", "zarr"), ("a.tif", "rasterio", "geotiff")],
)
def test_a_library_that_is_absent_is_named_with_its_extra(
    tmp_path, monkeypatch, name, library, extra
):
    (tmp_path / name).mkdir() if name == "a.zarr" else (tmp_path / name).touch()
    monkeypatch.setitem(sys.modules, library, None)
    if library == "zarr":
        monkeypatch.setitem(sys.modules, "xarray", sys)
    with pytest.raises(ValueError, match=rf"need {library}: pip install 'spatgmm\[{extra}\]'"):
        read(str(tmp_path / name))


@pytest.mark.parametrize(
    ("dims", "maps"),
    [
        (("time", "lat", "lon"), "time"),
        (("lat", "lon", "time"), "time"),
        (("lat", "time", "lon"), "time"),
        (("u", "v", "sample"), "sample"),
        (("u", "v", "when"), "when"),
        (("sample", "u", "v"), "sample"),
        (("u", "v", "w"), "u"),
        (("time", "sample", "u"), "time"),
    ],
)
def test_the_dimension_of_maps_is_found_by_its_name_or_its_dates(dims, maps):
    xarray = pytest.importorskip("xarray")
    sizes = dict(zip(dims, (7, 3, 4) if dims[0] == maps else (3, 4, 7), strict=True))
    values = np.random.default_rng(2).normal(size=tuple(sizes.values()))
    coords = {"when": pd.date_range("2020", periods=7)} if "when" in dims else {}
    array = xarray.DataArray(values, dims=dims, coords=coords)
    found = labelled.from_labelled(array)
    expected = np.moveaxis(values, dims.index(maps), 0)
    np.testing.assert_array_equal(found.values, expected.reshape(len(expected), -1))
    assert found.shape == expected.shape[1:]


def test_bounds_of_cells_are_no_maps_and_files_without_maps_say_so(tmp_path):
    xarray = pytest.importorskip("xarray")
    maps = (("time", "lat", "lon"), np.random.default_rng(2).normal(size=(7, 3, 4)))
    bounds = (("lat", "bnds"), np.zeros((3, 2)))
    xarray.Dataset({"a": maps, "lat_bnds": bounds}).to_netcdf(tmp_path / "a.nc")
    assert read(str(tmp_path / "a.nc")).data.X.shape == (7, 12)
    xarray.Dataset({"a": 3.0, "lat_bnds": bounds}).to_netcdf(tmp_path / "b.nc")
    with pytest.raises(ValueError, match="holds no variable of maps"):
        read(str(tmp_path / "b.nc"))


def test_degrees_of_a_geotiff_are_asked_about(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    transform = rasterio.transform.from_origin(100, 50, 2, 1)
    shape = {"height": 2, "width": 3, "count": 10, "dtype": "float64", "transform": transform}
    for crs, degrees in (("EPSG:4326", "longitude, latitude"), ("EPSG:32633", None)):
        with rasterio.open(tmp_path / "s.tif", "w", driver="GTiff", crs=crs, **shape) as file:
            file.write(X.reshape(-1, 2, 3))
        assert read(str(tmp_path / "s.tif")).degrees == degrees

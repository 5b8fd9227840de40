"""What is passed in Python: masked arrays, xarray, contradictions, fill values, extremes."""

import re

import numpy as np
import pandas as pd
import pytest

import spatgmm
from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates
from spatgmm.reading.fill import FillValueWarning, fill_values
from spatgmm.reading.memory import take

RNG = np.random.default_rng(9)
X = RNG.normal(size=(24, 16))
GRID = grid_coordinates((4, 4))


def fit(maps, coordinates=(4, 4), **options):
    model = SpatialGaussianMixture(
        1, coordinates=coordinates, init="kmeans", max_iter=200, random_state=0, **options
    )
    return model.fit(maps)


def masked(values):
    mask = np.zeros(values.shape, dtype=bool)
    mask[3, ..., 2] = mask[7, ..., 1] = True
    return np.ma.masked_array(np.where(mask, -9999, values), mask=mask)


@pytest.mark.parametrize("shape", [(24, 16), (24, 4, 4), (24, 2, 2, 4)])
def test_a_masked_value_is_a_missing_one(shape):
    maps = masked(X.reshape(shape))
    plain = maps.filled(np.nan)
    np.testing.assert_array_equal(take(maps).values, plain.reshape(24, 16))
    with pytest.raises(ValueError, match="X contains NaN at row 3"):
        fit(maps, None if len(shape) > 2 else (4, 4))
    where = None if len(shape) > 2 else (4, 4)
    one, other = (fit(values, where, missing="em") for values in (maps, plain))
    assert one.log_likelihood_ == other.log_likelihood_
    np.testing.assert_array_equal(one.score_samples(maps), other.score_samples(plain))


def test_masked_whole_numbers_are_missing_too():
    found = take(np.ma.masked_equal(np.arange(6).reshape(2, 3), 4))
    np.testing.assert_array_equal(found.values, [[0, 1, 2], [3, np.nan, 5]])


@pytest.mark.parametrize("coordinates", [(2, 8), (8, 2), (16,), (1, 16), (2, 2, 4)])
def test_images_contradict_other_grids(coordinates):
    images = X.reshape(-1, 4, 4)
    for given in (coordinates, grid_coordinates(coordinates)):
        with pytest.raises(ValueError, match="the maps in X are 4 x 4 grids"):
            fit(images, given)
    with pytest.raises(ValueError, match="the maps in X are 4 x 4 grids"):
        fit(X, coordinates).predict(images)
    fit(images, 0.5 * GRID[:, ::-1] - 3)
    fit(images, RNG.uniform(size=(16, 2)))


@pytest.mark.parametrize("given", [[4, 4], np.array([4, 4]), (4.0, 4.0), [2, 2, 4]])
def test_a_list_in_place_of_a_grid_shape_is_told(given):
    shape = ", ".join(f"{m:.0f}" for m in given)
    with pytest.raises(ValueError, match=rf"a tuple, coordinates=\({shape}\)"):
        fit(X, given)


def labelled(values, lat=(10.0, 20, 30, 40), lon=(1.0, 2, 3, 4)):
    xarray = pytest.importorskip("xarray")
    return xarray.DataArray(
        values.reshape(-1, 4, 4), dims=("t", "lat", "lon"), coords={"lat": list(lat), "lon": lon}
    )


def test_labelled_arrays_bring_their_coordinates():
    maps = labelled(X, lon=[1.0, 2, 4, 8])
    model = fit(maps, None)
    places = np.column_stack([np.tile([1, 2, 4, 8], 4), np.repeat([10, 20, 30, 40], 4)])
    np.testing.assert_array_equal(model.coordinates_, places)
    assert model.log_likelihood_ == fit(X, places).log_likelihood_
    assert model.predict(maps).shape == (24,)
    with pytest.raises(ValueError, match="coordinates of its own"):
        model.predict(maps[:, ::-1])
    with pytest.raises(ValueError, match="the maps in X are 4 x 4 grids"):
        fit(maps, (2, 8))


def test_labelled_arrays_without_coordinates_or_with_curved_ones():
    xarray = pytest.importorskip("xarray")
    bare = xarray.DataArray(X.reshape(-1, 4, 4), dims=("a", "b", "c"))
    np.testing.assert_array_equal(take(bare).coordinates, GRID)
    curved = GRID @ [[1.0, 0.2], [-0.1, 1.0]]
    lat, lon = (values.reshape(4, 4) for values in curved.T)
    coords = {"lat": (("b", "c"), lat), "lon": (("b", "c"), lon)}
    np.testing.assert_array_equal(take(bare.assign_coords(coords)).coordinates, curved[:, ::-1])
    sites = xarray.DataArray(X, dims=("map", "site"), coords={"x": ("site", GRID[:, 0])})
    np.testing.assert_array_equal(take(sites).coordinates, GRID[:, :1])


def test_labelled_arrays_of_several_variables():
    xarray = pytest.importorskip("xarray")
    height, phase = (labelled(values, lon=[1.0, 2, 3, 4]) for values in (X, 2 * X))
    beside = np.stack([X, 2 * X], axis=2).reshape(24, -1)
    whole = xarray.Dataset({"height": height, "phase": phase})
    for maps in (whole, whole.to_dataarray(), whole.to_dataarray().transpose("t", ...)):
        done = take(maps, 2)
        assert done.shape == (4, 4) and done.n_variables == 2
        np.testing.assert_array_equal(done.values, beside)
        np.testing.assert_array_equal(done.coordinates, take(height).coordinates)
    with pytest.raises(ValueError, match="'variable' holds 2 values of a location, not"):
        take(whole, 3)


def test_labelled_arrays_that_are_no_maps():
    xarray = pytest.importorskip("xarray")
    for array, complaint in (
        (xarray.DataArray(X[0], dims="x"), "X has dimensions x; it needs one of maps"),
        (xarray.DataArray(X.reshape(24, 2, 8), dims=("t", "band", "x")), "'band' is no space"),
        (xarray.DataArray(X.astype(str), dims=("t", "x")), "not numbers"),
    ):
        with pytest.raises(ValueError, match=complaint):
            take(array)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([-9999] * 3, {-9999: 3}),
        ([1e20] * 4, {1e20: 4}),
        ([-9999, -9999, -8888, -8888], {-9999: 2, -8888: 2}),
        ([-999, -999, 999, 999], {-999: 2, 999: 2}),
        ([-9999], {}),
        ([4, 4, 4], {}),
        ([], {}),
    ],
)
def test_fill_values_are_far_outside_and_repeated(values, found):
    maps = X.copy()
    maps.flat[: len(values)] = values
    assert fill_values(maps) == found
    if not found:
        return
    with pytest.warns(FillValueWarning, match=re.escape(f"X: {next(iter(found)):g} (")):
        fit(maps)


def test_what_is_no_fill_value():
    for maps in (
        RNG.integers(0, 2, (50, 9)).astype(float),
        RNG.choice([0.0, 1, 50], (50, 9)),
        RNG.standard_cauchy((50, 9)),
        np.concatenate([RNG.normal(size=450), RNG.normal(1000, 1, 450)]),
        np.full((3, 3), np.nan),
    ):
        assert fill_values(maps) == {}


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"maps": X * 1e200}, "X has .* at row 0, column 0: beyond 1e"),
        ({"maps": np.where(X > 2, "n/a?", "1.5")}, "X: row .* 'n/a[?]' is not a number"),
        ({"maps": X.astype("datetime64[s]")}, "X must be numbers, got dates"),
        ({"maps": pd.DataFrame(X).assign(kind="a")}, "X: column 'kind', row 0: 'a' is not"),
        ({"coordinates": GRID * 1e-165}, "coordinates: .* take another unit"),
        ({"coordinates": GRID * 1e160}, "coordinates: .* take another unit"),
        ({"coordinates": (10**6, 10**6)}, "coordinates has 1000000000000 locations"),
        ({"coordinates": (2**40, 2**40)}, "coordinates has 1208925819614629174706176 locations"),
        ({"coordinates": pd.date_range("2001", periods=16)}, "coordinates must be numbers"),
        ({"coordinates": ["a"] * 16}, "coordinates must be numbers"),
    ],
)
def test_extremes_are_refused_by_name(changed, complaint):
    with pytest.raises(ValueError, match=complaint):
        fit(**{"maps": X} | changed)
    if "maps" in changed and np.shape(changed["maps"]) == X.shape:
        with pytest.raises(ValueError, match=complaint):
            fit(X).predict(changed["maps"])


def test_a_flattened_stack_is_asked_about():
    with pytest.warns(UserWarning, match=r"If these are 4 x 4 images, say coordinates=\(4, 4\)"):
        fit(X, None)
    smooth = np.cumsum(np.cumsum(RNG.normal(size=(30, 6, 9)), axis=1), axis=2)
    with pytest.warns(UserWarning, match=r"coordinates=\(6, 9\)"):
        fit(smooth.reshape(30, 54), None)


@pytest.mark.parametrize("coordinates", [(16,), np.arange(16)])
def test_a_line_that_is_said_to_be_one_is_not_asked_about(coordinates, recwarn):
    fit(X, coordinates)
    assert not [warning for warning in recwarn if "images" in str(warning.message)]


@pytest.mark.parametrize(
    "names",
    [range(16), np.arange(16) / 2, pd.MultiIndex.from_product([range(4), range(4)])],
    ids=["numbers", "wavelengths", "two levels"],
)
def test_columns_in_another_order_than_in_the_fit_are_refused(names, tmp_path):
    maps = pd.DataFrame(X, columns=names)
    model = fit(maps)
    model.save(tmp_path / "model.npz")
    for fitted in (model, spatgmm.load(tmp_path / "model.npz")):
        fitted.predict(maps)
        fitted.predict(X)
        with pytest.raises(ValueError, match=r"columns stand in another order .* column 0 is"):
            fitted.predict(maps.iloc[:, ::-1])


@pytest.mark.parametrize(
    ("coordinates", "complaint"),
    [
        (GRID[:, 0] + 1j * GRID[:, 1], "must be real numbers"),
        (pd.DataFrame(GRID, columns=["x", "y"]).to_records(index=False), "got records of x, y"),
        (GRID.T, "where locations stand in columns, transpose them"),
    ],
)
def test_coordinates_in_other_containers(coordinates, complaint):
    with pytest.raises(ValueError, match=complaint):
        fit(X, coordinates)


def test_maps_in_columns_are_told():
    with pytest.raises(ValueError, match="X has 16 rows: where maps stand in columns, transpose"):
        fit(X.T)


def test_more_containers_of_maps():
    images = np.empty(24, dtype=object)
    images[:] = list(X.reshape(24, 4, 4))
    for maps in (images, pd.DataFrame(X).astype(pd.SparseDtype(float))):
        np.testing.assert_array_equal(fit(maps).means_, fit(X).means_)


def test_a_flattened_stack_of_several_variables_is_asked_about():
    maps = RNG.normal(size=(40, 4, 4, 2))
    with pytest.warns(UserWarning, match=r"16 locations per map .* coordinates=\(4, 4\)"):
        fit(maps.reshape(40, 32), None, n_variables=2)


@pytest.mark.parametrize("name", ["sample_weight", "known_labels"])
def test_what_is_said_of_maps_in_another_order_is_refused(name):
    said = pd.Series(np.zeros(24, dtype=int) + (name == "sample_weight"))
    model = SpatialGaussianMixture(1, coordinates=(4, 4), n_init=1, random_state=0)
    model.fit(pd.DataFrame(X), **{name: said})
    with pytest.raises(ValueError, match=rf"{name}: its index lists the rows of X in another"):
        model.fit(pd.DataFrame(X), **{name: said[::-1]})

"""Coordinates by the names of their columns, places by their own names; files and data frames."""

import numpy as np
import pandas as pd
import pytest

from spatgmm import SpatialGaussianMixture
from spatgmm.common.errors import UsageError
from spatgmm.reading import read
from spatgmm.reading.places import axis_of, from_frame

RNG = np.random.default_rng(6)
PLACES = RNG.uniform(0, 9, (12, 2)).round(3)
X = RNG.normal(size=(15, 12)).round(3)
NAMES = [f"p{i}" for i in range(12)]
SHUFFLED = RNG.permutation(12)


@pytest.fixture
def located(tmp_path):
    """What the reader makes of a table of coordinates, beside maps with or without names."""

    def run(table, names=None, columns=None, maps=X, **how):
        table.to_csv(tmp_path / "where.csv", **how)
        pd.DataFrame(maps, columns=names).to_csv(
            tmp_path / "maps.csv", index=False, header=names is not None
        )
        files = [str(tmp_path / name) for name in ("maps.csv", "where.csv")]
        return read(*files, columns=columns).data.coordinates

    return run


def table(*names, values=PLACES):
    return pd.DataFrame(values, columns=names)


KNOWN = [
    ("x", "y"),
    ("X", "Y"),
    ("lon", "LAT"),
    ("longitude", "latitude"),
    ("Row", "Column"),
    ("row", "col"),
    ("easting", "northing"),
    ("x (mm)", "y (mm)"),
    ("pos_x", "pos_y"),
    ("V1", "V2"),
    ("u", "v"),
    ("dim_0", "dim_1"),
]


@pytest.mark.parametrize("names", KNOWN)
def test_columns_are_known_by_their_names(located, names):
    frame = table(*names)
    np.testing.assert_array_equal(from_frame(frame, None), PLACES)
    np.testing.assert_array_equal(located(frame, index=False), PLACES)
    np.testing.assert_array_equal(located(frame), PLACES)  # beside pandas' index
    np.testing.assert_array_equal(located(frame, sep=" ", index_label=False), PLACES)  # as R


def test_latitude_before_longitude_comes_out_after_it(located):
    assert axis_of("lat") > axis_of("lon")
    np.testing.assert_array_equal(located(table("lat", "lon"), index=False), PLACES[:, ::-1])


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("places", [PLACES, np.argwhere(np.ones((3, 4))), PLACES[:, :1]])
def test_a_header_of_numbers_is_told_by_the_number_of_places(located, places, header):
    frame = pd.DataFrame(places)
    np.testing.assert_array_equal(located(frame, index=False, header=header), places)


@pytest.mark.parametrize(
    "index",
    [
        {"id": np.arange(100, 112)},
        {"station_id": RNG.permutation(12)},
        {"nummer": np.arange(12)},
        {"name": list("abcdefghijkl")},
        {"Unnamed: 0": np.arange(12)},
    ],
)
def test_an_index_is_no_dimension(located, index):
    frame = pd.DataFrame(index).join(table("x", "y"))
    np.testing.assert_array_equal(located(frame, index=False), PLACES)
    np.testing.assert_array_equal(from_frame(frame, None), PLACES)


@pytest.mark.parametrize("extra", ["elevation", "temperature", "weight"])
def test_other_columns_are_refused_by_name_or_left_out_by_choice(located, extra):
    frame = table("x", "y").assign(**{extra: RNG.uniform(size=12)})
    with pytest.raises(UsageError, match=f"is {extra} a coordinate?.*--columns"):
        located(frame, index=False)
    with pytest.raises(ValueError, match=f"coordinates: is {extra} a coordinate?"):
        SpatialGaussianMixture(2, coordinates=frame).fit(X)
    for columns in (["x", "y"], ["X", "2"]):
        np.testing.assert_array_equal(located(frame, columns=columns, index=False), PLACES)
    with pytest.raises(UsageError, match="has no column 'lon'; its columns: x, y"):
        located(frame, columns=["lon"], index=False)


def test_an_axis_that_is_measured_twice_is_refused():
    for names in (["x", "y", "lon"], ["row", "col", "x"]):
        with pytest.raises(UsageError, match=r"measure the same axis"):
            from_frame(table(*names, values=RNG.uniform(size=(12, 3))), None)


def test_a_nameless_column_that_counts_is_asked_about(located):
    counted = np.column_stack([np.arange(1, 13), PLACES])
    frame = pd.DataFrame(counted)
    with pytest.raises(UsageError, match="--columns 2,3 or --columns 1,2,3"):
        located(frame, index=False, header=False)
    chosen = located(frame, columns=["2", "3"], index=False, header=False)
    np.testing.assert_array_equal(chosen, PLACES)


@pytest.mark.parametrize("as_index", [False, True])
@pytest.mark.parametrize("names", [NAMES, list(range(12)), [f"{w}.5" for w in range(12)]])
def test_places_are_matched_by_name(located, names, as_index):
    frame = table("x", "y").set_axis(names).iloc[SHUFFLED]
    for_model = frame if as_index else frame.reset_index(names="site")
    np.testing.assert_array_equal(from_frame(for_model, names), PLACES)
    np.testing.assert_array_equal(located(for_model, names, index=as_index), PLACES)
    model = SpatialGaussianMixture(1, coordinates=for_model, init="kmeans", max_iter=1)
    with pytest.warns():
        model.fit(pd.DataFrame(X, columns=[str(name) for name in names]))
    np.testing.assert_array_equal(model.coordinates_, PLACES)


def test_names_that_agree_in_part_are_refused():
    frame = table("x", "y").set_axis(NAMES)
    for changed, complaint in (
        (frame.rename({"p3": "p99"}), "has no place 'p3', which the maps have"),
        (frame.set_axis(["p0", *NAMES[:-1]]), "has no place 'p11'"),
    ):
        with pytest.raises(ValueError, match=complaint):
            from_frame(changed, NAMES)
    with pytest.raises(ValueError, match="has place 'p0' more than once"):
        from_frame(pd.concat([frame, frame.iloc[:1]]), NAMES)


@pytest.mark.parametrize("index", [range(12), range(1, 13), [f"s{i}" for i in range(12)]])
def test_numbers_of_rows_and_other_names_leave_the_order(index):
    frame = table("x", "y").set_axis(index)
    for names in (NAMES, list(range(1, 13)), [str(i) for i in range(12)], None):
        np.testing.assert_array_equal(from_frame(frame, names), PLACES)


def test_a_series_is_a_line():
    line = pd.Series(PLACES[:, 0], index=NAMES).iloc[SHUFFLED]
    np.testing.assert_array_equal(from_frame(line, NAMES), PLACES[:, :1])


@pytest.mark.parametrize(
    "spelled", ["{}°", "{} mm", "{}E", "{}°30'", "{:.0f}°7.5' N"], ids=["°", "mm", "E", "'", "N"]
)
def test_numbers_in_words_are_no_names(located, spelled):
    frame = table("x", "y")
    frame["y"] = [spelled.format(value) for value in PLACES[:, 1]]
    for given in (frame, table("lon", "lat").assign(lat=frame["y"])):
        with pytest.raises(UsageError, match=r"column '(y|lat)' is named as a coordinate, but"):
            located(given, index=False)
        with pytest.raises(UsageError, match="is named as a coordinate"):
            from_frame(given, None)
    with pytest.raises(UsageError, match=r"column 2 holds no numbers, but .* --columns"):
        located(frame, index=False, header=False)


@pytest.mark.parametrize("kind", [str, object, "category", "Float64"])
def test_numbers_of_any_type_are_coordinates(kind):
    frame = table("x", "y").astype({"y": kind})
    np.testing.assert_array_equal(from_frame(frame, None), PLACES)


@pytest.mark.parametrize("names", [("decimalLongitude", "decimalLatitude"), ("nav_lon", "nav_lat")])
def test_words_around_longitude_and_latitude(located, names):
    np.testing.assert_array_equal(located(table(*names), index=False), PLACES)


@pytest.mark.parametrize("columns", [["lat", "lon"], ["3", "2"], ["lon", "lat"]])
def test_chosen_degrees_are_asked_about_longitude_first(tmp_path, columns):
    pd.DataFrame(X).to_csv(tmp_path / "maps.csv", index=False)
    frame = table("lon", "lat").assign(height=RNG.normal(size=12))
    frame.to_csv(tmp_path / "where.csv", index_label="station")
    files = [str(tmp_path / name) for name in ("maps.csv", "where.csv")]
    done = read(*files, columns=columns)
    np.testing.assert_array_equal(done.data.coordinates, PLACES)
    assert done.degrees == "lon, lat"


@pytest.mark.parametrize(
    "written",
    [str.upper, lambda name: f"{name[0]}.{name[1:]}", lambda name: f"{name[0]}{int(name[1:]):03}"],
    ids=["upper case", "R's points", "leading zeros"],
)
def test_places_are_matched_by_names_as_other_programs_write_them(located, written):
    frame = table("x", "y").set_axis([written(name) for name in NAMES]).iloc[SHUFFLED]
    np.testing.assert_array_equal(located(frame, NAMES), PLACES)
    np.testing.assert_array_equal(from_frame(frame, NAMES), PLACES)


def test_numbers_before_which_r_put_an_x(located):
    frame = table("x", "y").set_axis(range(400, 412)).iloc[SHUFFLED]
    np.testing.assert_array_equal(located(frame, [f"X{i}" for i in range(400, 412)]), PLACES)


@pytest.mark.parametrize("names", [NAMES, [f"V{i + 1}" for i in range(12)]])
def test_numbers_of_places_in_another_order_than_the_columns_are_asked_about(located, names):
    frame = table("x", "y").assign(pixel=SHUFFLED + 1)
    with pytest.raises(UsageError, match=r"column 'pixel' numbers the places .* --columns x,y"):
        located(frame, [f"{name}_" for name in names], index=False)
    given = located(frame, [f"{name}_" for name in names], columns=["x", "y"], index=False)
    np.testing.assert_array_equal(given, PLACES)

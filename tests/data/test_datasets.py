from __future__ import annotations

import importlib
import inspect
from importlib import metadata

import numpy as np
import pytest
from sklearn.cluster import KMeans

from spatgmm import datasets
from spatgmm.common import r
from spatgmm.common.agreement import ari
from spatgmm.data import Dataset
from spatgmm.datasets import climate, film, raman
from spatgmm.datasets import texture as texture_module

NAMES = ["climate", "faces", "film", "raman", "texture"]
FOUR = {"months": ("Jan", "Apr", "Jul", "Oct")}


def per_dataset(*names):
    marks = {"climate": [pytest.mark.r]}
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=marks.get(name, [])) for name in names]
    )


def test_every_loader_is_found():
    assert datasets.names() == NAMES


def test_a_loader_says_what_figures_write_beside_its_maps():
    assert datasets.values("film") == "dose difference (Gy)"
    assert datasets.distance_unit("climate") == "km"
    # Those of a user's own maps are not known.
    assert datasets.values("raman") == "value"
    assert datasets.distance_unit("raman") == ""


@per_dataset(*NAMES)
def test_loaded_data_say_what_they_are(name):
    data = datasets.load(name)
    assert data.description and data.source
    assert len(np.unique(data.labels)) == len(data.label_names) >= 2
    assert datasets.summary(name).endswith(".")
    assert datasets.defaults(name)["centred"] is False


@per_dataset(*NAMES)
def test_centred_data_have_zero_group_means(name):
    data = datasets.load(name, centred=True)
    assert "centred" in data.description
    scale = np.abs(data.X).max()
    for group in range(len(data.label_names)):
        np.testing.assert_allclose(data.X[data.labels == group].mean(axis=0), 0, atol=1e-12 * scale)


@per_dataset(*NAMES)
def test_loading_twice_gives_the_same(name):
    np.testing.assert_array_equal(datasets.load(name).X, datasets.load(name).X)


@per_dataset(*NAMES)
def test_unknown_settings_are_refused_before_loading(name):
    with pytest.raises(ValueError, match=rf"'{name}': center is unknown; did you mean 'centred'"):
        datasets.load(name, center=True)
    with pytest.raises(ValueError, match="centred must be true or false"):
        datasets.load(name, centred="yes")


@per_dataset(*NAMES)
def test_settings_are_declared_and_described(name):
    module = importlib.import_module(f"spatgmm.datasets.{name}")
    declared = datasets.declared(name)
    assert list(inspect.signature(module.load).parameters) == list(module.DEFAULTS)
    for setting, parameter in declared.items():
        assert parameter.rule.allows(parameter.default), setting
        assert parameter.text, setting


def test_unknown_data_sets_are_refused():
    with pytest.raises(ValueError, match=r"unknown data set 'moon'; known are climate, faces"):
        datasets.load("moon")


def test_film_is_cut_as_documented():
    data = datasets.load("film")
    assert data.X.shape == (156, 64) and data.shape == (8, 8)
    assert np.bincount(data.labels).tolist() == [78, 78]
    # The first tile in the film's corner is among the low doses; read it independently.
    folder = metadata.distribution("dosepy").locate_file("Dosepy/data")
    rows = [
        [line.split(",")[:8] for line in (folder / file).read_text().splitlines()[:8]]
        for file in ("D_FILM.csv", "D_TPS.csv")
    ]
    measured, planned = np.array(rows, dtype=float)
    np.testing.assert_allclose(data.X[0], (measured - planned).ravel())
    assert data.labels[0] == 0


def test_film_groups_are_the_outer_doses():
    film_map, plan = film._maps()
    assert film_map.shape == plan.shape == (105, 145)
    doses = film._tiles(plan, 8, (0, 0)).mean(axis=1)
    residuals = film._tiles(film_map - plan, 8, (0, 0))
    data = datasets.load("film")
    place = [int(np.flatnonzero((residuals == row).all(axis=1))[0]) for row in data.X]
    assert place == sorted(place)
    low, high = (doses[place][data.labels == group] for group in (0, 1))
    others = np.delete(doses, place)
    assert low.max() <= others.min() and others.max() <= high.min()


def test_film_settings_change_the_cut():
    assert len(datasets.load("film", fraction=0.5).X) == 234
    assert datasets.load("film", tile=10).X.shape[1] == 100
    shifted = datasets.load("film", fraction=0.5, offset=(1, 2))
    whole = film._maps()[0] - film._maps()[1]
    np.testing.assert_array_equal(shifted.X[0].reshape(8, 8), whole[1:9, 2:10])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tile": 1}, "tile must be an integer of at least 2"),
        ({"tile": 60}, "tile must be an integer from 2 to 52"),
        ({"tile": 8.0}, "tile must be an integer of at least 2"),
        ({"fraction": 0.6}, "fraction must be a number above 0 and of at most 0.5"),
        ({"fraction": 0.001}, "below 2 tiles"),
        ({"offset": (8, 0)}, r"offset\.0"),
        ({"offset": 3}, "offset must be a list of 2"),
    ],
)
def test_film_refuses_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        datasets.load("film", **settings)


@pytest.mark.r
def test_climate_is_as_documented():
    data = datasets.load("climate")
    assert data.X.shape == (156, 40) and data.shape is None
    assert data.label_names == ("Jan", "Jul")
    assert np.bincount(data.labels).tolist() == [78, 78]
    # Colorado: cold Januaries, warm Julies, stations within the state or near it.
    means = [data.X[data.labels == group].mean() for group in (0, 1)]
    assert means[0] < 10 < 25 < means[1]
    extent = np.ptp(data.coordinates, axis=0)
    assert 500 < extent[0] < 800 and 400 < extent[1] < 600
    np.testing.assert_allclose(data.coordinates.mean(axis=0), 0, atol=100)
    assert datasets.load("climate", **FOUR).X.shape == (312, 40)


@pytest.mark.r
def test_climate_of_three_variables():
    three = ("maximum temperature", "minimum temperature", "rain")
    settings = {"first_year": 1960, "last_year": 1990}
    data = datasets.load("climate", variables=three, **settings)
    assert data.n_variables == 3 and data.variable_names == three
    assert data.X.shape == (62, 26 * 3) and data.coordinates.shape == (26, 2)
    warm, cold, rain = (one.X for one in data.of_variables())
    # Days are warmer than nights, and it never rains less than nothing.
    assert (warm > cold).all() and rain.min() >= 0
    # The maximum temperature of these stations is that of the record of one variable.
    alone = datasets.load("climate", **settings)
    distances = np.linalg.norm(data.coordinates[:, None] - alone.coordinates, axis=-1)
    shared = np.argwhere(distances == 0)
    np.testing.assert_array_equal(warm[:, shared[:, 0]], alone.X[:, shared[:, 1]])


@pytest.mark.r
def test_climate_distances_agree_with_great_circles():
    rng = np.random.default_rng(5)
    degrees = rng.uniform((-109, 37), (-102, 41), size=(30, 2))
    flat = climate._kilometres(degrees)
    with r.session("fields") as ro:
        great_circle = np.array(ro.r("function(x) rdist.earth(x, miles = FALSE)")(degrees))
    planar = np.linalg.norm(flat[:, None] - flat[None], axis=-1)
    off = ~np.eye(30, dtype=bool)
    np.testing.assert_allclose(planar[off], great_circle[off], rtol=0.035)


@pytest.mark.r
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"months": "Jan"}, "months must be a list"),
        ({"months": ("Jan",)}, "months must be a list of at least 2"),
        ({"months": ("Jan", "Jan")}, r"months\.1 repeats 'Jan'"),
        ({"months": ("Jan", "July")}, r"months\.1 must be one of 'Jan'"),
        ({"variables": ["snow"]}, r"variables\.0 must be one of 'maximum temperature'"),
        (
            {"variables": list(climate.VARIABLES), "first_year": 1895},
            "stations are complete over 1895",
        ),
        ({"first_year": 1800}, "first_year must be an integer from 1895"),
        ({"first_year": 1950, "last_year": 1940}, "last_year must be an integer from 1950"),
    ],
)
def test_climate_refuses_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        datasets.load("climate", **settings)


def test_texture_is_cut_as_documented():
    data = datasets.load("texture")
    assert data.X.shape == (200, 256) and data.shape == (16, 16)
    assert data.label_names == ("grass", "gravel")
    assert np.bincount(data.labels).tolist() == [100, 100]
    # Standardised locally, so that brightness and contrast tell nothing.
    for group in (0, 1):
        pixels = data.X[data.labels == group]
        assert abs(pixels.mean()) < 0.1 and pixels.std() == pytest.approx(1, abs=0.1)
    assert len(np.unique(data.X, axis=0)) == 200
    assert not np.array_equal(data.X, datasets.load("texture", seed=2).X)


def test_texture_standardisation_is_that_of_the_window():
    rng = np.random.default_rng(1)
    image = rng.gamma(2.0, size=(40, 40))
    standardised = texture_module._standardised(image, 9)
    window = image[16:25, 11:20]
    mean = window.mean()
    assert standardised[20, 15] * np.sqrt(
        np.mean((window - texture_module.uniform_filter(image, 9)[16:25, 11:20]) ** 2)
    ) == pytest.approx(image[20, 15] - mean)
    whole = texture_module._standardised(image, None)
    assert whole.mean() == pytest.approx(0) and whole.std() == pytest.approx(1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patch": 1}, "patch must be"),
        ({"per_image": 5000}, "per_image must be an integer from 2 to 1024"),
        ({"window": 64}, "window must be odd"),
        ({"window": 1}, "window must be an integer of at least 3"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_texture_refuses_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        datasets.load("texture", **settings)


def test_raman_stand_in_is_called_synthetic():
    data = datasets.load("raman")
    assert "synthetic stand-in" in data.description and "synthetic" in data.source
    assert len(data.label_names) == 5
    assert data.truth is None  # as for measurements
    assert raman.STAND_IN["partial_sill"].nunique() == raman.STAND_IN["beta"].nunique() == 5
    assert not np.array_equal(data.X, datasets.load("raman", seed=2).X)


def test_missing_packages_are_one_clear_line(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(film.metadata, "distribution", absent)
    with pytest.raises(RuntimeError, match=r"^data set 'film': .*pip install --no-deps dosepy"):
        datasets.load("film")
    monkeypatch.setattr(r, "_has", lambda package: False)
    monkeypatch.setattr(r, "_start", lambda: None)
    with pytest.raises(RuntimeError, match=r"^data set 'climate': .*apt-get install r-cran-fields"):
        datasets.load("climate")


def kmeans_ari(data: Dataset) -> float:
    labels = KMeans(len(data.label_names), n_init=10, random_state=0).fit_predict(data.X)
    return ari(data.labels, labels)


def test_group_means_say_nothing_about_the_film():
    assert abs(kmeans_ari(datasets.load("film"))) < 0.05
    assert abs(kmeans_ari(datasets.load("film", centred=True))) < 0.05


def test_group_means_say_nothing_about_the_texture():
    assert abs(kmeans_ari(datasets.load("texture"))) < 0.05


@pytest.mark.r
def test_group_means_say_all_about_the_climate_until_centred():
    assert kmeans_ari(datasets.load("climate")) == 1.0
    assert kmeans_ari(datasets.load("climate", **FOUR)) == pytest.approx(0.77, abs=0.02)
    assert abs(kmeans_ari(datasets.load("climate", centred=True))) < 0.05


def test_faces_are_the_images_of_the_source():
    data = datasets.load("faces")
    assert data.X.shape == (200, 625) and data.shape == (25, 25)
    assert data.X.min() >= 0 and data.X.max() <= 1
    np.testing.assert_array_equal(np.bincount(data.labels), [100, 100])
    alike = datasets.load("faces", standardise=True)
    np.testing.assert_allclose(alike.X.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(alike.X.std(axis=1), 1)

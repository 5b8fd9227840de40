"""Where locations are: the earth and closed axes, by what must not change a fit there."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.spatial.transform import Rotation
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score as ari

from spatgmm import SpatialGaussianMixture, load
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay, metric, space
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.neighbours import NeighbourGeometry

few = settings(max_examples=8, deadline=None, derandomize=True)
RNG = np.random.default_rng(0)

#: Stations all over the earth, and in one country.
GLOBAL = np.column_stack(
    [RNG.uniform(-180, 180, 40), np.degrees(np.arcsin(RNG.uniform(-1, 1, 40)))]
)
REGIONAL = RNG.uniform([-109, 37], [-102, 41], (30, 2))
STATIONS = {"global": GLOBAL, "regional": REGIONAL}
RING = {"ring": np.arange(16.0)[:, None], "torus": grid_coordinates((5, 6)), "sites": None}
PERIODS = {"ring": 16, "torus": (None, 6), "sites": (24.0, None)}
RING["sites"] = RNG.uniform([0, 0], [23, 3], (20, 2))


def draw(distances, seed=0, n=60, betas=(0.8, 5.0)):
    """Maps of two components with exponential covariances; their labels."""
    rng = np.random.default_rng(seed)
    delta = 2 * distances / distances.max()
    labels = rng.integers(2, size=n)
    X = rng.normal(size=(n, len(delta)))
    for g, beta in enumerate(betas):
        L = np.linalg.cholesky(np.exp(-beta * delta) + 0.2 * np.eye(len(delta)))
        X[labels == g] = X[labels == g] @ L.T
    return X, labels


def fit(X, labels, coordinates, **options):
    """A fixed number of iterations from one start, so that fits are comparable and fast."""
    options = {"decay": "exponential", "init": labels, "tol": 1e-12, "max_iter": 6} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return SpatialGaussianMixture(2, coordinates=coordinates, **options).fit(X)


def assert_same(one, other):
    np.testing.assert_allclose(one.log_likelihood_, other.log_likelihood_, rtol=1e-8)
    np.testing.assert_allclose(one.alpha_, other.alpha_, rtol=1e-4)
    np.testing.assert_allclose(one.shape_, other.shape_, rtol=1e-4)


def haversine(coordinates):
    longitude, latitude = np.radians(coordinates.T)
    half = np.sin(np.subtract.outer(latitude, latitude) / 2) ** 2
    half += np.outer(np.cos(latitude), np.cos(latitude)) * (
        np.sin(np.subtract.outer(longitude, longitude) / 2) ** 2
    )
    return 2 * 6371.0088 * np.arcsin(np.sqrt(np.clip(half, 0, 1)))


def turned(coordinates, rotation):
    """Stations after a rotation of the earth."""
    x, y, z = rotation.apply(space.SPHERE.embedded(coordinates) / space.EARTH_RADIUS).T
    return np.degrees(np.column_stack([np.arctan2(y, x), np.arcsin(np.clip(z, -1, 1))]))


# -- distances ----------------------------------------------------------------------------------


def test_chords_of_the_earth_belong_to_great_circles():
    chords = squareform(pdist(space.SPHERE.embedded(GLOBAL)))
    radius = space.EARTH_RADIUS
    np.testing.assert_allclose(chords, 2 * radius * np.sin(haversine(GLOBAL) / (2 * radius)))


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(0.1, 500))
def test_chords_of_a_closed_axis_belong_to_its_circle(one, other, circumference):
    closed = space.ClosedAxes([circumference])
    ends = np.array([[one]]), np.array([[other]])
    expected = cdist(*map(closed.embedded, ends))[0, 0]
    assert closed.offsets(*ends)[0, 0] == pytest.approx(expected, abs=1e-9 * circumference)


@pytest.mark.parametrize("name", RING)
def test_all_geometries_agree_on_closed_axes(name):
    coordinates = RING[name]
    of = space.of("plane", PERIODS[name], coordinates.shape[1])
    expected = squareform(pdist(of.embedded(coordinates)))
    expected *= 2 / expected.max()
    dense = Geometry(coordinates, symmetry=False, by_offset=True, space=of)
    np.testing.assert_allclose(dense.assemble(dense.delta)[0], expected, atol=1e-12)
    if name != "sites":
        folded = Geometry(coordinates, symmetry=True, space=of)
        assert folded.path == "reflection blocks"
        X = np.random.default_rng(0).normal(size=(2, len(coordinates)))
        ones, others = (folded.rotate(row[None]) for row in X)
        found = sum(
            (a @ block @ b.T).item()
            for a, b, block in zip(ones, others, folded.assemble(folded.delta), strict=True)
        )
        assert found == pytest.approx(X[0] @ expected @ X[1])
    near = NeighbourGeometry(coordinates, len(coordinates) - 1, of)
    last = near.group[near.order[-1]]
    window = near.windows[near.order[-1]]
    found = near.assemble(near.delta, slice(last, last + 1), len(coordinates))[0]
    np.testing.assert_allclose(found, expected[np.ix_(window, window)], atol=1e-12)


@pytest.mark.parametrize("name", decay.names(valid=True))
def test_valid_decays_stay_covariances_where_space_closes(name):
    angles = np.linspace(0, 1, 64, endpoint=False)[:, None]
    kinds = [space.ClosedAxes([1.0]).embedded(angles), space.SPHERE.embedded(GLOBAL)]
    for points in kinds:
        delta = squareform(pdist(points))
        delta *= 2 / delta.max()
        for beta in (0.1, 1.0, 8.0):
            rise = decay.get(name).rise
            K = 1 - rise(beta * delta) / rise(np.array(1e6))
            assert np.linalg.eigvalsh(K).min() > -1e-9


# -- invariances --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_earth():
    found = {}
    for name, coordinates in STATIONS.items():
        X, labels = draw(squareform(pdist(space.SPHERE.embedded(coordinates))))
        found[name] = X, labels, fit(X, labels, coordinates, space="sphere")
    return found


@few
@given(
    st.sampled_from(sorted(STATIONS)),
    st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180)),
)
def test_rotation_of_the_earth(on_earth, name, angles):
    X, labels, expected = on_earth[name]
    moved = turned(STATIONS[name], Rotation.from_euler("zyx", angles, degrees=True))
    model = fit(X, labels, moved, space="sphere")
    assert_same(model, expected)
    np.testing.assert_allclose(model.distances_, expected.distances_, atol=1e-9)


@few
@given(st.integers(-3, 3))
def test_longitudes_may_count_any_number_of_turns(on_earth, turns):
    X, labels, expected = on_earth["regional"]
    assert_same(fit(X, labels, REGIONAL + np.array([360 * turns, 0]), space="sphere"), expected)


def test_stations_around_the_date_line_are_as_good_as_elsewhere(on_earth):
    X, labels, expected = on_earth["regional"]
    moved = REGIONAL + np.array([285.5, 0])
    moved[:, 0] = (moved[:, 0] + 180) % 360 - 180
    assert moved[:, 0].max() > 175 and moved[:, 0].min() < -175
    model = fit(X, labels, moved, space="sphere")
    assert_same(model, expected)
    options = {"space": "sphere", "decay": "exponential", "random_state": 0}
    here, there = (
        SpatialGaussianMixture(2, coordinates=places, **options).fit_predict(X)
        for places in (REGIONAL, moved)
    )
    assert ari(here, there) == 1 and ari(here, labels) > 0.5
    # A plane tears them apart.
    assert fit(X, labels, moved).log_likelihood_ < model.log_likelihood_ - 10


@pytest.fixture(scope="module")
def closed():
    found = {}
    for name, coordinates in RING.items():
        of = space.of("plane", PERIODS[name], coordinates.shape[1])
        X, labels = draw(squareform(pdist(of.embedded(coordinates))))
        found[name] = X, labels, fit(X, labels, coordinates, period=PERIODS[name])
    return found


@few
@given(st.sampled_from(sorted(RING)), st.floats(-100, 100))
def test_shift_along_a_closed_axis(closed, name, shift):
    X, labels, expected = closed[name]
    of = space.of("plane", PERIODS[name], RING[name].shape[1])
    moved = RING[name] + shift
    for axis, P in enumerate(of.circumferences):
        moved[:, axis] = np.mod(moved[:, axis], P) if P else moved[:, axis]
    assert_same(fit(X, labels, moved, period=PERIODS[name]), expected)


def test_shift_of_the_maps_along_a_ring(closed):
    X, labels, expected = closed["ring"]
    model = fit(np.roll(X, 5, axis=1), labels, RING["ring"], period=16)
    assert_same(model, expected)
    np.testing.assert_allclose(model.means_, np.roll(expected.means_, 5, axis=1), atol=1e-6)


@pytest.mark.parametrize("kind", ["axes", "additive"])
def test_metrics_by_axis_on_closed_axes(closed, kind):
    X, labels, isotropic = closed["torus"]
    model = fit(X, labels, RING["torus"], period=PERIODS["torus"], metric=kind)
    shifted = RING["torus"].copy()
    shifted[:, 1] = (shifted[:, 1] + 2) % 6
    assert_same(fit(X, labels, shifted, period=PERIODS["torus"], metric=kind), model)
    if kind == "axes":  # has one parameter more
        assert model.log_likelihood_ > isotropic.log_likelihood_ - 1


# -- likelihoods, files -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coordinates", "options"),
    [(GLOBAL, {"space": "sphere"}), (RING["torus"], {"period": PERIODS["torus"]})],
    ids=["sphere", "torus"],
)
def test_vecchia_with_all_neighbours_is_exact(coordinates, options):
    of = space.of(options.get("space", "plane"), options.get("period"), 2)
    X, labels = draw(squareform(pdist(of.embedded(coordinates))))
    vecchia = fit(X, labels, coordinates, likelihood="vecchia", n_neighbors=99, **options)
    for likelihood in ("exact", "vecchia"):
        assert vecchia.log_likelihood(X, likelihood) == pytest.approx(
            vecchia.log_likelihood_, rel=1e-10
        )
    X[3, 4] = np.nan
    with_gaps = fit(X, labels, coordinates, missing="em", likelihood="vecchia", **options)
    assert np.isfinite(with_gaps.impute(X)).all()


def test_many_closed_axes_have_neighbours_too():
    coordinates = np.random.default_rng(1).uniform(size=(200, 3))
    X, labels = draw(squareform(pdist(space.ClosedAxes([1, 1, 1]).embedded(coordinates))), n=20)
    model = fit(X, labels, coordinates, period=1.0, likelihood="vecchia", n_neighbors=20)
    assert np.isfinite(model.log_likelihood_)


def test_lengths_on_the_earth_are_in_km(on_earth):
    X, _, model = on_earth["global"]
    assert model.correlogram()["distance"].max() == pytest.approx(
        pdist(space.SPHERE.embedded(GLOBAL)).max()
    )
    ranges = model.geostatistics(X).query("quantity == 'effective_range'")["estimate"]
    assert ((ranges > 10) & (ranges < 2 * 6371.1)).all()
    np.testing.assert_array_equal(model.coordinates_, GLOBAL)


@pytest.mark.parametrize(
    ("coordinates", "options"),
    [(GLOBAL, {"space": "sphere"}), (RING["torus"], {"period": (None, 6.0)})],
    ids=["sphere", "torus"],
)
def test_saved_models_keep_their_space(tmp_path, coordinates, options):
    of = space.of(options.get("space", "plane"), options.get("period"), 2)
    X, labels = draw(squareform(pdist(of.embedded(coordinates))))
    model = fit(X, labels, coordinates, **options)
    model.save(tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert again.score(X) == pytest.approx(model.score(X))
    np.testing.assert_allclose(again.covariances_, model.covariances_)
    np.testing.assert_array_equal(again.coordinates_, model.coordinates_)


# -- refusals -----------------------------------------------------------------------------------

LINE, SQUARE = (12,), (4, 3)
BAD = [
    ({"space": "sphere", "coordinates": np.arange(12)}, "needs coordinates of 2 columns"),
    ({"space": "sphere", "coordinates": SQUARE}, "needs coordinates in degrees"),
    ({"space": "sphere", "coordinates": None}, "needs coordinates in degrees"),
    ({"space": "sphere", "coordinates": [[0, 91]] + [[k, 0] for k in range(11)]}, "row 0 .* 91"),
    ({"space": "sphere", "coordinates": [[k, 90] for k in range(12)]}, "one spot of the earth"),
    ({"space": "sphere", "period": 360}, "period"),
    ({"space": "globe"}, "space"),
    ({"coordinates": LINE, "period": 11}, "period=11 of axis 1"),
    ({"coordinates": LINE, "period": (12, 12)}, "period has 2 entries, coordinates have 1"),
    ({"coordinates": LINE, "period": -1}, "period"),
    ({"coordinates": LINE, "period": np.nan}, "period"),
    ({"coordinates": LINE, "period": "day"}, "period"),
    ({"coordinates": SQUARE, "period": (4, None), "metric": "rotated"}, "metric='rotated'.*period"),
    ({"coordinates": SQUARE, "period": 4, "likelihood": "cosine"}, "likelihood='cosine'.*period"),
    ({"coordinates": SQUARE, "period": 4, "mean": "smooth"}, "mean='smooth'.*period"),
    (
        {"space": "sphere", "coordinates": REGIONAL[:12], "metric": "axes"},
        "metric='axes'.*space='sphere'",
    ),
    (
        {"space": "sphere", "coordinates": REGIONAL[:12], "metric": "additive"},
        "metric='additive'.*space='sphere'",
    ),
    (
        {"space": "sphere", "coordinates": REGIONAL[:12], "likelihood": "cosine"},
        "likelihood='cosine'.*space='sphere'",
    ),
    (
        {"space": "sphere", "coordinates": REGIONAL[:12], "mean": "smooth"},
        "mean='smooth'.*space='sphere'",
    ),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=str)
def test_what_cannot_be_is_refused_by_name(options, message):
    X = np.random.default_rng(0).normal(size=(20, 12))
    options = {"coordinates": SQUARE} | options
    with pytest.raises(ValueError, match=message):
        SpatialGaussianMixture(2, **options).fit(X)


def test_bic_looks_only_at_what_a_space_has():
    assert metric.names(2, space.SPHERE) == ["isotropic"]
    assert metric.names(2, space.ClosedAxes([1.0, None])) == ["isotropic", "axes", "additive"]


# -- degrees that are taken for a plane -----------------------------------------------------------


@pytest.mark.parametrize("names", [("lon", "lat"), ("Latitude", "Longitude"), ("lat_deg", "lng")])
def test_degrees_are_asked_about(names):
    X = np.random.default_rng(0).normal(size=(20, 30))
    columns = REGIONAL if names[0][:3].lower() == "lon" else REGIONAL[:, ::-1]
    frame = pd.DataFrame(columns, columns=list(names))
    options = {"random_state": 0, "n_init": 1, "max_iter": 2}
    with pytest.warns(UserWarning, match="taken for a plane.*space='sphere'"):
        SpatialGaussianMixture(1, coordinates=frame, **options).fit(X)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*taken for a plane")
        model = SpatialGaussianMixture(1, coordinates=frame, space="sphere", **options).fit(X)
        SpatialGaussianMixture(1, coordinates=frame.to_numpy(), **options).fit(X)
    # Longitude comes first, whatever the order of the columns.
    np.testing.assert_array_equal(model.coordinates_, REGIONAL)


def test_metres_under_such_names_are_no_degrees():
    X = np.random.default_rng(0).normal(size=(20, 30))
    frame = pd.DataFrame(1e5 + 1e3 * REGIONAL, columns=["lon", "lat"])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*taken for a plane")
        SpatialGaussianMixture(1, coordinates=frame, max_iter=2, n_init=1).fit(X)


def test_named_axes_of_an_array_are_asked_about_and_put_in_order():
    xarray = pytest.importorskip("xarray")
    X = np.random.default_rng(0).normal(size=(20, 4, 5))
    axes = {"lat": [10.0, 20, 30, 40], "lon": [100.0, 120, 140, 160, 180]}
    maps = xarray.DataArray(X, dims=("time", "lat", "lon"), coords=axes)
    options = {"random_state": 0, "n_init": 1, "max_iter": 2}
    with pytest.warns(UserWarning, match="lon, lat were taken for a plane"):
        SpatialGaussianMixture(1, **options).fit(maps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = SpatialGaussianMixture(1, space="sphere", **options).fit(maps)
        numbers = SpatialGaussianMixture(
            1, coordinates=model.coordinates_, space="sphere", **options
        ).fit(X)
    assert model.coordinates_[:2].tolist() == [[100, 10], [120, 10]]
    assert numbers.log_likelihood_ == pytest.approx(model.log_likelihood_)


def test_images_wrap_round_their_own_axes():
    X, labels = draw(squareform(pdist(space.ClosedAxes([5, 6]).embedded(grid_coordinates((5, 6))))))
    images = X.reshape(-1, 5, 6)
    options = {"decay": "exponential", "period": (5, 6), "init": labels, "max_iter": 6}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one, other = (
            SpatialGaussianMixture(2, **options).fit(np.roll(images, by, axis=(1, 2)))
            for by in ((0, 0), (2, 3))
        )
    assert_same(one, other)

"""Maps at other places: against the formula, the maps' own values, and what cannot be."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist, pdist, squareform
from sklearn.exceptions import ConvergenceWarning

from spatgmm import SpatialGaussianMixture, load
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import space
from spatgmm.fitting import interpolation

SITES = np.random.default_rng(1).uniform(0, 10, (40, 2))
ELSEWHERE = np.random.default_rng(2).uniform(1, 9, (7, 2))


def draw(points, n=60, seed=0, level=3.0):
    """Maps at points of the embedding, exponential covariances of two ranges; their labels."""
    rng = np.random.default_rng(seed)
    delta = squareform(pdist(points))
    labels = rng.integers(2, size=n)
    X = rng.normal(size=(n, len(points)))
    for g, reach in enumerate((0.8, 0.2)):
        Xi = np.exp(-delta / (reach * delta.max())) + 0.05 * np.eye(len(points))
        X[labels == g] = X[labels == g] @ np.linalg.cholesky(Xi).T
    return X + level, labels


def fit(X, labels, coordinates, **options):
    options = {"decay": "exponential", "init": labels, "max_iter": 8} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return SpatialGaussianMixture(2, coordinates=coordinates, **options).fit(X)


@pytest.fixture(scope="module")
def data():
    return draw(SITES)


def by_hand(model, X, wanted):
    """Kriging about the level of each component's mean, with dense matrices."""
    unit = model._engine.family.geometry.unit
    total = np.zeros((len(X), len(wanted)))
    for g, Xi in enumerate(model.covariances_):
        a1, a2, _ = model.alpha_[g]
        s = model._engine.family.kernel.decay.value(
            cdist(wanted, model.coordinates_) / unit, model.shape_[g]
        )
        W, one = np.linalg.inv(Xi), np.ones(len(Xi))
        level = one @ W @ model.means_[g] / (one @ W @ one)
        krige = level + (X - level) @ W @ (a1 + a2 * s).T
        total += model.predict_proba(X)[:, [g]] * krige
    return total


@pytest.mark.parametrize("mean", ["free", "constant", "common"])
def test_it_is_kriging_about_a_level(data, mean):
    X, labels = data
    model = fit(X, labels, SITES, mean=mean)
    np.testing.assert_allclose(model.interpolate(X, ELSEWHERE), by_hand(model, X, ELSEWHERE))


def test_values_elsewhere_are_near_the_truth(data):
    whole, labels = data
    X, hidden = whole[:, :30], whole[:, 30:]
    model = fit(X, labels, SITES[:30])
    error = model.interpolate(X, SITES[30:]) - hidden
    # Better than each map's own level, and than the value at the nearest location.
    level = X.mean(axis=1, keepdims=True) - hidden
    nearest = X[:, cdist(SITES[30:], SITES[:30]).argmin(axis=1)] - hidden
    assert (error**2).mean() < 0.8 * min((level**2).mean(), (nearest**2).mean())


LIKELIHOODS = ["exact", "vecchia", "cosine"]


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_at_its_own_locations_a_map_is_itself(likelihood):
    coordinates = grid_coordinates((6, 7))
    X, labels = draw(coordinates)
    model = fit(X, labels, coordinates, likelihood=likelihood)
    np.testing.assert_allclose(model.interpolate(X, coordinates), X, atol=1e-9)
    # Between places the smooth part: no more extreme than they are.
    between = model.interpolate(X, coordinates[:-7] + 0.5)
    assert between.std() < X.std()


@pytest.mark.parametrize("likelihood", ["exact", "vecchia"])
def test_missing_pixels_come_out_as_imputed(data, likelihood):
    X, labels = data[0].copy(), data[1]
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    model = fit(X, labels, SITES, missing="em", mean="constant", likelihood=likelihood)
    found = model.interpolate(X, SITES)
    seen = ~np.isnan(X)
    np.testing.assert_allclose(found[seen], X[seen])
    exact = fit(X, labels, SITES, missing="em", mean="constant", likelihood="exact")
    close = {} if likelihood == "exact" else {"rtol": 0.05, "atol": 0.05}
    np.testing.assert_allclose(found[~seen], exact.impute(X)[~seen], **close)
    # An empty map is what the mixture expects.
    empty = model.interpolate(np.full((1, 40), np.nan), ELSEWHERE)[0]
    np.testing.assert_allclose(empty, model.weights_ @ model.means_[:, 0], rtol=1e-6)


def test_places_that_no_map_has_are_no_neighbours(data):
    X, labels = data[0].copy(), data[1]
    X[:, 3] = np.nan
    model = fit(X, labels, SITES, missing="em")
    assert np.isfinite(model.interpolate(X, SITES)).all()


@pytest.mark.parametrize("kind", ["isotropic", "axes", "rotated", "additive"])
def test_windows_of_all_locations_are_no_approximation(data, kind, monkeypatch):
    X, labels = data
    model = fit(X, labels, SITES, metric=kind, n_neighbors=40)
    wanted = np.concatenate([ELSEWHERE, SITES[:3]])
    together = model.interpolate(X, wanted)
    monkeypatch.setattr(interpolation, "_MOST_TOGETHER", 1)
    np.testing.assert_allclose(model.interpolate(X, wanted), together, atol=1e-8)
    monkeypatch.setattr(interpolation, "_CHUNK_VALUES", 5)
    np.testing.assert_allclose(model.interpolate(X, wanted), together, atol=1e-8)


def test_windows_of_the_nearest_say_nearly_all(data, monkeypatch):
    X, labels = data
    model = fit(X, labels, SITES, n_neighbors=25)
    together = model.interpolate(X, ELSEWHERE)
    monkeypatch.setattr(interpolation, "_MOST_TOGETHER", 1)
    np.testing.assert_allclose(model.interpolate(X, ELSEWHERE), together, atol=0.15)


@pytest.mark.parametrize(
    ("coordinates", "options", "turn"),
    [
        (np.arange(16.0)[:, None], {"period": 16}, [16]),
        (SITES, {"period": (None, 12)}, [0, 12]),
        (SITES * [36, 17] - [180, 85], {"space": "sphere"}, [360, 0]),
    ],
    ids=["ring", "half-closed", "sphere"],
)
def test_places_once_round_are_the_same(coordinates, options, turn):
    of = space.of(options.get("space", "plane"), options.get("period"), coordinates.shape[1])
    X, labels = draw(of.embedded(coordinates))
    model = fit(X, labels, coordinates, **options)
    wanted = np.vstack([coordinates[:4], coordinates[4:8] + 0.3])
    found = model.interpolate(X, wanted)
    np.testing.assert_allclose(model.interpolate(X, wanted + turn), found, atol=1e-9)
    np.testing.assert_allclose(found[:, :4], X[:, :4], atol=1e-9)


def test_on_a_ring_both_sides_count():
    ring = np.arange(15.0)
    X, labels = draw(space.ClosedAxes([16]).embedded(ring[:, None]), n=80)
    closed, line = (fit(X, labels, ring, period=P, mean="constant") for P in (16, None))
    # The gap lies between the last place and the first.
    both = (X[:, 0] + X[:, -1]) / 2
    found = [np.corrcoef(m.interpolate(X, [15.0])[:, 0], both)[0, 1] for m in (closed, line)]
    assert found[0] > 0.9 and found[0] > found[1]


@pytest.mark.parametrize("likelihood", ["exact", "vecchia"])
def test_trends_go_on_elsewhere(likelihood):
    coordinates = grid_coordinates((7, 7))
    X, labels = draw(coordinates, level=0.0)
    zero = fit(X, labels, coordinates, mean="zero", likelihood=likelihood)
    wave = np.cos(np.pi * (coordinates[:, 0] + 0.5) / 7)
    smooth = fit(X + 50 * wave, labels, coordinates, mean="smooth", likelihood=likelihood, tol=1e-3)
    wanted = np.array([[2.5, 3.3], [4.2, 1.1]])
    expected = 50 * np.cos(np.pi * (wanted[:, 0] + 0.5) / 7)
    error = smooth.interpolate(X + 50 * wave, wanted) - expected - zero.interpolate(X, wanted)
    assert np.abs(error).max() < 1.0


def test_a_saved_model_interpolates_alike(data, tmp_path):
    X, labels = data
    model = fit(X, labels, SITES)
    model.save(tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    np.testing.assert_allclose(again.interpolate(X, ELSEWHERE), model.interpolate(X, ELSEWHERE))
    frame = pd.DataFrame(ELSEWHERE[:, ::-1], columns=["y", "x"])
    np.testing.assert_allclose(again.interpolate(X, frame), model.interpolate(X, ELSEWHERE))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([[1.0, 2.0, 3.0]], r"coordinates must have shape \(m, 2\)"),
        ([1.0, 2.0], r"coordinates must have shape \(m, 2\)"),
        ([[0.0, 1.0], [np.nan, 1.0]], "coordinates row 1 is not finite"),
        ([["a", "b"]], "coordinates must be numbers"),
    ],
)
def test_bad_places_are_named(data, wanted, message):
    X, labels = data
    with pytest.raises(ValueError, match=message):
        fit(X, labels, SITES).interpolate(X, wanted)


def test_what_cannot_be_interpolated_is_said(data):
    X, labels = data
    with pytest.raises(ValueError, match="variance='constant'"):
        fit(X, labels, SITES, variance="location").interpolate(X, ELSEWHERE)
    earth = fit(X, labels, SITES, space="sphere")
    with pytest.raises(ValueError, match="row 1 has latitude 91"):
        earth.interpolate(X, [[0, 0], [0, 91]])
    with pytest.raises(ValueError, match="features"):
        fit(X, labels, SITES).interpolate(X[:, 1:], ELSEWHERE)

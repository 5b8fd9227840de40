"""Kinds of means: what they can be, what they cost, and the best within them."""

from dataclasses import replace

import numpy as np
import pytest

from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance.geometry import Geometry
from spatgmm.fitting import means

SHAPE = (6, 7)
COORDINATES = grid_coordinates(SHAPE)
START = np.arange(60) % 2


@pytest.fixture(scope="module")
def X(plain):
    wave = np.cos(np.pi * (COORDINATES[:, 0] + 0.5) / 6)
    components = [(0.5, wave, (1, -0.8, 0.6), 2.0), (0.5, -wave, (1, -0.4, 0.8), 5.0)]
    return plain.draw(COORDINATES, 60, components, seed=5)[0]


def fitted(X, mean, **options):
    options = {"decay": "exponential", "init": START, "tol": 1e-6, **options}
    return SpatialGaussianMixture(2, coordinates=SHAPE, mean=mean, **options).fit(X)


@pytest.mark.parametrize("likelihood", ["exact", "cosine", "vecchia"])
@pytest.mark.parametrize("mean", ["free", "constant", "common", "zero", "smooth"])
def test_the_likelihood_never_falls_and_means_are_of_their_kind(X, mean, likelihood):
    model = fitted(X, mean, likelihood=likelihood, n_neighbors=15)
    assert np.diff(model.log_likelihood_trace_).min(initial=0) >= 0
    assert model.likelihood_ == likelihood
    assert model.mean_ == mean
    if mean == "constant":
        np.testing.assert_allclose(np.ptp(model.means_, axis=1), 0, atol=1e-9)
    elif mean == "common":
        np.testing.assert_allclose(model.means_[0], model.means_[1], atol=1e-7)
    elif mean == "zero":
        np.testing.assert_allclose(model.means_, 0, atol=1e-12)
    table = model.standard_errors(X)
    assert np.isfinite(table.loc[table["note"] == "", "std_error"]).all()


def test_parameters_are_counted(X):
    p, of_covariances = X.shape[1], 2 * 4 + 1
    for mean, n in (("free", 2 * p), ("constant", 2), ("common", p), ("zero", 0)):
        assert fitted(X, mean).n_parameters_ == n + of_covariances


@pytest.mark.parametrize("mean", ["constant", "common", "smooth"])
def test_no_mean_nearby_is_better(X, mean):
    model = fitted(X, mean, tol=1e-9, max_iter=2000)
    if mean == "common":
        basis = np.random.default_rng(0).normal(size=(5, X.shape[1]))
    else:
        n_waves = getattr(model._model.mean, "n_waves", None)
        (basis,) = means.of(mean, COORDINATES.shape[1], n_waves).basis(Geometry(COORDINATES))
    best = model.log_likelihood(X)
    units = model._units
    for direction in basis:
        for size in (-0.02, 0.02):
            # All means move together; moving the data's centre does just that.
            model._units = replace(units, centre=units.centre + size * direction)
            assert model.log_likelihood(X) < best
    model._units = units


def test_smooth_means_are_waves_and_bic_chooses_how_many(X):
    model = fitted(X, "smooth")
    assert model._model.mean.n_waves == 1
    on_grid = model.means_.reshape(2, *SHAPE)
    # One wave along the first axis and one along the second.
    mixed = on_grid - on_grid.mean(axis=1, keepdims=True) - on_grid.mean(axis=2, keepdims=True)
    np.testing.assert_allclose(mixed, -on_grid.mean(axis=(1, 2), keepdims=True) * np.ones(SHAPE))


def test_auto_takes_the_mean_with_the_lowest_bic(X):
    bic = {mean: fitted(X, mean).bic(X) for mean in ("free", "constant", "common", "smooth")}
    model = fitted(X, "auto")
    assert model.bic(X) == pytest.approx(min(bic.values()))
    assert model.mean_ == min(bic, key=bic.get)
    assert model.mean == "auto"


def test_auto_chooses_a_metric_that_the_locations_allow(plain):
    X, _ = plain.draw(np.arange(12.0)[:, None], 50, [(1.0, 0.0, (1, -0.8, 0.6), 3.0)], seed=1)
    model = SpatialGaussianMixture(1, metric="auto", mean="constant").fit(X)
    assert model.metric_ == "isotropic"


@pytest.mark.parametrize("shape", [(2,), (3,), (2, 2), (3, 4), (2, 9), (1, 5), (2, 2, 2)])
@pytest.mark.parametrize("n_waves", means.SMOOTHNESS)
def test_smooth_means_count_only_waves_that_are_independent(shape, n_waves):
    coordinates = grid_coordinates(shape)
    mean = means.of("smooth", len(shape), n_waves)
    blocks = mean.basis(Geometry(coordinates))
    basis = np.concatenate(blocks, axis=1)
    assert np.linalg.matrix_rank(basis, tol=1e-6) == len(basis) == mean.n_parameters(1, blocks)


def test_smooth_means_fit_where_locations_are_fewer_than_waves():
    rng = np.random.default_rng(4)
    for coordinates in [(3, 4), rng.uniform(size=(5, 2))]:
        p = 12 if isinstance(coordinates, tuple) else len(coordinates)
        model = SpatialGaussianMixture(
            2, coordinates=coordinates, mean="auto", n_init=2, max_iter=50, random_state=0
        ).fit(rng.normal(size=(40, p)) + 3 * (np.arange(40) < 20)[:, None])
        assert np.isfinite(model.means_).all()


def test_a_common_mean_of_components_that_are_all_empty():
    X = np.random.default_rng(3).normal(size=(4, 9))
    options = {"mean": "common", "init": "kmeans", "decay": "exponential"}
    model = SpatialGaussianMixture(3, coordinates=(3, 3), random_state=0, **options)
    with pytest.warns(UserWarning, match="fewer than 1.5 maps"):
        model.fit(X)
    assert np.isfinite(model.means_).all()
    assert means.CommonMean().estimates([], [], [], [], []) == []

"""Which way a likelihood is computed, by choice and by itself."""

import numpy as np
import pytest

from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay, metric
from spatgmm.fitting import engine

GRID, LARGE = grid_coordinates((6, 6)), grid_coordinates((40, 40))
SITES = np.random.default_rng(0).uniform(size=(1200, 2))


def chosen(likelihood, coordinates, decay_="exponential", metric_="isotropic", **options):
    options = {"complete": True, "alike": True, "n_neighbors": 10, **options}
    return engine.choose(
        likelihood, coordinates, decay.get(decay_), metric.get(metric_), **options
    ).name


@pytest.mark.parametrize(
    ("name", "coordinates", "options"),
    [
        ("exact", GRID, {}),
        ("cosine", LARGE, {}),
        ("cosine", LARGE, {"metric_": "axes"}),
        # No covariance at any size: only the whole matrix tells.
        ("exact", LARGE, {"decay_": "sigmoid"}),
        ("vecchia", LARGE, {"metric_": "rotated"}),
        ("vecchia", LARGE, {"complete": False}),
        ("vecchia", LARGE[:-1], {}),
        ("vecchia", SITES, {}),
        ("exact", LARGE[:1024:2], {}),
        ("exact", LARGE[:1100], {"alike": False}),
    ],
)
def test_auto_goes_by_size_and_what_can_be(name, coordinates, options):
    assert chosen("auto", coordinates, **options) == name


@pytest.mark.parametrize("name", ["exact", "cosine", "vecchia"])
def test_a_choice_is_kept(name):
    assert chosen(name, GRID) == name


@pytest.mark.parametrize(
    ("likelihood", "coordinates", "options", "message"),
    [
        ("cosine", GRID[:-1], {}, "not a complete regular grid"),
        ("cosine", GRID, {"complete": False}, r"missing|complete maps.*vecchia"),
        ("cosine", GRID, {"metric_": "rotated"}, "metric='rotated' is not even"),
        ("cosine", GRID, {"alike": False}, "variance='constant'"),
        ("vecchia", GRID, {"alike": False}, "variance='constant'"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(likelihood, coordinates, options, message):
    with pytest.raises(ValueError, match=message):
        chosen(likelihood, coordinates, **options)


@pytest.mark.parametrize(
    ("names", "common"),
    [
        ({"exact"}, "exact"),
        ({"cosine"}, "cosine"),
        ({"exact", "cosine"}, "exact"),
        ({"cosine", "vecchia"}, "vecchia"),
        ({"exact", "vecchia", "cosine"}, "vecchia"),
    ],
)
def test_bic_compares_fits_by_one_likelihood(names, common):
    assert engine.for_all(names) == common


def test_auto_fits_all_candidates_by_one_likelihood(monkeypatch):
    monkeypatch.setattr(engine, "_LARGEST_EXACT", 20)
    X = np.random.default_rng(1).normal(size=(20, 36))
    model = SpatialGaussianMixture(
        1, coordinates=(6, 6), decay="exponential", metric="auto", mean="constant", n_neighbors=8
    )
    assert model.fit(X).likelihood_ == "vecchia"
    assert model.set_params(metric="axes").fit(X).likelihood_ == "cosine"

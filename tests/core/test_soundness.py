"""What a fit says of itself: the edge of the cone, bounds, a best clustering reached once."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay as decays
from spatgmm.covariance.cosine import CosineFamily, CosineGeometry
from spatgmm.covariance.family import SpatialCovariance
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.kernel import Kernel
from spatgmm.covariance.neighbours import NeighbourGeometry
from spatgmm.covariance.vecchia import VecchiaFamily
from spatgmm.fitting import soundness

GRID = grid_coordinates((10, 10))


def exact(decay="sigmoid", coordinates=GRID):
    return SpatialCovariance(Kernel(Geometry(coordinates), decays.get(decay)))


def drawn(theta, n=150, decay="sigmoid"):
    covariance = exact(decay).at(np.array(theta))
    rng = np.random.default_rng(5)
    return exact().geometry.rotate_back(covariance.draw(n, rng))


def said(X, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = SpatialGaussianMixture(
            1, coordinates=GRID, mean="constant", random_state=0, **options
        ).fit(X)
    return model, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("nugget", [0.3, 0.5])
@pytest.mark.parametrize("coordinates", [GRID, GRID[:-1], grid_coordinates((30,))])
def test_the_smallest_eigenvalue_of_the_exact_covariance(coordinates, nugget):
    covariance = exact(coordinates=coordinates).at(np.array([0.1, 1.0, nugget, 4.0]))
    dense = SpatialCovariance(Kernel(Geometry(coordinates, False), decays.get("sigmoid")))
    smallest = np.linalg.eigvalsh(dense.matrix(covariance.theta)[0])[0]
    found = covariance.smallest_eigenvalue()
    assert smallest * (1 - 1e-9) <= found <= smallest * 1.25 + 0.01


def test_the_smallest_eigenvalue_of_the_other_likelihoods():
    theta, unit = np.array([0.1, 1.0, 0.2, 4.0]), np.eye(len(GRID))
    for family in (
        CosineFamily(Kernel(CosineGeometry(GRID), decays.get("exponential"))),
        VecchiaFamily(Kernel(NeighbourGeometry(GRID, 20), decays.get("exponential"))),
    ):
        covariance = family.at(theta)
        largest = np.linalg.eigvalsh(covariance.solve([unit])[0])[-1]
        assert covariance.smallest_eigenvalue() == pytest.approx(1 / largest, rel=0.02)


def test_an_ordinary_fit_says_nothing():
    _, texts = said(drawn([0.1, 1.0, 0.5, 4.0]))
    assert texts == []


def test_a_fit_at_the_edge_of_the_cone_says_so_and_what_to_try():
    blocks = exact().matrix(np.array([0.0, 1.0, 0.0, 4.0]))
    least = -min(np.linalg.eigvalsh(block)[0] for block in blocks)
    model, texts = said(drawn([0.1, 1.0, 1.01 * least, 4.0]))
    (text,) = [text for text in texts if "edge" in text]
    assert "component 1 (labels_ 0)" in text
    assert "decay='auto'" in text
    assert "exponential" in text
    assert model.condition_number_ < soundness.NEARLY_SINGULAR
    assert not any("edge" in text for text in said(drawn([0.1, 1.0, 2 * least, 4.0]))[1])


def test_a_fit_at_a_bound_says_what_that_means_and_what_to_try():
    X = drawn([0.1, 1.0, 0.01, 1.0], decay="exponential")
    _, texts = said(X)
    assert any("beta at its lower bound: linear decay" in t and "'auto'" in t for t in texts)
    _, texts = said(X, decay="exponential")
    assert texts == []


def test_the_shape_of_maps_without_structure_is_not_spoken_of():
    _, texts = said(np.random.default_rng(3).normal(size=(150, 100)))
    assert texts == []


@pytest.mark.parametrize(
    ("best", "next_best", "warns"),
    [((1, 0.0), (1, -300.0), True), ((4, 0.0), (1, -300.0), False), ((1, 0.0), (9, -1.4), False)],
)
def test_a_best_clustering_that_one_start_led_to_is_doubted(best, next_best, warns):
    model, _ = said(drawn([0.1, 1.0, 0.5, 4.0]))
    fits = [SimpleNamespace(n_starts=n, log_likelihood=value) for n, value in (best, next_best)]
    texts = list(soundness.remarks(model._estimates, np.array([150.0]), 10.0, fits))
    assert (["n_init" in text for text in texts] == [True]) == warns


def test_starts_count_those_that_fell_in_with_a_better_one():
    X = np.concatenate([drawn([0.1, 1.0, 0.5, 2.0]), drawn([0.1, 1.0, 0.9, 6.0])])
    model = SpatialGaussianMixture(2, coordinates=GRID, n_init=10, random_state=0).fit(X)
    assert model.starts_["n_starts"].sum() >= 10
    one = SpatialGaussianMixture(2, coordinates=GRID, init=model.labels_).fit(X)
    assert one.starts_["n_starts"].tolist() == [1]

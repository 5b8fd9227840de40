"""Kernels: every decay under every metric, against finite differences and direct formulas."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.linalg import expm

from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay, metric
from spatgmm.covariance.family import SpatialCovariance
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.kernel import Kernel

IRREGULAR = np.random.default_rng(0).uniform(size=(9, 2))
COORDINATES = {"irregular": IRREGULAR, "grid": grid_coordinates((3, 4))}


def kernel_of(name, kind, coordinates):
    kind = metric.get(kind)
    geometry = Geometry(coordinates, False, by_offset=kind.by_offset)
    return Kernel(geometry, decay.get(name), kind)


def shape_inside(kernel, seed):
    mix = np.random.default_rng(seed).uniform(0.2, 0.7, size=len(kernel.lower))
    return kernel.lower + mix * (kernel.upper - kernel.lower)


@pytest.mark.parametrize("kind", metric.names())
@pytest.mark.parametrize("name", decay.names())
@pytest.mark.parametrize("where", COORDINATES)
def test_derivatives_are_those_of_finite_differences(name, kind, where):
    kernel = kernel_of(name, kind, COORDINATES[where])
    shape = shape_inside(kernel, 1)
    shape[len(kernel.decay.parameter_names) :] *= (
        0.3  # strong stretches bend too much for a stencil
    )
    first = kernel.derivatives(shape)
    second = kernel.second_derivatives(shape)
    assert first.shape == (len(shape), len(kernel.geometry.delta))
    for j in range(len(shape)):
        step = 1e-4 * max(abs(shape[j]), 0.1)
        moved = [np.where(np.arange(len(shape)) == j, shape + k * step, shape) for k in (-1, 1)]
        values = [kernel.value(s) for s in moved]
        np.testing.assert_allclose(first[j], (values[1] - values[0]) / (2 * step), atol=1e-5)
        slopes = [kernel.derivatives(s) for s in moved]
        np.testing.assert_allclose(second[j], (slopes[1] - slopes[0]) / (2 * step), atol=1e-3)


@pytest.mark.parametrize("kind", metric.names())
@pytest.mark.parametrize("name", decay.names())
def test_score_is_the_slope_of_the_objective(name, kind):
    kernel = kernel_of(name, kind, IRREGULAR)
    family = SpatialCovariance(kernel)
    theta = np.concatenate([[0.3, 0.8, 0.7], shape_inside(kernel, 2)])
    theta[3 + len(kernel.decay.parameter_names) :] *= 0.3
    X = np.random.default_rng(3).normal(size=(40, 9)) + 1
    scatter = [X.T @ X / 40]
    score, information = family.at(theta).score_and_information(scatter)
    assert (np.linalg.eigvalsh(information) > -1e-9).all()
    directions = np.zeros((len(theta), len(theta)))
    directions[0, 0] = directions[2, 2] = 1  # J, I
    directions[1, :3] = theta[:3]  # Xi
    directions[3:, 3:] = np.eye(len(theta) - 3)
    for g, direction in zip(score, directions, strict=True):
        step = 1e-5
        ends = [family.at(theta + k * step * direction).objective(scatter) for k in (-1, 1)]
        # The objective is -2 times the log-likelihood per map.
        assert g == pytest.approx(-(ends[1] - ends[0]) / (4 * step), abs=2e-5, rel=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_rotated_distances_are_those_of_the_matrix_exponential(seed):
    a, b = np.random.default_rng(seed).normal(size=2) * 10.0 ** -np.arange(0, 4)[seed]
    h = np.random.default_rng(9).normal(size=(20, 2))
    expected = np.einsum("ij,jk,ik->i", h, expm(np.array([[a, b], [b, -a]])), h)
    np.testing.assert_allclose(metric.get("rotated").distances(h, np.array([a, b])) ** 2, expected)


def test_a_stretch_along_the_axes_is_a_rotated_one_without_rotation():
    h = np.random.default_rng(1).normal(size=(20, 2))
    np.testing.assert_allclose(
        metric.get("axes").distances(h, np.array([0.7])),
        metric.get("rotated").distances(h, np.array([0.7, 0.0])),
    )


@pytest.mark.parametrize(("angle", "ratio"), [(0, 2), (30, 1.5), (90, 4), (135, 3)])
def test_angle_and_ratio_come_back(angle, ratio):
    rotated = metric.get("rotated")
    parameters = rotated.parameters(angle, ratio)
    found = rotated.describe(parameters)
    assert found["range_ratio"] == pytest.approx(ratio)
    assert (found["angle"] - angle + 90) % 180 - 90 == pytest.approx(0, abs=1e-9)
    radians = np.radians(angle)
    along, across = [np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]
    far, near = rotated.distances(np.array([along, across]), parameters)
    assert near / far == pytest.approx(ratio)


@pytest.mark.parametrize("kind", ["isotropic", "axes"])
def test_reflection_blocks_are_the_dense_matrix_in_another_basis(kind):
    kind = metric.get(kind)
    coordinates = grid_coordinates((4, 5))
    theta = np.array([0.3, 0.8, 0.4, 2.5, *[0.6] * len(kind.parameter_names(2))])
    matrices = []
    for symmetry in (False, True):
        geometry = Geometry(coordinates, symmetry, by_offset=kind.by_offset)
        family = SpatialCovariance(Kernel(geometry, decay.get("sigmoid"), kind))
        eye = [np.split(row, np.cumsum(geometry.sizes)[:-1]) for row in np.eye(20)]
        rows = [
            geometry.rotate_back([(v @ block)[None] for v, block in zip(row, blocks, strict=True)])
            for row, blocks in ((row, family.matrix(theta)) for row in eye)
        ]
        basis = geometry.rotate_back([np.eye(20)[:, s] for s in _slices(geometry.sizes)])
        matrices.append(basis.T @ np.concatenate(rows))
    np.testing.assert_allclose(matrices[0], matrices[1], atol=1e-12)


def _slices(sizes):
    ends = np.cumsum([0, *sizes])
    return [slice(a, b) for a, b in pairwise(ends)]


@pytest.mark.parametrize(("kind", "dimensions"), [("axes", 1), ("rotated", 1), ("rotated", 3)])
def test_a_metric_that_the_dimensions_do_not_have_is_refused(kind, dimensions):
    with pytest.raises(ValueError, match=f"metric='{kind}'"):
        metric.get(kind).check(dimensions)

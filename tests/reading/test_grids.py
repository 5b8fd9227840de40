"""Grids: known to the precision of their numbers, contradicted, flattened."""

import numpy as np
import pytest

from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.grid import regular_grid
from spatgmm.reading.grids import check_grid, row_length

RNG = np.random.default_rng(7)


def mesh(*axes):
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


UNIT = np.linspace(0, 1, 20)
SINGLE = np.float32


@pytest.mark.parametrize(
    "axis",
    [
        UNIT.astype(SINGLE),
        np.arange(20, dtype=SINGLE) * SINGLE(0.1) + SINGLE(100.3),
        np.linspace(-7e5, -7e5 + 10, 20, dtype=SINGLE),
        *[UNIT.round(digits) for digits in (2, 3, 4, 6)],
        np.linspace(-33.33, 47.91, 13).round(1),
        np.round(np.arange(9) * 1e4 / 7),
        1e-7 * np.arange(5),
    ],
)
def test_steps_that_agree_to_the_precision_of_their_numbers_make_a_grid(axis):
    coordinates = RNG.permutation(mesh(axis, UNIT).astype(float))
    grid = regular_grid(coordinates)
    assert grid.shape == (len(axis), 20)
    on_grid = coordinates[grid.order].reshape(*grid.shape, 2)
    assert (np.diff(on_grid[:, :, 0], axis=0) > 0).all()
    assert (np.diff(on_grid[:, :, 1], axis=1) > 0).all()
    assert Geometry(coordinates, symmetry=True).path == "reflection blocks"


@pytest.mark.parametrize(
    "axis",
    [
        [0, 1, 3, 4],
        [0, 10, 20, 31, 40],
        [0, 0.3, 0.7, 1],
        [0.0, 0.1, 0.21, 0.3],
        np.sort(RNG.uniform(size=20)),
        np.sort(RNG.uniform(size=20)).astype(SINGLE),
        np.unique(RNG.uniform(0, 9, 12).round(1)),
        np.geomspace(1, 100, 12).round(2),
    ],
)
def test_uneven_steps_make_none(axis):
    assert regular_grid(mesh(np.asarray(axis, dtype=float), UNIT)) is None


@pytest.mark.parametrize(
    "coordinates",
    [
        grid_coordinates((4, 6)),
        grid_coordinates((4, 6))[:, ::-1],
        mesh([5.0, 3, 1, -1], [0, 0.1, 0.2, 0.30000001, 0.4, 0.5]),
        mesh([0, 1, 5, 7], [0, 2, 3, 7, 8, 9]),
        RNG.uniform(size=(24, 2)),
        grid_coordinates((4, 6)) @ [[0.8, -0.6], [0.6, 0.8]],
    ],
    ids=["C order", "x and y", "falling", "uneven", "irregular", "rotated"],
)
def test_coordinates_that_agree_with_the_axes_of_images(coordinates):
    check_grid((4, 6), coordinates)


@pytest.mark.parametrize(
    "coordinates",
    [
        grid_coordinates((6, 4)),
        grid_coordinates((2, 12)),
        grid_coordinates((24,)),
        RNG.permutation(grid_coordinates((4, 6))),
        grid_coordinates((4, 6)).reshape(4, 6, 2).swapaxes(0, 1).reshape(24, 2),
        mesh([0, 1, 5, 7, 8, 9], [0, 2, 3, 7]),
        grid_coordinates((2, 3, 4)),
    ],
    ids=["turned", "other", "line", "shuffled", "column by column", "uneven, turned", "cube"],
)
def test_coordinates_that_contradict_the_axes_of_images(coordinates):
    with pytest.raises(ValueError, match="but the maps in X are 4 x 6 grids"):
        check_grid((4, 6), coordinates)


def fields(shape, n=60, reach=2.0):
    """Smooth maps on a grid or a line."""
    places = grid_coordinates(shape)
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    return RNG.multivariate_normal(np.zeros(len(places)), np.exp(-distances / reach), n)


@pytest.mark.parametrize("shape", [(10, 12), (12, 10), (5, 30), (20, 6)])
def test_flattened_images_are_recognised_by_their_rows(shape):
    assert row_length(fields(shape)) == shape[1]


@pytest.mark.parametrize("p", [60, 120, 200])
def test_lines_are_not(p):
    for reach in (2, 10):
        assert row_length(fields((p,), reach=reach)) is None
    assert row_length(RNG.normal(size=(60, p))) is None
    assert row_length(np.cumsum(RNG.normal(size=(60, p)), axis=1)) is None

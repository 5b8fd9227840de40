"""Scaled distances, and the reflection blocks of regular grids against dense matrices."""

import numpy as np
import pytest

from spatgmm.common.locations import check_coordinates, grid_coordinates
from spatgmm.covariance.geometry import Geometry, scaled_distances

SHAPES = [(10, 10), (5, 4), (3, 3, 4), (7,), (1, 6)]


def values_at(delta):
    """Any function of distance will do."""
    return np.exp(-1.3 * delta) + 0.1 * np.cos(3 * delta)


def listings(shape):
    """A grid in C order, shuffled, stretched and away from the origin."""
    grid = grid_coordinates(shape)
    rng = np.random.default_rng(0)
    yield grid
    yield rng.permutation(grid)
    yield 1e4 + rng.permutation(grid) * [0.3, 2.0, 5.0][: len(shape)]


GRIDS = [
    pytest.param(coordinates, id=f"{shape}-{listing}")
    for shape in SHAPES
    for listing, coordinates in zip(("C", "shuffled", "stretched"), listings(shape), strict=True)
]


def test_grid_coordinates_are_indices_in_c_order():
    np.testing.assert_array_equal(grid_coordinates((2, 3)), list(np.ndindex(2, 3)))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_the_largest_scaled_distance_is_2(plain, dimensions):
    coordinates = np.random.default_rng(1).normal(5, 40, (30, dimensions))
    delta = scaled_distances(coordinates)
    assert delta.max() == pytest.approx(2, abs=1e-12)
    np.testing.assert_allclose(delta, plain.distances(coordinates), atol=1e-11)


@pytest.mark.parametrize("coordinates", GRIDS)
def test_a_grid_falls_into_blocks_of_the_dense_matrix(coordinates):
    blocks = Geometry(coordinates, symmetry=True)
    dense = Geometry(coordinates, symmetry=False)
    assert blocks.path == "reflection blocks"
    assert dense.path == "one dense block"
    extents = np.ptp(coordinates, axis=0)
    assert len(blocks.sizes) == 2 ** np.count_nonzero(extents)
    assert sum(blocks.sizes) == len(coordinates)

    # The blocks are those of Q'AQ for the orthogonal Q whose columns rotate() projects on.
    Q = np.concatenate(blocks.rotate(np.eye(len(coordinates))), axis=1)
    np.testing.assert_allclose(Q.T @ Q, np.eye(len(Q)), atol=1e-12)
    (A,) = dense.assemble(values_at(dense.delta))
    np.testing.assert_allclose(A, values_at(dense.distances()), atol=1e-10)
    rotated = Q.T @ A @ Q
    start = 0
    for block in blocks.assemble(values_at(blocks.delta)):
        stop = start + len(block)
        np.testing.assert_allclose(rotated[start:stop, start:stop], block, atol=1e-10)
        rotated[start:stop, start:stop] = 0
        start = stop
    np.testing.assert_allclose(rotated, 0, atol=1e-10)


@pytest.mark.parametrize("n", [4, 0])
@pytest.mark.parametrize("coordinates", GRIDS)
def test_rotating_back_gives_the_maps_again(coordinates, n):
    X = np.random.default_rng(2).normal(size=(n, len(coordinates)))
    geometry = Geometry(coordinates, symmetry=True)
    np.testing.assert_allclose(geometry.rotate_back(geometry.rotate(X)), X, atol=1e-12)


@pytest.mark.parametrize("coordinates", GRIDS)
def test_quadratic_forms_and_norms_do_not_depend_on_the_path(coordinates):
    X = np.random.default_rng(3).normal(size=(5, len(coordinates)))
    found = []
    for symmetry in (True, False):
        geometry = Geometry(coordinates, symmetry=symmetry)
        matrices = geometry.assemble(values_at(geometry.delta))
        found.append(
            sum(
                np.einsum("ni,ij,nj->n", maps, A, maps)
                for maps, A in zip(geometry.rotate(X), matrices, strict=True)
            )
        )
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)


def test_the_constant_map_lives_in_the_all_even_block():
    geometry = Geometry(grid_coordinates((4, 5)), symmetry=True)
    assert [bool(np.abs(block).max() > 1e-12) for block in geometry.ones] == [True] + [False] * 3
    np.testing.assert_allclose(
        geometry.rotate_back([block[None] for block in geometry.ones]), 1, atol=1e-12
    )


def test_both_paths_agree_on_units_and_the_nearest_neighbour():
    coordinates = 2.5 * grid_coordinates((6, 4))
    for symmetry in (True, False):
        geometry = Geometry(coordinates, symmetry=symmetry)
        largest = 2.5 * np.hypot(5, 3)
        assert geometry.unit == pytest.approx(largest / 2)
        assert geometry.smallest_distance == pytest.approx(2.5 / (largest / 2))
        assert geometry.n_locations == 24


@pytest.mark.parametrize(
    "coordinates",
    [
        pytest.param(grid_coordinates((13, 13))[1:], id="missing corner"),
        pytest.param(np.random.default_rng(4).uniform(size=(170, 2)), id="irregular"),
        pytest.param(grid_coordinates((13, 13)) @ [[0.8, -0.6], [0.6, 0.8]], id="rotated"),
        pytest.param(np.repeat(grid_coordinates((9, 9)), 2, axis=0), id="every spot twice"),
    ],
)
def test_locations_without_the_symmetry_are_one_dense_block(coordinates):
    assert Geometry(coordinates, symmetry=True).path == "one dense block"


def test_a_large_grid_takes_the_blocks_by_itself():
    assert Geometry(grid_coordinates((20, 20))).path == "reflection blocks"


def test_locations_on_the_same_spot_have_distance_0():
    delta = scaled_distances(np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_allclose(delta, [[0, 2, 0], [2, 0, 2], [0, 2, 0]])


def test_a_shape_and_a_list_of_numbers_are_coordinates_too():
    np.testing.assert_array_equal(check_coordinates((2, 3), 6), grid_coordinates((2, 3)))
    np.testing.assert_array_equal(check_coordinates([1, 2, 4], 3), [[1], [2], [4]])


@pytest.mark.parametrize(
    ("coordinates", "complaint"),
    [
        ((2, 3), "6 locations but X has 5"),
        ((0, 5), "positive sizes"),
        ((1, 5, 1, 1), "positive sizes"),
        (np.zeros((5, 4)), r"shape \(5, 4\)"),
        (np.zeros((5, 2, 1)), r"shape \(5, 2, 1\)"),
        ([[0, 0], [0, 1], [np.nan, 0], [2, 0], [3, 3]], "row 2 is not finite"),
        ([[0, 0], [0, 1], [1, 0], [2, 0], [3, np.inf]], "row 4 is not finite"),
        ([["a", "b"]] * 5, "must be numbers"),
        (np.ones((5, 2)), "all 5 locations are on one spot"),
    ],
)
def test_bad_coordinates_are_refused(coordinates, complaint):
    with pytest.raises(ValueError, match=complaint):
        check_coordinates(coordinates, 5)

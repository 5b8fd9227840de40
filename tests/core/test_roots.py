"""Drawing maps: the torus gives the covariance that the dense factor gives."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from spatgmm import simulate
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance.roots import DenseRoot, TorusRoot
from spatgmm.data import Truth


def truth(decay="matern32", beta=5.0, alpha=(1.1, -1.0, 0.2)):
    return Truth(np.ones(1), np.zeros((1, 1)), np.array([alpha]), np.array([beta]), decay)


@pytest.mark.parametrize("shape", [(9,), (6, 5), (2, 7), (1, 6), (3, 4, 3)])
@pytest.mark.parametrize("decay", ["matern32", "exponential"])
def test_coloured_noise_has_the_covariance_exactly(shape, decay):
    law = truth(decay)
    root = TorusRoot(law.covariance_by_lag(0, shape))
    # Maps of unit vectors are the columns of a root of the covariance.
    columns = root.coloured(np.eye(root.n_noise))
    assert_allclose(columns.T @ columns, law.covariance(0, grid_coordinates(shape)), atol=1e-12)


def test_covariances_by_lag_are_a_row_of_the_matrix():
    law = truth()
    matrix = law.covariance(0, grid_coordinates((4, 6)))
    assert_allclose(law.covariance_by_lag(0, (4, 6)).ravel(), matrix[0], atol=1e-14)
    assert_allclose(
        DenseRoot(matrix).coloured(np.eye(24)).T @ DenseRoot(matrix).coloured(np.eye(24)), matrix
    )


def test_a_covariance_that_the_torus_has_not_is_refused():
    with pytest.raises(np.linalg.LinAlgError):
        TorusRoot(truth("gaussian", 1.0, (1.0, -1.0, 1e-9)).covariance_by_lag(0, (20, 20)))


def scenario(grid, **component):
    return {
        "locations": {"grid": grid},
        "n": 30,
        "weights": [0.5, 0.5],
        "decay": "matern32",
        "components": [
            {"alpha": [1.0, -0.9, 0.2], "beta": 6, **component},
            {"alpha": [1.0, -0.9, 0.2], "beta": 14},
        ],
    }


def test_large_grids_are_drawn_without_a_matrix_of_all_pairs():
    made = simulate.Scenario.from_config("large", scenario([128, 128]))
    data = simulate.draw(made, 0, 1)
    assert data.X.shape == (30, 128**2)
    assert (simulate.draw(made, 0, 1).X == data.X).all()
    maps = data.X.reshape(30, 128, 128)
    for g in (0, 1):
        own = maps[data.labels == g] - maps[data.labels == g].mean(axis=(1, 2), keepdims=True)
        table = data.truth.covariance_by_lag(g, (128, 128))
        gained = ((own[:, 2:] - own[:, :-2]) ** 2).mean() / 2
        assert gained == pytest.approx(table[0, 0] - table[2, 0], rel=0.05)


def test_the_same_draws_however_many_at_a_time(monkeypatch):
    made = simulate.Scenario.from_config("large", scenario([64, 64]))
    whole = simulate.draw(made, 0, 1).X
    monkeypatch.setattr(simulate, "_NOISE_VALUES", 2 * made.roots[0].n_noise)
    assert_allclose(simulate.draw(made, 0, 1).X, whole)


def test_a_direction_on_a_large_grid_is_refused():
    stripes = {"stripes": {"angle": 30, "ratio": 3}}
    with pytest.raises(ValueError, match=r"components\.0\.stripes.*at most 2048"):
        simulate.Scenario.from_config("large", scenario([64, 64], **stripes))


def test_a_sigmoid_on_a_large_grid_is_refused_by_name():
    large = scenario([64, 64]) | {"decay": "sigmoid"}
    with pytest.raises(ValueError, match=r"components\.0.*not positive definite"):
        simulate.Scenario.from_config("large", large)

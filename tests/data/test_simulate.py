from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from spatgmm import simulate
from spatgmm.covariance.geometry import scaled_distances

GRID = {
    "locations": {"grid": [3, 4]},
    "n": 50,
    "weights": [0.3, 0.7],
    "components": [
        {"alpha": [1, -0.9, 0.3], "beta": 2.5},
        {"alpha": [1.2, -0.8, 0.3], "beta": 6, "mean": {"bump": 0.5}},
    ],
}


def changed(path: str, value) -> dict:
    mapping = copy.deepcopy(GRID)
    *way, last = path.split(".")
    at = mapping
    for key in way:
        at = at[int(key)] if isinstance(at, list) else at[key]
    at[int(last) if isinstance(at, list) else last] = value
    return mapping


def test_parameters_of_several_variables_have_one_scale():
    mapping = changed(
        "components", [{"alpha": [1, -0.9, 0.3], "beta": 2, "variables": [[4, 1], [1, 2]]}]
    )
    mapping["weights"] = [1]
    truth = simulate.Scenario.from_config("variables", mapping).truth
    named = truth.parameters(0)
    psi = np.array([[named["psi[0,0]"], named["psi[1,0]"]], [named["psi[1,0]"], named["psi[1,1]"]]])
    assert np.trace(psi) == 2
    alpha = [named[f"alpha{k}"] for k in (1, 2, 3)]
    alone = replace(truth, alpha=np.array([alpha]), variables=psi[None])
    points = np.random.default_rng(0).uniform(size=(5, 2))
    np.testing.assert_allclose(alone.covariance(0, points), truth.covariance(0, points))


def test_same_arguments_same_maps():
    scenario = simulate.Scenario.from_config("grid", GRID)
    first, again = (simulate.draw(scenario, 3, 2601) for _ in range(2))
    np.testing.assert_array_equal(first.X, again.X)
    np.testing.assert_array_equal(first.labels, again.labels)


def test_seed_scenario_and_replicate_each_change_the_maps():
    scenario = simulate.Scenario.from_config("grid", GRID)
    other = simulate.Scenario.from_config("other", GRID)
    first = simulate.draw(scenario, 3, 2601).X
    for data in (
        simulate.draw(scenario, 4, 2601),
        simulate.draw(scenario, 3, 2602),
        simulate.draw(other, 3, 2601),
    ):
        assert not np.any(first == data.X)


def test_hash_is_the_same_in_another_process():
    code = "from spatgmm.simulate import stable_hash; print(stable_hash('grid'))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert int(answer.stdout) == simulate.stable_hash("grid")
    assert simulate.stable_hash("grid") != simulate.stable_hash("grid-mixed")


def test_draws_have_the_moments_of_the_model():
    # The covariance is built here from the formula, entry by entry, not by the package.
    scenario = simulate.Scenario.from_config("grid", changed("n", 40_000))
    data = simulate.draw(scenario, 0, 1)
    assert np.mean(data.labels == 0) == pytest.approx(0.3, abs=0.01)
    delta = scaled_distances(data.coordinates)

    def expit(x):
        return 1 / (1 + np.exp(-x))

    for g, ((a1, a2, a3), b) in enumerate([((1, -0.9, 0.3), 2.5), ((1.2, -0.8, 0.3), 6)]):
        D = (expit(b * delta - 3) - expit(-3)) / (expit(2 * b - 3) - expit(-3))
        Xi = a1 + a2 * D + a3 * np.eye(12)
        members = data.X[data.labels == g]
        error = 5 / np.sqrt(len(members))  # five standard errors
        np.testing.assert_allclose(members.mean(axis=0), data.truth.means[g], atol=1.3 * error)
        np.testing.assert_allclose(np.cov(members.T), Xi, atol=1.5 * np.sqrt(2) * error)


def test_bump_has_its_height_in_the_middle_and_fades():
    mapping = changed("locations", {"grid": [5, 5]})
    means = simulate.Scenario.from_config("bump", mapping).truth.means
    np.testing.assert_array_equal(means[0], 0)
    bump = means[1].reshape(5, 5)
    assert bump[2, 2] == pytest.approx(0.5)
    assert bump.argmax() == 12
    assert np.all(np.diff(bump[2, 2:]) < 0)
    np.testing.assert_allclose(bump, bump[::-1, ::-1])
    np.testing.assert_allclose(bump, bump.T)
    # The corner is at scaled distance 1.
    assert bump[0, 0] == pytest.approx(0.5 * np.exp(-0.5 / simulate.BUMP_WIDTH**2))


def test_uniform_locations_depend_on_their_own_seed_only():
    uniform = {"uniform": 20, "dimensions": 2, "seed": 1}
    first = simulate.Scenario.from_config("a", changed("locations", uniform))
    second = simulate.Scenario.from_config("b", changed("locations", uniform))
    np.testing.assert_array_equal(first.coordinates, second.coordinates)
    assert first.coordinates.shape == (20, 2) and first.shape is None
    assert first.coordinates.min() >= 0 and first.coordinates.max() <= 1
    third = simulate.Scenario.from_config("a", changed("locations", {**uniform, "seed": 2}))
    assert not np.any(first.coordinates == third.coordinates)


def test_grids_of_three_dimensions():
    scenario = simulate.Scenario.from_config("cube", changed("locations", {"grid": [2, 3, 4]}))
    data = simulate.draw(scenario, 0, 1)
    assert data.shape == (2, 3, 4) and data.X.shape == (50, 24)
    np.testing.assert_array_equal(data.coordinates[1], [0, 0, 1])  # C order


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("replicates", 3, "replicates is unknown"),
        ("weihgts", [1], "did you mean 'weights'"),
        ("n", 0, "n must be an integer of at least 1"),
        ("n", 10.5, "n must be an integer of at least 1"),
        ("weights", [0.3, 0.3], "sum to 1"),
        ("weights", [1.0], "one for each of 2 components"),
        ("components", [], "components must be a list of at least 1"),
        ("components.1.beta", -1, "components.1.beta must be a positive number"),
        ("components.1.beta", "six", "components.1.beta must be a positive number"),
        ("components.1.alpha", [1, 2], r"components.1.alpha must be a list of 3"),
        ("components.0.gamma", 1, "components.0.gamma is unknown"),
        ("components.0.mean", {"hump": 1}, "did you mean 'bump'"),
        ("components.1.alpha", [1, -0.9, -0.5], "components.1: .*not positive definite"),
        ("locations", {"grid": [3, 0]}, "locations.grid.1 must be"),
        ("locations", {"grid": [1, 1]}, "locations.grid must have at least 2 locations"),
        ("locations", {"uniform": 5}, "locations.dimensions is missing; locations.seed is missing"),
        (
            "locations",
            {"uniform": 9, "dimensions": 4, "seed": 1},
            "locations.dimensions must be an integer from 1 to 3",
        ),
        ("locations", {"hexagons": 5}, "a mapping with grid or a mapping with uniform"),
        ("locations", "grid", "a mapping with grid or a mapping with uniform"),
        ("components.0.alpha.1", float("nan"), "components.0.alpha.1 must be a number, got nan"),
        ("components.0.beta", float("inf"), "components.0.beta must be a positive number, got inf"),
        ("decay", "ispline", "decay must be one of 'sigmoid'"),
        ("decay", "sigmoidd", "did you mean 'sigmoid'"),
        ("distort", {"permute": 5}, "distort.permute must be a number from 0 to 1, got 5"),
        (
            "components.0.stripes",
            {"angle": 0, "ratio": 0.5},
            "ratio must be a number of at least 1",
        ),
    ],
)
def test_wrong_scenarios_are_refused_by_name(path, value, message):
    with pytest.raises(ValueError, match=rf"scenario 'wrong'.*{message}"):
        simulate.Scenario.from_config("wrong", changed(path, value))


def test_a_missing_key_is_named():
    with pytest.raises(ValueError, match="scenario 'short': n is missing"):
        simulate.Scenario.from_config("short", {k: v for k, v in GRID.items() if k != "n"})


def test_a_covariance_that_does_not_exist_is_refused_in_plain_words():
    mapping = changed("components.1.alpha", [1, -0.9, -0.5])
    with pytest.raises(ValueError, match=r"components\.1: no maps have this covariance: .*alpha"):
        simulate.Scenario.from_config("wrong", mapping)


def test_stripes_need_two_dimensions():
    mapping = changed("locations", {"grid": [5]})
    mapping["components"][1]["stripes"] = {"angle": 45, "ratio": 2}
    with pytest.raises(ValueError, match=r"components\.1\.stripes need locations in 2 dim"):
        simulate.Scenario.from_config("line", mapping)


def test_defaults_of_a_scenario_are_filled_in():
    scenario = simulate.Scenario.from_config("grid", GRID)
    assert scenario.truth.decay == "sigmoid"
    assert scenario.distort == {"permute": 0, "jitter": 0, "stretch": 1}
    assert "decay" not in GRID


@pytest.mark.parametrize("decay", ["sigmoid", "matern32"])
def test_the_true_covariance_is_that_of_the_draws(decay):
    # Stripes: correlation of neighbours reaches farther along the first axis than across it.
    mapping = changed("n", 40_000) | {"decay": decay}
    mapping["components"][1]["stripes"] = {"angle": 0, "ratio": 3}
    data = simulate.draw(simulate.Scenario.from_config("stripes", mapping), 0, 1)
    for g in range(2):
        members = data.X[data.labels == g]
        true = data.truth.covariance(g, data.coordinates)
        bound = 7.5 * np.sqrt(2 / len(members))  # five standard errors
        np.testing.assert_allclose(np.cov(members.T), true, atol=bound)
    along, across = true[0, 4], true[0, 1]  # neighbours in C order of 3 x 4
    assert along > across + 0.05


def test_several_variables_have_their_covariance():
    mapping, psi = changed("n", 40_000), [[0.6, 0.5], [0.5, 1.4]]
    for component in mapping["components"]:
        component["variables"] = psi
    data = simulate.draw(simulate.Scenario.from_config("variables", mapping), 0, 1)
    assert data.n_variables == 2
    plain = simulate.Scenario.from_config("plain", changed("n", 40_000)).truth
    true = np.kron(plain.covariance(0, data.coordinates), psi)
    np.testing.assert_array_equal(data.truth.covariance(0, data.coordinates), true)
    members = data.X[data.labels == 0]
    bound = 10 * np.sqrt(2 / len(members))
    np.testing.assert_allclose(np.cov(members.T), true, atol=bound)


@pytest.mark.parametrize("psi", [None, [[1, 0.5], [0.4, 1]], [[1, 2], [2, 1]], [[1, 0], [0, 1, 0]]])
def test_bad_covariances_of_variables_are_refused(psi):
    mapping = changed("n", 10)
    mapping["components"][0]["variables"] = [[1, 0], [0, 1]]
    if psi is not None:
        mapping["components"][1]["variables"] = psi
    with pytest.raises(ValueError, match=r"components\.1\.variables must be"):
        simulate.Scenario.from_config("variables", mapping)


def test_the_true_covariance_is_known_at_other_places():
    truth = simulate.Scenario.from_config("grid", GRID).truth
    middle = truth.covariance(0, np.array([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0]]))
    assert middle.shape == (3, 3)
    a1, a2, a3 = truth.alpha[0]
    # The farthest are at scaled distance 2, where the decay is 1.
    np.testing.assert_allclose([middle[0, 0], middle[0, 2]], [a1 + a3, a1 + a2])


def test_outlying_maps_are_blown_up_and_the_others_stay():
    config = {
        "locations": {"grid": [4, 4]},
        "n": 60,
        "weights": [1.0],
        "components": [{"alpha": [1.0, -0.8, 0.3], "beta": 2.0, "mean": {"bump": 2.0}}],
    }

    def drawn(**outliers):
        scenario = simulate.Scenario.from_config("broken", config | {"outliers": outliers})
        return simulate.draw(scenario, 0, 1), scenario.truth.means[0]

    clean, mean = drawn()
    one, _ = drawn(share=0.1)
    more, _ = drawn(share=0.2, inflation=4)
    bad, worse = ((other.X != clean.X).any(axis=1) for other in (one, more))
    assert bad.sum() == 6
    assert worse.sum() == 12
    assert worse[bad].all()
    np.testing.assert_allclose(one.X[bad] - mean, np.sqrt(10) * (clean.X[bad] - mean))
    np.testing.assert_allclose(more.X[worse] - mean, 2 * (clean.X[worse] - mean))
    with pytest.raises(ValueError, match=r"outliers\.share"):
        drawn(share=1.5)


def near(**settings):
    components = [
        {"alpha": [1, -0.9, 0.3], "beta": 2.5},
        {"alpha": [1, -0.9, 0.3], "beta": 5},
    ]
    mapping = {"locations": {"grid": [5, 5]}, "n": 100, "weights": [0.5, 0.5]}
    return simulate.Scenario.from_config("near", mapping | {"components": components} | settings)


def test_known_labels_are_a_share_of_the_true_ones_and_change_no_map():
    plain, told = (simulate.draw(near(known=share), 0, 1) for share in (0, 0.1))
    assert plain.known_labels is None
    np.testing.assert_array_equal(told.X, plain.X)
    known = told.known_labels >= 0
    assert known.sum() == 10
    np.testing.assert_array_equal(told.known_labels[known], told.labels[known])


def test_outlying_maps_may_have_another_level():
    plain = simulate.draw(near(), 0, 1)
    moved = simulate.draw(near(outliers={"share": 0.1, "inflation": 1, "shift": 7}), 0, 1)
    off = moved.X - plain.X
    outlying = np.abs(off).max(axis=1) > 0
    assert outlying.sum() == 10
    np.testing.assert_allclose(off[outlying], 7)

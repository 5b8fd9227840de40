"""The default solver never loses likelihood and never breaks, whatever the data."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates

SHAPES = [(4, 4), (3, 5), (9,), (2, 3, 3), (1, 7), (6, 6)]

#: Every so manyth problem runs the whole multi-start; the others start at random.
MULTISTART_EVERY = 6


def problem(seed, plain):
    """Maps of any shape, number, scale and shift; some off the grid, some with repeated rows."""
    rng = np.random.default_rng(seed)
    coordinates = grid_coordinates(SHAPES[seed % 6])
    if seed % 4 == 3:
        coordinates = rng.uniform(size=coordinates.shape)
    p, G = len(coordinates), 1 + seed % 4
    n = int(rng.choice([max(6, p // 3), p, 3 * p]))
    components = [
        (1 / G, rng.normal(0, 0.5), (1, -rng.uniform(0.2, 0.9), rng.uniform(0.05, 0.5)), beta)
        for beta in rng.uniform(0.5, 8, G)
    ]
    X, _ = plain.draw(coordinates, n, components, seed)
    if seed % 5 == 4:
        X[1::3] = X[0]
    X *= 10.0 ** rng.integers(-6, 7)
    if seed % 3 == 2:
        X += 1e6
    start = "multistart"
    if seed % MULTISTART_EVERY:
        start = rng.dirichlet(np.full(G, (0.05, 1.0)[seed % 2]), size=n)
        start[:G] = np.eye(G)  # no component is empty from the start
    return X, coordinates, G, start


@pytest.mark.parametrize("seed", range(48))
def test_log_likelihood_never_falls(plain, seed):
    X, coordinates, G, start = problem(seed, plain)
    model = SpatialGaussianMixture(
        G, coordinates=coordinates, init=start, n_init=2, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # too many components are warned of
        model.fit(X)
    trace = model.log_likelihood_trace_
    assert (np.diff(trace) >= -1e-8 * np.abs(trace[1:])).all()
    assert model.log_likelihood_ == trace[-1]
    assert len(trace) == model.n_iter_ + 1
    for value in (trace, model.weights_, model.means_, model.alpha_, model.beta_):
        assert np.isfinite(value).all()
    assert model.weights_.sum() == pytest.approx(1)
    assert model.score_samples(X).sum() == pytest.approx(model.log_likelihood_, rel=1e-9)
    # A component without maps is reported.
    empty = np.flatnonzero(model.predict_proba(X).sum(axis=0) < 1.5)
    np.testing.assert_array_equal(model.empty_components_, empty)


@pytest.mark.parametrize("seed", range(0, 48, 7))
def test_log_likelihood_never_falls_with_constant_means(plain, seed):
    X, coordinates, G, start = problem(seed, plain)
    if isinstance(start, str):
        start = np.arange(len(X)) % G
    model = SpatialGaussianMixture(G, coordinates=coordinates, init=start, mean="constant")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    trace = model.log_likelihood_trace_
    assert (np.diff(trace) >= -1e-8 * np.abs(trace[1:])).all()
    assert np.isfinite(model.alpha_).all()
    np.testing.assert_allclose(
        model.means_, np.broadcast_to(model.means_[:, :1], model.means_.shape), rtol=1e-9
    )


def test_a_component_too_many_is_reported():
    rng = np.random.default_rng(7)
    X = np.repeat(rng.normal(size=(2, 9)), [6, 1], axis=0) + 0.01 * rng.normal(size=(7, 9))
    start = np.array([0, 0, 0, 0, 0, 0, 1])
    told = r"component 2 \(labels_ 1\).*n_components=2 is too many"
    with pytest.warns(ConvergenceWarning, match=told):
        model = SpatialGaussianMixture(2, coordinates=(3, 3), init=start).fit(X)
    assert model.empty_components_ == [1]


@pytest.mark.parametrize("init", ["kmeans", "multistart"])
def test_fewer_different_maps_than_components_warns_of_that_alone(init):
    X = np.repeat(np.random.default_rng(8).normal(size=(2, 6)), 4, axis=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = SpatialGaussianMixture(3, init=init, random_state=0).fit(X)
    assert {warning.category for warning in caught} <= {ConvergenceWarning}
    assert np.isfinite(model.log_likelihood_)

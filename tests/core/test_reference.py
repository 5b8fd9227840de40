"""Both solvers against the peer's numbers, and `gls` against a dense version of itself."""

import contextlib

import numpy as np
import pytest

from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay
from spatgmm.covariance.family import SpatialCovariance
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.kernel import Kernel
from spatgmm.fitting.em import EmptyComponentError
from spatgmm.fitting.gls import GLS
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.means import FreeMean
from spatgmm.fitting.scales import NoScales
from spatgmm.fitting.state import Model

BEST_KNOWN = {"spat_grid10": -37779.209, "spat_irregular": -24628.886, "spat_line": -3338.004}


@pytest.mark.parametrize("name", BEST_KNOWN)
@pytest.mark.parametrize("random_state", [0, 1])
def test_default_fit_reaches_the_best_log_likelihood_known(reference, name, random_state):
    data = reference(name)
    model = SpatialGaussianMixture(
        data.n_components, coordinates=data.coordinates, random_state=random_state
    ).fit(data.X)
    assert model.log_likelihood_ == pytest.approx(BEST_KNOWN[name], abs=0.01)
    assert model.converged_
    trace = model.log_likelihood_trace_
    assert (np.diff(trace) >= -1e-8 * np.abs(trace[1:])).all()


@pytest.fixture(scope="module")
def gls_fit(reference):
    def fit(name):
        data = reference(name)
        return SpatialGaussianMixture(
            data.n_components, coordinates=data.coordinates, solver="gls", init=data.start
        ).fit(data.X)

    return fit


@pytest.mark.parametrize("name", BEST_KNOWN)
def test_gls_reproduces_the_peer_from_the_true_labels(reference, gls_fit, name):
    data, model = reference(name), gls_fit(name)
    assert model.log_likelihood_ == pytest.approx(data.peer_log_likelihood, abs=0.05)
    np.testing.assert_allclose(model.alpha_, data.peer_alpha, rtol=0.01)
    np.testing.assert_allclose(model.beta_, data.peer_beta, rtol=0.01)


@pytest.mark.parametrize("name", ["spat_line", "spat_grid10"])
def test_gls_is_the_plainly_written_algorithm(reference, gls_fit, plain, name):
    data, model = reference(name), gls_fit(name)
    weights, means, alpha, beta, trace = plain.gls_em(data.X, data.coordinates, data.start)
    np.testing.assert_allclose(model.log_likelihood_trace_, trace, rtol=1e-9)
    np.testing.assert_allclose(model.weights_, weights, rtol=1e-5)
    np.testing.assert_allclose(model.means_, means, atol=1e-5)
    np.testing.assert_allclose(model.alpha_, alpha, rtol=1e-4)
    np.testing.assert_allclose(model.beta_, beta, rtol=1e-4)


def test_from_the_same_start_scoring_is_no_worse_than_gls(reference, gls_fit):
    for name in BEST_KNOWN:
        data = reference(name)
        scoring = SpatialGaussianMixture(
            data.n_components, coordinates=data.coordinates, init=data.start
        )
        assert scoring.fit(data.X).log_likelihood_ >= gls_fit(name).log_likelihood_ - 1e-3


@pytest.fixture(scope="module")
def hard(plain):
    """Maps with hardly any nugget: unconstrained GLS steps leave the cone."""

    def make(seed):
        coordinates = grid_coordinates((4, 4))
        beta = np.random.default_rng(seed).uniform(1, 3)
        components = [(0.5, 0, (1, -0.9, 0.05), beta), (0.5, 0, (3, -2.9, 0.02), 2.0)]
        return coordinates, *plain.draw(coordinates, 40, components, seed)

    return make


@pytest.fixture
def floored(monkeypatch):
    """How often a covariance had its eigenvalues floored."""
    count = []
    at_floored = SpatialCovariance.at_floored

    def counting(family, theta, floor):
        if family.at(theta) is None:
            count.append(theta)
        return at_floored(family, theta, floor)

    monkeypatch.setattr(SpatialCovariance, "at_floored", counting)
    return count


def test_gls_floors_eigenvalues_as_the_plain_algorithm(plain, hard, floored):
    compared = 0
    for seed in range(12):
        coordinates, X, labels = hard(seed)
        X = (X - X.mean(axis=0)) / (X - X.mean(axis=0)).std()  # the floor is in units of the data
        floored.clear()
        geometry = Geometry(coordinates, symmetry=False)
        family = SpatialCovariance(Kernel(geometry, decay.get("sigmoid")))
        model = Model(family, FreeMean(), NoScales(), np.zeros(4, dtype=bool))
        start = GLS(1.0).start(None, Maps([X]), np.eye(2)[labels], model)
        log_likelihood, _ = start.expectation(Maps([X]))
        *_, trace = plain.gls_em(X, coordinates, np.eye(2)[labels], beta_start=1.0, max_iter=0)
        # Floored matrices have condition numbers of 1e8 and more: later iterations are chaotic.
        assert log_likelihood == pytest.approx(trace[0], rel=0.01)
        compared += bool(floored)
    assert compared > 3


def test_gls_is_let_fall(hard, floored):
    falls = []
    for seed in range(24):
        _, X, labels = hard(seed)
        model = SpatialGaussianMixture(2, coordinates=(4, 4), solver="gls", init=labels)
        # Which seeds lose a component depends on the last bits of the BLAS.
        with contextlib.suppress(EmptyComponentError):
            falls.append(np.diff(model.fit(X).log_likelihood_trace_).min())
    assert floored
    assert min(falls) < -1e4


def test_gls_stops_at_an_empty_component_and_names_it(hard):
    messages = []
    for seed in range(6):
        _, X, labels = hard(seed)
        try:
            SpatialGaussianMixture(
                2, coordinates=(4, 4), solver="gls", init=labels, beta_init=0.01
            ).fit(X)
        except EmptyComponentError as error:
            messages.append(str(error))
    assert messages
    assert set(messages) <= {f"solver='gls': component {g} became empty" for g in (0, 1)}


@pytest.mark.parametrize("seed", [0, 14, 20])
def test_scoring_does_not_break_where_gls_does(hard, seed):
    _, X, labels = hard(seed)
    model = SpatialGaussianMixture(2, coordinates=(4, 4), init=labels, beta_init=0.01).fit(X)
    trace = model.log_likelihood_trace_
    assert (np.diff(trace) >= -1e-8 * np.abs(trace[1:])).all()
    assert all(np.linalg.eigvalsh(Xi)[0] > 0 for Xi in model.covariances_)
    assert not model.empty_components_

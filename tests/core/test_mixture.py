"""The estimator: what a fit returns, and that its methods agree with one another."""

from types import SimpleNamespace

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates
from spatgmm.common.threads import blas_threads, one_blas_thread
from spatgmm.covariance.geometry import Geometry
from spatgmm.fitting import engine

COMPONENTS = [(0.6, 0.0, (1.0, -0.9, 0.3), 2.5), (0.4, 0.8, (1.2, -0.8, 0.5), 7.0)]


@pytest.fixture(scope="module")
def fitted(plain):
    """A converged fit on a 4x5 grid, n = 150."""
    coordinates = grid_coordinates((4, 5))
    X, labels = plain.draw(coordinates, 150, COMPONENTS, seed=1)
    model = SpatialGaussianMixture(2, coordinates=(4, 5), n_init=4, random_state=3).fit(X)
    return SimpleNamespace(model=model, X=X, labels=labels, coordinates=coordinates)


def test_covariances_are_those_of_the_paper(fitted, plain):
    for alpha, beta, Xi in zip(
        fitted.model.alpha_, fitted.model.beta_, fitted.model.covariances_, strict=True
    ):
        np.testing.assert_allclose(Xi, plain.covariance(fitted.coordinates, alpha, beta))


def test_distances_are_scaled(fitted, plain):
    np.testing.assert_allclose(
        fitted.model.distances_, plain.distances(fitted.coordinates), atol=1e-11
    )
    np.testing.assert_array_equal(fitted.model.coordinates_, fitted.coordinates)


def test_densities_are_scipys_mixture_of_normals(fitted, plain):
    model = fitted.model
    new, _ = plain.draw(fitted.coordinates, 20, COMPONENTS, seed=2)
    joint = plain.log_joint(new, model.weights_, model.means_, model.covariances_)
    densities = np.exp(joint)
    np.testing.assert_allclose(model.score_samples(new), np.log(densities.sum(axis=1)), rtol=1e-9)
    posterior = densities / densities.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(new), posterior, atol=1e-9)
    np.testing.assert_array_equal(model.predict(new), posterior.argmax(axis=1))
    assert model.score(new) == pytest.approx(np.log(densities.sum(axis=1)).mean())


def test_log_likelihood_is_that_of_the_training_data(fitted, plain):
    model = fitted.model
    assert model.log_likelihood_ == pytest.approx(
        plain.log_likelihood(fitted.X, model.weights_, model.means_, model.covariances_), rel=1e-10
    )


def test_labels_are_the_prediction_on_the_training_data(fitted):
    np.testing.assert_array_equal(fitted.model.predict(fitted.X), fitted.model.labels_)


def test_fit_predict_returns_the_labels(fitted):
    model = SpatialGaussianMixture(2, coordinates=(4, 5), n_init=4, random_state=3)
    np.testing.assert_array_equal(model.fit_predict(fitted.X), fitted.model.labels_)


def test_the_same_seed_gives_the_same_fit(fitted):
    again = SpatialGaussianMixture(2, coordinates=(4, 5), n_init=4, random_state=3).fit(fitted.X)
    assert again.log_likelihood_ == fitted.model.log_likelihood_
    np.testing.assert_array_equal(again.means_, fitted.model.means_)


def test_means_are_the_weighted_means_of_the_maps(fitted):
    # At convergence, so only up to what another iteration would change.
    R = fitted.model.predict_proba(fitted.X)
    np.testing.assert_allclose(
        fitted.model.means_, (R.T @ fitted.X) / R.sum(axis=0)[:, None], atol=1e-3
    )
    np.testing.assert_allclose(fitted.model.weights_, R.mean(axis=0), atol=1e-3)


def test_components_come_by_falling_weight(fitted):
    assert (np.diff(fitted.model.weights_) <= 0).all()


@pytest.mark.parametrize("G", [1, 2, 3])
@pytest.mark.parametrize("mean", ["free", "constant"])
def test_parameters_are_counted_as_published(plain, G, mean):
    X, _ = plain.draw(grid_coordinates((2, 3)), 60, COMPONENTS, seed=4)
    model = SpatialGaussianMixture(
        G, coordinates=(2, 3), mean=mean, init=np.arange(60) % G, tol=10
    ).fit(X)
    of_means = G * 6 if mean == "free" else G
    assert model.n_parameters_ == (G - 1) + of_means + 4 * G


def test_criteria_follow_their_formulas(fitted):
    model, X = fitted.model, fitted.X
    assert model.n_parameters_ == 1 + 2 * 20 + 8
    assert model.bic(X) == pytest.approx(-2 * model.log_likelihood_ + 49 * np.log(150))
    assert model.aic(X) == pytest.approx(-2 * model.log_likelihood_ + 2 * 49)
    sureness = np.log(model.predict_proba(X).max(axis=1)).sum()
    assert model.icl(X) == pytest.approx(model.bic(X) - 2 * sureness)
    assert model.icl(X) >= model.bic(X)


def test_samples_have_the_means_and_covariances_of_the_fit(fitted):
    model = fitted.model
    X, labels = model.sample(20_000)
    assert X.shape == (20_000, 20)
    for g in range(2):
        members = X[labels == g]
        assert len(members) / len(X) == pytest.approx(model.weights_[g], abs=0.02)
        error = np.sqrt(model.covariances_[g].max() / len(members))
        np.testing.assert_allclose(members.mean(axis=0), model.means_[g], atol=6 * error)
        np.testing.assert_allclose(
            np.cov(members.T), model.covariances_[g], atol=9 * error * model.covariances_[g].max()
        )


def test_samples_of_reflection_blocks_have_the_covariance_too(plain):
    coordinates = grid_coordinates((13, 12))
    X, _ = plain.draw(coordinates, 60, [(1.0, 0.0, (1.0, -0.9, 0.3), 2.5)], seed=5)
    model = SpatialGaussianMixture(1, init=np.zeros(60, dtype=int), random_state=1)
    model.fit(X.reshape(60, 13, 12))
    assert model.path_ == "reflection blocks"
    drawn, _ = model.sample(4000)
    np.testing.assert_allclose(np.cov(drawn.T), model.covariances_[0], atol=0.2)


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 3)])
def test_multiway_maps_are_flattened_in_c_order(plain, shape):
    X, labels = plain.draw(grid_coordinates(shape), 80, COMPONENTS, seed=6)
    folded = X.reshape(80, *shape)
    one = SpatialGaussianMixture(2, init=labels).fit(folded)
    np.testing.assert_array_equal(one.coordinates_, grid_coordinates(shape))
    for coordinates in (shape, grid_coordinates(shape)):
        other = SpatialGaussianMixture(2, coordinates=coordinates, init=labels).fit(X)
        assert one.log_likelihood_ == other.log_likelihood_
        np.testing.assert_array_equal(one.predict(folded), other.predict(X))


def test_two_way_maps_without_coordinates_lie_on_a_line(plain):
    X, labels = plain.draw(np.arange(6.0)[:, None], 50, COMPONENTS, seed=7)
    model = SpatialGaussianMixture(2, init=labels).fit(X)
    np.testing.assert_array_equal(model.coordinates_, np.arange(6.0)[:, None])


@pytest.mark.parametrize("solver", ["scoring", "gls"])
def test_a_given_start_is_where_em_starts(plain, solver):
    X, labels = plain.draw(grid_coordinates((3, 4)), 100, COMPONENTS, seed=8)
    hard = np.eye(2)[labels]
    fits = [
        SpatialGaussianMixture(2, coordinates=(3, 4), solver=solver, init=init).fit(X)
        for init in (labels, labels.astype(float), hard)
    ]
    assert fits[0].log_likelihood_trace_.tolist() == fits[1].log_likelihood_trace_.tolist()
    assert fits[0].log_likelihood_trace_.tolist() == fits[2].log_likelihood_trace_.tolist()
    # Components keep the numbers of the start, and weights and means are those of the start.
    swapped = SpatialGaussianMixture(2, coordinates=(3, 4), solver=solver, init=1 - labels).fit(X)
    np.testing.assert_array_equal(swapped.labels_, 1 - fits[0].labels_)
    np.testing.assert_allclose(swapped.beta_, fits[0].beta_[::-1], rtol=1e-6)


def test_the_first_log_likelihood_is_that_of_the_given_start(plain):
    coordinates = grid_coordinates((3, 4))
    X, labels = plain.draw(coordinates, 100, COMPONENTS, seed=9)
    soft = np.where(np.eye(2)[labels] == 1, 0.8, 0.2)
    model = SpatialGaussianMixture(2, coordinates=(3, 4), solver="gls", init=soft, beta_init=3.0)
    trace = model.fit(X).log_likelihood_trace_
    *_, expected = plain.gls_em(X, coordinates, soft, beta_start=3.0)
    assert trace[0] == pytest.approx(expected[0], rel=1e-8)


def test_kmeans_start_knows_means_that_are_far_apart(plain):
    components = [(0.5, 0.0, (1.0, -0.9, 0.3), 2.5), (0.5, 6.0, (1.0, -0.9, 0.3), 6.0)]
    X, labels = plain.draw(grid_coordinates((3, 4)), 80, components, seed=10)
    model = SpatialGaussianMixture(2, coordinates=(3, 4), init="kmeans", random_state=0).fit(X)
    assert model.n_iter_ < 50
    assert max(np.mean(model.labels_ == labels), np.mean(model.labels_ != labels)) == 1


def test_constant_means_are_constant_and_cost_likelihood(fitted):
    start = fitted.model.labels_
    constant = SpatialGaussianMixture(2, coordinates=(4, 5), mean="constant", init=start).fit(
        fitted.X
    )
    free = SpatialGaussianMixture(2, coordinates=(4, 5), init=start).fit(fitted.X)
    assert np.ptp(constant.means_, axis=1).max() < 1e-12
    np.testing.assert_allclose(sorted(constant.means_[:, 0]), [0, 0.8], atol=0.3)
    assert constant.log_likelihood_ < free.log_likelihood_


def test_constant_columns_are_a_warning_only(plain):
    X, labels = plain.draw(grid_coordinates((3, 4)), 40, COMPONENTS, seed=11)
    X[:, 5] = 2.0
    with pytest.warns(UserWarning, match=r"1 of 12 columns are constant \(first: column 5\)"):
        model = SpatialGaussianMixture(2, coordinates=(3, 4), init=labels).fit(X)
    assert np.isfinite(model.log_likelihood_)


def test_some_locations_on_the_same_spot_are_fine(plain):
    coordinates = grid_coordinates((3, 4))
    coordinates[1] = coordinates[0]
    X, labels = plain.draw(grid_coordinates((3, 4)), 60, COMPONENTS, seed=12)
    model = SpatialGaussianMixture(2, coordinates=coordinates, init=labels).fit(X)
    assert np.isfinite(model.log_likelihood_)
    assert model.distances_[0, 1] == 0


@pytest.mark.parametrize("shape", [(12, 13), (4, 6, 7)])
def test_reflection_blocks_give_the_same_fit_as_the_dense_path(plain, monkeypatch, shape):
    coordinates = grid_coordinates(shape)
    X, labels = plain.draw(coordinates, 60, COMPONENTS, seed=13)
    fits = {}
    for symmetry in (True, False):

        def forced(coordinates, _, symmetry=symmetry, **options):
            return Geometry(coordinates, symmetry, **options)

        monkeypatch.setattr(engine, "Geometry", forced)
        fits[symmetry] = SpatialGaussianMixture(2, coordinates=shape, init=labels).fit(X)
    blocks, dense = fits[True], fits[False]
    assert (blocks.path_, dense.path_) == ("reflection blocks", "one dense block")
    assert blocks.n_iter_ == dense.n_iter_
    for name in ("log_likelihood_trace_", "weights_", "alpha_", "beta_", "covariances_"):
        np.testing.assert_allclose(getattr(blocks, name), getattr(dense, name), rtol=1e-8)
    np.testing.assert_allclose(blocks.means_, dense.means_, atol=1e-8)
    np.testing.assert_allclose(blocks.score_samples(X), dense.score_samples(X), rtol=1e-8)


def test_a_grid_in_another_order_takes_the_blocks_too(plain):
    coordinates = grid_coordinates((13, 12))
    X, labels = plain.draw(coordinates, 40, COMPONENTS, seed=14)
    order = np.random.default_rng(0).permutation(len(coordinates))
    one = SpatialGaussianMixture(2, coordinates=coordinates, init=labels).fit(X)
    other = SpatialGaussianMixture(2, coordinates=coordinates[order], init=labels).fit(X[:, order])
    assert one.path_ == other.path_ == "reflection blocks"
    np.testing.assert_allclose(one.means_[:, order], other.means_, rtol=1e-8)


def test_verbose_shows_progress_on_standard_error(plain, capsys):
    X, labels = plain.draw(grid_coordinates((2, 3)), 40, COMPONENTS, seed=15)
    SpatialGaussianMixture(2, coordinates=(2, 3), init=labels, verbose=True).fit(X)
    shown = capsys.readouterr()
    assert "log-likelihood" in shown.err
    assert shown.out == ""


def test_blas_runs_on_one_thread_inside_a_fit_and_as_before_after():
    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = threads()
    with one_blas_thread():
        assert set(threads()) == {1}
        with blas_threads(10_000):  # never more than there were
            assert set(threads()) == {1}
    assert threads() == before
    with blas_threads(10_000):
        assert threads() == before

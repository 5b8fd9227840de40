"""Models in files: what a saved one says after loading, and damaged files."""

import numpy as np
import pytest

import spatgmm
from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates

COORDINATES = grid_coordinates((6, 6))


@pytest.fixture(scope="module")
def X(plain):
    components = [(0.5, 0.0, (1, -0.9, 0.5), 2.0), (0.5, 0.0, (1, -0.4, 0.8), 6.0)]
    return plain.draw(COORDINATES, 60, components, seed=3)[0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"decay": "exponential", "likelihood": "cosine", "mean": "smooth"},
        {"decay": "exponential", "likelihood": "vecchia", "n_neighbors": 12, "mean": "constant"},
        {"metric": "rotated", "sharing": "beta", "mean": "common"},
        {"variance": "location", "missing": "em"},
        {"decay": "ispline"},
    ],
    ids=lambda options: "-".join(map(str, options.values())) or "default",
)
def test_a_loaded_model_says_the_same(X, options, tmp_path):
    start = np.arange(60) % 2
    model = SpatialGaussianMixture(
        np.int64(2), coordinates=COORDINATES, init=start, max_iter=30, tol=0.1, **options
    ).fit(X)
    model.save(tmp_path / "model.npz")
    again = spatgmm.load(tmp_path / "model.npz")
    np.testing.assert_allclose(again.score_samples(X), model.score_samples(X), rtol=1e-9)
    np.testing.assert_allclose(again.predict_proba(X), model.predict_proba(X), atol=1e-7)
    for name in ("weights_", "means_", "alpha_", "beta_", "scales_"):
        np.testing.assert_allclose(getattr(again, name), getattr(model, name), rtol=1e-10)
    for name in ("log_likelihood_", "n_parameters_", "likelihood_", "mean_", "decay_", "metric_"):
        assert getattr(again, name) == getattr(model, name)
    assert again.bic(X) == pytest.approx(model.bic(X))
    assert again.sample(3)[0].shape == (3, 36)
    assert (tmp_path / "model.npz").stat().st_size < 30_000


def test_files_that_are_no_models_are_named(X, tmp_path):
    for name, content in (("empty", b""), ("text", b"no model"), ("zip", b"PK\x03\x04 torn")):
        path = tmp_path / f"{name}.npz"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}.npz: damaged"):
            spatgmm.load(path)
    np.savez(tmp_path / "other.npz", X=X)
    with pytest.raises(ValueError, match=r"other.npz: damaged"):
        spatgmm.load(tmp_path / "other.npz")


def test_a_refused_refit_leaves_the_old_fit(X):
    model = SpatialGaussianMixture(2, coordinates=COORDINATES, init=np.arange(60) % 2, tol=1)
    model.fit(X)
    before = model.predict(X)
    for wrong in (np.ones((60, 36)), X[:, :20], np.full((60, 36), np.nan)):
        with pytest.raises(ValueError, match=r"X|coordinates"):
            model.fit(wrong)
        np.testing.assert_array_equal(model.predict(X), before)

"""Memory: what is left of it, and refusals before a fit that needs more."""

import resource
import subprocess
import sys

import numpy as np
import pytest

from spatgmm import SpatialGaussianMixture, memory
from spatgmm.common.locations import grid_coordinates
from spatgmm.fitting.memory import estimate

MAPS = np.random.default_rng(0).normal(size=(20, 400))


def limited(monkeypatch, n_bytes):
    monkeypatch.setattr(memory, "_limits", lambda: iter([n_bytes]))


@pytest.mark.parametrize("likelihood", ["exact", "cosine", "vecchia"])
def test_a_fit_that_needs_more_than_there_is_is_refused_with_the_figures(monkeypatch, likelihood):
    limited(monkeypatch, 1e7)
    model = SpatialGaussianMixture(2, coordinates=(20, 20), likelihood=likelihood)
    with pytest.raises(ValueError, match=rf"'{likelihood}' with 20 maps at 400 locations.*GB"):
        model.fit(MAPS)


def test_auto_takes_what_fits(monkeypatch):
    settings = {"coordinates": (20, 20), "mean": "zero", "n_init": 1, "random_state": 0}
    assert SpatialGaussianMixture(1, **settings).fit(MAPS).likelihood_ == "exact"
    limited(monkeypatch, 1e8)
    assert SpatialGaussianMixture(1, **settings).fit(MAPS).likelihood_ == "cosine"
    with pytest.raises(ValueError, match="'vecchia' with 20 maps at 399 locations"):
        SpatialGaussianMixture(
            1, **settings | {"coordinates": grid_coordinates((20, 20))[:-1]}
        ).fit(MAPS[:, :-1])


def test_estimates_grow_with_what_is_kept():
    def of(likelihood, **changed):
        sizes = {"n": 100, "p": 20_000, "n_components": 2, "n_blocks": 1, "n_neighbors": 60}
        return estimate(likelihood, **sizes | changed)

    assert of("exact", n_blocks=4) < 0.3 * of("exact")
    assert of("exact", p=40_000) > 3.9 * of("exact")
    assert of("cosine", p=40_000) < 2.1 * of("cosine")
    assert of("vecchia", n_neighbors=120) > of("vecchia")
    assert of("cosine") < of("vecchia") < of("exact")


def test_limits_of_the_process_count():
    code = (
        "import resource; from spatgmm import memory;"
        "resource.setrlimit(resource.RLIMIT_AS, (2**32, resource.RLIM_INFINITY));"
        "print(memory.available())"
    )
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        pytest.skip("there is a limit already")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < float(done.stdout) < 2**32


def test_the_limit_of_a_control_group_counts(monkeypatch, tmp_path):
    most, taken = tmp_path / "max", tmp_path / "current"
    most.write_text("1000000\n")
    taken.write_text("400000\n")
    monkeypatch.setattr(memory, "_GROUPS", ((str(most), str(taken)),))
    assert memory.available() == 600_000
    most.write_text("max\n")
    assert memory.available() > 600_000

"""What the model must find on the real data, with the loaders' documented settings."""

from __future__ import annotations

import numpy as np
import pytest

from spatgmm import datasets, methods
from spatgmm.common.agreement import ari

FOUR = {"months": ("Jan", "Apr", "Jul", "Oct")}


@pytest.mark.parametrize(
    ("name", "settings", "least"),
    [
        ("film", {"centred": True}, 0.85),
        ("film", {"centred": False}, 0.8),
        ("texture", {"centred": False}, 0.75),
        ("texture", {"centred": True}, 0.75),
        pytest.param("climate", FOUR, 0.8, marks=pytest.mark.r),
        pytest.param("climate", {"centred": True}, 0.4, marks=pytest.mark.r),
        # Simulated, but what the study shows until the user brings maps.
        ("raman", {"centred": False}, 0.85),
    ],
)
def test_spatgmm_finds_the_groups(name, settings, least):
    data = datasets.load(name, **settings)
    result = methods.get("spatgmm").fit(data, len(data.label_names), np.random.default_rng(1))
    assert ari(data.labels, result.labels) >= least
    assert result.converged

"""Control: labels drawn at random. Its ARI must be about 0, or the scoring is wrong."""

from __future__ import annotations

import numpy as np

from spatgmm.data import Dataset
from spatgmm.methods import FitResult

LABEL = "Random labels"
USES = ("n_variables",)
SECONDS = 0.001
DEFAULTS = {}


def fit(data: Dataset, n_components: int, rng: np.random.Generator) -> FitResult:
    return FitResult(labels=rng.integers(n_components, size=len(data.X)))

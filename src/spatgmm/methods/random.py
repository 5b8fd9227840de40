"""Control: labels drawn at random. Its ARI must be about 0, or the scoring is wrong."""

from __future__ import annotations

import numpy as np

from spatgmm.data import Dataset
from spatgmm.methods import FitResult

NAME = "random"
LABEL = "Random labels"
DEFAULTS = {}


def supports(data: Dataset, n_components: int) -> str | None:
    return None


def fit(data: Dataset, n_components: int, rng: np.random.Generator) -> FitResult:
    return FitResult(labels=rng.integers(n_components, size=len(data.X)))

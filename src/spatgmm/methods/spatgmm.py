"""SpatGMM: a Gaussian mixture with spatial covariance, by Fisher scoring with multi-start."""

from __future__ import annotations

import numpy as np

from spatgmm.data import Dataset
from spatgmm.methods import FitResult, _spatgmm

LABEL = "SpatGMM"
SECONDS = 0.15
USES = ("n_variables", *_spatgmm.USES)
DEFAULTS = _spatgmm.SCORING


def fit(data: Dataset, n_components: int, rng: np.random.Generator, **parameters) -> FitResult:
    return _spatgmm.fit(data, n_components, rng, solver="scoring", **parameters)

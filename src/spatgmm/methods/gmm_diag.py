"""Gaussian mixture with diagonal covariance matrices, from scikit-learn."""

from __future__ import annotations

import numpy as np

from spatgmm.data import Dataset
from spatgmm.methods import FitResult, _gaussian_mixture

LABEL = "GMM, diagonal covariance"
USES = ("n_variables",)
SECONDS = 0.02
DEFAULTS = _gaussian_mixture.DEFAULTS


def fit(data: Dataset, n_components: int, rng: np.random.Generator, **parameters) -> FitResult:
    p = data.X.shape[1]
    return _gaussian_mixture.fit(data, n_components, rng, "diag", p, **parameters)

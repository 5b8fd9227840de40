"""Gaussian mixture with full covariance matrices, from scikit-learn."""

from __future__ import annotations

import numpy as np

from spatgmm.data import Dataset
from spatgmm.methods import FitResult, _gaussian_mixture

LABEL = "GMM, full covariance"
USES = ("n_variables",)
SECONDS = 0.03
DEFAULTS = _gaussian_mixture.DEFAULTS


def fit(data: Dataset, n_components: int, rng: np.random.Generator, **parameters) -> FitResult:
    p = data.X.shape[1]
    return _gaussian_mixture.fit(data, n_components, rng, "full", p * (p + 1) // 2, **parameters)

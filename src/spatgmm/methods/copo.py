"""COPO: covariance projected spectral clustering."""

from __future__ import annotations

import numpy as np

from spatgmm.baselines.copo import COPO
from spatgmm.data import Dataset
from spatgmm.methods import FitResult

NAME = "copo"
LABEL = "COPO"
# rank: dimension of the embedding; None for the number of components.
DEFAULTS = {"rank": None, "n_iter": 10}


def supports(data: Dataset, n_components: int) -> str | None:
    return None


def fit(
    data: Dataset, n_components: int, rng: np.random.Generator, rank: int | None, n_iter: int
) -> FitResult:
    model = COPO(n_components, rank=rank, n_iter=n_iter, random_state=rng).fit(data.X)
    return FitResult(labels=model.labels_, n_iter=model.n_iter_, converged=model.converged_)

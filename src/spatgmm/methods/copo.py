"""COPO: covariance projected spectral clustering."""

from __future__ import annotations

import numpy as np

from spatgmm.baselines import options
from spatgmm.baselines.copo import COPO
from spatgmm.data import Dataset
from spatgmm.methods import FitResult

LABEL = "COPO"
USES = ("n_variables",)
SECONDS = 0.02
DEFAULTS = {name: options.COPO[name] for name in ("rank", "n_iter")}


def fit(
    data: Dataset, n_components: int, rng: np.random.Generator, rank: int | None, n_iter: int
) -> FitResult:
    model = COPO(n_components, rank=rank, n_iter=n_iter, random_state=rng).fit(data.X)
    return FitResult(labels=model.labels_, n_iter=model.n_iter_, converged=model.converged_)

"""k-means, from scikit-learn."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans

from spatgmm.common.constraints import Integer, Parameter
from spatgmm.data import Dataset
from spatgmm.methods import FitResult

LABEL = "k-means"
USES = ("n_variables",)
SECONDS = 0.01
DEFAULTS = {
    "n_init": Parameter(10, Integer(1), "number of random starts"),
    "max_iter": Parameter(300, Integer(1), "largest number of iterations of a start"),
}


def fit(
    data: Dataset, n_components: int, rng: np.random.Generator, n_init: int, max_iter: int
) -> FitResult:
    model = KMeans(
        n_components, n_init=n_init, max_iter=max_iter, random_state=int(rng.integers(2**31))
    ).fit(data.X)
    return FitResult(
        labels=model.labels_,
        n_iter=model.n_iter_,
        converged=model.n_iter_ < max_iter,
        extras={"inertia": float(model.inertia_)},
    )

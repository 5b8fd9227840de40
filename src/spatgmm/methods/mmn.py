"""MMN: mixture of matrix normals with unrestricted row and column covariances."""

from __future__ import annotations

import warnings

import numpy as np

from spatgmm.baselines import options
from spatgmm.baselines.matrix_normal import MatrixNormalMixture
from spatgmm.data import Dataset
from spatgmm.methods import FitResult

LABEL = "Matrix normals"
SECONDS = 0.2
DEFAULTS = {name: options.MATRIX_NORMAL[name] for name in ("n_init", "tol", "max_iter")}


def supports(data: Dataset, n_components: int) -> str | None:
    if data.shape is None:
        return "needs a grid: irregular locations have no rows and columns"
    if len(data.shape) < 2:
        return f"needs a grid of rows and columns, this one has shape {tuple(data.shape)}"
    return None


def fit(
    data: Dataset,
    n_components: int,
    rng: np.random.Generator,
    n_init: int,
    tol: float,
    max_iter: int,
) -> FitResult:
    model = MatrixNormalMixture(
        n_components,
        shape=data.shape,
        n_init=n_init,
        tol=tol,
        max_iter=max_iter,
        random_state=rng,
    )
    with warnings.catch_warnings():
        # What they say is in the result.
        warnings.simplefilter("ignore")
        model.fit(data.X)
    return FitResult(
        labels=model.labels_,
        log_likelihood=model.log_likelihood_,
        n_parameters=model.n_parameters_,
        n_iter=model.n_iter_,
        converged=model.converged_,
        probabilities=model.predict_proba(data.X),
        extras={"degenerate": bool(model.degenerate_components_)},
    )

"""Control: classification by the true parameters. No method can do better on average."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from spatgmm.data import Dataset
from spatgmm.methods import FitResult

LABEL = "True parameters"
USES = ("n_variables",)
SECONDS = 0.004
DEFAULTS = {}
CONTROL = True  # the one method that is shown the true parameters


def supports(data: Dataset, n_components: int) -> str | None:
    if data.truth is None:
        return "the true parameters are not known"
    if len(data.truth.weights) != n_components:
        return f"the truth has {len(data.truth.weights)} components, not {n_components}"
    return None


def fit(data: Dataset, n_components: int, rng: np.random.Generator) -> FitResult:
    truth, (n, p) = data.truth, data.X.shape
    log_joint = np.empty((n, n_components))
    for g in range(n_components):
        factor = np.linalg.cholesky(truth.covariance(g, data.coordinates))
        white = solve_triangular(factor, (data.X - truth.means[g]).T, lower=True)
        log_determinant = 2 * np.log(np.diag(factor)).sum()
        log_joint[:, g] = np.log(truth.weights[g]) - 0.5 * (
            p * np.log(2 * np.pi) + log_determinant + (white**2).sum(axis=0)
        )
    return FitResult(
        labels=log_joint.argmax(axis=1), log_likelihood=float(logsumexp(log_joint, axis=1).sum())
    )

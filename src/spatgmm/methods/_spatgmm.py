"""What spatgmm and spatgmm-gls share: this package's estimator."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from spatgmm.data import Dataset
from spatgmm.methods import FitResult
from spatgmm.mixture import SpatialGaussianMixture

_OF_ESTIMATOR = ("n_init", "init", "tol", "max_iter", "decay", "mean", "beta_init", "verbose")
_ESTIMATOR = SpatialGaussianMixture().get_params()

DEFAULTS = {name: _ESTIMATOR[name] for name in _OF_ESTIMATOR} | {"standard_errors": False}


def fit(
    data: Dataset,
    n_components: int,
    rng: np.random.Generator,
    solver: str,
    standard_errors: bool,
    **parameters,
) -> FitResult:
    """Fit with `solver`; estimates are always reported, standard errors where asked for."""
    model = SpatialGaussianMixture(
        n_components,
        coordinates=data.coordinates,
        solver=solver,
        random_state=int(rng.integers(2**31)),
        **parameters,
    )
    with warnings.catch_warnings():
        # Whether it converged is a column of the results.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(data.X)
    parameters = _with_covariances(model, data.X) if standard_errors else _estimates(model)
    return FitResult(
        labels=model.labels_,
        log_likelihood=model.log_likelihood_,
        n_parameters=model.n_parameters_,
        n_iter=model.n_iter_,
        converged=model.converged_,
        extras={"parameters": parameters},
    )


def _estimates(model: SpatialGaussianMixture) -> pd.DataFrame:
    """The columns of ``standard_errors`` without the standard errors."""
    rows = [
        (g, name, value)
        for g in range(model.n_components)
        for name, value in [
            ("weight", model.weights_[g]),
            *((f"alpha{k + 1}", model.alpha_[g, k]) for k in range(3)),
            ("beta", model.beta_[g]),
        ]
    ]
    table = pd.DataFrame(rows, columns=["component", "parameter", "estimate"])
    return table.assign(std_error=np.nan, lower=np.nan, upper=np.nan)


def _with_covariances(model: SpatialGaussianMixture, X: np.ndarray) -> pd.DataFrame:
    """Standard errors, and covariances of the estimates as parameters ``cov.alpha1.alpha2``, ..."""
    table = model.standard_errors(X)
    names = ("alpha1", "alpha2", "alpha3", "beta")
    rows = [
        (g, f"cov.{names[i]}.{names[j]}", covariance[i][j])
        for g, covariance in enumerate(table.attrs["covariance"])
        for i, j in zip(*np.triu_indices(4, 1), strict=True)
    ]
    covariances = pd.DataFrame(rows, columns=["component", "parameter", "estimate"])
    covariances = covariances.assign(std_error=np.nan, lower=np.nan, upper=np.nan)
    return pd.concat([table, covariances], ignore_index=True)

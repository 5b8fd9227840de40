"""What gmm-full and gmm-diag share: scikit-learn's Gaussian mixture."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from spatgmm.common.constraints import Integer, Number, Parameter
from spatgmm.data import Dataset
from spatgmm.methods import FitResult

DEFAULTS = {
    "n_init": Parameter(5, Integer(1), "number of starts from k-means"),
    "max_iter": Parameter(200, Integer(1), "largest number of EM iterations"),
    "tol": Parameter(1e-3, Number(0), "tolerance on the mean log-likelihood of a map"),
    "reg_covar": Parameter(1e-6, Number(0), "added to the diagonal of covariances"),
}


def fit(
    data: Dataset,
    n_components: int,
    rng: np.random.Generator,
    covariance_type: str,
    covariance_parameters: int,
    **parameters,
) -> FitResult:
    """Fit, with `covariance_parameters` free values in each component's covariance matrix."""
    model = GaussianMixture(
        n_components,
        covariance_type=covariance_type,
        random_state=int(rng.integers(2**31)),
        **parameters,
    )
    with warnings.catch_warnings():
        # Whether it converged is a column of the results.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = model.fit_predict(data.X)
    p = data.X.shape[1]
    return FitResult(
        labels=labels,
        log_likelihood=float(model.score_samples(data.X).sum()),
        n_parameters=n_components - 1 + n_components * (p + covariance_parameters),
        n_iter=model.n_iter_,
        converged=model.converged_,
        probabilities=model.predict_proba(data.X),
    )

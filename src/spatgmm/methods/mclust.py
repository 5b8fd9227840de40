"""MCLUST: up to 14 covariance models, chosen by BIC. R's own package, through rpy2.

References
----------
Scrucca, Fraley, Murphy and Raftery (2023), "Model-Based Clustering, Classification, and Density
Estimation Using mclust in R", Chapman & Hall/CRC.
"""

from __future__ import annotations

import numpy as np

from spatgmm.common import r
from spatgmm.data import Dataset
from spatgmm.methods import FitResult

NAME = "mclust"
LABEL = "MCLUST"
# models: None for all that mclust tries at this n and p, or a list of names such as ["VVV"].
DEFAULTS = {"models": None}
REQUIRES = ("mclust",)

_FIT = """
function(X, G, models, seed) {
  set.seed(seed)
  fit <- Mclust(X, G = G, modelNames = models, verbose = FALSE)
  if (is.null(fit)) stop("mclust could fit none of its models to these data")
  list(fit$classification, fit$loglik, fit$df, fit$modelName)
}
"""


def supports(data: Dataset, n_components: int) -> str | None:
    return None


def fit(
    data: Dataset, n_components: int, rng: np.random.Generator, models: list[str] | None
) -> FitResult:
    with r.session("mclust") as ro:
        models = ro.NULL if models is None else ro.StrVector(models)
        # mclust draws a subset to start from where n is above 2000.
        seed = int(rng.integers(2**31))
        labels, log_likelihood, n_parameters, model = ro.r(_FIT)(
            data.X, n_components, models, seed
        ).values()
    return FitResult(
        labels=np.asarray(labels, dtype=np.int64) - 1,
        log_likelihood=float(log_likelihood[0]),
        n_parameters=int(n_parameters[0]),
        extras={"model": str(model[0])},
    )

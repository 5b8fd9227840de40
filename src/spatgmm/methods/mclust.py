"""MCLUST: up to 14 covariance models, chosen by BIC. R's own package, through rpy2.

References
----------
Scrucca, Fraley, Murphy and Raftery (2023), "Model-Based Clustering, Classification, and Density
Estimation Using mclust in R", Chapman & Hall/CRC.
"""

from __future__ import annotations

import numpy as np

from spatgmm.common import r
from spatgmm.common.constraints import Choice, List, Parameter, optional
from spatgmm.data import Dataset
from spatgmm.methods import FitResult

LABEL = "MCLUST"
USES = ("n_variables",)
SECONDS = 0.3
REQUIRES = ("mclust",)

#: Volume, shape and orientation: equal (E), variable (V), or of the identity matrix (I).
_MODELS = (
    *("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE"),
    *("VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"),
)
DEFAULTS = {
    "models": Parameter(
        None,
        optional(List(Choice(*_MODELS), 1)),
        "models to try; None: all that mclust tries at this n and p",
    )
}

_FIT = """
function(X, G, models, seed) {
  set.seed(seed)
  fit <- Mclust(X, G = G, modelNames = models, verbose = FALSE)
  if (is.null(fit)) stop("mclust could fit none of its models to these data")
  list(fit$classification, fit$loglik, fit$df, fit$modelName)
}
"""


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

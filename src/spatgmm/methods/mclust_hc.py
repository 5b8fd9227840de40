"""Model-based hierarchical clustering: ``hc`` of R's mclust, through rpy2.

References
----------
Fraley (1998), "Algorithms for model-based Gaussian hierarchical clustering", SIAM Journal on
Scientific Computing 20, 270-281.
"""

from __future__ import annotations

import numpy as np

from spatgmm.common import r
from spatgmm.common.constraints import Choice, Parameter
from spatgmm.data import Dataset
from spatgmm.methods import FitResult

LABEL = "mclust, hierarchical"
USES = ("n_variables",)
SECONDS = 0.2
# The defaults are mclust's own.
DEFAULTS = {
    "model": Parameter(
        "VVV", Choice("EII", "VII", "EEE", "VVV"), "covariances of the merged clusters"
    ),
    "use": Parameter(
        "SVD",
        Choice("VARS", "STD", "SPH", "PCS", "PCR", "SVD"),
        "what is done to the variables first; VARS: nothing",
    ),
}
REQUIRES = ("mclust",)

_FIT = """
function(X, G, model, use) as.integer(hclass(hc(X, modelName = model, use = use), G))
"""


def fit(
    data: Dataset, n_components: int, rng: np.random.Generator, model: str, use: str
) -> FitResult:
    with r.session("mclust") as ro:
        labels = ro.r(_FIT)(data.X, n_components, model, use)
    return FitResult(labels=np.asarray(labels, dtype=np.int64).ravel() - 1)

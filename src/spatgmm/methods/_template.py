"""Copy this file to ``my_method.py`` in this folder: the method ``my-method`` is then there.

It runs with one line of configuration, and no rule, table or figure needs a change.
"""

from __future__ import annotations

import numpy as np
from sklearn.cluster import AgglomerativeClustering

from spatgmm.data import Dataset
from spatgmm.methods import FitResult

LABEL = "My method"  # in tables and legends

# Every parameter that fit takes, to be set in the configuration. To have values checked before a
# run: "linkage": Parameter("ward", Choice("ward", "average"), "distance of clusters"), names
# from spatgmm.common.constraints.
DEFAULTS = {"linkage": "ward"}


def fit(data: Dataset, n_components: int, rng: np.random.Generator, linkage: str) -> FitResult:
    """Cluster the rows of ``data.X`` (n, p), with ``data.coordinates`` (p, d) and ``data.shape``.

    Draw random numbers from `rng` only. Leave out what the method does not have: log_likelihood
    (total) and n_parameters (together they give BIC), n_iter, converged, and extras
    (``{"name": scalar}``, each of which becomes a column of the results).
    """
    model = AgglomerativeClustering(n_components, linkage=linkage)
    return FitResult(labels=model.fit_predict(data.X))


# Optional: REQUIRES = ("package",) for R packages, which spatgmm.common.r.session gives;
# SECONDS = 0.02, what a fit of 200 maps of 100 pixels takes, roughly: it orders a study's jobs;
# USES = ("n_variables", "known_labels", "weights"), those of them that fit heeds in the data; and
# supports(data, n_components), None if the method can run on these data, else the reason.

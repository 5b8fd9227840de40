"""Copy this file to ``my_method.py`` in this folder: the method ``my-method`` is then there.

It runs with one line of configuration, and no rule, table or figure needs a change.
"""

from __future__ import annotations

import numpy as np
from sklearn.cluster import AgglomerativeClustering

from spatgmm.data import Dataset
from spatgmm.methods import FitResult

NAME = "my-method"  # the file's name with "-" for "_"
LABEL = "My method"  # in tables and legends
DEFAULTS = {"linkage": "ward"}  # every parameter that fit takes, to be set in the configuration
REQUIRES = ()  # R packages, used with: with _r.session("package") as ro: ...


def supports(data: Dataset, n_components: int) -> str | None:
    """None if the method can run on these data, else the reason; a table shows it."""
    return None


def fit(data: Dataset, n_components: int, rng: np.random.Generator, linkage: str) -> FitResult:
    """Cluster the rows of ``data.X`` (n, p), with ``data.coordinates`` (p, d) and ``data.shape``.

    Draw random numbers from `rng` only. Leave out what the method does not have: log_likelihood
    (total) and n_parameters (together they give BIC), n_iter, converged, and extras
    (``{"name": scalar}``, each of which becomes a column of the results).
    """
    model = AgglomerativeClustering(n_components, linkage=linkage)
    return FitResult(labels=model.fit_predict(data.X))

"""PGMM: twelve mixtures of factor analyzers with 1 to 3 factors, chosen by BIC."""

from __future__ import annotations

import numpy as np

from spatgmm.baselines import options
from spatgmm.baselines.options import MODELS
from spatgmm.baselines.parsimonious import largest_n_factors, search_parsimonious
from spatgmm.common.constraints import Choice, Integer, List, Parameter, optional
from spatgmm.data import Dataset
from spatgmm.methods import FitResult

LABEL = "PGMM"
USES = ("n_variables",)
SECONDS = 0.6
DEFAULTS = {
    "models": Parameter(
        None, optional(List(Choice(*MODELS), 1)), "models to try; None: all twelve"
    ),
    "n_factors": Parameter([1, 2, 3], List(Integer(1), 1), "numbers of factors to try"),
    "n_init": Parameter(1, Integer(1), "starts of each model, the first from k-means"),
    **{name: options.PARSIMONIOUS[name] for name in ("tol", "max_iter")},
}


def supports(data: Dataset, n_components: int) -> str | None:
    p = data.X.shape[1]
    if largest_n_factors(p) < 1:
        return f"a factor is identified from 3 locations on, these data have {p}"
    return None


def fit(
    data: Dataset,
    n_components: int,
    rng: np.random.Generator,
    models: list[str] | None,
    n_factors: list[int],
    n_init: int,
    tol: float,
    max_iter: int,
) -> FitResult:
    best, table = search_parsimonious(
        data.X,
        n_components,
        models=MODELS if models is None else models,
        n_factors=n_factors,
        n_init=n_init,
        tol=tol,
        max_iter=max_iter,
        random_state=rng,
    )
    return FitResult(
        labels=best.labels_,
        log_likelihood=best.log_likelihood_,
        n_parameters=best.n_parameters_,
        n_iter=best.n_iter_,
        converged=best.converged_,
        probabilities=best.predict_proba(data.X),
        extras={
            "model": best.model,
            "n_factors": best.n_factors,
            "models_fitted": len(table),
            "models_degenerate": int(table["degenerate"].sum()),
        },
    )

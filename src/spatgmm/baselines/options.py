"""Every parameter of the baselines, declared once; the estimators and their plug-ins read it."""

from __future__ import annotations

from spatgmm.common.constraints import (
    REQUIRED,
    SEED,
    Choice,
    Either,
    Integer,
    Number,
    Parameter,
    given,
    optional,
)

#: The twelve models: loadings shared (C) or not (U), then the noise.
MODELS = tuple(
    loadings + noise for noise in ("CC", "CU", "UC", "UU", "CUU", "UCU") for loadings in "CU"
)

_N_COMPONENTS = Parameter(REQUIRED, Integer(1), "number of components")
_RANDOM_STATE = Parameter(None, SEED, "seed of all random starts")


def _em(n_init: Parameter) -> dict[str, Parameter]:
    """What baselines that are fitted by EM have in common."""
    start = Either(
        Choice("kmeans", "random"),
        given("labels (n,) or responsibilities (n, G)"),
    )
    return {
        "init": Parameter(None, optional(start), "k-means, random or given starts; None: both"),
        "n_init": n_init,
        "tol": Parameter(1e-6, Number(above=0), "tolerance on what the log-likelihood may gain"),
        "max_iter": Parameter(1000, Integer(1), "largest number of EM iterations"),
        "random_state": _RANDOM_STATE,
    }


#: In the order of each estimator's signature.
PARSIMONIOUS = {
    "n_components": _N_COMPONENTS,
    "n_factors": Parameter(REQUIRED, Integer(1), "number of factors"),
    "model": Parameter("UUU", Choice(*MODELS), "constraints on loadings, then on the noise"),
    **_em(
        Parameter(
            None,
            optional(Integer(1)),
            "number of starts, the first from k-means; None: as many as are cheap",
        )
    ),
}

MATRIX_NORMAL = {
    "n_components": _N_COMPONENTS,
    "shape": Parameter(None, optional(given("a grid shape (r, c)")), "rows and columns of a map"),
    **_em(Parameter(10, Integer(1), "number of starts, the first from k-means")),
}

COPO = {
    "n_components": _N_COMPONENTS,
    "rank": Parameter(None, optional(Integer(1)), "dimension of the embedding; None: n_components"),
    "n_iter": Parameter(10, Integer(1), "largest number of reassignments"),
    "random_state": _RANDOM_STATE,
}

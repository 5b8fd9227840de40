"""Every parameter of the spatial mixture, declared once.

The estimator, its plug-ins, configurations and the command line read it here.  Names of decays and
metrics are written out (tested), since their objects need scipy, which takes long to import.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from spatgmm.common import constraints
from spatgmm.common.constraints import (
    ABSENT,
    FLAG,
    NOTHING,
    SEED,
    Choice,
    Either,
    Integer,
    Keys,
    Kind,
    List,
    Named,
    Number,
    Parameter,
    Problem,
    Rule,
    Text,
    given,
    optional,
)

#: Leaves the choice to BIC, of a likelihood to the size of the data.
AUTO = "auto"

#: Decays with one parameter, which the paper's algorithm and simulations take, and the others.
ONE_PARAMETER_DECAYS = (
    "sigmoid",
    "exponential",
    "matern32",
    "matern52",
    "gaussian",
    "quadratic",
)
DECAYS = (*ONE_PARAMETER_DECAYS, "ispline")

#: Other names of the same decays.
DECAY_ALIASES = ("matern12",)

#: Parameters of a mixture to start from.
STARTING_PARAMETERS = Keys(
    {
        "weights": Parameter(ABSENT, given("an array of shape (G,)"), "equal if not given"),
        "means": Parameter(ABSENT, given("an array of shape (G, p)"), "mean maps"),
        "alpha": Parameter(ABSENT, given("an array of shape (G, 3)"), "coefficients"),
        "shape": Parameter(
            ABSENT, given("an array of shape (G, q)"), "parameters of decay and metric"
        ),
        "variable_covariances": Parameter(
            ABSENT, given("an array of shape (G, q, q)"), "beside alpha of several variables"
        ),
    }
)

#: Coefficients of a covariance, one by one.
_COEFFICIENTS = ("alpha1", "alpha2", "alpha3")


def _numbers(shape: str) -> Rule:
    """Arrays of numbers; whether their shape is this one only the data decide."""

    def of_numbers(value: Any) -> bool:
        try:
            return np.asarray(value, dtype=float).ndim > 0
        except (TypeError, ValueError):
            return False

    return Kind(f"an array of numbers of shape {shape}", of_numbers)


#: What ``fixed`` can hold beside parameters of decay and metric, which all components have alike.
HELD_PARTS = {
    "weights": _numbers("(G,)"),
    "means": _numbers("(G, p)"),
    "alpha": _numbers("(G, 3)"),
    **{name: Either(Number(), _numbers("(G,)")) for name in _COEFFICIENTS},
}


class _Fixed(Named):
    """The rule of ``fixed``: numbers by the names of shape parameters, and parts of a mixture."""

    def __str__(self) -> str:
        return f"a mapping of at least one of {', '.join(HELD_PARTS)} or a parameter's name"

    def inside(self, value: Any) -> Iterator[Problem]:
        parts = {name: item for name, item in value.items() if name in HELD_PARTS}
        yield from super().inside({k: item for k, item in value.items() if k not in parts})
        for name, item in parts.items():
            yield from (problem.at(name) for problem in HELD_PARTS[name].problems(item))
        both = [name for name in _COEFFICIENTS if name in parts and "alpha" in parts]
        if both:
            yield Problem((both[0],), "is held by alpha already; give one of the two")


#: All parameters of :class:`spatgmm.SpatialGaussianMixture`, in the order of its signature.
OPTIONS = {
    "n_components": Parameter(2, Integer(1), "number of components"),
    "coordinates": Parameter(
        None,
        optional(given("an array of shape (p, d) or a grid shape")),
        "locations, or a grid shape",
    ),
    "decay": Parameter(
        "sigmoid", Choice(*DECAYS, AUTO, also=DECAY_ALIASES), "how covariance falls with distance"
    ),
    "mean": Parameter(
        "free",
        Choice("free", "constant", "common", "zero", "smooth", AUTO),
        "one mean per location and component, per component, per location, none, a few waves each",
    ),
    "metric": Parameter(
        "isotropic",
        Choice("isotropic", "axes", "rotated", "additive", AUTO),
        "whether correlation has a direction, or decays along axes are added",
    ),
    "variance": Parameter(
        "constant", Choice("constant", "location"), "whether the variance differs by location"
    ),
    "sharing": Parameter(
        "none",
        Choice("none", "beta", "alpha", "all"),
        "covariance parameters that all components share",
    ),
    "missing": Parameter(
        "error", Choice("error", "em"), "whether an empty value is an error or a missing pixel (em)"
    ),
    "tails": Parameter(
        "normal",
        Choice("normal", "t", "contaminated"),
        "how often a map lies far from its component; t and contaminated bear outlying maps",
    ),
    "likelihood": Parameter(
        AUTO,
        Choice(AUTO, "exact", "cosine", "vecchia"),
        "exact, in cosines (large grids), or by nearest neighbours (any large set of locations)",
    ),
    "n_neighbors": Parameter(60, Integer(1), "neighbours of a location, for vecchia"),
    "space": Parameter(
        "plane",
        Choice("plane", "sphere"),
        "plane, or sphere: coordinates are longitude and latitude in degrees, lengths in km",
    ),
    "period": Parameter(
        None,
        Either(Number(above=0), List(optional(Number(above=0)), 1, 3), NOTHING),
        "circumference of each axis that closes, in the unit of the coordinates",
    ),
    "n_variables": Parameter(1, Integer(1), "values at each location, the last axis of the maps"),
    "variables": Parameter(
        "full",
        Choice("full", "diagonal", "factor"),
        "covariance between several variables: any, none, or by a few factors",
    ),
    "n_factors": Parameter(
        None, optional(Integer(1)), "factors of the variables, fewer than they are"
    ),
    "solver": Parameter("scoring", Choice("scoring", "gls"), "Fisher scoring, or the paper's GLS"),
    "init": Parameter(
        "multistart",
        Either(
            Choice("multistart", "kmeans"),
            STARTING_PARAMETERS,
            given("labels (n,) or responsibilities (n, G)"),
        ),
        "many starts, one from k-means, or one from labels, responsibilities or parameters",
    ),
    "n_init": Parameter(10, Integer(1), "starts per round of the search"),
    "tol": Parameter(1e-4, Number(above=0), "absolute tolerance on the log-likelihood"),
    "max_iter": Parameter(500, Integer(1), "largest number of exact EM iterations"),
    "random_state": Parameter(None, SEED, "seed of all random starts"),
    "fixed": Parameter(
        None,
        optional(_Fixed(Text(r"[a-z]\w*", "the name of a parameter"), Number(), least=1)),
        "parameters that are held, by name: {beta: 2.5}; also alpha, alpha1 .. 3, means, weights",
    ),
    "beta_init": Parameter(None, optional(Number(above=0)), "first beta of a single start"),
    "verbose": Parameter(False, FLAG, "show progress on standard error"),
}

#: What the paper's algorithm, which knows no more than the paper's model, narrows down.
PAPER_ONLY = {
    "decay": Choice(*ONE_PARAMETER_DECAYS, also=DECAY_ALIASES),
    "metric": Choice("isotropic"),
    "variance": Choice("constant"),
    "sharing": Choice("none"),
    "missing": Choice("error"),
    "tails": Choice("normal"),
    "likelihood": Choice("exact", AUTO),
    "fixed": NOTHING,
    "n_variables": Kind("1", lambda value: value == 1),
}

#: What several variables at a location narrow down: scales of locations would be one for each
#: variable, and a component's coefficients alpha mean nothing without its covariance of variables.
SEVERAL_VARIABLES = {
    "variance": Choice("constant"),
    "sharing": Choice("none", "beta"),
}


def check(values: Mapping[str, Any]) -> None:
    """Refuse values of parameters that the estimator does not take, alone or together.

    Raises
    ------
    ValueError
        With everything that is wrong, each by its name.
    """
    constraints.check(Keys(OPTIONS), values)
    _check_held(values)
    if values["space"] == "sphere" and values["period"] is not None:
        raise ValueError("period: a sphere (space='sphere') is closed already; leave period out")
    _check_variables(**{name: values[name] for name in ("n_variables", "variables", "n_factors")})
    if values["n_variables"] > 1:
        for name, allowed in SEVERAL_VARIABLES.items():
            for problem in allowed.problems(values[name]):
                raise ValueError(f"n_variables={values['n_variables']}: {problem.at(name)}")
    if values["solver"] == "gls":
        for name, rule in PAPER_ONLY.items():
            for problem in rule.problems(values[name]):
                raise ValueError(
                    f"solver='gls' is the paper's algorithm: {problem.at(name)}; "
                    "use solver='scoring'"
                )


def _check_held(values: Mapping[str, Any]) -> None:
    """Refuse what cannot be held beside other options."""
    fixed = values["fixed"] or {}
    if set(fixed) - set(HELD_PARTS) and values["beta_init"] is not None:
        raise ValueError("fixed, beta_init: give one of the two; what is held needs no start")
    of_covariance = sorted({"alpha", *_COEFFICIENTS} & set(fixed))
    of_mixture = of_covariance + sorted({"means"} & set(fixed))
    if of_mixture and values["variance"] != "constant":
        raise ValueError(
            f"fixed: {of_mixture[0]} cannot be held with variance={values['variance']!r}, whose "
            "scales, which are estimated, are a part of it; use variance='constant'"
        )
    if of_covariance and values["n_variables"] > 1:
        raise ValueError(
            f"fixed: {of_covariance[0]} cannot be held with n_variables={values['n_variables']}: "
            "it means nothing without the covariance between variables, which is estimated"
        )
    if "means" in fixed and values["mean"] != "free":
        raise ValueError(
            f"fixed: means that are held leave nothing to mean={values['mean']!r}; leave mean out"
        )


def _check_variables(n_variables: int, variables: str, n_factors: int | None) -> None:
    """Refuse a covariance between variables that says less or more than it needs."""
    if variables != "factor":
        if n_factors is not None:
            raise ValueError(f"n_factors={n_factors} needs variables='factor', got {variables!r}")
        if n_variables == 1 and variables != "full":
            raise ValueError(f"variables={variables!r} needs n_variables of at least 2")
        return
    if n_factors is None or n_factors >= n_variables:
        raise ValueError(
            f"variables='factor' needs n_factors below n_variables={n_variables}, got {n_factors}"
        )

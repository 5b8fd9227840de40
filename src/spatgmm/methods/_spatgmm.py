"""What spatgmm and spatgmm-gls share: this package's estimator."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spatgmm.common.constraints import FLAG, Choice, Parameter, Rule
from spatgmm.covariance.metric import DIRECTIONS
from spatgmm.data import Dataset
from spatgmm.fitting.options import OPTIONS, PAPER_ONLY
from spatgmm.methods import FitResult

if TYPE_CHECKING:
    from spatgmm.mixture import SpatialGaussianMixture

#: What both take besides maps of one variable.
USES = ("known_labels", "weights")

#: What the default solver takes: all but what the data, the seed and the plug-in decide.
SCORING = {
    name: option
    for name, option in OPTIONS.items()
    if name not in ("n_components", "coordinates", "n_variables", "solver", "random_state")
} | {"standard_errors": Parameter(False, FLAG, "compute standard errors of the parameters")}


def _leaves_a_choice(rule: Rule) -> bool:
    return isinstance(rule, Choice) and len(rule.names) > 1


#: What the paper's algorithm takes, which leaves no choice in some.
PAPER = {
    name: replace(option, rule=PAPER_ONLY.get(name, option.rule))
    for name, option in SCORING.items()
    if name not in ("variables", "n_factors")
    and (name not in PAPER_ONLY or _leaves_a_choice(PAPER_ONLY[name]))
}


def fit(
    data: Dataset,
    n_components: int,
    rng: np.random.Generator,
    solver: str,
    standard_errors: bool,
    **parameters,
) -> FitResult:
    """Fit with `solver`; estimates are always reported, standard errors where asked for."""
    from sklearn.exceptions import ConvergenceWarning

    from spatgmm.mixture import SpatialGaussianMixture

    model = SpatialGaussianMixture(
        n_components,
        coordinates=data.coordinates,
        n_variables=data.n_variables,
        solver=solver,
        random_state=int(rng.integers(2**31)),
        **parameters,
    )
    with warnings.catch_warnings():
        # Whether it converged is a column of the results.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(data.X, known_labels=data.known_labels, sample_weight=data.weights)
    uncertainty = {}
    if standard_errors:
        parameters = model.standard_errors(data.X)
        names = model.parameter_names_
        uncertainty["covariances"] = {
            g: pd.DataFrame(covariance, names, names)
            for g, covariance in enumerate(parameters.attrs["covariance"])
        }
    else:
        parameters = _estimates(model)
    directions = _directions(model)
    if len(directions):
        parameters = pd.concat([parameters, directions], ignore_index=True)
    return FitResult(
        labels=model.labels_,
        log_likelihood=model.log_likelihood_,
        n_parameters=model.n_parameters_,
        n_iter=model.n_iter_,
        converged=model.converged_,
        probabilities=model.predict_proba(data.X),
        outlier_probability=model.outlier_probability_,
        means=model.means_.reshape(n_components, -1),
        extras={
            "decay": model.decay_,
            "likelihood": model.likelihood_,
            "icl": model.icl(data.X),
            "empty_components": len(model.empty_components_),
            "largest_fall": _largest_fall(model.log_likelihood_trace_),
            "condition_number": model.condition_number_,
            "parameters": parameters,
            **uncertainty,
        },
        model=model,
    )


def _largest_fall(trace: np.ndarray) -> float:
    """The largest fall of the log-likelihood from one iteration to the next, relative to it."""
    falls = -np.diff(trace) / np.maximum(np.abs(trace[1:]), 1)
    return float(falls.max(initial=0.0))


def _estimates(model: SpatialGaussianMixture) -> pd.DataFrame:
    """The columns of ``standard_errors`` without the standard errors."""
    names = ("weight", *model.parameter_names_)
    rows = [
        (g, name, value)
        for g in range(model.n_components)
        for name, value in zip(
            names, [model.weights_[g], *model.alpha_[g], *model.shape_[g]], strict=True
        )
    ]
    return _without_errors(rows)


def _directions(model: SpatialGaussianMixture) -> pd.DataFrame:
    """What the metric says of directions, as further parameters."""
    rows = model.geostatistics().itertuples()
    return _without_errors(
        [(row.component, row.quantity, row.estimate) for row in rows if row.quantity in DIRECTIONS]
    )


def _without_errors(rows) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["component", "parameter", "estimate"])
    return table.assign(std_error=np.nan, lower=np.nan, upper=np.nan)

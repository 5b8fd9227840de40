"""What the baselines with a likelihood share as estimators."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from spatgmm.common import checks, constraints, em
from spatgmm.common.base import LikelihoodMixture
from spatgmm.common.constraints import Parameter
from spatgmm.common.values import LARGEST_SQUARED, as_numbers, check_size
from spatgmm.common.words import named_components

#: A component keeps at least this much weight in a division; an empty one keeps finite parameters.
LEAST_WEIGHT = 1e-8

#: Leaps begin after so many plain steps even while clusters still form: some of these mixtures
#: creep long before they settle.
LONGEST_SETTLING = 60


class Units(NamedTuple):
    """Where zero lies and how long one is, for the iterations.

    One number scales all columns, since isotropic noise and row x column covariances are not the
    same model after scaling columns one by one.
    """

    shift: np.ndarray
    scale: float

    @classmethod
    def of(cls, X: np.ndarray) -> Units:
        return cls(X.mean(axis=0), float(np.sqrt(X.var(axis=0).mean())))

    def apply(self, X: np.ndarray) -> np.ndarray:
        return (X - self.shift) / self.scale

    def log_jacobian(self) -> float:
        """What a row's log-density loses by going back to the data's units."""
        return float(len(self.shift) * np.log(self.scale))


def check_rows(
    estimator: BaseEstimator, X: ArrayLike, reset: bool, largest: float = LARGEST_SQUARED
) -> np.ndarray:
    """Finite data (n, p), C order; with `reset` also enough of them that differ."""
    rows: np.ndarray = validate_data(
        estimator, as_numbers(X), reset=reset, dtype=np.float64, order="C", ensure_all_finite=False
    )
    checks.check_finite(rows)
    check_size(rows, largest)
    if reset and len(rows) <= estimator.n_components:
        raise ValueError(
            f"X has {len(rows)} rows (n_samples = {len(rows)}); "
            f"n_components={estimator.n_components} needs more"
        )
    if reset:
        checks.check_rows_differ(rows)
    return rows


class Baseline(LikelihoodMixture):
    """Checks and fitted attributes of the baselines."""

    #: The estimator's parameters, from :mod:`spatgmm.baselines.options`.
    _declared: dict[str, Parameter]

    #: How the best of several starts is found.
    _rounds: tuple[em.Round, ...] = (em.Round(40, 3),)

    @abstractmethod
    def _log_joint(self, X: np.ndarray) -> np.ndarray:
        """``log(pi_g) + log f_g(x_i)`` (n, G) at the fitted parameters, in the data's units."""

    def _check_settings(self) -> None:
        constraints.check(constraints.Keys(self._declared), self.get_params(deep=False))

    def _check_rows(self, X: ArrayLike, reset: bool) -> np.ndarray:
        return check_rows(self, X, reset)

    def _best(self, problem: em.Problem, starts: list) -> em.Fit:
        """The best fit from these first parameters."""
        return em.run_best(problem, starts, self._rounds, tol=self.tol, max_iter=self.max_iter)[0]

    def _take(self, X: np.ndarray, best: em.Fit, degenerate: np.ndarray) -> None:
        """The fitted attributes that do not depend on the model.

        ``degenerate`` (G,): which components have too few rows for a covariance of their own.
        """
        jacobian = len(X) * self._units.log_jacobian()
        self.log_likelihood_trace_ = np.array(best.trace) - jacobian
        self.log_likelihood_ = float(self.log_likelihood_trace_[-1])
        self.n_iter_ = best.n_iter
        self.converged_ = best.converged
        self.degenerate_components_ = np.flatnonzero(degenerate).tolist()
        self.labels_ = self._log_joint(X).argmax(axis=1)
        self._warn_unless_converged(stacklevel=4)
        if self.degenerate_components_:
            warnings.warn(
                f"{named_components(*self.degenerate_components_)}: too few rows for a covariance "
                f"of their own; n_components={self.n_components} is too many for these data",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _joint(self, X: ArrayLike) -> np.ndarray:
        check_is_fitted(self)
        return self._log_joint(self._check_rows(X, reset=False))

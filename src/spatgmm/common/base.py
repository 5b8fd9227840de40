"""What every mixture with a likelihood offers, the spatial one and the baselines."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClusterMixin, DensityMixin
from sklearn.exceptions import ConvergenceWarning


def bic(log_likelihood: float, n_parameters: int, n: int) -> float:
    """Bayesian information criterion of `n` rows, smaller is better (Schwarz, 1978)."""
    return float(-2 * log_likelihood + n_parameters * np.log(n))


@contextmanager
def kept_if_refused(estimator: BaseEstimator) -> Iterator[None]:
    """A refit that fails, or is interrupted, leaves the old fit as it was."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _summed(values: np.ndarray, sample_weight) -> tuple[float, float]:
    """The sum over all rows, each as often as it counts, and how many rows that are."""
    if sample_weight is None:
        return float(values.sum()), len(values)
    weights = np.asarray(sample_weight, dtype=float)
    return float(weights @ values), float(weights.sum())


class LikelihoodMixture(ClusterMixin, DensityMixin, BaseEstimator):
    """Prediction and information criteria from ``log(pi_g) + log f_g(x)`` alone."""

    @abstractmethod
    def _joint(self, X) -> np.ndarray:
        """``log(pi_g) + log f_g(x_i)`` (n, G) of checked data, in their units."""

    def score_samples(self, X) -> np.ndarray:
        """Log-density of each row, shape (n,)."""
        return logsumexp(self._joint(X), axis=1)

    def score(self, X, y=None) -> float:
        """Mean log-density per row."""
        return float(self.score_samples(X).mean())

    def predict_proba(self, X) -> np.ndarray:
        """Posterior probabilities, shape (n, G)."""
        joint = self._joint(X)
        return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))

    def predict(self, X) -> np.ndarray:
        """The most probable component of each row, shape (n,)."""
        return self._joint(X).argmax(axis=1)

    def bic(self, X, sample_weight=None) -> float:
        """Bayesian information criterion, smaller is better.

        With weights, of as many rows as these sum to.
        """
        log_density = self.score_samples(X)
        total, n = _summed(log_density, sample_weight)
        return bic(total, self.n_parameters_, n)

    def aic(self, X, sample_weight=None) -> float:
        """Akaike's information criterion, smaller is better."""
        total, _ = _summed(self.score_samples(X), sample_weight)
        return float(-2 * total + 2 * self.n_parameters_)

    def icl(self, X, sample_weight=None) -> float:
        """BIC minus twice the log posterior of each row's own component: smaller is better.

        Biernacki, Celeux and Govaert, IEEE TPAMI 22 (2000).
        """
        joint = self._joint(X)
        evidence = logsumexp(joint, axis=1)
        of_own = joint.max(axis=1) - evidence  # log posterior of each row's component
        total, n = _summed(evidence, sample_weight)
        return float(bic(total, self.n_parameters_, n) - 2 * _summed(of_own, sample_weight)[0])

    def _warn_unless_converged(self, stacklevel: int) -> None:
        """Say so if EM stopped at `max_iter`; `stacklevel` as in the method that calls this."""
        if not self.converged_:
            warnings.warn(
                f"EM did not converge in {self.n_iter_} iterations (max_iter={self.max_iter})",
                ConvergenceWarning,
                stacklevel=stacklevel + 1,
            )

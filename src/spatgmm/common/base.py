"""What every mixture with a likelihood offers, the spatial one and the baselines."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClusterMixin, DensityMixin
from sklearn.exceptions import ConvergenceWarning


def bic(log_likelihood: float, n_parameters: int, n: float) -> float:
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


def _summed(values: np.ndarray, sample_weight: ArrayLike | None) -> tuple[float, float]:
    """The sum over all rows, each as often as it counts, and how many rows that are."""
    if sample_weight is None:
        return float(values.sum()), len(values)
    weights = np.asarray(sample_weight, dtype=float)
    return float(weights @ values), float(weights.sum())


class LikelihoodMixture(ClusterMixin, DensityMixin, BaseEstimator):
    """Prediction and information criteria from ``log(pi_g) + log f_g(x)`` alone."""

    @abstractmethod
    def _joint(self, X: ArrayLike) -> np.ndarray:
        """``log(pi_g) + log f_g(x_i)`` (n, G) of checked data, in their units."""

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Log-density of each row, shape (n,).

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> model = SpatialGaussianMixture(1, mean="constant").fit(X)
        >>> model.score_samples(X).shape
        (40,)
        """
        return logsumexp(self._joint(X), axis=1)

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Mean log-density per row.

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> model = SpatialGaussianMixture(1, mean="constant").fit(X)
        >>> bool(np.isclose(40 * model.score(X), model.log_likelihood_))
        True
        """
        return float(self.score_samples(X).mean())

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Posterior probabilities, shape (n, G).

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> X[20:] = X[20:].cumsum(axis=1)
        >>> model = SpatialGaussianMixture(2, mean="constant", random_state=0).fit(X)
        >>> model.predict_proba(X).sum(axis=1)[:3]
        array([1., 1., 1.])
        """
        joint = self._joint(X)
        return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))

    def predict(self, X: ArrayLike) -> np.ndarray:
        """The most probable component of each row, shape (n,).

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> X[20:] = X[20:].cumsum(axis=1)
        >>> model = SpatialGaussianMixture(2, mean="constant", random_state=0).fit(X)
        >>> bool((model.predict(X) == model.labels_).all())
        True
        """
        return self._joint(X).argmax(axis=1)

    def bic(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Bayesian information criterion, smaller is better.

        With weights, of as many rows as these sum to.

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> X[20:] = X[20:].cumsum(axis=1)
        >>> model = SpatialGaussianMixture(2, mean="constant", random_state=0).fit(X)
        >>> one = SpatialGaussianMixture(1, mean="constant").fit(X)
        >>> model.bic(X) < one.bic(X)
        True
        """
        log_density = self.score_samples(X)
        total, n = _summed(log_density, sample_weight)
        return bic(total, self.n_parameters_, n)

    def aic(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Akaike's information criterion, smaller is better.

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> model = SpatialGaussianMixture(1, mean="constant").fit(X)
        >>> bool(np.isclose(model.aic(X), 2 * model.n_parameters_ - 2 * model.log_likelihood_))
        True
        """
        total, _ = _summed(self.score_samples(X), sample_weight)
        return float(-2 * total + 2 * self.n_parameters_)

    def icl(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """BIC minus twice the log posterior of each row's own component: smaller is better.

        Biernacki, Celeux and Govaert, IEEE TPAMI 22 (2000).

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> X[20:] = X[20:].cumsum(axis=1)
        >>> model = SpatialGaussianMixture(2, mean="constant", random_state=0).fit(X)
        >>> model.icl(X) >= model.bic(X)
        True
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

"""COPO: covariance projected spectral clustering (Huang & Gu)."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted

from spatgmm.baselines import options, starts
from spatgmm.baselines.base import check_rows
from spatgmm.common import checks, constraints
from spatgmm.common.base import kept_if_refused
from spatgmm.common.checks import Seed
from spatgmm.common.threads import one_blas_thread
from spatgmm.common.values import LARGEST_FOURTH

#: A cluster's covariance gets this share of the embedding's variance on its diagonal: a cluster of
#: few rows, or of rows on a line, still has a distance.
RIDGE = 1e-6


class COPO(ClusterMixin, BaseEstimator):
    """Spectral clustering with a Mahalanobis distance per cluster.

    Rows are embedded by the leading eigenvectors of their Gram matrix with its diagonal set to
    zero, times the eigenvalues; the diagonal holds nothing but each row's own noise. From k-means
    labels there, rows go to the cluster whose centre is nearest in the metric of that cluster's
    covariance, until no row moves.

    Parameters
    ----------
    n_components : int
        Number of clusters.
    rank : int or None, default=None
        Dimension of the embedding. None: ``n_components``.
    n_iter : int, default=10
        Largest number of reassignments.
    random_state : int, Generator, RandomState or None, default=None

    Attributes
    ----------
    labels_ : ndarray of shape (n,)
    embedding_ : ndarray of shape (n, rank)
    eigenvalues_ : ndarray of shape (rank,)
    centres_ : ndarray of shape (n_components, rank)
    covariances_ : ndarray of shape (n_components, rank, rank)
        Of the embedded rows of each cluster.
    n_iter_ : int
    converged_ : bool
        Whether the last reassignment moved no row.

    Examples
    --------
    >>> import numpy as np
    >>> from spatgmm.baselines import COPO
    >>> X = np.random.default_rng(0).normal(size=(40, 5))
    >>> X[20:] += 5
    >>> np.bincount(COPO(2, random_state=0).fit(X).labels_)
    array([20, 20])

    References
    ----------
    Huang and Gu, "Minimax-Optimal Covariance Projected Spectral Clustering for High-Dimensional
    Nonspherical Mixtures", arXiv 2502.02580.
    """

    def __init__(
        self,
        n_components: int,
        *,
        rank: int | None = None,
        n_iter: int = 10,
        random_state: Seed = None,
    ) -> None:
        self.n_components = n_components
        self.rank = rank
        self.n_iter = n_iter
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Cluster the rows of `X`.

        Parameters
        ----------
        X : array-like of shape (n, p)
        y : ignored

        Returns
        -------
        COPO

        Raises
        ------
        ValueError
            If an argument is wrong, `X` holds NaN or infinity, there are not more rows (distinct
            ones, too) than clusters need, or `rank` is larger than X allows.
        """
        constraints.check(constraints.Keys(options.COPO), self.get_params(deep=False))
        with kept_if_refused(self):
            return self._fit(X)

    def _fit(self, X: ArrayLike) -> Self:
        rows = check_rows(self, X, reset=True, largest=LARGEST_FOURTH)
        n, p = rows.shape
        rank = min(self.n_components, n, p) if self.rank is None else self.rank
        if rank > min(n, p):
            raise ValueError(f"rank={rank} is too large for X of shape {rows.shape}")
        rng = checks.random_generator(self.random_state)
        with one_blas_thread():
            self._embed(rows, rank)
            self.labels_ = starts.KMEANS(self.embedding_, self.n_components, rng).astype(np.intp)
            if len(np.unique(self.labels_)) < self.n_components:
                raise ValueError(
                    f"X: fewer than n_components={self.n_components} distinct rows when embedded"
                )
            self._reassign()
        return self

    def _embed(self, X: np.ndarray, rank: int) -> None:
        n = len(X)
        gram = X @ X.T
        np.fill_diagonal(gram, 0.0)
        self.eigenvalues_, vectors = eigh(gram, subset_by_index=(n - rank, n - 1))
        self.embedding_ = vectors * self.eigenvalues_
        # G v = lambda v: a row's embedding is its products with the others, summed along v.
        self._projection = X.T @ vectors

    def _reassign(self) -> None:
        self.converged_ = False
        self.n_iter_ = 0
        self._summarise()
        while self.n_iter_ < self.n_iter and not self.converged_:
            labels = self._distances(self.embedding_).argmin(axis=1)
            self.n_iter_ += 1
            if len(np.unique(labels)) < self.n_components:
                # A cluster that would lose all its rows keeps them: the labels before stand.
                break
            self.converged_ = np.array_equal(labels, self.labels_)
            self.labels_ = labels
            self._summarise()

    def _summarise(self) -> None:
        """Centre and covariance of each cluster."""
        rank = self.embedding_.shape[1]
        ridge = RIDGE * max(self.embedding_.var(axis=0).mean(), np.finfo(float).tiny) * np.eye(rank)
        clusters = [self.embedding_[self.labels_ == k] for k in range(self.n_components)]
        self.centres_ = np.array([rows.mean(axis=0) for rows in clusters])
        self.covariances_ = np.array(
            [np.cov(rows, rowvar=False, bias=True).reshape(rank, rank) + ridge for rows in clusters]
        )

    def _distances(self, embedding: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distances to every cluster, shape (n, n_components)."""
        offsets = embedding - self.centres_[:, None]
        solved = np.linalg.solve(self.covariances_, offsets.transpose(0, 2, 1))
        return np.einsum("knr,krn->nk", offsets, solved)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Clusters of further rows, shape (n,).

        They are embedded by their products with the rows of `fit`. For the rows of `fit`
        themselves use ``labels_``: there a row's product with itself is left out.
        """
        check_is_fitted(self)
        rows = check_rows(self, X, reset=False, largest=LARGEST_FOURTH)
        return self._distances(rows @ self._projection).argmin(axis=1)

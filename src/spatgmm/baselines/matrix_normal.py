"""Mixtures of matrix normals (Viroli 2011), by flip-flop EM."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from numbers import Integral
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh
from sklearn.utils.validation import check_is_fitted

from spatgmm.baselines import options
from spatgmm.baselines.base import LEAST_WEIGHT, LONGEST_SETTLING, Baseline, Units
from spatgmm.baselines.starts import starting_responsibilities
from spatgmm.common import checks, em
from spatgmm.common.base import kept_if_refused
from spatgmm.common.checks import Seed
from spatgmm.common.threads import one_blas_thread
from spatgmm.common.values import as_numbers

#: A row or column covariance whose eigenvalues differ by more is held back: it would turn a few
#: collinear rows into an infinite density.
LARGEST_CONDITION = 1e8
#: Column covariances start a little towards the identity, so that they can be inverted at once.
FIRST_SHRINKAGE = 1e-2


class MatrixNormalMixture(Baseline):
    r"""Mixture of matrix normals with unrestricted row and column covariances.

    Component ``g`` of an r x c matrix is ``N(M_g, U_g, V_g)``: its elements, in C order, have the
    covariance ``U_g kron V_g``. The scale, which only the product knows, is identified by
    ``|U_g| = 1``. Each EM iteration updates the means, ``U`` given ``V`` and ``V`` given ``U``
    (flip-flop), accelerated under a guard so that the log-likelihood never falls.

    Parameters
    ----------
    n_components : int
        Number of components ``G``.
    shape : tuple of int or None, default=None
        Rows and columns of one observation, whose elements are in C order. A longer shape
        ``(r, c, s)`` is folded to ``(r, c * s)``: slices side by side. None: from a multi-way `X`.
    init : {"kmeans", "random"}, array-like or None, default=None
        ``"kmeans"``: one start. ``"random"``: `n_init` starts. None: one k-means start, then
        ``n_init - 1`` random ones. Labels (n,) or responsibilities (n, G): exactly that start.
    n_init : int, default=10
    tol : float, default=1e-6
        Absolute tolerance on the total log-likelihood: stop when Aitken's estimate of what is
        left to gain is below it.
    max_iter : int, default=1000
    random_state : int, Generator, RandomState or None, default=None

    Attributes
    ----------
    weights_ : ndarray of shape (G,)
    means_ : ndarray of shape (G, r, c)
    row_covariances_ : ndarray of shape (G, r, r)
        Determinant 1.
    column_covariances_ : ndarray of shape (G, c, c)
    covariances_ : ndarray of shape (G, r * c, r * c)
        Formed when asked for.
    labels_ : ndarray of shape (n,)
    log_likelihood_ : float
        Total, natural logarithm.
    log_likelihood_trace_ : ndarray
        At every accepted iterate.
    n_iter_ : int
        EM iterations of the chosen start, discarded extrapolations included.
    converged_ : bool
    n_parameters_ : int
    degenerate_components_ : list of int
        Components with too few expected rows for two covariances; their likelihood means nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from spatgmm.baselines import MatrixNormalMixture
    >>> X = np.random.default_rng(0).normal(size=(60, 3, 4))
    >>> X[30:] += 3
    >>> model = MatrixNormalMixture(2, n_init=2, random_state=0).fit(X)
    >>> np.bincount(model.labels_), model.row_covariances_.shape, model.column_covariances_.shape
    (array([30, 30]), (2, 3, 3), (2, 4, 4))

    References
    ----------
    C. Viroli, "Finite mixtures of matrix normal distributions for classifying three-way data",
    Statistics and Computing 21 (2011) 511-522. P. Dutilleul, "The MLE algorithm for the matrix
    normal distribution", Journal of Statistical Computation and Simulation 64 (1999) 105-123.
    """

    _declared = options.MATRIX_NORMAL

    def __init__(
        self,
        n_components: int,
        *,
        shape: tuple[int, ...] | None = None,
        init: str | ArrayLike | None = None,
        n_init: int = 10,
        tol: float = 1e-6,
        max_iter: int = 1000,
        random_state: Seed = None,
    ) -> None:
        self.n_components = n_components
        self.shape = shape
        self.init = init
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n, p), (n, r, c) or (n, r, c, s)
        y : ignored

        Returns
        -------
        MatrixNormalMixture

        Raises
        ------
        ValueError
            If an argument is wrong, `shape` does not multiply to p, `X` holds NaN or infinity, or
            there are not more rows than components.
        """
        self._check_settings()
        with kept_if_refused(self), one_blas_thread():
            X = as_numbers(X)
            shape = self._rows_and_columns(np.shape(X))
            rows = self._check_rows(X, reset=True)
            self.shape_ = shape
            rng = checks.random_generator(self.random_state)
            starts = starting_responsibilities(rows, self.n_components, self.init, self.n_init, rng)
            self._units = Units.of(rows)
            problem = _FlipFlop(self._units.apply(rows), shape)
            best = self._best(problem, [problem.start(given) for given in starts])
            self._take_parameters(rows, problem, best)
        return self

    def _take_parameters(
        self, X: np.ndarray, problem: _FlipFlop, best: em.Fit[_Parameters]
    ) -> None:
        self._parameters = best.parameters
        log_weights, means, rows, columns = best.parameters
        shift, scale = self._units
        self.weights_ = np.exp(log_weights)
        self.means_ = shift.reshape(self.shape_) + scale * means
        self.row_covariances_ = rows @ rows.transpose(0, 2, 1)
        self.column_covariances_ = scale**2 * columns @ columns.transpose(0, 2, 1)
        r, c = self.shape_
        G = self.n_components
        self.n_parameters_ = G - 1 + G * (r * c + r * (r + 1) // 2 + c * (c + 1) // 2 - 1)
        self._take(X, best, problem.degenerate(best.parameters))

    @property
    def covariances_(self) -> np.ndarray:
        """``U_g kron V_g``, shape (G, r * c, r * c)."""
        check_is_fitted(self)
        pairs = zip(self.row_covariances_, self.column_covariances_, strict=True)
        return np.array([np.kron(rows, columns) for rows, columns in pairs])

    def _log_joint(self, X: np.ndarray) -> np.ndarray:
        problem = _FlipFlop(self._units.apply(X), self.shape_)
        return problem.log_joint(self._parameters) - self._units.log_jacobian()

    def _check_rows(self, X: ArrayLike, reset: bool) -> np.ndarray:
        rows = as_numbers(X)
        if np.ndim(rows) > 2:
            rows = rows.reshape(len(rows), -1)
        return super()._check_rows(rows, reset)

    def _rows_and_columns(self, data_shape: tuple[int, ...]) -> tuple[int, int]:
        shape = self.shape
        if shape is None:
            shape = data_shape[1:]
        wrong = not isinstance(shape, (tuple, list)) or len(shape) < 2
        if wrong or not all(isinstance(side, Integral) and int(side) >= 1 for side in shape):
            raise ValueError(
                "shape must hold the numbers of rows and columns (and slices) of one observation, "
                f"such as (8, 8), or X must be multi-way; got shape={self.shape!r} and X of shape "
                f"{data_shape}"
            )
        p = prod(data_shape[1:])
        if prod(shape) != p:
            raise ValueError(
                f"shape={tuple(shape)} multiplies to {prod(shape)}, but X has {p} values per row"
            )
        return int(shape[0]), int(prod(shape[1:]))


class _Parameters(NamedTuple):
    log_weights: np.ndarray  # (G,)
    means: np.ndarray  # (G, r, c)
    rows: np.ndarray  # Cholesky factors of U, (G, r, r)
    columns: np.ndarray  # Cholesky factors of V, (G, c, c)


@dataclass(frozen=True, eq=False)
class _Whitened(em.Expectation):
    """An E-step, with the data whitened over columns (r, n, c) and the whitener, per component."""

    whitened: list[np.ndarray]
    column_whitener: np.ndarray


class _Triangle:
    """Where the entries of a lower triangle lie: rows, places when flat, those on the diagonal."""

    def __init__(self, side: int):
        self._side = side
        self.rows, columns = np.tril_indices(side)
        self.places = self.rows * side + columns
        self.diagonal = np.flatnonzero(self.rows == columns)

    def flat(self, factors: np.ndarray) -> np.ndarray:
        """Entries of factors (G, side, side), the logarithms of those on the diagonal."""
        entries = factors.reshape(len(factors), -1)[:, self.places]
        entries[:, self.diagonal] = np.log(entries[:, self.diagonal])
        return entries.ravel()

    def factor(self, entries: np.ndarray) -> np.ndarray:
        """Back from entries (G, ...) to factors."""
        factors = np.zeros((len(entries), self._side**2))
        factors[:, self.places] = entries
        on_diagonal = self.places[self.diagonal]
        factors[:, on_diagonal] = np.exp(factors[:, on_diagonal])
        return factors.reshape(-1, self._side, self._side)


class _FlipFlop(em.Problem[_Parameters]):
    """The EM of one data set.

    Data lie as (r, n, c), which makes every product over rows and over columns one matrix product.
    """

    longest_settling = LONGEST_SETTLING

    def __init__(self, X: np.ndarray, shape: tuple[int, int]):
        self.n, (self.r, self.c) = len(X), shape
        self.values = np.ascontiguousarray(X.reshape(self.n, *shape).transpose(1, 0, 2))
        self._rows = np.ascontiguousarray(X)
        self._triangles = [_Triangle(side) for side in shape]

    def start(self, responsibilities: np.ndarray) -> _Parameters:
        """Weighted means, rows independent, columns as their pooled scatter within components."""
        total = np.maximum(responsibilities.sum(axis=0), LEAST_WEIGHT)
        means, columns = [], []
        for weight, mass in zip(responsibilities.T, total, strict=True):
            mean = np.tensordot(weight / mass, self.values, axes=(0, 1))
            rows = np.sqrt(weight / (mass * self.r))[:, None] * (self.values - mean[:, None])
            rows = rows.reshape(-1, self.c)
            scatter = rows.T @ rows
            # The data have unit variance: this also starts a component without any scatter.
            scatter[np.diag_indices(self.c)] += FIRST_SHRINKAGE
            means.append(mean)
            columns.append(np.linalg.cholesky(scatter))
        identity = np.broadcast_to(np.eye(self.r), (len(total), self.r, self.r))
        log_weights = np.log(total / total.sum())
        return _Parameters(log_weights, np.array(means), identity, np.array(columns))

    def log_joint(self, parameters: _Parameters) -> np.ndarray:
        """``log(pi_g) + log f_g(x)`` (n, G)."""
        return self._whiten(parameters)[0]

    def expectation(self, parameters):
        log_joint, *parts = self._whiten(parameters)
        return _Whitened(*em.posterior(log_joint), *parts)

    def _whiten(self, parameters: _Parameters):
        log_weights, means, rows, columns = parameters
        row_whitener, column_whitener = np.linalg.inv(rows), np.linalg.inv(columns)
        n, r, c = self.n, self.r, self.c
        whitened = []
        distance = np.empty((len(means), n))
        for g, mean in enumerate(means):
            half = (self.values - mean[:, None]).reshape(r * n, c) @ column_whitener[g].T
            full = (row_whitener[g] @ half.reshape(r, n * c)).reshape(r, n, c)
            distance[g] = np.einsum("rnc,rnc->n", full, full)
            whitened.append(half.reshape(r, n, c))
        log_det = 2 * (
            c * np.log(np.diagonal(rows, axis1=1, axis2=2)).sum(axis=1)
            + r * np.log(np.diagonal(columns, axis1=1, axis2=2)).sum(axis=1)
        )
        distance += (r * c * np.log(2 * np.pi) + log_det)[:, None]
        return (log_weights[:, None] - 0.5 * distance).T, whitened, column_whitener

    def maximisation(self, parameters, expected):
        total = np.maximum(expected.responsibilities.sum(axis=0), LEAST_WEIGHT)
        share = expected.responsibilities / total
        means = (share.T @ self._rows).reshape(parameters.means.shape)
        updated = [
            self._covariances(g, parameters, means[g], share[:, g], expected)
            for g in range(len(total))
        ]
        rows, columns = (np.array(factors) for factors in zip(*updated, strict=True))
        return _Parameters(np.log(total / total.sum()), means, rows, columns)

    def _covariances(
        self, g: int, old: _Parameters, mean: np.ndarray, share: np.ndarray, expected: _Whitened
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cholesky factors of ``U`` given the old ``V``, and of ``V`` given that ``U``."""
        n, r, c = self.n, self.r, self.c
        root = np.sqrt(share)[:, None]
        moved = (old.means[g] - mean) @ expected.column_whitener[g].T
        half = (root * (expected.whitened[g] + moved[:, None])).reshape(r, n * c)
        rows = _cholesky(half @ half.T / c, old.rows[g])
        # The identified scale: |U| = 1; V takes the rest.
        rows /= np.exp(np.log(np.diagonal(rows)).mean())
        centred = (root * (self.values - mean[:, None])).reshape(r, n * c)
        half = (np.linalg.inv(rows) @ centred).reshape(r * n, c)
        return rows, _cholesky(half.T @ half / r, old.columns[g])

    def flat(self, parameters: _Parameters) -> np.ndarray:
        """Cholesky factors by their triangles, with logarithms on the diagonal: whatever becomes
        of them is a covariance again."""
        triangles = zip(self._triangles, parameters[2:], strict=True)
        flat = [triangle.flat(factor) for triangle, factor in triangles]
        return np.concatenate([parameters.log_weights, parameters.means.ravel(), *flat])

    def from_flat(self, flat: np.ndarray, like: _Parameters) -> _Parameters:
        G, size = len(like.means), like.means.size
        log_weights, means, rest = flat[:G], flat[G : G + size], flat[G + size :]
        of_rows = G * len(self._triangles[0].places)
        return _Parameters(
            log_weights - np.logaddexp.reduce(log_weights),
            means.reshape(like.means.shape),
            self._triangles[0].factor(rest[:of_rows].reshape(G, -1)),
            self._triangles[1].factor(rest[of_rows:].reshape(G, -1)),
        )

    def metric(self, parameters: _Parameters) -> np.ndarray:
        """Rough roots of the parameters' complete-data information per observation."""
        root_weight = np.exp(0.5 * parameters.log_weights)[:, None]
        scales = [1 / np.diagonal(factor, axis1=1, axis2=2) for factor in parameters[2:]]
        of_means = root_weight[:, :, None] * scales[0][:, :, None] * scales[1][:, None, :]
        parts = [root_weight.ravel(), of_means.ravel()]
        for triangle, scale, other in zip(self._triangles, scales, (self.c, self.r), strict=True):
            entries = np.sqrt(other) * root_weight * scale[:, triangle.rows]
            entries[:, triangle.diagonal] = np.sqrt(2 * other) * root_weight
            parts.append(entries.ravel())
        return np.concatenate(parts)

    def degenerate(self, parameters: _Parameters) -> np.ndarray:
        """Which components have too few expected rows for both covariances to exist, (G,)."""
        needed = max(self.r / self.c, self.c / self.r) + 1
        return np.exp(parameters.log_weights) * self.n < needed

    def sound(self, parameters, expected):
        return not self.degenerate(parameters).any()


def _cholesky(scatter: np.ndarray, previous: np.ndarray) -> np.ndarray:
    """Cholesky factor of the likeliest covariance of bounded condition and size, given the scatter.

    Where the bound is active its fit need not be an improvement; then the previous factor stays.
    """
    try:
        factor = np.linalg.cholesky(scatter)
        pivots = np.diagonal(factor) ** 2
        if pivots.min() > _floor(pivots.max()):
            return factor
    except np.linalg.LinAlgError:
        pass
    values, vectors = eigh(scatter)
    values = np.maximum(values, _floor(values[-1]))
    factor = np.linalg.cholesky((vectors * values) @ vectors.T)

    def deviance(candidate: np.ndarray) -> float:
        half = np.linalg.inv(candidate)
        return 2 * np.log(np.diagonal(candidate)).sum() + np.trace(half @ scatter @ half.T)

    return factor if deviance(factor) < deviance(previous) else previous


def _floor(largest: float) -> float:
    """The smallest eigenvalue beside the largest one, in data of unit variance.

    Rows that are all alike have no scatter, which would be of the best condition.
    """
    return max(largest, 1.0 / LARGEST_CONDITION) / LARGEST_CONDITION

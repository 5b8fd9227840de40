"""Mixtures of matrix normals (Viroli 2011), by flip-flop EM."""

from __future__ import annotations

from math import prod
from numbers import Integral

import numpy as np
from scipy.linalg import eigh
from sklearn.utils.validation import check_is_fitted

from spatgmm.baselines import options
from spatgmm.baselines.base import Baseline, Units
from spatgmm.baselines.em import pack, posterior, run_best
from spatgmm.baselines.starts import starting_responsibilities
from spatgmm.common import checks
from spatgmm.common.threads import one_blas_thread

# A row or column covariance whose eigenvalues differ by more is held back: it would turn a few
# collinear rows into an infinite density.
LARGEST_CONDITION = 1e8
LEAST_WEIGHT = 1e-8
# Column covariances start a little towards the identity, so that they can be inverted at once.
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

    References
    ----------
    C. Viroli, "Finite mixtures of matrix normal distributions for classifying three-way data",
    Statistics and Computing 21 (2011) 511-522. P. Dutilleul, "The MLE algorithm for the matrix
    normal distribution", Journal of Statistical Computation and Simulation 64 (1999) 105-123.
    """

    _declared = options.MATRIX_NORMAL

    def __init__(
        self,
        n_components,
        *,
        shape=None,
        init=None,
        n_init=10,
        tol=1e-6,
        max_iter=1000,
        random_state=None,
    ):
        self.n_components = n_components
        self.shape = shape
        self.init = init
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X, y=None):
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
        shape = self._rows_and_columns(np.shape(X))
        X = self._check_rows(X, reset=True)
        self.shape_ = shape
        rng = checks.random_generator(self.random_state)
        with one_blas_thread():
            starts = starting_responsibilities(X, self.n_components, self.init, self.n_init, rng)
            self._units = Units.of(X)
            em = _FlipFlop(self._units.apply(X), shape)
            result = run_best(
                em.step,
                [em.start(responsibilities) for responsibilities in starts],
                self.tol,
                self.max_iter,
                em.metric,
                em.repair,
                lambda parameters: not em.degenerate(parameters).any(),
            )
            self._take_parameters(X, em, result)
        return self

    def _take_parameters(self, X, em, result):
        log_weight, means, rows, columns = em.unpack(result.parameters)
        shift, scale = self._units
        self._parameters = result.parameters
        self.weights_ = np.exp(log_weight)
        self.means_ = shift.reshape(self.shape_) + scale * means
        self.row_covariances_ = rows @ rows.transpose(0, 2, 1)
        self.column_covariances_ = scale**2 * columns @ columns.transpose(0, 2, 1)
        r, c = self.shape_
        G = self.n_components
        self.n_parameters_ = G - 1 + G * (r * c + r * (r + 1) // 2 + c * (c + 1) // 2 - 1)
        self._take(X, result, em.degenerate(result.parameters))

    @property
    def covariances_(self) -> np.ndarray:
        """``U_g kron V_g``, shape (G, r * c, r * c)."""
        check_is_fitted(self)
        pairs = zip(self.row_covariances_, self.column_covariances_, strict=True)
        return np.array([np.kron(rows, columns) for rows, columns in pairs])

    def _log_joint(self, X):
        em = _FlipFlop(self._units.apply(X), self.shape_)
        return em.log_joint(self._parameters)[0].T - self._units.log_jacobian()

    def _check_rows(self, X, reset):
        if np.ndim(X) > 2:
            X = np.asarray(X).reshape(len(X), -1)
        return super()._check_rows(X, reset)

    def _rows_and_columns(self, data_shape: tuple[int, ...]) -> tuple[int, int]:
        shape = self.shape
        if shape is None:
            shape = data_shape[1:]
        wrong = not isinstance(shape, (tuple, list)) or len(shape) < 2
        if wrong or not all(isinstance(side, Integral) and side >= 1 for side in shape):
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


class _FlipFlop:
    """The EM map on flat parameters: log weights, means, and the Cholesky factors of U and V with
    logarithms on the diagonal, so that any extrapolation of them is a covariance again.

    Data lie as (r, n, c), which makes every product over rows and over columns one matrix product.
    """

    def __init__(self, X: np.ndarray, shape: tuple[int, int]):
        self.n, (self.r, self.c) = len(X), shape
        self.values = np.ascontiguousarray(X.reshape(self.n, *shape).transpose(1, 0, 2))
        self._triangles = [np.tril_indices(side) for side in shape]
        self._diagonals = [np.flatnonzero(rows == cols) for rows, cols in self._triangles]

    def _sides(self) -> tuple[int, int]:
        return self.r * (self.r + 1) // 2, self.c * (self.c + 1) // 2

    def unpack(self, parameters: np.ndarray):
        """Log weights (G,), means (G, r, c), Cholesky factors (G, r, r) and (G, c, c)."""
        sizes = np.array([1, self.r * self.c, *self._sides()])
        G = parameters.size // sizes.sum()
        log_weight, means, *packed = np.split(parameters, np.cumsum(G * sizes)[:-1])
        factors = []
        for flat, side, (rows, cols), diagonal in zip(
            packed, (self.r, self.c), self._triangles, self._diagonals, strict=True
        ):
            entries = flat.reshape(G, -1).copy()
            entries[:, diagonal] = np.exp(entries[:, diagonal])
            factor = np.zeros((G, side, side))
            factor[:, rows, cols] = entries
            factors.append(factor)
        return log_weight, means.reshape(G, self.r, self.c), *factors

    def _pack(self, log_weight, means, *factors) -> np.ndarray:
        packed = []
        for factor, (rows, cols), diagonal in zip(
            factors, self._triangles, self._diagonals, strict=True
        ):
            entries = factor[:, rows, cols]
            entries[:, diagonal] = np.log(entries[:, diagonal])
            packed.append(entries)
        return pack(log_weight, means, *packed)

    def start(self, responsibilities: np.ndarray) -> np.ndarray:
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
        return self._pack(np.log(total / total.sum()), np.array(means), identity, np.array(columns))

    def log_joint(self, parameters: np.ndarray):
        """``log(pi_g) + log f_g(x)`` (G, n) and the data with whitened columns (G, r, n, c)."""
        log_weight, means, rows, columns = self.unpack(parameters)
        row_whitener, column_whitener = np.linalg.inv(rows), np.linalg.inv(columns)
        n, r, c = self.n, self.r, self.c
        whitened = []
        joint = np.empty((len(means), n))
        for g, mean in enumerate(means):
            half = (self.values - mean[:, None]).reshape(r * n, c) @ column_whitener[g].T
            full = (row_whitener[g] @ half.reshape(r, n * c)).reshape(r, n, c)
            joint[g] = np.einsum("rnc,rnc->n", full, full)
            whitened.append(half.reshape(r, n, c))
        log_det = 2 * (
            c * np.log(np.diagonal(rows, axis1=1, axis2=2)).sum(axis=1)
            + r * np.log(np.diagonal(columns, axis1=1, axis2=2)).sum(axis=1)
        )
        joint += (r * c * np.log(2 * np.pi) + log_det)[:, None]
        return log_weight[:, None] - 0.5 * joint, whitened, column_whitener

    def step(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """The log-likelihood at ``parameters``, and the parameters after one EM iteration."""
        _, old_means, old_rows, old_columns = self.unpack(parameters)
        joint, whitened, column_whitener = self.log_joint(parameters)
        responsibilities, log_likelihood = posterior(joint)
        total = np.maximum(responsibilities.sum(axis=1), LEAST_WEIGHT)
        n, r, c = self.n, self.r, self.c
        means = np.empty_like(old_means)
        rows, columns = np.empty_like(old_rows), np.empty_like(old_columns)
        for g, mass in enumerate(total):
            share = responsibilities[g] / mass
            means[g] = (share @ self.values.transpose(1, 0, 2).reshape(n, -1)).reshape(r, c)
            root = np.sqrt(share)[:, None]
            moved = (old_means[g] - means[g]) @ column_whitener[g].T
            half = (root * (whitened[g] + moved[:, None])).reshape(r, n * c)
            rows[g] = _cholesky(half @ half.T / c, old_rows[g])
            # The identified scale: |U| = 1; V takes the rest.
            rows[g] /= np.exp(np.log(np.diagonal(rows[g])).mean())
            centred = (root * (self.values - means[g][:, None])).reshape(r, n * c)
            half = (np.linalg.inv(rows[g]) @ centred).reshape(r * n, c)
            columns[g] = _cholesky(half.T @ half / r, old_columns[g])
        return log_likelihood, self._pack(np.log(total / total.sum()), means, rows, columns)

    def metric(self, parameters: np.ndarray) -> np.ndarray:
        """Rough roots of the parameters' complete-data information per observation."""
        log_weight, _, rows, columns = self.unpack(parameters)
        root_weight = np.exp(0.5 * log_weight)[:, None]
        parts = [root_weight]
        scales = [1 / np.diagonal(factor, axis1=1, axis2=2) for factor in (rows, columns)]
        parts.append(root_weight[:, :, None] * scales[0][:, :, None] * scales[1][:, None, :])
        for scale, (row, _), diagonal, other in zip(
            scales, self._triangles, self._diagonals, (self.c, self.r), strict=True
        ):
            entries = np.sqrt(other) * root_weight * scale[:, row]
            entries[:, diagonal] = np.sqrt(2 * other) * root_weight
            parts.append(entries)
        return pack(*parts)

    def repair(self, parameters: np.ndarray) -> np.ndarray:
        """Extrapolated parameters with weights that sum to 1 again."""
        parameters = parameters.copy()
        G = parameters.size // (1 + self.r * self.c + sum(self._sides()))
        parameters[:G] -= np.logaddexp.reduce(parameters[:G])
        return parameters

    def degenerate(self, parameters: np.ndarray) -> np.ndarray:
        """Which components have too few expected rows for both covariances to exist, (G,)."""
        needed = max(self.r / self.c, self.c / self.r) + 1
        return np.exp(self.unpack(parameters)[0]) * self.n < needed


def _cholesky(scatter: np.ndarray, previous: np.ndarray) -> np.ndarray:
    """Cholesky factor of the likeliest covariance of bounded condition, given the scatter.

    Where the bound is active its fit need not be an improvement; then the previous factor stays.
    """
    try:
        factor = np.linalg.cholesky(scatter)
        pivots = np.diagonal(factor) ** 2
        if pivots.min() * LARGEST_CONDITION > pivots.max():
            return factor
    except np.linalg.LinAlgError:
        pass
    values, vectors = eigh(scatter)
    values = np.maximum(values, max(values[-1], 1.0 / LARGEST_CONDITION) / LARGEST_CONDITION)
    factor = np.linalg.cholesky((vectors * values) @ vectors.T)

    def deviance(candidate: np.ndarray) -> float:
        half = np.linalg.inv(candidate)
        return 2 * np.log(np.diagonal(candidate)).sum() + np.trace(half @ scatter @ half.T)

    return factor if deviance(factor) < deviance(previous) else previous

"""The spatial covariance of one component: its value, factors, score and information.

``Xi = a1*J + a2*D(shape) + a3*I`` (paper) is computed in the words of geostatistics,

``Xi = c*J + tau*K(shape) + nu*I``,  ``K = J - D``,

with ``c = a1 + a2`` the baseline covariance at the largest distance, ``tau = -a2`` the partial
sill and ``nu = a3`` the nugget: ``K`` falls from 1 at distance 0 to 0 at the largest distance,
and the three coefficients are far less collinear than in ``(J, D, I)``.  Where ``D`` is a sum of
``k`` decays (:class:`spatgmm.covariance.metric.Additive`), ``K = J - D/k``, ``tau = -k a2`` and
``c = a1 + k a2``.

Here ``theta = (c, tau, nu, *shape)``, where the sigmoid decay's shape is ``beta`` alone; nothing
outside this module knows that layout.  Matrices come as lists of blocks
(:mod:`spatgmm.covariance.geometry`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.linalg import blas, lapack

from spatgmm.covariance.kernel import Kernel

#: Smallest squared Cholesky pivot, in units of the data's variance: a covariance beyond it is
#: outside the positive-definite cone for all practical purposes.
PIVOT_FLOOR = 1e-10

#: Smallest |tau|, in units of the data's variance: at 0 the shape would vanish from the model.
_SMALLEST_TAU = 1e-6

#: Of a vector that is multiplied by the inverse of a block: enough for ten percent.
_INVERSE_ITERATIONS = 12

#: The coefficients of a covariance, as the paper and tables name them.
COEFFICIENTS = ("alpha1", "alpha2", "alpha3")

# Places in theta, and in rows and columns of score and information.
C, TAU, NU = range(3)
N_COEFFICIENTS = 3
SHAPE = slice(N_COEFFICIENTS, None)


class Covariance(Protocol):
    """``Xi`` at one theta: what EM asks of it, however it is computed.

    *Moments* are what :meth:`spatgmm.fitting.maps.Maps.moments` makes of the maps of one
    component: a scatter matrix in blocks here, other sufficient statistics for other likelihoods.

    Attributes
    ----------
    family : Family
    theta : ndarray of shape (3 + q,)
    log_det : float
        ``log |Xi|``.
    """

    family: Family
    theta: np.ndarray
    log_det: float

    def mahalanobis(self, residuals: list[np.ndarray]) -> np.ndarray:
        """``(x - mu)' Xi^-1 (x - mu)`` per row of rotated residuals; they are overwritten."""

    def solve(self, vectors: list[np.ndarray]) -> list[np.ndarray]:
        """``Xi^-1 v`` for one vector, block by block, or for several (k, p_b)."""

    def objective(self, moments) -> float:
        """``log |Xi| + tr(Xi^-1 S)``: -2/n_g times the component's expected log-likelihood."""

    def score_and_information(self, moments) -> tuple[np.ndarray, np.ndarray]:
        """Score and Fisher information per observation along ``(J, Xi, I, dXi/dshape)``."""

    def draw(self, n: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Maps of mean 0 with this covariance, (n, p_b) block by block."""

    def condition_number(self) -> float:
        """``||Xi|| ||Xi^-1||``, an estimate."""

    def smallest_eigenvalue(self) -> float:
        """Of Xi, to some percent; never too small by more than rounding."""


class Family(ABC):
    """Covariances ``Xi(theta)`` over a set of locations, whatever the way to compute with them.

    Parameters
    ----------
    kernel : Kernel

    Attributes
    ----------
    n_variables : int
        Values at each location.
    n_further : int
        Free parameters of one covariance that theta does not hold.
    is_exact : bool
        Whether its likelihood is that of the data.
    """

    n_variables = 1
    n_further = 0
    is_exact = False

    def __init__(self, kernel: Kernel):
        self.kernel = kernel
        self.geometry = kernel.geometry

    @abstractmethod
    def at(self, theta: np.ndarray) -> Covariance | None:
        """``Xi(theta)``, or None outside the positive-definite cone."""

    def inside(self, theta: np.ndarray) -> Covariance:
        """``Xi(theta)``, its nugget raised until it is positive definite."""
        theta = np.array(theta, dtype=float)
        covariance = self.at(theta)
        while covariance is None:
            theta[NU] += 0.2 * np.abs(theta[:N_COEFFICIENTS]).sum()
            covariance = self.at(theta)
        return covariance

    def between(self, ones: np.ndarray, others: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """``c + tau K`` between pairs of any places (m, d), shape (m,): all but the nugget."""
        return theta[C] + theta[TAU] * self.kernel.between(ones, others, theta[SHAPE])

    def nugget(self, theta: np.ndarray) -> float:
        """``nu``."""
        return float(theta[NU])

    def like(self, covariance: Covariance) -> Covariance:
        """The covariance of this family with the parameters of one of another family."""
        return self.inside(covariance.theta)

    def improved(self, covariance: Covariance, moments) -> Covariance:
        """The covariance with whatever theta does not hold improved, given moments."""
        return covariance

    def flat(self, covariance: Covariance) -> np.ndarray:
        """All parameters of a covariance of this family as numbers that may be moved."""
        return covariance.theta

    def from_flat(self, flat: np.ndarray) -> Covariance | None:
        """The inverse of :meth:`flat`, a shape beyond its bounds moved there."""
        return self.at(self.clipped(flat))

    # -- theta ---------------------------------------------------------------------------------

    @property
    def n_parameters(self) -> int:
        """Free parameters of one covariance: three coefficients and the shape."""
        return len(self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters as tables name them: coefficients alpha, then the shape."""
        return (*COEFFICIENTS, *self.kernel.parameter_names)

    def estimated(self, alpha: np.ndarray) -> np.ndarray:
        """Which of `names` are, (3 + q,), with those of ``(a1, a2, a3)`` held that are not NaN."""
        return np.append(np.isnan(alpha), ~self.kernel.held)

    def theta(self, coefficients: np.ndarray, shapes: np.ndarray) -> np.ndarray:
        """theta (..., 3 + q) of coefficients ``(c, tau, nu)`` (..., 3) and shapes (..., q)."""
        shapes = np.broadcast_to(shapes, (*coefficients.shape[:-1], np.shape(shapes)[-1]))
        return np.concatenate([coefficients, shapes], axis=-1)

    def shape(self, theta: np.ndarray) -> np.ndarray:
        """The shape (..., q) in theta (..., 3 + q): parameters of the decay, then of the metric."""
        return theta[..., SHAPE]

    def alpha(self, theta: np.ndarray) -> np.ndarray:
        """The paper's ``(a1, a2, a3)`` (..., 3), J all ones, of theta (..., 3 + q)."""
        return theta[..., :N_COEFFICIENTS] @ self._to_alpha.T

    def coefficients(self, alpha: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`alpha`: ``(c, tau, nu)`` (..., 3) of ``(a1, a2, a3)`` (..., 3)."""
        return alpha @ np.linalg.inv(self._to_alpha).T

    @property
    def _to_alpha(self) -> np.ndarray:
        """``d(a1, a2, a3) / d(c, tau, nu)``, with a1 = c + tau, a2 = -tau / k, a3 = nu."""
        return np.array([[1, 1, 0], [0, -1 / self.kernel.n_decays, 0], [0, 0, 1]], dtype=float)

    def to_public(self, scale: float) -> np.ndarray:
        """``d(a1, a2, a3, *shape) / dtheta``, where a unit of the data counts `scale`."""
        jacobian = np.eye(self.n_parameters)
        jacobian[:N_COEFFICIENTS, :N_COEFFICIENTS] = scale**2 * self._to_alpha
        return jacobian

    def free(self, held: Sequence) -> list[int]:
        """Places in theta of the parameters that are estimated, given what holds each of `names`.

        With ``a1 = c + tau`` held, ``c`` is estimated as far as tau is (:meth:`follows`).
        """
        known = np.array([bool(why) for why in held])
        known[C] &= known[TAU]
        return np.flatnonzero(~known).tolist()

    def follows(self, held: Sequence) -> tuple[int, int] | None:
        """Places in theta of a parameter, and of that which moves it by as much the other way."""
        return (C, TAU) if held[C] and not held[TAU] else None

    def holding(self, theta: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """theta with those of ``(a1, a2, a3)`` that are not NaN; c stays where alpha1 is free."""
        theta = np.array(theta, dtype=float)
        a1, a2, a3 = alpha
        if not np.isnan(a2):
            theta[TAU] = a2 / self._to_alpha[1, TAU]
        if not np.isnan(a3):
            theta[NU] = a3
        if not np.isnan(a1):
            theta[C] = a1 - theta[TAU]
        return theta

    def members(self, groups: tuple[str, ...]) -> np.ndarray:
        """Which parameters belong to these groups, ``"alpha"`` or ``"shape"``; shape (3 + q,)."""
        belongs = np.zeros(self.n_parameters, dtype=bool)
        belongs[:N_COEFFICIENTS] = "alpha" in groups
        belongs[SHAPE] = "shape" in groups
        return belongs

    def shaped(self, theta: np.ndarray, shape: np.ndarray) -> np.ndarray:
        """theta with another shape."""
        return self.theta(theta[:N_COEFFICIENTS], shape)

    def softened(self, theta: np.ndarray, share: float) -> np.ndarray:
        """theta with so much of its structured part, beside a nugget that is the larger."""
        softer = np.array(theta, dtype=float)
        softer[[C, TAU]] *= share
        softer[NU] += (1 / share - 1) * np.abs(theta[:N_COEFFICIENTS]).sum()
        return softer

    def rescaled(self, theta: np.ndarray, factor: float) -> np.ndarray:
        """The same covariance of maps that are multiplied by `factor`."""
        units = np.ones(self.n_parameters)
        units[:N_COEFFICIENTS] = factor**2
        return theta * units

    def clipped(self, theta: np.ndarray) -> np.ndarray:
        """theta (..., 3 + q) with its shape within the bounds."""
        clipped = np.array(theta)
        clipped[..., SHAPE] = np.clip(clipped[..., SHAPE], self.kernel.lower, self.kernel.upper)
        return clipped

    # -- steps ---------------------------------------------------------------------------------

    def step_limits(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest step along ``(J, Xi, I, dXi/dshape)``, (3 + q,) each."""
        limits = np.full((2, len(theta)), [[-np.inf], [np.inf]])
        limits[:, SHAPE] = np.array(self.kernel.reach(theta[SHAPE])) - theta[SHAPE]
        return limits[0], limits[1]

    def confined(self, theta: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """The steps that leave alone those of ``(a1, a2, a3)`` that are not NaN.

        A matrix (3 + q, 3 + q) that takes any step along ``(J, Xi, I, dXi/dshape)`` to one of them.
        """
        within = np.eye(len(theta))
        for place, held, moved_by_Xi in (
            (C, ~np.isnan(alpha[0]), theta[C] + theta[TAU]),
            (NU, ~np.isnan(alpha[2]), theta[NU]),
        ):
            if held:
                within[place, [place, TAU]] = 0.0, -moved_by_Xi
        if not np.isnan(alpha[1]):
            within[:, TAU] = 0.0
        return within

    def moved(self, theta: np.ndarray, along: np.ndarray) -> np.ndarray:
        """theta after a step along ``(J, Xi, I, dXi/dshape)``, with tau kept away from 0."""
        moved = np.array(theta)
        on_J, on_Xi, on_I = along[:N_COEFFICIENTS]
        moved[:N_COEFFICIENTS] += on_Xi * theta[:N_COEFFICIENTS] + np.array([on_J, 0.0, on_I])
        moved[SHAPE] += along[SHAPE]
        if abs(moved[TAU]) < _SMALLEST_TAU:
            moved[TAU] = np.copysign(_SMALLEST_TAU, moved[TAU])
        return moved


def theta_from_alpha(alpha, shape) -> np.ndarray:
    """``(a1, a2, a3)`` of the paper (J all ones) and the shape as ``(c, tau, nu, *shape)``."""
    a1, a2, a3 = alpha
    return np.array([a1 + a2, -a2, a3, *np.atleast_1d(shape)])


class SpatialCovariance(Family):
    """The family with exact likelihood: matrices, block by block."""

    is_exact = True

    def matrix(self, theta: np.ndarray) -> list[np.ndarray]:
        """``Xi(theta)``, block by block."""
        c, tau, nu = theta[:N_COEFFICIENTS]
        blocks = self.geometry.assemble(c + tau * self.kernel.value(theta[SHAPE]))
        for block in blocks:
            np.einsum("ii->i", block)[:] += nu
        return blocks

    def at(self, theta: np.ndarray) -> FactoredCovariance | None:
        """``Xi(theta)`` with its Cholesky factors, or None outside the positive-definite cone."""
        factors = []
        for block in self.matrix(theta):
            factor = _cholesky(block)
            if factor is None:
                return None
            factors.append(factor)
        return FactoredCovariance(self, np.asarray(theta, dtype=float), factors)

    def at_floored(self, theta: np.ndarray, floor: float) -> FactoredCovariance:
        """``Xi(theta)`` with eigenvalues raised to `floor` where it is not positive definite."""
        inside = self.at(theta)
        if inside is not None:
            return inside
        factors = []
        for block in self.matrix(theta):
            values, vectors = np.linalg.eigh(block)
            # QR of the floored square root: Cholesky's factor without squaring its condition.
            root = np.linalg.qr((vectors * np.sqrt(np.maximum(values, floor))).T, mode="r")
            factors.append(np.asfortranarray((root * np.sign(np.diag(root))[:, None]).T))
        return FactoredCovariance(self, np.asarray(theta, dtype=float), factors)

    def derivatives(self, theta: np.ndarray) -> list[list[Derivative]]:
        """``dXi/dtheta``: for each parameter, its blocks."""
        assemble, tau, shape = self.geometry.assemble, theta[TAU], theta[SHAPE]
        return [
            [RankOne(u) for u in self.geometry.ones],
            [Dense(block) for block in assemble(self.kernel.value(shape))],
            [Identity() for _ in self.geometry.sizes],
            *[
                [Dense(tau * block) for block in assemble(slope)]
                for slope in self.kernel.derivatives(shape)
            ],
        ]

    def second_derivatives(self, theta: np.ndarray) -> dict[tuple[int, int], list[np.ndarray]]:
        """``d2Xi / dtheta_j dtheta_k``, ``j <= k``, block by block; those that are not 0."""
        assemble, tau, shape = self.geometry.assemble, theta[TAU], theta[SHAPE]
        second = {
            (TAU, k): assemble(slope)
            for k, slope in enumerate(self.kernel.derivatives(shape), N_COEFFICIENTS)
        }
        for j, row in enumerate(self.kernel.second_derivatives(shape), N_COEFFICIENTS):
            for k, values in enumerate(row, N_COEFFICIENTS):
                if j <= k:
                    second[j, k] = assemble(tau * values)
        return second


class Derivative(ABC):
    """A block ``B`` of the derivative of a covariance along one of its parameters."""

    @abstractmethod
    def seen(self, rows: np.ndarray) -> Derivative:
        """These rows and columns alone."""

    @abstractmethod
    def form(self, Y: np.ndarray) -> np.ndarray:
        """``y' B y`` for every row of Y."""

    @abstractmethod
    def products(self, W: np.ndarray, WS: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``W B`` and ``W B W S``."""


class RankOne(Derivative):
    """``u u'``."""

    def __init__(self, u: np.ndarray):
        self._u = u

    def seen(self, rows):
        return RankOne(self._u[rows])

    def form(self, Y):
        return (Y @ self._u) ** 2

    def products(self, W, WS):
        w = W @ self._u
        return np.outer(w, self._u), np.outer(w, self._u @ WS)


class Identity(Derivative):
    """``I``."""

    def seen(self, rows):
        return self

    def form(self, Y):
        return np.einsum("ij,ij->i", Y, Y)

    def products(self, W, WS):
        return W, W @ WS


class Dense(Derivative):
    """Any matrix."""

    def __init__(self, B: np.ndarray):
        self._B = B

    def seen(self, rows):
        return Dense(self._B[np.ix_(rows, rows)])

    def form(self, Y):
        return np.einsum("ij,ij->i", Y @ self._B, Y)

    def products(self, W, WS):
        A = W @ self._B
        return A, A @ WS


class FactoredCovariance:
    """``Xi`` at one value of theta: everything the E-step and the M-step ask of it.

    Attributes
    ----------
    theta : ndarray of shape (3 + q,)
    factors : list of ndarray
        Lower Cholesky factors of the blocks.
    log_det : float
        ``log |Xi|``.
    """

    def __init__(self, family: SpatialCovariance, theta: np.ndarray, factors: list[np.ndarray]):
        self.family = family
        self.theta = theta
        self.factors = factors
        self.log_det = 2 * sum(np.log(np.diag(factor)).sum() for factor in factors)

    @cached_property
    def inverse(self) -> list[np.ndarray]:
        """``W = Xi^-1``, block by block."""
        inverses = []
        for factor in self.factors:
            lower, _ = lapack.dpotri(factor, lower=1)
            inverse = lower.T + lower  # row-major, as moments are
            np.einsum("ii->i", inverse)[:] *= 0.5
            inverses.append(inverse)
        return inverses

    def draw(self, n: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Maps of mean 0 with this covariance, (n, p_b) block by block."""
        return [rng.standard_normal((n, len(factor))) @ factor.T for factor in self.factors]

    def condition_number(self) -> float:
        """``||Xi|| ||Xi^-1||`` in the 1-norm of the blocks, estimated by LAPACK in O(p^2)."""
        norms, inverse_norms = [], []
        for factor, block in zip(self.factors, self.family.matrix(self.theta), strict=True):
            norms.append(np.abs(block).sum(axis=0).max())
            reciprocal, _ = lapack.dpocon(factor, norms[-1], uplo="L")
            inverse_norms.append(1 / max(reciprocal * norms[-1], 1e-300))
        return float(max(norms) * max(inverse_norms))

    def smallest_eigenvalue(self) -> float:
        """By a few inverse iterations in each block, O(p^2): Rayleigh's quotient, from above."""
        smallest = np.inf
        for factor in self.factors:
            v = np.cos(np.arange(1.0, len(factor) + 1))
            for _ in range(_INVERSE_ITERATIONS):
                solved, _ = lapack.dpotrs(factor, v / np.linalg.norm(v), lower=1)
                v, before = solved, v / np.linalg.norm(v)
            smallest = min(smallest, float(1 / (before @ solved)))
        return smallest

    def mahalanobis(self, residuals: list[np.ndarray]) -> np.ndarray:
        """``(x - mu)' Xi^-1 (x - mu)`` per row of rotated residuals; they are overwritten."""
        total = np.zeros(len(residuals[0]))
        for factor, block in zip(self.factors, residuals, strict=True):
            # ||L^-1 r||^2; a row-major (n, p) array is a column-major (p, n) one, used in place.
            solved = blas.dtrsm(1.0, factor, block.T, lower=1, overwrite_b=1)
            total += np.einsum("ij,ij->j", solved, solved)
        return total

    def solve(self, vectors: list[np.ndarray]) -> list[np.ndarray]:
        """``Xi^-1 v`` for one vector, block by block, or for several (k, p_b)."""
        return [v @ W for v, W in zip(vectors, self.inverse, strict=True)]

    def objective(self, scatter: list[np.ndarray]) -> float:
        """``log |Xi| + tr(Xi^-1 S)``: -2/n_g times the component's expected log-likelihood."""
        return self.log_det + sum(np.vdot(W, S) for W, S in zip(self.inverse, scatter, strict=True))

    def score_and_information(self, scatter: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        r"""Score and Fisher information per observation along ``(J, Xi, I, dXi/dshape)``.

        ``g_k = 1/2 tr(B_k (W S W - W))`` and ``F_kl = 1/2 tr(W B_k W B_l)``.  The direction
        ``Xi = c*J + tau*K + nu*I`` itself stands in for ``K``: it spans the same space and
        ``W Xi = I``, so that two matrix products for one shape parameter, ``A = W S`` and
        ``M = W dXi/dshape``, give every trace.

        Parameters
        ----------
        scatter : list of ndarray
            The component's scatter matrix ``S``, block by block.

        Returns
        -------
        score : ndarray of shape (3 + q,)
        information : ndarray of shape (3 + q, 3 + q)
        """
        geometry = self.family.geometry
        slopes = self.theta[TAU] * self.family.kernel.derivatives(self.theta[SHAPE])
        derivatives = [geometry.assemble(slope) for slope in slopes]
        J, XI, NUGGET = range(N_COEFFICIENTS)
        size = N_COEFFICIENTS + len(slopes)
        g, F = np.zeros(size), np.zeros((size, size))
        uWu = 0.0
        for b, (W, S, u) in enumerate(zip(self.inverse, scatter, geometry.ones, strict=True)):
            A = W @ S
            trace_W = np.trace(W)
            g[XI] += np.trace(A) - len(W)
            g[NUGGET] += np.vdot(A, W) - trace_W
            F[XI, XI] += len(W)
            F[XI, NUGGET] += trace_W
            F[NUGGET, NUGGET] += np.vdot(W, W)
            w = W @ u
            if u.any():  # the constant map lives in the all-even block alone
                uWu += u @ w
                g[J] += w @ S @ w - u @ w
                F[J, NUGGET] += w @ w
            products = []
            for k, derivative in enumerate(derivatives, start=N_COEFFICIENTS):
                M = W @ derivative[b]
                transposed = np.ascontiguousarray(M.T)
                trace_M = np.trace(M)
                g[k] += np.vdot(transposed, A) - trace_M
                F[XI, k] += trace_M
                F[NUGGET, k] += np.vdot(M, W)
                F[J, k] += w @ derivative[b] @ w
                products.append(M)
                for m, other in enumerate(products, start=N_COEFFICIENTS):
                    F[m, k] += np.vdot(transposed, other)
        F[J, J], F[J, XI] = uWu**2, uWu
        F = np.triu(F) + np.triu(F, 1).T
        return 0.5 * g, 0.5 * F


def _cholesky(block: np.ndarray) -> np.ndarray | None:
    """Lower Cholesky factor (column-major, zeros above), or None; `block` is overwritten."""
    factor, info = lapack.dpotrf(block.T, lower=1, overwrite_a=1, clean=1)
    if info != 0 or not np.diag(factor).min() ** 2 > PIVOT_FLOOR:
        return None
    return factor

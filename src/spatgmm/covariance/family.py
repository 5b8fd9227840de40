"""The spatial covariance of one component: its value, factors, score and information.

``Xi = a1*J + a2*D(shape) + a3*I`` (paper) is computed in the words of geostatistics,

``Xi = c*J + tau*K(shape) + nu*I``,  ``K = J - D``,

with ``c = a1 + a2`` the baseline covariance at the largest distance, ``tau = -a2`` the partial
sill and ``nu = a3`` the nugget: ``K`` falls from 1 at distance 0 to 0 at the largest distance,
and the three coefficients are far less collinear than in ``(J, D, I)``.

Here ``theta = (c, tau, nu, *shape)``, where the sigmoid decay's shape is ``beta`` alone; matrices
come as lists of blocks (:mod:`spatgmm.covariance.geometry`).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.linalg import blas, lapack

from spatgmm.covariance.kernel import Kernel

#: Smallest squared Cholesky pivot, in units of the data's variance: a covariance beyond it is
#: outside the positive-definite cone for all practical purposes.
PIVOT_FLOOR = 1e-10

# Places in theta, and in rows and columns of score and information.
C, TAU, NU = range(3)
N_COEFFICIENTS = 3
SHAPE = slice(N_COEFFICIENTS, None)


def theta_from_alpha(alpha, shape) -> np.ndarray:
    """``(a1, a2, a3)`` of the paper (J all ones) and the shape as ``(c, tau, nu, *shape)``."""
    a1, a2, a3 = alpha
    return np.array([a1 + a2, -a2, a3, *np.atleast_1d(shape)])


def alpha_from_theta(theta) -> np.ndarray:
    """The paper's ``(a1, a2, a3)``, J all ones, of ``(c, tau, nu, *shape)``."""
    c, tau, nu = theta[:N_COEFFICIENTS]
    return np.array([c + tau, -tau, nu])


class SpatialCovariance:
    """The family ``Xi(theta)`` over a set of locations.

    Parameters
    ----------
    kernel : Kernel
    """

    def __init__(self, kernel: Kernel):
        self.kernel = kernel
        self.geometry = kernel.geometry

    @property
    def n_parameters(self) -> int:
        """Free parameters of one covariance: three coefficients and the shape."""
        return N_COEFFICIENTS + len(self.kernel.parameter_names)

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

    def inside(self, theta: np.ndarray) -> FactoredCovariance:
        """``Xi(theta)``, its nugget raised until it is positive definite."""
        theta = np.array(theta, dtype=float)
        covariance = self.at(theta)
        while covariance is None:
            theta[NU] += 0.2 * np.abs(theta[:N_COEFFICIENTS]).sum()
            covariance = self.at(theta)
        return covariance

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
            inverse = lower + lower.T
            np.einsum("ii->i", inverse)[:] *= 0.5
            inverses.append(inverse)
        return inverses

    def condition_number(self) -> float:
        """``||Xi|| ||Xi^-1||`` in the 1-norm of the blocks, estimated by LAPACK in O(p^2)."""
        norms, inverse_norms = [], []
        for factor, block in zip(self.factors, self.family.matrix(self.theta), strict=True):
            norms.append(np.abs(block).sum(axis=0).max())
            reciprocal, _ = lapack.dpocon(factor, norms[-1], uplo="L")
            inverse_norms.append(1 / max(reciprocal * norms[-1], 1e-300))
        return float(max(norms) * max(inverse_norms))

    def mahalanobis(self, residuals: list[np.ndarray]) -> np.ndarray:
        """``(x - mu)' Xi^-1 (x - mu)`` per row of rotated residuals; they are overwritten."""
        total = np.zeros(len(residuals[0]))
        for factor, block in zip(self.factors, residuals, strict=True):
            # ||L^-1 r||^2; a row-major (n, p) array is a column-major (p, n) one, used in place.
            solved = blas.dtrsm(1.0, factor, block.T, lower=1, overwrite_b=1)
            total += np.einsum("ij,ij->j", solved, solved)
        return total

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

"""The spatial covariance of one component: its value, factors, score and information.

``Xi = a1*J + a2*D(beta) + a3*I`` (paper) is computed in the words of geostatistics,

``Xi = c*J + tau*K(beta) + nu*I``,  ``K = J - D``,

with ``c = a1 + a2`` the baseline covariance at the largest distance, ``tau = -a2`` the partial
sill and ``nu = a3`` the nugget: ``K`` falls from 1 at distance 0 to 0 at the largest distance,
and the three coefficients are far less collinear than in ``(J, D, I)``.

Here ``theta = (c, tau, nu, beta)``; matrices come as lists of blocks (:mod:`spatgmm.geometry`).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.linalg import blas, lapack

from spatgmm.decay import Decay
from spatgmm.geometry import Geometry

#: Number of free covariance parameters per component: three coefficients and beta.
N_PARAMETERS = 4

#: Smallest squared Cholesky pivot, in units of the data's variance: a covariance beyond it is
#: outside the positive-definite cone for all practical purposes.
PIVOT_FLOOR = 1e-10

# Rows and columns of score and information.
C, TAU, NU, BETA = range(N_PARAMETERS)


def theta_from_alpha(alpha, beta) -> np.ndarray:
    """``(a1, a2, a3), beta`` of the paper (J all ones) as ``(c, tau, nu, beta)``."""
    a1, a2, a3 = alpha
    return np.array([a1 + a2, -a2, a3, beta])


def alpha_from_theta(theta) -> np.ndarray:
    """The paper's ``(a1, a2, a3)``, J all ones, of ``(c, tau, nu, beta)``."""
    c, tau, nu, _ = theta
    return np.array([c + tau, -tau, nu])


class SpatialCovariance:
    """The family ``Xi(theta)`` over a set of locations.

    Parameters
    ----------
    geometry : Geometry
    decay : Decay
    """

    def __init__(self, geometry: Geometry, decay: Decay):
        self.geometry = geometry
        self.decay = decay
        self.beta_bounds = decay.bounds(geometry.smallest_distance)

    def matrix(self, theta: np.ndarray) -> list[np.ndarray]:
        """``Xi(theta)``, block by block."""
        c, tau, nu, beta = theta
        values = c + tau * (1 - self.decay.value(self.geometry.delta, beta))
        blocks = self.geometry.assemble(values)
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
            theta[NU] += 0.2 * np.abs(theta[:BETA]).sum()
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
    theta : ndarray of shape (4,)
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
        r"""Score and Fisher information per observation along ``(J, Xi, I, dXi/dbeta)``.

        ``g_k = 1/2 tr(B_k (W S W - W))`` and ``F_kl = 1/2 tr(W B_k W B_l)``.  The direction
        ``Xi = c*J + tau*K + nu*I`` itself stands in for ``K``: it spans the same space and
        ``W Xi = I``, so that two matrix products, ``A = W S`` and ``M = W dXi/dbeta``, give
        every trace.

        Parameters
        ----------
        scatter : list of ndarray
            The component's scatter matrix ``S``, block by block.

        Returns
        -------
        score : ndarray of shape (4,)
        information : ndarray of shape (4, 4)
        """
        _, tau, _, beta = self.theta
        geometry = self.family.geometry
        slope, _ = self.family.decay.derivatives(geometry.delta, beta)
        derivative = geometry.assemble(-tau * slope)  # dXi/dbeta = -tau dD/dbeta
        J, XI, NUGGET, SLOPE = range(4)
        g, F = np.zeros(4), np.zeros((4, 4))
        uWu = 0.0
        for W, S, dXi, u in zip(self.inverse, scatter, derivative, geometry.ones, strict=True):
            A = W @ S
            M = W @ dXi
            M_transposed = np.ascontiguousarray(M.T)
            trace_W, trace_M = np.trace(W), np.trace(M)
            g[XI] += np.trace(A) - len(W)
            g[NUGGET] += np.vdot(A, W) - trace_W
            g[SLOPE] += np.vdot(M_transposed, A) - trace_M
            F[XI, XI] += len(W)
            F[XI, NUGGET] += trace_W
            F[XI, SLOPE] += trace_M
            F[NUGGET, NUGGET] += np.vdot(W, W)
            F[NUGGET, SLOPE] += np.vdot(M, W)
            F[SLOPE, SLOPE] += np.vdot(M_transposed, M)
            if u.any():  # the constant map lives in the all-even block alone
                w = W @ u
                uWu += u @ w
                g[J] += w @ S @ w - u @ w
                F[J, NUGGET] += w @ w
                F[J, SLOPE] += w @ dXi @ w
        F[J, J], F[J, XI] = uWu**2, uWu
        F = np.triu(F) + np.triu(F, 1).T
        return 0.5 * g, 0.5 * F


def _cholesky(block: np.ndarray) -> np.ndarray | None:
    """Lower Cholesky factor (column-major, zeros above), or None; `block` is overwritten."""
    factor, info = lapack.dpotrf(block.T, lower=1, overwrite_a=1, clean=1)
    if info != 0 or not np.diag(factor).min() ** 2 > PIVOT_FLOOR:
        return None
    return factor

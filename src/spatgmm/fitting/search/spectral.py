"""Covariances on a grid of shapes, in the bases where they are diagonal plus rank one.

With the shape (the sigmoid's beta) fixed, ``K(shape) = U diag(lam) U'``, and in the basis ``U`` a
component's covariance is

``U' Xi U = diag(d) + c u u'``,  ``d = tau*lam + nu``,  ``u = U'1``,

so Sherman and Morrison give its density, score and Fisher information in O(p).  The bases depend
on the coordinates only and are shared by all starts, components and iterations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spatgmm.covariance.family import SpatialCovariance
from spatgmm.fitting.maps import Blocks

_MAX_HALVINGS = 5

#: Scoring steps at a fixed shape go on while an objective falls by more than this.
_SETTLED = 1e-4

#: Smallest eigenvalue of a covariance here, in units of the data's variance.
_FLOOR = 1e-8


class ShapeGrid:
    """Spectra of ``K(shape)`` for a grid of shapes: ``lam`` and ``u``, and the way into ``U``.

    Parameters
    ----------
    family : SpatialCovariance
    shapes : array-like of shape (k, q), optional
        The grid; by default the kernel's own.

    Attributes
    ----------
    shapes : ndarray of shape (k, q)
    between : ndarray of shape (k,)
        Which lie between their neighbours (:meth:`spatgmm.covariance.decay.Decay.grid`).
    """

    def __init__(self, family: SpatialCovariance, shapes=None):
        if shapes is None:
            self.shapes, self.between = family.kernel.grid()
        else:
            self.shapes = np.asarray(shapes, dtype=float)
            self.between = np.zeros(len(self.shapes), dtype=bool)
        self.family = family
        geometry = family.geometry
        self.geometry = geometry
        self._bases: list[Blocks] = []
        lam, u = [], []
        for shape in self.shapes:
            kernel = geometry.assemble(family.kernel.value(shape))
            spectra = [np.linalg.eigh(block) for block in kernel]
            self._bases.append([vectors for _, vectors in spectra])
            lam.append(np.concatenate([values for values, _ in spectra]))
            u.append(
                np.concatenate([U.T @ o for (_, U), o in zip(spectra, geometry.ones, strict=True)])
            )
        self.lam, self.u = np.array(lam), np.array(u)

    def __len__(self) -> int:
        return len(self.shapes)

    def project(self, k: int, maps: Blocks) -> np.ndarray:
        """Rotated maps in the basis of grid value `k`, shape (n, p)."""
        return np.concatenate(
            [block @ U for block, U in zip(maps, self._bases[k], strict=True)], axis=1
        )


@dataclass
class SpectralCovariances:
    """Covariances of several components at one grid value: arrays (m,) and (m, p)."""

    c: np.ndarray
    tau: np.ndarray
    nu: np.ndarray
    lam: np.ndarray
    u: np.ndarray

    def __post_init__(self):
        self.d = self.tau[:, None] * self.lam + self.nu[:, None]
        self.positive = self.d.min(axis=1) > _FLOOR
        # Outside the cone any positive number will do: such a covariance is never accepted.
        self.d = np.where(self.d > _FLOOR, self.d, 1.0)
        self.q = self.u / self.d
        self.uq = self.q @ self.u
        self.h = 1 + self.c * self.uq
        self.positive &= self.h > _FLOOR
        self.h = np.where(self.positive, self.h, 1.0)
        self.kappa = self.c / self.h
        self.log_det = np.log(self.d).sum(axis=1) + np.log(self.h)

    def mahalanobis(self, Z: np.ndarray, means: np.ndarray) -> np.ndarray:
        """Squared distances of the rows of Z to each mean, shape (m, n)."""
        distance = (1 / self.d) @ (Z**2).T
        distance -= 2 * (means / self.d) @ Z.T
        along = self.q @ Z.T - (means * self.q).sum(axis=1)[:, None]
        distance -= self.kappa[:, None] * along**2
        return distance + (means**2 / self.d).sum(axis=1)[:, None]

    def solve(self, vectors: np.ndarray) -> np.ndarray:
        """``Xi^-1 v`` of vectors (k, p) for each component, shape (m, k, p)."""
        along = vectors @ self.q.T  # v' diag(d)^-1 u
        lost = (self.kappa * along).T[:, :, None] * self.q[:, None, :]
        return vectors / self.d[:, None, :] - lost

    def objective(self, s: np.ndarray, qSq: np.ndarray) -> np.ndarray:
        """``log |Xi| + tr(Xi^-1 S)`` from the diagonal of S and ``q'Sq``."""
        value = self.log_det + (s / self.d).sum(axis=1) - self.kappa * qSq
        return np.where(self.positive, value, np.inf)

    def scoring_step(self, s: np.ndarray, qSq: np.ndarray, qSb: np.ndarray) -> np.ndarray:
        """Fisher-scoring step for ``(c, tau, nu)``, with ``b = q / d``; shape (m, 3)."""
        e, kappa, h = 1 / self.d, self.kappa, self.h
        ones = np.ones_like(self.lam)
        weights = {1: self.lam, 2: ones}  # the diagonal bases: lam for tau, 1 for nu
        # qS(lam q / d): lam / d = (1 - nu / d) / tau.
        cross = {1: (qSq - self.nu * qSb) / self.tau, 2: qSb}
        q2 = self.q**2
        along = {k: q2 @ w for k, w in weights.items()}  # q' diag(w) q
        g = np.empty((len(h), 3))
        F = np.empty((len(h), 3, 3))
        g[:, 0] = qSq / h**2 - self.uq / h
        F[:, 0, 0] = (self.uq / h) ** 2
        for k, w in weights.items():
            trace_WSW = (s * e**2) @ w - 2 * kappa * cross[k] + kappa**2 * along[k] * qSq
            g[:, k] = trace_WSW - (e @ w - kappa * along[k])
            F[:, 0, k] = F[:, k, 0] = along[k] / h**2
            for m, v in weights.items():
                F[:, k, m] = (
                    (e**2) @ (w * v)
                    - 2 * kappa * ((q2 * e) @ (w * v))
                    + kappa**2 * along[k] * along[m]
                )
        scale = np.sqrt(np.einsum("mkk->mk", F)) + 1e-300
        F = F / (scale[:, :, None] * scale[:, None, :]) + 1e-8 * np.eye(3)
        return np.linalg.solve(F, (g / scale)[:, :, None])[:, :, 0] / scale


def _along(Z: np.ndarray, directions: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Residuals of the rows of Z along one direction per component, shape (m, n)."""
    return directions @ Z.T - (means * directions).sum(axis=1)[:, None]


def _moment(weights: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Weighted mean of ``a * b`` per component, shape (m,)."""
    return np.einsum("mi,mi,mi->m", weights, a, b)


class Basis:
    """The data in the basis of one grid value."""

    def __init__(self, grid: ShapeGrid, k: int, maps: Blocks):
        self.lam, self.u = grid.lam[k], grid.u[k]
        self.Z = grid.project(k, maps)

    def at(self, coefficients: np.ndarray) -> SpectralCovariances:
        return SpectralCovariances(*coefficients.T, self.lam, self.u)

    def improve(self, coefficients, weights, means, n_steps=1):
        """Scoring steps for components with these maps' weights (rows sum to 1) and means.

        Returns the objective and the new coefficients, never worse than the old.
        """
        s = weights @ self.Z**2 - 2 * means * (weights @ self.Z) + means**2
        for _ in range(n_steps):
            now = self.at(coefficients)
            on_q = _along(self.Z, now.q, means)
            qSq = _moment(weights, on_q, on_q)
            qSb = _moment(weights, on_q, _along(self.Z, now.q / now.d, means))
            value = before = now.objective(s, qSq)
            step = now.scoring_step(s, qSq, qSb)
            for _ in range(_MAX_HALVINGS):
                trial = self.at(coefficients + step)
                on_q = _along(self.Z, trial.q, means)
                trial_value = trial.objective(s, _moment(weights, on_q, on_q))
                better = trial_value < value
                coefficients = np.where(better[:, None], coefficients + step, coefficients)
                value = np.where(better, trial_value, value)
                step = np.where(better[:, None], 0.0, step / 2)
                if better.all() or not step.any():
                    break
            if (before - value < _SETTLED).all():
                break
        return value, coefficients

    def pooled(self) -> np.ndarray:
        """Coefficients for all maps as one component: where every start begins at this shape."""
        n = len(self.Z)
        rows = np.full((1, n), 1 / n)
        mean = self.Z.mean(axis=0, keepdims=True)
        variance = max(self.Z.var(axis=0).mean(), 10 * _FLOOR)
        start = _interior(self.lam, variance)[None]
        return self.improve(start, rows, mean, n_steps=8)[1][0]


def _interior(values: np.ndarray, variance: float) -> np.ndarray:
    """Coefficients ``(c, tau, nu)`` of a given variance, inside the cone for this spectrum."""
    tau = 0.4 * variance
    nu = max(0.3 * variance, -2 * tau * values.min())
    return np.array([0.3 * variance, tau, nu])

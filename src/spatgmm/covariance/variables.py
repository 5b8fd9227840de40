r"""Several variables at each location: a spatial covariance times one between variables.

A map of ``q`` variables at ``p`` locations is a matrix ``X`` (p, q), and in component ``g``

``X ~ N(M_g, Xi_g (x) Psi_g)``,  ``cov(x_ju, x_kv) = Xi_jk Psi_uv``,

with log-density ``-1/2 [p q log 2 pi + q log|Xi| + p log|Psi| + tr(Xi^-1 R Psi^-1 R')]``,
``R = X - M``.  Given ``Psi = L L'`` the whitened variables, columns of ``R L'^-1``, are ``q``
independent maps with covariance ``Xi``, whatever engine computes with that; given ``Xi`` all that
matters for ``Psi`` is the q x q scatter ``T = E[R' Xi^-1 R] / p``.  Dutilleul (J. Stat. Comput.
Simul. 64, 1999) alternates between the two; so does an M-step here.

Vectors come block by block as elsewhere, each block with the values of the first variable, then
those of the second, and so on: (..., q p_b).

A factor of ``Psi`` could as well belong to ``Xi``: the mean diagonal of ``Psi`` is 1, in the units
of the data.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from spatgmm.covariance.family import Covariance, Family

#: A scatter of variables with a smaller eigenvalue than this, relative to its largest, has none
#: for all practical purposes: variables that are combinations of others.
_SMALLEST_EIGENVALUE = 1e-10

#: Smallest share of a variable's variance that is its own in a factor model: at 0 the likelihood
#: has no maximum (a Heywood case).
_LEAST_OWN = 1e-3

#: Iterations of one factor step; the next M-step goes on from there.
_MOST_FACTOR_STEPS = 15


class Psi:
    """A covariance between variables, as a value.

    Parameters
    ----------
    matrix : ndarray of shape (q, q)
        Positive definite.
    own : ndarray of shape (q,), optional
        In a factor model: each variable's variance that no factor explains.
    """

    def __init__(self, matrix: np.ndarray, own: np.ndarray | None = None):
        self.matrix, self.own = matrix, own
        self.root = np.linalg.cholesky(matrix)

    @cached_property
    def whitener(self) -> np.ndarray:
        """``L^-1`` with ``Psi = L L'``."""
        return solve_triangular(self.root, np.eye(len(self.root)), lower=True)

    @cached_property
    def inverse(self) -> np.ndarray:
        return self.whitener.T @ self.whitener

    @cached_property
    def log_det(self) -> float:
        return float(2 * np.log(np.diag(self.root)).sum())


class Variables(ABC):
    """What a covariance between variables can be.

    Parameters
    ----------
    shares : ndarray of shape (q,)
        Weights, of sum 1, of the diagonal's entries in the mean that is fixed at 1: where variables
        are standardised, their variances in the units of the data.
    """

    name: str

    def __init__(self, shares: np.ndarray):
        self.shares = shares

    def __len__(self) -> int:
        return len(self.shares)

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """Free parameters of one covariance, its scale being fixed."""

    @abstractmethod
    def fitted(self, scatter: np.ndarray, present: Psi | None) -> Psi | None:
        """The ``Psi`` that lowers ``log|Psi| + tr(Psi^-1 T)``, if it can be: its least, or nearer.

        `present` where a singular scatter has none.

        Parameters
        ----------
        scatter : ndarray of shape (q, q)
            ``T``.
        present : Psi or None
            From where to go.
        """

    @abstractmethod
    def directions(self, psi: Psi) -> np.ndarray:
        """Matrices (k, q, q) that span where `psi` can move to first order, its scale included."""

    @abstractmethod
    def flat(self, psi: Psi) -> np.ndarray:
        """`psi` as numbers that may be moved freely."""

    @abstractmethod
    def from_flat(self, flat: np.ndarray) -> Psi:
        """The inverse of :meth:`flat`."""

    def scale(self, psi: Psi) -> float:
        """The mean diagonal that is to be 1."""
        return float(self.shares @ np.diag(psi.matrix))

    def scaled(self, psi: Psi) -> Psi:
        """`psi` at mean diagonal 1."""
        scale = self.scale(psi)
        return Psi(psi.matrix / scale, None if psi.own is None else psi.own / scale)

    def tangents(self, psi: Psi) -> np.ndarray:
        """A basis (m, q, q) of where `psi` can move to first order while its mean diagonal is 1."""
        along = self.directions(psi)
        along = along - np.einsum("kuu,u->k", along, self.shares)[:, None, None] * psi.matrix
        _, size, basis = np.linalg.svd(along.reshape(len(along), -1), full_matrices=False)
        return basis[size > 1e-9 * size[0]].reshape(-1, *psi.matrix.shape)


class Full(Variables):
    """Any covariance."""

    name = "full"

    @property
    def n_parameters(self):
        return len(self) * (len(self) + 1) // 2 - 1

    def fitted(self, scatter, present):
        return present if is_singular(scatter) else Psi(scatter)

    def directions(self, psi):
        rows, columns = np.tril_indices(len(self))
        along = np.zeros((len(rows), len(self), len(self)))
        entry = np.arange(len(rows))
        along[entry, rows, columns] = along[entry, columns, rows] = 1.0
        return along

    def flat(self, psi):
        root = psi.root.copy()
        np.einsum("uu->u", root)[:] = np.log(np.diag(root))
        return root[np.tril_indices(len(self))]

    def from_flat(self, flat):
        root = np.zeros((len(self), len(self)))
        root[np.tril_indices(len(self))] = flat
        np.einsum("uu->u", root)[:] = np.exp(np.diag(root))
        return Psi(root @ root.T)


class Diagonal(Variables):
    """Independent variables, each with its variance."""

    name = "diagonal"

    @property
    def n_parameters(self):
        return len(self) - 1

    def fitted(self, scatter, present):
        return Psi(np.diag(np.diag(scatter)))

    def directions(self, psi):
        return np.eye(len(self))[:, :, None] * np.eye(len(self))

    def flat(self, psi):
        return np.log(np.diag(psi.matrix))

    def from_flat(self, flat):
        return Psi(np.diag(np.exp(flat)))


class Factor(Variables):
    """``Lambda Lambda' + diag(psi)``: what variables have in common is due to a few factors.

    Parameters
    ----------
    shares : ndarray of shape (q,)
    n_factors : int
        ``r``, columns of ``Lambda``.

    References
    ----------
    "Mixtures of spatial factor analyzers for tensor-variate data", arXiv 2607.07887.
    """

    name = "factor"

    def __init__(self, shares: np.ndarray, n_factors: int):
        super().__init__(shares)
        self.n_factors = n_factors

    @property
    def n_parameters(self):
        q, r = len(self), self.n_factors
        # Up to a rotation of the factors; never more than a full covariance has.
        return min(q * r + q - r * (r - 1) // 2, q * (q + 1) // 2) - 1

    def fitted(self, scatter, present):
        """Lower the profile ``f(psi) = min over Lambda`` by a few quasi-Newton steps in log psi.

        The best loadings for given ``psi`` are ``psi^1/2 U (theta - 1)^1/2`` with the largest
        eigenvalues and -vectors of ``psi^-1/2 T psi^-1/2`` (Joreskog, Psychometrika 32, 1967), and
        ``df / d log psi_u = psi_u (Psi^-1 - Psi^-1 T Psi^-1)_uu``.
        """
        variances = np.diag(scatter)
        low = np.log(_LEAST_OWN * variances)
        if present is None:
            start = np.log(0.5 * variances)
        else:
            start = np.clip(np.log(present.own), low, np.log(variances))

        def profile(log_own):
            psi = self._best(np.exp(log_own), scatter)
            pulled = psi.inverse - psi.inverse @ scatter @ psi.inverse
            value = psi.log_det + np.vdot(psi.inverse, scatter)
            return value, np.exp(log_own) * np.diag(pulled)

        found = minimize(
            profile,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, np.log(variances), strict=True)),
            options={"maxiter": _MOST_FACTOR_STEPS},
        )
        return self._best(np.exp(found.x), scatter)

    def _best(self, own: np.ndarray, scatter: np.ndarray) -> Psi:
        """The best loadings for these own variances."""
        root = np.sqrt(own)
        values, vectors = np.linalg.eigh(scatter / np.outer(root, root))
        size = np.sqrt(np.maximum(values[-self.n_factors :] - 1, 0))
        return self._of(root[:, None] * vectors[:, -self.n_factors :] * size, own)

    def _of(self, loadings: np.ndarray, own: np.ndarray) -> Psi:
        return Psi(loadings @ loadings.T + np.diag(own), own)

    def loadings(self, psi: Psi) -> np.ndarray:
        """``Lambda`` (q, r) with ``Lambda' psi^-1 Lambda`` diagonal, each column's largest > 0."""
        root = np.sqrt(psi.own)
        common = psi.matrix - np.diag(psi.own)
        values, vectors = np.linalg.eigh(common / np.outer(root, root))
        few = slice(None, -self.n_factors - 1, -1)
        loadings = root[:, None] * vectors[:, few] * np.sqrt(np.maximum(values[few], 0))
        largest = np.abs(loadings).argmax(axis=0)
        return loadings * np.where(loadings[largest, np.arange(self.n_factors)] < 0, -1.0, 1.0)

    def directions(self, psi):
        q, loadings = len(self), self.loadings(psi)
        moved = np.zeros((q, self.n_factors, q, q))  # d Lambda_uk: e_u l_k' + l_k e_u'
        for u in range(q):
            moved[u, :, u, :] += loadings.T
            moved[u, :, :, u] += loadings.T
        of_own = np.eye(q)[:, :, None] * np.eye(q)
        return np.concatenate([moved.reshape(-1, q, q), of_own])

    def flat(self, psi):
        return np.concatenate([self.loadings(psi).ravel(), np.log(psi.own)])

    def from_flat(self, flat):
        loadings, log_own = np.split(flat, [len(self) * self.n_factors])
        return self._of(loadings.reshape(len(self), -1), np.exp(log_own))


def of(name: str, shares: np.ndarray, n_factors: int | None = None) -> Variables:
    """What ``variables=name`` stands for."""
    if name == Factor.name:
        return Factor(shares, n_factors)
    return {kind.name: kind for kind in (Full, Diagonal)}[name](shares)


class VariableFamily(Family):
    """Covariances ``Xi(theta) (x) Psi`` at one ``Psi``.

    theta and all that belongs to it is that of the spatial family.

    Parameters
    ----------
    spatial : Family
        Of ``Xi``, by any engine.
    variables : Variables
    psi : Psi, optional
        By default the unit matrix.
    """

    def __init__(self, spatial: Family, variables: Variables, psi: Psi | None = None):
        super().__init__(spatial.kernel)
        self.spatial, self.variables = spatial, variables
        q = self.n_variables = len(variables)
        self.n_further = variables.n_parameters
        self.psi = Psi(np.eye(q), np.ones(q)) if psi is None else psi

    def at(self, theta):
        spatial = self.spatial.at(theta)
        return None if spatial is None else VariableCovariance(self, spatial)

    def having(self, psi: Psi) -> VariableFamily:
        """The family at another ``Psi``."""
        return VariableFamily(self.spatial, self.variables, psi)

    def fitted(self, matrix: np.ndarray) -> VariableFamily:
        """The family at the ``Psi`` of mean diagonal 1 that is nearest to a matrix (q, q)."""
        return self.having(self.variables.scaled(self.variables.fitted(matrix, self.psi)))

    def like(self, covariance):
        return self.having(covariance.family.psi).inside(covariance.theta)

    def improved(self, covariance, moments):
        """The covariance with the best ``Psi`` given ``Xi``, its mean diagonal 1 again."""
        found = self.variables.fitted(moments.variables(covariance.spatial), self.psi)
        if found is self.psi:
            return covariance
        # Xi takes over what would move the mean diagonal away from 1.
        theta = self.rescaled(covariance.theta, np.sqrt(self.variables.scale(found)))
        better = self.having(self.variables.scaled(found)).at(theta)
        return covariance if better is None else better

    def flat(self, covariance):
        return np.concatenate([covariance.theta, self.variables.flat(self.psi)])

    def from_flat(self, flat):
        theta, of_psi = np.split(flat, [self.n_parameters])
        family = self.having(self.variables.from_flat(of_psi))
        return family.at(family.clipped(theta))


class VariableCovariance:
    """``Xi (x) Psi``: what EM asks of a covariance, by that of ``Xi``.

    Attributes
    ----------
    theta : ndarray of shape (3 + s,)
        Of ``Xi``.
    spatial : Covariance
        ``Xi``.
    psi : Psi
    log_det : float
        ``q log|Xi| + p log|Psi|``.
    """

    def __init__(self, family: VariableFamily, spatial: Covariance):
        self.family, self.spatial, self.psi = family, spatial, family.psi
        self.theta = spatial.theta
        self._q, p = family.n_variables, family.geometry.n_locations
        self._of_psi = p * self.psi.log_det
        self.log_det = self._q * spatial.log_det + self._of_psi

    @property
    def inverse(self) -> list[np.ndarray]:
        """``Psi^-1 (x) Xi^-1``, block by block."""
        return [np.kron(self.psi.inverse, W) for W in self.spatial.inverse]

    def mahalanobis(self, residuals: list[np.ndarray]) -> np.ndarray:
        """``tr(Xi^-1 R Psi^-1 R')`` per row of rotated residuals (n, q p_b)."""
        rows = [self.whitened(by_variable(block, self._q)) for block in residuals]
        return self.spatial.mahalanobis(rows).reshape(self._q, -1).sum(axis=0)

    def whitened(self, maps: np.ndarray) -> np.ndarray:
        """Maps (q, n, p_b) as ``q n`` maps with covariance ``Xi``, one a row."""
        q, _, p = maps.shape
        return (self.psi.whitener @ maps.reshape(q, -1)).reshape(-1, p)

    def solve(self, vectors: list[np.ndarray]) -> list[np.ndarray]:
        """``(Xi (x) Psi)^-1 v`` for one vector, block by block, or for several (k, q p_b)."""
        shapes = [v.shape for v in vectors]
        rows = self.spatial.solve([v.reshape(-1, v.shape[-1] // self._q) for v in vectors])
        return [
            (self.psi.inverse @ row.reshape(-1, self._q, row.shape[-1])).reshape(shape)
            for row, shape in zip(rows, shapes, strict=True)
        ]

    def draw(self, n: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Maps of mean 0 with this covariance, (n, q p_b) block by block."""
        q = self._q
        return [
            (self.psi.root @ rows.reshape(n, q, rows.shape[1])).reshape(n, q * rows.shape[1])
            for rows in self.spatial.draw(n * q, rng)
        ]

    def condition_number(self) -> float:
        """The product of the two condition numbers."""
        return float(self.spatial.condition_number() * np.linalg.cond(self.psi.matrix))

    def smallest_eigenvalue(self) -> float:
        """Of ``Xi``, which is where a decay may be no covariance."""
        return self.spatial.smallest_eigenvalue()

    def objective(self, moments) -> float:
        """``log|Xi (x) Psi| + E[tr(Xi^-1 R Psi^-1 R')]``.

        Moments (:mod:`spatgmm.fitting.variables`) say what they are of whitened variables, which
        are ``q`` maps for each one.
        """
        return self._q * self.spatial.objective(moments.spatial(self.psi)) + self._of_psi

    def score_and_information(self, moments) -> tuple[np.ndarray, np.ndarray]:
        """Score and Fisher information per map along ``(J, Xi, I, dXi/dshape)``, Psi as it is."""
        score, information = self.spatial.score_and_information(moments.spatial(self.psi))
        return self._q * score, self._q * information


def is_singular(scatter: np.ndarray) -> bool:
    """Whether variables are combinations of others, for all practical purposes."""
    values = np.linalg.eigvalsh(scatter)
    return not values[0] > _SMALLEST_EIGENVALUE * values[-1]


def by_variable(block: np.ndarray, q: int) -> np.ndarray:
    """Vectors (n, q p_b) as (q, n, p_b), contiguous."""
    return np.ascontiguousarray(block.reshape(len(block), q, -1).transpose(1, 0, 2))

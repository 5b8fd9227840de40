r"""Vecchia's likelihood: a spatial covariance for any number of locations, wherever they lie.

The covariance is ``Xi = c*J + V`` with ``V = tau*K + nu*I``.  Vecchia's likelihood of ``V`` lets
each location depend on its nearest earlier ones alone (:mod:`spatgmm.covariance.neighbours`),

``p(x) = prod_j N(x_j; b_j' x_N(j), d_j)``,  ``b = V_NN^-1 V_Nj``,  ``d = V_jj - V_jN b``,

and ``c`` comes in exactly, by Sherman and Morrison: were it left to the neighbours, the level of a
map would be estimated anew at every location.  With the *innovations* ``e_j = r_j - b_j' r_N(j)``
of a residual map, ``a_j`` those of the constant map 1, and

``o = sum a^2/d``,  ``s = sum a e/d``,  ``gamma = c / (1 + c*o)``,

``log |Xi| = sum log d + log(1 + c*o)`` and ``r' Xi^-1 r = sum e^2/d - gamma s^2``.  The last is the
quadratic form of ``V`` for the map without its expected level ``gamma s``, and its derivatives are
those at a fixed level.  For a direction ``V'`` and ``u = (-b, 1)``: ``d' = u' V' u`` and
``b' = V_NN^-1 (V' u)_N`` (Guinness, Statistics and Computing 31, 2021).

A map with missing pixels has a likelihood of the same kind (:mod:`spatgmm.covariance.incomplete`).

How near to exact it is depends on the nugget and the reach of correlation.  On a 32 x 32 grid
with a nugget of a tenth of the sill and 60 neighbours, a map's log-density under its own component
is off by 0.05 nats (exponential) to 0.25 (Matern 3/2 across the region); ratios to a component that
a map is far from by more (0.04 of 77 nats; 2 of 219, 0.2 with 98 neighbours).  Orders from coarse
to fine, and some distant neighbours in place of near ones, were no better there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh, splu

from spatgmm.covariance.family import (
    N_COEFFICIENTS,
    NU,
    PIVOT_FLOOR,
    SHAPE,
    TAU,
    C,
    Family,
)
from spatgmm.covariance.neighbours import NeighbourGeometry

#: Directions of score and information: J, Xi, I, then dXi/dshape.
_J, _XI, _I = range(N_COEFFICIENTS)


@dataclass
class Innovations:
    """What maps have beyond the expectation given their neighbours, and how it moves with theta.

    Arrays broadcast against each other: for complete maps they are (p, n), or (p, 1) where all maps
    have the same; for maps with missing pixels there is one number for each observed pixel.

    Attributes
    ----------
    e, a, d : ndarray
        Innovations of residuals and of the constant map, and their variances.
    n_seen : ndarray
        Observed pixels of each map.
    total, spread : callable
        Sums over the pixels of each map; a number of each map at all its pixels.
    slopes : list of (e', a', d')
        Derivatives along I and dXi/dshape.
    products : list of list of ndarray
        Expected products of the derivatives e'.
    """

    e: np.ndarray
    a: np.ndarray
    d: np.ndarray
    n_seen: np.ndarray
    total: Callable[[np.ndarray], np.ndarray]
    spread: Callable[[np.ndarray], np.ndarray]
    slopes: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    products: list[list[np.ndarray]] = field(default_factory=list)

    @cached_property
    def o(self) -> np.ndarray:
        """``1' V^-1 1`` of each map's observed pixels."""
        return self.total(self.a**2 / self.d)

    @cached_property
    def s(self) -> np.ndarray:
        """``1' V^-1 r``."""
        return self.total(self.a * self.e / self.d)

    @cached_property
    def o_slopes(self) -> list[np.ndarray]:
        """Derivatives of :attr:`o`."""
        ratio = self.a / self.d
        return [self.total(ratio * (2 * da - ratio * dd)) for _, da, dd in self.slopes]

    def terms(self, c: float) -> tuple[np.ndarray, np.ndarray]:
        """``log |Xi|`` and ``r' Xi^-1 r`` of each map; the first infinite outside the cone."""
        growth = 1 + c * self.o
        inside = growth > PIVOT_FLOOR
        growth = np.where(inside, growth, 1.0)
        log_det = np.where(inside, self.total(np.log(self.d)) + np.log(growth), np.inf)
        return log_det, self.total(self.e**2 / self.d) - c / growth * self.s**2

    def weighted(self, c: float) -> np.ndarray:
        """``(e - gamma s a) / d``: what neighbours' coefficients turn into ``Xi^-1 r``."""
        return (self.e - self.spread(c / (1 + c * self.o) * self.s) * self.a) / self.d

    def scores(self, c: float) -> np.ndarray:
        """Derivatives of each map's log-density along (J, Xi, I, dXi/dshape), shape (3 + q, n)."""
        shrunk = 1 / (1 + c * self.o)
        gamma = c * shrunk
        level = self.spread(gamma * self.s)
        rest = (self.e - level * self.a) / self.d
        downhill = [
            self.o * shrunk - (self.s * shrunk) ** 2,  # d gamma/dc = 1 / (1 + c o)^2
            self.n_seen - self.terms(c)[1],
        ]
        for (de, da, dd), o_slope in zip(self.slopes, self.o_slopes, strict=True):
            moved = dd / self.d - rest**2 * dd + 2 * rest * (de - level * da)
            downhill.append(self.total(moved) + gamma * o_slope)
        return -0.5 * np.array(np.broadcast_arrays(*downhill))

    def scores_without_residuals(self, c: float) -> np.ndarray:
        """The same of residuals 0: scores are this and a quadratic form of residuals."""
        slopes = [(np.zeros_like(de), da, dd) for de, da, dd in self.slopes]
        return replace(self, e=np.zeros_like(self.e), slopes=slopes).scores(c)

    def bend(self, c: float) -> np.ndarray:
        """Second derivative of each map's log-density by c, shape (n,)."""
        growth = 1 + c * self.o
        return 0.5 * (self.o / growth) ** 2 - self.o * self.s**2 / growth**3

    def informations(self, c: float) -> np.ndarray:
        """Fisher information of each map along (J, Xi, I, dXi/dshape), (3 + q, 3 + q, n).

        ``1/2 tr(W B_k W B_l)`` with ``W = Xi^-1``; where neither direction is J or Xi it is
        that of ``V`` less what the level takes, ``(2 gamma / o - gamma^2) o'_k o'_l``: a bound, of
        the order of one pixel in all, that saves solving with the covariance.
        """
        shrunk = 1 / (1 + c * self.o)
        gamma = c * shrunk
        size = N_COEFFICIENTS + len(self.slopes) - 1
        F = np.zeros((size, size, *np.broadcast_shapes(self.o.shape, self.n_seen.shape)))
        F[_J, _J], F[_J, _XI] = (self.o * shrunk) ** 2, self.o * shrunk
        F[_XI, _XI] = self.n_seen
        taken = 2 * gamma / self.o - gamma**2
        for k, (_, _, dd) in enumerate(self.slopes):
            F[_J, _I + k] = -(shrunk**2) * self.o_slopes[k]
            F[_XI, _I + k] = self.total(dd / self.d) + gamma * self.o_slopes[k]
            for m, (_, _, other) in enumerate(self.slopes[: k + 1]):
                own = self.total(dd * other / self.d**2 + 2 * self.products[m][k] / self.d)
                F[_I + m, _I + k] = own - taken * self.o_slopes[m] * self.o_slopes[k]
        upper = np.triu_indices(size, 1)
        F[upper[::-1]] = F[upper]
        return 0.5 * F


class VecchiaFamily(Family):
    """The family ``Xi(theta)`` at locations that depend on their nearest earlier ones.

    Parameters
    ----------
    kernel : Kernel
        Over a :class:`spatgmm.covariance.neighbours.NeighbourGeometry`.
    """

    geometry: NeighbourGeometry

    def at(self, theta: np.ndarray) -> VecchiaCovariance | None:
        """``Xi(theta)`` with all conditionals, or None outside the positive-definite cone."""
        theta = np.asarray(theta, dtype=float)
        tables = VecchiaCovariance.conditionals(self, theta)
        if tables is None:
            return None
        covariance = VecchiaCovariance(self, theta, *tables)
        return covariance if np.isfinite(covariance.log_det) else None


class VecchiaCovariance:
    """``Xi`` at one value of theta: everything the E-step and the M-step ask of it.

    Attributes
    ----------
    theta : ndarray of shape (3 + q,)
    u : ndarray of shape (n_groups, m + 1)
        ``(-b, 1)`` of each group, in the order of its windows.
    d : ndarray of shape (n_groups,)
    log_det : float
        ``log |Xi|``.
    """

    def __init__(self, family: VecchiaFamily, theta: np.ndarray, u: np.ndarray, d: np.ndarray):
        self.family = family
        self.theta = theta
        self.u, self.d = u, d
        #: Innovations of maps (p, n): ``A @ maps``.
        self.A = family.geometry.sparse(u)
        p = family.geometry.n_locations
        self._of_zero = self.innovations(np.zeros((p, 1)))
        self.log_det = float(self._of_zero.terms(theta[C])[0][0])

    @staticmethod
    def conditionals(family, theta) -> tuple[np.ndarray, np.ndarray] | None:
        """The tables u and d; None where a window is not positive definite."""
        geometry = family.geometry
        u, d = np.empty(geometry.present.shape), np.empty(geometry.n_groups)
        for groups, factors in factors_of(family, theta):
            if factors is None:
                return None
            u[groups, -1] = 1.0
            u[groups, :-1] = -coefficients_of(factors)
            d[groups] = factors[:, -1, -1] ** 2
        return u, d

    @cached_property
    def _slopes(self):
        """Derivatives of u and d along I and dXi/dshape: (k, g, m + 1), (k, g); (k, k, g)."""
        n = 1 + self.family.n_parameters - N_COEFFICIENTS
        du = np.zeros((n, *self.u.shape))
        dd, products = np.empty((n, len(self.d))), np.empty((n, n, len(self.d)))
        for groups, factors in factors_of(self.family, self.theta):
            u = self.u[groups]
            along = [(V @ u[:, :, None])[:, :, 0] for V in self.directions(groups, u.shape[1])]
            moved = np.stack([u, *along], axis=1)
            dd[:, groups] = np.einsum("gkm,gm->kg", moved, u)
            moved = moved[:, :, :-1]
            L = factors[:, :-1, :-1]
            solved = _solve_transposed(L, _solve_lower(L, moved))
            du[:, groups, :-1] = -solved.transpose(1, 0, 2)
            products[:, :, groups] = np.einsum("gkm,glm->klg", solved, moved)
        return du, dd, products

    def directions(self, groups: slice, nearest: int) -> Iterator[np.ndarray]:
        """dXi/dshape between the last places of some groups' windows."""
        for slope in self.kernel_slopes:
            yield self.family.geometry.assemble(slope, groups, nearest)

    @cached_property
    def kernel_slopes(self) -> np.ndarray:
        return self.theta[TAU] * self.family.kernel.derivatives(self.theta[SHAPE])

    # -- complete maps ------------------------------------------------------------------------

    def innovations(self, residuals: np.ndarray, slopes: bool = False) -> Innovations:
        """Those of complete residual maps (p, n)."""
        geometry = self.family.geometry
        of = geometry.group
        found = Innovations(
            e=self.A @ residuals,
            a=self.u.sum(axis=1)[of, None],
            d=self.d[of, None],
            n_seen=np.array([geometry.n_locations]),
            total=lambda values: values.sum(axis=0),
            spread=lambda values: values,
        )
        if slopes:
            du, dd, products = self._slopes
            found.slopes = [
                (geometry.sparse(u) @ residuals, u.sum(axis=1)[of, None], d[of, None])
                for u, d in zip(du, dd, strict=True)
            ]
            found.products = [[product[of, None] for product in row] for row in products]
        return found

    def mahalanobis(self, residuals: list[np.ndarray]) -> np.ndarray:
        """``(x - mu)' Xi^-1 (x - mu)`` per row of complete residuals."""
        return self.innovations(np.ascontiguousarray(residuals[0].T)).terms(self.theta[C])[1]

    def solve(self, blocks: list[np.ndarray]) -> list[np.ndarray]:
        """``Xi^-1`` times vectors, the rows of the one block (or one vector)."""
        vectors = np.atleast_2d(blocks[0]).T
        solved = self.A.T @ self.innovations(vectors).weighted(self.theta[C])
        return [solved.T.reshape(blocks[0].shape)]

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """``Xi`` times vectors (p, n)."""
        order, lu = self._triangular
        moved = lu.solve(
            self.d[self.family.geometry.group[order], None] * lu.solve(vectors[order], "T")
        )
        applied = np.empty_like(moved)
        applied[order] = moved
        return applied + self.theta[C] * vectors.sum(axis=0)

    def draw(self, n: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Maps of mean 0 with this covariance, a list of one (n, p)."""
        order, lu = self._triangular
        c, o = self.theta[C], self._of_zero.o[0]
        maps = np.empty((len(order), n))
        noise = rng.standard_normal((len(order), n))
        maps[order] = lu.solve(noise * np.sqrt(self.d[self.family.geometry.group[order], None]))
        # y - t (1' V^-1 y) 1 has covariance V + (o t^2 - 2 t) J, which is to be V + c J.
        t = (1 - np.sqrt(1 + c * o)) / o
        maps -= t * self.innovations(maps).s
        return [maps.T]

    @cached_property
    def _triangular(self):
        """The order of the locations, and solves with the lower triangle that A is in it."""
        order = self.family.geometry.order
        triangle = self.A[order][:, order].tocsc()
        return order, splu(triangle, permc_spec="NATURAL", diag_pivot_thresh=0.0)

    def condition_number(self) -> float:
        """Largest over smallest eigenvalue, to a few percent."""
        return self._largest(lambda v: self.apply(v[:, None])[:, 0]) / self.smallest_eigenvalue()

    def smallest_eigenvalue(self) -> float:
        """To a percent."""
        return self._smallest

    @cached_property
    def _smallest(self) -> float:
        return 1 / self._largest(lambda v: self.solve([v])[0])

    def _largest(self, action: Callable[[np.ndarray], np.ndarray]) -> float:
        """The largest eigenvalue of what an action on vectors (p,) stands for."""
        p = self.family.geometry.n_locations
        operator = LinearOperator((p, p), matvec=lambda v: action(v.ravel()), dtype=float)
        start = np.cos(np.arange(p))
        return float(eigsh(operator, k=1, tol=0.01, v0=start, return_eigenvectors=False)[0])

    # -- the M-step ---------------------------------------------------------------------------

    def objective(self, moments: Iterable) -> float:
        """``log |Xi| + r' Xi^-1 r``, its weighted mean over maps.

        Parameters
        ----------
        moments : iterable of (weights, residuals)
            Weights that sum to 1 in all, and maps whose :meth:`innovations` can be had
            (:mod:`spatgmm.fitting.vecchia`).
        """
        total = 0.0
        for weights, residuals in moments:
            log_det, distance = residuals.innovations(self).terms(self.theta[C])
            total += weights @ (log_det + distance)
        return float(total)

    def score_and_information(self, moments: Iterable) -> tuple[np.ndarray, np.ndarray]:
        """Score and Fisher information per observation along ``(J, Xi, I, dXi/dshape)``.

        ``Xi`` itself stands in for ``K``, as in
        :meth:`spatgmm.covariance.family.FactoredCovariance.score_and_information`.
        """
        size = self.family.n_parameters
        g, F = np.zeros(size), np.zeros((size, size))
        for weights, residuals in moments:
            found = residuals.innovations(self, slopes=True)
            g += found.scores(self.theta[C]) @ weights
            F += (found.informations(self.theta[C]) * weights).sum(axis=2)
        return g, F


def factors_of(
    family: VecchiaFamily,
    theta: np.ndarray,
    chunks: list[slice] | None = None,
    nearest: int | None = None,
) -> Iterator[tuple[slice, np.ndarray | None]]:
    """Cholesky factors of V in windows or their last places, by chunks; None where there is none.

    Places that are left over have a row and column of the unit matrix.
    """
    geometry = family.geometry
    values = theta[TAU] * family.kernel.value(theta[SHAPE])
    nearest = geometry.n_neighbors + 1 if nearest is None else nearest
    for groups in geometry.chunks() if chunks is None else chunks:
        V = geometry.assemble(values, groups, nearest)
        there = geometry.present[groups, -nearest:]
        np.einsum("gii->gi", V)[:] += np.where(there, theta[NU], 1.0)
        try:
            factors = np.linalg.cholesky(V)
        except np.linalg.LinAlgError:
            yield groups, None
            return
        pivots = np.einsum("gii->gi", factors)
        yield groups, factors if pivots.min() ** 2 > PIVOT_FLOOR else None


def coefficients_of(factors: np.ndarray) -> np.ndarray:
    """``b = V_NN^-1 V_Nj`` from the factors of windows, shape (g, m)."""
    return _solve_transposed(factors[:, :-1, :-1], factors[:, None, -1, :-1])[:, 0]


def _solve_lower(L: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``L x = y`` for lower triangles (g, m, m) and several right sides each (g, k, m)."""
    x = right.copy()
    for i in range(L.shape[1]):
        x[:, :, i] -= np.einsum("gkm,gm->gk", x[:, :, :i], L[:, i, :i])
        x[:, :, i] /= L[:, None, i, i]
    return x


def _solve_transposed(L: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``L' x = y``, see :func:`_solve_lower`."""
    x = right.copy()
    for i in range(L.shape[1] - 1, -1, -1):
        x[:, :, i] /= L[:, None, i, i]
        x[:, :, :i] -= x[:, :, i, None] * L[:, None, i, :i]
    return x

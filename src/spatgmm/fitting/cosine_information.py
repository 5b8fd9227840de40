r"""Standard errors of the cosine likelihood, at any number of pixels.

Louis' identity (:mod:`spatgmm.fitting.information`) gives the observed information over weights,
means and covariance parameters,

``H = C - Z Z'``,

with ``C`` the complete-data information, in which the free cosines of the means are a diagonal
block, and a few columns of ``Z`` for every map whose component is uncertain: with responsibilities
``r`` of a map, ``diag(r) - r r' = L L'`` for a ``L`` of ``G - 1`` columns, and its part of ``Z`` is
``S L``, ``S`` holding the score under each component.  What is wanted are weights and covariance
parameters alone (``s``); with ``m`` for the means and ``D`` their diagonal block,

``H_ss - H_sm H_mm^-1 H_ms = C_ss - Z_s M^-1 Z_s'``,  ``M = I - Z_m' D^-1 Z_m``

by Woodbury's identity, so that nothing as large as the pixels squared is formed.

Neighbouring cosines are not quite independent, and so this is not quite the likelihood of the data.
Estimates are consistent, but their covariance is the sandwich ``H^-1 J H^-1`` with ``J`` the sum of
squares of the maps' scores (White, Econometrica 50, 1982).
"""

from __future__ import annotations

import numpy as np

from spatgmm.covariance.family import N_COEFFICIENTS, NU, SHAPE, TAU, C
from spatgmm.fitting.cosine import CosineMaps, free_cosines
from spatgmm.fitting.estimates import Estimates, OfComponent, Posterior, Uncertainty
from spatgmm.fitting.information import inverse_block, merging
from spatgmm.fitting.state import empty

#: A map whose other components have less than this together is certain.
_NEGLIGIBLE = 1e-12

#: Columns of the data that are looked at together, and numbers in a matrix of scores (32 MB).
_TILE, _MOST_VALUES = 256, 2**22


def cosine_uncertainty(estimates: Estimates, maps: CosineMaps) -> Uncertainty:
    """Sandwich covariance and observed information of a mixture fitted in cosines.

    Parameters
    ----------
    estimates : Estimates
        At a maximum of the likelihood: a free mean is the weighted mean of its maps.  A mean that
        components have in common is taken as known.
    maps : CosineMaps
        The data, standardised.

    Returns
    -------
    Uncertainty
        By the sandwich; ``by_information`` is the same from the observed information alone, as if
        this likelihood were that of the data.
    """
    posterior = estimates.posterior(maps)
    counts = posterior.responsibilities.sum(axis=0)
    sandwich = Uncertainty.unknown(estimates, counts)
    sandwich.by_information = plain = Uncertainty.unknown(estimates, counts)
    # Data say nothing about a component without maps; the others are what is estimated.
    present = np.flatnonzero(~empty(counts))
    if not len(present):
        return sandwich
    scores = _Scores(estimates, maps, posterior, present)
    information, effective = scores.profiled()
    merge = merging(scores.free, estimates.ties(present))
    inverse = inverse_block(merge.T @ information @ merge, range(merge.shape[1]))
    observed = merge @ inverse @ merge.T
    moved = effective @ observed
    if posterior.map_weights is not None:
        # Scores were added up as often as their maps count, their squares are to be as well.
        moved /= np.sqrt(posterior.map_weights)[:, None]
    G = len(present)
    to_last = np.vstack([np.eye(G - 1), -np.ones((1, G - 1))])  # pi_G = 1 - the others
    for covariance, found in ((moved.T @ moved, sandwich), (observed, plain)):
        free = covariance[: G - 1, : G - 1]
        found.weight_variance[present] = np.einsum("gk,kl,gl->g", to_last, free, to_last)
        for g in present:
            own = np.flatnonzero(scores.of_theta[:, 0] == g)
            free = scores.of_theta[own, 1]
            found.theta_covariance[np.ix_([g], free, free)] = covariance[np.ix_(own, own)]
    # Squares of scores that were fitted to zero sum are too small by as many maps as parameters
    # (MacKinnon and White, J. Econometrics 29, 1985).
    size = estimates.family.n_parameters
    sandwich.theta_covariance *= (counts / np.maximum(counts - size, 1))[:, None, None]
    return sandwich


class _Scores:
    """Scores of all maps under the components that have some, and their complete information.

    Attributes
    ----------
    free : list of list of int
        Places in theta that are estimated, by component.
    of_theta : ndarray of shape (m, 2)
        Component and place in theta of each wanted parameter; -1 for a weight.
    """

    def __init__(self, estimates: Estimates, maps: CosineMaps, posterior: Posterior, present):
        self._maps, self._columns = maps, free_cosines(estimates.model)
        # Maps of a component that is left out count for nothing.
        self._R = posterior.responsibilities[:, present]
        self._own = [posterior.of(g) for g in present]
        mixture, G = estimates.mixture, len(present)
        weights = mixture.weights[present]
        self.free = free = [estimates.family.free(estimates.held(g)) for g in present]
        self.of_theta = np.array(
            [(-1, -1)] * (G - 1) + [(g, k) for g, of in zip(present, free, strict=True) for k in of]
        )
        m = len(self.of_theta)
        # Scores of weights and covariance parameters: of every map, under every component.
        self._small = np.zeros((len(maps), G, m))
        self._complete = np.zeros((m, m))
        counts, self._means, self._variances = self._R.sum(axis=0), [], []
        #: What weighs on each component's mean.
        self._counts = [own.pulling.sum() for own in self._own]
        # Score of the free weights pi_1 .. pi_{G-1} for a map of component g: row g.
        of_weights = np.vstack([np.diag(1 / weights[:-1]), np.full((1, G - 1), -1 / weights[-1])])
        self._small[:, :, : G - 1] = of_weights
        self._complete[: G - 1, : G - 1] = (of_weights.T * counts) @ of_weights
        for j, g in enumerate(present):
            mean = mixture.means[g][0].copy()
            mean[self._columns] = maps.mean(self._own[j].pulling)[0][self._columns]
            own = np.flatnonzero(self.of_theta[:, 0] == g)
            of_maps, information = _of_covariance(mixture.covariances[g], maps, self._own[j], mean)
            self._small[:, j, own] = of_maps[:, free[j]]
            self._complete[np.ix_(own, own)] = information[np.ix_(free[j], free[j])]
            self._means.append(mean[self._columns])
            self._variances.append(mixture.covariances[g].variances[self._columns])

    def profiled(self) -> tuple[np.ndarray, np.ndarray]:
        """Information (m, m) and scores (n, m) of the wanted parameters, the means profiled out."""
        others = self._R.sum(axis=1) - self._R.max(axis=1)
        uncertain = np.flatnonzero(others > _NEGLIGIBLE)
        L = _square_roots(self._R[uncertain])
        Z = np.einsum("igm,iga->iam", self._small[uncertain], L)
        lost = Z.reshape(-1, Z.shape[2])
        scores = np.einsum("ig,igm->im", self._R, self._small)
        n_means = len(self._means) * len(self._means[0])
        if not n_means:
            further = moved = 0.0
        elif len(lost) <= n_means:
            further, moved = self._through_maps(uncertain, L, lost)
        else:
            further, moved = self._through_means(uncertain, L, Z)
        return self._complete - lost.T @ lost - further, scores + moved

    def _through_maps(self, uncertain, L, Z):
        """``Z_s (M^-1 - I) Z_s'`` and ``Z_s M^-1 Z_m' D^-1 u_m`` of all maps: as large as they."""
        G = self._R.shape[1]
        size = len(Z)
        Q, V = np.zeros((size, size)), np.zeros((size, len(self._maps)))
        for g in range(G):
            gram = self._gram(g, uncertain) / self._counts[g]
            left = L[:, g, :, None]
            among = left[:, :, :, None] * gram[:, None, uncertain, None] * L[:, g][None, None]
            Q += among.reshape(size, size)
            V += (left * (gram * self._R[:, g])[:, None]).reshape(V.shape)
        solved = np.linalg.solve(np.eye(size) - Q, np.column_stack([Z, V]))
        m = Z.shape[1]
        return Z.T @ solved[:, :m] - Z.T @ Z, solved[:, m:].T @ Z

    def _through_means(self, uncertain, L, Z):
        """The same where uncertain maps are more than the means' free cosines."""
        G, f = len(self._means), len(self._means[0])
        A = np.diag(
            np.concatenate([n / d for n, d in zip(self._counts, self._variances, strict=True)])
        )
        cross = np.zeros((Z.shape[2], G * f))
        step = max(_MOST_VALUES // (G * G * f), 1)
        for first in range(0, len(uncertain), step):
            some = slice(first, first + step)
            scores = self._of_means(uncertain[some])
            Zm = np.einsum("igf,iga->iagf", scores, L[some]).reshape(-1, G * f)
            A -= Zm.T @ Zm
            cross += Z[some].reshape(-1, Z.shape[2]).T @ Zm
        back = np.linalg.solve(A, cross.T)
        moved = np.empty((len(self._maps), Z.shape[2]))
        for first in range(0, len(moved), step):
            some = np.arange(first, min(first + step, len(moved)))
            scores = self._of_means(some) * self._R[some, :, None]
            moved[some] = scores.reshape(len(some), -1) @ back
        return cross @ back, moved

    def _of_means(self, rows) -> np.ndarray:
        """``ds/dmu = u (x - mu) / d`` at the free cosines, shape (rows, G, f)."""
        coefficients = self._maps.blocks[0][rows][:, self._columns]
        return np.stack(
            [
                own.some(rows).pulled((coefficients - mu) / d)
                for own, mu, d in zip(self._own, self._means, self._variances, strict=True)
            ],
            axis=1,
        )

    def _gram(self, g, rows) -> np.ndarray:
        """``u_i u_j (x_i - mu)' d^-1 (x_j - mu)`` over the free cosines, i in `rows`, all j."""
        coefficients = self._maps.blocks[0][:, self._columns]
        gram = np.zeros((len(rows), len(coefficients)))
        for first in range(0, coefficients.shape[1], _TILE):
            tile = slice(first, first + _TILE)
            scaled = coefficients[:, tile] - self._means[g][tile]
            scaled /= np.sqrt(self._variances[g][tile])
            gram += scaled[rows] @ scaled.T
        own = self._own[g]
        return own.some(rows).pulled(own.pulled(gram.T).T)


def _of_covariance(
    covariance, maps: CosineMaps, own: OfComponent, mean
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n, 3 + q) of ``(c, tau, nu, *shape)`` and their complete information.

    With ``b_k = d d / d theta_k``: ``s_k = 1/2 sum b_k (y^2 - d) / d^2`` and, ``S`` the weighted
    mean of ``y^2``,

    ``-d2l / dtheta_k dtheta_l = n_g sum [b_k b_l (S - d/2) / d^3 - 1/2 b_kl (S - d) / d^2]``.

    Under heavy tails ``u`` stands with every ``y^2``, and its variance is lost
    (:mod:`spatgmm.fitting.information`), but for what it takes from the means, which in expectation
    has no part in these.
    """
    theta, family, d = covariance.theta, covariance.family, covariance.variances
    kernel, assemble = family.kernel, family.geometry.assemble
    bases = np.zeros((len(theta), len(d)))
    bases[C, 0] = len(d)
    bases[TAU] = assemble(kernel.value(theta[SHAPE]))[0]
    bases[NU] = 1.0
    slopes = [assemble(slope)[0] for slope in kernel.derivatives(theta[SHAPE])]
    bases[SHAPE] = theta[TAU] * np.reshape(slopes, (-1, len(d)))
    along = 0.5 * maps.quadratic([mean], bases / d**2)
    scores = own.pulled(along) - 0.5 * (bases / d).sum(axis=1)
    (S,) = maps.moments(own.weights, [mean], own.pulls)
    hessian = (bases * ((S - d / 2) / d**3)) @ bases.T
    misfit = 0.5 * (S - d) / d**2
    for j, row in enumerate(kernel.second_derivatives(theta[SHAPE])):
        mixed = misfit @ slopes[j]
        hessian[TAU, N_COEFFICIENTS + j] -= mixed
        hessian[N_COEFFICIENTS + j, TAU] -= mixed
        for k, second in enumerate(row):
            curved = theta[TAU] * (misfit @ assemble(second)[0])
            hessian[N_COEFFICIENTS + j, N_COEFFICIENTS + k] -= curved
    return scores, own.weights.sum() * hessian - own.lost(along)


def _square_roots(R: np.ndarray) -> np.ndarray:
    """``L`` (n, G, G - 1) with ``L L' = diag(r) - r r' / sum(r)`` for every row ``r``.

    It is ``diag(sqrt r) (I - v v') diag(sqrt r)`` with ``v`` along ``sqrt r`` and of length 1, and
    a Householder reflection that takes ``v`` to the first axis has the rest of the space in its
    other columns.
    """
    G = R.shape[1]
    roots = np.sqrt(R)
    axis = np.sqrt(R / R.sum(axis=1, keepdims=True)) + np.eye(1, G)
    reflected = (
        np.eye(G)[:, 1:]
        - 2 * axis[:, :, None] * axis[:, None, 1:] / ((axis**2).sum(axis=1)[:, None, None])
    )
    return roots[:, :, None] * reflected

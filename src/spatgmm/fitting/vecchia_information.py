r"""Standard errors under Vecchia's likelihood, at any number of locations.

Louis' identity (J. R. Stat. Soc. B 44, 1982) gives the observed information over weights, means and
covariance parameters as ``H = C - Z Z'``: ``C`` the complete-data information and, for every map
whose component is uncertain, columns ``S T`` of ``Z`` with ``S`` the score under each component and
``T T' = diag(r) - r r'``, ``T = diag(sqrt r) - r sqrt(r)'``.  Means are wanted by nobody and are
eliminated by Woodbury's identity, with ``D`` their block of ``C`` and ``s`` for all else:

``H_ss - H_sm H_mm^-1 H_ms = C_ss - Z_s M^-1 Z_s'``,  ``M = I - Z_m' D^-1 Z_m``,

where ``M`` is as large as there are uncertain maps, and ``D^-1`` of a map's score ``Xi^-1 r`` is
the residual itself over ``n_g`` where maps are complete.  The part of ``C`` that belongs to the
covariance parameters is the derivative of their analytic score, numerical by the nugget and the
shape; the part between them and the means is 0 in expectation, and taken as that.

Under heavy tails each map's deviation counts ``u = E[u | x]`` times, and ``Var(u)`` is lost to the
covariance parameters (:mod:`spatgmm.fitting.information`); what it takes from the means, which in
expectation has no part in these, is left out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spatgmm.covariance.family import N_COEFFICIENTS, NU, TAU, C
from spatgmm.covariance.vecchia import VecchiaCovariance
from spatgmm.fitting.estimates import Estimates, OfComponent, Posterior, Uncertainty
from spatgmm.fitting.information import inverse_block, merging
from spatgmm.fitting.state import empty
from spatgmm.fitting.vecchia import VecchiaMaps

#: A map whose other components have less than this together is certain.
NEGLIGIBLE = 1e-10

#: Relative step of the numerical derivative, and the smallest size it is relative to.
_STEP, _SMALLEST = 1e-4, 0.05

#: Steps that leave the cone are made ten times as short, so many times at most.
_MOST_SHORTENED = 4

#: A mean's answer to the score of a map is solved for up to so much log-likelihood.
_ENOUGH = 1e-9


def vecchia_uncertainty(estimates: Estimates, maps: VecchiaMaps) -> Uncertainty:
    """Sandwich covariance and observed information of a fit by Vecchia's likelihood.

    Parameters
    ----------
    estimates : Estimates
        At a maximum of the likelihood.  A mean that components have in common is taken as known.
    maps : VecchiaMaps
        The data, standardised.

    Returns
    -------
    Uncertainty
        By the sandwich; ``by_information`` is the same from the observed information alone.
    """
    mixture, model = estimates.mixture, estimates.model
    posterior = estimates.posterior(maps)
    free = [model.family.free(estimates.held(g)) for g in range(len(mixture.weights))]
    basis = None if model.mean.is_free else model.basis[0]
    ties = estimates.ties(range(len(free)))
    found = VecchiaInformation(maps, mixture, posterior, free, ties, basis)
    plain = Uncertainty(estimates, found.counts, found.weight_variance, found.theta_covariance)
    return Uncertainty(
        estimates,
        found.counts,
        found.robust_weight_variance,
        found.robust_theta_covariance,
        by_information=plain,
    )


class VecchiaInformation:
    """Observed information of a mixture at its data, and the sandwich.

    Parameters
    ----------
    maps : VecchiaMaps
        The data, standardised.
    mixture : Mixture
        At a maximum of the likelihood.
    posterior : Posterior
    free : list of list of int
        Places in each component's theta that are estimated.
    ties : Ties
        Of the parameters of all components.
    basis : ndarray of shape (k, p) or None
        The maps that span each component's mean; None where it is free, no maps where means are
        known, or common to all and taken as known.

    Attributes
    ----------
    theta_covariance, robust_theta_covariance : ndarray of shape (G, 3 + q, 3 + q)
        Of the estimates of ``(c, tau, nu, *shape)``, by the information and by the sandwich
        ``H^-1 J H^-1`` with ``J`` the sum of squares of the maps' scores (White, Econometrica 50,
        1982); NaN where not estimated, and for a component without maps.
    weight_variance, robust_weight_variance : ndarray of shape (G,)
    counts : ndarray of shape (G,)
        Expected numbers of maps.
    """

    def __init__(self, maps: VecchiaMaps, mixture, posterior: Posterior, free, ties, basis=None):
        responsibilities, map_weights = posterior.responsibilities, posterior.map_weights
        self.counts = responsibilities.sum(axis=0)
        size = len(ties.shared)
        G, shape = len(self.counts), (len(self.counts), size, size)
        self.theta_covariance, self.robust_theta_covariance = (
            np.full(shape, np.nan) for _ in range(2)
        )
        self.weight_variance, self.robust_weight_variance = (np.full(G, np.nan) for _ in range(2))
        present = np.flatnonzero(~empty(self.counts))
        if not present.size:
            return
        R = responsibilities[:, present]
        share = R.sum(axis=1, keepdims=True)
        R = R / np.where(share > 0, share, 1.0)  # no share: a map of an empty component
        counted = 1.0 if map_weights is None else map_weights[:, None]
        components = [
            _Component(
                *(maps, mixture.means[g], mixture.covariances[g]),
                replace(posterior.of(g), weights=weights),
                free[g],
            )
            for g, weights in zip(present, (counted * R).T, strict=True)
        ]
        uncertain = np.flatnonzero(1 - R.max(axis=1) > NEGLIGIBLE)
        grams = [component.gram(uncertain, basis) for component in components]
        counts = (counted * R).sum(axis=0)
        of_weights, small, complete = assembled(
            components, mixture.weights[present], len(maps), counts
        )
        roots = np.sqrt(counted) * np.ones((len(maps), 1))
        information, scores = profiled(small, complete, R, roots, uncertain, grams)

        follows = [ties.follows[g] for g in present]
        merge = merging([free[g] for g in present], replace(ties, follows=follows))
        inverse = inverse_block(merge.T @ information @ merge, range(merge.shape[1]))
        observed = merge @ inverse @ merge.T
        moved = scores @ observed
        for covariance, of_theta, of_weight in (
            (observed, self.theta_covariance, self.weight_variance),
            (moved.T @ moved, self.robust_theta_covariance, self.robust_weight_variance),
        ):
            start = len(present) - 1
            own = covariance[:start, :start]
            of_weight[present] = np.einsum("gk,kl,gl->g", of_weights, own, of_weights)
            for g in present:
                block = slice(start, start + len(free[g]))
                of_theta[np.ix_([g], free[g], free[g])] = covariance[block, block]
                start = block.stop


class _Component:
    """Scores of all maps under one component, and its complete-data information."""

    def __init__(
        self, maps: VecchiaMaps, mean, covariance: VecchiaCovariance, own: OfComponent, free
    ):
        self._maps, self._mean, self._covariance = maps, mean, covariance
        self._own, self._free = own, free
        scores, at_zero, bend = self._scores()
        self.score = scores[:, free]
        self.complete = self._curvature(own.weights @ scores, own.weights @ at_zero, bend)
        if own.pulls is not None:
            # Scores are linear in u.
            self.complete -= own.lost((self.score - at_zero[:, free]) / own.pulls[:, None])

    def _scores(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Of every map by theta (n, 3 + q), at its deviation and at none; what bends along c."""
        theta, n = self._covariance.theta, len(self._maps)
        scores, at_zero, bends = np.empty((n, len(theta))), np.empty((n, len(theta))), np.empty(n)
        for rows, part in self._maps.parts:
            residuals = part.less(self._mean[0])
            if self._own.pulls is not None:
                residuals = residuals.times(np.sqrt(self._own.pulls[rows]))
            found = residuals.innovations(self._covariance, slopes=True)
            scores[rows] = (to_theta(theta) @ found.scores(theta[C])).T
            at_zero[rows] = (to_theta(theta) @ found.scores_without_residuals(theta[C])).T
            bends[rows] = found.bend(theta[C])
        return scores, at_zero, self._own.weights @ bends

    def _curvature(self, score: np.ndarray, at_zero: np.ndarray, bend: float) -> np.ndarray:
        """Minus the second derivatives of the weighted log-likelihood by the free parameters.

        Those by nu and the shape are differences of scores.  Conditionals do not change with c, nor
        with the unit of the coefficients: where these grow by a factor ``s``, scores are those of
        residuals divided by ``sqrt(s)``, by the coefficients over ``s``.  That gives the product of
        the second derivatives ``H`` with ``(c, tau, nu)``, from which follow those by tau.

        Parameters
        ----------
        score, at_zero : ndarray of shape (3 + q,)
            First derivatives, and what they would be without residuals.
        bend : float
            Second derivative by c.
        """
        count, theta = self._own.weights.sum(), self._covariance.theta
        moments = self._maps.moments(self._own.weights, self._mean, self._own.pulls)
        H = np.zeros((len(theta),) * 2)
        # Second derivatives by tau follow from those by nu, be it free or not.
        wanted = {*self._free, NU} if TAU in self._free else set(self._free)
        differed = sorted(wanted - {C, TAU})
        for k in differed:
            step, ends = self._around(k)
            if None in ends:
                return np.full((len(self._free),) * 2, np.nan)
            ahead, behind = (
                to_theta(end.theta) @ end.score_and_information(moments)[0] for end in ends
            )
            H[:, k] = count * (ahead - behind) / (2 * step)
        among = np.ix_(differed, differed)
        H[among] = (H[among] + H[among].T) / 2
        H[differed] = H[:, differed].T
        product = at_zero - score
        product[:N_COEFFICIENTS] -= score[:N_COEFFICIENTS]
        H[C, C] = bend
        for k in (C, TAU):
            H[k, TAU] = H[TAU, k] = (product[k] - H[k, [C, NU]] @ theta[[C, NU]]) / theta[TAU]
        return -H[np.ix_(self._free, self._free)]

    def _around(self, k: int) -> tuple[float, list[VecchiaCovariance | None]]:
        """Covariances a step ahead and behind in one parameter; a small one where the cone ends."""
        theta = self._covariance.theta
        step = _STEP * max(abs(theta[k]), _SMALLEST)
        for _ in range(_MOST_SHORTENED):
            along = step * np.eye(len(theta))[k]
            ends = [self._covariance.family.at(theta + s * along) for s in (1, -1)]
            if None not in ends:
                break
            step /= 10
        return step, ends

    def gram(self, uncertain: np.ndarray, basis: np.ndarray | None) -> np.ndarray:
        """``u_i' D^-1 u_j`` of scores by the mean, i uncertain and j any map."""
        seen, own = self._maps.completed(self._mean, self._covariance), self._own
        scores = np.empty((self._maps.n_locations, len(self._maps)))
        for rows, part in self._maps.parts:
            scores[:, rows] = part.less(self._mean[0]).precise(self._covariance)
        scores = own.pulled(scores.T).T
        if basis is not None:
            scores = basis @ scores
            answers = np.linalg.solve(seen.stiffness(own.pulling, basis), scores[:, uncertain])
        elif (self._maps.n_observed == self._maps.n_locations).all():
            residuals = self._maps.blocks[0][uncertain] - self._mean[0]
            answers = own.some(uncertain).pulled(residuals).T / own.pulling.sum()
        else:
            answers = np.empty((len(scores), len(uncertain)))
            for j, i in enumerate(uncertain):
                answers[:, j] = seen.yielding(own.pulling, scores[:, i], _ENOUGH)
        return answers.T @ scores


def to_theta(theta: np.ndarray) -> np.ndarray:
    """From derivatives along (J, Xi, I, dXi/dshape) to those by ``(c, tau, nu, *shape)``.

    ``K = (Xi - c*J - nu*I) / tau``.
    """
    matrix = np.eye(len(theta))
    matrix[TAU, :N_COEFFICIENTS] = np.array([-theta[C], 1.0, -theta[NU]]) / theta[TAU]
    return matrix


def assembled(components, weights, n, counts):
    """Weights by the free ones (G, G - 1), scores (n, G, m) and complete information (m, m)."""
    G = len(counts)
    m = G - 1 + sum(len(component.complete) for component in components)
    small, complete = np.zeros((n, G, m)), np.zeros((m, m))
    of_weights = np.vstack([np.eye(G - 1), -np.ones((1, G - 1))])  # pi_G = 1 - the others
    small[:, :, : G - 1] = of_weights / weights[:, None]
    complete[: G - 1, : G - 1] = (of_weights.T * (counts / weights**2)) @ of_weights
    start = G - 1
    for j, component in enumerate(components):
        block = slice(start, start + len(component.complete))
        small[:, j, block] = component.score
        complete[block, block] = component.complete
        start = block.stop
    return of_weights, small, complete


def profiled(small, complete, R, roots, uncertain, grams):
    """Information (m, m) and scores (n, m) of weights and thetas, the means profiled out.

    `roots` (n, 1) are those of how often each map counts; scores come times them.
    """
    (n, G), r = R.shape, R[uncertain]
    T = np.sqrt(r)[:, :, None] * np.eye(G) - r[:, :, None] * np.sqrt(r)[:, None, :]
    T *= roots[uncertain, :, None]
    Z = np.einsum("igm,iga->iam", small[uncertain], T).reshape(-1, small.shape[2])
    M, V = np.eye(len(Z)), np.zeros((len(Z), n))
    for g, gram in enumerate(grams):
        own = T[:, g]
        M -= np.einsum("ia,ij,jb->iajb", own, gram[:, uncertain], own).reshape(M.shape)
        V += np.einsum("ia,ij->iaj", own, gram * R[:, g]).reshape(V.shape)
    solved = np.linalg.solve(M, np.column_stack([Z, V]))
    m = Z.shape[1]
    scores = np.einsum("ig,igm->im", R, small)
    return complete - Z.T @ solved[:, :m], roots * (scores + solved[:, m:].T @ Z)

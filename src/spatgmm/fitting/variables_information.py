r"""Standard errors where there are several variables, by any engine.

Louis' identity with the means eliminated, as in :mod:`spatgmm.fitting.vecchia_information`, over
weights, theta and the coordinates ``t`` of ``Psi + sum t_k E_k``: the ``E_k`` span where ``Psi``
can move to first order while its mean diagonal stays 1.  With ``P = Psi^-1`` and ``T`` the
scatter of the variables (:mod:`spatgmm.covariance.variables`), the gradient along ``E_k`` is
``1/2 n_g p tr(P E_k P (T - Psi))``.

The complete-data information is the numerical derivative of these gradients.  Where values are
missing they are conditioned anew at every step: by Fisher's identity it is then the information of
what was observed.  A second-order bend of where ``Psi`` can be (factor models have one) adds 0 in
expectation, and is taken as that; so is the information between means and covariances.  Under heavy
tails each map's deviation counts ``u`` times, as in :mod:`spatgmm.fitting.vecchia_information`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from spatgmm.covariance.variables import Psi, VariableCovariance, by_variable
from spatgmm.fitting.estimates import Estimates, OfComponent, Uncertainty
from spatgmm.fitting.information import inverse_block, merging
from spatgmm.fitting.maps import Blocks, Maps
from spatgmm.fitting.state import empty
from spatgmm.fitting.vecchia_information import NEGLIGIBLE, assembled, profiled, to_theta

#: Relative step of numerical derivatives, and the smallest size it is relative to.
_STEP, _SMALLEST = 1e-4, 0.05


def variables_uncertainty(estimates: Estimates, maps: Maps) -> Uncertainty:
    """Covariances of the estimates: by the sandwich where the likelihood is not quite the data's.

    Parameters
    ----------
    estimates : Estimates
        At a maximum of the likelihood.  A mean that components have in common is taken as known.
    maps : Maps
        The data, standardised.
    """
    mixture, model = estimates.mixture, estimates.model
    posterior = estimates.posterior(maps)
    responsibilities, map_weights = posterior.responsibilities, posterior.map_weights
    counts = responsibilities.sum(axis=0)
    plain, sandwich = (_unknown(estimates, counts) for _ in range(2))
    present = np.flatnonzero(~empty(counts))
    if not present.size:
        return plain
    R = responsibilities[:, present]
    share = R.sum(axis=1, keepdims=True)
    R = R / np.where(share > 0, share, 1.0)  # no share: a map of an empty component
    counted = np.ones((len(maps), 1)) if map_weights is None else map_weights[:, None]
    components = [
        _Component(estimates, g, maps, replace(posterior.of(g), weights=weights))
        for g, weights in zip(present, (counted * R).T, strict=True)
    ]
    uncertain = np.flatnonzero(1 - R.max(axis=1) > NEGLIGIBLE)
    grams = [component.gram(uncertain) for component in components]
    of_weights, small, complete = assembled(
        components, mixture.weights[present], len(maps), (counted * R).sum(axis=0)
    )
    information, scores = profiled(small, complete, R, np.sqrt(counted), uncertain, grams)
    size = model.family.n_parameters
    widest = max(len(component.along) for component in components)
    shared = np.concatenate([model.shared, np.zeros(widest, dtype=bool)])
    ties = replace(estimates.ties(present), shared=shared)
    merge = merging([[*c.free, *range(size, size + len(c.along))] for c in components], ties)
    inverse = inverse_block(merge.T @ information @ merge, range(merge.shape[1]))
    observed = merge @ inverse @ merge.T
    moved = scores @ observed
    for covariance, found in ((observed, plain), (moved.T @ moved, sandwich)):
        start = len(present) - 1
        found.weight_variance[present] = np.einsum(
            "gk,kl,gl->g", of_weights, covariance[:start, :start], of_weights
        )
        for g, component in zip(present, components, strict=True):
            of_theta = slice(start, start + len(component.free))
            of_psi = slice(of_theta.stop, of_theta.stop + len(component.along))
            at = np.ix_([g], component.free, component.free)
            found.theta_covariance[at] = covariance[of_theta, of_theta]
            found.psi_variance[g] = np.einsum(
                "kuv,kl,luv->uv",
                component.along,
                covariance[of_psi, of_psi],
                component.along,
                optimize=True,
            )
            start = of_psi.stop
    if model.family.spatial.is_exact:
        return plain
    sandwich.by_information = plain
    return sandwich


def _unknown(estimates: Estimates, counts: np.ndarray) -> Uncertainty:
    found = Uncertainty.unknown(estimates, counts)
    q = estimates.family.n_variables
    found.psi_variance = np.full((len(counts), q, q), np.nan)
    return found


class _Component:
    """Scores of all maps under one component, and its complete-data information.

    Attributes
    ----------
    free : list of int
        Places in theta that are estimated.
    along : ndarray of shape (m, q, q)
        The ``E_k``.
    score : ndarray of shape (n, f + m)
    complete : ndarray of shape (f + m, f + m)
    """

    def __init__(self, estimates: Estimates, g: int, maps: Maps, own: OfComponent):
        model, mixture = estimates.model, estimates.mixture
        self._maps, self._own, self._weights = maps, own, own.weights
        self._mean, self._covariance = mixture.means[g], mixture.covariances[g]
        self._basis = None if model.mean.is_free else model.basis
        family = self._covariance.family
        self.free = family.free(estimates.held(g))
        self.along = family.variables.tangents(family.psi)
        steps = self._steps()
        of_volume, of_distance = self._scores(steps)
        self.score = of_volume + own.pulled(of_distance)
        self.complete = self._information(steps) - own.lost(of_distance)

    def _steps(self) -> list[tuple[float, VariableCovariance | None, VariableCovariance | None]]:
        """The covariance a step ahead and behind along every parameter; the size of both steps."""
        covariance, ends = self._covariance, []
        family, theta = covariance.family, covariance.theta
        for k in self.free:
            step = np.zeros(len(theta))
            step[k] = _STEP * max(abs(theta[k]), _SMALLEST)
            ends.append((2 * step[k], family.at(theta + step), family.at(theta - step)))
        for direction in self.along:
            # Relative to Psi, in which sense no step leaves the cone.
            whitened = family.psi.whitener @ direction @ family.psi.whitener.T
            step = _STEP / np.abs(whitened).max()
            ends.append(
                (
                    2 * step,
                    *(
                        family.having(Psi(family.psi.matrix + s * step * direction)).at(theta)
                        for s in (1, -1)
                    ),
                )
            )
        return ends

    def _scores(self, steps) -> tuple[np.ndarray, np.ndarray]:
        """``d log N(x_i) / d parameter`` by the volume and by the distance, (n, f + m) each.

        Numerically, but for Psi where maps are complete.
        """
        of_psi = [np.empty((len(self._maps), 0))] * 2
        if self._maps.is_complete:
            steps, of_psi = steps[: len(self.free)], self._scores_of_psi()
        columns = []
        for size, ahead, behind in steps:
            if ahead is None or behind is None:
                columns.append(np.full((2, len(self._maps)), np.nan))
                continue
            distance, log_det = self._maps.distances(self._mean, ahead)
            less, smaller = self._maps.distances(self._mean, behind)
            volume = np.broadcast_to(log_det - smaller, len(self._maps))
            columns.append(-0.5 * np.stack([volume, distance - less]) / size)
        of_theta = zip(*columns, strict=True) if columns else [(), ()]
        return tuple(
            np.column_stack([*numerical, exact])
            for numerical, exact in zip(of_theta, of_psi, strict=True)
        )

    def _scores_of_psi(self) -> tuple[np.ndarray, np.ndarray]:
        """``-1/2 p tr(P E_k)`` and ``1/2 tr(P E_k P R' Xi^-1 R)`` of every map, (n, m) each."""
        covariance, psi = self._covariance, self._covariance.psi
        q, p = len(psi.matrix), covariance.family.geometry.n_locations
        residuals = [
            by_variable(block - m, q)
            for block, m in zip(self._maps.blocks, self._mean, strict=True)
        ]
        solved = covariance.spatial.solve([r.reshape(-1, r.shape[2]) for r in residuals])
        scatter = sum(
            np.einsum("unj,vnj->nuv", r, s.reshape(r.shape), optimize=True)
            for r, s in zip(residuals, solved, strict=True)
        )
        pulled = psi.inverse @ scatter @ psi.inverse
        of_distance = 0.5 * np.einsum("nuv,kuv->nk", pulled, self.along, optimize=True)
        of_volume = -0.5 * p * np.einsum("uv,kuv->k", psi.inverse, self.along)
        return np.broadcast_to(of_volume, of_distance.shape), of_distance

    def _information(self, steps) -> np.ndarray:
        """Minus the derivatives of the gradient by all parameters."""
        f = len(self.free)
        rows = []
        for k, (size, ahead, behind) in enumerate(steps):
            if ahead is None or behind is None:
                return np.full((len(steps), len(steps)), np.nan)
            # Derivatives of the gradient in theta by Psi are those of the other by theta.
            of_theta = np.zeros(f)
            if k < f:
                of_theta = self._by_theta(behind) - self._by_theta(ahead)
            of_psi = self._by_psi(behind) - self._by_psi(ahead)
            rows.append(np.concatenate([of_theta, of_psi]) / size)
        found = np.array(rows)
        found[f:, :f] = found[:f, f:].T
        return (found + found.T) / 2

    def _moments(self, covariance: VariableCovariance):
        if self._maps.is_complete:
            return self._complete_moments
        seen = self._maps.completed(self._mean, covariance)
        return seen.moments(self._weights, self._mean, self._own.pulls)

    @cached_property
    def _complete_moments(self):
        return self._maps.moments(self._weights, self._mean, self._own.pulls)

    def _by_theta(self, covariance: VariableCovariance) -> np.ndarray:
        score, _ = covariance.score_and_information(self._moments(covariance))
        return self._weights.sum() * (to_theta(covariance.theta) @ score)[self.free]

    def _by_psi(self, covariance: VariableCovariance) -> np.ndarray:
        psi, p = covariance.psi, covariance.family.geometry.n_locations
        misfit = self._scatter(covariance) - psi.matrix
        pulled = psi.inverse @ misfit @ psi.inverse
        return 0.5 * self._weights.sum() * p * np.einsum("kuv,uv->k", self.along, pulled)

    def _scatter(self, covariance: VariableCovariance) -> np.ndarray:
        """``T`` at a covariance; of complete maps it depends on theta alone."""
        if self._maps.is_complete and np.array_equal(covariance.theta, self._covariance.theta):
            return self._present_scatter
        return self._moments(covariance).variables(covariance.spatial)

    @cached_property
    def _present_scatter(self) -> np.ndarray:
        return self._complete_moments.variables(self._covariance.spatial)

    # -- means --------------------------------------------------------------------------------

    def gram(self, uncertain: np.ndarray) -> np.ndarray:
        """``u_i' D^-1 u_j`` of scores by the mean, i uncertain and j any map.

        ``D``, the information on the mean, is ``n_g (Xi (x) Psi)^-1`` where maps are complete; with
        ``C`` the mean conditional covariance of what is missing it is ``n_g (W - W C W)``,
        ``W = (Xi (x) Psi)^-1``.
        """
        covariance = self._covariance
        filled = self._maps.completed(self._mean, covariance).blocks
        residuals = [block - m for block, m in zip(filled, self._mean, strict=True)]
        own, total = self._own, self._own.pulling.sum()
        scores = own.pulled(self._in_basis(covariance.solve(residuals)))
        if not self._maps.is_complete:
            answers = np.linalg.solve(self._stiffness(residuals), scores[uncertain].T).T
        elif self._basis is None:
            some = np.concatenate(residuals, axis=1)[uncertain]
            answers = own.some(uncertain).pulled(some) / total
        else:
            weighted = covariance.spatial.solve(self._basis)
            gram = sum(w @ phi.T for w, phi in zip(weighted, self._basis, strict=True))
            bent = np.kron(covariance.psi.matrix, np.linalg.inv(gram))
            answers = scores[uncertain] @ bent / total
        return answers @ scores.T

    def _in_basis(self, blocks: Blocks) -> np.ndarray:
        """Products with the maps that span the mean of each variable: (n, q k)."""
        if self._basis is None:
            return np.concatenate(blocks, axis=1)
        n, q = len(blocks[0]), self._covariance.family.n_variables
        along = sum(
            block.reshape(n, q, phi.shape[1]) @ phi.T
            for block, phi in zip(blocks, self._basis, strict=True)
        )
        return along.reshape(n, q * len(self._basis[0]))

    def _stiffness(self, residuals: Blocks) -> np.ndarray:
        (W,), (r,), pulling = self._covariance.inverse, residuals, self._own.pulling
        shares = pulling / pulling.sum()
        seen = self._maps.completed(self._mean, self._covariance)
        missing = seen.moments(pulling, self._mean).scatter - (shares[:, None] * r).T @ r
        D = pulling.sum() * (W - W @ missing @ W)
        return self._in_basis([self._in_basis([D]).T]).T

r"""Standard errors by the observed information of the mixture, and what follows from them.

Louis' identity (J. R. Stat. Soc. B 44, 1982) gives the observed information as the expected
complete-data information minus the information lost with the labels,

``I = E[-d2 l_c | X] - Cov(s_c | X)``,

over all parameters ``(pi, mu, theta)`` at once, so that the uncertainty of weights and means is in
the standard errors of the covariance parameters.  ``s_c`` is the score of the complete data; for
map ``i`` in component ``g``, with ``y = W (x - mu)``,

``ds/dmu = u y``,  ``ds/dtheta_k = 1/2 (u y' B_k y - tr(W B_k))``.

``u`` is 1 under normal tails.  Under others it is as hidden as the label
(:mod:`spatgmm.fitting.tails`): its expectation stands in its place, and its variance loses
``r Var(u) t t'`` with ``t = (y, 1/2 y' B_k y)``.  The tails' own parameters are taken as known.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from spatgmm.covariance.family import Derivative, FactoredCovariance
from spatgmm.fitting.estimates import Estimates, OfComponent, Ties, Uncertainty
from spatgmm.fitting.maps import Blocks, IncompleteMaps, Maps
from spatgmm.fitting.state import empty

#: A map that adds less than this to the lost information adds nothing.
_NEGLIGIBLE = 1e-13


def observed_information(estimates: Estimates, maps: Maps) -> Uncertainty:
    """Covariances of the estimates from the observed information at the data.

    Parameters
    ----------
    estimates : Estimates
    maps : Maps
        The data, standardised.  Scales of locations (``variance="location"``) are taken as known.

    Returns
    -------
    Uncertainty
    """
    mixture = estimates.mixture
    posterior = estimates.posterior(maps)
    responsibilities = posterior.responsibilities
    found = Uncertainty.unknown(estimates, responsibilities.sum(axis=0))
    # Data say nothing about a component without maps; the others are what is estimated.
    present = np.flatnonzero(~empty(found.counts))
    if not present.size:
        return found
    maps = mixture.scales.divide(maps)
    components = [_Component(estimates, g, maps, posterior.of(g)) for g in present]
    observed = _Observed(
        components,
        mixture.weights[present],
        responsibilities[:, present],
        posterior.map_weights,
    )
    covariance = observed.covariance(estimates.ties(present), estimates.model.mean.is_common)

    G = len(present)
    to_last = np.vstack([np.eye(G - 1), -np.ones((1, G - 1))])  # pi_G = 1 - the others
    found.weight_variance[present] = np.diag(to_last @ covariance[: G - 1, : G - 1] @ to_last.T)
    start = G - 1
    for g, component in zip(present, components, strict=True):
        block = slice(start, start + len(component.free))
        found.theta_covariance[np.ix_([g], component.free, component.free)] = covariance[
            block, block
        ]
        start = block.stop
    return found


class _Observed:
    """The information over weights, then each component's mean and covariance parameters.

    Parameters
    ----------
    components : list of _Component
    weights : ndarray of shape (G,)
    responsibilities : ndarray of shape (n, G)
    map_weights : ndarray of shape (n,) or None
        How often each map counts; None: once.
    """

    def __init__(self, components: list[_Component], weights, responsibilities, map_weights):
        self._components, self._map_weights = components, map_weights
        self._n_weights = G1 = len(weights) - 1
        sizes = [component.score.shape[1] for component in components]
        ends = np.concatenate([[G1], G1 + np.cumsum(sizes)])
        self._places = [slice(a, b) for a, b in pairwise(ends)]
        # Score of the free weights pi_1 .. pi_{G-1} for a map of component g: row g.
        self._of_weights = np.vstack(
            [np.diag(1 / weights[:-1]), np.full((1, G1), -1 / weights[-1])]
        )
        counts = responsibilities.sum(axis=0)
        self._matrix = np.zeros((ends[-1], ends[-1]))
        self._matrix[:G1, :G1] = (self._of_weights.T * counts) @ self._of_weights
        for place, component in zip(self._places, components, strict=True):
            self._matrix[place, place] = component.complete
        for g in range(len(weights)):
            for h in range(len(weights)):
                self._lose(g, h, responsibilities)

    def _lose(self, g: int, h: int, responsibilities: np.ndarray) -> None:
        """Subtract what is lost with the labels, as far as it is between two components.

        ``Cov(s_c | X) = sum_i sum_gh (r_ig [g = h] - r_ig r_ih) s_ig s_ih'``.
        """
        weight = -responsibilities[:, g] * responsibilities[:, h]
        if self._map_weights is not None:
            weight /= self._map_weights
        if g == h:
            weight += responsibilities[:, g]
        # Maps whose component is all but certain have lost nothing.
        rows = np.flatnonzero(np.abs(weight) > _NEGLIGIBLE)
        left = self._components[g].score[rows] * weight[rows, None]
        total = left.sum(axis=0)
        of_g, of_h, of_weights = self._places[g], self._places[h], slice(self._n_weights)
        if g <= h:
            lost = left.T @ self._components[h].score[rows]
            self._matrix[of_g, of_h] -= lost
            if g < h:
                self._matrix[of_h, of_g] -= lost.T
        self._matrix[of_g, of_weights] -= np.outer(total, self._of_weights[h])
        self._matrix[of_weights, of_g] -= np.outer(self._of_weights[h], total)
        between = np.outer(self._of_weights[g], self._of_weights[h])
        self._matrix[of_weights, of_weights] -= weight.sum() * between

    def covariance(self, ties: Ties, common_mean: bool) -> np.ndarray:
        """Rows and columns of the inverse that belong to weights and covariance parameters."""
        own = [
            range(place.stop - len(component.free), place.stop)
            for place, component in zip(self._places, self._components, strict=True)
        ]
        wanted = [*range(self._n_weights), *(at for places in own for at in places)]
        of_wanted = merging([component.free for component in self._components], ties)
        m = of_wanted.shape[1]
        if not common_mean and m == len(wanted):
            return inverse_block(self._matrix, wanted)
        # Numbers that are free: those of weights and covariances, then those of means.
        of_means = [
            np.arange(place.start, places.start)
            for place, places in zip(self._places, own, strict=True)
        ]
        copies = len(of_means) if common_mean else 1
        values = np.tile(np.eye(sum(map(len, of_means)) // copies), (copies, 1))
        merge = np.zeros((len(self._matrix), m + values.shape[1]))
        merge[wanted, :m] = of_wanted
        merge[np.concatenate(of_means), m:] = values
        inverse = inverse_block(merge.T @ self._matrix @ merge, range(m))
        return of_wanted @ inverse @ of_wanted.T


@dataclass
class _View:
    """Maps that show the same locations: all, or with missing pixels those of one pattern.

    Attributes
    ----------
    rows : ndarray of int
    maps : Maps
        These rows at these locations.
    seen : ndarray of int or None
        The locations; None for all.
    """

    rows: np.ndarray
    maps: Maps
    seen: np.ndarray | None

    def vectors(self, blocks: Blocks) -> Blocks:
        """The same locations of vectors, block by block."""
        return blocks if self.seen is None else [blocks[0][self.seen]]

    def matrices(self, blocks: Blocks) -> Blocks:
        """The same locations of matrices, block by block."""
        return blocks if self.seen is None else [blocks[0][np.ix_(self.seen, self.seen)]]

    def derivatives(self, blocks: list[Derivative]) -> list[Derivative]:
        """The same locations of a derivative, block by block."""
        return blocks if self.seen is None else [blocks[0].seen(self.seen)]

    def inverse(self, covariance: FactoredCovariance) -> Blocks:
        """``Xi^-1`` of these locations."""
        if self.seen is None:
            return covariance.inverse
        (matrix,) = self.matrices(covariance.family.matrix(covariance.theta))
        return [np.linalg.inv(matrix)]

    def columns(self) -> list[np.ndarray]:
        """Where each block's locations stand among all, block after block."""
        if self.seen is not None:
            return [self.seen]
        ends = np.cumsum([0, *(block.shape[1] for block in self.maps.blocks)])
        return [np.arange(a, b) for a, b in pairwise(ends)]


def _views(maps: Maps) -> Iterator[_View]:
    """All maps, as views of those that show the same locations."""
    if not isinstance(maps, IncompleteMaps):
        yield _View(np.arange(len(maps)), maps, None)
        return
    everything = np.arange(maps.n_locations)
    complete = np.flatnonzero(maps.n_observed == len(everything))
    for rows, missing in [(complete, everything[:0]), *maps.patterns]:
        seen = np.setdiff1d(everything, missing)
        yield _View(rows, Maps([maps.blocks[0][np.ix_(rows, seen)]]), seen)


class _Component:
    """Scores (n, m) and complete-data information (m, m) of one component's (mu, theta)."""

    def __init__(self, estimates: Estimates, g: int, maps: Maps, own: OfComponent):
        model, mixture = estimates.model, estimates.mixture
        family = model.family
        self._covariance = mixture.covariances[g]
        self._mean = mixture.means[g]
        self.free = family.free(estimates.held(g))
        theta = self._covariance.theta
        self._derivatives = family.derivatives(theta)
        self._second = family.second_derivatives(theta)
        n, p, size = len(own.weights), maps.n_locations, len(theta)
        score = np.zeros((n, p + size))
        information = np.zeros((p + size, p + size))
        for view in _views(maps):
            if own.weights[view.rows].sum() > _NEGLIGIBLE:
                self._add(view, own.some(view.rows), score, information)
        if not (model.mean.is_free or model.mean.is_common):
            # The free parameters of the mean move all locations along the maps that span it.
            basis = mixture.scales.divide_vectors(model.basis)
            spanned = np.concatenate(basis, axis=1)
            along = np.zeros((p + size, len(spanned) + size))
            along[:p, : len(spanned)] = spanned.T
            along[p:, len(spanned) :] = np.eye(size)
            score, information = score @ along, along.T @ information @ along
        of_mean = score.shape[1] - size
        kept = [*range(of_mean), *(of_mean + k for k in self.free)]
        self.score = score[:, kept]
        self.complete = information[np.ix_(kept, kept)]

    def _add(self, view: _View, own: OfComponent, score, information) -> None:
        """What the maps of a view add to score and information, in place."""
        size, weights = len(self._derivatives), own.weights
        p, count, pulling = score.shape[1] - size, weights.sum(), own.pulling.sum()
        mean = view.vectors(self._mean)
        scatter = view.maps.moments(weights, mean, own.pulls)
        offset = [a - m for a, m in zip(view.maps.mean(own.pulling), mean, strict=True)]
        derivatives = [view.derivatives(blocks) for blocks in self._derivatives]
        second = {key: view.matrices(blocks) for key, blocks in self._second.items()}
        columns = view.columns()
        quadratic, traces = np.zeros((len(weights), size)), np.zeros(size)
        hessian = np.zeros((size, size))
        for b, (W, S) in enumerate(zip(view.inverse(self._covariance), scatter, strict=True)):
            y = (view.maps.blocks[b] - mean[b]) @ W
            score[np.ix_(view.rows, columns[b])] = y
            WS = W @ S
            R = WS @ W - W
            bases = [blocks[b] for blocks in derivatives]
            A, V = zip(*(B.products(W, WS) for B in bases), strict=True)
            for k, B in enumerate(bases):
                quadratic[:, k] += B.form(y)
                traces[k] += np.trace(A[k])
                transposed = np.ascontiguousarray(A[k].T)
                for m in range(size):
                    # tr(W B_k W B_m W S) - 1/2 tr(W B_k W B_m)
                    hessian[k, m] += np.vdot(transposed, V[m]) - 0.5 * np.vdot(transposed, A[m])
            for (j, k), blocks in second.items():
                bent = 0.5 * np.vdot(R, blocks[b])
                hessian[j, k] -= bent
                if j != k:
                    hessian[k, j] -= bent
            information[np.ix_(columns[b], columns[b])] += pulling * W
            # -d2/dmu dtheta_k = W B_k W (mean of the maps - mu): zero where the mean is free.
            cross = pulling * np.stack([a @ (W @ offset[b]) for a in A], axis=1)
            information[columns[b], p:] += cross
            information[p:, columns[b]] += cross.T
        score[view.rows, p:] = 0.5 * quadratic
        information[p:, p:] += count * 0.5 * (hessian + hessian.T)
        information -= own.lost(score[view.rows])
        score[view.rows] = own.pulled(score[view.rows])
        score[view.rows, p:] -= 0.5 * traces


def inverse_block(information: np.ndarray, wanted: Sequence[int]) -> np.ndarray:
    """Rows and columns `wanted` of the inverse, or NaN where the information is not positive."""
    # Parameters live on very different scales; unit diagonal makes the factorisation stable.
    scale = np.sqrt(np.maximum(np.diag(information), 0))
    wanted = list(wanted)
    if not wanted:
        return np.zeros((0, 0))
    columns = np.eye(len(information))[:, wanted]
    try:
        if not (scale.all() and np.isfinite(information).all()):
            raise np.linalg.LinAlgError("a parameter without information")
        factor = cho_factor(information / np.outer(scale, scale), overwrite_a=True)
    except np.linalg.LinAlgError:
        warnings.warn(
            "standard errors: the observed information is not positive definite, so the fit is "
            "not at a maximum of the likelihood, or at the edge of where its covariance exists; "
            "fit again with a smaller tol or more starts, or another decay",
            UserWarning,
            stacklevel=2,
        )
        return np.full((len(wanted), len(wanted)), np.nan)
    inverse = cho_solve(factor, columns)[wanted]
    return inverse / np.outer(scale[wanted], scale[wanted])


def merging(free: list[list[int]], ties: Ties) -> np.ndarray:
    """How what is estimated (rows) depends on the numbers that are free (columns).

    Rows are weights but the last, then what is `free` in theta of each component.  What is shared
    is one number, what follows another moves against it, and weights that are held do not move.
    """
    shared, n_weights = ties.shared, len(free) - 1
    keys: list[tuple] = [("weight", g) for g in range(n_weights)]
    keys += [(k,) if shared[k] else (k, g) for g, of in enumerate(free) for k in of]
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    merge = np.eye(len(places))[[places[key] for key in keys]]
    if ties.weights_held:
        merge[:n_weights] = 0.0
    start = n_weights
    for of, follows in zip(free, ties.follows, strict=True):
        if follows is not None:
            moved, mover = (start + of.index(k) for k in follows)
            merge[moved] = -merge[mover]
        start += len(of)
    return merge[:, merge.any(axis=0)]

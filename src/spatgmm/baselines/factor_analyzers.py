"""AECM for mixtures of factor analyzers ``N_p(mu_g, Lambda_g Lambda_g' + Psi_g)``.

Nothing here is p x p. The Woodbury identity and the determinant lemma bring every inverse and
determinant down to q x q, and the updates need a component's covariance ``S_g`` only through its
diagonal and ``S_g C`` with C (p, q), so an iteration costs ``O(n p q)`` per component.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from sklearn.utils.extmath import randomized_svd

from spatgmm.baselines.base import LEAST_WEIGHT, LONGEST_SETTLING, Units
from spatgmm.baselines.noise import Noise
from spatgmm.common import em

#: Of a column's variance: less has no influence on a bound.
_LEAST_VARIANCE = 1e-6

#: Noise starts at this share of its column's variance at least: EM leaves a variance near zero
#: only very slowly.
_FIRST_NOISE = 1e-3

#: Where noise is below this share of its column's variance, expanded squares drown in rounding.
_TINY_NOISE = 1e-7


#: Up to this many rows or columns all singular vectors cost less than a few at random.
_SMALL_SIDE = 64


class Sample:
    """The data as the iterations want them: centred, on a common scale, with their squares."""

    def __init__(self, X: np.ndarray, units: Units):
        self.n, self.p = X.shape
        self.units = units
        self.values = units.apply(X)
        self.squares = self.values**2
        # Constant columns need a bound on their noise, too.
        self.variances = np.maximum(self.values.var(axis=0), _LEAST_VARIANCE)


class Parameters(NamedTuple):
    """Of one model. Loadings are held transposed; shared ones once."""

    log_weights: np.ndarray  # (G,)
    means: np.ndarray  # (G, p)
    loadings: np.ndarray  # (G or 1, q, p)
    log_noise: np.ndarray  # (G, p)


@dataclass
class Start:
    """Responsibilities, and all that the models' first parameters take from them.

    Computed once per start and shared by every model and every number of factors.
    """

    sample: Sample
    responsibilities: np.ndarray
    max_factors: int

    #: Whether principal axes are those of the columns scaled to unit variance within components.
    standardised: bool = False

    @cached_property
    def scale(self) -> np.ndarray:
        """Units of the principal axes, (p,)."""
        if not self.standardised:
            return np.ones(self.sample.p)
        pooled = self.weight @ self.variances / self.weight.sum()
        return np.sqrt(np.maximum(pooled, _FIRST_NOISE * self.sample.variances))

    @cached_property
    def weight(self) -> np.ndarray:
        return np.maximum(self.responsibilities.sum(axis=0), LEAST_WEIGHT)

    @cached_property
    def means(self) -> np.ndarray:
        return (self.responsibilities.T @ self.sample.values) / self.weight[:, None]

    @cached_property
    def _rows(self) -> list[np.ndarray]:
        """Per component, rows whose cross product is ``N_g S_g``; those without weight left out."""
        rows = []
        for root, mean in zip(np.sqrt(self.responsibilities.T), self.means, strict=True):
            kept = root >= min(root.max(), np.finfo(float).tiny)  # all rows of an empty component
            rows.append(root[kept, None] * (self.sample.values[kept] - mean))
        return rows

    def _axes(self, rows: np.ndarray, weight: float) -> tuple[np.ndarray, np.ndarray]:
        """Leading eigenvectors (q, p) and eigenvalues (q,) of ``rows' rows / weight``, scaled."""
        rows = rows / self.scale
        if min(rows.shape) <= _SMALL_SIDE:
            _, singular, vectors = np.linalg.svd(rows, full_matrices=False)
        else:
            _, singular, vectors = randomized_svd(rows, self.max_factors, n_iter=7, random_state=0)
        found = min(singular.size, self.max_factors)
        axes, values = np.zeros((self.max_factors, self.sample.p)), np.zeros(self.max_factors)
        axes[:found], values[:found] = vectors[:found], singular[:found] ** 2 / weight
        return axes, values

    @cached_property
    def own_axes(self):
        return [self._axes(r, w) for r, w in zip(self._rows, self.weight, strict=True)]

    @cached_property
    def pooled_axes(self):
        return [self._axes(np.concatenate(self._rows), self.weight.sum())]

    @cached_property
    def variances(self) -> np.ndarray:
        """Of every component's columns, (G, p)."""
        sums = np.array([(rows**2).sum(axis=0) for rows in self._rows])
        return sums / self.weight[:, None]


class Whitening(NamedTuple):
    """What ``Sigma^-1 = Psi^-1 - C C'`` (Woodbury) takes.

    ``C = Psi^-1 Lambda L^-T`` with ``L L' = I + Lambda' Psi^-1 Lambda``.
    """

    precision: np.ndarray  # 1 / psi, (G, p)
    projector: np.ndarray  # C', (G, q, p)
    inverse: np.ndarray  # L^-1, (G, q, q)
    log_det: np.ndarray  # log|Sigma|, (G,)
    tiny: bool  # whether some noise is all but 0


@dataclass(frozen=True, eq=False)
class Projection(em.Expectation):
    """The first E-step of an AECM iteration, and what the second one takes over."""

    whitening: Whitening
    squared: np.ndarray  # x' Psi^-1 x, (G, n)
    projected: np.ndarray  # C' x, (G, q, n)


class Moments(NamedTuple):
    """What the second M-step takes of the data, ``S_g`` being about the new means."""

    totals: np.ndarray  # expected rows, (G,)
    variances: np.ndarray  # diag(S), (G, p)
    product: np.ndarray  # beta S, (G, q, p), where beta = Lambda' Sigma^-1
    second: np.ndarray  # E[u u' | x], averaged: I - beta Lambda + beta S beta', (G, q, q)


class FactorAnalyzers(em.Problem[Parameters]):
    """One model's AECM.

    What is computed over observations lies as (G, n) or (G, q, n) in memory: the long axis last is
    what makes small arrays fast.
    """

    longest_settling = LONGEST_SETTLING

    def __init__(self, sample: Sample, n_factors: int, shared_loadings: bool, noise: Noise):
        self.sample, self.noise = sample, noise
        self._n_factors, self._shared_loadings = n_factors, shared_loadings
        self._floor = noise.floor * sample.variances

    def degenerate(self, parameters: Parameters) -> np.ndarray:
        """Which components have too few expected rows for their factors and noise, (G,)."""
        return np.exp(parameters.log_weights) * self.sample.n < self._n_factors + 2

    def sound(self, parameters, expected):
        return not self.degenerate(parameters).any()

    def start(self, start: Start) -> Parameters:
        """First parameters: principal components as loadings, the rest of the variance as noise."""
        q, p = self._n_factors, self.sample.p
        weight = start.weight / start.weight.sum()
        if self._shared_loadings:
            every, variances = start.pooled_axes, [weight @ start.variances]
        else:
            every, variances = start.own_axes, start.variances
        loadings = []
        for (axes, values), variance in zip(every, variances, strict=True):
            rest = max((variance / start.scale**2).sum() - values[:q].sum(), 0.0) / (p - q)
            loadings.append(np.sqrt(np.maximum(values[:q] - rest, 0.0))[:, None] * axes[:q])
        loadings = np.array(loadings) * start.scale
        residual = start.variances - (loadings**2).sum(axis=1)
        residual = np.maximum(residual, _FIRST_NOISE * self.sample.variances)
        psi = self.noise.fit(residual, weight, self._floor, np.ones_like(residual))
        return Parameters(np.log(weight), start.means, loadings, np.log(psi))

    def log_joint(self, parameters: Parameters) -> np.ndarray:
        """``log(pi_g) + log f_g(x)`` (n, G), on the sample's scale."""
        return self._project(parameters)[0]

    def expectation(self, parameters):
        log_joint, *parts = self._project(parameters)
        return Projection(*em.posterior(log_joint), *parts)

    def _project(self, parameters: Parameters):
        whitening = self._whitening(parameters)
        G, q, p = whitening.projector.shape
        squared = whitening.precision @ self.sample.squares.T
        # One product for projections and cross terms.
        slope = parameters.means * whitening.precision
        stacked = np.concatenate([whitening.projector.reshape(G * q, p), slope])
        products = stacked @ self.sample.values.T
        projected = products[: G * q].reshape(G, q, -1)
        log_joint, _ = self._about(parameters, whitening, squared, projected, products[G * q :])
        return log_joint, whitening, squared, projected

    def _whitening(self, parameters: Parameters) -> Whitening:
        precision = np.exp(-parameters.log_noise)
        scaled = precision[:, None, :] * parameters.loadings
        diagonal = np.arange(self._n_factors)
        tiny = self.noise.floor < _TINY_NOISE and bool(
            (precision * self.sample.variances > 1 / _TINY_NOISE).any()
        )
        if tiny:
            # Without squares: R'R = I + Lambda' Psi^-1 Lambda from the QR factors of its root.
            root = np.sqrt(precision)[:, None, :] * parameters.loadings
            identity = np.broadcast_to(np.eye(self._n_factors), (len(root), *root.shape[1:2] * 2))
            stacked = np.concatenate([root, identity], axis=2).transpose(0, 2, 1)
            factor = np.linalg.qr(stacked, mode="r").transpose(0, 2, 1)
        else:
            inner = scaled @ parameters.loadings.transpose(0, 2, 1)
            inner[:, diagonal, diagonal] += 1.0
            factor = np.linalg.cholesky(inner)
        inverse = np.linalg.inv(factor)
        half = np.log(np.abs(factor[:, diagonal, diagonal])).sum(axis=1)
        log_det = parameters.log_noise.sum(axis=1) + 2 * half
        return Whitening(precision, inverse @ scaled, inverse, log_det, tiny)

    def _about(self, parameters: Parameters, whitening: Whitening, squared, projected, crossed):
        """``log(pi_g) + log f_g(x)`` (n, G) and ``C'(x - mu)`` (G, q, n) at these parameters.

        ``crossed`` (G, n) is ``mu' Psi^-1 x``.
        """
        means = parameters.means
        scores = projected - whitening.projector @ means[:, :, None]
        constant = self.sample.p * np.log(2 * np.pi) + whitening.log_det
        if whitening.tiny:
            distance = self._distance_of_residuals(parameters, whitening, scores)
        else:
            distance = squared - 2 * crossed
            for factor in range(self._n_factors):
                distance -= scores[:, factor] ** 2
            constant = constant + (whitening.precision * means**2).sum(axis=1)
        distance *= -0.5
        distance += (parameters.log_weights - 0.5 * constant)[:, None]
        return distance.T, scores

    def _distance_of_residuals(self, parameters: Parameters, whitening: Whitening, scores):
        """Squared Mahalanobis distances (G, n) as ``(x - mu - Lambda u)' Psi^-1 (...) + u'u``.

        With the expected factors ``u = L^-T C'(x - mu)``, which make it smallest, so that their
        own errors count only squared.
        """
        distance = np.empty((len(scores), self.sample.n))
        for g, inverse in enumerate(whitening.inverse):
            factors = inverse.T @ scores[g]
            fitted = factors.T @ parameters.loadings[g % len(parameters.loadings)]
            residuals = self.sample.values - parameters.means[g] - fitted
            distance[g] = residuals**2 @ whitening.precision[g] + (factors**2).sum(axis=0)
        return distance

    def maximisation(self, parameters, expected):
        values, whitening = self.sample.values, expected.whitening
        # First cycle: labels missing; weights and means.
        share = expected.responsibilities.T
        totals = np.maximum(share.sum(axis=1), LEAST_WEIGHT)
        log_weights = np.log(totals / totals.sum())
        means = (share @ values) / totals[:, None]
        # Second cycle: labels and factors missing; loadings and noise. Its E-step costs little,
        # since only the means moved.
        crossed = (means * whitening.precision) @ values.T
        moved = parameters._replace(log_weights=log_weights, means=means)
        log_joint, scores = self._about(
            moved, whitening, expected.squared, expected.projected, crossed
        )
        moments = self._moments(em.posterior(log_joint)[1].T, scores, means, whitening.inverse)
        loadings = self._loadings(moments, whitening.precision)
        # diag(S - 2 Lambda beta S + Lambda E[u u'] Lambda')
        residual = moments.variances + (
            loadings * (moments.second @ loadings - 2 * moments.product)
        ).sum(axis=1)
        weight = moments.totals / moments.totals.sum()
        psi = self.noise.fit(residual, weight, self._floor, np.exp(parameters.log_noise))
        return Parameters(log_weights, means, loadings, np.log(psi))

    def _moments(self, share, scores, means, inverse) -> Moments:
        """``share`` (G, n): transposed responsibilities; ``scores`` (G, q, n): ``C'(x - mu)``."""
        G, q, n = scores.shape
        mass = share.sum(axis=1)
        totals = np.maximum(mass, LEAST_WEIGHT)
        share = share / totals[:, None]
        weighted = share[:, None, :] * scores
        products = np.concatenate([weighted.reshape(G * q, n), share]) @ self.sample.values
        # S_g is about the current means, which are no longer the weighted means.
        variances = share @ self.sample.squares - 2 * means * products[G * q :]
        variances += means**2 * (mass / totals)[:, None]
        product = products[: G * q].reshape(G, q, -1)
        product = product - weighted.sum(axis=2)[:, :, None] * means[:, None]
        second = weighted @ scores.transpose(0, 2, 1)
        second[:, range(q), range(q)] += 1.0
        upper = inverse.transpose(0, 2, 1)
        return Moments(totals, variances, upper @ product, upper @ second @ inverse)

    def _loadings(self, moments: Moments, precision):
        totals, _, product, second = moments
        if not self._shared_loadings:
            return np.linalg.inv(second) @ product
        if self.noise.proportional:
            # The common shape of the noise cancels: one q x q system for all rows.
            weight = (totals * precision[:, 0])[:, None, None]
            return (np.linalg.inv((weight * second).sum(0)) @ (weight * product).sum(0))[None]
        weight = totals[:, None] * precision
        left = np.tensordot(weight.T, second, axes=1)  # (p, q, q)
        right = (weight[:, None, :] * product).sum(axis=0)
        return np.linalg.solve(left, right.T[:, :, None])[:, :, 0].T[None]

    def flat(self, parameters):
        return np.concatenate([part.ravel() for part in parameters])

    def from_flat(self, flat, like):
        """Brought back to weights that sum to 1 and allowed noise."""
        end, parts = 0, []
        for old in like:
            parts.append(flat[end : end + old.size].reshape(old.shape))
            end += old.size
        log_weights, means, loadings, log_noise = parts
        log_weights = log_weights - np.logaddexp.reduce(log_weights)
        psi = np.maximum(np.exp(log_noise), self._floor)
        psi = self.noise.fit(psi, np.exp(log_weights), self._floor, psi)
        return Parameters(log_weights, means, loadings, np.log(psi))

    def metric(self, parameters):
        """Roots of the parameters' complete-data information per observation."""
        root_weight = np.exp(0.5 * parameters.log_weights)
        precision = root_weight[:, None] * np.exp(-0.5 * parameters.log_noise)
        shared = self._shared_loadings
        loading = np.sqrt((precision**2).sum(axis=0))[None] if shared else precision
        of_noise = np.sqrt(0.5) * root_weight[:, None]
        return self.flat(
            Parameters(
                root_weight,
                precision,
                np.broadcast_to(loading[:, None, :], parameters.loadings.shape),
                np.broadcast_to(of_noise, parameters.log_noise.shape),
            )
        )

"""AECM for mixtures of factor analyzers ``N_p(mu_g, Lambda_g Lambda_g' + Psi_g)``.

Nothing here is p x p. The Woodbury identity and the determinant lemma bring every inverse and
determinant down to q x q, and the updates need a component's covariance ``S_g`` only through its
diagonal and ``S_g C`` with C (p, q), so an iteration costs ``O(n p q)`` per component.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.utils.extmath import randomized_svd

from spatgmm.baselines.base import Units
from spatgmm.baselines.em import pack, posterior
from spatgmm.baselines.noise import Noise

# A noise variance may not fall below this share of its column's variance: a factor that takes a
# column over completely (a Heywood case) would otherwise send the density to infinity.
NOISE_FLOOR = 1e-6
# A component keeps at least this much weight in a division; an empty one keeps finite parameters.
LEAST_WEIGHT = 1e-8


class Sample:
    """The data as the iterations want them: centred, on a common scale, with their squares."""

    def __init__(self, X: np.ndarray, units: Units):
        self.n, self.p = X.shape
        self.units = units
        self.values = units.apply(X)
        self.squares = self.values**2
        # Constant columns need a floor too.
        self.floor = NOISE_FLOOR * np.maximum(self.values.var(axis=0), NOISE_FLOOR)


@dataclass
class Start:
    """Responsibilities, and all that the models' first parameters take from them.

    Computed once per start and shared by every model and every number of factors.
    """

    sample: Sample
    responsibilities: np.ndarray
    max_factors: int

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

    def _axes(self, rows: np.ndarray, weight: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Leading eigenvectors (q, p), eigenvalues (q,) and diagonal of ``rows' rows / weight``."""
        _, singular, vectors = randomized_svd(rows, self.max_factors, n_iter=7, random_state=0)
        axes = np.zeros((self.max_factors, self.sample.p))
        values = np.zeros(self.max_factors)
        axes[: singular.size], values[: singular.size] = vectors, singular**2 / weight
        return axes, values, (rows**2).sum(axis=0) / weight

    @cached_property
    def own_axes(self):
        return [self._axes(r, w) for r, w in zip(self._rows, self.weight, strict=True)]

    @cached_property
    def pooled_axes(self):
        return [self._axes(np.concatenate(self._rows), self.weight.sum())]

    def parameters(self, n_factors: int, shared_loadings: bool, noise: Noise) -> np.ndarray:
        """First parameters: principal components as loadings, the rest of the variance as noise."""
        loadings = []
        for axes, values, diagonal in self.pooled_axes if shared_loadings else self.own_axes:
            leading = values[:n_factors]
            rest = max(diagonal.sum() - leading.sum(), 0.0) / (self.sample.p - n_factors)
            loadings.append(np.sqrt(np.maximum(leading - rest, 0.0))[:, None] * axes[:n_factors])
        loadings = np.array(loadings)
        residual = np.array([diagonal for _, _, diagonal in self.own_axes])
        residual -= (loadings**2).sum(axis=1)
        weight = self.weight / self.weight.sum()
        # Farther from zero than the floor: EM leaves a variance near zero only very slowly.
        residual = np.maximum(residual, 1e3 * self.sample.floor)
        psi = noise.fit(residual, weight, self.sample.floor, np.ones_like(residual))
        return pack(np.log(weight), self.means, loadings, np.log(psi))


class FactorAnalyzers:
    """One model's AECM map on flat parameters (log weights, means, loadings, log noise).

    Loadings are held transposed, (G or 1, q, p), and everything over observations as (G, n) or
    (G, q, n): the long axis last is what makes small arrays fast.
    """

    def __init__(
        self, sample: Sample, n_components: int, n_factors: int, shared_loadings: bool, noise: Noise
    ):
        self.sample, self.noise, self.shared_loadings = sample, noise, shared_loadings
        self.shape = G, q, p = n_components, n_factors, sample.p
        self._ends = np.cumsum([G, G * p, (1 if shared_loadings else G) * q * p]).tolist()

    def unpack(self, parameters: np.ndarray):
        G, q, p = self.shape
        a, b, c = self._ends
        return (
            parameters[:a],
            parameters[a:b].reshape(G, p),
            parameters[b:c].reshape(-1, q, p),
            parameters[c:].reshape(G, p),
        )

    def degenerate(self, parameters: np.ndarray) -> np.ndarray:
        """Which components have too few expected rows for their factors and noise, (G,)."""
        return np.exp(self.unpack(parameters)[0]) * self.sample.n < self.shape[1] + 2

    def _whitening(self, loadings, log_psi):
        """``1 / psi`` (G, p), ``C'`` (G, q, p) with ``C = Psi^-1 Lambda L^-T``, ``L^-1`` and
        ``log|Sigma_g|``, where ``L L' = I + Lambda' Psi^-1 Lambda``.

        Then ``Sigma^-1 = Psi^-1 - C C'`` (Woodbury).
        """
        precision = np.exp(-log_psi)
        scaled = precision[:, None, :] * loadings
        inner = scaled @ loadings.transpose(0, 2, 1)
        diagonal = np.arange(self.shape[1])
        inner[:, diagonal, diagonal] += 1.0
        factor = np.linalg.cholesky(inner)
        inverse = np.linalg.inv(factor)
        half = np.log(factor[:, diagonal, diagonal]).sum(axis=1)
        return precision, inverse @ scaled, inverse, log_psi.sum(axis=1) + 2 * half

    def _log_joint(self, squared, crossed, scores, offset):
        """``log(pi_g) + log f_g(x)`` (G, n), from the parts of the squared Mahalanobis distance:
        ``x'Psi^-1 x``, ``x'Psi^-1 mu`` and ``C'(x - mu)``."""
        quadratic = squared - 2 * crossed
        for factor in range(self.shape[1]):
            quadratic -= scores[:, factor] ** 2
        quadratic *= -0.5
        quadratic += offset[:, None]
        return quadratic

    def _offset(self, log_weight, means, slope, log_determinant):
        return log_weight - 0.5 * (
            self.shape[2] * np.log(2 * np.pi) + log_determinant + (slope * means).sum(axis=1)
        )

    def log_joint(self, parameters: np.ndarray) -> np.ndarray:
        """``log(pi_g) + log f_g(x)`` (G, n), on the sample's scale."""
        return self._expect(parameters)[0]

    def _expect(self, parameters):
        G, q, _ = self.shape
        log_weight, means, loadings, log_psi = self.unpack(parameters)
        precision, whitener, inverse, log_determinant = self._whitening(loadings, log_psi)
        slope = means * precision
        squared = precision @ self.sample.squares.T
        # One product for projections and cross terms.
        products = np.concatenate([whitener.reshape(G * q, -1), slope]) @ self.sample.values.T
        projected = products[: G * q].reshape(G, q, -1)
        scores = projected - whitener @ means[:, :, None]
        offset = self._offset(log_weight, means, slope, log_determinant)
        log_joint = self._log_joint(squared, products[G * q :], scores, offset)
        return log_joint, precision, whitener, inverse, log_determinant, squared, projected

    def step(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """The log-likelihood at ``parameters``, and the parameters after one AECM iteration."""
        G, q, p = self.shape
        values, squares = self.sample.values, self.sample.squares
        log_joint, precision, whitener, inverse, log_determinant, squared, projected = self._expect(
            parameters
        )
        log_psi = self.unpack(parameters)[3]

        # First cycle: labels missing; weights and means.
        share, log_likelihood = posterior(log_joint)
        total = np.maximum(share.sum(axis=1), LEAST_WEIGHT)
        log_weight = np.log(total / total.sum())
        means = (share @ values) / total[:, None]

        # Second cycle: labels and factors missing; loadings and noise. Its E-step costs little,
        # since only the means moved.
        slope = means * precision
        scores = projected - whitener @ means[:, :, None]
        offset = self._offset(log_weight, means, slope, log_determinant)
        share, _ = posterior(self._log_joint(squared, slope @ values.T, scores, offset))
        mass = share.sum(axis=1)
        total = np.maximum(mass, LEAST_WEIGHT)
        share /= total[:, None]
        weighted = share[:, None, :] * scores
        products = np.concatenate([weighted.reshape(G * q, -1), share]) @ values
        # S_g is about the current means, which are no longer the weighted means.
        diagonal = share @ squares - 2 * means * products[G * q :]
        diagonal += means**2 * (mass / total)[:, None]
        product = (
            products[: G * q].reshape(G, q, p) - weighted.sum(axis=2)[:, :, None] * means[:, None]
        )
        upper = inverse.transpose(0, 2, 1)
        product = upper @ product  # beta_g S_g
        # E[u u' | x], averaged: I - beta Lambda + beta S beta'.
        second = weighted @ scores.transpose(0, 2, 1)
        second[:, range(q), range(q)] += 1.0
        second = upper @ second @ inverse

        loadings = self._loadings(product, second, total, precision)
        # diag(S - 2 Lambda beta S + Lambda E[u u'] Lambda')
        residual = diagonal + (loadings * (second @ loadings - 2 * product)).sum(axis=1)
        psi = self._noise(residual, total / total.sum(), log_psi)
        return log_likelihood, pack(log_weight, means, loadings, np.log(psi))

    def _loadings(self, product, second, total, precision):
        if not self.shared_loadings:
            return np.linalg.inv(second) @ product
        if self.noise.proportional:
            # The common shape of the noise cancels: one q x q system for all rows.
            weight = (total * precision[:, 0])[:, None, None]
            return (np.linalg.inv((weight * second).sum(0)) @ (weight * product).sum(0))[None]
        weight = total[:, None] * precision
        left = np.tensordot(weight.T, second, axes=1)  # (p, q, q)
        right = (weight[:, None, :] * product).sum(axis=0)
        return np.linalg.solve(left, right.T[:, :, None])[:, :, 0].T[None]

    def _noise(self, residual, weight, log_psi):
        floor = self.sample.floor
        previous = np.exp(log_psi)
        psi = self.noise.fit(residual, weight, floor, previous)
        if self.noise.exact or not (residual < floor).any():
            return psi

        # Volume and shape fitted to residuals raised to the floor need not be an improvement.
        def objective(variance, log_variance):
            return weight @ (log_variance + residual / variance).sum(axis=1)

        better = objective(psi, np.log(psi)) < objective(previous, log_psi)
        return psi if better else previous

    def metric(self, parameters: np.ndarray) -> np.ndarray:
        """Roots of the parameters' complete-data information per observation."""
        log_weight, _, loadings, log_psi = self.unpack(parameters)
        root_weight = np.exp(0.5 * log_weight)
        precision = root_weight[:, None] * np.exp(-0.5 * log_psi)
        loading = np.sqrt((precision**2).sum(axis=0))[None] if self.shared_loadings else precision
        return pack(
            root_weight,
            precision,
            np.broadcast_to(loading[:, None, :], loadings.shape),
            np.broadcast_to(np.sqrt(0.5) * root_weight[:, None], log_psi.shape),
        )

    def repair(self, parameters: np.ndarray) -> np.ndarray:
        """Extrapolated parameters brought back to weights that sum to 1 and allowed noise."""
        log_weight, means, loadings, log_psi = self.unpack(parameters)
        log_weight = log_weight - np.logaddexp.reduce(log_weight)
        psi = np.maximum(np.exp(log_psi), self.sample.floor)
        psi = self.noise.fit(psi, np.exp(log_weight), self.sample.floor, psi)
        return pack(log_weight, means, loadings, np.log(psi))

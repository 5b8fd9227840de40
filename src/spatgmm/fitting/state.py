"""What is fitted, and its parameters: a model says of which kind they are, a mixture holds them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from spatgmm.common.em import posterior
from spatgmm.covariance.family import Covariance, Family
from spatgmm.fitting.held import Held
from spatgmm.fitting.maps import Blocks, Maps
from spatgmm.fitting.means import Mean
from spatgmm.fitting.scales import Scales
from spatgmm.fitting.tails import Deviations, NormalTails, Tails

#: A component with fewer expected maps has no scatter to speak of: it is empty.
MIN_MAPS = 1.5

#: Smallest size of a coefficient, in units of the data's variance, that its steps are measured by.
_SMALLEST = 0.05


def empty(counts: np.ndarray) -> np.ndarray:
    """Which of these expected numbers of maps are too few, by more than rounding."""
    return counts < MIN_MAPS * (1 - 1e-9)


@dataclass(frozen=True)
class Model:
    """Of which kind the parts of a mixture are, each an object that knows its own step.

    Attributes
    ----------
    family : Family
        Covariances over the locations, with the way in which a likelihood is computed.
    mean : Mean
    scales : Scales
    shared : ndarray of bool, shape (3 + q,)
        Which covariance parameters all components share.
    tails : Tails
    held : Held
        What is not estimated, beside means and shapes that say so themselves.
    """

    family: Family
    mean: Mean
    scales: Scales
    shared: np.ndarray
    tails: Tails = field(default_factory=NormalTails)
    held: Held = field(default_factory=Held)

    @property
    def searched(self) -> Model:
        """The model of a search, which knows components up to their numbers."""
        return replace(self, mean=self.mean.searched, held=Held())

    @property
    def holds(self) -> bool:
        """Whether weights, coefficients or means are given."""
        return self.mean.is_held or self.held.weights is not None or self.held.alpha is not None

    @property
    def by_number(self) -> bool:
        """Whether what is held tells components apart."""
        return self.mean.is_held or self.held.by_number

    @cached_property
    def basis(self) -> Blocks:
        """The maps that span a mean, (k, p_b) block by block."""
        return self.mean.basis(self.family.geometry)

    def n_parameters(self, n_components: int) -> int:
        """Free parameters of a mixture."""
        family, p = self.family, self.family.geometry.n_locations
        free = np.array([family.estimated(self.held.alpha_of(g)) for g in range(n_components)])
        own = (free & ~self.shared).sum() + n_components * family.n_further
        of_covariances = int((free & self.shared)[0].sum() + own)
        of_weights = n_components - 1 if self.held.weights is None else 0
        of_means = family.n_variables * self.mean.n_parameters(n_components, self.basis)
        of_tails = n_components * self.tails.n_parameters
        return of_weights + of_means + of_covariances + of_tails + self.scales.n_parameters(p)

    def weights(self, counts: np.ndarray) -> np.ndarray:
        """Weights (G,) by the expected numbers of maps."""
        return counts / counts.sum() if self.held.weights is None else self.held.weights

    def tied(self, thetas: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Covariance parameters (G, 3 + q), those that are shared at their mean."""
        return np.where(self.shared, counts @ thetas / counts.sum(), thetas)

    def mixture(self, maps: Maps, responsibilities: np.ndarray, thetas: np.ndarray) -> Mixture:
        """Weights and means of given responsibilities, with given covariance parameters.

        Parameters
        ----------
        maps : Maps
            Complete.
        responsibilities : ndarray of shape (n, G)
        thetas : ndarray of shape (G, 3 + q)
        """
        maps = self.scales.divide(maps)
        counts = responsibilities.sum(axis=0)
        covariances = [self.family.inside(theta) for theta in self.tied(thetas, counts)]
        basis, weights = self.scales.divide_vectors(self.basis), list(responsibilities.T)
        everyone = range(len(weights))
        means = self.mean.estimates([maps] * len(weights), weights, covariances, basis, everyone)
        tails = self.tails.start(len(weights))
        return Mixture(self.weights(counts), means, covariances, self.scales, tails)


@dataclass
class Mixture:
    """Parameters of a mixture.

    Attributes
    ----------
    weights : ndarray of shape (G,)
    means : list of Blocks
        Of each component, of maps divided by `scales`.
    covariances : list of Covariance
        Likewise.
    scales : Scales
    tails : Tails
    """

    weights: np.ndarray
    means: list[Blocks]
    covariances: list[Covariance]
    scales: Scales
    tails: Tails = field(default_factory=NormalTails)

    @property
    def thetas(self) -> np.ndarray:
        return np.array([covariance.theta for covariance in self.covariances])

    def reordered(self, order) -> Mixture:
        """The same mixture with its components in another order."""
        return replace(
            self,
            weights=self.weights[order],
            means=[self.means[g] for g in order],
            covariances=[self.covariances[g] for g in order],
            tails=self.tails.reordered(order),
        )

    def deviations(self, maps: Maps) -> Deviations:
        """Where maps lie under each component."""
        jacobian = self.scales.log_volume(maps)
        maps = self.scales.divide(maps)
        squared, log_det = (np.empty((len(maps), len(self.means))) for _ in range(2))
        for g, (mean, covariance) in enumerate(zip(self.means, self.covariances, strict=True)):
            squared[:, g], log_det[:, g] = maps.distances(mean, covariance)
        log_det.T[:] += 2 * jacobian
        return Deviations(squared, log_det, maps.n_observed)

    def log_joint(self, maps: Maps) -> np.ndarray:
        """``log(pi_g) + log f_g(x_i)``, shape (n, G)."""
        return self.log_joint_at(self.deviations(maps))

    def log_joint_at(self, deviations: Deviations) -> np.ndarray:
        """The same of maps that lie there."""
        with np.errstate(divide="ignore"):  # an emptied component has log weight -inf
            log_weights = np.log(self.weights)
        return log_weights + self.tails.log_density(deviations)

    def expectation(self, maps: Maps) -> tuple[float, np.ndarray]:
        """Log-likelihood and responsibilities (n, G)."""
        return posterior(self.log_joint(maps))

    def filled(self, maps: Maps, g: int) -> Blocks:
        """Maps with missing pixels at their expectation under one component."""
        complete = self.scales.divide(maps).completed(self.means[g], self.covariances[g])
        return self.scales.multiply(complete.blocks)

    def inside(self, maps: Maps) -> Mixture:
        """The mixture, its covariances moved to where every one of these maps has a density."""
        return replace(self, covariances=[maps.inside(one) for one in self.covariances])

    # -- as numbers that may be moved freely -----------------------------------------------------

    def flat(self) -> np.ndarray:
        """All parameters in one array."""
        return np.concatenate(
            [
                np.log(np.maximum(self.weights, 1e-300)),
                *[block for mean in self.means for block in mean],
                *self._flat_covariances(),
                self.scales.flat(),
                self.tails.flat(),
            ]
        )

    def from_flat(self, flat: np.ndarray) -> Mixture | None:
        """The mixture at these parameters; None outside the positive-definite cone."""
        of_covariances = np.array(self._flat_covariances())
        sizes = [len(block) for block in self.means[0]]
        G, p = len(self.weights), sum(sizes)
        ends = np.cumsum([G, G * p, of_covariances.size, self.scales.flat().size])
        log_weights, means, moved, scales, tails = np.split(flat, ends)
        family = self.covariances[0].family
        covariances = [family.from_flat(one) for one in moved.reshape(of_covariances.shape)]
        if any(covariance is None for covariance in covariances):
            return None
        weights = np.exp(log_weights - log_weights.max())
        splits = np.cumsum(sizes)[:-1]
        return Mixture(
            weights / weights.sum(),
            [np.split(mean, splits) for mean in means.reshape(G, p)],
            covariances,
            self.scales.from_flat(scales),
            self.tails.from_flat(tails),
        )

    def _flat_covariances(self) -> list[np.ndarray]:
        return [covariance.family.flat(covariance) for covariance in self.covariances]

    def sensitivity(self, n_maps: int) -> np.ndarray:
        """Roughly the root of each parameter's Fisher information, data being of unit variance."""
        counts = n_maps * self.weights
        p = sum(len(block) for block in self.means[0])
        sizes = np.maximum(np.abs(self._flat_covariances()), _SMALLEST)
        of_thetas = np.sqrt(counts * p)[:, None] / sizes
        of_scales = np.full(self.scales.flat().size, np.sqrt(n_maps))
        of_tails = np.repeat(np.sqrt(counts), self.tails.n_parameters)
        return np.concatenate(
            [np.sqrt(counts), np.repeat(np.sqrt(counts), p), of_thetas.ravel(), of_scales, of_tails]
        )

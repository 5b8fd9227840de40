"""Parameters of a mixture, and the E-step: what they say of the maps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from spatgmm.covariance.family import FactoredCovariance, SpatialCovariance
from spatgmm.fitting.maps import Blocks, Maps

#: A component with fewer expected maps has no scatter to speak of: it is empty.
MIN_MAPS = 1.5


@dataclass
class Mixture:
    """Parameters of a mixture.

    Attributes
    ----------
    weights : ndarray of shape (G,)
    means : list of Blocks
        Of each component, of maps divided by `scale`.
    covariances : list of FactoredCovariance
        Likewise.
    scale : ndarray of shape (p,) or None
        What each location's values are divided by; geometric mean 1.  None: nothing.
    """

    weights: np.ndarray
    means: list[Blocks]
    covariances: list[FactoredCovariance]
    scale: np.ndarray | None = None

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
        )

    def log_joint(self, maps: Maps) -> np.ndarray:
        """``log(pi_g) + log N(x_i; mu_g, Xi_g)``, shape (n, G)."""
        jacobian = 0.0 if self.scale is None else maps.log_volume(self.scale)
        maps = maps.divided(self.scale)
        with np.errstate(divide="ignore"):  # an emptied component has log weight -inf
            log_weights = np.log(self.weights)
        return np.column_stack(
            [
                log_weight + maps.log_density(mean, covariance) - jacobian
                for log_weight, mean, covariance in zip(
                    log_weights, self.means, self.covariances, strict=True
                )
            ]
        )

    def expectation(self, maps: Maps) -> tuple[float, np.ndarray]:
        """Log-likelihood and responsibilities (n, G)."""
        joint = self.log_joint(maps)
        evidence = logsumexp(joint, axis=1)
        return float(evidence.sum()), np.exp(joint - evidence[:, None])


def starting_mixture(
    maps: Maps,
    responsibilities: np.ndarray,
    thetas: np.ndarray,
    family: SpatialCovariance,
    mean: str,
    scale: np.ndarray | None = None,
) -> Mixture:
    """Weights and means of given responsibilities, with given covariance parameters.

    Maps are complete and divided by `scale`.
    """
    counts = responsibilities.sum(axis=0)
    covariances = [family.inside(theta) for theta in thetas]
    means = [
        weighted_mean(maps, responsibilities[:, g], covariance, mean, scale)
        for g, covariance in enumerate(covariances)
    ]
    return Mixture(counts / counts.sum(), means, covariances, scale)


def weighted_mean(maps: Maps, weights, covariance, mean: str, scale: np.ndarray | None) -> Blocks:
    """The weighted mean map, or its best constant; `maps` are divided by `scale` already."""
    centre = maps.mean(weights)
    if mean == "free":
        return centre
    ones = covariance.family.geometry.ones
    return constant_mean(covariance, centre, ones if scale is None else [ones[0] / scale])


def constant_mean(covariance: FactoredCovariance, mean: Blocks, ones: Blocks) -> Blocks:
    """The GLS estimate of a mean that is constant over space, ``(1'W x) / (1'W 1)``."""
    weighted = [W @ u for W, u in zip(covariance.inverse, ones, strict=True)]
    level = sum(w @ m for w, m in zip(weighted, mean, strict=True))
    level /= sum(w @ u for w, u in zip(weighted, ones, strict=True))
    return [level * u for u in ones]


def empty(counts: np.ndarray) -> np.ndarray:
    """Which of these expected numbers of maps are too few, by more than rounding."""
    return counts < MIN_MAPS * (1 - 1e-9)

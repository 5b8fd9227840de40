"""Where the search starts: responsibilities of different kinds."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.cluster.vq import kmeans2

from spatgmm.fitting.maps import Blocks
from spatgmm.fitting.search.spectral import ShapeGrid

#: Dirichlet concentrations of random starts: near the corners and flat find different optima.
_CONCENTRATIONS = (0.05, 1.0)


def starting_responsibilities(
    maps: Blocks, grid: ShapeGrid, n_components: int, n_starts: int, rng: np.random.Generator
) -> np.ndarray:
    """Starts of different kinds, shape (n_starts, n, G).

    k-means on the maps (knows means), k-means on their energy along the spectrum of K (knows
    covariance), then random responsibilities.
    """
    starts = [
        kmeans_responsibilities(features, n_components, rng)
        for features in (np.concatenate(maps, axis=1), _spectral_energy(maps, grid))
    ]
    random = random_responsibilities(len(maps[0]), n_components, max(n_starts - 2, 0), rng)
    return np.concatenate([starts, random])[:n_starts]


def random_responsibilities(
    n_maps: int, n_components: int, n_starts: int, rng: np.random.Generator
) -> np.ndarray:
    """Random starts (n_starts, n, G), in turn near the corners of the simplex and flat."""
    starts = [
        rng.dirichlet(np.full(n_components, _CONCENTRATIONS[start // 2 % 2]), size=n_maps)
        for start in range(n_starts)
    ]
    return np.array(starts).reshape(n_starts, n_maps, n_components)


def kmeans_responsibilities(features, n_components: int, rng: np.random.Generator) -> np.ndarray:
    """Hard responsibilities (n, G) of k-means labels.

    Where there are fewer different rows of features than components, some stay empty.
    """
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.filterwarnings("ignore", message="One of the clusters is empty")
        _, labels = kmeans2(features, n_components, minit="++", rng=rng, missing="warn")
    return np.eye(n_components)[labels]


def _spectral_energy(maps: Blocks, grid: ShapeGrid, n_bands: int = 6) -> np.ndarray:
    """Log energy of each centred map in bands of the spectrum of K, scaled to unit variance."""
    k = len(grid) // 2
    Z = grid.project(k, maps)
    bands = np.array_split(np.argsort(grid.lam[k])[::-1], n_bands)
    squares = (Z - Z.mean(axis=0)) ** 2
    energy = np.log(
        np.stack([squares[:, band].mean(axis=1) for band in bands if band.size], 1) + 1e-12
    )
    return (energy - energy.mean(axis=0)) / (energy.std(axis=0) + 1e-12)

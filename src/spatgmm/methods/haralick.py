"""Texture features: a few numbers for each map, clustered by a Gaussian mixture.

What was done with such maps before covariances were modelled: the statistics of the co-occurrence
matrix of grey levels and Moran's I of every map, standardised, then scikit-learn's mixture with
diagonal covariances.

References
----------
Haralick, Shanmugam and Dinstein (1973), "Textural Features for Image Classification", IEEE
Transactions on Systems, Man, and Cybernetics SMC-3(6). The co-occurrence matrix is scikit-image's.
Moran (1950), "Notes on Continuous Stochastic Phenomena", Biometrika 37(1/2).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spatgmm.common.constraints import Integer, List, Parameter
from spatgmm.data import Dataset
from spatgmm.methods import FitResult, _gaussian_mixture

LABEL = "Texture features"
SECONDS = 0.1
DEFAULTS = {
    "levels": Parameter(8, Integer(2, 256), "grey levels that the values of all maps fall into"),
    "distances": Parameter(
        [1, 2, 3], List(Integer(1), 1, distinct=True), "pixels between those that are compared"
    ),
    **_gaussian_mixture.DEFAULTS,
}

#: Statistics of a co-occurrence matrix, as scikit-image calls them.
_STATISTICS = ("contrast", "dissimilarity", "homogeneity", "ASM", "energy", "correlation")

#: Along rows, columns and both diagonals.
_ANGLES = (0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)


def supports(data: Dataset, n_components: int) -> str | None:
    if data.shape is None or len(data.shape) != 2:
        return "co-occurrence of grey levels needs images, a grid of rows and columns"
    try:
        import skimage.feature  # noqa: F401
    except ImportError:
        return "package scikit-image is not installed (pip install scikit-image)"
    return None


def fit(
    data: Dataset,
    n_components: int,
    rng: np.random.Generator,
    levels: int,
    distances: list[int],
    **parameters,
) -> FitResult:
    images = data.X.reshape(-1, *data.shape)
    within = [distance for distance in distances if distance < min(data.shape)]
    features = np.column_stack([_co_occurrence(images, levels, within), _morans_i(images)])
    spread = features.std(axis=0)
    told = spread > 1e-12 * np.abs(features).max(axis=0)
    features = (features[:, told] - features[:, told].mean(axis=0)) / spread[told]
    seen = replace(data, X=features, coordinates=np.arange(told.sum())[:, None], shape=None)
    found = _gaussian_mixture.fit(seen, n_components, rng, "diag", features.shape[1], **parameters)
    # The likelihood is that of the features: its BIC compares with no other method's.
    return FitResult(
        labels=found.labels,
        n_iter=found.n_iter,
        converged=found.converged,
        probabilities=found.probabilities,
        extras={"n_features": features.shape[1]},
    )


def _co_occurrence(images: np.ndarray, levels: int, distances: list[int]) -> np.ndarray:
    """Statistics of each image's co-occurrence matrices, averaged over directions, (n, k)."""
    from skimage.feature import graycomatrix, graycoprops

    # Levels hold as many pixels each, over all maps, whatever the distribution of values.
    edges = np.quantile(images, np.arange(1, levels) / levels)
    grey = np.searchsorted(edges, images).astype(np.uint8)
    features = []
    for image in grey:
        matrix = graycomatrix(image, distances, _ANGLES, levels, symmetric=True, normed=True)
        features.append([graycoprops(matrix, name).mean(axis=1) for name in _STATISTICS])
    return np.reshape(features, (len(images), -1))


def _morans_i(images: np.ndarray) -> np.ndarray:
    """``I = (N / W) sum_ij w_ij z_i z_j / sum_i z_i^2``, w 1 for the four neighbours, (n, 1)."""
    z = images - images.mean(axis=(1, 2), keepdims=True)
    pairs = [z[:, 1:] * z[:, :-1], z[:, :, 1:] * z[:, :, :-1]]
    n_pairs = sum(pair[0].size for pair in pairs)
    products = sum(pair.sum(axis=(1, 2)) for pair in pairs)
    squares = np.maximum((z**2).sum(axis=(1, 2)), np.finfo(float).tiny)
    return (images[0].size / n_pairs * products / squares)[:, None]

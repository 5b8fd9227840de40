"""The data that is benchmarked on, and the two paths through an exact EM iteration."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay
from spatgmm.covariance.family import SpatialCovariance
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.kernel import Kernel
from spatgmm.data import Dataset
from spatgmm.fitting import em
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.means import FreeMean
from spatgmm.fitting.scales import NoScales
from spatgmm.fitting.scoring import Scoring
from spatgmm.fitting.state import Mixture, Model

_REFERENCE = Path(__file__).parents[1] / "reference"


def spat_grid10() -> tuple[Dataset, np.ndarray]:
    """The reference maps (10x10, n = 300, G = 2), and responsibilities to start from."""

    def read(kind: str) -> np.ndarray:
        return np.loadtxt(_REFERENCE / f"spat_grid10_{kind}.csv", delimiter=",")

    labels = read("z").astype(int)
    start = np.full((len(labels), 2), 0.1)
    start[np.arange(len(labels)), labels] = 0.9
    data = Dataset(
        X=read("X"),
        coordinates=read("coords"),
        labels=labels,
        label_names=("0", "1"),
        shape=(10, 10),
        description="maps drawn from the model",
        source="tests/reference",
    )
    return data, start


def thetas(n_components: int) -> np.ndarray:
    """``(c, tau, nu, beta)`` of components that differ in scale and in decay."""
    scales = 1.5 ** np.arange(n_components)
    betas = np.linspace(2.5, 6, n_components)
    return np.column_stack([0.1 * scales, 0.9 * scales, 0.3 * scales, betas])


def draw(shape: tuple[int, ...], n: int, n_components: int, seed: int = 0):
    """Maps (n, p) of zero mean from components of equal weight, and their labels."""
    geometry = Geometry(grid_coordinates(shape), symmetry=True)
    family = SpatialCovariance(Kernel(geometry, decay.get("sigmoid")))
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_components, size=n)
    X = np.empty((n, geometry.n_locations))
    for g, theta in enumerate(thetas(n_components)):
        rows = np.flatnonzero(labels == g)
        X[rows] = geometry.rotate_back(family.inside(theta).draw(len(rows), rng))
    return X, labels


class ExactEM:
    """The exact EM on drawn maps, one iteration at a time, on either path.

    Parameters
    ----------
    shape : tuple of int
    n, n_components : int
    symmetry : bool
        Reflection blocks, or one dense block.
    """

    def __init__(self, shape: tuple[int, ...], n: int, n_components: int, symmetry: bool):
        X, labels = draw(shape, n, n_components)
        geometry = Geometry(grid_coordinates(shape), symmetry=symmetry)
        self.family = SpatialCovariance(Kernel(geometry, decay.get("sigmoid")))
        self.maps = Maps(geometry.rotate(X))
        start = np.eye(n_components)[labels]
        self.model = Model(self.family, FreeMean(), NoScales(), np.zeros(4, dtype=bool))
        self.mixture = self.model.mixture(self.maps, start, thetas(n_components))
        # The first iteration computes what later ones find in the covariance they start from.
        self.mixture = self.after(1)

    def after(self, n_iterations: int) -> Mixture:
        """The mixture that many iterations later."""
        mixture = self.mixture
        for _ in range(n_iterations):
            _, responsibilities = mixture.expectation(self.maps)
            mixture = em.maximisation(self.maps, responsibilities, mixture, self.model, Scoring())
        return mixture

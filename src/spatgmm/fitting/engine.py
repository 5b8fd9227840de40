"""How a likelihood is computed: one engine has all that EM and the estimator need of it.

An engine is a family of covariances over the locations together with the form in which it wants
the data: what EM asks of a covariance is :class:`spatgmm.covariance.family.Covariance`, what it
asks of the data is :class:`spatgmm.fitting.maps.Maps`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from spatgmm.common.em import run
from spatgmm.common.threads import blas_threads, one_blas_thread
from spatgmm.covariance.cosine import CosineFamily, CosineGeometry
from spatgmm.covariance.decay import Decay
from spatgmm.covariance.family import Family, SpatialCovariance
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.grid import regular_grid
from spatgmm.covariance.kernel import Kernel
from spatgmm.covariance.metric import Metric
from spatgmm.fitting.cosine import CosineMaps
from spatgmm.fitting.cosine_information import cosine_uncertainty
from spatgmm.fitting.em import SpatialProblem
from spatgmm.fitting.estimates import Estimates, Uncertainty
from spatgmm.fitting.information import observed_information
from spatgmm.fitting.maps import IncompleteMaps, Maps
from spatgmm.fitting.scoring import Scoring
from spatgmm.fitting.search import cosine as cosine_search
from spatgmm.fitting.search import search
from spatgmm.fitting.state import Mixture, Model

#: Up to so many locations the exact likelihood is nearly as fast as that in cosines.
_LARGEST_EXACT = 1024

#: EM iterations of the single component that fills in missing pixels for the search.
_ITERATIONS_TO_COMPLETE = 20


class Engine(ABC):
    """What the estimator asks of a way to compute the likelihood.

    Attributes
    ----------
    name : str
    family : Family
    """

    name: str
    family: Family

    @abstractmethod
    def maps(self, X: np.ndarray) -> Maps:
        """Standardised maps (n, p), NaN where a pixel is missing, as this likelihood sees them."""

    @abstractmethod
    def completed(self, maps: Maps, model: Model, tol: float) -> Maps:
        """Maps without missing pixels, to search on."""

    @abstractmethod
    def starts(
        self, maps: Maps, model: Model, n_components: int, n_init: int, rng: np.random.Generator
    ) -> list[Mixture]:
        """Distinct places from where to finish, the most promising first."""

    @abstractmethod
    def profile(
        self, maps: Maps, model: Model, responsibilities: np.ndarray, shapes=None
    ) -> np.ndarray:
        """Covariance parameters (G, 3 + q) that suit given responsibilities of complete maps.

        The best of these shapes (k, q), by default of a grid.
        """

    @abstractmethod
    def uncertainty(self, estimates: Estimates, maps: Maps) -> Uncertainty:
        """Covariances of the estimates."""

    @abstractmethod
    def with_gaps(self) -> Engine:
        """The engine for maps with missing pixels, at the same parameters; itself if it can."""

    def mixture_for(self, other: Engine, mixture: Mixture) -> Mixture:
        """A mixture of this engine's in the terms of another one over the same locations."""
        rotate = other.family.geometry.rotate
        means = [self.back([block[None] for block in mean]) for mean in mixture.means]
        return Mixture(
            mixture.weights,
            [[block[0] for block in rotate(mean)] for mean in means],
            [other.family.inside(theta) for theta in mixture.thetas],
            mixture.scales,
        )

    def threads(self):
        """A context with the BLAS threads that suit the size of this engine's matrices."""
        return blas_threads(max(self.family.geometry.sizes))

    def back(self, blocks: list[np.ndarray]) -> np.ndarray:
        """Vectors (n, p) of this engine's basis as maps."""
        return self.family.geometry.rotate_back(blocks)


class Exact(Engine):
    """The exact likelihood: blocks of a grid's reflections, or one dense block.

    Parameters
    ----------
    coordinates : ndarray of shape (p, d)
    decay : Decay
    metric : Metric
    symmetric : bool
        Whether data and model leave a grid's reflections alone: no missing pixels, no scales.
    """

    name = "exact"

    def __init__(self, coordinates: np.ndarray, decay: Decay, metric: Metric, symmetric: bool):
        metric.check(coordinates.shape[1])
        symmetry = None if symmetric and metric.reflects else False
        geometry = Geometry(coordinates, symmetry, by_offset=metric.by_offset)
        self.family = SpatialCovariance(Kernel(geometry, decay, metric))

    def with_gaps(self):
        geometry, kernel = self.family.geometry, self.family.kernel
        if geometry.path == Geometry.DENSE:
            return self
        return Exact(geometry.coordinates, kernel.decay, kernel.metric, symmetric=False)

    def maps(self, X):
        blocks = self.family.geometry.rotate(X)
        return IncompleteMaps(blocks) if np.isnan(X).any() else Maps(blocks)

    def completed(self, maps, model, tol):
        """Missing pixels as a single component would have them."""
        if not isinstance(maps, IncompleteMaps):
            return maps
        solver = Scoring()
        filled = Maps([np.nan_to_num(block) for block in maps.blocks])
        start = solver.start(self, filled, np.ones((len(maps), 1)), model)
        problem = SpatialProblem(maps, model, solver)
        fit = run(problem, start, tol=tol, max_iter=_ITERATIONS_TO_COMPLETE)
        return Maps(fit.parameters.filled(maps, 0))

    def starts(self, maps, model, n_components, n_init, rng):
        divided = model.scales.divide(maps)
        in_cosines = cosine_search.as_cosines(divided, model)
        if in_cosines is None:
            found = search.multistart(
                divided.blocks, self.family, n_components, n_init, rng, model.mean
            )
        else:
            found = cosine_search.multistart(*in_cosines, n_components, n_init, rng)
        return [model.mixture(maps, responsibilities, thetas) for responsibilities, thetas in found]

    def profile(self, maps, model, responsibilities, shapes=None):
        blocks = model.scales.divide(maps).blocks
        return search.profile(blocks, self.family, responsibilities, shapes)

    def uncertainty(self, estimates, maps):
        return observed_information(estimates, maps)


class Cosine(Engine):
    """The cosine likelihood of complete maps on a complete regular grid: O(n p) an iteration.

    Parameters
    ----------
    coordinates : ndarray of shape (p, d)
    decay : Decay
    metric : Metric
    """

    name = "cosine"

    def __init__(self, coordinates: np.ndarray, decay: Decay, metric: Metric):
        metric.check(coordinates.shape[1])
        self.family = CosineFamily(Kernel(CosineGeometry(coordinates), decay, metric))

    def with_gaps(self):
        kernel = self.family.kernel
        coordinates = self.family.geometry.coordinates
        return Exact(coordinates, kernel.decay, kernel.metric, symmetric=False)

    def maps(self, X):
        return CosineMaps(self.family.geometry.rotate(X))

    def completed(self, maps, model, tol):
        return maps

    def starts(self, maps, model, n_components, n_init, rng):
        found = cosine_search.multistart(maps, model, n_components, n_init, rng)
        return [model.mixture(maps, responsibilities, thetas) for responsibilities, thetas in found]

    def profile(self, maps, model, responsibilities, shapes=None):
        return cosine_search.profile(maps, model, responsibilities, shapes)

    def uncertainty(self, estimates, maps):
        return cosine_uncertainty(estimates, maps)

    def threads(self):
        return one_blas_thread()  # its matrices are tall and narrow


def choose(
    likelihood: str, coordinates: np.ndarray, decay: Decay, metric: Metric, alike: bool
) -> Engine:
    """The way to compute a likelihood.

    Parameters
    ----------
    likelihood : {"auto", "exact", "cosine"}
        ``"auto"``: exact while that is the fastest or nearly so, then cosines where they can be.
    coordinates : ndarray of shape (p, d)
    decay : Decay
    metric : Metric
    alike : bool
        Whether locations are: maps are complete and variances do not differ.

    Raises
    ------
    ValueError
        If `likelihood` cannot be had for such data.
    """
    if likelihood == "auto":
        large = len(coordinates) > _LARGEST_EXACT and decay.valid
        can = alike and metric.reflects and regular_grid(coordinates) is not None
        likelihood = "cosine" if large and can else "exact"
    if likelihood == "exact":
        return Exact(coordinates, decay, metric, symmetric=alike)
    if not alike:
        raise ValueError(
            "likelihood='cosine' needs complete maps and variance='constant': cosines mix all "
            "locations; use likelihood='exact'"
        )
    return Cosine(coordinates, decay, metric)

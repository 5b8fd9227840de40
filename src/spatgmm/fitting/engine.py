"""How a likelihood is computed: one engine has all that EM and the estimator need of it.

An engine is a family of covariances over the locations together with the form in which it wants
the data: what EM asks of a covariance is :class:`spatgmm.covariance.family.Covariance`, what it
asks of the data is :class:`spatgmm.fitting.maps.Maps`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from spatgmm.common.em import run
from spatgmm.common.threads import blas_threads
from spatgmm.covariance.decay import Decay
from spatgmm.covariance.family import Family, SpatialCovariance
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.kernel import Kernel
from spatgmm.covariance.metric import Metric
from spatgmm.fitting.em import SpatialProblem
from spatgmm.fitting.estimates import Estimates, Uncertainty
from spatgmm.fitting.information import observed_information
from spatgmm.fitting.maps import IncompleteMaps, Maps
from spatgmm.fitting.scoring import Scoring
from spatgmm.fitting.search import search
from spatgmm.fitting.state import Mixture, Model

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
    def uncertainty(self, estimates: Estimates, maps: Maps) -> Uncertainty:
        """Covariances of the estimates."""

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

    def maps(self, X):
        blocks = self.family.geometry.rotate(X)
        return IncompleteMaps(blocks) if np.isnan(X).any() else Maps(blocks)

    def completed(self, maps, model, tol):
        """Missing pixels as a single component would have them."""
        if not isinstance(maps, IncompleteMaps):
            return maps
        solver = Scoring()
        filled = Maps([np.nan_to_num(block) for block in maps.blocks])
        start = solver.start(filled, np.ones((len(maps), 1)), model)
        problem = SpatialProblem(maps, model, solver)
        fit = run(problem, start, tol=tol, max_iter=_ITERATIONS_TO_COMPLETE)
        return Maps(fit.parameters.filled(maps, 0))

    def starts(self, maps, model, n_components, n_init, rng):
        blocks = model.scales.divide(maps).blocks
        found = search.multistart(blocks, self.family, n_components, n_init, rng, model.mean)
        return [model.mixture(maps, responsibilities, thetas) for responsibilities, thetas in found]

    def uncertainty(self, estimates, maps):
        return observed_information(estimates, maps)

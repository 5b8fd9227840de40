"""How a likelihood is computed: one engine has all that EM and the estimator need of it.

An engine is a family of covariances over the locations together with the form in which it wants
the data: what EM asks of a covariance is :class:`spatgmm.covariance.family.Covariance`, what it
asks of the data is :class:`spatgmm.fitting.maps.Maps`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from spatgmm.common.em import Round, run
from spatgmm.common.threads import blas_threads, one_blas_thread
from spatgmm.covariance.cosine import CosineFamily, CosineGeometry
from spatgmm.covariance.decay import Decay
from spatgmm.covariance.family import Family, SpatialCovariance
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.grid import regular_grid
from spatgmm.covariance.kernel import Kernel
from spatgmm.covariance.metric import Metric
from spatgmm.covariance.neighbours import NeighbourGeometry
from spatgmm.covariance.space import PLANE, Space
from spatgmm.covariance.vecchia import VecchiaFamily
from spatgmm.fitting import memory
from spatgmm.fitting.cosine import CosineMaps
from spatgmm.fitting.cosine_information import cosine_uncertainty
from spatgmm.fitting.em import SpatialProblem
from spatgmm.fitting.estimates import Estimates, Uncertainty
from spatgmm.fitting.imposing import imposed
from spatgmm.fitting.information import observed_information
from spatgmm.fitting.maps import IncompleteMaps, Maps
from spatgmm.fitting.scoring import Scoring
from spatgmm.fitting.search import cosine as cosine_search
from spatgmm.fitting.search import search
from spatgmm.fitting.state import Mixture, Model
from spatgmm.fitting.vecchia import VecchiaMaps
from spatgmm.fitting.vecchia_information import vecchia_uncertainty

#: Up to so many locations the exact likelihood is nearly as fast as any other; in reflection blocks
#: of a grid it can be had up to so many.
_LARGEST_EXACT, _LARGEST_IN_BLOCKS = 1024, 128**2

#: On fewer locations covariances are not diagonal enough in cosines to tell optima apart.
_SMALLEST_IN_COSINES = 64


class Engine(ABC):
    """What the estimator asks of a way to compute the likelihood.

    Attributes
    ----------
    name : str
    family : Family
    n_tried : int
        Of the most promising distinct starts, how many get some iterations.
    rounds : tuple of Round
        How many, and which of them are finished.
    n_to_complete : int
        Iterations of the single component that fills in missing pixels for the search.
    """

    name: str
    family: Family
    n_tried = 20
    rounds = (Round(n_iter=10, n_kept=4),)
    n_to_complete = 20

    @abstractmethod
    def maps(self, X: np.ndarray) -> Maps:
        """Standardised maps (n, p), NaN where a pixel is missing, as this likelihood sees them."""

    @abstractmethod
    def of_blocks(self, blocks: list[np.ndarray]) -> Maps:
        """Complete maps that are in this engine's basis already."""

    def completed(self, maps: Maps, model: Model, tol: float) -> Maps:
        """Maps without missing pixels, to search on: those as a single component would have them.

        `maps` themselves where nothing is missing.
        """
        if maps.is_complete:
            return maps
        solver = Scoring()
        filled = self.maps(np.nan_to_num(self.back(maps.blocks)))
        start = solver.start(self, filled, np.ones((len(maps), 1)), model).inside(maps)
        problem = SpatialProblem(maps, model, solver)
        fit = run(problem, start, tol=tol, max_iter=self.n_to_complete)
        return self.maps(self.back(fit.parameters.filled(maps, 0)))

    @abstractmethod
    def starts(
        self, maps: Maps, model: Model, n_components: int, n_init: int, rng: np.random.Generator
    ) -> list[tuple[Mixture, int]]:
        """Distinct places from where to finish, and how many starts led to each.

        The most promising comes first.
        """

    @abstractmethod
    def profile(
        self, maps: Maps, model: Model, responsibilities: np.ndarray, shapes=None
    ) -> np.ndarray:
        """Covariance parameters (G, 3 + q) that suit given responsibilities of complete maps.

        The best of these shapes (k, q), by default of a grid.
        """

    def start(self, maps: Maps, model: Model, responsibilities: np.ndarray, shapes=None) -> Mixture:
        """The mixture that suits given responsibilities, as :meth:`profile` does."""
        thetas = self.profile(maps, model, responsibilities, shapes)
        mixture = model.mixture(maps, responsibilities, thetas)
        return imposed(model, mixture, maps, responsibilities)

    @abstractmethod
    def uncertainty(self, estimates: Estimates, maps: Maps) -> Uncertainty:
        """Covariances of the estimates."""

    @abstractmethod
    def with_gaps(self, n_neighbors: int) -> Engine:
        """The engine for maps with missing pixels, at the same parameters; itself if it can.

        `n_neighbors` is for Vecchia's likelihood, where it takes that.
        """

    def mixture_for(self, other: Engine, mixture: Mixture) -> Mixture:
        """A mixture of this engine's in the terms of another one over the same locations."""
        means = [self.back([block[None] for block in mean]) for mean in mixture.means]
        return Mixture(
            mixture.weights,
            [[block[0] for block in other.forth(mean)] for mean in means],
            [other.family.like(covariance) for covariance in mixture.covariances],
            mixture.scales,
            mixture.tails,
        )

    def threads(self):
        """A context with the BLAS threads that suit the size of this engine's matrices."""
        return blas_threads(max(self.family.geometry.sizes))

    def forth(self, X: np.ndarray) -> list[np.ndarray]:
        """Vectors (n, p) in this engine's basis."""
        return self.family.geometry.rotate(X)

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
    space : Space
    """

    name = "exact"

    def __init__(
        self,
        coordinates: np.ndarray,
        decay: Decay,
        metric: Metric,
        symmetric: bool,
        space: Space = PLANE,
    ):
        metric.check(coordinates.shape[1], space)
        symmetry = None if symmetric and metric.reflects else False
        geometry = Geometry(coordinates, symmetry, by_offset=metric.by_offset, space=space)
        self.family = SpatialCovariance(Kernel(geometry, decay, metric))

    def with_gaps(self, n_neighbors):
        geometry, kernel = self.family.geometry, self.family.kernel
        if geometry.path == Geometry.DENSE:
            return self
        return Exact(
            geometry.coordinates, kernel.decay, kernel.metric, symmetric=False, space=geometry.space
        )

    def maps(self, X):
        blocks = self.family.geometry.rotate(X)
        return IncompleteMaps(blocks) if np.isnan(X).any() else self.of_blocks(blocks)

    def of_blocks(self, blocks):
        return Maps(blocks)

    def starts(self, maps, model, n_components, n_init, rng):
        divided, found = model.scales.divide(maps), []
        in_cosines = None
        if self.family.geometry.n_locations >= _SMALLEST_IN_COSINES:
            in_cosines = cosine_search.as_cosines(divided, model)
        if in_cosines is not None:
            found = cosine_search.multistart(*in_cosines, n_components, n_init, rng, self._exists)
        if not found:
            found = search.multistart(
                divided.blocks, self.family, n_components, n_init, rng, model.mean
            )
        return [(model.mixture(maps, R, of_start), led) for R, of_start, led in found]

    def _exists(self, theta: np.ndarray) -> bool:
        """What cosines take for a covariance may be none."""
        return self.family.at(theta) is not None

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

    def with_gaps(self, n_neighbors):
        coordinates, kernel = self.family.geometry.coordinates, self.family.kernel
        return Vecchia(coordinates, kernel.decay, kernel.metric, n_neighbors)

    def maps(self, X):
        return self.of_blocks(self.family.geometry.rotate(X))

    def of_blocks(self, blocks):
        return CosineMaps(blocks)

    def starts(self, maps, model, n_components, n_init, rng):
        found = cosine_search.multistart(maps, model, n_components, n_init, rng)
        return [(model.mixture(maps, R, of_start), led) for R, of_start, led in found]

    def profile(self, maps, model, responsibilities, shapes=None):
        return cosine_search.profile(maps, model, responsibilities, shapes)

    def uncertainty(self, estimates, maps):
        return cosine_uncertainty(estimates, maps)

    def threads(self):
        return one_blas_thread()  # its matrices are tall and narrow


class Vecchia(Engine):
    """Vecchia's likelihood: any locations, pixels missing or not, no p x p matrix.

    Parameters
    ----------
    coordinates : ndarray of shape (p, d)
    decay : Decay
    metric : Metric
    n_neighbors : int
        Earlier locations that each location depends on, given them.
    space : Space
    """

    name = "vecchia"
    # An iteration costs seconds, and the search has ranked the starts by a likelihood like this.
    n_tried = 4
    rounds = (Round(n_iter=3, n_kept=2),)
    n_to_complete = 2

    def __init__(
        self,
        coordinates: np.ndarray,
        decay: Decay,
        metric: Metric,
        n_neighbors: int,
        space: Space = PLANE,
    ):
        metric.check(coordinates.shape[1], space)
        self.family = VecchiaFamily(
            Kernel(NeighbourGeometry(coordinates, n_neighbors, space), decay, metric)
        )

    def with_gaps(self, n_neighbors):
        return self

    def maps(self, X):
        return VecchiaMaps(self.family.geometry, X)

    def of_blocks(self, blocks):
        return self.maps(blocks[0])

    def starts(self, maps, model, n_components, n_init, rng):
        in_cosines = cosine_search.as_cosines(maps, model)
        if in_cosines is not None:
            found = cosine_search.multistart(*in_cosines, n_components, n_init, rng)
        else:
            blocks, family = self._thinned(maps)
            found = search.multistart(blocks, family, n_components, n_init, rng, model.mean)
        return [(model.mixture(maps, R, of_start), led) for R, of_start, led in found]

    def profile(self, maps, model, responsibilities, shapes=None):
        blocks, family = self._thinned(maps)
        return search.profile(blocks, family, responsibilities, shapes)

    def uncertainty(self, estimates, maps):
        return vecchia_uncertainty(estimates, maps)

    def threads(self):
        return one_blas_thread()  # its matrices are small, or sparse

    def _thinned(self, maps: Maps) -> tuple[list[np.ndarray], SpatialCovariance]:
        """Complete maps at so few of the locations that their likelihood can be exact."""
        geometry, kernel = self.family.geometry, self.family.kernel
        few = geometry.thinned(search.LARGEST_BLOCK)
        if few is None:
            few = np.arange(geometry.n_locations)
        part = geometry.part(few)
        family = SpatialCovariance(Kernel(part, kernel.decay, kernel.metric))
        return part.rotate(maps.blocks[0][:, few]), family


def choose(
    likelihood: str,
    coordinates: np.ndarray,
    decay: Decay,
    metric: Metric,
    *,
    complete: bool,
    alike: bool,
    n_neighbors: int,
    space: Space = PLANE,
) -> Engine:
    """The way to compute a likelihood.

    Parameters
    ----------
    likelihood : {"auto", "exact", "cosine", "vecchia"}
        ``"auto"``: exact while that is the fastest or nearly so; beyond, cosines where they can be,
        else Vecchia.
    coordinates : ndarray of shape (p, d)
    decay : Decay
    metric : Metric
    complete : bool
        Whether no pixel is missing.
    alike : bool
        Whether variances do not differ by location.
    n_neighbors : int
        For Vecchia.
    space : Space
        Where the coordinates are.

    Raises
    ------
    ValueError
        If `likelihood` cannot be had for such data.
    """
    if likelihood == "auto":
        likelihood = automatic(coordinates, decay, metric, complete, alike, space)
    if likelihood == "exact":
        return Exact(coordinates, decay, metric, symmetric=complete and alike, space=space)
    if not alike:
        raise ValueError(
            f"likelihood={likelihood!r} needs variance='constant'; use likelihood='exact'"
        )
    if likelihood == "vecchia":
        return Vecchia(coordinates, decay, metric, n_neighbors, space)
    if not space.is_flat:
        raise ValueError(
            "likelihood='cosine' needs open axes, since no cosine of a map closes: it cannot carry "
            f"{'period' if space.has_axes else f'space={space.name!r}'}; use likelihood='exact' or "
            "'vecchia'"
        )
    if not complete:
        raise ValueError(
            "likelihood='cosine' needs complete maps, since every cosine mixes all pixels of a map;"
            " use likelihood='vecchia'"
        )
    return Cosine(coordinates, decay, metric)


def for_all(names: set[str]) -> str:
    """One likelihood for models whose own would be these, so that BIC can compare them."""
    (only, *others) = names
    # Vecchia takes any model; exact and in cosines differ by the decay alone, which exact ignores.
    return only if not others else "vecchia" if "vecchia" in names else "exact"


def needed(
    likelihood: str,
    shape: tuple[int, int],
    n_components: int,
    coordinates: np.ndarray,
    metric: Metric,
    *,
    complete: bool,
    alike: bool,
    n_neighbors: int,
) -> float:
    """Bytes that a fit to maps (n, p) takes; other arguments as in :func:`choose`."""
    grid = regular_grid(coordinates) if complete and alike and metric.reflects else None
    n_blocks = 1 if grid is None else 2 ** sum(m > 1 for m in grid.shape)
    return memory.estimate(likelihood, *shape, n_components, n_blocks, n_neighbors)


def automatic(
    coordinates: np.ndarray,
    decay: Decay,
    metric: Metric,
    complete: bool,
    alike: bool,
    space: Space = PLANE,
    exact: bool = True,
) -> str:
    """What ``"auto"`` is for a model of such data; arguments as in :func:`choose`.

    Not `exact`: there is no memory for it.
    """
    p = len(coordinates)
    if not alike or (exact and p <= _LARGEST_EXACT):
        return "exact"
    in_blocks = complete and metric.reflects and space.has_axes
    if not in_blocks or regular_grid(coordinates) is None:
        return "vecchia"
    # A decay without guarantee is a covariance only where the whole matrix says so.
    if not decay.valid and exact and p <= _LARGEST_IN_BLOCKS:
        return "exact"
    return "cosine" if space.is_flat else "vecchia"

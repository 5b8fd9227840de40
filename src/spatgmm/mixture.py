"""The estimator that users call."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import product
from os import PathLike
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.spatial.distance import pdist, squareform
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm import tqdm

from spatgmm.common import checks, constraints
from spatgmm.common.base import LikelihoodMixture, bic, kept_if_refused
from spatgmm.common.checks import Seed
from spatgmm.common.em import Fit, posterior, run_best
from spatgmm.common.files import DamagedFile, read_arrays, write_arrays
from spatgmm.common.locations import check_places
from spatgmm.common.values import check_order, check_size
from spatgmm.common.words import named_components
from spatgmm.covariance import decay as decays
from spatgmm.covariance import metric as metrics
from spatgmm.covariance import space as spaces
from spatgmm.covariance import variables
from spatgmm.covariance.decay import Decay
from spatgmm.covariance.family import SpatialCovariance
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.kernel import Kernel
from spatgmm.covariance.metric import Metric
from spatgmm.covariance.space import Space
from spatgmm.fitting import (
    bootstrap,
    engine,
    inference,
    means,
    options,
    outlying,
    scales,
    soundness,
    tails,
)
from spatgmm.fitting import memory as memory_of_fits
from spatgmm.fitting.diagnostics import Diagnostics, DiagnosticsWarning, View, diagnose
from spatgmm.fitting.em import Solver, SpatialProblem
from spatgmm.fitting.engine import Engine
from spatgmm.fitting.estimates import Estimates, Uncertainty
from spatgmm.fitting.evidence import NOTHING, Evidence
from spatgmm.fitting.given import GivenParameters
from spatgmm.fitting.gls import GLS
from spatgmm.fitting.held import HeldParameters
from spatgmm.fitting.interpolation import expected_elsewhere, several_elsewhere
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.means import Mean
from spatgmm.fitting.options import AUTO
from spatgmm.fitting.scales import Scales
from spatgmm.fitting.scoring import SHARED, Scoring
from spatgmm.fitting.search import informed
from spatgmm.fitting.search.starts import kmeans_responsibilities
from spatgmm.fitting.state import MIN_MAPS, Mixture, Model, empty
from spatgmm.fitting.units import ObservedLocations, Units, standardised
from spatgmm.fitting.variables import (
    VariableEngine,
    check_independent,
    restored,
    saved,
)
from spatgmm.memory import available
from spatgmm.reading import fill, memory
from spatgmm.reading.places import from_frame
from spatgmm.reading.stack import Stack

#: Frames from where a fit is taken over to who called :meth:`SpatialGaussianMixture.fit`.
_TO_CALLER = 5

#: Of the files that models are saved to.
_FORMAT = "spatgmm model 1"

#: Before the names of arrays of ``fixed`` in these files.
_FIXED = "fixed."

SOLVERS = {"scoring": Scoring, "gls": GLS}


class SpatialGaussianMixture(LikelihoodMixture):
    r"""Gaussian mixture whose covariances are a sigmoid function of distance (SpatGMM).

    Component ``g`` is ``N_p(mu_g, Xi_g)`` with ``Xi_g = a1*J + a2*D(beta) + a3*I``, where ``J``
    is all ones (diagonal too) and ``D(beta)_jk = s(delta_jk; beta)`` rises from 0 to 1 with the
    distance scaled to [0, 2]: four covariance parameters per component whatever ``p``.

    Parameters
    ----------
    n_components : int, default=2
        Number of components ``G``.
    coordinates : array-like of shape (p, d), tuple of int, or None
        Locations in 1, 2 or 3 dimensions, in any unit; or a grid shape such as ``(10, 10)``.
        None: the grid of a multi-way ``X``, a line ``0 .. p-1`` for a two-way ``X``.
    decay : str, default="sigmoid"
        How covariance falls with distance: one of :func:`spatgmm.covariance.decay.names`, or
        ``"auto"``, the one with the lowest BIC.
    mean : {"free", "constant", "common", "zero", "smooth", "auto"}, default="free"
        One mean per location and component; one per component; one per location; none; a few low
        cosines of the coordinates for each component (how many by BIC); ``"auto"``: whichever BIC
        takes.  A free mean has ``p`` parameters, which BIC never grants a second component on
        large maps (:mod:`spatgmm.fitting.means`).
    metric : {"isotropic", "axes", "rotated", "additive", "auto"}, default="isotropic"
        Whether distance counts alike in all directions, has a stretch for each axis, or (2-D) for
        two orthogonal directions that each component chooses, or whether a decay for each axis is
        added (:mod:`spatgmm.covariance.metric`); ``"auto"``: whichever BIC takes.
    variance : {"constant", "location"}, default="constant"
        ``"location"``: ``Xi_g = diag(s) C_g diag(s)`` with a scale for each location that all
        components share (:mod:`spatgmm.fitting.scales`).
    sharing : {"none", "beta", "alpha", "all"}, default="none"
        What all components have in common: nothing, the shape (beta and the metric's parameters),
        the coefficients alpha, or the whole covariance.
    missing : {"error", "em"}, default="error"
        Whether ``NaN`` in ``X`` is refused, or taken as a missing pixel: the likelihood is then
        that of the observed pixels, and :meth:`impute` fills in the others.
    tails : {"normal", "t", "contaminated"}, default="normal"
        How often a map lies far from its component.  Under ``"t"`` (degrees of freedom for each
        component) and ``"contaminated"`` (a share of each component's maps has a larger variance)
        broken maps pull little at means and covariances; ``Xi_g`` is then the covariance of the
        good maps, under ``"t"`` the scale matrix (:mod:`spatgmm.fitting.tails`).  Maps beyond all
        measure (a warning names them) are left out of such a fit, as if of weight 0: leave them out
        of `X` where fits are compared by :meth:`bic`.
    likelihood : {"auto", "exact", "cosine", "vecchia"}, default="auto"
        How the likelihood is computed.  ``"cosine"``: that of a complete regular grid in a basis of
        cosines, where covariances are nearly diagonal, O(n p) an iteration
        (:mod:`spatgmm.covariance.cosine`).  ``"vecchia"``: each location given its nearest earlier
        ones, at any locations and with missing pixels (:mod:`spatgmm.covariance.vecchia`).
        ``"auto"``: exact while that is fast, cosines for large grids, else Vecchia.
    n_neighbors : int, default=60
        Neighbours of a location under ``likelihood="vecchia"``.
    space : {"plane", "sphere"}, default="plane"
        ``"sphere"``: coordinates are (longitude, latitude) in degrees, and distances run straight
        through the earth, in km (:mod:`spatgmm.covariance.space`).
    period : float, sequence of float or None, or None, default=None
        Circumference of each axis, in the unit of the coordinates, None for an open one; one number
        is that of every axis.  Distances along a closed axis are chords of a circle.
    n_variables : int, default=1
        Values ``q`` at each location, the last axis of `X`.  With more than one, component ``g`` is
        ``N(M_g, Xi_g (x) Psi_g)`` with a covariance ``Psi_g`` (q, q) between variables, of mean
        diagonal 1 in the units of `X` (:mod:`spatgmm.covariance.variables`).
    variables : {"full", "diagonal", "factor"}, default="full"
        What ``Psi_g`` can be: anything, independent variables, or ``Lambda Lambda' + diag(psi)``
        with `n_factors` columns of ``Lambda``.
    n_factors : int or None, default=None
        Below `n_variables`; for ``variables="factor"`` only.
    solver : {"scoring", "gls"}, default="scoring"
        ``"scoring"``: Fisher scoring inside the positive-definite cone; the log-likelihood never
        falls.  ``"gls"``: the paper's algorithm, faithful, failures included.
    init : {"multistart", "kmeans"}, array-like or dict, default="multistart"
        Labels (n,) or responsibilities (n, G) give one start, from exactly them; so does a dict of
        parameters: ``means`` (G, p), or ``alpha`` (G, 3) and ``shape`` (G, q), or all of them, and
        ``weights`` (G,), as attributes of a fit have them; with several variables
        ``variable_covariances`` beside ``alpha``.
    n_init : int, default=10
        Starts per round of the global search (``init="multistart"``); rounds go on, four at
        most, while they keep finding new optima.
    tol : float, default=1e-4
        Absolute tolerance on the log-likelihood; the default solver extrapolates to its limit.
    max_iter : int, default=500
        Largest number of exact EM iterations.
    random_state : int, Generator, RandomState or None, default=None
    fixed : dict or None, default=None
        Parameters that are held at given values and count as known: no free parameter, no standard
        error.  Those of decay and metric by their names, in all components alike:
        ``{"beta": 2.5}``; ``"alpha"`` (G, 3), or ``"alpha1"``, ``"alpha2"`` and ``"alpha3"`` alone,
        a number for all components or one for each; ``"means"``, shaped as ``means_`` and in the
        units of `X`; ``"weights"`` (G,).  Where held values tell components apart, these have their
        numbers.  A search finds components by what maps show, then gives held values to those that
        they suit best (held values far from what maps show may ask for a larger `n_init`); `init`
        may give the rest.  With ``variance="location"`` only weights and
        parameters of decay and metric can be held, with several variables no alpha.
    beta_init : float or None, default=None
        Starting ``beta`` where there is a single start.  None: the best of a grid for
        ``"scoring"``, 4 for ``"gls"``.
    verbose : bool, default=False
        Whether to show progress on standard error.

    Attributes
    ----------
    weights_ : ndarray of shape (G,)
        Components are numbered by falling weight, or as in `init` where that is an array or dict,
        or as in `fixed` where that tells them apart.
    means_ : ndarray of shape (G, p), or (G, p, q) with several variables
    alpha_ : ndarray of shape (G, 3)
        ``(a1, a2, a3)``, J all ones, in squared units of ``X``; with ``metric="additive"``
        ``Xi = a1*J + a2*(D_1 + ... + D_d) + a3*I``.
    variable_covariances_ : ndarray of shape (G, q, q)
        ``Psi_g`` in the units of ``X``, mean diagonal 1: variable ``v`` varies by
        ``Psi_g[v, v]`` times ``covariances_[g]``.
    beta_ : ndarray of shape (G,)
        The decay's parameter; (G, m) for ``"ispline"``, which has m, and for
        ``metric="additive"``, which has a decay for each of m axes.
    shape_ : ndarray of shape (G, q)
        The parameters of the decay, then those of the metric.
    parameter_names_ : tuple of str
        Of a component's covariance: three coefficients, then the shape.
    scales_ : ndarray of shape (p,)
        Scale of each location, geometric mean 1; all 1 unless ``variance="location"``.
    decay_, mean_, metric_ : str
        What ``"auto"`` chose; ``mean_`` is ``"held"`` where `fixed` has means.
    likelihood_ : str
        ``"exact"``, ``"cosine"`` or ``"vecchia"``; their log-likelihoods are not comparable.
    covariances_ : ndarray of shape (G, p, p)
        ``Xi_g``; computed when asked for.
    labels_ : ndarray of shape (n,)
    outlier_probability_ : ndarray of shape (n,)
        See :meth:`outlier_probability`.
    tail_parameters_ : pandas.DataFrame
        A row for each component: ``df``, or ``eta`` (share of good maps) and ``lambda`` (variance
        of the others, in units of theirs); no column under normal tails.
    log_likelihood_ : float
        Total, natural logarithm.
    log_likelihood_trace_ : ndarray of shape (n_iter_ + 1,)
    n_iter_ : int
    converged_ : bool
    starts_ : pandas.DataFrame
        A row for each start that was finished, the best first: log_likelihood, n_iter, converged,
        all_components (whether none ended empty), n_starts (how many of all starts led to this
        clustering: those that fall in with a better one are not finished).
    n_optima_ : int
        Finished starts within `tol` of the best log-likelihood.
    n_parameters_ : int
        ``(G - 1) + G*p + 4*G``; with constant means ``(G - 1) + G + 4*G``.  Options change the
        ``4*G`` to what they leave free, and scales of locations add ``p - 1``.
    coordinates_ : ndarray of shape (p, d)
    place_names_ : list of str or None
        Names of the locations where `X` has them, as columns of a data frame.
    observed_locations_ : ndarray of bool, shape (p,)
        Locations that some map has, with ``missing="em"``: others, such as a mask that all maps
        share, are left out, and means, scales, covariances and imputed maps are NaN there.
    space_ : spatgmm.covariance.space.Space
        Where the locations are: distances are those of ``space_.embedded(coordinates_)``.
    distances_ : ndarray of shape (p, p)
        Scaled to [0, 2]; computed when asked for.
    path_ : str
        ``"reflection blocks"`` or ``"one dense block"``: how covariances were factored.
    condition_number_ : float
        The largest of the covariances, an estimate in the 1-norm.
    empty_components_ : list of int
        Components that ended with fewer than 1.5 expected maps.

    Examples
    --------
    Twenty rough maps and forty smooth ones, all with mean 0 and variance 1:

    >>> import numpy as np
    >>> from spatgmm import SpatialGaussianMixture
    >>> X = np.random.default_rng(0).normal(size=(60, 8, 8))
    >>> X[20:] = (X[20:] + np.roll(X[20:], 1, axis=1) + np.roll(X[20:], 1, axis=2)) / 3**0.5
    >>> model = SpatialGaussianMixture(2, decay="matern32", mean="constant", random_state=0)
    >>> model.fit(X).weights_.round(2)
    array([0.68, 0.32])
    >>> np.bincount(model.labels_[:20], minlength=2), np.bincount(model.labels_[20:], minlength=2)
    (array([ 2, 18]), array([39,  1]))

    References
    ----------
    Lu et al., "Spatial Covariance Constraints for Gaussian Mixture Models", arXiv 2601.07979.
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        coordinates: ArrayLike | None = None,
        decay: str = "sigmoid",
        mean: str = "free",
        metric: str = "isotropic",
        variance: str = "constant",
        sharing: str = "none",
        missing: str = "error",
        tails: str = "normal",
        likelihood: str = "auto",
        n_neighbors: int = 60,
        space: str = "plane",
        period: float | Sequence[float | None] | None = None,
        n_variables: int = 1,
        variables: str = "full",
        n_factors: int | None = None,
        solver: str = "scoring",
        init: str | ArrayLike | Mapping[str, ArrayLike] = "multistart",
        n_init: int = 10,
        tol: float = 1e-4,
        max_iter: int = 500,
        random_state: Seed = None,
        fixed: Mapping[str, ArrayLike] | None = None,
        beta_init: float | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.coordinates = coordinates
        self.decay = decay
        self.mean = mean
        self.metric = metric
        self.variance = variance
        self.sharing = sharing
        self.missing = missing
        self.tails = tails
        self.likelihood = likelihood
        self.n_neighbors = n_neighbors
        self.space = space
        self.period = period
        self.n_variables = n_variables
        self.variables = variables
        self.n_factors = n_factors
        self.solver = solver
        self.init = init
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.fixed = fixed
        self.beta_init = beta_init
        self.verbose = verbose

    # -- fitting ------------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        *,
        sample_weight: ArrayLike | None = None,
        known_labels: ArrayLike | None = None,
    ) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n, p), (n, r, c) or (n, r, c, s)
            One map per row; several variables are a further, last axis, or in a matrix
            (n, p q) stand beside each other for every location.
        y : ignored
        sample_weight : array-like of shape (n,), optional
            How often each map counts, at least 0: one of weight 2 is two maps, also to standard
            errors, and one of weight 0 is not there, but is given a label.
        known_labels : array-like of int, shape (n,), optional
            Component of each map, -1 where unknown.  Components keep the labels' numbers.  With all
            labels known this is discriminant analysis, and :meth:`predict` serves new maps.

        Returns
        -------
        SpatialGaussianMixture

        Raises
        ------
        ValueError
            For a bad argument or bad data; the message names the argument and the place.
        spatgmm.fitting.em.EmptyComponentError
            If ``solver="gls"`` loses a component.

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> model = SpatialGaussianMixture(1, mean="constant").fit(X)
        >>> model.converged_, model.alpha_.shape
        (True, (1, 3))

        Three maps whose component is known, of forty:

        >>> X[20:] = X[20:].cumsum(axis=1)
        >>> known = np.full(40, -1)
        >>> known[[0, 1, 20]] = [1, 1, 0]
        >>> model = SpatialGaussianMixture(2, mean="constant", random_state=0)
        >>> model.fit(X, known_labels=known).labels_[[0, 1, 20]]
        array([1, 1, 0])
        """
        options.check(self.get_params(deep=False))
        with kept_if_refused(self):
            return self._fit(X, sample_weight, known_labels)

    def _fit(self, X: Any, sample_weight: ArrayLike | None, known_labels: ArrayLike | None) -> Self:
        check_order("sample_weight", sample_weight, X)
        check_order("known_labels", known_labels, X)
        X, brought = self._check_maps(X, reset=True)
        self._evidence = Evidence.checked(sample_weight, known_labels, len(X), self.n_components)
        q, everyone = self.n_variables, X
        beyond = np.any([outlying.beyond(X[:, v::q]) for v in range(q)], axis=0)
        if beyond.any():
            heavy = tails.get(self.tails).heavy
            outlying.warn_of(np.flatnonzero(beyond), left_out=heavy, stacklevel=3)
            self._evidence = self._evidence.without(beyond) if heavy else self._evidence
        evidence, counted = self._evidence, self._evidence.counted(len(X))
        if not counted.all():
            X, evidence = X[counted], evidence.some(counted)
        checks.check_some_values(X)
        self.coordinates_ = brought.locations(self.coordinates)
        self._space = spaces.of(self.space, self.period, self.coordinates_.shape[1])
        if not self._space.has_axes:
            brought.check_degrees(self.coordinates)
        self._space.check(self.coordinates_)
        if self._space.is_flat:
            brought.warn_of_degrees(self.coordinates, self.coordinates_, stacklevel=4)
        # A pixel that no map has is outside of them all: beyond a mask, over land, a dead sensor.
        there = ~np.isnan(X).all(axis=0).reshape(-1, self.n_variables)
        self.observed_locations_ = there.any(axis=1)
        self._observed = ObservedLocations(self.observed_locations_, self.n_variables)
        X = X[:, self._observed.columns]
        checks.check_variables(there)
        n, p = len(X), len(self._locations)
        if n <= self.n_components:
            raise ValueError(
                f"X has {n} maps (n_samples = {n}); n_components={self.n_components} needs more"
            )
        if p < 2:
            raise ValueError(f"X has {p} feature(s); a spatial covariance needs 2 locations")
        given: np.ndarray | GivenParameters | None = None
        if isinstance(self.init, Mapping):
            given = GivenParameters(
                self.init, self.n_components, self.observed_locations_, self.n_variables
            )
        elif not isinstance(self.init, str):
            given = checks.responsibilities_from(self.init, len(counted), self.n_components)
            given = given[counted]
        self._held = HeldParameters(
            self.fixed, self.n_components, self.observed_locations_, self.n_variables
        )
        checks.check_rows_differ(X)
        checks.warn_constant_columns(X, scales.get(self.variance).differ)
        points = list(self._points(p))
        if len(points) > 1:
            self._fit_best(X, given, evidence, points)
        else:
            likelihood = self._likelihood(X, *points[0][:2])
            self._fit_one(X, given, evidence, likelihood, *points[0], self.random_state)
        if not counted.all():
            self._label_absent(everyone, counted)
        return self

    def _points(self, p: int) -> Iterator[tuple[Decay, Metric, Mean]]:
        """What the options leave open: one point, or those among which BIC chooses."""
        d = self.coordinates_.shape[1]
        decay_names, metric_names = [self.decay], [self.metric]
        if self.decay == AUTO:
            decay_names = decays.candidates(p)
        if self.metric == AUTO:
            metric_names = metrics.names(d, self._space)
        of_names = (metrics.get(name, self._held.shape) for name in metric_names)
        for decay, metric in product(map(decays.get, decay_names), of_names):
            for mean in means.candidates(self.mean, d, self._space):
                yield decay, metric, mean

    def _fit_best(
        self,
        X: np.ndarray,
        given: np.ndarray | GivenParameters | None,
        evidence: Evidence,
        points: list[tuple[Decay, Metric, Mean]],
    ) -> None:
        """The fit with the lowest BIC."""
        lowest, fitted, caught, parameters = np.inf, {}, [], self.get_params(deep=False)
        likelihood = engine.for_all({self._likelihood(X, *point[:2]) for point in points})
        for point in points:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                self._fit_one(X, given, evidence, likelihood, *point, deepcopy(self.random_state))
            criterion = bic(self.log_likelihood_, self.n_parameters_, evidence.total(len(X)))
            if criterion < lowest:
                lowest, caught = criterion, warned
                fitted = {k: v for k, v in vars(self).items() if k not in parameters}
        for warning in caught:
            warnings.warn(warning.message, warning.category, stacklevel=_TO_CALLER - 1)
        self.__dict__.update(fitted)

    def _likelihood(self, X: np.ndarray, decay: Decay, metric: Metric) -> str:
        """The likelihood of a model of these data."""
        if self.solver == "gls":
            return "exact"
        if self.likelihood != AUTO:
            return self.likelihood
        alike = not scales.get(self.variance).differ
        here = self._locations, decay, metric, not np.isnan(X).any(), alike, self._space
        chosen = engine.automatic(*here)
        if chosen == "exact" and self._needed("exact", X, metric) > available():
            chosen = engine.automatic(*here, exact=False)
        return chosen

    def _needed(self, likelihood: str, X: np.ndarray, metric: Metric) -> float:
        """Bytes that a fit takes at its peak."""
        complete = not np.isnan(X).any()
        return engine.needed(
            likelihood,
            # Variables are further maps, unless what is missing makes one long map of them.
            (X.size // len(self._locations), len(self._locations)) if complete else X.shape,
            self.n_components,
            self._locations,
            metric,
            complete=complete,
            alike=not scales.get(self.variance).differ,
            n_neighbors=self.n_neighbors,
        )

    def _fit_one(
        self,
        X: np.ndarray,
        given: np.ndarray | GivenParameters | None,
        evidence: Evidence,
        likelihood: str,
        decay: Decay,
        metric: Metric,
        mean: Mean,
        random_state: Seed,
    ) -> None:
        """Fit one model, and take over what it estimates."""
        rng = checks.random_generator(random_state)
        memory_of_fits.check(
            likelihood, self._needed(likelihood, X, metric), len(X), len(self._locations)
        )
        of_one = self._choose(
            likelihood,
            decay,
            metric,
            complete=not np.isnan(X).any(),
            alike=not scales.get(self.variance).differ,
        )
        kernel = of_one.family.kernel
        kernel.metric.check_values(decay, kernel.geometry)
        kernel.check_first(self.beta_init)
        with of_one.threads():
            copied = self._standardise(X, mean, evidence)
            self._engine = self._of_variables(of_one)
            maps = self._engine.maps(copied)
            # The copy is let go once the engine has it in its own form.
            del copied
            self._log_unit = self._units.log_unit(maps, evidence)
            fits = self._best_fit(maps, given, mean, evidence, rng)
        numbered = given is not None or evidence.labels is not None or self._model.by_number
        self._take(fits, keep_order=numbered)

    def _choose(
        self, likelihood: str, decay: Decay, metric: Metric, *, complete: bool, alike: bool
    ) -> Engine:
        """The engine of a single variable."""
        return engine.choose(
            likelihood,
            self._locations,
            decay,
            metric,
            complete=complete,
            alike=alike,
            n_neighbors=self.n_neighbors,
            space=self._space,
        )

    def _of_variables(self, of_one: Engine) -> Engine:
        """The engine of all variables, by that of a single one."""
        if self.n_variables == 1:
            return of_one
        squares = np.square(self._units.of_variables)
        kind = variables.of(self.variables, squares / squares.sum(), self.n_factors)
        return VariableEngine(of_one, kind)

    def _label_absent(self, X: np.ndarray, counted: np.ndarray) -> None:
        """Attributes of all maps, from those that counted and the fit's word on the others."""
        seen_by, mixture, maps = self._carried(X[~counted])
        with seen_by.threads():
            at = mixture.deviations(maps)
        _, responsibilities = posterior(mixture.log_joint_at(at))
        found = {
            "labels_": responsibilities.argmax(axis=1),
            "outlier_probability_": outlying.probability(mixture, responsibilities, at),
        }
        for name, of_absent in found.items():
            whole = np.empty(len(X), of_absent.dtype)
            whole[counted], whole[~counted] = getattr(self, name), of_absent
            setattr(self, name, whole)

    def _standardise(self, X: np.ndarray, mean: Mean, evidence: Evidence) -> np.ndarray:
        everyone = np.ones(len(X), dtype=bool)
        rows = slice(None) if evidence.weights is None else evidence.as_often(everyone)
        maps, self._units = standardised(X, mean, rows, self.n_variables)
        if self.n_variables > 1 and self.variables == "full":
            check_independent(maps[rows], self.n_variables)
        return maps

    def _solver(self) -> Solver:
        return SOLVERS[self.solver](self.beta_init)

    def _best_fit(
        self,
        maps: Maps,
        given: np.ndarray | GivenParameters | None,
        mean: Mean,
        evidence: Evidence,
        rng: np.random.Generator,
    ) -> list[Fit[Mixture]]:
        """EM from one start, or from the best of many."""
        solver, G = self._solver(), self.n_components
        self._model = model = self._model_of(mean, scales.get(self.variance).start(maps))
        complete = self._engine.completed(maps, model.searched, self.tol)
        problem = SpatialProblem(maps, model, solver, evidence)
        with tqdm(desc="EM", unit=" iterations", disable=not self.verbose) as bar:

            def progress(log_likelihood: float) -> None:
                log_likelihood -= self._log_unit
                bar.set_postfix_str(f"log-likelihood {log_likelihood:.3f}", refresh=False)
                bar.update()

            def climb(starts: list[tuple[Mixture, int]]) -> list[Fit[Mixture]]:
                mixtures, n_starts = zip(*starts[: self._engine.n_tried], strict=True)
                return run_best(
                    problem,
                    mixtures,
                    self._engine.rounds,
                    n_starts=n_starts,
                    tol=self.tol,
                    max_iter=self.max_iter,
                    progress=progress,
                )

            def climb_from(shown: np.ndarray) -> list[Fit[Mixture]]:
                return climb(
                    informed.starts(
                        self._engine,
                        *(complete, model, solver, evidence),
                        *(G, self.n_init, rng, shown),
                    )
                )

            if given is None and self.init == "kmeans":
                flat = np.concatenate(model.scales.divide(complete).blocks, axis=1)
                given = kmeans_responsibilities(flat, G, rng)
                if model.by_number:
                    start = solver.start(self._engine, complete, given, model.searched)
                    given = given[:, informed.numbering(start, complete, given, model, evidence)]
                else:
                    given = evidence.numbered(given)
            if isinstance(given, GivenParameters):
                start = given.start(self._engine, solver, complete, model, self._units)
                return climb([(start, 1)])
            if given is not None or evidence.everything(len(maps)):
                given = np.zeros((len(maps), G)) if given is None else given
                given = evidence.imposed(given)
                return climb([(solver.start(self._engine, complete, given, model), 1)])
            if model.tails.heavy:
                return outlying.without_outlying(climb_from, len(maps))
            return climb_from(np.ones(len(maps), dtype=bool))

    def _model_of(self, mean: Mean, of_locations: Scales) -> Model:
        """The model of the options with one kind of mean, what is fixed at its values."""
        family, shared = self._engine.family, SHARED[self.sharing]
        held = self._held.within(self._units.scale, "alpha" in shared)
        if self._held.maps is not None:
            known = self._units.forth(self._held.maps)
            blocks = [list(of_one) for of_one in zip(*self._engine.forth(known), strict=True)]
            if self.n_variables == 1:
                mean = means.SpannedMean(known, self._locations)
            mean = means.HeldMean(blocks, searched=mean)
        of_maps = tails.get(self.tails)
        return Model(family, mean, of_locations, family.members(shared), of_maps, held)

    def _take(self, fits: list[Fit[Mixture]], keep_order: bool) -> None:
        """Public attributes of the best of finished starts, in the units of the data."""
        fit, *_ = fits
        order = np.arange(self.n_components)
        if not keep_order:
            order = np.argsort(-fit.parameters.weights, kind="stable")
        self._publish(fit.parameters.reordered(order))
        responsibilities = fit.expected.responsibilities[:, order]
        deviations = fit.expected.deviations.reordered(order)
        self.labels_ = responsibilities.argmax(axis=1)
        self.outlier_probability_ = outlying.probability(
            self._mixture, responsibilities, deviations
        )
        self.log_likelihood_trace_ = np.array(fit.trace) - self._log_unit
        self.log_likelihood_ = float(self.log_likelihood_trace_[-1])
        self.n_iter_ = fit.n_iter
        self.converged_ = fit.converged
        self.starts_ = pd.DataFrame(
            {
                "log_likelihood": [one.log_likelihood - self._log_unit for one in fits],
                "n_iter": [one.n_iter for one in fits],
                "converged": [one.converged for one in fits],
                "all_components": [one.sound for one in fits],
                "n_starts": [one.n_starts for one in fits],
            }
        )
        below = self.log_likelihood_ - self.starts_["log_likelihood"]
        self.n_optima_ = int((below <= self.tol).sum())
        self.empty_components_ = np.flatnonzero(empty(responsibilities.sum(axis=0))).tolist()
        rows = self._evidence.rows(len(responsibilities))
        told = outlying.Words(self._mixture, responsibilities, deviations, rows)
        self._warn_unless_converged(stacklevel=_TO_CALLER)
        counts = responsibilities.sum(axis=0)
        for remark in soundness.remarks(self._estimates, counts, self.condition_number_, fits):
            warnings.warn(remark, UserWarning, stacklevel=_TO_CALLER)
        if self.empty_components_:
            warnings.warn(
                f"{named_components(*self.empty_components_)}: fewer than {MIN_MAPS} maps in each; "
                f"n_components={self.n_components} is too many for these data" + told.or_else(),
                ConvergenceWarning,
                stacklevel=_TO_CALLER,
            )
        told.warn(stacklevel=_TO_CALLER)

    def _publish(self, mixture: Mixture) -> None:
        """What the parameters of a mixture say, in the units of the data."""
        self._mixture = mixture
        scale = self._units.scale
        relative = self._units.of_variables / scale
        self._estimates = Estimates(mixture, self._model, scale, relative)
        family = self._engine.family
        blocks = [np.stack(block) for block in zip(*mixture.means, strict=True)]
        self.scales_ = self._observed.everywhere(mixture.scales.values(len(self._locations)))
        self.alpha_, self.means_ = self._held.exactly(
            self._estimates.alpha(),
            self._observed.shown(self._units.back(self._scaled(self._engine.back(blocks)))),
        )
        self.weights_ = mixture.weights
        self.variable_covariances_ = self._estimates.variable_covariances()
        self.shape_ = self._estimates.shapes().copy()
        decay = family.kernel.decay
        self.decay_, self.metric_ = decay.name, family.kernel.metric.name
        self.mean_, self.likelihood_ = self._model.mean.name, self._engine.name
        names = list(mixture.tails.parameter_names)
        self.tail_parameters_ = pd.DataFrame(mixture.tails.parameters, columns=names)
        self.parameter_names_ = family.names
        self.beta_ = self.shape_[:, family.kernel.of_decays]
        if self.beta_.shape[1] == 1:
            self.beta_ = self.beta_[:, 0]
        self.n_parameters_ = self._model.n_parameters(self.n_components)
        self.path_ = family.geometry.path
        self.condition_number_ = max(c.condition_number() for c in mixture.covariances)

    # -- using the fit ------------------------------------------------------------------------

    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Draw maps from the fitted mixture.

        Returns
        -------
        X : ndarray of shape (n_samples, p), or (n_samples, p, q)
        labels : ndarray of shape (n_samples,)

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> model = SpatialGaussianMixture(1, mean="constant").fit(X)
        >>> maps, labels = model.sample(3)
        >>> maps.shape, labels
        ((3, 16), array([0, 0, 0]))
        """
        check_is_fitted(self)
        constraints.check_value("n_samples", n_samples, constraints.Integer(1))
        return self._draw(n_samples, checks.random_generator(self.random_state))

    def _draw(self, n_samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.choice(len(self.weights_), size=n_samples, p=self.weights_)
        X = np.empty((n_samples, *self.means_.shape[1:]))
        for g, covariance in enumerate(self._mixture.covariances):
            rows = np.flatnonzero(labels == g)
            maps = self._engine.back(covariance.draw(len(rows), rng))
            maps = self._mixture.tails.widened(maps, g, rng)
            away = self._units.unit * self._scaled(maps)
            X[rows] = self.means_[g] + self._observed.shown(away)
        return X, labels

    def _drawn_like(self, X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """As many maps of the mixture as the rows of `X` (n, p q), with its missing pixels."""
        drawn, _ = self._draw(len(X), rng)
        return np.where(np.isnan(X), np.nan, drawn.reshape(X.shape))

    def impute(self, X: ArrayLike) -> np.ndarray:
        """Maps with their missing pixels at the expectation given the observed ones.

        ``E[x | observed] = sum_g r_g E[x | observed, component g]`` with responsibilities ``r``.

        Parameters
        ----------
        X : array-like of shape (n, p), (n, r, c) or (n, r, c, s)
            Maps, NaN where a pixel is missing; the model must have ``missing="em"``.

        Returns
        -------
        ndarray of shape (n, p), or (n, p, q)

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> X[3, 1, 1] = np.nan
        >>> model = SpatialGaussianMixture(1, mean="constant", missing="em").fit(X)
        >>> filled = model.impute(X)
        >>> filled.shape, bool(np.isnan(filled).any())
        ((40, 16), False)
        """
        seen_by, mixture, maps = self._seen(X)
        with seen_by.threads():
            _, responsibilities = mixture.expectation(maps)
            filled = sum(
                r[:, None] * seen_by.back(mixture.filled(maps, g))
                for g, r in enumerate(responsibilities.T)
            )
        return self._observed.shown(self._units.back(filled))

    def interpolate(self, X: ArrayLike, coordinates: ArrayLike) -> np.ndarray:
        """Every map's expectation at other places, given its values.

        ``sum_g r_g E[x(place) | x, component g]`` with responsibilities ``r``, by kriging
        (:mod:`spatgmm.fitting.interpolation`).  A free mean is interpolated like the maps, around
        its level.  At a location of the fit a map's own value comes back (as the nugget is taken
        for variation, not for noise), where that is missing what :meth:`impute` says.

        Parameters
        ----------
        X : array-like of shape (n, p), (n, r, c) or (n, r, c, s)
        coordinates : array-like or DataFrame of shape (m, d)
            Places, in the unit and order of the coordinates of the fit.

        Returns
        -------
        ndarray of shape (n, m), or (n, m, q)

        Raises
        ------
        ValueError
            If a place does not lie where the maps are, or variances differ by location
            (``variance="location"``): those of other places are not known.

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> model = SpatialGaussianMixture(1, mean="constant").fit(X)
        >>> values = model.interpolate(X, [[0.5, 0.5], [0, 0]])
        >>> values.shape, bool(np.allclose(values[:, 1], X[:, 0, 0]))
        ((40, 2), True)
        """
        seen_by, mixture, maps = self._seen(X)
        if mixture.scales.differ:
            raise ValueError(
                "interpolate needs variance='constant': with variance='location' nothing is known "
                "of the scale of other places"
            )
        wanted = check_places(from_frame(coordinates, None), self.coordinates_.shape[1])
        self._space.check_each(wanted)
        with seen_by.threads():
            _, responsibilities = mixture.expectation(maps)
            X = self._check_maps(X, reset=False)[0][:, self._observed.columns]
            means, model = self.means_[:, self.observed_locations_], self._model
            if self.n_variables > 1:
                filled = [
                    self._units.back(seen_by.back(mixture.filled(maps, g)))
                    for g in range(len(means))
                ]
                return several_elsewhere(
                    filled,
                    responsibilities,
                    means,
                    replace(model, family=seen_by.family),
                    mixture,
                    wanted,
                    self.n_neighbors,
                )
            return expected_elsewhere(
                X,
                responsibilities,
                means,
                replace(model, family=seen_by.family),
                mixture.covariances,
                wanted,
                self.n_neighbors,
            )

    def outlier_probability(self, X: ArrayLike) -> np.ndarray:
        """Probability that each map is an outlying one of whichever component it is of.

        Under contaminated tails, that its variance is the larger one.  Under t tails, that its
        variance is more than three times its component's, or else, and under normal tails always,
        what its squared distance's tail probability (F or chi-square) says at most, with 1 % of
        maps expected to outlie (:mod:`spatgmm.fitting.tails`): more than 1/2 where fewer than about
        one in 2,000 maps lie as far.

        Parameters
        ----------
        X : array-like

        Returns
        -------
        ndarray of shape (n,)

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> X[7] *= 5
        >>> model = SpatialGaussianMixture(1, mean="constant", tails="contaminated").fit(X)
        >>> np.flatnonzero(model.outlier_probability(X) > 0.5)
        array([7])
        """
        seen_by, mixture, maps = self._seen(X)
        with seen_by.threads():
            at = mixture.deviations(maps)
        _, responsibilities = posterior(mixture.log_joint_at(at))
        return outlying.probability(mixture, responsibilities, at)

    def log_likelihood(self, X: ArrayLike, likelihood: str | None = None) -> float:
        """Total log-likelihood of maps, natural logarithm.

        Parameters
        ----------
        X : array-like
        likelihood : {"exact", "cosine", "vecchia"}, optional
            How to compute it; by default as in the fit (``likelihood_``).

        Returns
        -------
        float

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> model = SpatialGaussianMixture(1, mean="constant").fit(X)
        >>> model.likelihood_, bool(np.isclose(model.log_likelihood(X), model.log_likelihood_))
        ('exact', True)
        >>> round(model.log_likelihood(X, likelihood="vecchia") - model.log_likelihood(X), 6)
        0.0
        """
        return float(logsumexp(self._joint(X, likelihood), axis=1).sum())

    @property
    def covariances_(self) -> np.ndarray:
        """``Xi_g = a1*J + a2*D + a3*I``, with scales ``s`` ``diag(s) Xi_g diag(s)``: (G, p, p).

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> model = SpatialGaussianMixture(1, mean="constant").fit(X)
        >>> model.covariances_.shape
        (1, 16, 16)
        """
        check_is_fitted(self)
        kernel = self._engine.family.kernel
        by_offset = kernel.metric.by_offset
        geometry = Geometry(self._locations, False, by_offset=by_offset, space=self._space)
        dense = SpatialCovariance(Kernel(geometry, kernel.decay, kernel.metric))
        matrices = np.array([dense.matrix(theta)[0] for theta in self._mixture.thetas])
        units = self._units.scale**2 * np.outer(self.scales_, self.scales_)
        everywhere = self._observed.everywhere
        across = everywhere(everywhere(matrices).transpose(0, 2, 1))
        return units * across.transpose(0, 2, 1)

    @property
    def space_(self) -> Space:
        """Where the locations are (:class:`spatgmm.covariance.space.Space`).

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> SpatialGaussianMixture(1, mean="constant").fit(X).space_.name
        'plane'
        """
        check_is_fitted(self)
        return self._space

    @property
    def distances_(self) -> np.ndarray:
        """Scaled distances, shape (p, p).

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> model = SpatialGaussianMixture(1, mean="constant").fit(X)
        >>> model.distances_.shape, float(model.distances_.max())
        ((16, 16), 2.0)
        """
        check_is_fitted(self)
        geometry = self._engine.family.geometry
        return squareform(pdist(self._space.embedded(self.coordinates_))) / geometry.unit

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted parameters to one ``.npz`` file, without pickles; :func:`load` reads it.

        Labels and the trace, which belong to the maps, are left out.

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> import os, tempfile, spatgmm
        >>> model = SpatialGaussianMixture(1, mean="constant").fit(X)
        >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
        >>> model.save(path)
        >>> bool((spatgmm.load(path).predict(X) == model.labels_).all())
        True
        """
        check_is_fitted(self)
        plain = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in self.get_params(deep=False).items()
        }
        kept = ("log_likelihood_", "n_iter_", "converged_", "decay_", "metric_", "mean_")
        settings = {
            "format": _FORMAT,
            "options": {
                name: value
                for name, value in plain.items()
                if value is None or isinstance(value, bool | int | float | str)
            }
            | ({} if self.period is None else {"period": self._space.circumferences})
            | {"fixed": self.fixed and {name: float(v) for name, v in self._held.numbers.items()}},
            "likelihood_": self.likelihood_,
            "n_waves": getattr(self._model.mean, "n_waves", None),
            "scale": self._units.scale,
            "empty_components_": self.empty_components_,
            **{name: getattr(self, name) for name in kept},
        }
        means_ = [self._engine.back([b[None] for b in mean]) for mean in self._mixture.means]
        arrays = {
            "coordinates": self.coordinates_,
            "observed_locations": self.observed_locations_,
            "centre": self._units.centre,
            "weights": self._mixture.weights,
            "means": np.concatenate(means_),
            "thetas": self._mixture.thetas,
            "scales": self._mixture.scales.flat(),
            "tails": self._mixture.tails.parameters,
        } | {_FIXED + name: values for name, values in self._held.arrays.items()}
        if self.n_variables > 1:
            arrays |= {"unit": self._units.unit} | saved(self._mixture)
        if self.place_names_ is not None:
            arrays["place_names"] = np.array(self.place_names_, dtype=str)
        if hasattr(self, "feature_names_in_"):
            arrays["feature_names_in"] = self.feature_names_in_.astype(str)
        write_arrays(path, settings, arrays)

    # -- what it says about space --------------------------------------------------------------

    def standard_errors(
        self, X: ArrayLike, method: str = "information", n_bootstrap: int = 200
    ) -> pd.DataFrame:
        """Standard errors and 95 % intervals.

        Tails' own parameters are taken as known.

        Parameters
        ----------
        X : array-like
            The maps the model was fitted to; it remembers their weights and known labels, which
            :meth:`save` leaves out.
        method : {"information", "bootstrap"}, default="information"
            ``"information"``: from the observed information at `X`; a parameter at a bound has no
            standard error, and the note says why (:mod:`spatgmm.fitting.inference`).
            ``"bootstrap"``: from refits to maps that the fitted mixture draws, with the missing
            pixels of `X`; intervals also at bounds (:mod:`spatgmm.fitting.bootstrap`).
        n_bootstrap : int, default=200
            Number of these refits, each from the estimates.

        Returns
        -------
        pandas.DataFrame
            Columns component, parameter (weight, alpha1, alpha2, alpha3, beta), estimate,
            std_error, lower, upper, note.

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> model = SpatialGaussianMixture(1, mean="constant").fit(X)
        >>> model.standard_errors(X)[["parameter", "estimate", "std_error"]].round(2)
          parameter  estimate  std_error
        0    weight      1.00       0.00
        1    alpha1      0.05       0.03
        2    alpha2     -0.11       0.07
        3    alpha3      0.95       0.06
        4      beta      1.39       2.32
        """
        constraints.check_value("method", method, constraints.Choice("information", "bootstrap"))
        if method == "information":
            return inference.standard_errors(self._uncertainty(X))
        constraints.check_value("n_bootstrap", n_bootstrap, constraints.Integer(2))
        check_is_fitted(self)
        X, _ = self._check_maps(X, reset=False)
        rng = checks.random_generator(self.random_state)
        found = [
            self._refit(self._drawn_like(X, rng))._by_component()
            for _ in tqdm(range(n_bootstrap), unit=" refits", disable=not self.verbose)
        ]
        rows, columns = np.tril_indices(self.n_variables)
        names = ["weight", *self.parameter_names_]
        if self.n_variables > 1:
            names += [f"psi[{u},{v}]" for u, v in zip(rows, columns, strict=True)]
        return bootstrap.standard_errors(self._by_component(), np.array(found), names)

    def _by_component(self) -> np.ndarray:
        """Weight, coefficients and shape of each component, (G, k); NaN where it is empty.

        With several variables the lower triangle of their covariance follows.
        """
        values = np.column_stack([self.weights_, self.alpha_, self.shape_])
        if self.n_variables > 1:
            lower = np.tril_indices(self.n_variables)
            values = np.column_stack([values, self.variable_covariances_[:, *lower]])
        values[self.empty_components_] = np.nan
        return values

    def _refit(self, X: np.ndarray) -> SpatialGaussianMixture:
        """The same model fitted to other maps, from the estimates on; components keep their order.

        What ``"auto"`` chose stays chosen.
        """
        again = clone(self).set_params(
            decay=self.decay_,
            mean=self.mean if self._model.mean.is_held else self.mean_,
            metric=self.metric_,
            likelihood=self.likelihood_,
            init=self.predict_proba(X),
            verbose=False,
        )
        with warnings.catch_warnings():
            # Remarks on maps that nobody has.
            warnings.simplefilter("ignore")
            return again.fit(X)

    def geostatistics(self, X: ArrayLike | None = None) -> pd.DataFrame:
        """Each covariance in the words of geostatistics.

        Parameters
        ----------
        X : array-like, optional
            The maps the model was fitted to; with them come standard errors.

        Returns
        -------
        pandas.DataFrame
            Columns component, quantity, estimate and, with `X`, std_error, lower, upper.
            Quantities: baseline (covariance at the largest distance), partial_sill, nugget, sill
            (partial sill and nugget) in squared units of ``X``; effective_range, the distance at
            which 95 % of the partial sill is lost, in the units of the coordinates, with
            ``space="sphere"`` in km; with ``metric="additive"`` effective_range_axis1 and so on,
            of each axis' share of the partial sill.

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> X[20:] = X[20:].cumsum(axis=1)
        >>> model = SpatialGaussianMixture(2, mean="constant", random_state=0).fit(X)
        >>> model.geostatistics()["quantity"].unique().tolist()
        ['baseline', 'partial_sill', 'nugget', 'sill', 'effective_range']
        """
        check_is_fitted(self)
        if X is None:
            return inference.geostatistics(self._estimates)
        return inference.geostatistics(self._estimates, self._uncertainty(X))

    def correlogram(self, distances: ArrayLike | None = None) -> pd.DataFrame:
        """Fitted correlation by distance.

        Parameters
        ----------
        distances : array-like, optional
            In the units of the coordinates (km with ``space="sphere"``), straight through where
            space is closed; by default 200 from 0 to the largest.

        Returns
        -------
        pandas.DataFrame
            Columns component, distance, scaled_distance, correlation.  At distance 0 it is 1;
            the nugget makes it jump right after.  With ``metric="additive"`` there is a column
            axis, from 1, after component: correlation of places that differ along that axis alone,
            by distances up to its length.

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> model = SpatialGaussianMixture(1, mean="constant").fit(X)
        >>> model.correlogram([0.0, 1.0, 2.0]).columns.tolist()
        ['component', 'distance', 'scaled_distance', 'correlation']
        >>> model.correlogram([0.0])["correlation"].tolist()
        [1.0]
        """
        check_is_fitted(self)
        return inference.correlogram(self._estimates, distances)

    def diagnostics(self, X: ArrayLike, n_simulations: int = 199) -> Diagnostics:
        """What the maps show that the fitted model does not.

        Parameters
        ----------
        X : array-like
            The maps the model was fitted to.
        n_simulations : int, default=199
            Sets of maps drawn from the model, to compare with; at least 99.

        Returns
        -------
        spatgmm.fitting.diagnostics.Diagnostics
            ``checks`` says what was found: squared distances of the maps against their law,
            correlation by distance, directions, variances by location; the numbers behind each,
            with simulation bands, are tables of their own.

        Raises
        ------
        ValueError
            If every component has too few maps to tell.

        Warns
        -----
        DiagnosticsWarning
            With what was found and what to try, for each check that the model does not pass.

        Examples
        --------
        >>> import numpy as np
        >>> from spatgmm import SpatialGaussianMixture
        >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
        >>> model = SpatialGaussianMixture(1, mean="constant", random_state=0).fit(X)
        >>> found = model.diagnostics(X, n_simulations=99)
        >>> found.checks["check"].tolist()
        ['distances', 'correlation', 'direction', 'variance']
        >>> found.flagged
        []
        """
        check_is_fitted(self)
        constraints.check_value("n_simulations", n_simulations, constraints.Integer(99))
        X, _ = self._check_maps(X, reset=False)
        model = self._model

        def view(maps: Any) -> View:
            seen_by, mixture, maps = self._seen(maps)
            with seen_by.threads():
                return View.of(seen_by, replace(model, family=seen_by.family), mixture, maps)

        # Maximum likelihood takes variances about a free mean for 1 - 1/n_g of what they are.
        counts = np.maximum(self.weights_ * len(X), 2)
        wider = np.sqrt(counts / (counts - 1)) if model.mean.is_free else np.ones(len(counts))

        def draw(rng: np.random.Generator) -> np.ndarray:
            maps, labels = self._draw(len(X), rng)
            maps = maps.reshape(X.shape)
            means_ = self.means_.reshape(len(counts), -1)[labels]
            return means_ + wider[labels, None] * (maps - means_)

        found = diagnose(
            view,
            draw,
            X,
            self._space.embedded(self._locations),
            directed=self._space.is_flat,
            n_simulations=n_simulations,
            rng=checks.random_generator(self.random_state),
        )
        for finding in found.checks.loc[found.checks["flagged"], "finding"]:
            warnings.warn(finding, DiagnosticsWarning, stacklevel=2)
        return found

    def _uncertainty(self, X: ArrayLike) -> Uncertainty:
        check_is_fitted(self)
        X, _ = self._check_maps(X, reset=False)
        evidence = self._evidence.of(X)
        counted = evidence.counted(len(X))
        # All of them without another copy.
        seen_by, mixture, maps = self._carried(X if counted.all() else X[counted])
        model = replace(self._model, family=seen_by.family)
        estimates = replace(
            self._estimates, mixture=mixture, model=model, evidence=evidence.some(counted)
        )
        with seen_by.threads():
            return seen_by.uncertainty(estimates, maps)

    # -- checks -------------------------------------------------------------------------------

    def _joint(self, X: ArrayLike, likelihood: str | None = None) -> np.ndarray:
        """``log(pi_g) + log f_g(x_i)`` in the units of X, shape (n, G)."""
        seen_by, mixture, maps = self._seen(X, likelihood)
        with seen_by.threads():
            joint = mixture.log_joint(maps)
        return joint - self._units.log_units(maps)[:, None]

    def _seen(self, X: ArrayLike, likelihood: str | None = None) -> tuple[Engine, Mixture, Maps]:
        """Checked data, and the engine that can carry them with the mixture in its terms."""
        check_is_fitted(self)
        return self._carried(self._check_maps(X, reset=False)[0], likelihood)

    def _carried(
        self, X: np.ndarray, likelihood: str | None = None
    ) -> tuple[Engine, Mixture, Maps]:
        """The same for maps (n, p q) that were checked."""
        X = self._units.forth(X[:, self._observed.columns])
        chosen = self._engine
        if likelihood is not None:
            kernel = chosen.family.kernel
            of_one = self._choose(
                likelihood,
                kernel.decay,
                kernel.metric,
                complete=not np.isnan(X).any(),
                alike=not self._mixture.scales.differ,
            )
            chosen = self._of_variables(of_one)
        if np.isnan(X).any():
            chosen = chosen.with_gaps(self.n_neighbors)
        mixture = self._mixture
        if chosen is not self._engine:
            mixture = self._engine.mixture_for(chosen, mixture)
        return chosen, mixture, chosen.maps(X)

    @property
    def _locations(self) -> np.ndarray:
        """Coordinates of the locations that some map has."""
        return self.coordinates_[self.observed_locations_]

    def _scaled(self, maps: np.ndarray) -> np.ndarray:
        """Maps (n, p q) that were divided by the scales of locations, times these."""
        return np.repeat(self.scales_[self.observed_locations_], self.n_variables) * maps

    def _check_maps(self, X: ArrayLike, reset: bool) -> tuple[np.ndarray, Stack]:
        """Finite maps (n, p), and what their own form says of their places."""
        brought = memory.take(X, self.n_variables)
        checked: np.ndarray = validate_data(
            self,
            brought.values,
            reset=reset,
            dtype=np.float64,
            order="C",  # sums over the same values in another order differ in their last digits
            ensure_all_finite=False,
            ensure_min_samples=1,
        )
        checks.check_finite(checked, self.missing == "em", self.n_variables)
        check_size(checked)
        if reset:
            fill.warn_of_fill_values(checked, stacklevel=4)
            self.place_names_ = brought.place_names
        else:
            brought.check_against(self.coordinates_, self.place_names_)
        return checked, replace(brought, values=checked)


def load(path: str | PathLike[str]) -> SpatialGaussianMixture:
    """A fitted model from the file that :meth:`SpatialGaussianMixture.save` wrote.

    Raises
    ------
    spatgmm.common.files.DamagedFile
        If the file is damaged, or none of these; a ValueError.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import spatgmm
    >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
    >>> path = os.path.join(tempfile.mkdtemp(), "model.npz")
    >>> spatgmm.SpatialGaussianMixture(1, mean="constant").fit(X).save(path)
    >>> spatgmm.load(path).predict(X[:3])
    array([0, 0, 0])
    """
    settings, arrays = read_arrays(path)
    if settings.get("format") != _FORMAT:
        raise DamagedFile(path, "not a fitted model of this version")
    model = SpatialGaussianMixture(**settings["options"])
    if model.fixed is not None:
        of_fixed = [name for name in arrays if name.startswith(_FIXED)]
        of_names = {name.removeprefix(_FIXED): arrays[name] for name in of_fixed}
        model.fixed = {**model.fixed, **of_names}
    model.coordinates_ = arrays["coordinates"]
    model.observed_locations_ = arrays["observed_locations"]
    model._observed = ObservedLocations(model.observed_locations_, model.n_variables)
    model._space = spaces.of(model.space, model.period, model.coordinates_.shape[1])
    scale = settings["scale"]
    model._units = Units(arrays["centre"], arrays.get("unit", scale), scale, model.n_variables)
    model._evidence = NOTHING
    model.n_features_in_ = len(model.coordinates_) * model.n_variables
    names = arrays.get("place_names")
    model.place_names_ = None if names is None else names.tolist()
    if "feature_names_in" in arrays:
        model.feature_names_in_ = arrays["feature_names_in"].astype(object)
    of_locations = scales.get(model.variance).from_flat(arrays["scales"])
    model._held = HeldParameters(
        model.fixed, model.n_components, model.observed_locations_, model.n_variables
    )
    of_one = model._choose(
        settings["likelihood_"],
        decays.get(settings["decay_"]),
        metrics.get(settings["metric_"], model._held.shape),
        complete=model.missing == "error",
        alike=not of_locations.differ,
    )
    model._engine = model._of_variables(of_one)
    family, d = model._engine.family, model.coordinates_.shape[1]
    name = settings["mean_"]
    mean = means.of(model.mean if name == means.HeldMean.name else name, d, settings["n_waves"])
    model._model = model._model_of(mean, of_locations)
    blocks = model._engine.forth(arrays["means"])
    model._publish(
        Mixture(
            arrays["weights"],
            [list(of_one) for of_one in zip(*blocks, strict=True)],
            restored(family, arrays),
            of_locations,
            model._model.tails.at(arrays["tails"]),
        )
    )
    for name in ("log_likelihood_", "n_iter_", "converged_", "empty_components_"):
        setattr(model, name, settings[name])
    return model

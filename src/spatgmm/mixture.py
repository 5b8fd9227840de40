"""The estimator that users call."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import product
from os import PathLike
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from tqdm import tqdm

from spatgmm.common import checks
from spatgmm.common.base import bic, kept_if_refused
from spatgmm.common.checks import Seed
from spatgmm.common.em import Fit, posterior, run_best
from spatgmm.common.files import DamagedFile, read_arrays
from spatgmm.common.values import check_order
from spatgmm.common.words import named_components
from spatgmm.covariance import decay as decays
from spatgmm.covariance import metric as metrics
from spatgmm.covariance import space as spaces
from spatgmm.covariance.decay import Decay
from spatgmm.covariance.metric import Metric
from spatgmm.fitted import FIXED, FORMAT, FittedMixture
from spatgmm.fitting import engine, means, options, outlying, scales, soundness, tails
from spatgmm.fitting import memory as memory_of_fits
from spatgmm.fitting.em import Solver, SpatialProblem
from spatgmm.fitting.evidence import NOTHING, Evidence
from spatgmm.fitting.given import GivenParameters
from spatgmm.fitting.gls import GLS
from spatgmm.fitting.held import HeldParameters
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.means import Mean
from spatgmm.fitting.options import AUTO
from spatgmm.fitting.scoring import Scoring
from spatgmm.fitting.search import informed
from spatgmm.fitting.search.starts import kmeans_responsibilities
from spatgmm.fitting.state import MIN_MAPS, Mixture, empty
from spatgmm.fitting.units import ObservedLocations, Units, standardised
from spatgmm.fitting.variables import check_independent, restored
from spatgmm.memory import available

#: Frames from where a fit is taken over to who called :meth:`SpatialGaussianMixture.fit`.
_TO_CALLER = 5

SOLVERS = {"scoring": Scoring, "gls": GLS}


class SpatialGaussianMixture(FittedMixture):
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
    if settings.get("format") != FORMAT:
        raise DamagedFile(path, "not a fitted model of this version")
    model = SpatialGaussianMixture(**settings["options"])
    if model.fixed is not None:
        of_fixed = [name for name in arrays if name.startswith(FIXED)]
        of_names = {name.removeprefix(FIXED): arrays[name] for name in of_fixed}
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

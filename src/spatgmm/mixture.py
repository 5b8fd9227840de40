"""The estimator that users call."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm import tqdm

from spatgmm.common import checks
from spatgmm.common.base import LikelihoodMixture
from spatgmm.common.threads import blas_threads
from spatgmm.covariance import decay as decays
from spatgmm.covariance import metric as metrics
from spatgmm.covariance.family import SHAPE, SpatialCovariance, alpha_from_theta
from spatgmm.covariance.fitted import COEFFICIENTS
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.kernel import Kernel
from spatgmm.fitting import em, inference, scales
from spatgmm.fitting.gls import GLS
from spatgmm.fitting.maps import IncompleteMaps, Maps
from spatgmm.fitting.scoring import SHARED, Scoring
from spatgmm.fitting.search import search
from spatgmm.fitting.search.starts import kmeans_responsibilities
from spatgmm.fitting.state import MIN_MAPS, Mixture, empty, starting_mixture
from spatgmm.reading import fill, memory
from spatgmm.reading.stack import Stack, check_size

SOLVERS = ("scoring", "gls")
MEANS = ("free", "constant")
VARIANCES = ("constant", "location")
MISSING = ("error", "em")

#: Chooses among the decays by BIC.
AUTO = "auto"

#: Exact EM iterations of the single component that fills in missing pixels for the search.
_ITERATIONS_TO_COMPLETE = 20


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
    mean : {"free", "constant"}, default="free"
        One mean per location and component, or one per component.
    solver : {"scoring", "gls"}, default="scoring"
        ``"scoring"``: Fisher scoring inside the positive-definite cone; the log-likelihood never
        falls.  ``"gls"``: the paper's algorithm, faithful, failures included.
    n_init : int, default=10
        Starts per round of the global search (``init="multistart"``); rounds go on, four at
        most, while they keep finding new optima.
    init : {"multistart", "kmeans"} or array-like, default="multistart"
        Labels (n,) or responsibilities (n, G) give one start, from exactly them.
    tol : float, default=1e-4
        Absolute tolerance on the log-likelihood; the default solver extrapolates to its limit.
    max_iter : int, default=500
        Largest number of exact EM iterations.
    random_state : int, Generator, RandomState or None, default=None
    beta_init : float or None, default=None
        Starting ``beta`` where there is a single start.  None: the best of a grid for
        ``"scoring"``, 4 for ``"gls"``.
    metric : {"isotropic", "axes", "rotated"}, default="isotropic"
        Whether distance counts alike in all directions, has a stretch for each axis, or (2-D) for
        two orthogonal directions that each component chooses (:mod:`spatgmm.covariance.metric`).
    variance : {"constant", "location"}, default="constant"
        ``"location"``: ``Xi_g = diag(s) C_g diag(s)`` with a scale for each location that all
        components share (:mod:`spatgmm.fitting.scales`).
    sharing : {"none", "beta", "alpha", "all"}, default="none"
        What all components have in common: nothing, the shape (beta and the metric's parameters),
        the coefficients alpha, or the whole covariance.
    missing : {"error", "em"}, default="error"
        Whether ``NaN`` in ``X`` is refused, or taken as a missing pixel: the likelihood is then
        that of the observed pixels, and :meth:`impute` fills in the others.
    verbose : bool, default=False
        Whether to show progress on standard error.

    Attributes
    ----------
    weights_ : ndarray of shape (G,)
        Components are numbered by falling weight, or as in `init` where that is an array.
    means_ : ndarray of shape (G, p)
    alpha_ : ndarray of shape (G, 3)
        ``(a1, a2, a3)``, J all ones, in squared units of ``X``.
    beta_ : ndarray of shape (G,)
        The decay's parameter; (G, m) for ``"ispline"``, which has m.
    shape_ : ndarray of shape (G, q)
        The parameters of the decay, then those of the metric.
    parameter_names_ : tuple of str
        Of a component's covariance: three coefficients, then the shape.
    scales_ : ndarray of shape (p,)
        Scale of each location, geometric mean 1; all 1 unless ``variance="location"``.
    decay_ : str
        The decay, where ``"auto"`` chose it.
    covariances_ : ndarray of shape (G, p, p)
        Computed when asked for.
    labels_ : ndarray of shape (n,)
    log_likelihood_ : float
        Total, natural logarithm.
    log_likelihood_trace_ : ndarray of shape (n_iter_ + 1,)
    n_iter_ : int
    converged_ : bool
    n_parameters_ : int
        ``(G - 1) + G*p + 4*G``; with constant means ``(G - 1) + G + 4*G``.  Options change the
        ``4*G`` to what they leave free, and scales of locations add ``p - 1``.
    coordinates_ : ndarray of shape (p, d)
    distances_ : ndarray of shape (p, p)
        Scaled to [0, 2]; computed when asked for.
    path_ : str
        ``"reflection blocks"`` or ``"one dense block"``: how covariances were factored.
    condition_number_ : float
        The largest of the covariances, an estimate in the 1-norm.
    empty_components_ : list of int
        Components that ended with fewer than 1.5 expected maps.

    References
    ----------
    Lu et al., "Spatial Covariance Constraints for Gaussian Mixture Models", arXiv 2601.07979.
    """

    def __init__(
        self,
        n_components=2,
        coordinates=None,
        decay="sigmoid",
        mean="free",
        solver="scoring",
        n_init=10,
        init="multistart",
        tol=1e-4,
        max_iter=500,
        random_state=None,
        beta_init=None,
        metric="isotropic",
        variance="constant",
        sharing="none",
        missing="error",
        verbose=False,
    ):
        self.n_components = n_components
        self.coordinates = coordinates
        self.decay = decay
        self.mean = mean
        self.solver = solver
        self.n_init = n_init
        self.init = init
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.beta_init = beta_init
        self.metric = metric
        self.variance = variance
        self.sharing = sharing
        self.missing = missing
        self.verbose = verbose

    # -- fitting ------------------------------------------------------------------------------

    def fit(self, X, y=None):
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n, p), (n, r, c) or (n, r, c, s)
            One map per row.
        y : ignored

        Returns
        -------
        SpatialGaussianMixture

        Raises
        ------
        ValueError
            For a bad argument or bad data; the message names the argument and the place.
        spatgmm.fitting.em.EmptyComponentError
            If ``solver="gls"`` loses a component.
        """
        self._check_parameters()
        if self.decay == AUTO:
            return self._fit_auto(X)
        X, brought = self._check_maps(X, reset=True)
        n, p = X.shape
        if n <= self.n_components:
            raise ValueError(
                f"X has {n} maps (n_samples = {n}); n_components={self.n_components} needs more"
            )
        if p < 2:
            raise ValueError(f"X has {p} feature(s); a spatial covariance needs 2 locations")
        self.coordinates_ = self._locations(brought)
        rng = checks.random_generator(self.random_state)
        given = None
        if not isinstance(self.init, str):
            given = checks.responsibilities_from(self.init, n, self.n_components)
        checks.check_rows_differ(X)
        checks.warn_constant_columns(X)
        standardised = self._standardise(X)

        self._family = self._covariances_of(standardised)
        with self._threads():
            blocks = self._family.geometry.rotate(standardised)
            maps = IncompleteMaps(blocks) if np.isnan(standardised).any() else Maps(blocks)
            fit = self._best_fit(maps, given, rng)
        self._take(fit, maps, keep_order=given is not None)
        return self

    def _fit_auto(self, X):
        """The fit of the decay with the lowest BIC."""
        fits, caught = [], []
        for name in decays.names():
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                fits.append(clone(self).set_params(decay=name).fit(X))
            caught.append(warned)
        n = len(fits[0].labels_)
        bic = [-2 * fit.log_likelihood_ + fit.n_parameters_ * np.log(n) for fit in fits]
        best = int(np.argmin(bic))
        for warning in caught[best]:
            warnings.warn(warning.message, warning.category, stacklevel=3)
        parameters = self.get_params(deep=False)
        vars(self).update({k: v for k, v in vars(fits[best]).items() if k not in parameters})
        return self

    def _standardise(self, X) -> np.ndarray:
        """Data of unit variance about 0: computations run there, no tolerance depends on units."""
        p = X.shape[1]
        there = ~np.isnan(X) if np.isnan(X).any() else True
        if self.mean == "free":
            self._centre = X.mean(axis=0, where=there)
        else:
            self._centre = np.full(p, X.mean(where=there))
        standardised = X - self._centre
        # The root of the mean square about the centre; .std() would make another copy of the data.
        values = standardised if there is True else standardised[there]
        self._scale = float(np.sqrt(np.vdot(values, values) / values.size))
        standardised /= self._scale
        return standardised

    def _covariances_of(self, standardised) -> SpatialCovariance:
        """The family of covariances, in reflection blocks where nothing breaks the symmetry."""
        metric = metrics.get(self.metric)
        metric.check(self.coordinates_.shape[1])
        whole = self.variance == "constant" and not np.isnan(standardised).any()
        symmetry = None if whole and metric.reflects else False
        geometry = Geometry(self.coordinates_, symmetry, by_offset=metric.by_offset)
        return SpatialCovariance(Kernel(geometry, decays.get(self.decay), metric))

    def _threads(self):
        return blas_threads(max(self._family.geometry.sizes))

    def _solver(self) -> em.Solver:
        if self.solver == "gls":
            return GLS(self.beta_init)
        return Scoring(self.beta_init, self.sharing)

    def _best_fit(self, maps: Maps, given, rng) -> em.Fit:
        """EM from one start, or from the best of many."""
        solver = self._solver()
        scale = None
        if self.variance == "location":
            scale = scales.starting_scale(maps.blocks[0])
        complete = self._completed(maps, scale).divided(scale)
        if given is None and self.init == "multistart":
            starts = [
                starting_mixture(
                    complete,
                    responsibilities,
                    solver.tie(thetas, responsibilities.sum(axis=0)),
                    self._family,
                    self.mean,
                    scale,
                )
                for responsibilities, thetas in search.multistart(
                    complete.blocks, self._family, self.n_components, self.n_init, rng, self.mean
                )
            ]
        else:
            if given is None:
                flat = np.concatenate(complete.blocks, axis=1)
                given = kmeans_responsibilities(flat, self.n_components, rng)
            starts = [solver.start(complete, given, self._family, self.mean, scale)]
        with tqdm(desc="EM", unit=" iterations", disable=not self.verbose) as bar:

            def progress(log_likelihood: float) -> None:
                log_likelihood = self._in_units(log_likelihood, maps)
                bar.set_postfix_str(f"log-likelihood {log_likelihood:.3f}", refresh=False)
                bar.update()

            return em.run_best(maps, starts, solver, self.mean, self.tol, self.max_iter, progress)

    def _completed(self, maps: Maps, scale) -> Maps:
        """Maps to search on: missing pixels as a single component would have them."""
        if not isinstance(maps, IncompleteMaps):
            return maps
        solver = Scoring()
        filled = Maps([np.nan_to_num(block) for block in maps.blocks])
        everyone = np.ones((len(maps), 1))
        start = solver.start(filled.divided(scale), everyone, self._family, self.mean, scale)
        fit = em.run(maps, start, solver, self.mean, self.tol, _ITERATIONS_TO_COMPLETE)
        return _filled(maps, fit.mixture, 0)

    def _take(self, fit: em.Fit, maps: Maps, keep_order: bool) -> None:
        """Public attributes, in the units of the data."""
        order = np.arange(self.n_components)
        if not keep_order:
            order = np.argsort(-fit.mixture.weights, kind="stable")
        self._mixture = fit.mixture.reordered(order)
        self.weights_ = self._mixture.weights
        blocks = [np.stack(block) for block in zip(*self._mixture.means, strict=True)]
        scale = self._mixture.scale
        self.scales_ = np.ones(len(self._centre)) if scale is None else scale
        means = self.scales_ * self._family.geometry.rotate_back(blocks)
        self.means_ = self._centre + self._scale * means
        thetas = self._mixture.thetas
        self.alpha_ = self._scale**2 * np.array([alpha_from_theta(theta) for theta in thetas])
        self.shape_ = thetas[:, SHAPE].copy()
        decay = self._family.kernel.decay
        self.decay_ = decay.name
        self.parameter_names_ = (*COEFFICIENTS, *self._family.kernel.parameter_names)
        self.beta_ = self.shape_[:, : len(decay.parameter_names)]
        if self.beta_.shape[1] == 1:
            self.beta_ = self.beta_[:, 0]
        self.labels_ = fit.responsibilities[:, order].argmax(axis=1)
        p = len(self._centre)
        self.log_likelihood_trace_ = np.array([self._in_units(value, maps) for value in fit.trace])
        self.log_likelihood_ = float(self.log_likelihood_trace_[-1])
        self.n_iter_ = len(fit.trace) - 1
        self.converged_ = fit.converged
        G = self.n_components
        shared = self._solver().is_shared(self._family.n_parameters)
        self.n_parameters_ = (G - 1) + G * (p if self.mean == "free" else 1)
        self.n_parameters_ += int(shared.sum() + G * (~shared).sum())
        self.n_parameters_ += 0 if scale is None else p - 1
        self.path_ = self._family.geometry.path
        self.condition_number_ = max(c.condition_number() for c in self._mixture.covariances)
        counts = fit.responsibilities.sum(axis=0)[order]
        self.empty_components_ = np.flatnonzero(empty(counts)).tolist()
        self._warn_unless_converged(stacklevel=3)
        if self.empty_components_:
            warnings.warn(
                f"components {self.empty_components_} hold fewer than {MIN_MAPS} maps; "
                f"n_components={G} is too many for these data",
                ConvergenceWarning,
                stacklevel=3,
            )

    # -- using the fit ------------------------------------------------------------------------

    def sample(self, n_samples=1):
        """Draw maps from the fitted mixture.

        Returns
        -------
        X : ndarray of shape (n_samples, p)
        labels : ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        checks.check_integer("n_samples", n_samples, 1)
        rng = checks.random_generator(self.random_state)
        labels = rng.choice(len(self.weights_), size=n_samples, p=self.weights_)
        X = np.empty((n_samples, len(self._centre)))
        for g, covariance in enumerate(self._mixture.covariances):
            rows = np.flatnonzero(labels == g)
            blocks = [
                rng.standard_normal((len(rows), len(factor))) @ factor.T
                for factor in covariance.factors
            ]
            maps = self.scales_ * self._family.geometry.rotate_back(blocks)
            X[rows] = self.means_[g] + self._scale * maps
        return X, labels

    def impute(self, X):
        """Maps with their missing pixels at the expectation given the observed ones.

        ``E[x | observed] = sum_g r_g E[x | observed, component g]`` with responsibilities ``r``.

        Parameters
        ----------
        X : array-like of shape (n, p), (n, r, c) or (n, r, c, s)
            Maps, NaN where a pixel is missing; the model must have ``missing="em"``.

        Returns
        -------
        ndarray of shape (n, p)
        """
        maps = self._maps(X)
        with self._threads():
            _, responsibilities = self._mixture.expectation(maps)
            filled = sum(
                r[:, None] * np.concatenate(_filled(maps, self._mixture, g).blocks, axis=1)
                for g, r in enumerate(responsibilities.T)
            )
            blocks = np.split(filled, np.cumsum(self._family.geometry.sizes)[:-1], axis=1)
            return self._centre + self._scale * self._family.geometry.rotate_back(blocks)

    @property
    def covariances_(self):
        """``Xi_g = a1*J + a2*D + a3*I``, with scales ``s`` ``diag(s) Xi_g diag(s)``: (G, p, p)."""
        check_is_fitted(self)
        kernel = self._family.kernel
        geometry = Geometry(self.coordinates_, False, by_offset=kernel.metric.by_offset)
        dense = SpatialCovariance(Kernel(geometry, kernel.decay, kernel.metric))
        units = self._scale**2 * np.outer(self.scales_, self.scales_)
        return np.array([units * dense.matrix(theta)[0] for theta in self._mixture.thetas])

    @property
    def distances_(self):
        """Scaled distances, shape (p, p)."""
        check_is_fitted(self)
        return self._family.geometry.distances()

    # -- what it says about space --------------------------------------------------------------

    def standard_errors(self, X):
        """Standard errors and 95 % intervals from the observed information at `X`.

        Parameters
        ----------
        X : array-like
            The maps the model was fitted to.

        Returns
        -------
        pandas.DataFrame
            Columns component, parameter (weight, alpha1, alpha2, alpha3, beta), estimate,
            std_error, lower, upper, note.  A parameter at a bound has no standard error; the
            note says why.  See :mod:`spatgmm.fitting.inference`.
        """
        return inference.standard_errors(self._information(X))

    def geostatistics(self, X=None):
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
            which 95 % of the partial sill is lost, in the units of the coordinates.
        """
        check_is_fitted(self)
        if X is None:
            return inference.geostatistics(self._estimates())
        return inference.geostatistics(self._estimates(), self._information(X))

    def correlogram(self, distances=None):
        """Fitted correlation by distance.

        Parameters
        ----------
        distances : array-like, optional
            In the units of the coordinates; by default 200 from 0 to the largest.

        Returns
        -------
        pandas.DataFrame
            Columns component, distance, scaled_distance, correlation.  At distance 0 it is 1;
            the nugget makes it jump right after.
        """
        check_is_fitted(self)
        return inference.correlogram(self._estimates(), distances)

    def _estimates(self) -> inference.Estimates:
        shared = self._solver().is_shared(self._family.n_parameters)
        return inference.Estimates(self._mixture, self._family, self._scale, self.mean, shared)

    def _information(self, X) -> inference.Information:
        maps = self._maps(X)
        with self._threads():
            return inference.Information(self._estimates(), maps)

    # -- checks -------------------------------------------------------------------------------

    def _joint(self, X) -> np.ndarray:
        """``log(pi_g) + log N(x_i; mu_g, Xi_g)`` in the units of X, shape (n, G)."""
        maps = self._maps(X)
        with self._threads():
            joint = self._mixture.log_joint(maps)
        return joint - maps.n_observed[:, None] * np.log(self._scale)

    def _maps(self, X) -> Maps:
        """Checked data as the mixture sees them."""
        check_is_fitted(self)
        X, _ = self._check_maps(X, reset=False)
        standardised = (X - self._centre) / self._scale
        if not np.isnan(standardised).any():
            return Maps(self._family.geometry.rotate(standardised))
        if self._family.geometry.path != Geometry.DENSE:
            raise ValueError(
                "X has missing pixels, but the maps that the model was fitted to had none; fit it "
                "to these maps"
            )
        return IncompleteMaps([standardised])

    def _in_units(self, log_likelihood, maps: Maps) -> float:
        return log_likelihood - maps.n_observed.sum() * np.log(self._scale)

    def _check_maps(self, X, reset: bool) -> tuple[np.ndarray, Stack]:
        """Finite maps (n, p), and what their own form says of their places."""
        brought = memory.take(X)
        X = validate_data(
            self,
            brought.values,
            reset=reset,
            dtype=np.float64,
            ensure_all_finite=False,
            ensure_min_samples=1,
        )
        checks.check_finite(X, missing_allowed=self.missing == "em")
        check_size(X)
        if reset:
            fill.warn_of_fill_values(X, stacklevel=4)
        else:
            brought.check_against(self.coordinates_)
        return X, replace(brought, values=X)

    def _locations(self, brought: Stack) -> np.ndarray:
        return brought.locations(self.coordinates)

    def _check_parameters(self) -> None:
        checks.check_integer("n_components", self.n_components, 1)
        if self.decay != AUTO:
            decays.get(self.decay)
        checks.check_choice("mean", self.mean, MEANS)
        checks.check_choice("solver", self.solver, SOLVERS)
        checks.check_integer("n_init", self.n_init, 1)
        if isinstance(self.init, str):
            checks.check_choice("init", self.init, ("multistart", "kmeans"))
        checks.check_positive("tol", self.tol)
        checks.check_integer("max_iter", self.max_iter, 1)
        if self.beta_init is not None:
            checks.check_positive("beta_init", self.beta_init)
        checks.check_choice("metric", self.metric, metrics.names())
        checks.check_choice("variance", self.variance, VARIANCES)
        checks.check_choice("sharing", self.sharing, SHARED)
        checks.check_choice("missing", self.missing, MISSING)
        if self.solver == "gls":
            self._check_paper_only()

    def _check_paper_only(self) -> None:
        """The paper's algorithm knows no more than the paper's model."""
        paper = {
            "metric": "isotropic",
            "variance": "constant",
            "sharing": "none",
            "missing": "error",
        }
        for name, only in paper.items():
            if getattr(self, name) != only:
                raise ValueError(
                    f"solver='gls' is the paper's algorithm and takes {name}={only!r} only; "
                    "use solver='scoring'"
                )
        if self.decay == AUTO or len(decays.get(self.decay).parameter_names) > 1:
            raise ValueError(
                f"solver='gls' takes a decay with one parameter, got decay={self.decay!r}; "
                "use solver='scoring'"
            )


def _filled(maps: Maps, mixture: Mixture, g: int) -> Maps:
    """Maps with missing pixels at their expectation under one component, in units of the data."""
    complete = maps.divided(mixture.scale).completed(mixture.means[g], mixture.covariances[g])
    if mixture.scale is None:
        return Maps(complete.blocks)
    return Maps([block * mixture.scale for block in complete.blocks])

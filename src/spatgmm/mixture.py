"""The estimator that users call."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm import tqdm

from spatgmm import decay as decays
from spatgmm import em, inference, inputs, search
from spatgmm.covariance import BETA, N_PARAMETERS, SpatialCovariance, alpha_from_theta
from spatgmm.geometry import Geometry, check_coordinates, grid_coordinates
from spatgmm.gls import GLS
from spatgmm.likelihood import LikelihoodMixture
from spatgmm.scoring import Scoring
from spatgmm.starts import kmeans_responsibilities
from spatgmm.threads import one_blas_thread

SOLVERS = {"scoring": Scoring, "gls": GLS}
MEANS = ("free", "constant")


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
        How covariance falls with distance.
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
    covariances_ : ndarray of shape (G, p, p)
        Computed when asked for.
    labels_ : ndarray of shape (n,)
    log_likelihood_ : float
        Total, natural logarithm.
    log_likelihood_trace_ : ndarray of shape (n_iter_ + 1,)
    n_iter_ : int
    converged_ : bool
    n_parameters_ : int
        ``(G - 1) + G*p + 4*G``; with constant means ``(G - 1) + G + 4*G``.
    coordinates_ : ndarray of shape (p, d)
    distances_ : ndarray of shape (p, p)
        Scaled to [0, 2]; computed when asked for.
    path_ : str
        ``"reflection blocks"`` or ``"one dense block"``: how covariances were factored.
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
        spatgmm.em.EmptyComponentError
            If ``solver="gls"`` loses a component.
        """
        self._check_parameters()
        X, shape = self._check_maps(X, reset=True)
        n, p = X.shape
        if n <= self.n_components:
            raise ValueError(
                f"X has {n} maps (n_samples = {n}); n_components={self.n_components} needs more"
            )
        if p < 2:
            raise ValueError(f"X has {p} feature(s); a spatial covariance needs 2 locations")
        self.coordinates_ = check_coordinates(self._locations(shape), p)
        rng = inputs.random_generator(self.random_state)
        given = None
        if not isinstance(self.init, str):
            given = inputs.responsibilities_from(self.init, n, self.n_components)
        inputs.warn_constant_columns(X)

        # Computations run on data of unit variance about 0, so that no tolerance depends on units.
        self._centre = X.mean(axis=0) if self.mean == "free" else np.full(p, X.mean())
        standardised = X - self._centre
        # The root of the mean square about the centre; .std() would make another copy of the data.
        self._scale = float(np.sqrt(np.vdot(standardised, standardised) / standardised.size))
        if self._scale <= 1e-15 * np.abs(X).max():
            raise ValueError("X: all maps are the same; there is nothing to cluster")
        standardised /= self._scale

        with one_blas_thread():
            geometry = Geometry(self.coordinates_)
            self._family = SpatialCovariance(geometry, decays.get(self.decay))
            maps = geometry.rotate(standardised)
            fit = self._best_fit(maps, given, rng)
        self._take(fit, keep_order=given is not None)
        return self

    def _best_fit(self, maps, given, rng) -> em.Fit:
        """EM from one start, or from the best of many."""
        solver = SOLVERS[self.solver](self.beta_init)
        if given is None and self.init == "multistart":
            starts = search.multistart(
                maps, self._family, self.n_components, self.n_init, rng, self.mean
            )
        else:
            if given is None:
                flat = np.concatenate(maps, axis=1)
                given = kmeans_responsibilities(flat, self.n_components, rng)
            starts = [solver.start(maps, given, self._family, self.mean)]
        with tqdm(desc="EM", unit=" iterations", disable=not self.verbose) as bar:

            def progress(log_likelihood: float) -> None:
                log_likelihood = self._in_units(log_likelihood, maps)
                bar.set_postfix_str(f"log-likelihood {log_likelihood:.3f}", refresh=False)
                bar.update()

            return em.run_best(maps, starts, solver, self.mean, self.tol, self.max_iter, progress)

    def _take(self, fit: em.Fit, keep_order: bool) -> None:
        """Public attributes, in the units of the data."""
        order = np.arange(self.n_components)
        if not keep_order:
            order = np.argsort(-fit.mixture.weights, kind="stable")
        self._mixture = fit.mixture.reordered(order)
        self.weights_ = self._mixture.weights
        blocks = [np.stack(block) for block in zip(*self._mixture.means, strict=True)]
        self.means_ = self._centre + self._scale * self._family.geometry.rotate_back(blocks)
        thetas = self._mixture.thetas
        self.alpha_ = self._scale**2 * np.array([alpha_from_theta(theta) for theta in thetas])
        self.beta_ = thetas[:, BETA].copy()
        self.labels_ = fit.responsibilities[:, order].argmax(axis=1)
        n, p = len(self.labels_), len(self._centre)
        self.log_likelihood_trace_ = np.array(fit.trace) - n * p * np.log(self._scale)
        self.log_likelihood_ = float(self.log_likelihood_trace_[-1])
        self.n_iter_ = len(fit.trace) - 1
        self.converged_ = fit.converged
        G = self.n_components
        self.n_parameters_ = (G - 1) + G * (p if self.mean == "free" else 1) + N_PARAMETERS * G
        self.path_ = self._family.geometry.path
        counts = fit.responsibilities.sum(axis=0)[order]
        self.empty_components_ = np.flatnonzero(counts < em.MIN_MAPS).tolist()
        if not self.converged_:
            warnings.warn(
                f"EM did not converge in {self.n_iter_} iterations (max_iter={self.max_iter})",
                ConvergenceWarning,
                stacklevel=3,
            )
        if self.empty_components_:
            warnings.warn(
                f"components {self.empty_components_} hold fewer than {em.MIN_MAPS} maps; "
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
        inputs.check_integer("n_samples", n_samples, 1)
        rng = inputs.random_generator(self.random_state)
        labels = rng.choice(len(self.weights_), size=n_samples, p=self.weights_)
        X = np.empty((n_samples, len(self._centre)))
        for g, covariance in enumerate(self._mixture.covariances):
            rows = np.flatnonzero(labels == g)
            blocks = [
                rng.standard_normal((len(rows), len(factor))) @ factor.T
                for factor in covariance.factors
            ]
            X[rows] = self.means_[g] + self._scale * self._family.geometry.rotate_back(blocks)
        return X, labels

    @property
    def covariances_(self):
        """``Xi_g = a1*J + a2*D + a3*I``, shape (G, p, p)."""
        check_is_fitted(self)
        D = [self._family.decay.value(self.distances_, beta) for beta in self.beta_]
        eye = np.eye(len(self._centre))
        return np.array(
            [a1 + a2 * d + a3 * eye for (a1, a2, a3), d in zip(self.alpha_, D, strict=True)]
        )

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
            note says why.  See :mod:`spatgmm.inference`.
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
        return inference.Estimates(self._mixture, self._family, self._scale, self.mean)

    def _information(self, X) -> inference.Information:
        maps = self._rotated(X)
        with one_blas_thread():
            return inference.Information(self._estimates(), maps)

    # -- checks -------------------------------------------------------------------------------

    def _joint(self, X) -> np.ndarray:
        """``log(pi_g) + log N(x_i; mu_g, Xi_g)`` in the units of X, shape (n, G)."""
        maps = self._rotated(X)
        with one_blas_thread():
            joint = self._mixture.log_joint(maps)
        return joint - len(self._centre) * np.log(self._scale)

    def _rotated(self, X):
        check_is_fitted(self)
        X, _ = self._check_maps(X, reset=False)
        return self._family.geometry.rotate((X - self._centre) / self._scale)

    def _in_units(self, log_likelihood, maps) -> float:
        return log_likelihood - len(maps[0]) * len(self._centre) * np.log(self._scale)

    def _check_maps(self, X, reset: bool) -> tuple[np.ndarray, tuple[int, ...] | None]:
        """Finite maps (n, p) and, for multi-way input, the shape of their grid."""
        shape = None
        if np.ndim(X) > 2:
            X = np.asarray(X)
            if X.ndim > 4:
                raise ValueError(f"X has {X.ndim} axes; maps have at most 3 (X at most 4)")
            shape = X.shape[1:]
            X = X.reshape(len(X), -1)
        X = validate_data(
            self, X, reset=reset, dtype=np.float64, ensure_all_finite=False, ensure_min_samples=1
        )
        inputs.check_finite(X)
        return X, shape

    def _locations(self, shape):
        if self.coordinates is not None:
            return self.coordinates
        if shape is not None:
            return grid_coordinates(shape)
        return grid_coordinates((self.n_features_in_,))

    def _check_parameters(self) -> None:
        inputs.check_integer("n_components", self.n_components, 1)
        decays.get(self.decay)
        inputs.check_choice("mean", self.mean, MEANS)
        inputs.check_choice("solver", self.solver, SOLVERS)
        inputs.check_integer("n_init", self.n_init, 1)
        if isinstance(self.init, str):
            inputs.check_choice("init", self.init, ("multistart", "kmeans"))
        inputs.check_positive("tol", self.tol)
        inputs.check_integer("max_iter", self.max_iter, 1)
        if self.beta_init is not None:
            inputs.check_positive("beta_init", self.beta_init)

"""What a fitted mixture is asked: maps, probabilities, standard errors, whether it is right.

:class:`spatgmm.SpatialGaussianMixture` adds to it how it is fitted.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.spatial.distance import pdist, squareform
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm import tqdm

from spatgmm.common import checks, constraints
from spatgmm.common.base import LikelihoodMixture
from spatgmm.common.checks import Seed
from spatgmm.common.em import posterior
from spatgmm.common.files import write_arrays
from spatgmm.common.locations import check_places
from spatgmm.common.values import check_size
from spatgmm.covariance import variables
from spatgmm.covariance.decay import Decay
from spatgmm.covariance.family import SpatialCovariance
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.kernel import Kernel
from spatgmm.covariance.metric import Metric
from spatgmm.covariance.space import Space
from spatgmm.fitting import bootstrap, engine, inference, means, outlying, tails
from spatgmm.fitting.diagnostics import Diagnostics, DiagnosticsWarning, View, diagnose
from spatgmm.fitting.engine import Engine
from spatgmm.fitting.estimates import Estimates, Uncertainty
from spatgmm.fitting.evidence import Evidence
from spatgmm.fitting.held import HeldParameters
from spatgmm.fitting.interpolation import expected_elsewhere, several_elsewhere
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.means import Mean
from spatgmm.fitting.scales import Scales
from spatgmm.fitting.scoring import SHARED
from spatgmm.fitting.state import Mixture, Model
from spatgmm.fitting.units import ObservedLocations, Units
from spatgmm.fitting.variables import VariableEngine, saved
from spatgmm.reading import fill, memory
from spatgmm.reading.places import from_frame
from spatgmm.reading.stack import Stack

#: Of the files that models are saved to.
FORMAT = "spatgmm model 1"

#: Before the names of arrays of ``fixed`` in these files.
FIXED = "fixed."


class FittedMixture(LikelihoodMixture):
    """What is known of a fit, and what follows from it for maps."""

    # Options of the estimator that matter after the fit; it documents them.
    n_components: int
    variables: str
    n_factors: int | None
    n_variables: int
    n_neighbors: int
    period: Any
    mean: str
    missing: str
    sharing: str
    tails: str
    random_state: Seed
    fixed: Mapping[str, ArrayLike] | None
    verbose: bool

    # What a fit leaves beside the parameters.
    coordinates_: np.ndarray
    observed_locations_: np.ndarray
    place_names_: list[str] | None
    log_likelihood_: float
    empty_components_: list[int]
    _space: Space
    _observed: ObservedLocations
    _held: HeldParameters
    _units: Units
    _evidence: Evidence
    _engine: Engine
    _model: Model

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
            "format": FORMAT,
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
        } | {FIXED + name: values for name, values in self._held.arrays.items()}
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

    def _refit(self, X: np.ndarray) -> Self:
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

    # -- how data are carried ------------------------------------------------------------------

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

"""Parsimonious Gaussian mixtures: twelve mixtures of factor analyzers (McNicholas & Murphy)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from spatgmm.baselines import noise, options, starts
from spatgmm.baselines.base import Baseline, Units
from spatgmm.baselines.factor_analyzers import FactorAnalyzers, Sample, Start
from spatgmm.baselines.options import MODELS
from spatgmm.common import checks, em
from spatgmm.common.base import bic, kept_if_refused
from spatgmm.common.checks import Seed
from spatgmm.common.threads import one_blas_thread

# First letter: loadings constrained (C) to be the same in all components or not (U). The rest: the
# noise, as the class names say.
_NOISE = {
    "CC": noise.SharedIsotropic(),
    "CU": noise.SharedDiagonal(),
    "UC": noise.FreeIsotropic(),
    "UU": noise.FreeDiagonal(),
    "CUU": noise.FreeVolume(),
    "UCU": noise.FreeShape(),
}

#: These likelihoods have many optima. Starts for ``n_init=None``, at least and at most, and what
#: they may cost: the number of values that they are shown in all.
_CHEAP_STARTS, _CHEAP_VALUES = (6, 60), 1_000_000

#: What they are after k-means: the hierarchies stand twice, for both kinds of axes.
_ONCE = (starts.WARD, starts.WARD, starts.COMPLETE, starts.COMPLETE)
_IN_TURN = (starts.CELLS, starts.SLICES, starts.CORNERS, starts.CELLS, starts.SLICES)


def largest_n_factors(n_features: int) -> int:
    """Largest identified number of factors: ``(p - q)^2 >= p + q`` (Ledermann's bound)."""
    q = 0
    while (n_features - q - 1) ** 2 >= n_features + q + 1 and q + 1 < n_features:
        q += 1
    return q


def n_parameters(model: str, n_components: int, n_features: int, n_factors: int) -> int:
    """Free parameters of a model: weights, means, loadings and noise.

    McNicholas & Murphy (2008), Table 1, and (2010), Table 1.
    """
    per_loadings = n_features * n_factors - n_factors * (n_factors - 1) // 2
    return (
        n_components - 1
        + n_components * n_features
        + (1 if model[0] == "C" else n_components) * per_loadings
        + _NOISE[model[1:]].n_parameters(n_components, n_features)
    )  # fmt: skip


class ParsimoniousGaussianMixture(Baseline):
    r"""Mixture of factor analyzers with constrained covariances (PGMM).

    Component ``g`` is ``N_p(mu_g, Lambda_g Lambda_g' + Psi_g)`` with loadings ``Lambda_g``
    (p, q) and diagonal noise ``Psi_g``. Fitted by AECM, accelerated under a guard so that the
    log-likelihood never falls. No p x p matrix is formed or inverted: time is linear in p.

    Parameters
    ----------
    n_components : int
        Number of components ``G``.
    n_factors : int
        Number of factors ``q``, with ``(p - q)^2 >= p + q``.
    model : str, default="UUU"
        First letter: loadings the same in all components (C) or not (U). Then the noise:
        ``CC`` ``psi I``; ``CU`` ``Psi``; ``UC`` ``psi_g I``; ``UU`` ``Psi_g``; ``CUU``
        ``omega_g Delta``; ``UCU`` ``omega Delta_g`` (``|Delta| = 1``).
    init : {"kmeans", "random"}, array-like or None, default=None
        ``"kmeans"``: one start. ``"random"``: `n_init` starts. None: one k-means start, then
        ``n_init - 1`` others: hierarchies, cells, slices and random responsibilities. Labels (n,)
        or responsibilities (n, G): exactly that start.
    n_init : int or None, default=None
        None: as many as are cheap, 60 on small data down to 6.
    tol : float, default=1e-6
        Absolute tolerance on the total log-likelihood: stop when Aitken's estimate of what is
        left to gain is below it.
    max_iter : int, default=1000
    random_state : int, Generator, RandomState or None, default=None

    Attributes
    ----------
    weights_ : ndarray of shape (G,)
    means_ : ndarray of shape (G, p)
    loadings_ : ndarray of shape (G, p, q)
    noise_variances_ : ndarray of shape (G, p)
        Diagonals of ``Psi_g``; none falls below 1e-6 of its column's variance, 1e-10 in CUCU and
        UUCU.
    covariances_ : ndarray of shape (G, p, p)
        Formed when asked for.
    labels_ : ndarray of shape (n,)
    log_likelihood_ : float
        Total, natural logarithm.
    log_likelihood_trace_ : ndarray
        At every accepted iterate.
    n_iter_ : int
        AECM iterations, discarded extrapolations included.
    converged_ : bool
    n_parameters_ : int
    degenerate_components_ : list of int
        Components with fewer than ``q + 2`` expected rows; their likelihood means nothing.

    Notes
    -----
    Where a factor replaces a column's noise (a Heywood case) in a model whose noise has one volume
    and a shape per component, the floor of 1e-10 decides how free the other variances are: a
    lower one would raise the likelihood further.

    Examples
    --------
    >>> import numpy as np
    >>> from spatgmm.baselines import ParsimoniousGaussianMixture
    >>> X = np.random.default_rng(0).normal(size=(60, 6))
    >>> X[30:, :3] += 5
    >>> model = ParsimoniousGaussianMixture(2, n_factors=1, model="CCC", random_state=0).fit(X)
    >>> np.bincount(model.labels_), model.n_parameters_
    (array([30, 30]), 20)

    References
    ----------
    P. D. McNicholas and T. B. Murphy, "Parsimonious Gaussian mixture models", Statistics and
    Computing 18 (2008) 285-296; "Model-based clustering of microarray expression data via latent
    Gaussian mixture models", Bioinformatics 26 (2010) 2705-2712.
    """

    _declared = options.PARSIMONIOUS
    # Few iterations tell apart what differs much, and only many what differs little.
    _rounds = (em.Round(6, 20), em.Round(15, 6))

    def __init__(
        self,
        n_components: int,
        *,
        n_factors: int,
        model: str = "UUU",
        init: str | ArrayLike | None = None,
        n_init: int | None = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
        random_state: Seed = None,
    ) -> None:
        self.n_components = n_components
        self.n_factors = n_factors
        self.model = model
        self.init = init
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n, p)
        y : ignored

        Returns
        -------
        ParsimoniousGaussianMixture

        Raises
        ------
        ValueError
            If an argument is wrong, `X` holds NaN or infinity, there are not more rows than
            components, or `n_factors` is too large for p.
        """
        self._check_settings()
        with kept_if_refused(self), one_blas_thread():
            rows = self._check_rows(X, reset=True)
            self._check_factors(rows.shape[1])
            sample = Sample(rows, Units.of(rows))
            self._fit_from(rows, sample, _starts(self, rows, sample, self.n_factors))
        return self

    def _check_factors(self, n_features: int) -> None:
        largest = largest_n_factors(n_features)
        if self.n_factors > largest:
            raise ValueError(
                f"n_factors={self.n_factors} is too large for X with {n_features} columns: the "
                f"factors are identified only for (p - q)^2 >= p + q, here q <= {largest}"
            )

    def _fit_from(self, X: np.ndarray, sample: Sample, given: list[Start]) -> None:
        problem = self._problem(sample)
        best = self._best(problem, [problem.start(start) for start in given])
        self._units, self._parameters = sample.units, best.parameters
        log_weights, means, loadings, log_noise = best.parameters
        self.weights_ = np.exp(log_weights)
        self.means_ = sample.units.shift + sample.units.scale * means
        loadings = np.broadcast_to(loadings, (self.n_components, *loadings.shape[1:]))
        self.loadings_ = sample.units.scale * loadings.transpose(0, 2, 1)
        self.noise_variances_ = sample.units.scale**2 * np.exp(log_noise)
        self.n_parameters_ = n_parameters(self.model, self.n_components, sample.p, self.n_factors)
        self._take(X, best, problem.degenerate(best.parameters))

    def _problem(self, sample: Sample) -> FactorAnalyzers:
        return FactorAnalyzers(sample, self.n_factors, self.model[0] == "C", _NOISE[self.model[1:]])

    def _log_joint(self, X: np.ndarray) -> np.ndarray:
        sample = Sample(X, self._units)
        return self._problem(sample).log_joint(self._parameters) - self._units.log_jacobian()

    @property
    def covariances_(self) -> np.ndarray:
        """``Lambda_g Lambda_g' + Psi_g``, shape (G, p, p)."""
        check_is_fitted(self)
        covariances = self.loadings_ @ self.loadings_.transpose(0, 2, 1)
        diagonal = np.arange(covariances.shape[1])
        covariances[:, diagonal, diagonal] += self.noise_variances_
        return covariances


def _starts(
    model: ParsimoniousGaussianMixture, X: np.ndarray, sample: Sample, max_factors: int
) -> list[Start]:
    n_init = model.n_init
    if n_init is None:
        n_init = int(np.clip(_CHEAP_VALUES // X.size, *_CHEAP_STARTS))
    given = starts.starting_responsibilities(
        X,
        model.n_components,
        model.init,
        n_init,
        checks.random_generator(model.random_state),
        _ONCE,
        _IN_TURN,
    )
    # Every other one by standardised axes: loadings have optima of their own, whatever the labels.
    return [Start(sample, r, max_factors, standardised=k % 2 == 1) for k, r in enumerate(given)]


def search_parsimonious(
    X: ArrayLike,
    n_components: int,
    *,
    models: Sequence[str] = MODELS,
    n_factors: Sequence[int] = (1, 2, 3),
    init: str | ArrayLike | None = None,
    n_init: int = 1,
    tol: float = 1e-6,
    max_iter: int = 1000,
    random_state: Seed = None,
) -> tuple[ParsimoniousGaussianMixture, pd.DataFrame]:
    """Fit every model with every number of factors and choose by BIC.

    All fits share their starts and the eigenvectors these need. Numbers of factors that p does
    not identify are left out. A degenerate fit is never chosen over a sound one.

    Parameters
    ----------
    X : array-like of shape (n, p)
    n_components : int
    models : sequence of str
    n_factors : sequence of int
    init, n_init, tol, max_iter, random_state
        As in :class:`ParsimoniousGaussianMixture`, but for the default of `n_init`: every further
        start costs as many fits as there are models and numbers of factors.

    Returns
    -------
    best : ParsimoniousGaussianMixture
    table : DataFrame
        One row per fit: model, n_factors, log_likelihood, n_parameters, bic (smaller is better),
        n_iter, converged, degenerate.

    Raises
    ------
    ValueError
        As in :meth:`ParsimoniousGaussianMixture.fit`, or if no model or number of factors is
        left to fit.

    Examples
    --------
    >>> import numpy as np
    >>> from spatgmm.baselines import search_parsimonious
    >>> X = np.random.default_rng(0).normal(size=(60, 6))
    >>> best, table = search_parsimonious(X, 1, models=["CCC", "UUU"], n_factors=[1])
    >>> best.model, len(table)
    ('CCC', 2)
    """
    candidates = [
        ParsimoniousGaussianMixture(
            n_components,
            n_factors=q,
            model=model,
            init=init,
            n_init=n_init,
            tol=tol,
            max_iter=max_iter,
            random_state=random_state,
        )
        for model in models
        for q in n_factors
    ]
    if not candidates:
        raise ValueError(f"nothing to fit: models={models!r}, n_factors={n_factors!r}")
    for candidate in candidates:
        candidate._check_settings()
    maps = candidates[0]._check_rows(X, reset=True)
    largest = largest_n_factors(maps.shape[1])
    if min(n_factors) > largest:
        candidates[0]._check_factors(maps.shape[1])
    rows = []
    with one_blas_thread():
        sample = Sample(maps, Units.of(maps))
        given = _starts(candidates[0], maps, sample, min(max(n_factors), largest))
        fitted = [candidate for candidate in candidates if candidate.n_factors <= largest]
        for candidate in fitted:
            with warnings.catch_warnings():
                # The table says what did not converge or degenerated.
                warnings.simplefilter("ignore")
                candidate._check_rows(maps, reset=True)
                candidate._fit_from(maps, sample, given)
            rows.append(
                {
                    "model": candidate.model,
                    "n_factors": candidate.n_factors,
                    "log_likelihood": candidate.log_likelihood_,
                    "n_parameters": candidate.n_parameters_,
                    "bic": bic(candidate.log_likelihood_, candidate.n_parameters_, sample.n),
                    "n_iter": candidate.n_iter_,
                    "converged": candidate.converged_,
                    "degenerate": bool(candidate.degenerate_components_),
                }
            )
    table = pd.DataFrame(rows)
    order = table.sort_values(["degenerate", "bic"], kind="stable").index
    return fitted[order[0]], table

"""Which model: number of components, decay and every other choice, by information criteria."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from numbers import Integral
from typing import Any

import pandas as pd
from joblib import Parallel, delayed, parallel_config
from numpy.typing import ArrayLike
from tqdm import tqdm

from spatgmm.common import checks
from spatgmm.common.checks import Seed
from spatgmm.common.constraints import Integer, Kind, check_value
from spatgmm.covariance import decay as decays
from spatgmm.fitting import bootstrap
from spatgmm.mixture import AUTO, SpatialGaussianMixture

#: Options whose one value may be a list.
_ARRAYS = ("coordinates", "init", "period")

#: Number of processes, as scikit-learn has it.
_N_JOBS = Kind(
    "None, a positive number of processes, or -1 for as many as there are cores",
    lambda value: value is None or value == -1 or Integer(1).allows(value),
)


def select(
    X: ArrayLike,
    n_components: int | Iterable[int] = (1, 2, 3, 4, 5),
    decay: str | Iterable[str] = "sigmoid",
    verbose: bool = False,
    n_jobs: int | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Fit every combination of the choices given, and compare them.

    Parameters
    ----------
    X : array-like of shape (n, p), (n, r, c) or (n, r, c, s)
        One map per row.
    n_components : int or iterable of int
    decay : str or iterable of str
        ``"auto"``: every decay.
    verbose : bool
        Whether to show progress on standard error.
    n_jobs : int or None
        Fits that run at a time, each in a process of its own with one BLAS thread; -1: as many as
        there are cores; None: one.  The table is the same: every fit starts from a copy of
        ``random_state``.
    **options
        Other parameters of :class:`spatgmm.SpatialGaussianMixture`.  A list gives alternatives
        (``metric=["isotropic", "rotated"]``), anything else holds for all fits; so do
        ``coordinates``, ``init`` and ``period``, lists or not.

    Returns
    -------
    pandas.DataFrame
        One row per fit, the lowest BIC first: what was chosen, ``likelihood`` (how it was
        computed), ``log_likelihood``, ``n_parameters``, ``bic``, ``aic``, ``icl`` (smaller is
        better for all three), ``converged``, ``empty_components`` (how many) and ``estimator``,
        the fit itself.

    Raises
    ------
    ValueError
        If a choice has no alternatives, or the estimator refuses data or parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from spatgmm import select
    >>> X = np.random.default_rng(0).normal(size=(40, 4, 4))
    >>> X[20:] = X[20:].cumsum(axis=1)
    >>> table = select(X, [1, 2], mean=["constant", "zero"], random_state=0)
    >>> table[["n_components", "mean", "n_parameters"]]
       n_components      mean  n_parameters
    0             2      zero             9
    1             2  constant            11
    2             1      zero             4
    3             1  constant             5

    References
    ----------
    Schwarz (1978) for BIC; Biernacki, Celeux and Govaert (2000) for ICL.
    """
    choices = {
        "n_components": _alternatives(n_components),
        "decay": decays.names() if decay == AUTO else _alternatives(decay),
    }
    choices |= {
        name: value
        for name, value in options.items()
        if isinstance(value, list) and name not in _ARRAYS
    }
    for name, alternatives in choices.items():
        if not alternatives:
            raise ValueError(f"{name}: no alternatives to choose from")
    fixed = {name: value for name, value in options.items() if name not in choices}
    points = [dict(zip(choices, point, strict=True)) for point in product(*choices.values())]
    check_value("n_jobs", n_jobs, _N_JOBS)
    with parallel_config("loky", n_jobs=n_jobs, inner_max_num_threads=1):
        fits = Parallel(return_as="generator")(delayed(_fit)(point, fixed, X) for point in points)
        rows = []
        for row, warned in tqdm(fits, total=len(points), unit=" fits", disable=not verbose):
            rows.append(row)
            for warning in warned:
                warnings.warn(warning, stacklevel=2)
    table = pd.DataFrame(rows).sort_values("bic", ignore_index=True)
    used = table["likelihood"].unique()
    if len(used) > 1:
        told = ", ".join(used)
        warnings.warn(
            f"fits by different likelihoods ({told}) are not comparable by BIC: give likelihood=",
            UserWarning,
            stacklevel=2,
        )
    return table


@dataclass(frozen=True)
class ComponentTest:
    """A test of G components against one more.

    Attributes
    ----------
    n_components : int
        Under the hypothesis.
    statistic : float
        Twice the difference of the log-likelihoods.
    p_value : float
    """

    n_components: int
    statistic: float
    p_value: float


def component_test(
    X: ArrayLike,
    n_components: int,
    n_bootstrap: int = 99,
    random_state: Seed = None,
    verbose: bool = False,
    **options: Any,
) -> ComponentTest:
    """Whether maps need one component more, by parametric bootstrap of the likelihood ratio.

    The ratio has no chi-square law, since under the hypothesis the further component has no
    parameters; maps drawn from the fit with `n_components` say what is usual.  Simulation stops
    as soon as the p-value is known to be above 0.05, which decides nothing at that level.

    Parameters
    ----------
    X : array-like of shape (n, p), (n, r, c) or (n, r, c, s)
        Complete maps.
    n_components : int
        G, tested against G + 1.
    n_bootstrap : int, default=99
        Simulated sets at most, two fits each; 19 are enough for a test at the level 0.05, more
        for its power.
    random_state : int, Generator, RandomState or None, default=None
    verbose : bool, default=False
        Whether to show progress on standard error.
    **options
        Other parameters of :class:`spatgmm.SpatialGaussianMixture`.

    Returns
    -------
    ComponentTest

    References
    ----------
    McLachlan, "On Bootstrapping the Likelihood Ratio Test Statistic for the Number of Components
    in a Normal Mixture", Applied Statistics 36 (1987).

    Examples
    --------
    >>> import numpy as np
    >>> from spatgmm import component_test
    >>> X = np.random.default_rng(0).normal(size=(40, 3, 3))
    >>> X[20:] += 3
    >>> component_test(X, 1, n_bootstrap=19, mean="constant", init="kmeans", random_state=0).p_value
    0.05
    """
    check_value("n_bootstrap", n_bootstrap, Integer(19))
    rng = checks.random_generator(random_state)

    def fits(maps: ArrayLike, **further: Any) -> list[SpatialGaussianMixture]:
        return [
            SpatialGaussianMixture(G, random_state=rng, **options | further).fit(maps)
            for G in (n_components, n_components + 1)
        ]

    def ratio(smaller: SpatialGaussianMixture, larger: SpatialGaussianMixture) -> float:
        return 2 * (larger.log_likelihood_ - smaller.log_likelihood_)

    def simulated() -> Iterator[float]:
        with warnings.catch_warnings():
            # Maps that nobody has may well be one component short.
            warnings.simplefilter("ignore")
            for _ in tqdm(range(n_bootstrap), unit=" sets", disable=not verbose):
                drawn, _ = smaller.sample(n)
                yield ratio(*fits(drawn, coordinates=smaller.coordinates_))

    smaller, larger = fits(X)
    n, statistic = len(smaller.labels_), ratio(smaller, larger)
    p_value = bootstrap.exceeding(statistic, simulated(), n_bootstrap)
    return ComponentTest(n_components, statistic, p_value)


def _fit(point: Mapping, fixed: Mapping, X: ArrayLike) -> tuple[dict, list[Warning | str]]:
    """One row, and what the fit warned of, which is lost where it runs in another process."""
    options = {**fixed, **point}
    if "random_state" in options:
        options["random_state"] = deepcopy(options["random_state"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = SpatialGaussianMixture(**options).fit(X)
        row = _row(point, model, X)
    return row, [warning.message for warning in caught]


def _row(point: Mapping, model: SpatialGaussianMixture, X: ArrayLike) -> dict[str, Any]:
    return dict(point) | {
        "likelihood": model.likelihood_,
        "log_likelihood": model.log_likelihood_,
        "n_parameters": model.n_parameters_,
        "bic": model.bic(X),
        "aic": model.aic(X),
        "icl": model.icl(X),
        "converged": model.converged_,
        "empty_components": len(model.empty_components_),
        "estimator": model,
    }


def _alternatives(value: Any) -> list:
    return [value] if isinstance(value, str | Integral) else list(value)

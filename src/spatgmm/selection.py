"""Which model: number of components, decay and every other choice, by information criteria."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from itertools import product
from numbers import Integral
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike
from tqdm import tqdm

from spatgmm.covariance import decay as decays
from spatgmm.mixture import AUTO, SpatialGaussianMixture

#: Options whose one value may be a list.
_ARRAYS = ("coordinates", "init")


def select(
    X: ArrayLike,
    n_components: int | Iterable[int] = (1, 2, 3, 4, 5),
    decay: str | Iterable[str] = "sigmoid",
    verbose: bool = False,
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
    **options
        Other parameters of :class:`spatgmm.SpatialGaussianMixture`.  A list gives alternatives
        (``metric=["isotropic", "rotated"]``), anything else holds for all fits; so do
        ``coordinates`` and ``init``, lists or not.

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
    rows = []
    for point in tqdm(points, unit=" fits", disable=not verbose):
        model = SpatialGaussianMixture(**fixed, **point).fit(X)
        rows.append(_row(point, model, X))
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

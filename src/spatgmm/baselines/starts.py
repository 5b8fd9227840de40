"""Where the baselines' EM starts: k-means, random or given responsibilities."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans

from spatgmm.common import checks

#: Dirichlet concentrations of random starts, in turn: near the simplex's corners and flat ones
#: find different optima.
_CONCENTRATIONS = (0.05, 1.0)


def starting_responsibilities(
    X: np.ndarray, n_components: int, init, n_init: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Starts, each of shape (n, G).

    Parameters
    ----------
    X : ndarray of shape (n, p)
    n_components : int
    init : {"kmeans", "random"}, array-like or None
        ``"kmeans"``: one start. ``"random"``: `n_init` starts. None: one k-means start, then
        ``n_init - 1`` random ones. Labels (n,), any ``n_components`` distinct values, or
        responsibilities (n, G): exactly that start.
    n_init : int
    rng : numpy.random.Generator

    Returns
    -------
    list of ndarray of shape (n, G)

    Raises
    ------
    ValueError
        If `init` is an array that is neither labels nor responsibilities.
    """
    n = len(X)
    if init is not None and not isinstance(init, str):
        return [_given(init, n, n_components)]
    starts = []
    if init in (None, "kmeans"):
        kmeans = KMeans(n_components, n_init=10, random_state=int(rng.integers(2**31)))
        starts.append(np.eye(n_components)[kmeans.fit_predict(X)])
    n_random = {None: n_init - 1, "kmeans": 0, "random": n_init}[init]
    for start in range(n_random):
        concentration = np.full(n_components, _CONCENTRATIONS[start % 2])
        starts.append(rng.dirichlet(concentration, size=n))
    return starts


def _given(init, n: int, n_components: int) -> np.ndarray:
    given = np.asarray(init)
    if given.shape not in ((n,), (n, n_components)):
        raise ValueError(
            f"init must be None, 'kmeans', 'random', labels of shape ({n},) or "
            f"responsibilities of shape ({n}, {n_components}), got an array of shape {given.shape}"
        )
    if given.ndim == 1:
        values, given = np.unique(given, return_inverse=True)
        if values.size != n_components:
            raise ValueError(
                f"init has {values.size} distinct labels, but n_components={n_components}"
            )
    return checks.responsibilities_from(given, n, n_components)

"""Where the baselines' EM starts: k-means, other partitions, random or given responsibilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, cycle, islice

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import KMeans

from spatgmm.common import checks
from spatgmm.common.threads import one_openmp_thread

#: Rows at most for a hierarchy, which holds all their distances.
_LARGEST_HIERARCHY = 2000

#: Labels (n,) or responsibilities (n, G) from (X, G, rng).
Kind = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def _kmeans(X: np.ndarray, n_components: int, rng: np.random.Generator, n_init: int) -> np.ndarray:
    kmeans = KMeans(n_components, n_init=n_init, random_state=int(rng.integers(2**31)))
    with one_openmp_thread():
        return kmeans.fit_predict(X)


def _hierarchy(
    X: np.ndarray, n_components: int, rng: np.random.Generator, method: str
) -> np.ndarray:
    """A cut through a hierarchy; cells where it would be too large."""
    if len(X) > _LARGEST_HIERARCHY:
        return _cells(X, n_components, rng)
    return fcluster(linkage(X, method), n_components, "maxclust") - 1


def _cells(X: np.ndarray, n_components: int, rng: np.random.Generator) -> np.ndarray:
    """Every row with the nearest of a few; by its columns' typical sizes, so that no tail rules."""
    spread = np.abs(X - np.median(X, axis=0)).mean(axis=0)
    centres = X[rng.choice(len(X), n_components, replace=False)]
    distances = [np.abs((X - centre) / (spread + spread.mean())).sum(axis=1) for centre in centres]
    return np.argmin(distances, axis=0)


def _slices(X: np.ndarray, n_components: int, rng: np.random.Generator) -> np.ndarray:
    """Equal shares of the rows along a random direction."""
    place = (X @ rng.standard_normal(X.shape[1])).argsort().argsort()
    return place * n_components // len(X)


def _dirichlet(
    X: np.ndarray, n_components: int, rng: np.random.Generator, concentration: float
) -> np.ndarray:
    return rng.dirichlet(np.full(n_components, concentration), size=len(X))


KMEANS = partial(_kmeans, n_init=10)
WARD, COMPLETE = (partial(_hierarchy, method=method) for method in ("ward", "complete"))
CELLS, SLICES = _cells, _slices

#: Random responsibilities: near the simplex's corners and flat ones find different optima.
CORNERS, FLAT = (partial(_dirichlet, concentration=c) for c in (0.05, 1.0))


def starting_responsibilities(
    X: np.ndarray,
    n_components: int,
    init: str | ArrayLike | None,
    n_init: int,
    rng: np.random.Generator,
    once: Sequence[Kind] = (),
    in_turn: Sequence[Kind] = (CORNERS, FLAT),
) -> Iterator[np.ndarray]:
    """Starts, each of shape (n, G).

    Parameters
    ----------
    X : ndarray of shape (n, p)
    n_components : int
    init : {"kmeans", "random"}, array-like or None
        ``"kmeans"``: one start. ``"random"``: `n_init` starts. None: one k-means start, then
        ``n_init - 1`` others. Labels (n,), any ``n_components`` distinct values, or
        responsibilities (n, G): exactly that start.
    n_init : int
    rng : numpy.random.Generator
    once, in_turn : sequence of Kind
        What the others are: those of `once`, then those of `in_turn`, over and over.

    Yields
    ------
    ndarray of shape (n, G)

    Raises
    ------
    ValueError
        If `init` is an array that is neither labels nor responsibilities.
    """
    if init is not None and not isinstance(init, str):
        yield _given(init, len(X), n_components)
        return
    others: Iterator[Kind] = chain((KMEANS, *once), cycle(in_turn))
    if init == "random":
        others = cycle((CORNERS, FLAT))
    for kind in islice(others, 1 if init == "kmeans" else n_init):
        found = kind(X, n_components, rng)
        yield np.eye(n_components)[found] if found.ndim == 1 else found


def _given(init: ArrayLike, n: int, n_components: int) -> np.ndarray:
    try:
        given = np.ma.asarray(init) if np.ma.is_masked(init) else np.asarray(init)
    except ValueError:
        raise ValueError("init must be an array; its rows differ in length") from None
    if given.shape not in ((n,), (n, n_components)):
        raise ValueError(
            f"init must be None, 'kmeans', 'random', labels of shape ({n},) or "
            f"responsibilities of shape ({n}, {n_components}), got an array of shape {given.shape}"
        )
    if given.ndim == 1 and not np.ma.is_masked(given):
        values, given = np.unique(given, return_inverse=True)
        if values.size != n_components:
            raise ValueError(
                f"init has {values.size} distinct labels, but n_components={n_components}"
            )
    return checks.responsibilities_from(given, n, n_components)

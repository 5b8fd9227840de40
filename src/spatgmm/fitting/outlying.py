"""Outlying maps: found before a fit, in a fit, and kept out of a search.

A component can be a bag of outlying maps: under normal tails the likelihood gains more by giving
broken maps a wide component of their own than by telling two clusters apart.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from spatgmm.common.em import Fit
from spatgmm.fitting.state import Mixture, empty
from spatgmm.fitting.tails import Deviations, Tails

#: Maps of so many times the median energy would decide about a scale or a start by themselves; more
#: of them than this share are no accidents.
_GROSS, _MOST_GROSS = 100.0, 0.1

#: A bag holds at most this share of the maps.
_LARGEST_BAG = 0.12

#: Its maps, or half of them at least, lie so many times farther from any other component than that
#: one's own maps do, and so many times its variance is the largest of the others'.
_FAR, _WIDE = 4.0, 4.0

#: So few maps far from all others are not asked how wide they lie: their mean has taken that in.
_FEW, _FEW_SHARE = 10, 0.05

#: A map outlies in a fit with this probability.
_LIKELY = 0.5

#: Searches without the maps that the fit before took for outlying.
_FURTHER_SEARCHES = 2

#: If a search could keep less than this share, it is not a matter of outlying maps.
_LEAST_KEPT = 0.65

#: Maps named in a warning.
_NAMED = 5


class OutlyingMapsWarning(UserWarning):
    """Some maps lie far from all others, and have drawn a component to themselves."""


def beyond(X: np.ndarray, tails: Tails) -> np.ndarray:
    """Which maps (n, p), NaN where a pixel is missing, are beyond all measure; shape (n,).

    None where tails do not provide for any.
    """
    if not tails.heavy:
        return np.zeros(len(X), dtype=bool)
    energy = np.nanmean((X - np.nanmedian(X, axis=0)) ** 2, axis=1)
    found = energy > _GROSS * np.median(energy)
    return found if found.mean() <= _MOST_GROSS else np.zeros(len(X), dtype=bool)


def probability(mixture: Mixture, responsibilities: np.ndarray, at: Deviations) -> np.ndarray:
    """Of each map to be an outlying one of whichever component it is of, shape (n,)."""
    shares = responsibilities / responsibilities.sum(axis=1, keepdims=True)
    return (shares * mixture.tails.outlying(at)).sum(axis=1)


def bags(mixture: Mixture, responsibilities: np.ndarray, at: Deviations) -> list[int]:
    """Components that hold a few maps far from all others, and are much wider or tiny."""
    counts = responsibilities.sum(axis=0)
    labels = responsibilities.argmax(axis=1)
    alpha = mixture.covariances[0].family.alpha(mixture.thetas)
    variances = alpha[:, 0] + alpha[:, 2]  # at distance 0
    per_pixel = at.squared / at.n_observed[:, None]
    small = counts < _LARGEST_BAG * counts.sum()
    found = []
    for g in np.flatnonzero(small & ~empty(counts)):
        others = ~(small | empty(counts))
        mine = np.flatnonzero(labels == g)
        if not others.any() or not mine.size:
            continue
        far = np.median(per_pixel[np.ix_(mine, others)].min(axis=1)) > _FAR
        few = counts[g] < min(_FEW, _FEW_SHARE * counts.sum())
        if far and (few or variances[g] > _WIDE * variances[others].max()):
            found.append(int(g))
    return found


def without_outlying(
    climb_from: Callable[[np.ndarray], list[Fit[Mixture]]], shown: np.ndarray
) -> list[Fit[Mixture]]:
    """Fits of all maps, from starts that a search finds without those that outlie.

    Which do, the fit itself says; then the search is repeated without them.

    Parameters
    ----------
    climb_from : callable
        Given which maps a search may see, (n,): finished fits of all, the best first.
    shown : ndarray of bool, shape (n,)
        Maps that the first search sees.
    """
    last, fits = shown, climb_from(shown)
    for _ in range(_FURTHER_SEARCHES):
        kept = shown & ~_suspect(fits[0])
        if (kept == last).all() or kept.mean() < _LEAST_KEPT:
            break
        last = kept
        fits = sorted([*fits, *climb_from(kept)], key=lambda fit: fit.rank)
    return fits


def _suspect(fit: Fit[Mixture]) -> np.ndarray:
    responsibilities, at = fit.expected.responsibilities, fit.expected.deviations
    lost = np.flatnonzero(empty(responsibilities.sum(axis=0)))
    apart = [*bags(fit.parameters, responsibilities, at), *lost]
    outlying = probability(fit.parameters, responsibilities, at) > _LIKELY
    return outlying | np.isin(responsibilities.argmax(axis=1), apart)


def warn_of_bags(
    mixture: Mixture, responsibilities: np.ndarray, at: Deviations, stacklevel: int
) -> None:
    """Say so where a component is a bag of outlying maps; `stacklevel` as for this one's caller."""
    labels = responsibilities.argmax(axis=1)
    for g in bags(mixture, responsibilities, at):
        mine = np.flatnonzero(labels == g)
        warnings.warn(
            f"component {g} holds {len(mine)} of {len(labels)} maps, far from all others "
            f"({_named(mine)}): outlying maps rather than a cluster? Look at them, and leave them "
            "out or use tails='contaminated'",
            OutlyingMapsWarning,
            stacklevel=stacklevel + 1,
        )


def or_else(mixture: Mixture, responsibilities: np.ndarray, at: Deviations) -> str:
    """What else than too many components an all but empty one may mean."""
    nothing = empty(responsibilities.sum(axis=0))
    alone = np.flatnonzero(nothing[responsibilities.argmax(axis=1)])
    if nothing.all() or not alone.size:
        return ""
    far = at.squared[np.ix_(alone, ~nothing)].min(axis=1) > _FAR * at.n_observed[alone]
    if not far.any():
        return ""
    return (
        f", or outlying maps ({_named(alone[far])}) took them: look at these, and leave them out "
        "or use tails='contaminated'"
    )


def _named(rows: np.ndarray) -> str:
    """The first few of some rows."""
    more = ", ..." if len(rows) > _NAMED else ""
    return f"X row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows[:_NAMED]))}{more}"

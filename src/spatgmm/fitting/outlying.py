"""Outlying maps: found before a fit, in a fit, and kept out of a search.

A component can be a bag of outlying maps: under normal tails the likelihood gains more by giving
broken maps a wide component of their own than by telling two clusters apart.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spatgmm.common.em import Fit
from spatgmm.common.words import named_components
from spatgmm.fitting.state import Mixture, empty
from spatgmm.fitting.tails import Deviations

#: Maps of so many times the median energy are left out of fits under heavy tails: whatever their
#: weight, one that lies in a single direction (a constant map) counts there as often as it has
#: pixels, so that the level of a component with fewer maps has no bound.  More of them than this
#: share are no accidents.
_GROSS, _MOST_GROSS = 400.0, 0.05

#: Pixels that tell that.
_PIXELS = 1000

#: A bag holds at most this share of the maps.
_LARGEST_BAG = 0.12

#: Some of its maps lie so many times farther from any other component than that one's own maps do,
#: and so many times the largest variance of the others is its own.
_FAR, _WIDE = 4.0, 4.0

#: So few maps, half of them as far, are not asked how wide they lie: their mean has taken that in.
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


def beyond(X: np.ndarray) -> np.ndarray:
    """Which maps (n, p), NaN where a pixel is missing, are beyond all measure; shape (n,)."""
    some = X[:, :: -(-X.shape[1] // _PIXELS)]
    # A map may show none of these pixels; the plain functions are much the faster.
    mean, median = (np.nanmean, np.nanmedian) if np.isnan(some).any() else (np.mean, np.median)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        energy = np.nan_to_num(mean((some - median(some, axis=0)) ** 2, axis=1))
    typical = np.median(energy)
    found = energy > _GROSS * typical
    return found & bool(typical > 0 and found.mean() <= _MOST_GROSS)


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
        from_others = per_pixel[np.ix_(mine, others)].min(axis=1)
        wide = variances[g] > _WIDE * variances[others].max() and from_others.max() > _FAR
        few = counts[g] < min(_FEW, _FEW_SHARE * counts.sum()) and np.median(from_others) > _FAR
        if wide or few:
            found.append(int(g))
    return found


def without_outlying(
    climb_from: Callable[[np.ndarray], list[Fit[Mixture]]], n: int
) -> list[Fit[Mixture]]:
    """Fits of all maps, from starts that a search finds without those that outlie.

    Which do, the fit itself says; then the search is repeated without them.  A fit that gives them
    a component of their own ranks last: to the likelihood that is cheap.

    Parameters
    ----------
    climb_from : callable
        Given which maps a search may see, (n,): finished fits of all, the best first.
    n : int
        Number of maps.
    """
    last = np.ones(n, dtype=bool)
    fits = climb_from(last)
    for _ in range(_FURTHER_SEARCHES):
        kept = ~_suspect(fits[0])
        if (kept == last).all() or kept.mean() < _LEAST_KEPT:
            break
        last = kept
        found = [*fits, *climb_from(kept)]
        fits = sorted(found, key=lambda fit: (bool(_apart(fit)), fit.rank))
    return fits


def _apart(fit: Fit[Mixture]) -> list[int]:
    """Components of a fit that hold outlying maps alone, or next to nothing."""
    responsibilities, at = fit.expected.responsibilities, fit.expected.deviations
    lost = np.flatnonzero(empty(responsibilities.sum(axis=0))).tolist()
    return lost + bags(fit.parameters, responsibilities, at)


def _suspect(fit: Fit[Mixture]) -> np.ndarray:
    responsibilities, at = fit.expected.responsibilities, fit.expected.deviations
    outlying = probability(fit.parameters, responsibilities, at) > _LIKELY
    return outlying | np.isin(responsibilities.argmax(axis=1), _apart(fit))


@dataclass
class Words:
    """What is said of outlying maps in a fit.

    Attributes
    ----------
    mixture : Mixture
    responsibilities : ndarray of shape (n, G)
    at : Deviations
    rows : ndarray of shape (n,)
        Of the users' X.
    """

    mixture: Mixture
    responsibilities: np.ndarray
    at: Deviations
    rows: np.ndarray

    def warn(self, stacklevel: int) -> None:
        """Where a component is a bag of outlying maps; `stacklevel` as for this one's caller."""
        labels = self.responsibilities.argmax(axis=1)
        for g in bags(self.mixture, self.responsibilities, self.at):
            mine = labels == g
            warnings.warn(
                f"{named_components(g)} holds {mine.sum()} of {len(labels)} maps, far from all "
                f"others ({self._named(mine)}): outlying maps rather than a cluster? Look at them, "
                "and leave them out or use tails='contaminated'",
                OutlyingMapsWarning,
                stacklevel=stacklevel + 1,
            )

    def or_else(self) -> str:
        """What else than too many components an all but empty one may mean."""
        nothing = empty(self.responsibilities.sum(axis=0))
        alone = nothing[self.responsibilities.argmax(axis=1)]
        nearest = self.at.squared[:, ~nothing].min(axis=1, initial=np.inf)
        far = alone & np.isfinite(nearest) & (nearest > _FAR * self.at.n_observed)
        if not far.any():
            return ""
        return (
            f", or outlying maps ({self._named(far)}) took them: look at these, and leave them out "
            "or use tails='contaminated'"
        )

    def _named(self, which: np.ndarray) -> str:
        return _named(self.rows[which])


def warn_of(rows: np.ndarray, left_out: bool, stacklevel: int) -> None:
    """Say that maps in these rows are beyond all measure, and what becomes of them."""
    advice = (
        "they are left out of the fit"
        if left_out
        else "they decide about the fit. Look at them, and leave them out or use "
        "tails='contaminated'"
    )
    warnings.warn(
        f"outlying maps ({_named(rows)}) lie more than {np.sqrt(_GROSS):g} times as far from the "
        f"median map as half of all maps: {advice}",
        OutlyingMapsWarning,
        stacklevel=stacklevel + 1,
    )


def _named(rows: np.ndarray) -> str:
    """The first few of some rows."""
    more = ", ..." if len(rows) > _NAMED else ""
    return f"X row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows[:_NAMED]))}{more}"

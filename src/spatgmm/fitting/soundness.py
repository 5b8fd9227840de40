"""Where a fit ended that its numbers should not be taken at face value, in plain words.

A remark names what is so, why that may be, and what to try.  It is for fits that converged as they
should: what went wrong on the way says so there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from spatgmm.common.em import Fit
from spatgmm.common.words import named_components
from spatgmm.fitting.estimates import Estimates
from spatgmm.fitting.state import empty

#: Condition number beyond which a covariance has lost all but a few digits.
NEARLY_SINGULAR = 1e9

#: A smallest eigenvalue below this share of the nugget is the edge of the cone.  Fits of ordinary
#: maps by a sigmoid have 0.2 to 1; with a decay that is valid in its dimensions it is at least 1.
EDGE = 0.1

#: Below this share of the sill the structured part is too small for its shape to matter.
_STRUCTURED = 0.05

#: Log-likelihood by which a runner-up lies below the best to be another story of the data.
_FAR_BELOW = 25.0


def remarks(
    estimates: Estimates, counts: np.ndarray, condition_number: float, fits: Sequence[Fit]
) -> Iterator[str]:
    """What to say of a fit; nothing, most of the time.

    Parameters
    ----------
    estimates : Estimates
    counts : ndarray of shape (G,)
        Expected numbers of maps.
    condition_number : float
        The largest of the covariances.
    fits : sequence of Fit
        Finished starts, the best first.
    """
    present = np.flatnonzero(~empty(counts))
    if condition_number > NEARLY_SINGULAR:
        yield (
            f"a covariance is nearly singular (condition number {condition_number:.1e}): "
            "duplicated locations or columns, maps standardised one by one, or maps too smooth "
            "for a nugget? Leave out what repeats, or try a rougher decay (exponential)"
        )
    elif len(present) == len(counts):  # too many components are the first thing to mend
        yield from _at_the_edge(estimates, present)
        yield from _at_bounds(estimates, present)
    yield from _reached_once(fits)


def _at_the_edge(estimates: Estimates, present: np.ndarray) -> Iterator[str]:
    """Of covariances whose smallest eigenvalue is next to nothing beside the nugget."""
    _, _, nuggets = np.abs(_alpha(estimates)).T
    covariances = estimates.mixture.covariances
    at = [g for g in present.tolist() if covariances[g].smallest_eigenvalue() < EDGE * nuggets[g]]
    if at:
        yield (
            f"the covariance of {named_components(*at)} lies at the edge of where decay="
            f"{estimates.family.kernel.decay.name!r} is a covariance at all (smallest eigenvalue "
            f"below {EDGE:g} of the nugget): there the nugget follows from the edge, not from the "
            "maps. Try decay='auto', or one that is valid at any size (exponential, matern32)"
        )


def _at_bounds(estimates: Estimates, present: np.ndarray) -> Iterator[str]:
    """Of shapes that would leave the range that these locations can tell, were they let to."""
    where: dict[str, list[int]] = {}
    _, structured, nuggets = np.abs(_alpha(estimates)).T
    for g in present.tolist():
        if structured[g] >= _STRUCTURED * (structured[g] + nuggets[g]):
            for note in filter(None, estimates.at_bounds(g)):
                where.setdefault(note, []).append(g)
    for note, numbers in where.items():
        yield (
            f"{named_components(*numbers)}: {note}. The maps ask for another decay than "
            f"{estimates.family.kernel.decay.name!r}, or their correlation is shorter or longer "
            "than these locations can tell; try decay='auto'"
        )


def _alpha(estimates: Estimates) -> np.ndarray:
    """``(a1, a2, a3)`` of maps of unit variance, (G, 3)."""
    return estimates.family.alpha(estimates.mixture.thetas)


def _reached_once(fits: Sequence[Fit]) -> Iterator[str]:
    """Of a best clustering that one start alone led to, all others to much worse ones."""
    best, *others = fits
    if not others or best.n_starts > 1:
        return
    below = best.log_likelihood - others[0].log_likelihood
    if below > _FAR_BELOW:
        yield (
            "only one of the starts led to the best clustering, and the next best is "
            f"{below:.0f} log-likelihood units below: there may be better ones. Raise n_init, and "
            "compare log_likelihood_ over several random_state; see starts_"
        )

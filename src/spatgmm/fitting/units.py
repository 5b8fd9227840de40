"""The units of the data, and those in which they are fitted: of unit variance about 0.

No tolerance below depends on units then.  Maps are (n, p q), the q variables of a location side by
side; only locations that some map has take part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spatgmm.fitting import means
from spatgmm.fitting.evidence import Evidence
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.means import Mean

#: A variable whose spread is this small beside its values does not vary.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class ObservedLocations:
    """The locations that some map has, among all.

    Attributes
    ----------
    observed : ndarray of bool, shape (p,)
    n_variables : int
    """

    observed: np.ndarray
    n_variables: int = 1

    @property
    def columns(self) -> np.ndarray | slice:
        """Their columns in maps of all locations; a slice where that is all, which copies none."""
        if self.observed.all():
            return slice(None)
        return np.repeat(self.observed, self.n_variables)

    def everywhere(self, values: np.ndarray) -> np.ndarray:
        """Values (..., observed locations) at all (..., p): NaN where no map has any."""
        if self.observed.all():
            return values
        whole = np.full((*values.shape[:-1], len(self.observed)), np.nan)
        whole[..., self.observed] = values
        return whole

    def shown(self, maps: np.ndarray) -> np.ndarray:
        """Maps (n, p q) at all locations as users know them: (n, p), or (n, p, q)."""
        q = self.n_variables
        if q == 1:
            return self.everywhere(maps)
        maps = maps.reshape(len(maps), maps.shape[1] // q, q).transpose(0, 2, 1)
        return self.everywhere(maps).transpose(0, 2, 1)


@dataclass(frozen=True)
class Units:
    """How maps become those of a fit, and back.

    Attributes
    ----------
    centre : ndarray of shape (p q,)
        What is subtracted from the data.
    unit : float, or ndarray of shape (p q,)
        What they are divided by then; with several variables each has its own.
    scale : float
        Units of the data per unit of ``Xi``.
    n_variables : int
    """

    centre: np.ndarray
    unit: np.ndarray | float
    scale: float
    n_variables: int = 1

    def forth(self, X: np.ndarray) -> np.ndarray:
        """Maps of the data (n, p q) as they are fitted."""
        return (X - self.centre) / self.unit

    def back(self, maps: np.ndarray) -> np.ndarray:
        """Maps of the fit in the units of the data."""
        return self.centre + self.unit * maps

    @property
    def of_variables(self) -> np.ndarray:
        """The unit of each variable, shape (q,)."""
        return np.broadcast_to(self.unit, len(self.centre))[: self.n_variables]

    def log_units(self, maps: Maps) -> np.ndarray:
        """Logarithm of the unit of all observed values of each map together, shape (n,)."""
        if self.n_variables == 1:
            return maps.n_observed * np.log(self.scale)
        n_locations = len(self.centre) // self.n_variables
        return maps.log_volume(np.repeat(self.of_variables, n_locations))

    def log_unit(self, maps: Maps, evidence: Evidence) -> float:
        """That of all maps, each as often as it counts."""
        if self.n_variables == 1:
            return evidence.weighted(maps.n_observed).sum() * np.log(self.scale)
        return evidence.weighted(self.log_units(maps)).sum()


def standardised(
    X: np.ndarray, mean: Mean, rows: np.ndarray | slice, n_variables: int = 1
) -> tuple[np.ndarray, Units]:
    """Maps (n, p q) of unit variance about 0, and the units that they had.

    Parameters
    ----------
    X : ndarray
    mean : Mean
        The kind whose mean of these maps is their 0.
    rows : ndarray of int, or slice
        The maps that say what these are, as often as they count.
    n_variables : int

    Raises
    ------
    ValueError
        If a variable does not vary about its mean.
    """
    if n_variables > 1:
        units = _of_each(X[rows], mean, n_variables)
        return units.forth(X), units
    centre = mean.centre(X[rows])
    maps = X - centre
    there = means.observed(maps[rows])
    # The root of the mean square about the centre; .std() would make another copy of the data.
    values = maps[rows] if there is True else maps[rows][there]
    scale = float(np.sqrt(np.vdot(values, values) / values.size))
    maps /= scale
    return maps, Units(centre, scale, scale)


def _of_each(X: np.ndarray, mean: Mean, q: int) -> Units:
    """Each variable has its own unit, about its own mean.

    The scale is such that a mean diagonal of ``Psi`` that is 1 is so in the units of the data.
    """
    p = X.shape[1] // q
    of_each = [X[:, v::q] for v in range(q)]
    centres = [mean.centre(values) for values in of_each]
    roots = [
        np.sqrt(np.nanmean((values - centre) ** 2))
        for values, centre in zip(of_each, centres, strict=True)
    ]
    for v, (values, root) in enumerate(zip(of_each, roots, strict=True)):
        if not root > _ROUNDING * np.nanmax(np.abs(values)):
            raise ValueError(f"X: variable {v} does not vary; leave it out")
    scale = float(np.sqrt(np.mean(np.square(roots))))
    return Units(np.stack(centres, axis=1).ravel(), np.tile(roots, p), scale, q)

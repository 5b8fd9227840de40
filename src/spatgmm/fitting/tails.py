r"""How often maps lie far from their component: normal tails, or heavier ones.

Under heavy tails a map is ``N(mu, Xi / u)`` with a hidden ``u`` of its own, so that a broken map is
one of small ``u`` and pulls little at means and covariances:

- ``"t"``: ``u ~ Gamma(df / 2, df / 2)``, Student's t (Peel and McLachlan, Statistics and Computing
  10, 2000);
- ``"contaminated"``: ``u`` is 1 with probability eta and ``1 / lambda`` otherwise, ``lambda >= 3``
  (Punzo and McNicholas, Biometrical Journal 58, 2016; for matrices Tomarchio, Gallaugher, Punzo and
  McNicholas, arXiv 2005.03861).

Both see in a large variance a heavy tail: clusters that differ in variance alone may become one
contaminated component.

All that EM needs is the squared distance ``delta`` of each map.  With responsibilities ``r`` and
``w = E[u | x]``, a mean is the average with weights ``r w``, and the scatter is
``sum r w (x - mu)(x - mu)' / sum r``: EM proper.  (Dividing by ``sum r w`` instead, the PX-EM of
Meng and van Dyk, J. R. Stat. Soc. B 59, 1997, is faster, but not an ascent where components share
coefficients or variances differ by location; EM leaps anyway.)  A missing pixel's conditional
covariance is ``C / u``, which ``u`` cancels: it counts with ``r``.

The tails' own parameters are improved first in an M-step, at the distances of the E-step, by the
observed density itself (ECME: Liu and Rubin, Biometrika 81, 1994).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import chdtrc, expit, fdtrc, gammainc, gammaln

_LOG_2PI = np.log(2 * np.pi)

#: A map whose variance is so many times its component's is outlying.  Far enough for a map of few
#: pixels, whose distance varies much (a smaller lambda fits chance, and flags 7 % of 60 clean maps
#: of 12 pixels), near enough for a variance ten times as large.
_OUTLYING_VARIANCE = 3.0

#: Share of outlying maps that is expected before a distance has been seen, where tails have none.
_EXPECTED_SHARE = 0.01

#: Steps of EM for share and inflation of a contaminated component, at fixed distances.
_STEPS = 5


class Deviations(NamedTuple):
    """Where maps lie under each component.

    Attributes
    ----------
    squared : ndarray of shape (n, G)
        Squared Mahalanobis distances over the observed pixels.
    log_det : ndarray of shape (n, G)
        Log-determinant of the covariance of the observed pixels.
    n_observed : ndarray of shape (n,)
        Observed pixels of each map.
    """

    squared: np.ndarray
    log_det: np.ndarray
    n_observed: np.ndarray

    def reordered(self, order) -> Deviations:
        """The same with components in another order."""
        return Deviations(self.squared[:, order], self.log_det[:, order], self.n_observed)


@dataclass(frozen=True, eq=False)
class Tails(ABC):
    """What the rest of the package asks of tails.

    Parameters
    ----------
    parameters : ndarray of shape (G, k)
        Those of each component, none before :meth:`start`.
    """

    parameters: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    name = ""

    #: Of one component, with where they start and their bounds.
    parameter_names: ClassVar[tuple[str, ...]] = ()
    _first, _lower, _upper = (), (), ()

    def start(self, n_components: int) -> Tails:
        """The same kind of tails, at their first parameters."""
        return self.at(np.tile(np.array(self._first, dtype=float), (n_components, 1)))

    def at(self, values: np.ndarray) -> Tails:
        """The same kind of tails, at parameters (G, k)."""
        return type(self)(values)

    @property
    def heavy(self) -> bool:
        """Whether outlying maps are provided for."""
        return bool(self.parameter_names)

    @property
    def n_parameters(self) -> int:
        """Free parameters of one component."""
        return len(self.parameter_names)

    @abstractmethod
    def log_density(self, at: Deviations) -> np.ndarray:
        """Log-density of each map under each component, (n, G)."""

    @abstractmethod
    def outlying(self, at: Deviations) -> np.ndarray:
        """Probability that a map, if it is of that component, is an outlying one, (n, G)."""

    def pulls(self, at: Deviations) -> np.ndarray | None:
        """``E[u | x, g]`` (n, G), by which deviations count in an M-step; None: all alike."""
        return None

    def pull_variance(self, at: Deviations) -> np.ndarray | None:
        """``Var(u | x, g)`` (n, G); None where u is known."""
        return None

    def improved(self, responsibilities: np.ndarray, at: Deviations) -> Tails:
        """Tails that suit maps at these distances better; self where there is nothing to move."""
        return self

    def widened(self, maps: np.ndarray, g: int, rng: np.random.Generator) -> np.ndarray:
        """Normal maps (n, p) of mean 0 drawn from component `g`, times ``u^-1/2`` of their own."""
        return maps

    def reordered(self, order) -> Tails:
        return self.at(self.parameters[order])

    def flat(self) -> np.ndarray:
        """The parameters as numbers that may be moved freely."""
        return np.log(self._to_positive(self.parameters)).ravel()

    def from_flat(self, flat: np.ndarray) -> Tails:
        """The inverse of :meth:`flat`, within the bounds."""
        values = self._to_positive(np.exp(flat.reshape(self.parameters.shape)))
        return self.at(np.clip(values, self._lower, self._upper))

    def _to_positive(self, values: np.ndarray) -> np.ndarray:
        """Parameters as positive numbers, and back: its own inverse."""
        return values


class NormalTails(Tails):
    """The normal distribution's."""

    name = "normal"

    def log_density(self, at):
        return -0.5 * (at.n_observed[:, None] * _LOG_2PI + at.log_det + at.squared)

    def reordered(self, order):
        return self

    def outlying(self, at):
        return _surprise(chdtrc(at.n_observed[:, None], at.squared))


class TTails(Tails):
    """Those of Student's t with ``df`` degrees of freedom for each component.

    ``Xi`` is the scale matrix: the covariance is ``Xi df / (df - 2)``.
    """

    name = "t"
    parameter_names = ("df",)
    _first = (20.0,)
    # Below 2 there is no covariance.  The upper end is normal for maps of any size: with p pixels
    # distances vary by sqrt(2 / p) under normal tails, and t adds sqrt(2 / df).
    _lower, _upper = (2.0,), (1e6,)

    def log_density(self, at):
        return _t_density(self.parameters[:, 0], at.squared, at.log_det, at.n_observed[:, None])

    def outlying(self, at):
        # u has the law Gamma((df + p) / 2, (df + delta) / 2) given the map.  Where df is large no
        # variance is: there the distance's own law tells, delta / p ~ F(p, df).
        df, p = self.parameters[:, 0], at.n_observed[:, None]
        inflated = gammainc((df + p) / 2, (df + at.squared) / (2 * _OUTLYING_VARIANCE))
        return np.maximum(inflated, _surprise(fdtrc(p, df, at.squared / p)))

    def pulls(self, at):
        df = self.parameters[:, 0]
        return (df + at.n_observed[:, None]) / (df + at.squared)

    def pull_variance(self, at):
        df = self.parameters[:, 0]
        return 2 * (df + at.n_observed[:, None]) / (df + at.squared) ** 2

    def improved(self, responsibilities, at):
        values = self.parameters.copy()
        bounds = np.log([self._lower[0], self._upper[0]])
        for g, r in enumerate(responsibilities.T):
            data = at.squared[:, g], at.log_det[:, g], at.n_observed

            def loss(log_df, r=r, data=data):
                return -(r @ _t_density(np.exp(log_df), *data))

            found = minimize_scalar(loss, bounds=bounds, method="bounded")
            if found.fun < loss(np.log(values[g, 0])):
                values[g, 0] = np.exp(found.x)
        return TTails(values)

    def widened(self, maps, g, rng):
        df = self.parameters[g, 0]
        return maps * np.sqrt(df / rng.chisquare(df, size=(len(maps), 1)))


class ContaminatedTails(Tails):
    """A share ``1 - eta`` of each component's maps has the covariance ``lambda Xi``."""

    name = "contaminated"
    parameter_names = ("eta", "lambda")
    _first = (0.95, 10.0)
    # With half of a component's maps for outlying ones, two clusters that differ in variance alone
    # would be one component.
    _lower, _upper = (0.75, _OUTLYING_VARIANCE), (1 - 1e-6, np.inf)

    def log_density(self, at):
        return np.logaddexp(*self._parts(at))

    def outlying(self, at):
        good, bad = self._parts(at)
        return expit(bad - good)

    def pulls(self, at):
        bad = self.outlying(at)
        return 1 - bad * (1 - 1 / self.parameters[:, 1])

    def pull_variance(self, at):
        bad = self.outlying(at)
        return bad * (1 - bad) * (1 - 1 / self.parameters[:, 1]) ** 2

    def improved(self, responsibilities, at):
        tails, counts = self, np.maximum(responsibilities.sum(axis=0), 1e-300)
        for _ in range(_STEPS):
            bad = responsibilities * tails.outlying(at)
            eta = 1 - bad.sum(axis=0) / counts
            pixels = at.n_observed @ bad
            far = (bad * at.squared).sum(axis=0)
            inflation = np.where(
                pixels > 0, far / np.maximum(pixels, 1e-300), tails.parameters[:, 1]
            )
            values = np.clip(np.column_stack([eta, inflation]), self._lower, self._upper)
            tails = ContaminatedTails(values)
        return tails

    def widened(self, maps, g, rng):
        eta, inflation = self.parameters[g]
        return maps * np.where(rng.random((len(maps), 1)) < eta, 1.0, np.sqrt(inflation))

    def _to_positive(self, values):
        return np.column_stack([1 - values[:, 0], values[:, 1]])

    def _parts(self, at: Deviations) -> tuple[np.ndarray, np.ndarray]:
        """Log-densities of maps as good ones and as bad ones, with their shares; (n, G) each."""
        eta, inflation = self.parameters.T
        normal = NormalTails()
        wider = at.log_det + at.n_observed[:, None] * np.log(inflation)
        bad = normal.log_density(at._replace(squared=at.squared / inflation, log_det=wider))
        return np.log(eta) + normal.log_density(at), np.log1p(-eta) + bad


def _t_density(df, squared, log_det, p):
    """Log-density of Student's t with scale matrix Xi in p dimensions."""
    return (
        gammaln((df + p) / 2)
        - gammaln(df / 2)
        - 0.5 * (p * np.log(df * np.pi) + log_det + (df + p) * np.log1p(squared / df))
    )


def _surprise(tail: np.ndarray) -> np.ndarray:
    """The most that a tail probability speaks for an outlying map, as a posterior probability.

    The Bayes factor of anything else is at most ``-1 / (e t log t)`` at a tail probability
    ``t < 1/e`` (Sellke, Bayarri and Berger, American Statistician 55, 2001).  More than 1/2 means a
    tail probability below about 0.0005.
    """
    tail = np.clip(tail, 1e-300, np.exp(-1))
    odds = _EXPECTED_SHARE / (1 - _EXPECTED_SHARE) / (-np.e * tail * np.log(tail))
    return odds / (1 + odds)


_TAILS = {tails.name: tails for tails in (NormalTails(), TTails(), ContaminatedTails())}


def names() -> list[str]:
    """What ``tails=`` accepts."""
    return list(_TAILS)


def get(name: str) -> Tails:
    """The tails of that name (one of :func:`names`)."""
    return _TAILS[name]

"""How covariance falls with distance.

A decay is one small object: a function ``s(delta; shape)`` that rises from 0 at scaled distance 0
to 1 at distance 2, its derivatives with respect to its few shape parameters and to distance, and
where those parameters can lie.  To add one whose parameter stretches distance, write its ``rise``
(:class:`ScaleDecay`), put it into the list at the end and its name into
:mod:`spatgmm.fitting.options`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from scipy.interpolate import BSpline
from scipy.optimize import brentq, nnls
from scipy.special import expit, gammainc

from spatgmm.covariance.geometry import MAX_DISTANCE

#: Values of beta that the global search looks at; 16 were a little coarse.
N_BETAS = 20


#: From so many locations on, only decays that are a covariance at any size are candidates.
_LARGE = 1000


class Decay(ABC):
    """What the rest of the package asks of a decay.

    Attributes
    ----------
    name, formula : str
    valid : bool
        Whether ``1 - s`` is, up to a constant, a covariance by itself in any number of dimensions
        (and so on closed axes and on a sphere), so that maps can have any number of pixels.  Others
        need a nugget that grows with that number.
    parameter_names : tuple of str
        Of the shape parameters, as tables show them.
    """

    name: str
    formula: str
    valid = False
    parameter_names: tuple[str, ...] = ("beta",)

    @abstractmethod
    def value(self, delta: np.ndarray, shape) -> np.ndarray:
        """``s(delta; shape)``, same shape as `delta`; `shape` has one number per parameter."""

    @abstractmethod
    def derivatives(self, delta: np.ndarray, shape) -> np.ndarray:
        """``ds/dshape``, one array like `delta` per parameter."""

    @abstractmethod
    def slope(self, delta: np.ndarray, shape) -> np.ndarray:
        """``ds/ddelta``; at ``delta = 0`` any finite number."""

    @abstractmethod
    def bounds(self, smallest_distance: float) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest shape that locations this far apart can identify."""

    def at_bound(self, bound: str) -> str:
        """What the decay is where its parameter lies at its ``"lower"`` or ``"upper"`` bound."""
        return ""

    @abstractmethod
    def reach(self, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far one scoring step may go: beyond, its quadratic model is not trusted."""

    @abstractmethod
    def grid(self, smallest_distance: float) -> tuple[np.ndarray, np.ndarray]:
        """Shapes (k, q) for the global search to look at.

        The second array (k,) marks those that lie, in the objective's natural scale, halfway
        between the one before and the one after, so that a parabola through the three says what
        lies between.
        """


class ScaleDecay(Decay):
    r"""A decay whose one parameter stretches distance.

    .. math:: s(\delta; \beta) = r(\beta\delta) / r(2\beta)

    for a function :math:`r` that rises from 0 at 0, the :meth:`rise`.
    """

    #: What the decay becomes as beta falls to 0.
    flattest = ""
    #: Below this the decay no longer changes to 3 or 4 digits.
    smallest_beta = 1e-3
    #: Below this beta one value of the grid stands for all.
    smallest_curved_beta = 0.7
    #: For locations so few that even the flattest decay is half over at the nearest neighbour:
    #: the largest argument of the rise there.
    largest_argument = 6.0
    #: Largest change of log(beta) in one step.
    largest_log_step = 1.0

    @abstractmethod
    def rise(self, x: np.ndarray) -> np.ndarray:
        """``r(x)``, accurate relative to itself as x falls to 0."""

    @abstractmethod
    def rise_slope(self, x: np.ndarray) -> np.ndarray:
        """``dr/dx``."""

    def value(self, delta, shape):
        beta = _only(shape)
        return self.rise(beta * delta) / self.rise(beta * MAX_DISTANCE)

    def derivatives(self, delta, shape):
        # d/dbeta r(beta delta) / r(2 beta) = (delta r'(beta delta) - 2 s r'(2 beta)) / r(2 beta)
        beta = _only(shape)
        delta = np.asarray(delta, dtype=float)
        at_end = MAX_DISTANCE * self.rise_slope(beta * MAX_DISTANCE)
        moved = delta * self.rise_slope(beta * delta) - self.value(delta, beta) * at_end
        return moved[None] / self.rise(beta * MAX_DISTANCE)

    def slope(self, delta, shape):
        beta = _only(shape)
        return beta * self.rise_slope(beta * delta) / self.rise(beta * MAX_DISTANCE)

    def bounds(self, smallest_distance):
        """From the flattest decay to one that is half over at the nearest neighbour.

        Beyond the upper bound ``D`` is collinear with ``J`` and ``I`` and nothing identifies
        ``beta``.
        """

        def excess(beta: float) -> float:
            return float(self.value(np.asarray(smallest_distance), beta)) - 0.5

        upper = self.largest_argument / smallest_distance
        if excess(self.smallest_beta) < 0 < excess(upper):
            upper = brentq(excess, self.smallest_beta, upper)
        return np.array([self.smallest_beta]), np.array([upper])

    def at_bound(self, bound):
        return "decay within the nearest neighbours" if bound == "upper" else self.flattest

    def reach(self, shape):
        factor = np.exp(self.largest_log_step)
        return shape / factor, shape * factor

    def grid(self, smallest_distance):
        (lower,), (upper,) = self.bounds(smallest_distance)
        curved = np.geomspace(min(self.smallest_curved_beta, upper / 2), upper, N_BETAS - 1)
        betas = np.concatenate([[lower], curved])
        # The first value stands apart from the geometric rest.
        between = np.arange(N_BETAS)
        return betas[:, None], (between > 1) & (between < N_BETAS - 1)


class Sigmoid(ScaleDecay):
    r"""The paper's sigmoid decay, with fixed shift 3.

    .. math:: s(\delta; \beta) = \frac{\mathrm{expit}(\beta\delta - 3) - \mathrm{expit}(-3)}
                                     {\mathrm{expit}(2\beta - 3) - \mathrm{expit}(-3)}

    Differences of expits are computed as ``expit(x - 3) - expit(-3) = expit(x - 3)
    (1 - exp(-x)) expit(3)``, which loses no digits as ``beta`` falls to 0, where the sigmoid
    becomes the straight line ``delta / 2``.

    References
    ----------
    Lu et al., "Spatial Covariance Constraints for Gaussian Mixture Models", arXiv 2601.07979.
    """

    name = "sigmoid"
    flattest = "linear decay"
    formula = "[expit(beta*delta - 3) - expit(-3)] / [expit(2*beta - 3) - expit(-3)]"
    shift = 3.0

    def rise(self, x):
        # (expit(x - shift) - expit(-shift)) / expit(shift)
        return expit(x - self.shift) * -np.expm1(-x)

    def rise_slope(self, x):
        return expit(x - self.shift) * expit(self.shift - x) / expit(self.shift)


class Exponential(ScaleDecay):
    """``1 - exp(-beta*delta)``, scaled to 1 at distance 2: the Matern decay of smoothness 1/2."""

    name = "exponential"
    flattest = "linear decay"
    valid = True
    formula = "[1 - exp(-beta*delta)] / [1 - exp(-2*beta)]"

    def rise(self, x):
        return -np.expm1(-x)

    def rise_slope(self, x):
        return np.exp(-x)


class Matern32(ScaleDecay):
    """Matern decay of smoothness 3/2, ``beta = sqrt(3) / range``.

    ``1 - (1 + x) exp(-x)`` is computed as the incomplete gamma function ``P(2, x)``, which loses
    no digits as x falls to 0.

    References
    ----------
    Stein, "Interpolation of Spatial Data", Springer 1999, section 2.7.
    """

    name = "matern32"
    flattest = "decay with the square of distance"
    valid = True
    formula = "1 - (1 + x) exp(-x), x = beta*delta, scaled to 1 at distance 2"
    smallest_beta = 0.05

    def rise(self, x):
        return gammainc(2, x)

    def rise_slope(self, x):
        return x * np.exp(-x)


class Matern52(ScaleDecay):
    """Matern decay of smoothness 5/2, ``beta = sqrt(5) / range``.

    ``1 - (1 + x + x^2/3) exp(-x) = P(3, x) + x^2/6 exp(-x)``, see :class:`Matern32`.
    """

    name = "matern52"
    flattest = "decay with the square of distance"
    valid = True
    formula = "1 - (1 + x + x^2/3) exp(-x), x = beta*delta, scaled to 1 at distance 2"
    smallest_beta = 0.05

    def rise(self, x):
        return gammainc(3, x) + x**2 / 6 * np.exp(-x)

    def rise_slope(self, x):
        return x * (1 + x) / 3 * np.exp(-x)


class Gaussian(ScaleDecay):
    """``1 - exp(-(beta*delta)^2)``, scaled to 1 at distance 2: the smoothest decay."""

    name = "gaussian"
    flattest = "decay with the square of distance"
    valid = True
    formula = "[1 - exp(-(beta*delta)^2)] / [1 - exp(-(2*beta)^2)]"
    smallest_beta = 0.05
    smallest_curved_beta = 0.3

    def rise(self, x):
        return -np.expm1(-(x**2))

    def rise_slope(self, x):
        return 2 * x * np.exp(-(x**2))


class Quadratic(Decay):
    """A parabola: ``beta*u + (1 - beta)*u^2`` with ``u = delta / 2``.

    ``beta = 1`` is the straight line; it rises everywhere for ``beta`` from 0 to 2.
    """

    name = "quadratic"
    formula = "beta*(delta/2) + (1 - beta)*(delta/2)^2"

    def value(self, delta, shape):
        beta, u = _only(shape), np.minimum(np.asarray(delta) / MAX_DISTANCE, 1.0)
        return beta * u + (1 - beta) * u**2

    def derivatives(self, delta, shape):
        u = np.minimum(np.asarray(delta) / MAX_DISTANCE, 1.0)
        return (u - u**2)[None]

    def slope(self, delta, shape):
        beta, u = _only(shape), np.asarray(delta) / MAX_DISTANCE
        return np.where(u < 1, (beta + 2 * (1 - beta) * u) / MAX_DISTANCE, 0.0)

    def bounds(self, smallest_distance):
        return np.array([1e-3]), np.array([2.0])

    def at_bound(self, bound):
        return "a parabola, level at " + ("the start" if bound == "lower" else "the end")

    def reach(self, shape):
        return shape - 0.5, shape + 0.5

    def grid(self, smallest_distance):
        betas = np.linspace(1e-3, 2.0, 7)
        between = np.arange(len(betas))
        return betas[:, None], (between > 0) & (between < len(betas) - 1)


class ISpline(Decay):
    """A monotone spline: any smooth rise, as a mixture of quadratic I-splines.

    ``s(delta) = sum_j w_j I_j(delta)`` with ``w_j >= 0`` and ``sum_j w_j = 1``, where ``I_j`` rises
    from 0 to 1 over a few neighbouring knots.  The shape parameters are the hazards
    ``v_j = w_j / (w_j + ... + w_m)``, each between 0 and 1, so that the weights need no other
    constraint.  Knots are closest where distances are small, since there correlation falls fastest,
    but not so close that a spline has risen before the nearest neighbour: it would be a nugget.

    References
    ----------
    Ramsay, "Monotone regression splines in action", Statistical Science 3 (1988).
    """

    name = "ispline"
    formula = "sum_j w_j I_j(delta), w_j >= 0, sum_j w_j = 1"
    _knots = np.array([0.0, 0.5, 1.0, MAX_DISTANCE])
    _degree = 2

    def __init__(self):
        k = self._degree
        knots = np.concatenate([[0.0] * k, self._knots, [MAX_DISTANCE] * k])
        n_splines = len(knots) - k - 1
        # I_j = sum of the B-splines from the j-th on: they sum to 1, so each I_j rises from 0 to 1.
        self._splines = BSpline(knots, np.tri(n_splines)[:, 1:], k)
        self._slopes = self._splines.derivative()
        self.n_weights = n_splines - 1
        self.parameter_names = tuple(f"hazard{j + 1}" for j in range(self.n_weights - 1))

    def weights(self, shape) -> np.ndarray:
        """``w_j = v_j (1 - v_1) ... (1 - v_{j-1})``, the last the rest to 1; shape (m,)."""
        hazards = np.append(shape, 1.0)
        return hazards * np.cumprod(np.append(1.0, 1 - hazards[:-1]))

    def value(self, delta, shape):
        return self._splines(np.minimum(delta, MAX_DISTANCE)) @ self.weights(shape)

    def derivatives(self, delta, shape):
        splines = self._splines(np.minimum(delta, MAX_DISTANCE))
        shape = np.asarray(shape, dtype=float)
        found = []
        for j in range(len(shape)):
            # w is linear in each hazard.
            low, high = (
                self.weights(np.where(np.arange(len(shape)) == j, v, shape)) for v in (0, 1)
            )
            found.append(splines @ (high - low))
        return np.array(found)

    def slope(self, delta, shape):
        inside = np.asarray(delta) < MAX_DISTANCE
        return np.where(
            inside, self._slopes(np.minimum(delta, MAX_DISTANCE)) @ self.weights(shape), 0
        )

    def bounds(self, smallest_distance):
        q = self.n_weights - 1
        return np.zeros(q), np.ones(q)

    def reach(self, shape):
        return shape - 0.3, shape + 0.3

    def grid(self, smallest_distance):
        """The splines nearest to exponential and sigmoid decays, flat to steep."""
        delta = np.linspace(0, MAX_DISTANCE, 100)
        splines = self._splines(delta)
        shapes = []
        for decay in (Exponential(), Sigmoid()):
            betas = decay.grid(smallest_distance)[0][::2]
            for beta in betas:
                weights, _ = nnls(splines, decay.value(delta, beta))
                # Inside the bounds, where every weight can still grow.
                weights = (weights + 0.01) / (weights + 0.01).sum()
                left = np.cumsum(weights[::-1])[::-1]
                shapes.append((weights / left)[:-1])
        return np.array(shapes), np.zeros(len(shapes), dtype=bool)


def _only(shape) -> float:
    """The one parameter of a decay that has one, given as a number or an array of one."""
    (parameter,) = np.atleast_1d(shape)
    return parameter


_DECAYS = {
    decay.name: decay
    for decay in (
        Sigmoid(),
        Exponential(),
        Matern32(),
        Matern52(),
        Gaussian(),
        Quadratic(),
        ISpline(),
    )
}

#: Other names of the same decays.
_ALIASES = {"matern12": "exponential"}


def names(valid: bool = False) -> list[str]:
    """Names of the decays that ``decay=`` accepts, each once; those that are `valid`, or all."""
    return [name for name, decay in _DECAYS.items() if decay.valid or not valid]


def candidates(p: int) -> list[str]:
    """Names of the decays among which BIC chooses for maps of `p` locations."""
    return names(valid=p >= _LARGE)


def get(name: str) -> Decay:
    """The decay of that name; ``"matern12"`` is the exponential one.

    Raises
    ------
    ValueError
        If there is none; the message lists those that exist.
    """
    if name not in _DECAYS and name not in _ALIASES:
        raise ValueError(f"decay: unknown decay {name!r}; known are {', '.join(names())}")
    return _DECAYS[_ALIASES.get(name, name)]

r"""Standard errors by the observed information of the mixture, and what follows from them.

Louis' identity (J. R. Stat. Soc. B 44, 1982) gives the observed information as the expected
complete-data information minus the information lost with the labels,

``I = E[-d2 l_c | X] - Cov(s_c | X)``,

over all parameters ``(pi, mu, theta)`` at once, so that the uncertainty of weights and means is in
the standard errors of the covariance parameters.  ``s_c`` is the score of the complete data; for
map ``i`` in component ``g``, with ``y = W (x - mu)``,

``ds/dmu = y``,  ``ds/dtheta_k = 1/2 (y' B_k y - tr(W B_k))``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve

from spatgmm.covariance.family import (
    N_COEFFICIENTS,
    NU,
    SHAPE,
    TAU,
    C,
    FactoredCovariance,
    SpatialCovariance,
    alpha_from_theta,
)
from spatgmm.covariance.fitted import COEFFICIENTS, NORMAL_95, FittedCovariance, at_bounds
from spatgmm.covariance.geometry import MAX_DISTANCE
from spatgmm.fitting.maps import Blocks, IncompleteMaps, Maps
from spatgmm.fitting.state import MIN_MAPS, Mixture, empty

_EMPTY_NOTE = f"fewer than {MIN_MAPS} maps: no standard error"

_NO_INFORMATION_NOTE = "the observed information is not positive definite: no standard error"

_IDLE_NOTE = "without effect at these estimates"

#: Shape parameters that change K by less than this have no effect.
_NO_EFFECT = 1e-10

#: A map that adds less than this to the lost information adds nothing.
_NEGLIGIBLE = 1e-13

#: d(a1, a2, a3) / d(c, tau, nu), with a1 = c + tau, a2 = -tau, a3 = nu.
_TO_ALPHA = np.array([[1, 1, 0], [0, -1, 0], [0, 0, 1]], dtype=float)


@dataclass
class Estimates:
    """A fitted mixture of data of unit variance, and the way back to the user's units.

    Attributes
    ----------
    mixture : Mixture
    family : SpatialCovariance
    scale : float
        Units of the data per unit of the mixture's.
    mean : {"free", "constant"}
    shared : ndarray of bool, shape (3 + q,)
        Which covariance parameters all components share.
    """

    mixture: Mixture
    family: SpatialCovariance
    scale: float
    mean: str
    shared: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """Names of a component's covariance parameters."""
        return (*COEFFICIENTS, *self.family.kernel.parameter_names)

    def units(self) -> np.ndarray:
        """Units of ``(c, tau, nu, *shape)``."""
        units = np.ones(self.family.n_parameters)
        units[:N_COEFFICIENTS] = self.scale**2
        return units

    def held(self, g: int) -> list[str]:
        """Why each shape parameter of component `g` is taken as known; empty where it is not."""
        kernel, shape = self.family.kernel, self.mixture.thetas[g, SHAPE]
        bounds = at_bounds(shape, kernel.lower, kernel.upper)
        effects = np.abs(kernel.derivatives(shape)).max(axis=1, initial=0)
        return [
            self._bound_note(name, bound) if bound else "" if effect > _NO_EFFECT else _IDLE_NOTE
            for name, bound, effect in zip(kernel.parameter_names, bounds, effects, strict=True)
        ]

    def directions(self, g: int) -> dict[str, float]:
        """What the metric of component `g` says of directions; nothing where all are the same."""
        kernel = self.family.kernel
        of_decay = len(kernel.decay.parameter_names)
        return kernel.metric.describe(self.mixture.thetas[g, SHAPE][of_decay:])

    def _bound_note(self, name: str, bound: str) -> str:
        """What it means that a shape parameter lies there."""
        note = f"{name} at its {bound} bound"
        if name != "beta":
            return note
        if bound == "upper":
            return f"{note}: decay within the nearest neighbours"
        return f"{note}: linear decay" if self.family.kernel.decay.name == "sigmoid" else note

    def fitted(self, information: Information | None = None) -> list[FittedCovariance]:
        """Each component's covariance in the units of the data, with errors if there are any."""
        errors = [None] * len(self.mixture.weights)
        if information is not None:
            # A shape at its bound is taken as known: it adds no uncertainty.
            of_decay = N_COEFFICIENTS + len(self.family.kernel.decay.parameter_names)
            errors = [
                np.nan_to_num(error[:of_decay, :of_decay])
                if np.isfinite(error[:N_COEFFICIENTS, :N_COEFFICIENTS]).all()
                else None
                for error in alpha_covariances(information)
            ]
        decay = self.family.kernel.decay
        return [
            FittedCovariance(
                self.scale**2 * alpha_from_theta(theta),
                theta[SHAPE][: len(decay.parameter_names)],
                error,
                decay,
            )
            for theta, error in zip(self.mixture.thetas, errors, strict=True)
        ]


class Information:
    """Observed information of a fitted mixture at its data.

    Parameters
    ----------
    estimates : Estimates
    maps : Maps
        The data, standardised.  Scales of locations (``variance="location"``) are taken as known.

    Attributes
    ----------
    theta_covariance : ndarray of shape (G, 3 + q, 3 + q)
        Covariance of the estimates of ``(c, tau, nu, *shape)``, standardised units; NaN in the
        row and column of a shape at its bound, which is taken as known, and for a component
        without maps.
    weight_variance : ndarray of shape (G,)
    counts : ndarray of shape (G,)
        Expected numbers of maps.
    """

    def __init__(self, estimates: Estimates, maps: Maps):
        self.estimates = estimates
        mixture, size = estimates.mixture, estimates.family.n_parameters
        _, responsibilities = mixture.expectation(maps)
        self.counts = responsibilities.sum(axis=0)
        self.weight_variance = np.full(len(self.counts), np.nan)
        self.theta_covariance = np.full((len(self.counts), size, size), np.nan)
        # Data say nothing about a component without maps; the others are what is estimated.
        present = np.flatnonzero(~empty(self.counts))
        G = len(present)
        if G == 0:
            return
        weights, counts = mixture.weights[present], self.counts[present]
        responsibilities = responsibilities[:, present]
        maps = maps.divided(mixture.scale)
        components = [
            _Component(estimates, g, maps, r)
            for g, r in zip(present, responsibilities.T, strict=True)
        ]
        sizes = [component.score.shape[1] for component in components]
        ends = np.concatenate([[G - 1], G - 1 + np.cumsum(sizes)])
        places = [slice(a, b) for a, b in pairwise(ends)]

        # Score of the free weights pi_1 .. pi_{G-1} for a map of component g: row g.
        of_weights = np.vstack([np.diag(1 / weights[:-1]), np.full((1, G - 1), -1 / weights[-1])])
        information = np.zeros((ends[-1], ends[-1]))
        information[: G - 1, : G - 1] = (of_weights.T * counts) @ of_weights
        for place, component in zip(places, components, strict=True):
            information[place, place] = component.complete
        # Cov(s_c | X) = sum_i sum_gh (r_ig [g = h] - r_ig r_ih) s_ig s_ih'.
        for g in range(G):
            for h in range(G):
                weight = -responsibilities[:, g] * responsibilities[:, h]
                if g == h:
                    weight += responsibilities[:, g]
                # Maps whose component is all but certain have lost nothing.
                rows = np.flatnonzero(np.abs(weight) > _NEGLIGIBLE)
                left = components[g].score[rows] * weight[rows, None]
                total = left.sum(axis=0)
                if g <= h:
                    lost = left.T @ components[h].score[rows]
                    information[places[g], places[h]] -= lost
                if g < h:
                    information[places[h], places[g]] -= lost.T
                information[places[g], : G - 1] -= np.outer(total, of_weights[h])
                information[: G - 1, places[g]] -= np.outer(of_weights[h], total)
                information[: G - 1, : G - 1] -= weight.sum() * np.outer(
                    of_weights[g], of_weights[h]
                )
        # Wanted: the rows of the inverse that belong to weights and covariance parameters.
        wanted = list(range(G - 1))
        for place, component in zip(places, components, strict=True):
            wanted += range(place.stop - len(component.free), place.stop)
        covariance = self._inverse(information, wanted, components, places)

        to_last = np.vstack([np.eye(G - 1), -np.ones((1, G - 1))])  # pi_G = 1 - the others
        self.weight_variance[present] = np.diag(to_last @ covariance[: G - 1, : G - 1] @ to_last.T)
        start = G - 1
        for g, component in zip(present, components, strict=True):
            block = slice(start, start + len(component.free))
            self.theta_covariance[np.ix_([g], component.free, component.free)] = covariance[
                block, block
            ]
            start = block.stop

    def _inverse(self, information, wanted, components, places) -> np.ndarray:
        """Rows and columns `wanted` of the inverse, parameters that are shared counted once."""
        shared = self.estimates.shared
        if not shared.any():
            return _inverse_block(information, wanted)
        # Every parameter's place among those that are free: shared ones follow the first component.
        free, first = np.arange(len(information)), {}
        for place, component in zip(places, components, strict=True):
            own = range(place.stop - len(component.free), place.stop)
            for k, at in zip(component.free, own, strict=True):
                if shared[k]:
                    free[at] = first.setdefault(k, at)
        kept, free = np.unique(free, return_inverse=True)
        merge = np.zeros((len(information), len(kept)))
        merge[np.arange(len(free)), free] = 1.0
        inverse_of = sorted(set(free[wanted]))
        inverse = _inverse_block(merge.T @ information @ merge, inverse_of)
        back = np.searchsorted(inverse_of, free[wanted])
        return inverse[np.ix_(back, back)]


@dataclass
class _View:
    """Maps that show the same locations: all, or with missing pixels those of one pattern.

    Attributes
    ----------
    rows : ndarray of int
    maps : Maps
        These rows at these locations.
    seen : ndarray of int or None
        The locations; None for all.
    """

    rows: np.ndarray
    maps: Maps
    seen: np.ndarray | None

    def vectors(self, blocks: Blocks) -> Blocks:
        """The same locations of vectors, block by block."""
        return blocks if self.seen is None else [blocks[0][self.seen]]

    def matrices(self, blocks: Blocks) -> Blocks:
        """The same locations of matrices, block by block."""
        return blocks if self.seen is None else [blocks[0][np.ix_(self.seen, self.seen)]]

    def inverse(self, covariance: FactoredCovariance) -> Blocks:
        """``Xi^-1`` of these locations."""
        if self.seen is None:
            return covariance.inverse
        (matrix,) = self.matrices(covariance.family.matrix(covariance.theta))
        return [np.linalg.inv(matrix)]

    def columns(self) -> list[np.ndarray]:
        """Where each block's locations stand among all, block after block."""
        if self.seen is not None:
            return [self.seen]
        ends = np.cumsum([0, *(block.shape[1] for block in self.maps.blocks)])
        return [np.arange(a, b) for a, b in pairwise(ends)]


def _views(maps: Maps) -> Iterator[_View]:
    """All maps, as views of those that show the same locations."""
    if not isinstance(maps, IncompleteMaps):
        yield _View(np.arange(len(maps)), maps, None)
        return
    everything = np.arange(maps.n_locations)
    complete = np.flatnonzero(maps.n_observed == len(everything))
    for rows, missing in [(complete, everything[:0]), *maps.patterns]:
        seen = np.setdiff1d(everything, missing)
        yield _View(rows, Maps([maps.blocks[0][np.ix_(rows, seen)]]), seen)


class _Component:
    """Scores (n, m) and complete-data information (m, m) of one component's (mu, theta)."""

    def __init__(self, estimates: Estimates, g: int, maps: Maps, weights: np.ndarray):
        family, mixture = estimates.family, estimates.mixture
        self._covariance = mixture.covariances[g]
        self._mean = mixture.means[g]
        self._ones = family.geometry.ones
        # What a constant map has become where locations have scales.
        constant = self._ones if mixture.scale is None else [self._ones[0] / mixture.scale]
        held = estimates.held(g)
        self.free = [C, TAU, NU, *(k + N_COEFFICIENTS for k, why in enumerate(held) if not why)]

        assemble, shape = family.geometry.assemble, self._covariance.theta[SHAPE]
        self._kernel = assemble(family.kernel.value(shape))
        self._slopes = [assemble(d) for d in family.kernel.derivatives(shape)]
        self._curvatures = {
            (j, k): assemble(second)
            for j, row in enumerate(family.kernel.second_derivatives(shape))
            for k, second in enumerate(row)
            if j <= k
        }
        n, p, size = len(weights), maps.n_locations, family.n_parameters
        score = np.zeros((n, p + size))
        information = np.zeros((p + size, p + size))
        for view in _views(maps):
            if weights[view.rows].sum() > _NEGLIGIBLE:
                self._add(view, weights[view.rows], score, information)
        if estimates.mean == "constant":
            # The one free parameter of the mean moves all locations along the constant map.
            along = np.zeros((p + size, 1 + size))
            along[:p, 0] = np.concatenate(constant)
            along[p:, 1:] = np.eye(size)
            score, information = score @ along, along.T @ information @ along
        of_mean = score.shape[1] - size
        kept = [*range(of_mean), *(of_mean + k for k in self.free)]
        self.score = score[:, kept]
        self.complete = information[np.ix_(kept, kept)]

    def _add(self, view: _View, weights: np.ndarray, score, information) -> None:
        """What the maps of a view add to score and information, in place."""
        theta, size = self._covariance.theta, len(self._covariance.theta)
        tau, p, count = theta[TAU], score.shape[1] - size, weights.sum()
        mean = view.vectors(self._mean)
        scatter = view.maps.scatter(weights, mean)
        offset = [a - m for a, m in zip(view.maps.mean(weights), mean, strict=True)]
        kernel = view.matrices(self._kernel)
        slopes = [view.matrices(slope) for slope in self._slopes]
        curvatures = {key: view.matrices(second) for key, second in self._curvatures.items()}
        ones, columns = view.vectors(self._ones), view.columns()
        quadratic, traces = np.zeros((len(weights), size)), np.zeros(size)
        on_ones, hessian = np.zeros(len(weights)), np.zeros((size, size))
        for b, (W, S) in enumerate(zip(view.inverse(self._covariance), scatter, strict=True)):
            y = (view.maps.blocks[b] - mean[b]) @ W
            score[np.ix_(view.rows, columns[b])] = y
            on_ones += y @ ones[b]
            # y' B_k y along K, I and dXi/dshape; along J, at the end, (y'u)^2.
            bases = [tau * slope[b] for slope in slopes]
            quadratic[:, TAU] += np.einsum("ij,ij->i", y @ kernel[b], y)
            quadratic[:, NU] += np.einsum("ij,ij->i", y, y)
            for k, basis in enumerate(bases, start=N_COEFFICIENTS):
                quadratic[:, k] += np.einsum("ij,ij->i", y @ basis, y)
            # W B_k, along J, K, I and dXi/dshape, and the same times W S.
            w, WS = W @ ones[b], W @ S
            A = [np.outer(w, ones[b]), W @ kernel[b], W, *(W @ basis for basis in bases)]
            V = [np.outer(w, ones[b] @ WS), *(a @ WS for a in A[1:])]
            R = WS @ W - W
            for k in range(size):
                transposed = np.ascontiguousarray(A[k].T)
                traces[k] += np.trace(A[k])
                for m in range(size):
                    # tr(W B_k W B_m W S) - 1/2 tr(W B_k W B_m)
                    hessian[k, m] += np.vdot(transposed, V[m]) - 0.5 * np.vdot(transposed, A[m])
            # Second derivatives of Xi: dK/dshape for (tau, shape), tau d2K/dshape2 within shape.
            for j, slope in enumerate(slopes, start=N_COEFFICIENTS):
                mixed = 0.5 * np.vdot(R, slope[b])
                hessian[TAU, j] -= mixed
                hessian[j, TAU] -= mixed
            for (j, k), second in curvatures.items():
                within = 0.5 * tau * np.vdot(R, second[b])
                j, k = j + N_COEFFICIENTS, k + N_COEFFICIENTS
                hessian[j, k] -= within
                if j != k:
                    hessian[k, j] -= within
            information[np.ix_(columns[b], columns[b])] += count * W
            # -d2/dmu dtheta_k = W B_k W (mean of the maps - mu): zero where the mean is free.
            cross = count * np.stack([a @ (W @ offset[b]) for a in A], axis=1)
            information[columns[b], p:] += cross
            information[p:, columns[b]] += cross.T
        quadratic[:, C] = on_ones**2
        score[view.rows, p:] = 0.5 * (quadratic - traces)
        information[p:, p:] += count * 0.5 * (hessian + hessian.T)


def _inverse_block(information: np.ndarray, wanted: list[int]) -> np.ndarray:
    """Rows and columns `wanted` of the inverse, or NaN where the information is not positive."""
    # Parameters live on very different scales; unit diagonal makes the factorisation stable.
    scale = np.sqrt(np.maximum(np.diag(information), 0))
    columns = np.eye(len(information))[:, wanted]
    try:
        if not scale.all():
            raise np.linalg.LinAlgError("a parameter without information")
        factor = cho_factor(information / np.outer(scale, scale), overwrite_a=True)
    except np.linalg.LinAlgError:
        warnings.warn(
            "standard errors: the observed information is not positive definite, so the fit is "
            "not at a maximum of the likelihood; fit again with a smaller tol or more starts",
            UserWarning,
            stacklevel=2,
        )
        return np.full((len(wanted), len(wanted)), np.nan)
    inverse = cho_solve(factor, columns)[wanted]
    return inverse / np.outer(scale[wanted], scale[wanted])


def standard_errors(information: Information) -> pd.DataFrame:
    """Estimates of weights, alpha and beta with standard errors and 95 % intervals.

    Estimating a free mean takes one map's worth of scatter from each component, so that maximum
    likelihood puts variances ``1 - 1/n_g`` too low.  The estimates are left as they are; the
    intervals for alpha are scaled by ``n_g / (n_g - 1)``.

    Returns
    -------
    pandas.DataFrame
        ``attrs["covariance"]`` holds the (G, 3 + q, 3 + q) covariances of the estimates of
        ``(a1, a2, a3, *shape)``.
    """
    estimates = information.estimates
    covariances = alpha_covariances(information)
    rows = []
    too_few = empty(information.counts)
    for g, fitted in enumerate(estimates.fitted()):
        none = _EMPTY_NOTE if too_few[g] else ""
        weight = estimates.mixture.weights[g]
        variance = information.weight_variance[g]
        note = none or (_NO_INFORMATION_NOTE if np.isnan(variance) else "")
        rows.append(_row(g, "weight", weight, variance, note=note))
        correction = 1.0
        if estimates.mean == "free":
            correction = information.counts[g] / max(information.counts[g] - 1, 1)
        values = [*fitted.alpha, *estimates.mixture.thetas[g, SHAPE]]
        held = [""] * N_COEFFICIENTS + estimates.held(g)
        variances = np.diag(covariances[g])
        for k, (name, value, why) in enumerate(zip(estimates.names, values, held, strict=True)):
            note = none or why
            if not note and np.isnan(variances[k]):
                note = _NO_INFORMATION_NOTE
            scaled = correction if k < N_COEFFICIENTS else 1.0
            rows.append(_row(g, name, value, variances[k], scaled, note))
    table = pd.DataFrame(rows)
    # Lists, not an array: pandas compares attributes when frames are joined.
    table.attrs["covariance"] = covariances.tolist()
    return table


def alpha_covariances(information: Information) -> np.ndarray:
    """Covariances (G, 3 + q, 3 + q) of the estimates of (a1, a2, a3, *shape).

    NaN for a shape at its bound.
    """
    units = information.estimates.units()
    to_alpha = np.eye(len(units))
    to_alpha[:N_COEFFICIENTS, :N_COEFFICIENTS] = _TO_ALPHA
    unknown = np.isnan(information.theta_covariance)
    filled = np.where(unknown, 0.0, information.theta_covariance)
    covariance = to_alpha @ filled @ to_alpha.T * np.outer(units, units)
    covariance[unknown] = np.nan
    return covariance


def _row(component, parameter, estimate, variance, correction=1.0, note="") -> dict:
    std_error = np.sqrt(variance) if variance >= 0 else np.nan
    half = NORMAL_95 * std_error
    return {
        "component": component,
        "parameter": parameter,
        "estimate": estimate,
        "std_error": std_error,
        "lower": correction * (estimate - half),
        "upper": correction * (estimate + half),
        "note": note,
    }


def geostatistics(estimates: Estimates, information: Information | None = None) -> pd.DataFrame:
    """Baseline, partial sill, nugget, sill, effective range; errors by the delta method."""
    rows = []
    for g, fitted in enumerate(estimates.fitted(information)):
        quantities = fitted.quantities(estimates.family.geometry.unit)
        for name, (value, std_error) in quantities.items():
            row = {"component": g, "quantity": name, "estimate": value}
            if information is not None:
                half = NORMAL_95 * std_error
                row |= {"std_error": std_error, "lower": value - half, "upper": value + half}
            rows.append(row)
        for name, value in estimates.directions(g).items():
            rows.append({"component": g, "quantity": name, "estimate": value})
    return pd.DataFrame(rows)


def correlogram(estimates: Estimates, distances=None) -> pd.DataFrame:
    """``corr(delta) = Xi(delta) / Xi(0)`` per component."""
    family = estimates.family
    largest = MAX_DISTANCE * family.geometry.unit
    if distances is None:
        distances = np.linspace(0, largest, 200)
    distances = np.asarray(distances, dtype=float)
    if distances.ndim != 1 or not ((distances >= 0) & (distances <= largest * (1 + 1e-9))).all():
        raise ValueError(f"distances must be a list of numbers from 0 to the largest, {largest:g}")
    delta = np.minimum(distances / family.geometry.unit, MAX_DISTANCE)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "component": g,
                    "distance": distances,
                    "scaled_distance": delta,
                    "correlation": np.where(delta > 0, fitted.correlation(delta), 1.0),
                }
            )
            for g, fitted in enumerate(estimates.fitted())
        ],
        ignore_index=True,
    )

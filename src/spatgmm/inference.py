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
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve

from spatgmm.covariance import BETA, N_PARAMETERS, NU, TAU, C, SpatialCovariance, alpha_from_theta
from spatgmm.em import MIN_MAPS, Blocks, Mixture, weighted_mean, weighted_scatter
from spatgmm.fitted import NORMAL_95, FittedCovariance, beta_at_bound
from spatgmm.geometry import MAX_DISTANCE

_BOUND_NOTES = {
    "lower": "beta at its lower bound: linear decay",
    "upper": "beta at its upper bound: decay within the nearest neighbours",
}

_EMPTY_NOTE = f"fewer than {MIN_MAPS} maps: no standard error"

#: A map that adds less than this to the lost information adds nothing.
_NEGLIGIBLE = 1e-13

#: d(a1, a2, a3, beta) / d(c, tau, nu, beta), with a1 = c + tau, a2 = -tau, a3 = nu.
_TO_ALPHA = np.array([[1, 1, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=float)


@dataclass
class Estimates:
    """A fitted mixture of data of unit variance, and the way back to the user's units."""

    mixture: Mixture
    family: SpatialCovariance
    scale: float
    mean: str

    def units(self) -> np.ndarray:
        """Units of ``(c, tau, nu, beta)``."""
        return np.array([self.scale**2] * 3 + [1.0])

    def bound(self, g: int) -> str | None:
        """Which bound the beta of component `g` lies at, if any."""
        return beta_at_bound(self.mixture.thetas[g, BETA], self.family.beta_bounds)

    def fitted(self, information: Information | None = None) -> list[FittedCovariance]:
        """Each component's covariance in the units of the data, with errors if there are any."""
        errors = [None] * len(self.mixture.weights)
        if information is not None:
            # A beta at its bound is taken as known: it adds no uncertainty.
            errors = [
                np.nan_to_num(error) if np.isfinite(error[:BETA, :BETA]).all() else None
                for error in alpha_covariances(information)
            ]
        return [
            FittedCovariance(
                self.scale**2 * alpha_from_theta(theta), theta[BETA], error, self.family.decay
            )
            for theta, error in zip(self.mixture.thetas, errors, strict=True)
        ]


class Information:
    """Observed information of a fitted mixture at its data.

    Parameters
    ----------
    estimates : Estimates
    maps : list of ndarray of shape (n, p_b)
        The data in the rotated basis, standardised.

    Attributes
    ----------
    theta_covariance : ndarray of shape (G, 4, 4)
        Covariance of the estimates of ``(c, tau, nu, beta)``, standardised units; NaN in the
        row and column of a beta at its bound, which is taken as known, and for a component
        without maps.
    weight_variance : ndarray of shape (G,)
    counts : ndarray of shape (G,)
        Expected numbers of maps.
    """

    def __init__(self, estimates: Estimates, maps: Blocks):
        self.estimates = estimates
        mixture = estimates.mixture
        _, responsibilities = mixture.expectation(maps)
        self.counts = responsibilities.sum(axis=0)
        self.weight_variance = np.full(len(self.counts), np.nan)
        self.theta_covariance = np.full((len(self.counts), N_PARAMETERS, N_PARAMETERS), np.nan)
        # Data say nothing about a component without maps; the others are what is estimated.
        present = np.flatnonzero(self.counts >= MIN_MAPS)
        G = len(present)
        if G == 0:
            return
        weights, counts = mixture.weights[present], self.counts[present]
        responsibilities = responsibilities[:, present]
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
        covariance = _inverse_block(information, wanted)

        to_last = np.vstack([np.eye(G - 1), -np.ones((1, G - 1))])  # pi_G = 1 - the others
        self.weight_variance[present] = np.diag(to_last @ covariance[: G - 1, : G - 1] @ to_last.T)
        start = G - 1
        for g, component in zip(present, components, strict=True):
            block = slice(start, start + len(component.free))
            self.theta_covariance[np.ix_([g], component.free, component.free)] = covariance[
                block, block
            ]
            start = block.stop


class _Component:
    """Scores (n, m) and complete-data information (m, m) of one component's (mu, theta)."""

    def __init__(self, estimates: Estimates, g: int, maps: Blocks, weights: np.ndarray):
        mixture, family = estimates.mixture, estimates.family
        geometry, covariance = family.geometry, mixture.covariances[g]
        mean = mixture.means[g]
        _, tau, _, beta = covariance.theta
        self.free = [C, TAU, NU] if estimates.bound(g) else [C, TAU, NU, BETA]
        slope, curvature = family.decay.derivatives(geometry.delta, beta)
        kernel = geometry.assemble(1 - family.decay.value(geometry.delta, beta))
        kernel_slope = geometry.assemble(-slope)
        kernel_curvature = geometry.assemble(-curvature)

        count = weights.sum()
        scatter = weighted_scatter(maps, weights, mean)
        offset = [a - m for a, m in zip(weighted_mean(maps, weights), mean, strict=True)]
        n = len(weights)
        quadratic, traces = np.zeros((n, N_PARAMETERS)), np.zeros(N_PARAMETERS)
        hessian = np.zeros((N_PARAMETERS, N_PARAMETERS))
        along_ones = np.zeros(n)
        ys, inverses, cross = [], [], []
        for b, (W, S, u) in enumerate(zip(covariance.inverse, scatter, geometry.ones, strict=True)):
            y = (maps[b] - mean[b]) @ W
            ys.append(y)
            inverses.append(W)
            on_u = y @ u
            along_ones += on_u
            # W B_k, and y' B_k y, along J, K, I and dXi/dbeta.
            w, slope_b = W @ u, tau * kernel_slope[b]
            A = [np.outer(w, u), W @ kernel[b], W, W @ slope_b]
            WS = W @ S
            V = [np.outer(w, u @ WS), *(a @ WS for a in A[1:])]
            R = WS @ W - W
            quadratic[:, C] += on_u**2
            quadratic[:, TAU] += np.einsum("ij,ij->i", y @ kernel[b], y)
            quadratic[:, NU] += np.einsum("ij,ij->i", y, y)
            quadratic[:, BETA] += np.einsum("ij,ij->i", y @ slope_b, y)
            for k in range(N_PARAMETERS):
                transposed = np.ascontiguousarray(A[k].T)
                traces[k] += np.trace(A[k])
                for m in range(N_PARAMETERS):
                    # tr(W B_k W B_m W S) - 1/2 tr(W B_k W B_m)
                    hessian[k, m] += np.vdot(transposed, V[m]) - 0.5 * np.vdot(transposed, A[m])
            # Second derivatives of Xi: dK/dbeta for (tau, beta), tau d2K/dbeta2 for (beta, beta).
            mixed = 0.5 * np.vdot(R, kernel_slope[b])
            hessian[TAU, BETA] -= mixed
            hessian[BETA, TAU] -= mixed
            hessian[BETA, BETA] -= 0.5 * tau * np.vdot(R, kernel_curvature[b])
            # -d2/dmu dtheta_k = W B_k W (mean of the maps - mu): zero where the mean is free.
            cross.append(np.stack([a @ (W @ offset[b]) for a in A], axis=1))
        hessian = 0.5 * (hessian + hessian.T)
        score_theta = 0.5 * (quadratic - traces)
        if estimates.mean == "free":
            score_mean = np.concatenate(ys, axis=1)
            information_mean = _block_diagonal(inverses)
            cross = np.concatenate(cross)
        else:
            score_mean = along_ones[:, None]
            ones = geometry.ones
            information_mean = np.array(
                [[sum(u @ W @ u for u, W in zip(ones, inverses, strict=True))]]
            )
            cross = sum(u @ c for u, c in zip(ones, cross, strict=True))[None]
        cross = cross[:, self.free]
        self.score = np.concatenate([score_mean, score_theta[:, self.free]], axis=1)
        self.complete = count * np.block(
            [[information_mean, cross], [cross.T, hessian[np.ix_(self.free, self.free)]]]
        )


def _block_diagonal(blocks: list[np.ndarray]) -> np.ndarray:
    size = sum(len(block) for block in blocks)
    full, start = np.zeros((size, size)), 0
    for block in blocks:
        stop = start + len(block)
        full[start:stop, start:stop] = block
        start = stop
    return full


def _inverse_block(information: np.ndarray, wanted: list[int]) -> np.ndarray:
    """Rows and columns `wanted` of the inverse, or NaN where the information is not positive."""
    # Parameters live on very different scales; unit diagonal makes the factorisation stable.
    scale = np.sqrt(np.abs(np.diag(information))) + 1e-300
    columns = np.eye(len(information))[:, wanted]
    try:
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
        ``attrs["covariance"]`` holds the (G, 4, 4) covariances of the estimates of
        ``(a1, a2, a3, beta)``.
    """
    estimates = information.estimates
    covariances = alpha_covariances(information)
    rows = []
    for g, fitted in enumerate(estimates.fitted()):
        bound = estimates.bound(g)
        empty = _EMPTY_NOTE if information.counts[g] < MIN_MAPS else ""
        note = empty or (_BOUND_NOTES[bound] if bound else "")
        weight = estimates.mixture.weights[g]
        rows.append(_row(g, "weight", weight, information.weight_variance[g], note=empty))
        correction = 1.0
        if estimates.mean == "free":
            correction = information.counts[g] / max(information.counts[g] - 1, 1)
        variances = np.diag(covariances[g])
        for k in range(3):
            rows.append(_row(g, f"alpha{k + 1}", fitted.alpha[k], variances[k], correction, empty))
        rows.append(_row(g, "beta", fitted.beta, variances[BETA], note=note))
    table = pd.DataFrame(rows)
    # Lists, not an array: pandas compares attributes when frames are joined.
    table.attrs["covariance"] = covariances.tolist()
    return table


def alpha_covariances(information: Information) -> np.ndarray:
    """Covariance (G, 4, 4) of the estimates of (a1, a2, a3, beta); NaN for a beta at its bound."""
    units = information.estimates.units()
    unknown = np.isnan(information.theta_covariance)
    filled = np.where(unknown, 0.0, information.theta_covariance)
    covariance = _TO_ALPHA @ filled @ _TO_ALPHA.T * np.outer(units, units)
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

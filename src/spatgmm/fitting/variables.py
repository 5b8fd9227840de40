"""Maps of several variables, and the engine that carries them by one for a single variable.

Given the covariance between variables, whitened variables are further maps with the same spatial
covariance (:mod:`spatgmm.covariance.variables`), so that an engine's own maps and moments serve:
nothing here knows how it computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from spatgmm.covariance.family import Covariance, Family
from spatgmm.covariance.variables import (
    Psi,
    VariableCovariance,
    VariableFamily,
    Variables,
    by_variable,
    is_singular,
)
from spatgmm.fitting.engine import Engine
from spatgmm.fitting.maps import Blocks, IncompleteMaps, Maps
from spatgmm.fitting.search.variables import multistart
from spatgmm.fitting.state import Mixture
from spatgmm.fitting.variables_information import variables_uncertainty

#: Responsibilities below this do not enter an M-step.
_NEGLIGIBLE = 1e-13
#: Values of a map at most where some are missing: their covariance is one dense matrix.
MOST_INCOMPLETE = 3000


class Moments:
    """Maps of one component, as its covariance step wants to see them.

    Parameters
    ----------
    residuals : list of ndarray of shape (q, n, p_b)
        About the mean, each map times the root of its weight; weights have the mean 1.  Under heavy
        tails times the root of what they leave of each deviation, too.
    as_maps : callable
        The engine's maps of vectors in its basis.
    """

    def __init__(self, residuals: Blocks, as_maps: Callable[[Blocks], Maps]):
        self._residuals, self._as_maps = residuals, as_maps
        self._latest: tuple[Psi, object] | None = None

    def whitened(self, psi: Psi) -> Blocks:
        """Whitened variables, each a map: (q n, p_b)."""
        return [
            (psi.whitener @ block.reshape(len(block), -1)).reshape(-1, block.shape[2])
            for block in self._residuals
        ]

    def spatial(self, psi: Psi):
        """The engine's moments of whitened variables, as many maps for each one."""
        if self._latest is None or self._latest[0] is not psi:
            rows = self.whitened(psi)
            zero = [np.zeros(block.shape[1]) for block in rows]
            self._latest = psi, self._as_maps(rows).moments(np.ones(len(rows[0])), zero)
        return self._latest[1]

    def variables(self, spatial: Covariance) -> np.ndarray:
        """``E[R' Xi^-1 R] / p``, (q, q)."""
        rows = [block.reshape(-1, block.shape[2]) for block in self._residuals]
        return self._between(spatial.solve(rows))

    def plain(self) -> np.ndarray:
        """``E[R' R] / p``, (q, q): in expectation ``Psi`` times the mean variance of ``Xi``."""
        return self._between(self._residuals)

    def _between(self, others: Blocks) -> np.ndarray:
        q, n, _ = self._residuals[0].shape
        total = sum(
            block.reshape(q, -1) @ other.reshape(q, -1).T
            for block, other in zip(self._residuals, others, strict=True)
        )
        p = sum(block.shape[2] for block in self._residuals)
        return (total + total.T) / (2 * n * p)


class DenseMoments:
    """The same from the scatter (q p, q p) of all values of a map.

    Parameters
    ----------
    scatter : ndarray of shape (q p, q p)
    q : int
    """

    def __init__(self, scatter: np.ndarray, q: int):
        self.scatter = scatter
        self._blocks = scatter.reshape(q, len(scatter) // q, q, -1)

    def spatial(self, psi: Psi) -> Blocks:
        q = len(self._blocks)
        return [np.einsum("uv,ujvk->jk", psi.inverse, self._blocks, optimize=True) / q]

    def variables(self, spatial: Covariance) -> np.ndarray:
        (W,) = spatial.inverse
        return np.einsum("jk,ujvk->uv", W, self._blocks, optimize=True) / len(W)


class VariableMaps(Maps):
    """Complete maps of several variables.

    Parameters
    ----------
    blocks : list of ndarray of shape (n, q p_b)
        In the engine's basis, variable after variable.
    q : int
    as_maps : callable
        The engine's own maps of vectors (n, p_b), block by block.
    """

    def __init__(self, blocks: Blocks, q: int, as_maps: Callable[[Blocks], Maps]):
        super().__init__(blocks)
        self._q, self._as_maps = q, as_maps

    def mean_within(self, weights, basis, covariance):
        return mean_within(self.mean(weights), basis, covariance)

    def moments(self, weights, centre, pulls=None):
        rows = np.flatnonzero(weights > _NEGLIGIBLE * weights.max())
        root = np.sqrt(weights[rows] / weights[rows].mean())[:, None]
        if pulls is not None:
            root *= np.sqrt(pulls[rows, None])
        residuals = [
            by_variable(root * (block[rows] - mean), self._q)
            for block, mean in zip(self.blocks, centre, strict=True)
        ]
        return Moments(residuals, self._as_maps)


class IncompleteVariableMaps(IncompleteMaps):
    """Maps where single values are missing: conditioned as one long vector each.

    Parameters
    ----------
    blocks : list of one ndarray of shape (n, q p)
        NaN where a value is missing.
    q : int
    """

    def __init__(self, blocks: Blocks, q: int):
        super().__init__(blocks)
        self._q = q

    def completed(self, mean, covariance):
        return _CompletedVariableMaps(super().completed(mean, covariance), self._q)


@dataclass
class _CompletedVariableMaps:
    """Conditional means of maps, with the conditional covariance of what was missing."""

    maps: Maps
    q: int

    @property
    def blocks(self) -> Blocks:
        return self.maps.blocks

    def distances(self, mean, covariance):
        return self.maps.distances(mean, covariance)

    def mean(self, weights):
        return self.maps.mean(weights)

    def mean_within(self, weights, basis, covariance):
        return mean_within(self.mean(weights), basis, covariance)

    def moments(self, weights, centre, pulls=None):
        (scatter,) = self.maps.moments(weights, centre, pulls)
        return DenseMoments(scatter, self.q)


def mean_within(mean: Blocks, basis: Blocks, covariance: VariableCovariance) -> Blocks:
    """Each variable's best mean among the combinations of basis maps (k, p_b).

    They are the same for all variables, and then ``Psi`` does not matter: generalised least squares
    for each one, as in :meth:`spatgmm.fitting.maps.Maps.mean_within`.
    """
    q = covariance.family.n_variables
    weighted = covariance.spatial.solve(basis)
    gram = sum(w @ phi.T for w, phi in zip(weighted, basis, strict=True))
    rhs = sum(w @ m.reshape(q, -1).T for w, m in zip(weighted, mean, strict=True))
    coefficients = np.linalg.solve(gram, rhs).T
    return [(coefficients @ phi).ravel() for phi in basis]


class VariableEngine(Engine):
    """The engine for several variables, by the one for a single variable.

    Parameters
    ----------
    inner : Engine
    variables : Variables

    Raises
    ------
    ValueError
        From :meth:`maps`, where values are missing that this likelihood cannot do without.
    """

    # The search has ranked the starts by this likelihood.
    n_tried = 4

    def __init__(self, inner: Engine, variables: Variables):
        self.inner, self.variables = inner, variables
        self.name, self.rounds, self.n_to_complete = inner.name, inner.rounds, inner.n_to_complete
        self.family = VariableFamily(inner.family, variables)

    def with_gaps(self, n_neighbors):
        return VariableEngine(self.inner.with_gaps(n_neighbors), self.variables)

    def threads(self):
        return self.inner.threads()

    def maps(self, X):
        """Maps (n, p q), the variables of a location beside each other."""
        q, missing = len(self.variables), np.isnan(X).any()
        if not missing:
            return self.of_blocks(self.forth(X))
        if not self.inner.family.is_exact:
            raise ValueError(
                f"missing='em' with n_variables={q} needs likelihood='exact': what a value that is "
                f"missing in one variable says is conditioned on all others at once"
            )
        if X.shape[1] > MOST_INCOMPLETE:
            raise ValueError(
                f"missing='em' with n_variables={q}: maps of {X.shape[1]} values are too large, at "
                f"most {MOST_INCOMPLETE} can be conditioned at once; take fewer locations, or fill "
                "in what is missing"
            )
        return IncompleteVariableMaps(self.forth(X), q)

    def of_blocks(self, blocks: Blocks) -> VariableMaps:
        """Complete maps in this engine's basis."""
        return VariableMaps(blocks, len(self.variables), self.inner.of_blocks)

    def forth(self, X):
        n, q = len(X), len(self.variables)
        p = X.shape[1] // q
        rows = X.reshape(n, p, q).transpose(0, 2, 1).reshape(n * q, p)
        return [block.reshape(n, q * block.shape[1]) for block in self.inner.forth(rows)]

    def back(self, blocks):
        n, q = len(blocks[0]), len(self.variables)
        rows = self.inner.back([block.reshape(n * q, block.shape[1] // q) for block in blocks])
        p = rows.shape[1]
        return rows.reshape(n, q, p).transpose(0, 2, 1).reshape(n, p * q)

    def starts(self, maps, model, n_components, n_init, rng):
        found = multistart(self, maps, model, n_components, n_init, rng)
        return [(self.start(maps, model, responsibilities), led) for responsibilities, led in found]

    def start(self, maps, model, responsibilities, shapes=None):
        """Psi from the scatter of the variables, which is right for any Xi; then as one variable.

        ``E[R' R] = tr(Xi) Psi``.
        """
        family, counts = self.family, responsibilities.sum(axis=0)
        weights = [w if w.sum() > 0 else np.ones(len(maps)) for w in responsibilities.T]
        families, rows, of_rows = [], [], []
        for g, w in enumerate(weights):
            moments = maps.moments(w, maps.mean(w))
            psi = family.variables.fitted(moments.plain(), family.psi)
            psi = family.variables.scaled(psi)
            families.append(family.having(psi))
            rows.append(moments.whitened(psi))
            of_rows.append(np.full(len(rows[-1][0]), g))
        columns = np.eye(len(counts))[np.concatenate(of_rows)]
        stacked = [np.concatenate(of_block) for of_block in zip(*rows, strict=True)]
        spatial = replace(model, family=self.inner.family)
        thetas = self.inner.profile(self.inner.of_blocks(stacked), spatial, columns, shapes)
        covariances = [
            of.inside(theta) for of, theta in zip(families, model.tied(thetas, counts), strict=True)
        ]
        means = model.mean.estimates(
            [maps] * len(weights), weights, covariances, model.basis, range(len(weights))
        )
        tails = model.tails.start(len(weights))
        return Mixture(model.weights(counts), means, covariances, model.scales, tails)

    def profile(self, maps, model, responsibilities, shapes=None):
        return self.start(maps, model, responsibilities, shapes).thetas

    def uncertainty(self, estimates, maps):
        return variables_uncertainty(estimates, maps)


def check_independent(X: np.ndarray, q: int) -> None:
    """Refuse standardised maps (n, p q) with a variable that is a combination of the others.

    Their covariance would be singular, and the likelihood without a maximum.
    """
    values = X.reshape(-1, q)
    values = values[~np.isnan(values).any(axis=1)]
    scatter = values.T @ values
    if is_singular(scatter):
        variable = np.abs(np.linalg.eigh(scatter)[1][:, 0]).argmax()
        raise ValueError(
            f"X: variable {variable} is a combination of the others (or values are too few for "
            f"{q} variables); leave it out, or take variables='factor' or 'diagonal'"
        )


def saved(mixture: Mixture) -> dict[str, np.ndarray]:
    """Arrays that hold each component's ``Psi``."""
    each = [covariance.psi for covariance in mixture.covariances]
    arrays = {"psi": np.array([psi.matrix for psi in each])}
    if all(psi.own is not None for psi in each):
        arrays["psi_own"] = np.array([psi.own for psi in each])
    return arrays


def restored(family: Family, arrays: Mapping[str, np.ndarray]) -> list[Covariance]:
    """Covariances of a family with the saved ``thetas`` and, of several variables, ``Psi``."""
    if family.n_variables == 1:
        return [family.inside(theta) for theta in arrays["thetas"]]
    own = arrays.get("psi_own", [None] * len(arrays["psi"]))
    return [
        family.having(Psi(matrix, of_each)).inside(theta)
        for matrix, of_each, theta in zip(arrays["psi"], own, arrays["thetas"], strict=True)
    ]

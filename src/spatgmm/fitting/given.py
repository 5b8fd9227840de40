"""A start from parameters that the user gives: means, covariances, weights, all or some."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spatgmm.common.checks import finite, numbers
from spatgmm.covariance.family import COEFFICIENTS, Family
from spatgmm.fitting.em import Solver
from spatgmm.fitting.engine import Engine
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.state import Mixture, Model
from spatgmm.fitting.units import Units

#: A mean diagonal that differs from 1 by no more is 1 in a rounded table.
_MEAN_DIAGONAL = 1e-3


class GivenParameters:
    """Parameters to start from, in the units of the data.

    Parameters
    ----------
    init : mapping
        Arrays by the names of :data:`spatgmm.fitting.options.STARTING_PARAMETERS`: ``means``
        (G, p), or ``alpha`` (G, 3) with ``shape`` (G, q), or all; ``weights`` (G,) are equal where
        they are not given.  With q variables ``means`` are (G, p, q), and ``alpha`` has
        ``variable_covariances`` (G, q, q) beside it.
    n_components : int
    locations : ndarray of bool, shape (p,)
        Which locations some map has.
    n_variables : int

    Raises
    ------
    ValueError
        If too little is given, or an array has another shape or values that cannot be.
    """

    def __init__(
        self, init: Mapping, n_components: int, locations: np.ndarray, n_variables: int = 1
    ):
        G, p, q = n_components, len(locations), n_variables
        if ("alpha" in init) != ("shape" in init) or not {"means", "alpha"} & set(init):
            raise ValueError(
                "init: give means, or alpha and shape, or all three (and weights), got "
                f"{', '.join(init) or 'nothing'}"
            )
        if ("variable_covariances" in init) != (q > 1 and "alpha" in init):
            raise ValueError(
                "init: variable_covariances are for alpha of several variables, which needs them; "
                f"got {', '.join(init)} with n_variables={q}"
            )
        shapes = {
            "weights": (G,),
            "means": (G, p) if q == 1 else (G, p, q),
            "alpha": (G, len(COEFFICIENTS)),
            "variable_covariances": (G, q, q),
        }
        found = {name: numbers(f"init[{name!r}]", init[name], shapes.get(name)) for name in init}
        self._means = found.get("means")
        if self._means is not None:
            self._means = finite("init['means']", self._means[:, locations]).reshape(G, -1)
        self._between = found.get("variable_covariances")
        self._alpha = finite("init['alpha']", found["alpha"]) if "alpha" in found else None
        self._shape = finite("init['shape']", found["shape"]) if "shape" in found else None
        self._weights = finite("init['weights']", found.get("weights", np.full(G, 1 / G)))
        if (self._weights <= 0).any() or abs(self._weights.sum() - 1) > 1e-6:
            raise ValueError(f"init['weights'] must be positive and sum to 1, got {self._weights}")

    def start(
        self,
        engine: Engine,
        solver: Solver,
        maps: Maps,
        model: Model,
        units: Units,
    ) -> Mixture:
        """The mixture to start from.

        Parameters
        ----------
        engine : Engine
        solver : Solver
        maps : Maps
            Complete, standardised.
        model : Model
        units : Units
            Of the data.
        """
        G, p = len(self._weights), len(units.centre)
        means = np.zeros((G, p)) if self._means is None else units.forth(self._means)
        if self._alpha is None:
            # Each map in the component with the nearest mean.
            away = [((engine.back(maps.blocks) - mean) ** 2).sum(axis=1) for mean in means]
            nearest = np.argmin(away, axis=0)
            lost = np.setdiff1d(np.arange(G), nearest)
            if lost.size:
                raise ValueError(f"init['means']: no map is nearest to component {lost[0]}'s")
            return solver.start(engine, maps, np.eye(G)[nearest], model)
        thetas = model.tied(self._thetas(model, units.scale), self._weights)
        thetas = [
            model.family.holding(theta, model.held.alpha_of(g)) for g, theta in enumerate(thetas)
        ]
        covariances = [
            family.at(theta)
            for family, theta in zip(self._families(model, units), thetas, strict=True)
        ]
        for g, covariance in enumerate(covariances):
            if covariance is None:
                raise ValueError(
                    f"init: component {g}'s alpha and shape give no covariance: its matrix is not "
                    "positive definite"
                )
        rotated = model.scales.divide_vectors(engine.forth(means))
        blocks = [list(of_one) for of_one in zip(*rotated, strict=True)]
        blocks, tails = model.mean.imposed(blocks), model.tails.start(G)
        return Mixture(model.weights(self._weights), blocks, covariances, model.scales, tails)

    def _families(self, model: Model, units: Units) -> list[Family]:
        """The family of each component's covariance, at its covariance between variables."""
        if self._between is None:
            return [model.family] * len(self._weights)
        relative = units.of_variables / units.scale
        found = []
        for g, matrix in enumerate(self._between):
            known = np.isfinite(matrix).all() and np.allclose(matrix, matrix.T)
            if not (known and np.linalg.eigvalsh(matrix)[0] > 0):
                raise ValueError(
                    f"init['variable_covariances'][{g}] must be symmetric and positive definite"
                )
            if abs(np.trace(matrix) / len(matrix) - 1) > _MEAN_DIAGONAL:
                raise ValueError(
                    f"init['variable_covariances'][{g}] must have the mean diagonal 1, its scale "
                    "belongs to alpha"
                )
            found.append(model.family.fitted(matrix / np.outer(relative, relative)))
        return found

    def _thetas(self, model: Model, scale: float) -> np.ndarray:
        kernel, shape = model.family.kernel, self._shape
        names = kernel.parameter_names
        if shape.ndim == 1:
            shape = shape[:, None]
        if shape.shape != (len(self._weights), len(names)):
            raise ValueError(
                f"init['shape'] must have shape ({len(self._weights)}, {len(names)}), for "
                f"{', '.join(names)}, got {self._shape.shape}"
            )
        outside = np.argwhere((shape < kernel.lower) | (shape > kernel.upper))
        if outside.size:
            g, k = outside[0]
            raise ValueError(
                f"init['shape']: component {g}'s {names[k]} is {shape[g, k]:g}; these locations "
                f"identify it from {kernel.lower[k]:.3g} to {kernel.upper[k]:.3g}"
            )
        return model.family.theta(
            model.family.coefficients(self._alpha / scale**2), shape.astype(float)
        )

"""Simulated maps: a scenario states how they are drawn, a replicate is one draw of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TypeGuard

import numpy as np

from spatgmm.common.constraints import check
from spatgmm.common.locations import check_coordinates, grid_coordinates
from spatgmm.covariance.geometry import scaled_distances
from spatgmm.covariance.metric import Rotated
from spatgmm.covariance.roots import DenseRoot, Root, TorusRoot
from spatgmm.data import Dataset, Truth
from spatgmm.scenarios import SCENARIO

#: Grids of more locations are drawn on a torus, without a matrix of all pairs of locations.
_LARGEST_DENSE = 2048

#: Random numbers that are alive at a time (256 MB).
_NOISE_VALUES = 2**25

#: Standard deviation of the bump in a mean map, in scaled distances (the largest is 2).
BUMP_WIDTH = 0.4


@dataclass(frozen=True, eq=False)
class Scenario:
    """How maps are drawn from a mixture of spatial Gaussians.

    Attributes
    ----------
    id : str
        Name, part of the seed of every draw.
    n : int
        Number of maps.
    coordinates : ndarray of shape (p, d)
    shape : tuple of int or None
        Grid shape, None for irregular locations.
    truth : Truth
        Weights, mean maps, alpha, beta and covariances between variables of the components.
    roots : list of Root
        Of the components' covariances (:mod:`spatgmm.covariance.roots`).
    known : float
        Share of the maps whose label methods are told.
    outliers : mapping
        Which share of the maps outlies, and by which variance.
    distort : mapping
        How the locations that methods are shown differ from the true ones
        (:meth:`spatgmm.data.Dataset.distorted`).
    """

    id: str
    n: int
    coordinates: np.ndarray
    shape: tuple[int, ...] | None
    truth: Truth
    roots: list[Root]
    known: float
    outliers: Mapping[str, float]
    distort: Mapping[str, float]

    @classmethod
    def from_config(cls, id: str, mapping: Mapping) -> Scenario:
        """A scenario from its configuration.

        Parameters
        ----------
        id : str
            Name, part of the seed of every draw.
        mapping : mapping
            With the keys of :data:`spatgmm.scenarios.SCENARIO`.

        Returns
        -------
        Scenario

        Raises
        ------
        ValueError
            If a key or value is wrong, or a covariance matrix is not positive definite; the
            message names the scenario and the key or component.

        Examples
        --------
        >>> from spatgmm import simulate
        >>> scenario = simulate.Scenario.from_config(
        ...     "demo",
        ...     {
        ...         "locations": {"grid": [5, 5]},
        ...         "n": 30,
        ...         "weights": [0.5, 0.5],
        ...         "components": [{"alpha": [1, -0.9, 0.3], "beta": beta} for beta in (2.5, 6)],
        ...     },
        ... )
        >>> scenario.id, scenario.shape, scenario.truth.beta.tolist()
        ('demo', (5, 5), [2.5, 6.0])
        """
        try:
            check(SCENARIO, mapping)
            return cls._from_checked(id, SCENARIO.filled(mapping))
        except ValueError as error:
            raise ValueError(f"scenario {id!r}: {error}") from None

    @classmethod
    def _from_checked(cls, id: str, mapping: Mapping) -> Scenario:
        coordinates, shape = _locations(mapping["locations"])
        components = mapping["components"]
        weights = np.array(mapping["weights"], dtype=float)
        if len(weights) != len(components) or not np.isclose(weights.sum(), 1):
            raise ValueError(
                f"weights must be one for each of {len(components)} components and sum to 1, "
                f"got {mapping['weights']}"
            )
        metric = np.array(
            [_stripes(f"components.{g}", each, coordinates) for g, each in enumerate(components)]
        )
        variables = _variables([each.get("variables") for each in components])
        n_variables = 1 if variables is None else variables.shape[1]
        mean_maps = [_mean_map(each.get("mean"), coordinates) for each in components]
        truth = Truth(
            weights,
            np.repeat(mean_maps, n_variables, axis=1),
            np.array([each["alpha"] for each in components], dtype=float),
            np.array([each["beta"] for each in components], dtype=float),
            mapping["decay"],
            metric if metric.any() else None,
            variables,
        )
        roots = []
        for g, each in enumerate(components):
            try:
                roots.append(_root(truth, g, coordinates, shape))
            except np.linalg.LinAlgError:
                raise ValueError(
                    f"components.{g}: no maps have this covariance: with alpha {each['alpha']} and "
                    f"beta {each['beta']} its matrix is not positive definite at these locations"
                    + (" (on the torus that large grids are drawn on)" if _is_large(shape) else "")
                ) from None
        return cls(
            id,
            mapping["n"],
            coordinates,
            shape,
            truth,
            roots,
            known=mapping["known"],
            outliers=dict(mapping["outliers"]),
            distort=dict(mapping["distort"]),
        )


def draw(scenario: Scenario, replicate: int, root_seed: int) -> Dataset:
    """One replicate of a scenario.

    The seed depends on the arguments alone, so that every method sees the same maps whatever
    the order or the batches in which replicates are computed.

    Parameters
    ----------
    scenario : Scenario
    replicate : int
        Number of the replicate, from 0.
    root_seed : int
        Seed of the whole study.

    Returns
    -------
    Dataset
        With the true labels and parameters.

    Examples
    --------
    >>> from spatgmm import simulate
    >>> scenario = simulate.Scenario.from_config(
    ...     "demo",
    ...     {
    ...         "locations": {"grid": [5, 5]},
    ...         "n": 30,
    ...         "weights": [0.5, 0.5],
    ...         "components": [{"alpha": [1, -0.9, 0.3], "beta": beta} for beta in (2.5, 6)],
    ...     },
    ... )
    >>> data = simulate.draw(scenario, replicate=0, root_seed=1)
    >>> data.X.shape, data.label_names
    ((30, 25), ('component 1', 'component 2'))
    >>> again = simulate.draw(scenario, replicate=0, root_seed=1)
    >>> bool((data.X == again.X).all())
    True
    """
    seed = np.random.SeedSequence([root_seed, stable_hash(scenario.id), replicate])
    rng = np.random.default_rng(seed)
    truth = scenario.truth
    n_variables = 1 if truth.variables is None else truth.variables.shape[1]
    n_components, p = truth.means.shape
    labels = rng.choice(n_components, size=scenario.n, p=truth.weights)
    X = np.empty((scenario.n, p))
    n_noise = scenario.roots[0].n_noise
    step = max(_NOISE_VALUES // n_noise, 1)
    for first in range(0, scenario.n, step):
        some = slice(first, min(first + step, scenario.n))
        noise = rng.standard_normal((some.stop - first, n_noise))
        for g in range(n_components):
            members = labels[some] == g
            X[some][members] = truth.means[g] + scenario.roots[g].coloured(noise[members])
    # Randomness of their own: maps and labels are those of the scenario without either.
    own = seed.spawn(2)
    if scenario.outliers.get("share"):
        order = np.random.default_rng(own[0]).permutation(scenario.n)
        bad = order[: round(scenario.outliers["share"] * scenario.n)]
        centre = truth.means[labels[bad]]
        X[bad] = centre + np.sqrt(scenario.outliers["inflation"]) * (X[bad] - centre)
        X[bad] += scenario.outliers["shift"]
    data = Dataset(
        X=X,
        coordinates=scenario.coordinates,
        labels=labels,
        label_names=tuple(f"component {g + 1}" for g in range(n_components)),
        shape=scenario.shape,
        description=f"simulated maps, scenario {scenario.id}, replicate {replicate}",
        source=f"simulated, root seed {root_seed}",
        truth=truth,
        n_variables=n_variables,
        known_labels=_some(labels, scenario.known, own[1]),
    )
    return data.distorted(rng, **scenario.distort) if scenario.distort else data


def _some(labels: np.ndarray, share: float, seed: np.random.SeedSequence) -> np.ndarray | None:
    """A share of the labels, -1 in place of the others; None where that is none."""
    if not share:
        return None
    known = np.full(len(labels), -1)
    told = np.random.default_rng(seed).permutation(len(labels))[: round(share * len(labels))]
    known[told] = labels[told]
    return known


def stable_hash(text: str) -> int:
    """A 64-bit number from a text, the same in every process and version of Python."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _locations(mapping: Mapping) -> tuple[np.ndarray, tuple[int, ...] | None]:
    shape = None
    if "grid" in mapping:
        shape = tuple(mapping["grid"])
        if np.prod(shape) < 2:
            raise ValueError(
                f"locations.grid must have at least 2 locations, got {mapping['grid']}"
            )
        coordinates = grid_coordinates(shape)
    else:
        rng = np.random.default_rng(mapping["seed"])
        coordinates = rng.uniform(size=(mapping["uniform"], mapping["dimensions"]))
    return check_coordinates(coordinates, len(coordinates)), shape


def _is_large(shape: tuple[int, ...] | None) -> TypeGuard[tuple[int, ...]]:
    return shape is not None and prod(shape) > _LARGEST_DENSE


def _root(truth: Truth, g: int, coordinates: np.ndarray, shape: tuple[int, ...] | None) -> Root:
    """What component `g` is drawn with.

    Raises
    ------
    LinAlgError
        If there is none.
    """
    if not _is_large(shape):
        return DenseRoot(truth.covariance(g, coordinates))
    for name, there in (
        ("stripes", truth.has_direction(g)),
        ("variables", truth.variables is not None),
    ):
        if there:
            raise ValueError(
                f"components.{g}.{name}: such maps are drawn on at most {_LARGEST_DENSE} locations"
            )
    return TorusRoot(truth.covariance_by_lag(g, shape))


def _mean_map(mapping: Mapping | None, coordinates: np.ndarray) -> np.ndarray:
    if mapping is None:
        return np.zeros(len(coordinates))
    middle = (coordinates.min(axis=0) + coordinates.max(axis=0)) / 2
    # The middle lies nearer to every location than the two farthest do to each other, so that
    # adding it does not change the scale of distances.
    from_middle = scaled_distances(np.vstack([coordinates, middle]))[-1, :-1]
    return mapping["bump"] * np.exp(-0.5 * (from_middle / BUMP_WIDTH) ** 2)


def _variables(matrices: list) -> np.ndarray | None:
    """Covariances between variables (G, q, q); None where no component has any."""
    if not any(matrices):
        return None
    for g, rows in enumerate(matrices):
        where, q = f"components.{g}.variables", len(next(filter(None, matrices)))
        if rows is None or [len(row) for row in rows] != [q] * q:
            raise ValueError(f"{where} must be a matrix of one size in all components")
        if not np.array_equal(rows, np.transpose(rows)) or np.linalg.eigvalsh(rows)[0] <= 0:
            raise ValueError(f"{where} must be symmetric and positive definite, got {rows}")
    return np.array(matrices, dtype=float)


def _stripes(where: str, component: Mapping, coordinates: np.ndarray) -> np.ndarray:
    """Parameters of the metric :class:`Rotated`."""
    if "stripes" not in component:
        return np.zeros(2)
    if coordinates.shape[1] != 2:
        raise ValueError(f"{where}.stripes need locations in 2 dimensions")
    return Rotated.parameters(component["stripes"]["angle"], component["stripes"]["ratio"])

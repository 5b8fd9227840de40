"""Simulated maps: a scenario states how they are drawn, a replicate is one draw of it."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spatgmm.common.locations import check_coordinates, grid_coordinates
from spatgmm.covariance import decay
from spatgmm.covariance.family import SpatialCovariance, theta_from_alpha
from spatgmm.covariance.geometry import Geometry, scaled_distances
from spatgmm.covariance.kernel import Kernel
from spatgmm.covariance.metric import Rotated
from spatgmm.data import Dataset, Truth

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
        Weights, mean maps, alpha and beta of the components.
    factors : ndarray of shape (G, p, p)
        Lower Cholesky factors of the components' covariance matrices.
    distort : mapping
        How the locations that methods are shown differ from the true ones
        (:meth:`spatgmm.data.Dataset.distorted`).
    """

    id: str
    n: int
    coordinates: np.ndarray
    shape: tuple[int, ...] | None
    truth: Truth
    factors: np.ndarray
    distort: Mapping[str, float]

    @classmethod
    def from_config(cls, id: str, mapping: Mapping) -> Scenario:
        """A scenario from its configuration.

        Parameters
        ----------
        id : str
            Name, part of the seed of every draw.
        mapping : mapping
            Keys ``locations`` (``{grid: [rows, columns]}``, or ``{uniform: number, dimensions: 2,
            seed: 1}`` for points drawn once in the unit square), ``n``, ``weights`` and
            ``components``: a list of ``{alpha: [a1, a2, a3], beta: b}`` with, optionally,
            ``mean: {bump: height}``, a smooth bump in the middle of the map (default: zero), and
            ``stripes: {angle: degrees, ratio: r}``, correlation that reaches `r` times farther in
            that direction (from the first axis) than across it.  Optionally ``decay``, the name of
            a decay with one parameter, and ``distort``, see :class:`Scenario`.

        Returns
        -------
        Scenario

        Raises
        ------
        ValueError
            If a key or value is wrong, or a covariance matrix is not positive definite; the
            message names the scenario and the key or component.
        """
        where = f"scenario {id!r}"
        _check_keys(
            where, mapping, {"locations", "n", "weights", "components"}, {"decay", "distort"}
        )
        n = _whole(f"{where}: n", mapping["n"], 1)
        coordinates, shape = _locations(f"{where}: locations", mapping["locations"])
        components = mapping["components"]
        if not isinstance(components, Sequence) or not components:
            raise ValueError(f"{where}: components must be a list of at least one component")
        weights = _numbers(f"{where}: weights", mapping["weights"], len(components))
        if np.any(weights <= 0) or not np.isclose(weights.sum(), 1):
            raise ValueError(f"{where}: weights must be positive and sum to 1, got {weights}")

        kind = mapping.get("decay", "sigmoid")
        try:
            parameters = decay.get(kind).parameter_names
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if len(parameters) > 1:
            raise ValueError(f"{where}: decay {kind!r} has {len(parameters)} parameters, not one")
        distort = dict(mapping.get("distort", {}))
        _check_keys(f"{where}: distort", distort, set(), {"permute", "jitter", "stretch"})

        alpha, beta, stretches, means, factors = [], [], [], [], []
        for number, component in enumerate(components):
            here = f"{where}: components.{number}"
            _check_keys(here, component, {"alpha", "beta"}, {"mean", "stripes"})
            alpha.append(_numbers(f"{here}.alpha", component["alpha"], 3))
            beta.append(_number(f"{here}.beta", component["beta"]))
            if beta[-1] <= 0:
                raise ValueError(f"{here}.beta must be positive, got {beta[-1]:g}")
            means.append(_mean_map(f"{here}.mean", component.get("mean"), coordinates))
            stretches.append(_stripes(f"{here}.stripes", component.get("stripes"), coordinates))
            try:
                Xi = covariance(coordinates, alpha[-1], beta[-1], kind, stretches[-1])
                factors.append(np.linalg.cholesky(Xi))
            except np.linalg.LinAlgError:
                raise ValueError(
                    f"{here}: alpha {alpha[-1].tolist()} and beta {beta[-1]:g} give a covariance "
                    "matrix that is not positive definite at these locations"
                ) from None
        stretches = np.array(stretches) if np.any(stretches) else None
        truth = Truth(weights, np.array(means), np.array(alpha), np.array(beta), kind, stretches)
        return cls(id, n, coordinates, shape, truth, np.array(factors), distort)


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
    """
    seed = np.random.SeedSequence([root_seed, stable_hash(scenario.id), replicate])
    rng = np.random.default_rng(seed)
    truth = scenario.truth
    n_components, p = truth.means.shape
    labels = rng.choice(n_components, size=scenario.n, p=truth.weights)
    noise = rng.standard_normal((scenario.n, p))
    X = np.empty((scenario.n, p))
    for g in range(n_components):
        members = labels == g
        X[members] = truth.means[g] + noise[members] @ scenario.factors[g].T
    data = Dataset(
        X=X,
        coordinates=scenario.coordinates,
        labels=labels,
        label_names=tuple(f"component {g + 1}" for g in range(n_components)),
        shape=scenario.shape,
        description=f"simulated maps, scenario {scenario.id}, replicate {replicate}",
        source=f"simulated, root seed {root_seed}",
        truth=truth,
    )
    return data.distorted(rng, **scenario.distort) if scenario.distort else data


def covariance(
    coordinates: np.ndarray,
    alpha: np.ndarray,
    beta: float,
    kind: str = "sigmoid",
    stretch: np.ndarray | None = None,
) -> np.ndarray:
    """The model's covariance matrix, ``Xi = a1*J + a2*D(beta) + a3*I``.

    Parameters
    ----------
    coordinates : ndarray of shape (p, d)
    alpha : array-like of shape (3,)
        ``(a1, a2, a3)``.
    beta : float
    kind : str
        Name of the decay.
    stretch : ndarray of shape (2,), optional
        Parameters of :class:`spatgmm.covariance.metric.Rotated`.

    Returns
    -------
    ndarray of shape (p, p)
    """
    directed = stretch is not None and np.any(stretch)
    geometry = Geometry(coordinates, symmetry=False, by_offset=directed)
    metric, shape = (Rotated(), [beta, *stretch]) if directed else (None, [beta])
    family = SpatialCovariance(Kernel(geometry, decay.get(kind), metric))
    return family.matrix(theta_from_alpha(alpha, shape))[0]


def stable_hash(text: str) -> int:
    """A 64-bit number from a text, the same in every process and version of Python."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _locations(where: str, mapping: Mapping) -> tuple[np.ndarray, tuple[int, ...] | None]:
    kinds = {"grid", "uniform"} & set(mapping if isinstance(mapping, Mapping) else ())
    if len(kinds) != 1:
        raise ValueError(f"{where} must hold exactly one of 'grid' and 'uniform', got {mapping!r}")
    if kinds == {"grid"}:
        _check_keys(where, mapping, {"grid"})
        sizes = mapping["grid"]
        if not isinstance(sizes, Sequence) or not 1 <= len(sizes) <= 3:
            raise ValueError(f"{where}.grid must be a list of 1, 2 or 3 sizes, got {sizes!r}")
        shape = tuple(_whole(f"{where}.grid", size, 1) for size in sizes)
        if np.prod(shape) < 2:
            raise ValueError(f"{where}: grid {sizes!r} must have at least 2 locations")
        coordinates = grid_coordinates(shape)
    else:
        _check_keys(where, mapping, {"uniform", "dimensions", "seed"})
        number = _whole(f"{where}.uniform", mapping["uniform"], 2)
        dimensions = _whole(f"{where}.dimensions", mapping["dimensions"], 1)
        rng = np.random.default_rng(_whole(f"{where}.seed", mapping["seed"], 0))
        coordinates, shape = rng.uniform(size=(number, dimensions)), None
    try:
        return check_coordinates(coordinates, len(coordinates)), shape
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _mean_map(where: str, mapping: Mapping | None, coordinates: np.ndarray) -> np.ndarray:
    if mapping is None:
        return np.zeros(len(coordinates))
    _check_keys(where, mapping, {"bump"})
    height = _number(f"{where}.bump", mapping["bump"])
    middle = (coordinates.min(axis=0) + coordinates.max(axis=0)) / 2
    # The middle lies nearer to every location than the two farthest do to each other, so that
    # adding it does not change the scale of distances.
    from_middle = scaled_distances(np.vstack([coordinates, middle]))[-1, :-1]
    return height * np.exp(-0.5 * (from_middle / BUMP_WIDTH) ** 2)


def _stripes(where: str, mapping: Mapping | None, coordinates: np.ndarray) -> np.ndarray:
    """Parameters of the metric :class:`Rotated`."""
    if mapping is None:
        return np.zeros(2)
    _check_keys(where, mapping, {"angle", "ratio"})
    if coordinates.shape[1] != 2:
        raise ValueError(f"{where}: stripes need locations in 2 dimensions")
    ratio = _number(f"{where}.ratio", mapping["ratio"])
    if ratio < 1:
        raise ValueError(f"{where}.ratio must be at least 1, got {ratio:g}")
    return Rotated.parameters(_number(f"{where}.angle", mapping["angle"]), ratio)


def _check_keys(where: str, mapping: Mapping, needed: set[str], optional: set[str] = frozenset()):
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{where} must be a mapping, got {mapping!r}")
    known = sorted(needed | optional)
    for key in mapping:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise ValueError(f"{where}: unknown key {key!r}; {hint}")
    missing = sorted(needed - set(mapping))
    if missing:
        raise ValueError(f"{where}: missing key {missing[0]!r}")


def _number(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise ValueError(f"{where} must be a finite number, got {value!r}")
    return float(value)


def _numbers(where: str, values: object, length: int) -> np.ndarray:
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != length:
        raise ValueError(f"{where} must be a list of {length} numbers, got {values!r}")
    return np.array([_number(f"{where}.{i}", value) for i, value in enumerate(values)])


def _whole(where: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{where} must be a whole number of at least {least}, got {value!r}")
    return value

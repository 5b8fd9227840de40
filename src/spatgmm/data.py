"""A data set as every part of the project passes it on: maps, locations and, if known, groups."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spatgmm.common.files import DamagedFile, atomic_path, flaw
from spatgmm.common.locations import check_coordinates


@dataclass(frozen=True, eq=False)
class Truth:
    """The parameters that simulated data were drawn with.

    Attributes
    ----------
    weights : ndarray of shape (G,)
    means : ndarray of shape (G, p), or (G, p q) with q variables
    alpha : ndarray of shape (G, 3)
        Coefficients of ``J`` (all ones), ``D(beta)`` and ``I``.
    beta : ndarray of shape (G,)
    decay : str
        Name of the decay, one with a single parameter.
    metric : ndarray of shape (G, 2) or None
        Parameters of :class:`spatgmm.covariance.metric.Rotated`; None where no component has a
        direction.
    variables : ndarray of shape (G, q, q) or None
        Covariances between several variables at a location.
    """

    weights: np.ndarray
    means: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    decay: str = "sigmoid"
    metric: np.ndarray | None = None
    variables: np.ndarray | None = None

    def covariance(self, g: int, coordinates: np.ndarray) -> np.ndarray:
        """The true covariance matrix of a component, ``Xi = a1*J + a2*D(beta) + a3*I``.

        With several variables ``Xi (x) Psi``, those of a location beside each other.

        Parameters
        ----------
        g : int
            Number of the component, from 0.
        coordinates : ndarray of shape (p, d)

        Returns
        -------
        ndarray of shape (p, p), or (p q, p q)
        """
        # Here, for all that asks for names of methods imports this module, and scipy takes long.
        from spatgmm.covariance import decay
        from spatgmm.covariance.family import SpatialCovariance, theta_from_alpha
        from spatgmm.covariance.geometry import Geometry
        from spatgmm.covariance.kernel import Kernel
        from spatgmm.covariance.metric import Rotated

        directions = np.zeros(2) if self.metric is None else self.metric[g]
        directed = self.has_direction(g)
        geometry = Geometry(coordinates, symmetry=False, by_offset=directed)
        metric, shape = (Rotated(), [*directions]) if directed else (None, [])
        family = SpatialCovariance(Kernel(geometry, decay.get(self.decay), metric))
        Xi = family.matrix(theta_from_alpha(self.alpha[g], [self.beta[g], *shape]))[0]
        return Xi if self.variables is None else np.kron(Xi, self.variables[g])

    def parameters(self, g: int) -> dict[str, float]:
        """A component's parameters by name, as methods report their estimates.

        Of several variables the covariances ``Psi`` are scaled to a mean diagonal of 1, and alpha
        takes what they lose.
        """
        variables = None if self.variables is None else self.variables[g]
        scale = 1.0 if variables is None else np.trace(variables) / len(variables)
        found = {
            "weight": self.weights[g],
            **{f"alpha{k + 1}": scale * alpha for k, alpha in enumerate(self.alpha[g])},
            "beta": self.beta[g],
        }
        if variables is not None:
            lower = zip(*np.tril_indices(len(variables)), strict=True)
            found |= {f"psi[{u},{v}]": variables[u, v] / scale for u, v in lower}
        return {name: float(value) for name, value in found.items()}

    def has_direction(self, g: int) -> bool:
        """Whether correlation of a component reaches farther in one direction."""
        return self.metric is not None and bool(self.metric[g].any())

    def covariance_by_lag(self, g: int, shape: tuple[int, ...]) -> np.ndarray:
        """Covariances of a component between a corner of a grid and every point, shape `shape`.

        For components without direction; nothing of the size of the covariance matrix is formed.
        """
        from spatgmm.common.locations import grid_coordinates
        from spatgmm.covariance import decay

        a1, a2, a3 = self.alpha[g]
        points = grid_coordinates(shape)
        distances = np.sqrt((points**2).sum(axis=1))
        # From one corner to the opposite one is the largest distance, which counts as 2.
        delta = 2 * distances / distances.max()
        table = a1 + a2 * decay.get(self.decay).value(delta, [self.beta[g]])
        table[0] += a3
        return table.reshape(shape)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Maps on common locations.

    Attributes
    ----------
    X : ndarray of shape (n, p), or (n, p q) with q variables
        One map per row, the values of a location beside each other; a masked value becomes NaN.
    coordinates : ndarray of shape (p, d)
        Locations in 1, 2 or 3 dimensions, in any unit; on a grid in C order.
    labels : ndarray of shape (n,) or None
        True group of each map, counted from 0; None where nobody knows it.
    label_names : tuple of str
        Name of each group; empty where there are no labels.
    shape : tuple of int or None
        Grid shape (rows, columns[, slices]); None for irregular locations.
    description : str
        What the maps are, in a sentence fit for a caption.
    source : str
        Where they come from.
    truth : Truth or None
        The parameters of simulated data.
    missing : bool
        Whether ``NaN`` in `X` is a missing pixel, not a mistake.
    n_variables : int
        Values at each location.
    variable_names : tuple of str
        Of these; empty where they have none.
    known_labels : ndarray of shape (n,) or None
        Labels that methods may use, -1 where they may not; None: none.
    weights : ndarray of shape (n,) or None
        How much each map counts; None: all alike.

    Raises
    ------
    ValueError
        If a value is not finite, or shapes do not agree; the message names the place.
    """

    X: np.ndarray
    coordinates: np.ndarray
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None
    description: str = ""
    source: str = ""
    truth: Truth | None = None
    missing: bool = False
    n_variables: int = 1
    variable_names: tuple[str, ...] = ()
    known_labels: np.ndarray | None = None
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        X = np.ma.asarray(self.X, dtype=float) if np.ma.isMaskedArray(self.X) else self.X
        X = np.ascontiguousarray(np.ma.filled(X, np.nan), dtype=float)
        if X.ndim != 2 or 0 in X.shape:
            raise ValueError(f"X must have shape (n, p), n and p at least 1, got {X.shape}")
        bad = np.isinf(X) if self.missing else ~np.isfinite(X)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise ValueError(
                f"X has {bad.sum()} values that are not finite, "
                f"the first in row {row}, column {column}"
            )
        object.__setattr__(self, "X", X)
        if X.shape[1] % self.n_variables or len(self.variable_names) not in (0, self.n_variables):
            raise ValueError(
                f"n_variables={self.n_variables} does not fit X's {X.shape[1]} columns, or the "
                f"{len(self.variable_names)} names"
            )
        coordinates = check_coordinates(self.coordinates, self.n_locations)
        object.__setattr__(self, "coordinates", coordinates)
        object.__setattr__(self, "label_names", tuple(str(name) for name in self.label_names))
        if self.shape is not None:
            shape = tuple(int(m) for m in self.shape)
            if np.prod(shape) != self.n_locations:
                raise ValueError(f"shape {shape} does not hold X's {self.n_locations} locations")
            object.__setattr__(self, "shape", shape)
        if self.labels is not None:
            object.__setattr__(self, "labels", self._checked_labels())

    def _checked_labels(self) -> np.ndarray:
        if np.ma.is_masked(self.labels):
            raise ValueError("labels: some are masked; a group that nobody knows is none")
        labels, groups = np.asarray(self.labels), len(self.label_names)
        if labels.shape != (len(self.X),) or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"labels must be {len(self.X)} integers, got {labels.dtype} of shape {labels.shape}"
            )
        outside = np.flatnonzero((labels < 0) | (labels >= groups))
        if outside.size:
            raise ValueError(
                f"labels[{outside[0]}] is {labels[outside[0]]}, "
                f"but label_names has {groups} groups, counted from 0"
            )
        return labels.astype(np.int64)

    @property
    def n_locations(self) -> int:
        return self.X.shape[1] // self.n_variables

    @property
    def names_of_variables(self) -> tuple[str, ...]:
        """Their names, or else their numbers."""
        return self.variable_names or tuple(map(str, range(self.n_variables)))

    def of_variables(self) -> list[Dataset]:
        """The maps of each variable alone, without true parameters."""
        if self.n_variables == 1:
            return [self]
        alone = replace(self, truth=None)
        return [
            replace(alone, X=self.X[:, v :: self.n_variables], n_variables=1, variable_names=())
            for v in range(self.n_variables)
        ]

    def centred(self) -> Dataset:
        """The same maps after each true group's mean map was subtracted from its members.

        What is left to cluster by is covariance only.

        Raises
        ------
        ValueError
            If the groups are not known.
        """
        if self.labels is None:
            raise ValueError("centring needs the true groups, and these maps have none")
        X = self.X.copy()
        truth = self.truth and replace(self.truth, means=self.truth.means.copy())
        for group in np.unique(self.labels):
            members = self.labels == group
            mean = X[members].mean(axis=0)
            X[members] -= mean
            if truth is not None:
                truth.means[group] -= mean
        description = f"{self.description}, centred by true group".lstrip(", ")
        return replace(self, X=X, truth=truth, description=description)

    def distorted(
        self, rng: np.random.Generator, permute: float = 0, jitter: float = 0, stretch: float = 1
    ) -> Dataset:
        """The same maps as if the locations were elsewhere.

        Parameters
        ----------
        rng : numpy.random.Generator
        permute : float
            Share of the locations that change places with each other, at random.
        jitter : float
            Standard deviation of normal noise on every coordinate, in units of the smallest
            distance between locations.
        stretch : float
            Factor on the first coordinate.

        Returns
        -------
        Dataset
            Without its true parameters, which hold at the true locations.
        """
        if not permute and not jitter and stretch == 1:
            return self
        coordinates = self.coordinates.copy()
        moved = rng.permutation(len(coordinates))[: round(permute * len(coordinates))]
        coordinates[moved] = coordinates[rng.permutation(moved)]
        if jitter:
            from scipy.spatial.distance import pdist

            pairs = pdist(coordinates)
            coordinates += rng.normal(scale=jitter * pairs[pairs > 0].min(), size=coordinates.shape)
        coordinates[:, 0] *= stretch
        shape = None if permute or jitter else self.shape
        return replace(self, coordinates=coordinates, shape=shape, truth=None)

    def save(self, path: str | os.PathLike) -> None:
        """Write everything to one ``.npz`` file, complete or not at all."""
        arrays: dict[str, Any] = {
            "X": self.X,
            "coordinates": self.coordinates,
            "label_names": np.array(self.label_names, dtype=str),
            "description": np.array(self.description),
            "source": np.array(self.source),
            "missing": np.array(self.missing),
            "n_variables": np.array(self.n_variables),
            "variable_names": np.array(self.variable_names, dtype=str),
        }
        for name in ("labels", "known_labels", "weights"):
            if getattr(self, name) is not None:
                arrays[name] = np.asarray(getattr(self, name))
        if self.shape is not None:
            arrays["shape"] = np.array(self.shape)
        if self.truth is not None:
            truth = vars(self.truth).items()
            arrays |= {f"truth_{name}": value for name, value in truth if value is not None}
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Dataset:
        """Read what :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError
        DamagedFile
            If it is something else, or no longer that.
        """
        try:
            return cls._load(path)
        except (FileNotFoundError, MemoryError):
            raise
        except Exception as error:  # an archive can be damaged in many ways, each with its own
            raise DamagedFile(path, flaw(error)) from error

    @classmethod
    def _load(cls, path: str | os.PathLike) -> Dataset:
        with np.load(path, allow_pickle=False) as file:
            truth = {key.removeprefix("truth_"): file[key] for key in file if key[:6] == "truth_"}
            if truth:
                truth["decay"] = str(truth["decay"])
            return cls(
                X=file["X"],
                coordinates=file["coordinates"],
                labels=file.get("labels"),
                label_names=tuple(file["label_names"].tolist()),
                shape=tuple(file["shape"].tolist()) if "shape" in file else None,
                description=str(file["description"]),
                source=str(file["source"]),
                truth=Truth(**truth) if truth else None,
                missing=bool(file.get("missing", False)),
                n_variables=int(file.get("n_variables", 1)),
                variable_names=tuple(file.get("variable_names", np.array([])).tolist()),
                known_labels=file.get("known_labels"),
                weights=file.get("weights"),
            )

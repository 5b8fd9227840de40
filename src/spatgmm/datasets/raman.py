"""Raman maps by radiation dose: the user's own file, or without one a synthetic stand-in.

Source: the maps of the paper (arXiv 2601.07979) are not public.  The stand-in is simulated from
the parameters below and says so wherever it is described.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from spatgmm import reading, simulate
from spatgmm.common.constraints import ExistingFile, Integer, Parameter, optional
from spatgmm.data import Dataset
from spatgmm.reading import long, words
from spatgmm.reading.grids import sorted_places
from spatgmm.reading.table import Table

#: The synthetic stand-in: with the dose the sill rises (partial sill, nugget and baseline
#: covariance in one proportion), the range grows (beta falls), and a faint bump grows in the
#: middle of the mean map.  The values were chosen so that the doses can be told apart: what a
#: method scores here shows that the pipeline runs, and is no evidence about the method.
STAND_IN_GRID = (12, 12)
STAND_IN_MAPS = 300
STAND_IN = pd.DataFrame(
    {
        "dose": [0.0, 5.0, 10.0, 15.0, 20.0],
        "partial_sill": [0.5, 0.8, 1.3, 2.0, 3.2],
        "nugget": [0.225, 0.36, 0.585, 0.9, 1.44],
        "baseline": [0.05, 0.08, 0.13, 0.2, 0.32],
        "beta": [7.0, 6.0, 5.0, 4.0, 3.0],
        "bump": [0.0, 0.1, 0.2, 0.3, 0.4],
    }
)


DEFAULTS = {
    "file": Parameter(
        None, optional(ExistingFile()), "the user's maps; None: the synthetic stand-in"
    ),
    "coordinates": Parameter(
        None, optional(ExistingFile()), "for an array only: file with its sites"
    ),
    "doses": Parameter(
        None, optional(ExistingFile()), "for an array only: file with a dose per map"
    ),
    "seed": Parameter(1, Integer(0), "seed of the stand-in"),
}


def load(*, file: str | None, coordinates: str | None, doses: str | None, seed: int) -> Dataset:
    """Raman maps, in groups of one dose each.

    `file` is a long table (.csv or .parquet) with columns map_id, x, y, value and optionally dose,
    one row per pixel; or an array (.npy) of shape (maps, sites) or (maps, rows, columns).  With an
    array come `coordinates`, a table (.csv or .parquet) with columns x and y or an array (.npy) of
    shape (sites, 2), sites in the array's order, and `doses`, a table with a column dose or an
    array, one dose per map.

    Returns
    -------
    Dataset
        X in the unit of the file. Maps in the order of the file, sites by y, then x; `shape` is
        given where they fill a grid. Groups are the doses, in rising order; without doses there
        are no groups.

    Raises
    ------
    ValueError
        If a file is absent or cannot be read, a column is missing, a value is not finite, a map
        has a pixel twice or not at all, or maps lie on different sites; the message names the
        map and the site.
    """
    if file is None:
        for name, value in (("coordinates", coordinates), ("doses", doses)):
            if value is not None:
                raise ValueError(f"{name} is given without file, the maps it belongs to")
        data = _stand_in(seed)
    elif Path(file).suffix in (".npy", ".npz"):
        if coordinates is None:
            raise ValueError(f"{file} is an array; it needs coordinates, a file with its sites")
        data = _from_array(file, coordinates, doses)
    else:
        for name, value in (("coordinates", coordinates), ("doses", doses)):
            if value is not None:
                raise ValueError(f"{name} is for arrays only; {file} is a table")
        data = _from_table(file)
    return data


def _stand_in(seed: int) -> Dataset:
    components = [
        {
            "alpha": [row.baseline + row.partial_sill, -row.partial_sill, row.nugget],
            "beta": row.beta,
            "mean": {"bump": row.bump},
        }
        for row in STAND_IN.itertuples()
    ]
    scenario = simulate.Scenario.from_config(
        "raman stand-in",
        {
            "locations": {"grid": list(STAND_IN_GRID)},
            "n": STAND_IN_MAPS,
            "weights": [1 / len(components)] * len(components),
            "components": components,
        },
    )
    rows, columns = STAND_IN_GRID
    return replace(
        simulate.draw(scenario, 0, seed),
        label_names=_dose_names(STAND_IN["dose"]),
        description=(
            f"synthetic stand-in for Raman maps (simulated, not measured), {STAND_IN_MAPS} maps of "
            f"{rows} x {columns} pixels at {len(STAND_IN)} doses"
        ),
        source=f"synthetic: simulated from parameters chosen to be separable, seed {seed}",
        # It stands in for measurements, and those come without true parameters.
        truth=None,
    )


def _from_table(file: str) -> Dataset:
    table = reading.read_table(file)
    which = long.roles(table)
    if which is None:
        raise ValueError(
            f"{file} needs columns map_id, x, y and value; its columns: "
            f"{words.listed(table.names or [])}"
        )
    stack, rows = long.maps(table, which, None)
    names = [name.strip().lower() for name in table.names]
    doses = None
    if "dose" in names:
        doses = _doses_of_maps(table, names.index("dose"), which.map, rows)
    return _dataset(file, stack.values, stack.coordinates, doses)


def _doses_of_maps(table: Table, dose: int, of_map: int, rows: np.ndarray) -> np.ndarray:
    """The dose of each map, whose first row is among `rows`."""
    number = pd.factorize(table.cells.iloc[:, of_map])[0]
    doses = pd.to_numeric(table.cells.iloc[:, dose], errors="coerce").to_numpy(dtype=float)
    bad = np.flatnonzero(~np.isfinite(doses) | (doses != doses[rows][number]))
    if bad.size:
        (name,) = table.cells.iloc[bad[:1], of_map].tolist()
        raise ValueError(
            f"{table.path}: row {bad[0] + 1}: map {name!r} needs one finite dose, the same in all "
            "its rows"
        )
    return doses[rows]


def _from_array(file: str, coordinates: str, doses: str | None) -> Dataset:
    data = reading.read(file, coordinates).data
    if data.coordinates.shape[1] != 2:
        raise ValueError(
            f"{coordinates} must have x and y of the {data.X.shape[1]} sites in {file}, got "
            f"{data.coordinates.shape}"
        )
    number, sites = sorted_places(data.coordinates, by=(1, 0))
    if len(sites) < len(number):
        values, counts = np.unique(number, return_counts=True)
        x, y = sites[values[counts > 1][0]]
        raise ValueError(f"{coordinates}: every map has site (x={x:g}, y={y:g}) more than once")
    ordered = np.empty_like(data.X)
    ordered[:, number] = data.X
    return _dataset(
        file, ordered, sites, None if doses is None else _read_doses(doses, len(data.X))
    )


def _read_doses(file: str, n_maps: int) -> np.ndarray:
    if Path(file).suffix in (".npy", ".npz"):
        doses = reading.read_array(file)
    else:
        doses = reading.read_table(file).column("dose")
    if doses.shape != (n_maps,):
        raise ValueError(f"{file} must have one dose for each of {n_maps} maps, got {doses.shape}")
    return doses


def _dataset(file: str, X: np.ndarray, sites: np.ndarray, doses: np.ndarray | None) -> Dataset:
    if len(X) < 2:
        raise ValueError(f"{file} has {len(X)} map, too few to cluster")
    if len(sites) < 2:
        raise ValueError(f"{file} has maps of {len(sites)} site; a map needs at least two")
    labels, names = None, ()
    if doses is not None:
        levels, labels = np.unique(doses, return_inverse=True)
        names = _dose_names(levels)
    # Sites come sorted by y, then x: they fill a grid if there are as many as rows x columns.
    rows, columns = (len(np.unique(sites[:, axis])) for axis in (1, 0))
    return Dataset(
        X=X,
        coordinates=sites,
        labels=labels,
        label_names=names,
        shape=(rows, columns) if rows * columns == len(sites) else None,
        description=f"Raman maps from {Path(file).name}, {len(X)} maps of {len(sites)} pixels",
        source=f"the user's file {Path(file).name}",
    )


def _dose_names(doses) -> tuple[str, ...]:
    return tuple(f"dose {dose:g}" for dose in doses)

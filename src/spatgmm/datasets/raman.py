"""Raman maps by radiation dose: the user's own file, or without one a synthetic stand-in.

Source: the maps of the paper (arXiv 2601.07979) are not public.  The stand-in is simulated from
the parameters below and says so wherever it is described.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from spatgmm import simulate
from spatgmm.common.constraints import Integer, Parameter, Text, optional
from spatgmm.data import Dataset

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

#: Coordinates that agree to this share of the map's extent are the same site.
_SAME_SITE = 1e-6


DEFAULTS = {
    "file": Parameter(None, optional(Text()), "the user's maps; None: the synthetic stand-in"),
    "coordinates": Parameter(None, optional(Text()), "for an array only: file with its sites"),
    "doses": Parameter(None, optional(Text()), "for an array only: file with a dose per map"),
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
    elif Path(file).suffix == ".npy":
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
    table = _read_table(file, ("map_id", "x", "y", "value"))
    unnamed = np.flatnonzero(table["map_id"].isna())
    if unnamed.size:
        raise ValueError(f"{file}: no map_id in row {unnamed[0]} (counted from 0)")
    for column in ("x", "y", "value"):
        numbers = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)
        bad = np.flatnonzero(~np.isfinite(numbers))
        if bad.size:
            row = table.iloc[bad[0]]
            raise ValueError(
                f"{file}: map {row['map_id']!r}: {column} is {str(row[column])!r} at site "
                f"(x={row['x']}, y={row['y']}), not a finite number (row {bad[0]}, counted from 0)"
            )
        table[column] = numbers

    table["map"], map_ids = pd.factorize(table["map_id"])
    xy = table[["x", "y"]].to_numpy()
    table["site"], sites = _number_sites(xy)
    _check_complete(file, table, map_ids, sites)
    X = np.empty((len(map_ids), len(sites)))
    X[table["map"], table["site"]] = table["value"]
    doses = _doses_of_maps(file, table, map_ids) if "dose" in table else None
    return _dataset(file, X, sites, doses)


def _check_complete(file: str, table: pd.DataFrame, map_ids: pd.Index, sites: np.ndarray) -> None:
    """Refuse maps that have a pixel twice, or not the sites that the others have."""

    def at(site: int) -> str:
        return f"site (x={sites[site, 0]:g}, y={sites[site, 1]:g})"

    twice = np.flatnonzero(table.duplicated(["map", "site"]))
    if twice.size:
        row = table.iloc[twice[0]]
        raise ValueError(f"{file}: map {row['map_id']!r} has {at(row['site'])} more than once")
    present = np.zeros((len(map_ids), len(sites)), dtype=bool)
    present[table["map"], table["site"]] = True
    share = f"of {len(map_ids)} maps have"
    # The sites of most maps are the right ones: so a stray site is blamed on the map that has it,
    # and not on all those that do not.
    usual = 2 * present.sum(axis=0) > len(map_ids)
    for number, map_id in enumerate(map_ids):
        stray = np.flatnonzero(present[number] & ~usual)
        absent = np.flatnonzero(~present[number] & usual)
        if absent.size:
            raise ValueError(
                f"{file}: map {map_id!r} has no value at {absent.size} sites, "
                f"first {at(absent[0])}, which {present[:, absent[0]].sum()} {share}"
            )
        if stray.size:
            raise ValueError(
                f"{file}: map {map_id!r} is on different sites: only "
                f"{present[:, stray[0]].sum()} {share} {at(stray[0])}"
            )


def _doses_of_maps(file: str, table: pd.DataFrame, map_ids: pd.Index) -> np.ndarray:
    numbers = pd.to_numeric(table["dose"], errors="coerce")
    for number, of_map in numbers.groupby(table["map"], sort=True):
        if not np.isfinite(of_map).all() or (of_map != of_map.iloc[0]).any():
            given = table.loc[of_map.index, "dose"].unique().tolist()
            raise ValueError(
                f"{file}: map {map_ids[number]!r} needs one finite dose, the same in all its rows, "
                f"got {', '.join(map(str, given[:3]))}"
            )
    return numbers.groupby(table["map"], sort=True).first().to_numpy(dtype=float)


def _from_array(file: str, coordinates: str, doses: str | None) -> Dataset:
    X = _read_array(file)
    if X.ndim not in (2, 3):
        raise ValueError(
            f"{file} must have shape (maps, sites) or (maps, rows, columns), got {X.shape}"
        )
    X = X.reshape(len(X), -1)
    if Path(coordinates).suffix == ".npy":
        xy = _read_array(coordinates)
    else:
        xy = _read_table(coordinates, ("x", "y"))[["x", "y"]].to_numpy()
        xy = _as_numbers(coordinates, xy)
    if xy.shape != (X.shape[1], 2):
        raise ValueError(
            f"{coordinates} must have x and y of the {X.shape[1]} sites in {file}, got {xy.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(xy).all(axis=1))
    if bad.size:
        raise ValueError(
            f"{coordinates}: coordinates of site {bad[0]} are not finite: {xy[bad[0]]}"
        )
    bad = np.argwhere(~np.isfinite(X))
    if bad.size:
        row, site = bad[0]
        raise ValueError(
            f"{file}: map {row}: the value at site (x={xy[site, 0]:g}, y={xy[site, 1]:g}) is "
            f"{X[row, site]}, not a finite number"
        )
    number, sites = _number_sites(xy)
    if len(sites) < len(xy):
        values, counts = np.unique(number, return_counts=True)
        x, y = sites[values[counts > 1][0]]
        raise ValueError(f"{coordinates}: every map has site (x={x:g}, y={y:g}) more than once")
    ordered = np.empty_like(X)
    ordered[:, number] = X
    return _dataset(file, ordered, sites, None if doses is None else _read_doses(doses, len(X)))


def _read_doses(file: str, n_maps: int) -> np.ndarray:
    if Path(file).suffix == ".npy":
        doses = _read_array(file)
    else:
        doses = _as_numbers(file, _read_table(file, ("dose",))["dose"].to_numpy())
    if doses.shape != (n_maps,):
        raise ValueError(f"{file} must have one dose for each of {n_maps} maps, got {doses.shape}")
    bad = np.flatnonzero(~np.isfinite(doses))
    if bad.size:
        raise ValueError(f"{file}: dose of map {bad[0]} is {doses[bad[0]]}, not a finite number")
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


def _number_sites(xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of each row's site, and the sites (x, y) sorted by y, then x."""
    unit = np.ptp(xy, axis=0).max() * _SAME_SITE or 1.0
    # Coordinates of the same site may differ in their last digits from map to map.
    rounded = np.round((xy - xy.min(axis=0)) / unit)
    _, first, number = np.unique(rounded[:, ::-1], axis=0, return_index=True, return_inverse=True)
    return number.ravel(), xy[first]


def _dose_names(doses) -> tuple[str, ...]:
    return tuple(f"dose {dose:g}" for dose in doses)


def _read_table(file: str, columns: tuple[str, ...]) -> pd.DataFrame:
    readers = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    suffix = Path(file).suffix
    if suffix not in readers:
        raise ValueError(f"{file} must end in .csv, .parquet or .npy, not {suffix!r}")
    table = _read(file, readers[suffix])
    for column in columns:
        if column not in table:
            found = ", ".join(map(str, table.columns))
            raise ValueError(f"{file} has no column {column!r}; its columns: {found}")
    if not len(table):
        raise ValueError(f"{file} has no rows")
    return table


def _read_array(file: str) -> np.ndarray:
    return _as_numbers(file, _read(file, lambda path: np.load(path, allow_pickle=False)))


def _read(file: str, reader):
    if not Path(file).is_file():
        raise ValueError(f"no such file: {file}")
    try:
        return reader(file)
    except Exception as error:  # whatever a reader makes of a broken file
        raise ValueError(f"{file} cannot be read: {error}") from error


def _as_numbers(file: str, values: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file} must hold numbers only: {error}") from None

"""Arrays with named axes: xarray in memory, NetCDF and Zarr, and stacks of GeoTIFF.

The first axis counts maps, the others are space; coordinates come from the arrays themselves.
Both libraries are extras of this package, imported where a file needs them.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

from spatgmm.common.errors import UsageError
from spatgmm.common.locations import grid_coordinates
from spatgmm.reading import places
from spatgmm.reading.arrays import pick
from spatgmm.reading.stack import Stack
from spatgmm.reading.words import first_line, listed

#: Dimensions that hold several values of one place.
_NO_SPACE = {"variable", "variables", "band", "bands", "channel", "channels"}

#: Dimensions that count maps, wherever they stand.
_MAPS = {"time", "t", "date", "map", "maps", "sample", "samples", "image", "images", "member"}

#: Last dimensions of variables that say where cells end.
_BOUNDS = {"bnds", "bounds", "nbnd", "nv", "vertices"}

#: Axes of maps at most: rows, columns, slices.
_MOST_AXES = 3


def is_labelled(X) -> bool:
    """Whether this is an xarray.DataArray or Dataset, without importing xarray."""
    return any(
        all(hasattr(X, name) for name in ("dims", "coords", *own))
        for own in (("values", "to_dataset"), ("data_vars", "to_dataarray"))
    )


def from_labelled(array, where: str = "X", n_variables: int = 1) -> Stack:
    """The maps in an xarray.DataArray, whose first dimension counts them or one of times.

    Several variables are a dimension of that name (or band, or channel), else the last; or the
    variables of an xarray.Dataset.

    Coordinates are those of the other dimensions, their indices where they have none; coordinates
    named longitude and latitude (or x and y) that span both dimensions of a curved grid go before.
    """
    if hasattr(array, "data_vars"):
        array = array.to_dataarray()
        array = array.transpose(*array.dims[1:], array.dims[0])
    if n_variables > 1:
        return _of_variables(array, where, n_variables)
    if not 2 <= len(array.dims) <= 1 + _MOST_AXES:
        raise ValueError(
            f"{where} has dimensions {listed(array.dims)}; it needs one of maps, then 1 to "
            f"{_MOST_AXES} of space"
        )
    if array.dtype.kind not in "iufb":
        raise ValueError(f"{where} holds {array.dtype}, not numbers")
    maps = _maps_dimension(array)
    array = array.transpose(maps, ...)
    values = np.asarray(array.values, dtype=float)
    space = array.dims[1:]
    if several := [dim for dim in space if str(dim).lower() in _NO_SPACE]:
        raise ValueError(f"{where}: dimension {several[0]!r} is no space; select one of its values")
    shape = values.shape[1:]
    names = None
    if maps in array.coords and array.coords[maps].ndim == 1:
        # pandas writes dates without an hour where none has one.
        names = pd.Index(array.coords[maps].to_numpy()).astype(str).tolist()
    coordinates, axes = _curved(array, space)
    if coordinates is None:
        along = [_axis(array, dim, where) for dim in space]
        columns = [axis[i] for axis, i in zip(along, _indices(shape), strict=True)]
        order = _by_axis(space)
        coordinates = np.stack(columns, axis=1)[:, order]
        axes = [str(space[i]) for i in order]
    return Stack(values.reshape(len(values), -1), shape, coordinates, names, axes=axes)


def _maps_dimension(array):
    """The first dimension, unless another one alone holds times or is named for what maps are."""

    def counts_maps(dim) -> bool:
        dates = dim in array.coords and array.coords[dim].dtype.kind in "mM"
        return dates or str(dim).lower() in _MAPS

    first, *others = array.dims
    likely = [dim for dim in others if counts_maps(dim)]
    return likely[0] if len(likely) == 1 and not counts_maps(first) else first


def _of_variables(array, where: str, n_variables: int) -> Stack:
    """Maps of several variables, those of a location beside each other."""
    named = [dim for dim in array.dims if str(dim).lower() in _NO_SPACE]
    variable = named[0] if named else array.dims[-1]
    if array.sizes[variable] != n_variables:
        raise ValueError(
            f"{where}: dimension {variable!r} holds {array.sizes[variable]} values of a location, "
            f"not n_variables={n_variables}"
        )
    alone = [array.isel({variable: v}, drop=True) for v in range(n_variables)]
    stacks = [from_labelled(one, where) for one in alone]
    beside = np.stack([stack.values for stack in stacks], axis=2)  # noqa: PD011
    values = beside.reshape(len(beside), -1)
    return replace(stacks[0], values=values, n_variables=n_variables)


def _indices(shape: tuple[int, ...]) -> np.ndarray:
    return grid_coordinates(shape).T.astype(int)


def _axis(array, dim: str, where: str) -> np.ndarray:
    """Coordinates along a dimension."""
    if dim not in array.coords:
        return np.arange(array.sizes[dim], dtype=float)
    values = array.coords[dim].to_numpy()
    if values.dtype.kind not in "iuf":
        if places.axis_of(dim) is None and values.dtype.kind in "OUST":
            return np.arange(array.sizes[dim], dtype=float)  # names of rows and columns
        raise ValueError(f"{where}: dimension {dim!r} has coordinates that are no numbers")
    return values.astype(float)


def _by_axis(names) -> list[int]:
    """Order of dimensions: longitude before latitude; as they are where a name says nothing."""
    axes = [places.axis_of(name) for name in names]
    if None in axes:
        return list(range(len(axes)))
    return sorted(range(len(axes)), key=lambda i: axes[i])


def _curved(array, space) -> tuple[np.ndarray | None, list[str]]:
    """Coordinates that depend on all dimensions, as those of a curved grid, and their names."""
    spanning = [
        name
        for name, values in array.coords.items()
        if tuple(values.dims) == tuple(space)
        and places.axis_of(name) is not None
        and (len(space) > 1 or name not in space)
        and values.dtype.kind in "iuf"
    ]
    if len(spanning) < min(2, len(space)) or len(spanning) > _MOST_AXES:
        return None, []
    spanning = [spanning[i] for i in _by_axis(spanning)]
    columns = [array.coords[name].to_numpy().ravel() for name in spanning]
    return np.stack(columns, axis=1).astype(float), [str(name) for name in spanning]


def from_netcdf(path: str, name: str | None) -> Stack:
    """The maps in a NetCDF file; `name` chooses among several variables."""
    return _from_dataset(path, name, "netcdf", {})


def from_zarr(path: str, name: str | None) -> Stack:
    """The maps in a Zarr store; `name` chooses among several variables."""
    return _from_dataset(path, name, "zarr", {"engine": "zarr"})


def _from_dataset(path: str, name: str | None, extra: str, options: dict) -> Stack:
    xarray = _library("xarray", path, extra)
    if extra == "zarr":
        _library("zarr", path, extra)
    try:
        # Whether a store keeps a summary of its parts matters to its speed alone.
        with warnings.catch_warnings(action="ignore"), xarray.open_dataset(path, **options) as data:
            maps = [
                key
                for key, values in data.data_vars.items()
                if values.ndim > 1 and str(values.dims[-1]).lower() not in _BOUNDS
            ]
            return from_labelled(data[pick(path, name, maps, "variable")], path)
    except (UsageError, MemoryError):
        raise
    except Exception as error:  # the libraries beneath raise errors of many kinds
        told = first_line(error).removeprefix(f"{path}: ").removeprefix(f"{path} ")
        raise ValueError(f"{path}: {told}") from None


def from_geotiff(path: str, name: str | None) -> Stack:
    """The bands of a GeoTIFF as maps, at the centres of their pixels."""
    rasterio = _library("rasterio", path, "geotiff")
    try:
        with rasterio.open(path) as raster:
            values = raster.read(masked=True).astype(float).filled(np.nan)
            named = [name for name in raster.descriptions if name]
            transform = raster.transform
            on_earth = raster.crs is not None and raster.crs.is_geographic
    except Exception as error:  # rasterio and GDAL raise errors of many kinds
        raise ValueError(f"{path}: cannot be read as GeoTIFF: {first_line(error)}") from None
    row, column = _indices(values.shape[1:])
    row, column = row + 0.5, column + 0.5
    x = transform.a * column + transform.b * row + transform.c
    y = transform.d * column + transform.e * row + transform.f
    return Stack(
        values.reshape(len(values), -1),
        values.shape[1:],
        np.stack([x, y], axis=1),
        named if len(named) == len(values) else None,
        axes=["longitude", "latitude"] if on_earth else None,
    )


def _library(name: str, path: str, extra: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError:
        raise ValueError(
            f"{path}: {Path(path).suffix} files need {name}: pip install 'spatgmm[{extra}]'"
        ) from None

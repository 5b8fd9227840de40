"""Maps on their locations, whatever their dimension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle

#: Behind the slices of a grid, where white would look like a value.
_BEHIND = "0.6"

#: Between slices, as a share of their width.
_GAP = 0.08

#: What shows through an image where a pixel is missing.
_MISSING = {"facecolor": "0.93", "hatch": "//////", "edgecolor": "0.6", "linewidth": 0}

#: How far a location may lie from its place in a grid, in steps.
_OFF = 0.05

#: A grid with more places than this for each location is none.
_SPARSE = 4


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the values of a map go in a picture.

    Attributes
    ----------
    coordinates : ndarray of shape (p, d)
    pixels : ndarray of int or None
        Number of the location at each pixel of an image (rows, columns[, slices]), -1 where there
        is none; None where locations are no grid.
    aspect : float
        Height of a pixel in units of its width.
    """

    coordinates: np.ndarray
    pixels: np.ndarray | None = None
    aspect: float = 1.0


def layout(coordinates: np.ndarray, shape: tuple[int, ...] | None = None) -> Layout:
    """How to show locations.

    The first coordinate lies across and the second rises, as longitude and latitude do; but of
    coordinates that count from 0, as grid indices, the first is the row of an image, from the top.
    Locations on a part of a grid, such as a mask, keep their places, and what they leave out is a
    hole.

    Parameters
    ----------
    coordinates : ndarray of shape (p, d)
    shape : tuple of int or None
        Grid shape of locations in C order, where it is known: decides where coordinates do not.
    """
    p, d = coordinates.shape
    if d == 2:
        found = _on_a_grid(coordinates)
        if found is not None:
            return found
    if d > 1 and shape is not None and len(shape) >= 2:
        return Layout(coordinates, np.arange(p).reshape(shape))
    return Layout(coordinates)


def _on_a_grid(coordinates: np.ndarray) -> Layout | None:
    """The picture of locations on a regular grid, all of it or a part."""
    codes, steps = [], []
    for values in coordinates.T:
        apart = np.diff(np.unique(values))
        apart = apart[apart > 1e-6 * np.ptp(values)] if len(apart) else apart
        step = apart.min() if len(apart) else 1.0
        place = (values - values.min()) / step
        if np.abs(place - np.round(place)).max() > _OFF:
            return None
        codes.append(np.round(place).astype(int))
        steps.append(step)
    sizes = [int(code.max()) + 1 for code in codes]
    if np.prod(sizes, dtype=float) > _SPARSE * len(coordinates):
        return None
    if len(np.unique(np.ravel_multi_index(codes, sizes))) < len(coordinates):
        return None
    if (coordinates.min(axis=0) == 0).all():
        (row, column), (high, wide) = codes, steps
    else:
        (column, row), (wide, high) = codes, steps
        row = row.max() - row
    pixels = np.full((row.max() + 1, column.max() + 1), -1)
    pixels[row, column] = np.arange(len(coordinates))
    return Layout(coordinates, pixels, high / wide)


def draw(ax, values: np.ndarray, place: Layout, **colours):
    """Draw the values of one map; ``colours`` are matplotlib's ``cmap``, ``vmin``, ``vmax``.

    A grid with slices is shown slice by slice, side by side. Missing pixels are hatched, missing
    ones of other locations crossed out; where there is no location, nothing is drawn.

    Returns
    -------
    matplotlib artist
        For a colour bar.
    """
    ax.set(xticks=[], yticks=[])
    if place.pixels is not None:
        image = np.where(place.pixels >= 0, values[place.pixels], np.nan)
        if image.ndim == 3:
            return _slices(ax, image, **colours)
        _hatch(ax, np.isnan(image) & (place.pixels >= 0))
        artist = ax.imshow(image, interpolation="nearest", **colours)
        ax.set_aspect(place.aspect)
        return artist
    missing = np.isnan(values)
    x = place.coordinates[:, 0]
    if place.coordinates.shape[1] == 1:
        return ax.scatter(x, values, c=values, s=6, **colours)
    y = place.coordinates[:, 1]
    ax.set_aspect("equal")
    ax.margins(0.08)
    ax.plot(x[missing], y[missing], "x", color="0.6", ms=2.5, mew=0.6)
    seen = ~missing
    return ax.scatter(
        x[seen], y[seen], c=values[seen], s=7, linewidths=0.2, edgecolors="0.5", **colours
    )


def _hatch(ax, missing: np.ndarray) -> None:
    """Hatch pixels, those of a row that touch in one piece."""
    for row, line in enumerate(missing):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], line, [0]])))
        for start, stop in edges.reshape(-1, 2):
            at = (start - 0.5, row - 0.5)
            ax.add_patch(Rectangle(at, stop - start, 1, zorder=0.5, **_MISSING))


def _slices(ax, image: np.ndarray, **colours):
    """Slices (rows, columns, slices) in a near-square arrangement, a gap between them."""
    rows, columns, slices = image.shape
    across = int(np.ceil(np.sqrt(slices)))
    # A little wider, if then no place stays empty.
    wider = range(across, int(1.8 * np.sqrt(slices)) + 1)
    across = next((k for k in wider if slices % k == 0), across)
    down, gap = -(-slices // across), _GAP * columns
    width, height = across * (columns + gap) - gap, down * (rows + gap) - gap
    ax.imshow([[0.0]], cmap=ListedColormap([_BEHIND]), extent=(0, width, height, 0))
    for number in range(slices):
        top, left = number // across * (rows + gap), number % across * (columns + gap)
        extent = (left, left + columns, top + rows, top)
        if np.isnan(image[:, :, number]).any():
            ax.add_patch(Rectangle((left, top), columns, rows, zorder=0.5, **_MISSING))
        artist = ax.imshow(
            image[:, :, number], interpolation="nearest", extent=extent, zorder=1, **colours
        )
    ax.set(xlim=(0, width), ylim=(height, 0))
    return artist

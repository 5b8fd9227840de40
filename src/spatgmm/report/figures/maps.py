"""One map on its locations, whatever their dimension."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import ListedColormap

from spatgmm.data import Dataset

#: Between the slices of a grid, where white would look like a value.
_GAP = "0.55"


def draw(ax, values: np.ndarray, data: Dataset, **colours):
    """Draw the values of one map; ``colours`` are matplotlib's ``cmap``, ``vmin``, ``vmax``.

    A grid with slices is shown slice by slice, side by side. Missing pixels are hatched, missing
    ones of other locations crossed out.

    Returns
    -------
    matplotlib artist
        For a colour bar.
    """
    ax.set(xticks=[], yticks=[])
    missing = np.isnan(values)
    if data.shape is not None and len(data.shape) >= 2:
        image, gap = values.reshape(data.shape), None
        if image.ndim == 3:
            image, gap = _mosaic(image)
            ax.imshow(np.where(gap, 0.0, np.nan), cmap=ListedColormap([_GAP]))
        if missing.any():
            ax.patch.set(facecolor="0.93", hatch="//////", edgecolor="0.6", linewidth=0)
        return ax.imshow(image, interpolation="nearest", **colours)
    x = data.coordinates[:, 0]
    if data.coordinates.shape[1] == 1:
        return ax.scatter(x, values, c=values, s=6, **colours)
    y = data.coordinates[:, 1]
    ax.set_aspect("equal")
    ax.margins(0.08)
    ax.plot(x[missing], y[missing], "x", color="0.6", ms=2.5, mew=0.6)
    seen = ~missing
    return ax.scatter(
        x[seen], y[seen], c=values[seen], s=7, linewidths=0.2, edgecolors="0.5", **colours
    )


def _mosaic(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slices (rows, columns, slices) in a near-square arrangement, and where the gaps are."""
    rows, columns, slices = image.shape
    across = int(np.ceil(np.sqrt(slices)))
    down = int(np.ceil(slices / across))
    mosaic = np.full((down * (rows + 1) - 1, across * (columns + 1) - 1), np.nan)
    gap = np.ones(mosaic.shape, dtype=bool)
    for number in range(slices):
        top, left = number // across * (rows + 1), number % across * (columns + 1)
        at = np.s_[top : top + rows, left : left + columns]
        mosaic[at], gap[at] = image[:, :, number], False
    return mosaic, gap

"""One map on its locations, whatever their dimension."""

from __future__ import annotations

import numpy as np

from spatgmm.data import Dataset


def draw(ax, values: np.ndarray, data: Dataset, **colours):
    """Draw the values of one map; ``colours`` are matplotlib's ``cmap``, ``vmin``, ``vmax``.

    A grid with slices is shown slice by slice, side by side.

    Returns
    -------
    matplotlib artist
        For a colour bar.
    """
    ax.set(xticks=[], yticks=[])
    if data.shape is not None and len(data.shape) >= 2:
        image = values.reshape(data.shape)
        if image.ndim == 3:
            image = _mosaic(image)
        return ax.imshow(image, interpolation="nearest", **colours)
    if data.coordinates.shape[1] == 1:
        ax.set_yticks([])
        return ax.scatter(data.coordinates[:, 0], values, c=values, s=6, **colours)
    x, y = data.coordinates[:, :2].T
    ax.set_aspect("equal")
    ax.margins(0.08)
    return ax.scatter(x, y, c=values, s=7, linewidths=0.2, edgecolors="0.5", **colours)


def _mosaic(image: np.ndarray) -> np.ndarray:
    """Slices (rows, columns, slices) in a near-square arrangement, a gap between them."""
    rows, columns, slices = image.shape
    across = int(np.ceil(np.sqrt(slices)))
    down = int(np.ceil(slices / across))
    mosaic = np.full((down * (rows + 1) - 1, across * (columns + 1) - 1), np.nan)
    for number in range(slices):
        top, left = number // across * (rows + 1), number % across * (columns + 1)
        mosaic[top : top + rows, left : left + columns] = image[:, :, number]
    return mosaic

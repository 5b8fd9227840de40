"""One map on its locations, whatever their dimension."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle

from spatgmm.data import Dataset

#: Behind the slices of a grid, where white would look like a value.
_BEHIND = "0.6"

#: Between slices, as a share of their width.
_GAP = 0.08

#: What shows through an image where a pixel is missing.
_MISSING = {"facecolor": "0.93", "hatch": "//////", "edgecolor": "0.6", "linewidth": 0}


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
        image = values.reshape(data.shape)
        if image.ndim == 3:
            return _slices(ax, image, **colours)
        if missing.any():
            ax.patch.set(**_MISSING)
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

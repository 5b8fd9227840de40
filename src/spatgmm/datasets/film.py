"""Radiochromic film: measured minus planned dose, in tiles of low and of high planned dose.

Source: package dosepy (L. Olivares; MIT licence), a measured film and its treatment plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

import numpy as np

from spatgmm.common.constraints import Integer, List, Number, Parameter, check_value
from spatgmm.common.locations import grid_coordinates
from spatgmm.data import Dataset

_PACKAGE = "dosepy"

VALUES = "dose difference (Gy)"
DISTANCE_UNIT = "mm"

DEFAULTS = {
    "tile": Parameter(8, Integer(2), "side of a tile, in pixels"),
    "fraction": Parameter(
        1 / 3,
        Number(above=0, most=0.5),
        "share of the tiles in each group: 1/3 keeps the outer thirds, 1/2 all tiles",
    ),
    # Pixels left of and above it, and what is left over at the far edges, are not used.
    "offset": Parameter(
        (0, 0), List(Integer(0), 2, 2), "row and column of the first tile's first pixel"
    ),
}


def missing(**settings) -> str | None:
    try:
        metadata.distribution(_PACKAGE)
    except metadata.PackageNotFoundError:
        return f"package {_PACKAGE} is not installed (pip install --no-deps {_PACKAGE}==0.12.2)"
    return None


def load(*, tile: int, fraction: float, offset: Sequence[int]) -> Dataset:
    """Residual tiles of a radiochromic film.

    The residual film - plan (Gy, 105 x 145 pixels of 1 mm) is cut into square tiles side by side;
    the tiles with the lowest and the highest mean planned dose are the two groups.  All tiles
    come from one film, and neighbouring tiles are not independent.

    Returns
    -------
    Dataset
        By default 156 tiles of 8 x 8 pixels, groups "low dose" and "high dose"; X in Gy.

    Raises
    ------
    ValueError
        If a setting is out of range.
    """
    film, plan = _maps()
    check_value("tile", tile, Integer(2, min(film.shape) // 2))
    check_value("offset", offset, List(Integer(0, tile - 1), 2, 2))

    residuals, doses = (_tiles(image, tile, offset) for image in (film - plan, plan))
    order = np.argsort(doses.mean(axis=1), kind="stable")
    size = int(np.floor(len(order) * fraction + 1e-9))  # 1e-9: 234 * (1/3) is 78, not 77
    if size < 2:
        raise ValueError(f"fraction {fraction!r} of {len(order)} tiles leaves groups below 2 tiles")
    chosen = np.concatenate([order[:size], order[-size:]])
    labels = np.repeat([0, 1], size)
    in_film = np.argsort(chosen)  # in the order of the film, so that order tells no group
    data = Dataset(
        X=residuals[chosen[in_film]],
        coordinates=grid_coordinates((tile, tile)),
        labels=labels[in_film],
        label_names=("low dose", "high dose"),
        shape=(tile, tile),
        description=(
            f"radiochromic film, {2 * size} tiles of {tile} x {tile} mm of measured minus "
            "planned dose"
        ),
        source=f"{_PACKAGE} {metadata.version(_PACKAGE)}, D_FILM.csv and D_TPS.csv",
    )
    return data


def _maps() -> tuple[np.ndarray, np.ndarray]:
    # Located through the installation's metadata: importing the package itself would need all
    # that its graphical program depends on.
    locate = metadata.distribution(_PACKAGE).locate_file
    film, plan = (
        np.loadtxt(locate(f"Dosepy/data/{file}.csv"), delimiter=",") for file in ("D_FILM", "D_TPS")
    )
    return film, plan


def _tiles(image: np.ndarray, tile: int, offset: Sequence[int]) -> np.ndarray:
    image = image[offset[0] :, offset[1] :]
    rows, columns = (m // tile for m in image.shape)
    image = image[: rows * tile, : columns * tile]
    tiles = image.reshape(rows, tile, columns, tile).swapaxes(1, 2)
    return tiles.reshape(rows * columns, tile * tile)

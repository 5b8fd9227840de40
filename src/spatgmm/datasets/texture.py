"""Texture: patches of two photographs, grass and gravel, after local standardisation.

Source: scikit-image's images grass and gravel (CC0, from CC0Textures).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from spatgmm.common.constraints import Integer, Parameter, check_value, optional
from spatgmm.common.locations import grid_coordinates
from spatgmm.data import Dataset

_IMAGES = ("grass", "gravel")

VALUES = "intensity (SD)"
DISTANCE_UNIT = "pixels"

DEFAULTS = {
    "patch": Parameter(16, Integer(2), "side of a patch, in pixels"),
    "per_image": Parameter(100, Integer(2), "number of patches drawn from each image"),
    "window": Parameter(
        65,
        optional(Integer(3)),
        "side of the standardisation window, in pixels, an odd number; None: the whole image",
    ),
    "seed": Parameter(1, Integer(0), "seed of the draw"),
}


def missing(**settings) -> str | None:
    try:
        import skimage.data  # noqa: F401
    except ImportError:
        return "package scikit-image is not installed (pip install scikit-image)"
    return None


def load(*, patch: int, per_image: int, window: int | None, seed: int) -> Dataset:
    """Patches of grass and gravel.

    Each image (512 x 512 grey values) is standardised locally: every pixel minus the mean,
    divided by the standard deviation, of the square window around it.  It is then cut into square
    patches side by side, of which some are drawn at random.

    Returns
    -------
    Dataset
        By default 200 patches of 16 x 16 pixels, groups "grass" and "gravel"; X without unit.

    Raises
    ------
    ValueError
        If a setting is out of range.
    """
    import skimage.data

    images = [getattr(skimage.data, name)().astype(float) for name in _IMAGES]
    size = min(min(image.shape) for image in images)
    check_value("patch", patch, Integer(2, size // 2))
    check_value("per_image", per_image, Integer(2, (size // patch) ** 2))
    check_value("window", window, optional(Integer(3, size)))
    if window is not None and window % 2 == 0:
        raise ValueError(f"window must be odd, to have a middle pixel, got {window}")

    rng = np.random.default_rng(seed)
    drawn = []
    for image in images:
        patches = _patches(_standardised(image, window), patch)
        drawn.append(patches[rng.choice(len(patches), size=per_image, replace=False)])
    if window is None:
        standardised = "standardised as a whole"
    else:
        standardised = f"standardised in windows of {window} pixels"
    data = Dataset(
        X=np.concatenate(drawn),
        coordinates=grid_coordinates((patch, patch)),
        labels=np.repeat(np.arange(len(_IMAGES)), per_image),
        label_names=_IMAGES,
        shape=(patch, patch),
        description=(
            f"{len(_IMAGES) * per_image} patches of {patch} x {patch} pixels of photographs of "
            f"{' and '.join(_IMAGES)}, {standardised}"
        ),
        source=f"scikit-image {skimage.__version__}, data.grass and data.gravel",
    )
    return data


def _standardised(image: np.ndarray, window: int | None) -> np.ndarray:
    if window is None:
        return (image - image.mean()) / image.std()
    mean = uniform_filter(image, window)
    variance = uniform_filter((image - mean) ** 2, window)
    return (image - mean) / np.sqrt(variance)


def _patches(image: np.ndarray, patch: int) -> np.ndarray:
    rows, columns = (m // patch for m in image.shape)
    image = image[: rows * patch, : columns * patch]
    patches = image.reshape(rows, patch, columns, patch).swapaxes(1, 2)
    return patches.reshape(rows * columns, patch * patch)

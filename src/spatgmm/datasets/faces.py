"""Faces: small grey images, faces and cut-outs without a face.

Source: ``lfw_subset`` of scikit-image (CC0), from "Labeled Faces in the Wild" (Huang, Ramesh, Berg
and Learned-Miller, 2007).
"""

from __future__ import annotations

import numpy as np

from spatgmm.common.constraints import FLAG, Parameter
from spatgmm.common.locations import grid_coordinates
from spatgmm.data import Dataset

_GROUPS = ("face", "other")

VALUES = "intensity"
DISTANCE_UNIT = "pixels"

DEFAULTS = {
    "standardise": Parameter(
        False, FLAG, "every image minus its mean, divided by its standard deviation"
    ),
}


def missing(**settings) -> str | None:
    try:
        import skimage.data  # noqa: F401
    except ImportError:
        return "package scikit-image is not installed (pip install scikit-image)"
    return None


def load(*, standardise: bool) -> Dataset:
    """One hundred faces, and one hundred cut-outs of photographs that show none.

    Returns
    -------
    Dataset
        200 images of 25 x 25 pixels, groups "face" and "other"; X from 0 (black) to 1 (white), or
        without unit where standardised.
    """
    import skimage.data

    images = skimage.data.lfw_subset()
    n, *shape = images.shape
    X = images.reshape(n, -1).astype(float)
    if standardise:
        X = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    return Dataset(
        X=X,
        coordinates=grid_coordinates(shape),
        # "100 first images are faces and subsequent 100 are non-faces" (lfw_subset).
        labels=np.repeat(np.arange(len(_GROUPS)), n // len(_GROUPS)),
        label_names=_GROUPS,
        shape=tuple(shape),
        description=(
            f"{n} grey images of {shape[0]} x {shape[1]} pixels, faces and others"
            + (", standardised one by one" if standardise else "")
        ),
        source=f"scikit-image {skimage.__version__}, data.lfw_subset",
    )

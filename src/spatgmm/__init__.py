"""SpatGMM: Gaussian mixtures for maps that differ in how they vary in space."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spatgmm.mixture import SpatialGaussianMixture
    from spatgmm.selection import select

__version__ = "0.1.0"
__all__ = ["SpatialGaussianMixture", "baselines", "datasets", "methods", "select", "simulate"]


def __getattr__(name: str):
    # Lazy: `snakemake` and the command line start without scipy, pandas and scikit-learn.
    if name == "SpatialGaussianMixture":
        return import_module("spatgmm.mixture").SpatialGaussianMixture
    if name == "select":
        return import_module("spatgmm.selection").select
    if name in __all__:
        return import_module(f"spatgmm.{name}")
    raise AttributeError(f"module 'spatgmm' has no attribute {name!r}")

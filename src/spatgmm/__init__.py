"""SpatGMM: Gaussian mixtures for maps that differ in how they vary in space.

Words, the same in code, configurations, columns and captions:

map
    One observation: a value at every location. A row of ``X`` (n, p).
location
    Where a value is: a row of ``coordinates`` (p, d). A pixel is a location of a grid.
component
    One normal distribution of the mixture, numbered from 0: weight, mean map, covariance.
cluster
    The maps that a method puts together; of a mixture, those of one component.
group
    The maps that belong together in truth, where that is known.
responsibility
    Probability that a map belongs to a component, given its values; (n, G).
covariance
    Of a component, between locations: ``a1*J + a2*D + a3*I``, ``J`` all ones, ``I`` the identity.
decay
    How covariance falls with distance: a function from 0 to 1, ``D`` its values.
shape
    The parameters of decay (``beta``) and metric, as against the coefficients ``alpha``; the sizes
    of a grid are its grid shape.
metric
    How far two locations are apart: whether distance has a direction.
sill, nugget, range
    Variance that distance explains, variance that it does not, and how far correlation reaches.
engine
    A way to compute the likelihood: a family of covariances, and maps in the form it asks for.
case
    The maps of a study at one point of what it varies: drawn from a scenario, or a data set's.
variant
    A method with its parameters, under the id that results carry.
study
    Cases met by variants, as a configuration asks for them.
replicate
    One draw of a scenario, or one repeated fit of a data set; numbered from 0.
row
    What is kept of one fit: one case, one variant, one replicate.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatgmm.mixture import SpatialGaussianMixture, load
    from spatgmm.selection import component_test, select

__version__ = "0.1.0"
__all__ = [
    "SpatialGaussianMixture",
    "baselines",
    "component_test",
    "datasets",
    "load",
    "methods",
    "plot",
    "select",
    "simulate",
]


def __getattr__(name: str) -> Any:
    # Lazy: `snakemake` and the command line start without scipy, pandas and scikit-learn.
    if name in ("SpatialGaussianMixture", "load"):
        return getattr(import_module("spatgmm.mixture"), name)
    if name in ("component_test", "select"):
        return getattr(import_module("spatgmm.selection"), name)
    if name in __all__:
        return import_module(f"spatgmm.{name}")
    raise AttributeError(f"module 'spatgmm' has no attribute {name!r}")

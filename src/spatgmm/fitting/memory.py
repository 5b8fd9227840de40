"""How much memory a fit takes by each likelihood, estimated before it begins.

Measured as the peak of a fit beyond what the process had (n = 50 and 100, G = 1 to 4, up to 65,536
locations): estimates are 0.9 to 2.2 times the peak, the most where data are small beside the
workspace.  Pairs of neighbours at irregular locations and windows with missing pixels are counted
where they are made (:mod:`spatgmm.covariance.neighbours`, :mod:`spatgmm.fitting.vecchia`): the
pairs come to 0.8 of the whole peak.
"""

from __future__ import annotations

from spatgmm import memory

#: What the search for starts and temporary arrays take whatever the size of the data.
_WORKSPACE = 130e6

#: Bytes of a number.
_NUMBER = 8


def estimate(
    likelihood: str, n: int, p: int, n_components: int, n_blocks: int, n_neighbors: int
) -> float:
    """Bytes that a fit takes at its peak.

    Parameters
    ----------
    likelihood : {"exact", "cosine", "vecchia"}
    n, p, n_components : int
        Maps, locations, components.
    n_blocks : int
        Blocks that the exact covariance falls into.
    n_neighbors : int
        For Vecchia.
    """
    data = _NUMBER * n * p
    if likelihood == "exact":
        # Scatter, factor and inverse of each component, and the products of a scoring step.
        return _WORKSPACE + 4 * data + (6 + 3 * n_components) * _NUMBER * p**2 / n_blocks
    if likelihood == "cosine":
        return _WORKSPACE / 4 + (2.6 + 0.35 * n_components) * data
    # Coefficients of windows with their places, for the covariances that are alive at a time; what
    # irregular locations need for their pairs of neighbours is known, and refused, there.
    windows = (_NUMBER + 4) * p * (min(n_neighbors, p - 1) + 1)
    return _WORKSPACE + 5 * data + (1 + 2 * n_components) * windows


def check(likelihood: str, n_bytes: float, n: int, p: int) -> None:
    """Refuse a fit that needs more memory than there is.

    Raises
    ------
    ValueError
        With both figures.
    """
    instead = {
        "exact": "likelihood='cosine' (complete grids) and 'vecchia' take less",
        "cosine": "take fewer maps or pixels",
        "vecchia": "take fewer maps, pixels or neighbours",
    }
    memory.check(
        n_bytes, f"likelihood={likelihood!r} with {n} maps at {p} locations", instead[likelihood]
    )

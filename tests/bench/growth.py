"""How cost grows with the number of maps n, of locations p and of components G; memory.

Of the spatial mixture, and of the search among parsimonious mixtures.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from measure import Measurement, in_a_fresh_process, side_by_side
from problems import ExactEM, draw

from spatgmm import SpatialGaussianMixture
from spatgmm.baselines.parsimonious import search_parsimonious

_PATHS = {"EM iteration, one dense block": False, "EM iteration, reflection blocks": True}
_DEFAULT = "default fit"
_PGMM, _PGMM_ITERATION = "PGMM, 12 models x 3 numbers of factors", "PGMM, iteration"

#: For what should be linear. Above 1 by what noise in the times can do.
_LINEAR = 1.1


def _spatial(shape, n, G) -> dict[str, float]:
    X, _ = draw(shape, n, G)
    functions = {}
    for what, symmetry in _PATHS.items():
        problem = ExactEM(shape, n, G, symmetry)
        functions[what] = lambda problem=problem: problem.after(1)
    functions[_DEFAULT] = lambda: SpatialGaussianMixture(G, coordinates=shape, random_state=0).fit(
        X
    )
    return side_by_side(functions)


def _parsimonious(shape, n, G) -> dict[str, float]:
    X, _ = draw(shape, n, G)
    tables = []
    search = side_by_side(
        {_PGMM: lambda: tables.append(search_parsimonious(X, G, random_state=0)[1])}
    )
    # How many iterations a fit takes is the data's affair.
    return search | {_PGMM_ITERATION: search[_PGMM] / tables[0]["n_iter"].sum()}


#: What varies, what is timed, and on which problems (grid, n, G).
_SERIES = {
    "n": ("n", _spatial, [((10, 10), n, 3) for n in (1250, 2500, 5000, 10_000, 20_000)]),
    "p": ("p", _spatial, [((m, m), 500, 2) for m in (8, 12, 16, 24, 32)]),
    "G": ("G", _spatial, [((10, 10), 2000, G) for G in (1, 2, 4, 8)]),
    "PGMM": (
        "p",
        _parsimonious,
        [(shape, 200, 2) for shape in ((5, 10), (10, 10), (10, 20), (20, 20), (20, 40))],
    ),
}
_TO_BE_LINEAR = ("n", "PGMM")


def run() -> tuple[list[Measurement], pd.DataFrame]:
    """Slopes on logarithmic axes, and the times they come from."""
    rows = []
    for series, (axis, times, problems) in _SERIES.items():
        for shape, n, G in problems:
            size = {"n": n, "p": int(np.prod(shape)), "G": G}
            rows += [
                {"series": series, "axis": axis, **size, "what": what, "seconds": seconds}
                for what, seconds in times(shape, n, G).items()
            ]
    times = pd.DataFrame(rows)
    measurements = []
    for (series, axis, what), group in times.groupby(["series", "axis", "what"], sort=False):
        slope = np.polyfit(np.log(group[axis]), np.log(group["seconds"]), 1)[0]
        smallest, largest = group[axis].min(), group[axis].max()
        bound = ("at most", _LINEAR) if series in _TO_BE_LINEAR else ()
        others = ", ".join(f"{o} = {group[o].iloc[0]}" for o in ("n", "p", "G") if o != axis)
        measurements.append(
            Measurement(
                "growth of time",
                f"{what}: power of {axis}, {smallest} to {largest}",
                slope,
                "",
                *bound,
                note=others,
            )
        )
    return measurements, times


def parsimonious_search(times: pd.DataFrame) -> list[Measurement]:
    """n = 200, p = 100, G = 2, from the times of :func:`run`."""
    chosen = times[(times["what"] == _PGMM) & (times["p"] == 100)].iloc[0]
    part = f"{_PGMM}, n = {chosen['n']}, p = {chosen['p']}, G = {chosen['G']}"
    return [Measurement(part, "time", chosen["seconds"], "s", "at most", 4)]


def memory() -> list[Measurement]:
    """n = 20,000, p = 100, G = 3."""
    shape, n, G = (10, 10), 20_000, 3
    X, _ = draw(shape, n, G)
    data = X.nbytes / 1e6
    fresh = in_a_fresh_process(X, shape, G)
    part = "memory, n = 20,000, p = 100, G = 3"
    return [
        Measurement(part, "data", data, "MB"),
        Measurement(part, "default fit", fresh["seconds"], "s"),
        Measurement(
            part,
            "growth of the peak / data",
            fresh["growth_mb"] / data,
            "x",
            "at most",
            3,
            "default fit in a fresh process, over the process with only the data loaded",
        ),
    ]

"""How cost grows with the number of maps n, of locations p and of components G; memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
from measure import Measurement, in_a_fresh_process, side_by_side
from problems import ExactEM, draw

from spatgmm import SpatialGaussianMixture

#: By what varies in them: problems (grid, n, G).
_SERIES = {
    "n": [((10, 10), n, 3) for n in (1250, 2500, 5000, 10_000, 20_000)],
    "p": [((m, m), 500, 2) for m in (8, 12, 16, 24, 32)],
    "G": [((10, 10), 2000, G) for G in (1, 2, 4, 8)],
}
_PATHS = {"EM iteration, one dense block": False, "EM iteration, reflection blocks": True}
_DEFAULT = "default fit"

#: Only this has a target: "time linear in n". Above 1 by what noise in the times can do.
_LINEAR = 1.1


def run() -> tuple[list[Measurement], pd.DataFrame]:
    """Slopes on logarithmic axes, and the times they come from."""
    rows = []
    for axis, problems in _SERIES.items():
        for shape, n, G in problems:
            size = {"n": n, "p": int(np.prod(shape)), "G": G}
            rows += [
                {"axis": axis, **size, "what": what, "seconds": seconds}
                for what, seconds in _times(shape, n, G).items()
            ]
    times = pd.DataFrame(rows)
    measurements = []
    for (axis, what), group in times.groupby(["axis", "what"], sort=False):
        slope = np.polyfit(np.log(group[axis]), np.log(group["seconds"]), 1)[0]
        smallest, largest = group[axis].min(), group[axis].max()
        bound = ("at most", _LINEAR) if axis == "n" else ()
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


def large() -> list[Measurement]:
    """Images, in a fresh process each, on all cores there are."""
    measurements = []
    limits = (((64, 64), 200, 90, 2048), ((128, 128), 100, np.inf, 8192))
    for shape, n, most_seconds, most_mebibytes in limits:
        part = f"default fit, {shape[0]}x{shape[1]}, n = {n}, G = 2"
        X, _ = draw(shape, n, 2)
        fresh = in_a_fresh_process(X, shape, 2)
        most_mb = most_mebibytes * 2**20 / 1e6
        bound = ("at most", most_seconds) if np.isfinite(most_seconds) else ()
        measurements += [
            Measurement(part, "time", fresh["seconds"], "s", *bound),
            Measurement(part, "exact EM iterations", fresh["n_iter"]),
            Measurement(part, "peak memory", fresh["peak_mb"], "MB", "at most", most_mb),
        ]
    return measurements


def _times(shape, n, G) -> dict[str, float]:
    X, _ = draw(shape, n, G)
    functions = {}
    for what, symmetry in _PATHS.items():
        problem = ExactEM(shape, n, G, symmetry)
        functions[what] = lambda problem=problem: problem.after(1)
    functions[_DEFAULT] = lambda: SpatialGaussianMixture(G, shape, random_state=0).fit(X)
    return side_by_side(functions)

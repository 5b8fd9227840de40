"""Large maps: time and memory of whole fits, standard errors included, by each likelihood.

Each fit has a process of its own, on all cores there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from measure import Measurement, in_a_fresh_process
from sklearn.metrics import adjusted_rand_score

from spatgmm import simulate
from spatgmm.common.locations import grid_coordinates

#: Complete images: side, number of maps, most seconds and megabytes.
_IMAGES = ((64, 200, 2, np.nan), (128, 100, 5, 500), (256, 100, 15, 1000), (512, 100, 60, np.nan))

#: Most memory at the largest images, times the data.
_TIMES_THE_DATA = 4

#: A decay that is a covariance at any size, and means that BIC grants a second component.
_MODEL = {"decay": "matern32", "mean": "constant"}


def run() -> list[Measurement]:
    """Images of 64x64 to 512x512, 10,000 irregular sites, a round mask, missing pixels."""
    measurements = []
    for side, n, seconds, megabytes in _IMAGES:
        X, truth = _drawn(side, n)
        data = X.nbytes / 1e6
        fresh = in_a_fresh_process(X, (side, side), 2, _MODEL, errors=True)
        part = f"{side}x{side}, n = {n}"
        measurements += _of_fit(part, fresh, truth, seconds)
        bound = ("at most", megabytes) if np.isfinite(megabytes) else ()
        memory = Measurement(part, "peak memory", fresh["peak_mb"], "MB", *bound)
        held = fresh["growth_mb"] + data
        times = Measurement(part, "data and what the fit adds / data", held / data, "x")
        if side == _IMAGES[-1][0]:
            times.bound, times.target = "at most", _TIMES_THE_DATA
        measurements += [memory, times]
    return measurements + _irregular() + _masked() + _missing()


def _irregular() -> list[Measurement]:
    side, n, count = 256, 100, 10_000
    rng = np.random.default_rng(0)
    chosen = rng.choice(side**2, count, replace=False)
    # Off the grid by less than values change over.
    sites = grid_coordinates((side, side))[chosen] + rng.uniform(-0.3, 0.3, size=(count, 2))
    X, truth = _drawn(side, n)
    fresh = in_a_fresh_process(X.reshape(n, -1)[:, chosen], sites, 2, _MODEL, errors=True)
    return _of_fit(f"{count:,} irregular sites, n = {n}", fresh, truth, 120)


def _masked() -> list[Measurement]:
    side, n = 128, 100
    (X, truth), at = _drawn(side, n), np.indices((side, side)) - (side - 1) / 2
    X[:, np.hypot(*at) > side / 2] = np.nan
    fresh = in_a_fresh_process(X, (side, side), 2, _MODEL | {"missing": "em"}, errors=True)
    return _of_fit(f"{side}x{side} in a round mask, n = {n}", fresh, truth, 60)


def _missing() -> list[Measurement]:
    side, n, share = 64, 200, 0.2
    X, truth = _drawn(side, n)
    X[np.random.default_rng(1).random(X.shape) < share] = np.nan
    fresh = in_a_fresh_process(X, (side, side), 2, _MODEL | {"missing": "em"}, errors=True)
    return _of_fit(
        f"{side}x{side}, {100 * share:.0f} % of pixels missing, n = {n}", fresh, truth, 60
    )


def _of_fit(part: str, fresh: dict[str, Any], truth: np.ndarray, seconds: float):
    ari = adjusted_rand_score(truth, fresh["labels"])
    return [
        Measurement(part, fresh["likelihood"], fresh["seconds"], "s", "at most", seconds),
        Measurement(part, "ARI", ari),
    ]


def _drawn(side: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, side, side), and their labels."""
    reaches = (side / 2, side / 4)  # correlation of a few pixels, whatever the size
    scenario = {
        "locations": {"grid": [side, side]},
        "n": n,
        "weights": [0.5, 0.5],
        "decay": "matern32",
        "components": [{"alpha": [1, -0.9, 0.5], "beta": beta} for beta in reaches],
    }
    data = simulate.draw(simulate.Scenario.from_config(f"large-{side}", scenario), 0, 0)
    return data.X.reshape(n, side, side), data.labels

"""How often tests, checks and intervals err, on maps of which is known what is right.

Shares of data sets: in which ``component_test`` finds one component more, in which ``diagnostics``
flag something, and in which 95 % intervals hold the truth where maps have heavy tails.  On all
cores; numbers are the same on any.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from joblib import Parallel, delayed, parallel_config
from measure import Measurement
from scipy.special import j0
from tqdm import tqdm

from spatgmm import SpatialGaussianMixture, component_test, simulate
from spatgmm.common.agreement import match, relabel_parameters
from spatgmm.data import Dataset

_CONFIG = Path(__file__).parents[2] / "config/paper.yaml"
_SCENARIOS = yaml.safe_load(_CONFIG.read_text(encoding="utf-8"))["scenarios"]

#: Of all maps; a fit's own seed is the number of the data set.
_ROOT_SEED = 2601

_SIDE = 10
_SHAPE = (_SIDE, _SIDE)

#: Level of the test, and how far from it its size may be.
_LEVEL, _OFF = 0.05, 0.03

#: Simulated sets of each test: the least for this level, since each takes seconds.
_N_BOOTSTRAP = 19

#: Shares of data sets that diagnostics may flag under a right model, and must under a wrong one.
_MAY_FLAG, _MUST_FLAG = 0.1, 0.9

#: Data sets of each kind.
_N_DIAGNOSED = _N_INTERVALS = 100

#: What the standard deviation is multiplied by from one side of the map to the other.
_UNEVEN = 2

#: Lengths of the waves of each component, in pixels.
_WAVES = (6, 9)

_Table = tuple[list[Measurement], pd.DataFrame]


def run() -> tuple[list[Measurement], dict[str, pd.DataFrame]]:
    """All measurements, and what they come from by name."""
    of_checks, checks = _diagnostics()
    of_intervals, intervals = _intervals()
    of_tests, tests = _component_test()
    tables = {"component_test": tests, "diagnostics": checks, "intervals": intervals}
    return of_tests + of_checks + of_intervals, tables


# -- the number of components ---------------------------------------------------------------------


def _grid(third: float | None = None) -> Mapping[str, Any]:
    """The study's `grid`, where asked for with a fifth of maps of a third component's beta."""
    grid = _SCENARIOS["grid"]
    if third is None:
        return grid
    components = [*grid["components"], grid["components"][0] | {"beta": third}]
    return grid | {"weights": [0.4, 0.4, 0.2], "components": components}


#: Maps, how many data sets of them, and the scenario.
_TESTED = (
    ("two components, beta 2.5 and 6", 200, _grid()),
    ("a third, beta 4", 50, _grid(4)),
    ("a third, beta 3.3", 50, _grid(3.3)),
)


def _component_test() -> _Table:
    """Two components against three, by default fits."""
    jobs = [
        (maps, partial(_p_value, maps, scenario, replicate))
        for maps, n_sets, scenario in _TESTED
        for replicate in range(n_sets)
    ]
    p_values = _all(jobs, "component tests")
    table = p_values.assign(rejected=p_values["p_value"] <= _LEVEL)
    table = table.groupby("maps", sort=False)["rejected"].agg(["size", "mean"]).reset_index()
    table.columns = ["maps", "sets", "rejected"]
    note = f"{_N_BOOTSTRAP} simulated sets each"
    measurements = [
        Measurement(f"component_test, {maps}", what, share, note=f"{n} data sets, {note}")
        for what, (maps, n, share) in zip(
            ["size", "power", "power"], table.itertuples(index=False), strict=True
        )
    ]
    off = abs(measurements[0].value - _LEVEL)
    what = f"size, off {_LEVEL} by"
    measurements.insert(1, Measurement(measurements[0].part, what, off, "", "at most", _OFF))
    return measurements, table


def _p_value(maps: str, scenario: Mapping[str, Any], replicate: int) -> dict[str, float]:
    X = _drawn(maps, scenario, replicate).X
    found = component_test(
        X, 2, n_bootstrap=_N_BOOTSTRAP, coordinates=_SHAPE, random_state=replicate
    )
    return {"p_value": found.p_value}


# -- whether the model is right -------------------------------------------------------------------


def _uneven(replicate: int) -> np.ndarray:
    scales = _UNEVEN ** np.linspace(0, 1, _SIDE)
    return _drawn("uneven", _grid(), replicate).X * np.repeat(scales, _SIDE)


def _stripes(replicate: int) -> np.ndarray:
    scenario = _SCENARIOS["stripes"]
    longer = [one | {"stripes": one["stripes"] | {"ratio": 2}} for one in scenario["components"]]
    return _drawn("stripes", scenario | {"components": longer}, replicate).X


def _waves(replicate: int) -> np.ndarray:
    """Waves of one length in all directions: the correlation ``J_0(2 pi h / length)``."""
    rng = np.random.default_rng([_ROOT_SEED, replicate])
    places = np.indices(_SHAPE).reshape(2, -1).T
    distances = np.sqrt(((places[:, None] - places) ** 2).sum(axis=-1))
    n, p = _SCENARIOS["grid"]["n"], len(places)
    noise, labels = rng.standard_normal((n, p)), rng.integers(len(_WAVES), size=n)
    X = np.empty((n, p))
    for g, length in enumerate(_WAVES):
        covariance = 0.7 * j0(2 * np.pi * distances / length) + 0.3 * np.eye(p)
        X[labels == g] = noise[labels == g] @ np.linalg.cholesky(covariance).T
    return X


_RIGHT_MODEL = "a right model"

#: Maps by what is wrong with the model of them.
_MAPS: dict[str, Callable[[int], np.ndarray]] = {
    _RIGHT_MODEL: lambda replicate: _drawn("right", _grid(), replicate).X,
    "correlation in waves": _waves,
    "correlation twice as far in one direction": _stripes,
    "a standard deviation that doubles across the map": _uneven,
}


def _diagnostics() -> _Table:
    """Two components of a sigmoid decay, by default fits."""
    jobs = [
        (maps, partial(_flags, maps, replicate))
        for maps in _MAPS
        for replicate in range(_N_DIAGNOSED)
    ]
    flags = _all(jobs, "diagnostics")
    flags["any"] = flags.drop(columns="maps").any(axis=1)
    table = flags.groupby("maps", sort=False).mean().reset_index()
    measurements = []
    for maps, found in table.set_index("maps")["any"].items():
        target = ("at most", _MAY_FLAG) if maps == _RIGHT_MODEL else ("at least", _MUST_FLAG)
        note = f"{_N_DIAGNOSED} data sets"
        part = f"diagnostics, {maps}"
        measurements.append(Measurement(part, "flagged", found, "", *target, note=note))
    return measurements, table


def _flags(maps: str, replicate: int) -> dict[str, bool]:
    """Whether each check flags."""
    X = _MAPS[maps](replicate)
    model = SpatialGaussianMixture(2, coordinates=_SHAPE, random_state=replicate).fit(X)
    checks = model.diagnostics(X).checks
    return dict(zip(checks["check"], checks["flagged"], strict=True))


# -- intervals under heavy tails ------------------------------------------------------------------

#: Degrees of freedom; share of maps of a larger variance, and how much larger.
_DF, _SHARE, _INFLATION = 5, 0.1, 4

#: By the tails of a model: the factors of maps that have them.
_FACTORS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "normal": lambda n, rng: np.ones(n),
    "t": lambda n, rng: np.sqrt(_DF / rng.chisquare(_DF, n)),
    "contaminated": lambda n, rng: np.where(rng.random(n) < _SHARE, np.sqrt(_INFLATION), 1.0),
}


def _intervals() -> _Table:
    """The study's `recovery`, its maps multiplied by factors, by fits of the same tails."""
    jobs = [
        (tails, partial(_covered, tails, replicate))
        for tails in _FACTORS
        for replicate in range(_N_INTERVALS)
    ]
    table = _all(jobs, "intervals").groupby("maps", sort=False).mean().reset_index()
    measurements = [
        Measurement(f"95 % intervals, {tails} tails", name, share, note=f"{_N_INTERVALS} data sets")
        for tails, shares in table.set_index("maps").iterrows()
        for name, share in shares.items()
    ]
    return measurements, table


def _covered(tails: str, replicate: int) -> dict[str, float]:
    """Share of components whose interval holds the truth, by parameter."""
    data = _drawn("recovery", _SCENARIOS["recovery"], replicate)
    rng = np.random.default_rng([_ROOT_SEED, replicate])
    X = data.X * _FACTORS[tails](len(data.X), rng)[:, None]
    model = SpatialGaussianMixture(2, coordinates=_SHAPE, tails=tails, random_state=replicate)
    matched = match(data.labels, model.fit(X).labels_, 2)
    found = relabel_parameters(model.standard_errors(X), matched)
    truth = np.column_stack([data.truth.weights, data.truth.alpha, data.truth.beta]).ravel()
    inside = (found["lower"] <= truth) & (truth <= found["upper"])
    return inside.groupby(found["parameter"], sort=False).mean().to_dict()


# -- what all need -------------------------------------------------------------------------------


def _drawn(name: str, scenario: Mapping[str, Any], replicate: int) -> Dataset:
    of_name = simulate.Scenario.from_config(f"calibration, {name}", scenario)
    return simulate.draw(of_name, replicate, _ROOT_SEED)


def _all(jobs: list[tuple[str, Callable[[], dict]]], what: str) -> pd.DataFrame:
    """A row for each job with the name of its maps, in this order."""
    with parallel_config("loky", n_jobs=-1, inner_max_num_threads=1):
        found = Parallel(return_as="generator")(delayed(_quietly)(job) for _, job in jobs)
        shown = tqdm(found, desc=what, total=len(jobs), unit=" sets", file=sys.stderr)
        rows = [{"maps": maps} | row for (maps, _), row in zip(jobs, shown, strict=True)]
    return pd.DataFrame(rows)


def _quietly(job: Callable[[], dict]) -> dict:
    """What fits and checks warn of is counted here, or beside the point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return job()

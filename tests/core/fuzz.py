"""Random data sets of every kind, and what a fit must be whatever the data.

``python fuzz.py --first SEED --count N`` fits N of them, from that seed on; the tests take the
first few of the same. A failure names its seed, and ``--first SEED --count 1`` repeats it alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay, metric
from spatgmm.covariance.geometry import scaled_distances
from spatgmm.fitting.outlying import OutlyingMapsWarning

#: A component with fewer expected maps than this is empty and has to be reported.
_MIN_MAPS = 1.5

#: The largest fall of the log-likelihood that counts as rounding, relative to its size.
_ROUNDING = 1e-8

#: No more maps than this, to fit thousands of data sets in minutes.
_MOST_MAPS = 250


@dataclass
class Problem:
    """A random data set and the settings to fit it with."""

    X: np.ndarray
    coordinates: np.ndarray
    n_components: int
    settings: dict

    def __str__(self) -> str:
        n, p = self.X.shape
        settings = {k: v if isinstance(v, str | int) else "array" for k, v in self.settings.items()}
        return f"n={n} p={p} d={self.coordinates.shape[1]} G={self.n_components} {settings}"


def problem(seed: int) -> Problem:
    """The data set of that seed."""
    rng = np.random.default_rng([26, seed])
    coordinates = _coordinates(rng)
    p, G = len(coordinates), int(rng.integers(1, 5))
    # Some fits have more components than the truth.
    truths = int(rng.integers(1, G + 1))
    n = int(np.clip(p * rng.choice([0.1, 0.3, 1, 3]), G + 2, _MOST_MAPS))
    labels = rng.choice(truths, size=n, p=rng.dirichlet(np.full(truths, 2.0)))
    X = np.empty((n, p))
    delta = scaled_distances(coordinates)
    spread = rng.choice([0.0, 0.0, 0.5, 5.0])
    for g in range(truths):
        rows = labels == g
        mean = spread * (rng.normal() if rng.random() < 0.5 else rng.normal(size=p))
        X[rows] = mean + rng.normal(size=(rows.sum(), p)) @ _root(delta, rng).T
    kind = rng.integers(6)
    if kind == 0:  # a few maps many times over
        rows = rng.integers(max(2, n // 4), size=n)
        while np.ptp(rows) == 0:  # maps that are all the same are refused, rightly
            rows = rng.integers(max(2, n // 4), size=n)
        X = X[rows]
    elif kind == 1:  # one map makes up a third of the data
        X[1::3] = X[0]
    X = X * 10.0 ** rng.integers(-6, 7) + rng.choice([0.0, 0.0, 1e6])
    settings = {"random_state": seed, "n_init": int(rng.choice([1, 4, 10])), "max_iter": 200}
    settings["mean"] = str(rng.choice(["free", "free", "free", "constant"]))
    init = rng.choice(["multistart", "multistart", "kmeans", "labels", "responsibilities"])
    if init == "labels":
        settings["init"] = np.concatenate([np.arange(G), rng.integers(G, size=n - G)])
    elif init == "responsibilities":
        settings["init"] = rng.dirichlet(np.full(G, rng.choice([0.05, 1.0])), size=n)
        settings["init"][:G] = np.eye(G)
    else:
        settings["init"] = str(init)
    if rng.random() < 0.5:
        X = _beyond_the_paper(settings, X, coordinates.shape[1], rng)
    return Problem(X, coordinates, G, settings)


def _beyond_the_paper(settings: dict, X: np.ndarray, d: int, rng: np.random.Generator):
    """Some of the model's options; the maps, some of their pixels missing where that is one."""
    metrics = {1: ["isotropic"], 2: metric.names(), 3: ["isotropic", "axes"]}[d]
    settings["decay"] = str(rng.choice(decay.names()))
    settings["metric"] = str(rng.choice(metrics))
    settings["variance"] = str(rng.choice(["constant", "constant", "location"]))
    settings["sharing"] = str(rng.choice(["none", "none", "beta", "alpha", "all"]))
    # Most maps are as they were: every pattern of missing pixels is work.
    few = rng.random(X.shape) * (rng.random(len(X)) < 0.2)[:, None] > 0.8
    few[:, 0] = few[0] = False
    if rng.random() < 0.3 and few.any():
        settings["missing"] = "em"
        return np.where(few, np.nan, X)
    return X


def _coordinates(rng: np.random.Generator) -> np.ndarray:
    """Lines, grids in two and three dimensions, and irregular locations, 2 to about 200."""
    kind = rng.choice(["line", "grid", "cube", "irregular"])
    if kind == "line":
        coordinates = grid_coordinates((int(rng.integers(2, 60)),))
    elif kind == "grid":
        coordinates = grid_coordinates(tuple(rng.integers(2, 15, size=2)))
    elif kind == "cube":
        coordinates = grid_coordinates(tuple(rng.integers(2, 7, size=3)))
    else:
        coordinates = rng.uniform(size=(int(rng.integers(4, 80)), int(rng.integers(1, 4))))
    if rng.random() < 0.2:  # a corner is missing: no grid any more
        coordinates = coordinates[: max(2, len(coordinates) - 1)]
    return coordinates * 10.0 ** rng.integers(-3, 4)


def _root(delta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A square root of a covariance, near the edge of the cone or far inside it."""
    p, kind = len(delta), rng.choice(["ordinary", "near-singular", "strongly correlated", "noise"])
    if kind == "noise":
        return np.eye(p)
    nugget = {"ordinary": rng.uniform(0.1, 1), "near-singular": 1e-8, "strongly correlated": 1e-3}
    baseline = 100.0 if kind == "strongly correlated" else rng.uniform(0, 0.5)
    covariance = baseline + np.exp(-rng.uniform(0.3, 6) * delta) + nugget[str(kind)] * np.eye(p)
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0))


def check(problem: Problem) -> None:
    """Fit, and raise AssertionError (or whatever the fit raises) where it is not as it must be."""
    model = SpatialGaussianMixture(
        problem.n_components, coordinates=problem.coordinates, **problem.settings
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(problem.X)
    announced = [str(w.message) for w in caught if w.category is ConvergenceWarning]
    # Random data may well hold maps that outlie.
    expected = (ConvergenceWarning, OutlyingMapsWarning)
    stray = [str(w.message) for w in caught if w.category not in expected]
    assert not stray, f"warnings: {stray}"

    trace = model.log_likelihood_trace_
    falls = np.diff(trace) / np.maximum(np.abs(trace[1:]), 1)
    assert not (falls < -_ROUNDING).any(), f"the log-likelihood falls by {-falls.min():.3g}"
    assert model.converged_ or any("did not converge" in text for text in announced)

    proba = model.predict_proba(problem.X)
    empty = np.flatnonzero(proba.sum(axis=0) < _MIN_MAPS * (1 - 1e-9)).tolist()
    assert model.empty_components_ == empty, f"empty {empty}, said {model.empty_components_}"
    assert not empty or any(str(empty) in text for text in announced), f"{empty} without warning"

    again = model.score_samples(problem.X).sum()
    size = max(abs(again), problem.X.size)
    assert abs(again - model.log_likelihood_) <= _ROUNDING * size, "not the fit's log-likelihood"

    public = {name: value for name, value in vars(model).items() if name.endswith("_")}
    public |= {"covariances_": model.covariances_, "distances_": model.distances_}
    public |= {"predict_proba": proba, "score_samples": model.score_samples(problem.X)}
    public |= {name: getattr(model, name)(problem.X) for name in ("bic", "aic", "icl", "score")}
    public |= {"sample": model.sample(3)[0], "correlogram": model.correlogram().to_numpy()}
    if model.missing == "em":
        public |= {"impute": model.impute(problem.X)}
    public |= {"geostatistics": model.geostatistics()["estimate"]}
    for name, value in public.items():
        if np.asarray(value).dtype.kind != "U":
            assert np.isfinite(np.asarray(value, dtype=float)).all(), f"{name} is not finite"
    _check_standard_errors(model, problem.X)


def _check_standard_errors(model: SpatialGaussianMixture, X: np.ndarray) -> None:
    """A standard error is a number, or a note or a warning says why there is none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        errors = model.standard_errors(X)
    stray = [str(w.message) for w in caught if "standard errors:" not in str(w.message)]
    assert not stray, f"warnings of standard_errors: {stray}"
    assert np.isfinite(errors["estimate"]).all()
    unexplained = errors[errors["std_error"].isna() & (errors["note"] == "")]
    assert caught or unexplained.empty, f"no standard error, and no word why:\n{unexplained}"
    assert not np.isinf(errors["std_error"]).any()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are the same as those of standard_errors
        known = model.geostatistics(X)["std_error"].dropna()
    assert (known > 0).all() and np.isfinite(known).all(), "standard errors of geostatistics"


def outcome(seed: int) -> str | None:
    """None if all is well with the data set of that seed, else what is not."""
    made = problem(seed)
    try:
        with threadpool_limits(1):
            check(made)
    except Exception as error:
        where = "" if isinstance(error, AssertionError) else traceback.format_exc()
        return f"seed {seed} ({made}): {type(error).__name__}: {error}\n{where}"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=2000, help="how many data sets")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.count)
    start, failures = time.perf_counter(), 0
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for done, failure in enumerate(pool.map(outcome, seeds), 1):
            if failure is not None:
                failures += 1
                print(failure, flush=True)
            if done % 100 == 0:
                print(f"{done} data sets, {time.perf_counter() - start:.0f} s", flush=True)
    print(f"{len(seeds)} data sets from seed {seeds.start} on: {failures} failed")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()

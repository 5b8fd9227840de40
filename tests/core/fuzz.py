"""Random data sets of every kind, and what a fit must be whatever the data.

``python fuzz.py --first SEED --count N`` fits N of them, from that seed on; the tests take the
first few of the same. A failure names its seed, and ``--first SEED --count 1`` repeats it alone.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay, metric
from spatgmm.covariance.geometry import scaled_distances
from spatgmm.covariance.grid import regular_grid
from spatgmm.fitting import outlying

#: A component with fewer expected maps than this is empty and has to be reported.
_MIN_MAPS = 1.5

#: The largest fall of the log-likelihood that counts as rounding, relative to its size.
_ROUNDING = 1e-8

#: No more maps than this, to fit thousands of data sets in minutes; fewer of many neighbours.
_MOST_MAPS, _MOST_FOR_VECCHIA = 250, 40

#: How likely a data set is of each unusual kind.
_TINY, _EXTREME, _OTHER_ENGINE, _CONTAINED = 0.05, 0.05, 0.4, 0.3

#: Coefficients whose variances, their squares, are numbers.
_SQUARED = (1e-120, 1e150)

#: Condition numbers in two norms, and those of a likelihood and of its covariance, differ by this.
_NORMS = 100


@dataclass
class Problem:
    """A random data set, the settings to fit it with, and what it is handed over in."""

    X: np.ndarray
    coordinates: np.ndarray
    n_components: int
    settings: dict
    container: str

    def __str__(self) -> str:
        n, p = self.X.shape
        settings = {k: v if isinstance(v, str | int) else "array" for k, v in self.settings.items()}
        return (
            f"n={n} p={p} d={self.coordinates.shape[1]} G={self.n_components} {self.container} "
            f"{settings}"
        )


def problem(seed: int) -> Problem:
    """The data set of that seed."""
    rng = np.random.default_rng([26, seed])
    coordinates = _coordinates(rng)
    p, G = len(coordinates), int(rng.integers(1, 5))
    # Some fits have more components than the truth.
    truths = int(rng.integers(1, G + 1))
    n = int(np.clip(p * rng.choice([0.1, 0.3, 1, 3]), G + 2, _MOST_MAPS))
    if rng.random() < _TINY:
        n = G + 1
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
        X[2::3] = X[0]
    if rng.random() < _EXTREME:
        X = X * 10.0 ** rng.integers(-145, 146)
    else:
        X = X * 10.0 ** rng.integers(-6, 7) + rng.choice([0.0, 0.0, 1e6])
    settings = {"random_state": seed, "n_init": int(rng.choice([1, 4, 10])), "max_iter": 200}
    settings["mean"] = str(rng.choice(["free", "free", "free", "constant"]))
    settings["init"] = _init(rng, n, G)
    if rng.random() < 0.5:
        X = _beyond_the_paper(settings, X, coordinates.shape[1], rng)
    if rng.random() < _OTHER_ENGINE:
        X, coordinates = _other_engine(settings, X, coordinates, rng)
    container = str(rng.choice(list(CONTAINERS))) if rng.random() < _CONTAINED else "array"
    if container == "float32":
        with np.errstate(over="ignore"):
            rounded = X.astype(np.float32).astype(float)
        if np.isinf(rounded).any() or (np.nanstd(rounded, axis=0) == 0).any():
            container = "array"
        else:
            X = rounded
    return Problem(X, coordinates, G, settings, container)


def _init(rng: np.random.Generator, n: int, G: int) -> str | np.ndarray:
    """Where to start from."""
    kind = rng.choice(["multistart", "multistart", "kmeans", "labels", "responsibilities"])
    if kind == "labels":
        return np.concatenate([np.arange(G), rng.integers(G, size=n - G)])
    if kind == "responsibilities":
        shares = rng.dirichlet(np.full(G, rng.choice([0.05, 1.0])), size=n)
        shares[:G] = np.eye(G)
        if rng.random() < 0.3:  # one component has all but nothing
            shares[:, 0] = 1e-12
            shares /= shares.sum(axis=1, keepdims=True)
        return shares
    return str(kind)


def _beyond_the_paper(settings: dict, X: np.ndarray, d: int, rng: np.random.Generator):
    """Some of the model's options; the maps, some of their pixels missing where that is one."""
    metrics = {1: ["isotropic"], 2: metric.names(), 3: ["isotropic", "axes", "additive"]}[d]
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


def _other_engine(settings: dict, X: np.ndarray, coordinates: np.ndarray, rng):
    """Another likelihood or mean; maps and locations, some left out of them, or of all maps."""
    means = ["free", "constant", "common", "zero", "smooth", "auto"]
    settings["mean"] = str(rng.choice(means, p=[0.25, 0.25, 0.2, 0.15, 0.1, 0.05]))
    settings["likelihood"] = str(rng.choice(["auto", "cosine", "vecchia", "vecchia"]))
    settings["n_neighbors"] = int(rng.choice([1, 3, 10, 60]))
    settings["variance"] = "constant"
    hole = np.linalg.norm(coordinates - coordinates[len(coordinates) // 3], axis=1)
    hole = hole < rng.choice([0.0, 0.3]) * hole.max()
    if rng.random() < 0.5 and (~hole).sum() > 2:
        X, coordinates = X[:, ~hole], coordinates[~hole]
    elif hole.any() and (~hole).sum() > 2:  # of no map
        X, settings["missing"] = np.where(hole, np.nan, X), "em"
        seen = ~np.isnan(X).all(axis=1)
        X[~seen] = np.where(hole, np.nan, 0.0)
    complete = settings.get("missing") != "em" and regular_grid(coordinates) is not None
    if settings["likelihood"] == "cosine" and not (
        complete and settings.get("metric") != "rotated"
    ):
        settings["likelihood"] = "vecchia"
    if settings["likelihood"] == "vecchia" or settings["mean"] == "auto":
        X = X[:_MOST_FOR_VECCHIA]
        settings["n_init"] = min(settings["n_init"], 4)
        if not isinstance(settings["init"], str):
            settings["init"] = "kmeans"
    return X, coordinates


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


def _memory_mapped(X: np.ndarray) -> np.memmap:
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, dtype=float, shape=X.shape)
    mapped[:] = X
    return mapped


def _read_only(X: np.ndarray) -> np.ndarray:
    X = X.copy()
    X.setflags(write=False)
    return X


#: What maps may come in, all with the same values.
CONTAINERS: dict[str, Callable[[np.ndarray], object]] = {
    "array": lambda X: X,
    "list": lambda X: X.tolist(),
    "objects": lambda X: X.astype(object),
    "masked": np.ma.masked_invalid,
    "frame": lambda X: pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]),
    "fortran": np.asfortranarray,
    "float32": lambda X: X.astype(np.float32),
    "read-only": _read_only,
    "memory-mapped": _memory_mapped,
    "reversed": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
}

#: Warnings that a fit may give, and whether this one had a reason to.
RIGHTFUL: dict[str, Callable[[SpatialGaussianMixture, np.ndarray], bool]] = {
    r"did not converge": lambda model, X: not model.converged_,
    r"fewer than \S+ maps in each": lambda model, X: bool(model.empty_components_),
    r"nearly singular": lambda model, X: condition(model) > 1e9 / _NORMS / X.shape[1],
    r"outlying maps": lambda model, X: _has_outlying(model, X),
    r"columns are constant": lambda model, X: bool((np.nanstd(X, axis=0) == 0).any()),
    r"at the edge of": lambda model, X: bool((smallest_eigenvalues(model) < 0.1).any()),
    r"at its (lower|upper) bound": lambda model, X: _extreme(model),
    r"only one of the starts": lambda model, X: (
        model.starts_["n_starts"][0] == 1
        and model.log_likelihood_ - model.starts_["log_likelihood"][1] > 20
    ),
}


def matrices(model: SpatialGaussianMixture) -> list[np.ndarray]:
    """The covariances of standardised maps divided by the scales, as the likelihood has them."""
    there = model.observed_locations_
    if model.likelihood_ != "exact":
        unit = np.eye(there.sum())
        return [np.linalg.inv(c.solve([unit])[0]) for c in model._mixture.covariances]
    units = model._units.scale**2 * np.outer(model.scales_[there], model.scales_[there])
    return [matrix[np.ix_(there, there)] / units for matrix in model.covariances_]


def smallest_eigenvalues(model: SpatialGaussianMixture) -> np.ndarray:
    """In units of the nugget."""
    smallest = [np.linalg.eigvalsh(matrix)[0] for matrix in matrices(model)]
    return smallest / np.abs(model.alpha_[:, 2] / model._units.scale**2)


def _has_outlying(model: SpatialGaussianMixture, X: np.ndarray) -> bool:
    """Whether some maps are beyond all measure, or a component is a bag of them."""
    whole = np.full((len(X), len(model.observed_locations_)), np.nan)
    whole[:, model.observed_locations_] = X
    _, mixture, maps = model._seen(whole)
    _, responsibilities = mixture.expectation(maps)
    found = outlying.bags(mixture, responsibilities, mixture.deviations(maps))
    return bool(outlying.beyond(X).any() or found)


def _extreme(model: SpatialGaussianMixture) -> bool:
    kernel = model._engine.family.kernel
    lower, upper = np.array(kernel.lower), np.array(kernel.upper)
    near = 0.011 * np.maximum(np.abs(model.shape_), 1e-4)
    return bool((np.abs(model.shape_ - [[lower], [upper]]) <= near).any())


def condition(model: SpatialGaussianMixture) -> float:
    """The largest condition number of the covariances."""
    return max(np.linalg.cond(matrix) for matrix in matrices(model))


def check(problem: Problem) -> None:
    """Fit, and raise AssertionError (or whatever the fit raises) where it is not as it must be."""
    model, caught = _fitted(problem, problem.container)
    there = model.observed_locations_
    announced = [str(w.message) for w in caught]
    for text in announced:
        kinds = [true for pattern, true in RIGHTFUL.items() if re.search(pattern, text)]
        assert kinds, f"stray warning: {text}"
        assert kinds[0](model, problem.X[:, there]), f"a warning that is not so: {text}"

    trace = model.log_likelihood_trace_
    falls = np.diff(trace) / np.maximum(np.abs(trace[1:]), 1)
    assert not (falls < -_ROUNDING).any(), f"the log-likelihood falls by {-falls.min():.3g}"
    assert model.converged_ or any("did not converge" in text for text in announced)

    X = CONTAINERS[problem.container](problem.X)
    proba = model.predict_proba(X)
    empty = np.flatnonzero(proba.sum(axis=0) < _MIN_MAPS * (1 - 1e-9)).tolist()
    assert model.empty_components_ == empty, f"empty {empty}, said {model.empty_components_}"
    named = f"(labels_ {', '.join(map(str, empty))})"
    assert not empty or any(named in text for text in announced), f"{empty} without warning"

    again = model.score_samples(X).sum()
    size = max(abs(again), problem.X.size)
    assert abs(again - model.log_likelihood_) <= _ROUNDING * size, "not the fit's log-likelihood"
    if problem.container != "array":
        plain, _ = _fitted(problem, "array")
        assert plain.log_likelihood_ == model.log_likelihood_, "the container makes a difference"
        assert (plain.labels_ == model.labels_).all(), "the container makes a difference"

    public = {name: value for name, value in vars(model).items() if name.endswith("_")}
    public |= {name: public[name][..., there] for name in ("means_", "scales_")}
    public |= {"covariances_": model.covariances_[:, there][..., there]}
    public |= {"distances_": model.distances_}
    public |= {"predict_proba": proba, "score_samples": model.score_samples(X)}
    public |= {name: getattr(model, name)(X) for name in ("bic", "aic", "icl", "score")}
    public |= {"sample": model.sample(3)[0][:, there], "correlogram": model.correlogram()}
    if model.missing == "em":
        public |= {"impute": model.impute(X)[:, there]}
    public |= {"geostatistics": model.geostatistics()["estimate"]}
    for name, value in public.items():
        if np.asarray(value).dtype.kind not in "UO":
            assert np.isfinite(np.asarray(value, dtype=float)).all(), f"{name} is not finite"
    if _SQUARED[0] < np.abs(model.alpha_).max() < _SQUARED[1]:
        _check_standard_errors(model, X)


def _fitted(problem: Problem, container: str) -> tuple[SpatialGaussianMixture, list]:
    """The fit of maps in such a container, and the warnings that it gave."""
    model = SpatialGaussianMixture(
        problem.n_components, coordinates=problem.coordinates, **problem.settings
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(CONTAINERS[container](problem.X))
    return model, caught


def _check_standard_errors(model: SpatialGaussianMixture, X) -> None:
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

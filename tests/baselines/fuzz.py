"""Random data, containers and settings for the baselines, and what a fit must be whatever they are.

``python fuzz.py --first SEED --count N`` fits N of them; the tests take the first few of the same.
"""

from __future__ import annotations

import argparse
import sys
import traceback
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from spatgmm.baselines import COPO, MatrixNormalMixture, ParsimoniousGaussianMixture
from spatgmm.baselines.options import MODELS
from spatgmm.baselines.parsimonious import largest_n_factors

#: The largest fall of the log-likelihood that counts as rounding, relative to its size.
_ROUNDING = 1e-8


@dataclass
class Problem:
    """A random data set in some container, and the estimator to fit it."""

    expected: np.ndarray
    X: Any
    estimator: Any

    def __str__(self) -> str:
        n, p = self.expected.shape
        settings = self.estimator.get_params()
        settings = {k: "array" if np.ndim(v) else v for k, v in settings.items()}
        container = type(self.X).__name__
        return f"{type(self.estimator).__name__} n={n} p={p} {container} {settings}"


def problem(seed: int) -> Problem:
    """The data set and estimator of that seed."""
    rng = np.random.default_rng([31, seed])
    G = int(rng.integers(1, 5))
    shape = tuple(int(side) for side in rng.integers(1, 7, size=2))
    p = int(np.prod(shape))
    n = G + 1 + int(rng.choice([0, 1, 5, 20, 60, 150]))
    X = _values(rng, n, p, G)
    settings = {"n_components": G, "random_state": seed}
    kind = rng.choice(["pgmm", "pgmm", "mmn", "copo"])
    if kind == "pgmm" and largest_n_factors(p) < 1:
        kind = "mmn"
    if kind != "copo":
        settings |= {
            "n_init": int(rng.choice([1, 3, 6])),
            "max_iter": int(rng.choice([1, 20, 200])),
        }
        settings["init"] = _start(rng, n, G)
    if kind == "pgmm":
        most = min(3, largest_n_factors(p))
        settings |= {"n_factors": int(rng.integers(1, most + 1)), "model": str(rng.choice(MODELS))}
        estimator = ParsimoniousGaussianMixture(**settings)
    elif kind == "mmn":
        estimator = MatrixNormalMixture(shape=shape, **settings)
    else:
        rank = None if rng.random() < 0.5 else int(rng.integers(1, min(n, p) + 1))
        estimator = COPO(rank=rank, n_iter=int(rng.choice([1, 10])), **settings)
    return Problem(X, _contained(rng, X), estimator)


def _values(rng: np.random.Generator, n: int, p: int, G: int) -> np.ndarray:
    labels = rng.integers(int(rng.integers(1, G + 1)), size=n)
    X = rng.standard_normal((n, p)) + rng.choice([0, 1, 10]) * rng.standard_normal((G, p))[labels]
    kind = rng.integers(9)
    if kind == 0:  # a few rows many times over
        X = X[np.append([0, 1], rng.integers(max(2, n // 4), size=n - 2))]
    elif kind == 1:  # columns that are constant, or each other's copies
        X[:, rng.random(p) < 0.5] = 1.0
        X[:, -1] = np.arange(n)
    elif kind == 2:
        X = X * 10.0 ** rng.integers(-5, 6, size=p)
    elif kind == 3:  # heavy tails
        X = rng.standard_cauchy((n, p))
    elif kind == 4:  # on a line
        X = np.outer(np.arange(n), rng.standard_normal(p) + 3)
    elif kind == 5:  # whole numbers of few kinds
        X = np.round(X)
        X[0, 0], X[1, 0] = -3, 3
    elif kind == 6:  # one row far away
        X[-1] *= 1e6
    return X * 10.0 ** rng.choice([0, 0, 0, -130, -20, 20, 130]) + rng.choice([0, 0, 1e4])


def _start(rng: np.random.Generator, n: int, G: int) -> Any:
    kind = rng.choice(["default", "kmeans", "random", "labels", "words", "one-hot", "lonely"])
    if kind == "default":
        return None
    labels = np.concatenate([np.arange(G), rng.integers(G, size=n - G)])
    if kind == "labels":
        return labels
    if kind == "words":
        return np.array(list("abcd"))[labels]
    if kind == "one-hot":
        return np.eye(G)[labels]
    if kind == "lonely":  # components that share all but nothing with a single row
        almost = np.full((n, G), 1e-12 / G)
        almost[:, 0] += 1 - 1e-12
        return almost
    return str(kind)


def _contained(rng: np.random.Generator, X: np.ndarray) -> Any:
    kind = rng.integers(7)
    if kind == 0:
        return pd.DataFrame(X, columns=[f"pixel {i}" for i in range(X.shape[1])])
    if kind == 1:
        return X.tolist()
    if kind == 2:
        return np.ma.masked_array(X, mask=np.zeros(X.shape, dtype=bool))
    if kind == 3:
        return X.astype(object)
    if kind == 4:
        return np.asfortranarray(X)
    if kind == 5:
        return np.repeat(X, 2, axis=1)[:, ::2]
    return X


def check(made: Problem) -> None:
    """Fit, and raise AssertionError (or whatever the fit raises) where it is not as it must be."""
    model = made.estimator
    if np.ptp(made.expected, axis=0).max() <= 1e-14 * np.abs(made.expected).max():
        return  # equal rows, which are refused, rightly
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(made.X)
        except ValueError as refusal:
            # Fewer kinds of rows than clusters have no answer in every method; COPO takes fourth
            # powers.
            rightful = ("distinct", "fourth power overflows")
            assert any(word in str(refusal) for word in rightful), f"refused: {refusal}"
            return
        again = model.predict(made.X)
    announced = [str(w.message) for w in caught if issubclass(w.category, ConvergenceWarning)]
    stray = [str(w.message) for w in caught if not issubclass(w.category, ConvergenceWarning)]
    assert not stray, f"warnings: {stray}"
    for name, value in vars(model).items():
        if name.endswith("_") and np.asarray(value).dtype.kind in "iufb":
            assert np.isfinite(np.asarray(value, dtype=float)).all(), f"{name} is not finite"
    assert model.labels_.shape == (len(made.expected),)
    if isinstance(model, COPO):
        assert model.labels_.max() < model.n_components
        return
    np.testing.assert_array_equal(again, model.labels_)
    trace = model.log_likelihood_trace_
    falls = np.diff(trace) / np.maximum(np.abs(trace[1:]), made.expected.size)
    assert not (falls < -_ROUNDING).any(), f"the log-likelihood falls by {-falls.min():.3g}"
    assert model.converged_ or any("did not converge" in text for text in announced)
    total = model.score_samples(made.X).sum()
    size = max(abs(total), made.expected.size)
    assert abs(total - model.log_likelihood_) <= 1e-7 * size, "not the fit's log-likelihood"
    shares = model.predict_proba(made.X)
    assert np.isfinite(shares).all() and np.allclose(shares.sum(axis=1), 1)


def outcome(seed: int) -> str | None:
    """None if all is well with that seed, else what is not."""
    made = problem(seed)
    try:
        check(made)
    except Exception as error:
        where = "" if isinstance(error, AssertionError) else traceback.format_exc()
        return f"seed {seed} ({made}): {type(error).__name__}: {error}\n{where}"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=2000, help="how many data sets")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.count)
    failures = [failure for failure in map(outcome, seeds) if failure is not None]
    print(*failures, f"{len(seeds)} data sets from seed {seeds.start} on: {len(failures)} failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()

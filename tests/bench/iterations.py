"""One exact EM iteration against the calls it cannot avoid, and standard errors against it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from measure import Measurement, side_by_side
from problems import ExactEM
from scipy.linalg import blas, lapack

from spatgmm.fitting.estimates import Estimates
from spatgmm.fitting.information import observed_information

#: Iterations timed in a row.
_N_ITERATIONS = 3


def against_unavoidable_calls() -> list[Measurement]:
    """p = 1024 (32x32), n = 500, G = 2."""
    part, shape, n, G = "EM iteration, 32x32, n = 500, G = 2", (32, 32), 500, 2
    dense = ExactEM(shape, n, G, symmetry=False)
    blocks = ExactEM(shape, n, G, symmetry=True)
    seconds = side_by_side(
        {
            "calls": _unavoidable(np.prod(shape), n, G),
            "dense": lambda: dense.after(_N_ITERATIONS),
            "blocks": lambda: blocks.after(_N_ITERATIONS),
        }
    )
    per_iteration = {name: seconds[name] / _N_ITERATIONS for name in ("dense", "blocks")}
    return [
        Measurement(part, "unavoidable calls", seconds["calls"], "s"),
        Measurement(part, "one dense block", per_iteration["dense"], "s"),
        Measurement(part, "reflection blocks", per_iteration["blocks"], "s"),
        Measurement(
            part,
            "one dense block / unavoidable calls",
            per_iteration["dense"] / seconds["calls"],
            "x",
            "at most",
            1.5,
            "per component dtrsm n x p, dsyrk, dpotrf, dpotri, two p x p products",
        ),
        Measurement(
            part,
            "one dense block / reflection blocks",
            per_iteration["dense"] / per_iteration["blocks"],
            "x",
            "at least",
            5,
        ),
        Measurement(
            part,
            "largest relative difference of the two paths",
            _difference(dense, blocks),
            "",
            "at most",
            1e-8,
            f"log-likelihood and parameters after {_N_ITERATIONS} iterations",
        ),
    ]


def standard_errors() -> list[Measurement]:
    """p = 400 (20x20), n = 500, G = 2, in units of EM iterations on the same path."""
    part, measurements = "standard errors, 20x20, n = 500, G = 2", []
    for path, symmetry in (("one dense block", False), ("reflection blocks", True)):
        problem = ExactEM((20, 20), 500, 2, symmetry)
        mixture = problem.after(20)
        estimates = Estimates(mixture, problem.model, 1.0, np.ones(1))
        seconds = side_by_side(
            {
                "iterations": lambda problem=problem: problem.after(_N_ITERATIONS),
                "errors": lambda e=estimates, problem=problem: observed_information(
                    e, problem.maps
                ),
            }
        )
        ratio = seconds["errors"] / (seconds["iterations"] / _N_ITERATIONS)
        measurements += [
            Measurement(part, f"{path}: standard errors", seconds["errors"], "s"),
            Measurement(
                part,
                f"{path}: standard errors / EM iteration",
                ratio,
                "x",
                "at most",
                5,
                "a few EM iterations",
            ),
        ]
    return measurements


def _unavoidable(p: int, n: int, n_components: int) -> Callable[[], None]:
    """What any EM iteration calls, on matrices laid out as BLAS and LAPACK like them best."""
    Xi = np.full((p, p), 0.1, order="F")
    np.einsum("ii->i", Xi)[:] += 1.0
    factor, _ = lapack.dpotrf(Xi, lower=1)
    residuals = np.asfortranarray(np.random.default_rng(0).standard_normal((p, n)))

    def call() -> None:
        for _ in range(n_components):
            blas.dtrsm(1.0, factor, residuals, lower=1)
            blas.dsyrk(1.0, residuals, lower=1)
            lapack.dpotrf(Xi, lower=1)
            lapack.dpotri(factor, lower=1)
            blas.dgemm(1.0, Xi, Xi)
            blas.dgemm(1.0, Xi, Xi)

    return call


def _difference(dense: ExactEM, blocks: ExactEM) -> float:
    """Largest difference of log-likelihood, weights, means and theta, relative to each."""
    largest = 0.0
    for a, b in zip(_results(dense), _results(blocks), strict=True):
        largest = max(largest, float(np.abs(a - b).max() / np.abs(a).max()))
    return largest


def _results(problem: ExactEM) -> tuple:
    mixture = problem.after(_N_ITERATIONS)
    geometry = problem.family.geometry
    means = [np.stack(block) for block in zip(*mixture.means, strict=True)]
    log_likelihood, _ = mixture.expectation(problem.maps)
    return log_likelihood, mixture.weights, geometry.rotate_back(means), *mixture.thetas.T

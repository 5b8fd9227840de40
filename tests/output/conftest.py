"""A made-up run: plausible rows under the row contract, so that outputs are tested without fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from spatgmm import simulate
from spatgmm.report import registry
from spatgmm.report.results import Results
from spatgmm.study import aggregate, cases, config, design, outputs, parquet

ROOT_SEED = 7
REPLICATES = 6

#: ARI of the made-up fits, by plug-in; others come out near 0.
ARI = {"truth": 0.97, "spatgmm": 0.96, "spatgmm-gls": 0.6}


def raw_config(**changes) -> dict:
    """A configuration that fills every table and figure."""
    components = [{"alpha": [1, -0.9, 0.3], "beta": 2.5}, {"alpha": [1.2, -0.8, 0.3], "beta": 7}]

    def scenario(locations):
        return {"locations": locations, "n": 60, "weights": [0.5, 0.5], "components": components}

    base = {
        "name": "made-up",
        "root_seed": ROOT_SEED,
        "scenarios": {
            "recovery": scenario({"grid": [6, 6]}),
            "grid": scenario({"grid": [6, 6]}),
            "irregular": scenario({"uniform": 30, "dimensions": 2, "seed": 1}),
            "cube": scenario({"grid": [3, 3, 3]}),
            "stripes": scenario({"grid": [5, 5]})
            | {
                "components": [
                    {"alpha": [1, -0.8, 0.9], "beta": 3, "stripes": {"angle": angle, "ratio": 1}}
                    for angle in (45, 135)
                ]
            },
        },
        "datasets": {
            "film-raw": {"load": "film", "centred": False},
            "film-centred": {"load": "film", "centred": True},
            "raman-raw": {"load": "raman", "centred": False},
        },
        "methods": {
            "spatgmm-se": {"plugin": "spatgmm", "standard_errors": True},
            "gls-single": {"plugin": "spatgmm-gls", "init": "kmeans"},
            "spatgmm-rotated": {"plugin": "spatgmm", "metric": "rotated"},
        },
        "studies": {
            "recovery": {
                "scenarios": ["recovery"],
                "vary": {"n": [60, 240]},
                "methods": ["spatgmm-se"],
                "replicates": REPLICATES,
            },
            "comparison": {
                "scenarios": ["grid", "irregular", "cube"],
                "methods": ["spatgmm", "spatgmm-gls", "gmm-diag", "kmeans", "truth", "random"],
                "replicates": REPLICATES,
            },
            "film": {
                "datasets": ["film-raw", "film-centred"],
                "methods": ["spatgmm-se", "gmm-diag", "kmeans"],
            },
            "raman": {"datasets": ["raman-raw"], "methods": ["spatgmm-se", "kmeans"]},
            "stability": {
                "scenarios": ["grid"],
                "vary": {"method.beta_init": [0.5, 1, 2, 4]},
                "methods": ["gls-single", "spatgmm"],
                "replicates": REPLICATES,
            },
            "stability-multistart": {"scenarios": ["grid"], "methods": ["spatgmm-gls"]},
            "coordinates": {
                "scenarios": ["grid"],
                "vary": (
                    distorted := [
                        {"distort.permute": 0},
                        {"distort.permute": 1},
                        {"distort.jitter": 0.5},
                        {"distort.stretch": 2},
                        {"distort.stretch": 4},
                    ]
                ),
                "methods": ["spatgmm"],
                "replicates": REPLICATES,
            },
            "coordinates-real": {
                "datasets": ["film-centred"],
                "vary": distorted,
                "methods": ["spatgmm"],
            },
            "anisotropy": {
                "scenarios": ["stripes"],
                "vary": [
                    {f"components.{g}.stripes.ratio": ratio for g in (0, 1)} for ratio in (1, 2)
                ],
                "methods": ["spatgmm", "spatgmm-rotated", "kmeans", "truth"],
                "replicates": REPLICATES,
            },
            "selection": {
                "scenarios": ["grid"],
                "vary": {"method.n_components": [1, 2, 3]},
                "methods": ["spatgmm"],
                "replicates": REPLICATES,
            },
            "sweep": {
                "scenarios": ["grid"],
                "vary": {"n": [60, 90], "components.1.beta": [5, 7]},
                "methods": ["spatgmm", "kmeans"],
                "replicates": REPLICATES,
            },
            "selection-decay": {
                "scenarios": ["grid"],
                "vary": {"method.decay": ["sigmoid", "exponential"]},
                "methods": ["spatgmm-se"],
                "replicates": REPLICATES,
            },
        },
        "outputs": [
            *(f"table{k}" for k in range(1, 11)),
            *(f"figure{k}" for k in range(1, 12)),
        ],
    }
    return base | changes


def make_run(directory: Path, raw: dict, spoil=None):
    """Data and rows of a run.

    Parameters
    ----------
    directory : Path
        Becomes ``results/<name>``.
    raw : dict
        Configuration as in a file.
    spoil : callable or None
        Changes each row in place, for what a real run may hold.

    Returns
    -------
    tuple of (config, directory)
    """
    resolved = config.resolve(raw)
    work, problems = design.expand(resolved)
    assert not problems
    for case in work.cases.values():
        _data(case).save(cases.data_path(directory, case.id))
    made = []
    for (case, method), replicates in work.replicates().items():
        for replicate in range(replicates):
            row = _row(work, directory, case, method, replicate)
            if spoil is not None:
                spoil(row)
            made.append(row)
    parquet.write(directory / "fits.parquet", made)
    aggregate.write_design(directory, work)
    return resolved, directory


@pytest.fixture(scope="session")
def made_up():
    """What tests need to make up runs of their own."""
    return SimpleNamespace(
        make_run=make_run,
        raw_config=raw_config,
        fail=fail,
        REPLICATES=REPLICATES,
        ROOT_SEED=ROOT_SEED,
    )


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """(config, directory) of a run with some failed and some unsupported fits."""

    def spoil(row):
        if row["method"] == "gmm-diag" and row["case"] == "irregular":
            fail(row, "unsupported", "needs a grid of rows and columns")
        if row["method"] == "spatgmm-gls" and row["case"] == "grid" and row["replicate"] < 2:
            fail(row, "failed", "LinAlgError: 3-th leading minor not positive definite")

    return make_run(tmp_path_factory.mktemp("made-up"), raw_config(), spoil)


@pytest.fixture
def results(run) -> Results:
    return Results(*run)


@pytest.fixture(scope="session")
def build():
    """The table or drawing of that name, from a run's results."""
    return lambda name, results: registry.build(outputs.find(results.config, name), results)


def fail(row: dict, status: str, error: str) -> None:
    """Turn a row into one without a result."""
    kept = {"case", "scenario", "method", "plugin", "replicate", "n", "p", "n_components"}
    for name in row.keys() - kept - {"seconds", "code_hash"}:
        del row[name]
    row |= {"status": status, "error": error}


def _data(case: design.Case):
    """Simulated maps; what stands for a data set has no truth, like measured maps."""
    if case.simulated:
        return simulate.draw(simulate.Scenario.from_config(case.id, case.settings), 0, ROOT_SEED)
    scenario = {
        "locations": {"grid": [5, 5]},
        "n": 40,
        "weights": [0.5, 0.5],
        "components": [
            {"alpha": [1, -0.9, 0.3], "beta": 2.5},
            {"alpha": [1.2, -0.8, 0.3], "beta": 7, "mean": {"bump": 1}},
        ],
    }
    data = simulate.draw(simulate.Scenario.from_config(case.id, scenario), 0, ROOT_SEED)
    stand_in = case.settings["load"] == "raman"
    data = replace(
        data,
        truth=None,
        label_names=("dose 0", "dose 5") if stand_in else ("low dose", "high dose"),
        description="synthetic stand-in for Raman maps" if stand_in else "film",
        source="synthetic: simulated" if stand_in else "measured",
    )
    data = data.centred() if case.settings["centred"] else data
    return data.distorted(np.random.default_rng(0), **case.settings["distort"])


def _row(work: design.Design, directory: Path, case: str, method: str, replicate: int) -> dict:
    rng = np.random.default_rng(
        [simulate.stable_hash(case), simulate.stable_hash(method), replicate]
    )
    data = _data(work.cases[case])
    n, p = data.X.shape
    plugin = work.methods[method].plugin
    ari = ARI.get(plugin, 0.0) + rng.normal(scale=0.02)
    row = {
        "case": case,
        "scenario": work.cases[case].scenario,
        "method": method,
        "plugin": plugin,
        "replicate": replicate,
        "n": n,
        "p": p,
        "n_components": work.methods[method].n_components or 2,
        "status": "ok",
        "ari": min(ari, 1.0),
        "accuracy": min(0.5 + ari / 2, 1.0),
        "n_iter": 10,
        "converged": True,
        "seconds": float(rng.lognormal(-2, 0.3)),
        "peak_memory_mb": 120.0,
        "code_hash": f"hash-{plugin}",
        "spatgmm": "0.1.0",
        "python": "3.11.2",
        "numpy": "2.4",
        "scipy": "1.17",
        "scikit_learn": "1.9",
    }
    if plugin not in ("kmeans", "random", "truth"):
        row |= {"log_likelihood": -1000 + rng.normal(), "n_parameters": 81, "bic": 2400.0}
    if data.truth is None or replicate == 0:
        wrong = rng.uniform(size=n) < 0.1
        row["labels"] = np.where(wrong, 1 - data.labels, data.labels)
    if plugin.startswith("spatgmm"):
        parameters = work.methods[method].parameters
        row |= _estimates(data, rng, parameters.get("standard_errors", False))
        row["bic"] += 50 * abs(row["n_components"] - 2) + rng.normal()
        row["extra.decay"] = parameters.get("decay", "sigmoid")
        row["bic"] += 30 * (row["extra.decay"] != "sigmoid")
        row["extra.icl"] = row["bic"] + 1
        row["extra.largest_fall"] = 0.0
        row["extra.empty_components"] = 0.0
        row["extra.condition_number"] = float(rng.lognormal(4, 0.5))
        if parameters.get("metric") == "rotated":
            for g, angle in enumerate((45, 135)):
                row[f"estimate.{g}.angle"] = (angle + rng.normal(scale=2)) % 180
                row[f"estimate.{g}.range_ratio"] = 2.0
    return row


def _estimates(data, rng, standard_errors: bool) -> dict:
    columns = {"extra.decay": "sigmoid"}
    scale = 1 / np.sqrt(len(data.X))
    truth = [(0.5, 1, -0.9, 0.3, 2.5), (0.5, 1.2, -0.8, 0.3, 7)]
    names = ("weight", "alpha1", "alpha2", "alpha3", "beta")
    for g, values in enumerate(truth):
        for name, value in zip(names, values, strict=True):
            error = scale * max(abs(value), 0.3)
            estimate = value + error * rng.normal()
            columns[f"estimate.{g}.{name}"] = estimate
            if standard_errors:
                columns[f"std_error.{g}.{name}"] = error
                columns[f"lower.{g}.{name}"] = estimate - 1.96 * error
                columns[f"upper.{g}.{name}"] = estimate + 1.96 * error
    return columns

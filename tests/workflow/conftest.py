"""A tiny study, and Snakemake on it in a folder of its own."""

import copy
import subprocess

import pytest
import yaml

COMPONENTS = [{"alpha": [1, -0.9, 0.3], "beta": 2.5}, {"alpha": [1, -0.9, 0.3], "beta": 6}]

TINY = {
    "name": "tiny",
    "root_seed": 7,
    "batch_size": 2,
    "scenarios": {
        "grid": {
            "locations": {"grid": [4, 4]},
            "n": 40,
            "weights": [0.5, 0.5],
            "components": COMPONENTS,
        }
    },
    "datasets": {"raman-raw": {"load": "raman", "file": None}},
    "methods": {"kmeans-once": {"plugin": "kmeans", "n_init": 1}},
    "studies": {
        "comparison": {"scenarios": ["grid"], "methods": ["kmeans-once", "truth"], "replicates": 3},
        "sizes": {"scenarios": ["grid"], "vary": {"n": [30, 50]}, "methods": ["truth"]},
        "raman": {"datasets": ["raman-raw"], "methods": ["kmeans-once"]},
    },
    "outputs": ["table2", "figure3"],
}


@pytest.fixture
def tiny():
    """The configuration, to be changed at will."""
    return copy.deepcopy(TINY)


@pytest.fixture
def snakemake(tmp_path, start_snakemake):
    """Run Snakemake on a configuration in a temporary folder, to its end or not."""

    def run(config, *targets, wait=True, **where):
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        options = ["--cores", "2", "--max-jobs-per-timespan", "100/1s"]
        started = start_snakemake(tmp_path, path, *options, *targets, **where)
        if not wait:
            return started
        stdout, _ = started.communicate(timeout=300)
        return subprocess.CompletedProcess(started.args, started.returncode, stdout)

    return run


@pytest.fixture
def sources(tmp_path, copy_sources):
    """A copy of the project, to be edited at will."""
    return copy_sources(tmp_path / "sources")

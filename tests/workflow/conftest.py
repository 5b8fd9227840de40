"""A tiny study, and Snakemake on it in a folder of its own."""

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

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
def snakemake(tmp_path):
    """Run Snakemake on a configuration in a temporary folder, to its end or not."""

    def run(config, *targets, sources=ROOT, wait=True):
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        command = [sys.executable, "-m", "snakemake", "--snakefile", sources / "Snakefile"]
        command += ["--workflow-profile", sources / "profiles" / "default", "--configfile", path]
        command += ["--directory", tmp_path, "--cores", "2", "--max-jobs-per-timespan", "100/1s"]
        command += targets
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        }
        started = subprocess.Popen(
            list(map(str, command)),
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        if not wait:
            return started
        stdout, _ = started.communicate(timeout=300)
        return subprocess.CompletedProcess(command, started.returncode, stdout)

    return run


@pytest.fixture
def sources(tmp_path):
    """A copy of the project, to be edited at will."""
    folder = tmp_path / "sources"
    for name in ("src", "workflow", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("Snakefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder

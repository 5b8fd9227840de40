"""Shared by all tests: what to do without R, and Snakemake on the project or on a copy of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spatgmm.common import r

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items):
    """Where R is absent, skip tests that need it; with SPATGMM_REQUIRE_R=1 they fail instead."""
    if os.environ.get("SPATGMM_REQUIRE_R") == "1":
        return
    needing = [item for item in items if item.get_closest_marker("r")]
    reason = r.missing(("mclust", "fields")) if needing else None
    if reason is not None:
        for item in needing:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def start_snakemake():
    """Start Snakemake on a configuration file in a folder: the process, with all it says."""

    def start(folder, config, *targets_and_options, sources=ROOT, **process):
        command = [sys.executable, "-m", "snakemake", "--snakefile", sources / "Snakefile"]
        command += ["--workflow-profile", sources / "profiles" / "default"]
        command += ["--configfile", config, "--directory", folder, *targets_and_options]
        # Jobs find the programs of this Python's environment first.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            list(map(str, command)),
            env=os.environ | {"PATH": path},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            **process,
        )

    return start


@pytest.fixture(scope="session")
def copy_sources():
    """Copy what a run needs of the project to a folder, to be edited there at will."""

    def copy(folder):
        for name in ("src", "workflow", "profiles", "envs"):
            shutil.copytree(ROOT / name, folder / name)
        for name in ("Snakefile", "pyproject.toml"):
            shutil.copy(ROOT / name, folder / name)
        return folder

    return copy

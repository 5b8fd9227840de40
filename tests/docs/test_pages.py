"""Every command and every piece of code in README, site and tutorials does what it is there for."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient

from spatgmm import cli

ROOT = Path(__file__).parents[2]
RUNNER = Path(__file__).with_name("blocks.py")

TUTORIALS = sorted((ROOT / "docs/tutorials").glob("*.md"))
NOTEBOOKS = sorted((ROOT / "docs/tutorials").glob("*.py"))
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]

#: The reader's own files, of which the README speaks.
OWN_FILES = """
import numpy as np

rng = np.random.default_rng(0)
X = rng.normal(size=(24, 100))
X[12:] = X[12:].reshape(12, 10, 10).cumsum(axis=1).reshape(12, 100) / 2
sites = rng.uniform(size=(100, 2))
for name, values in (("maps", X), ("more", X[:5]), ("sites", sites)):
    np.savetxt(f"{name}.csv", values, delimiter=",")
np.save("images.npy", X[:, :25].reshape(24, 5, 5))
"""


@pytest.fixture
def project(tmp_path, copy_sources):
    """A copy of all that a reader has, to be changed at will."""
    copy_sources(tmp_path)
    for name in ("config", "tests", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for file in filter(Path.is_file, ROOT.iterdir()):
        shutil.copy(file, tmp_path / file.name)
    return tmp_path


def run(page, folder, *options):
    surroundings = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
        "MPLBACKEND": "agg",
    }
    # Or each of its many commands compiles the copied sources anew.
    surroundings.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, RUNNER, page, *options],
        cwd=folder,
        env=surroundings,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_runs(page, project):
    (project / "before.py").write_text(OWN_FILES)
    run(page, project, "--dry")


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_in_the_shell_runs(page, project):
    said = run(page, project)
    if page.stem == "method":
        # What the tutorial promises of its method.
        found = dict(re.findall(r"^(roughness|kmeans) (-?[\d.]+)$", said, re.MULTILINE))
        assert float(found["roughness"]) > 0.5 > float(found["kmeans"])
        assert "| Roughness" in said
    if page.stem == "sweep":
        assert "32 fits, 4 cases" in said
    if page.stem == "study":
        assert "2 thing(s) wrong" in said


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.stem)
def test_a_notebook_runs(page, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = jupytext.read(page)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, kernel_name="python3", timeout=120, resources=place).execute()
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert pictures


@pytest.mark.parametrize("page", [*PAGES, *TUTORIALS], ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_named_in_passing_exist(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
    assert set(re.findall(r"`spatgmm ([a-z]+)", text)) <= set(cli.COMMANDS)

"""The package by itself: what its wheel holds, and what it does with its own dependencies alone."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml

import spatgmm
from spatgmm.study import provenance

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

#: What users of the package alone call.
BASE = ["mixture", "selection", "simulate", "reading", "methods", "datasets", "baselines"]
BASE_COMMANDS = ["fit", "methods", "datasets", "_input", "_output", "_pictures"]

#: Imported where they are needed, with a message of their own where they are not there.
OPTIONAL = {"rpy2", "skimage"}

#: Of the extra "study", of old versions, and of tests.
FOREIGN = ["yaml", "tabulate", "rpy2", "skimage", "snakemake", "jsonschema", "seaborn", "psutil"]


def imports(tree, lazy=False):
    """Third-party packages that a module imports, each with whether it does so in a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0], lazy
        else:
            yield from imports(node, lazy or isinstance(node, ast.FunctionDef))


def test_the_base_imports_only_what_it_depends_on():
    modules = [f"spatgmm.{name}" for name in BASE] + [f"spatgmm.cli.{c}" for c in BASE_COMMANDS]
    distributions = metadata.packages_distributions()
    at_once, later = set(), set()
    for module in provenance.closure(*modules):
        assert not module.startswith("spatgmm.study"), module
        for name, lazy in imports(ast.parse(Path(find_spec(module).origin).read_text())):
            if name not in sys.stdlib_module_names and name != "spatgmm":
                (later if lazy else at_once).add(name)
    needed = {distributions[name][0].lower() for name in at_once}
    # pandas reads Parquet with pyarrow.
    assert needed | {"pyarrow"} == set(PROJECT["dependencies"])
    assert later - at_once == OPTIONAL


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, copy_sources):
    """The unpacked wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = copy_sources(folder / "sources")
    for name in ("README.md", "LICENSE"):
        (sources / name).write_text((ROOT / name).read_text())
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", folder, sources], check=True)
    (packed,) = folder.glob("*.whl")
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def call(wheel, folder, *arguments):
    """The command line of the wheel, where nothing foreign can be imported."""
    program = (
        f"import sys; sys.path.insert(0, {str(wheel)!r})\n"
        f"sys.modules.update(dict.fromkeys({FOREIGN!r}))\n"
        "import spatgmm.cli; assert spatgmm.__file__.startswith(sys.path[0])\n"
        f"sys.exit(spatgmm.cli.main({list(arguments)!r}))"
    )
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120
    )


def test_a_wheel_fits_maps_and_draws_pictures(wheel, tmp_path):
    maps = np.random.default_rng(0).normal(size=(40, 9))
    maps[:20] = maps[:20].cumsum(axis=1)
    np.savetxt(tmp_path / "maps.csv", maps, delimiter=",")
    arguments = ["--coordinates", "3x3", "--components", "2", "--out", "out"]
    ended = call(wheel, tmp_path, "fit", "maps.csv", *arguments)
    assert ended.returncode == 0, ended.stderr
    for name in ("labels.csv", "parameters.csv", "summary.json", "decay.png", "report.html"):
        assert (tmp_path / "out" / name).stat().st_size > 0


def test_a_wheel_says_what_is_there(wheel, tmp_path):
    for command, word in (("methods", "spatgmm-gls"), ("datasets", "film")):
        ended = call(wheel, tmp_path, command)
        assert ended.returncode == 0 and word in ended.stdout, ended.stderr
    ended = call(wheel, tmp_path, "--version")
    assert ended.stdout == f"spatgmm {spatgmm.__version__}\n"


def test_a_study_without_its_extra_is_one_line(wheel, tmp_path):
    for arguments in (["study", "check", "--config", "x.yaml"], ["status", "results/x"]):
        ended = call(wheel, tmp_path, *arguments)
        assert ended.returncode == 1
        assert re.fullmatch(
            r"spatgmm[a-z ]*: needs yaml \(pip install 'spatgmm\[study\]'\)\n", ended.stderr
        )


def test_the_metadata_are_complete_and_the_package_is_typed(wheel):
    (path,) = wheel.glob("*.dist-info/METADATA")
    told = message_from_string(path.read_text(encoding="utf-8"))
    assert told["Version"] == spatgmm.__version__
    assert told["License-Expression"] == "MIT" and told["Author"] == "SpatGMM developers"
    assert told["Description-Content-Type"] == "text/markdown"
    assert any(line.startswith("Programming Language") for line in told.get_all("Classifier"))
    assert (path.parent / "licenses" / "LICENSE").is_file()
    assert (wheel / "spatgmm" / "py.typed").is_file()


def test_papers_name_the_version_that_is_installed():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == spatgmm.__version__
    assert f"version = {{{spatgmm.__version__}}}" in (ROOT / "README.md").read_text()
    assert f"## [{spatgmm.__version__}]" in (ROOT / "CHANGELOG.md").read_text()

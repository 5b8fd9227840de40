"""The same versions everywhere: input file, lock, conda environments, and what is installed."""

import ast
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
#: Names that differ between conda and PyPI.
ON_PYPI = {"matplotlib-base": "matplotlib"}


def pins(name):
    return dict(re.findall(r"^([a-z0-9_.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


def conda(name):
    listed = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())["dependencies"]
    pairs = [item.split("=") for item in listed if "=" in item]
    return {ON_PYPI.get(package, package): version for package, version in pairs}, listed


def test_the_lock_holds_every_direct_pin_with_hashes_and_no_host():
    lock = (ROOT / "requirements.txt").read_text()
    assert pins("requirements.in").items() <= pins("requirements.txt").items()
    for block in re.split(r"\n(?=\S)", lock.strip()):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block
    for name in ("requirements.in", "requirements.txt", "requirements-no-deps.txt"):
        text = (ROOT / name).read_text()
        assert not re.search(
            r"https?://|file://|^\s*--(extra-)?index-url|^-[if]", text, re.MULTILINE
        )
        assert not re.search(r"^\s*--find-links", text, re.MULTILINE)


def test_what_is_installed_is_what_is_pinned():
    for name, version in (pins("requirements.in") | pins("requirements-no-deps.txt")).items():
        assert metadata.version(name) == version


@pytest.mark.parametrize("name", ["python", "r"])
def test_conda_environments_have_the_locked_versions(name):
    versions, _ = conda(name)
    lock = pins("requirements.txt")
    del versions["python"]
    assert {package: lock.get(package) for package in versions} == versions


def test_the_r_environment_adds_r_to_the_python_one():
    (python, plain), (r, full) = conda("python"), conda("r")
    assert python.items() <= r.items()
    assert {"r-base", "r-mclust", "r-fields"} <= set(full) - set(plain)


def test_dosepy_is_the_same_in_the_r_environment():
    script = (ROOT / "envs" / "r.post-deploy.sh").read_text()
    assert f"dosepy=={pins('requirements-no-deps.txt')['dosepy']}" in script


def test_all_that_the_package_imports_is_pinned():
    imported = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.partition(".")[0])
    third_party = imported - set(sys.stdlib_module_names) - {"spatgmm"}
    assert {"numpy", "sklearn", "yaml"} <= third_party
    distributions = metadata.packages_distributions()
    pinned = set(pins("requirements.in"))
    unpinned = {
        name
        for name in third_party
        if not pinned & {found.lower() for found in distributions.get(name, [])}
    }
    assert unpinned == set()


def test_the_package_needs_nothing_that_is_not_locked():
    text = (ROOT / "pyproject.toml").read_text()
    needed = re.search(r"^dependencies = \[(.*?)\]", text, re.MULTILINE | re.DOTALL).group(1)
    assert set(re.findall(r'"([a-z-]+)"', needed)) <= set(pins("requirements.txt"))


def test_hooks_run_a_part_of_lint_and_the_hosts_file_all_of_ci():
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook["entry"].partition(" --")[0] for hook in local["hooks"]]
    assert len(hooks) == 5 and [hook for hook in hooks if hook not in lint] == []
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert [step.get("run") for step in jobs["all"]["steps"]].count(".ci/run") == 1

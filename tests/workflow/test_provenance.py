"""The code hash follows imports, and nothing else."""

import subprocess
import sys

import pytest

from spatgmm import methods
from spatgmm.study import provenance

ROOT = provenance.ROOT
FILES = {
    "__init__.py": "from spatgmm.core import core\n",
    "core.py": (
        '"""Core."""\nfrom spatgmm.deep.inner import value\n\ndef core():\n    return value\n'
    ),
    "other.py": "OTHER = 1\n",
    "deep/__init__.py": "from spatgmm.other import OTHER\n",
    "deep/inner.py": "value = 1\n",
    "methods/__init__.py": "class FitResult: ...\n",
    "methods/one.py": "def fit():\n    from spatgmm.core import core\n    return core()\n",
    "methods/two.py": "from ..methods import FitResult\nREQUIRES = ('mclust',)\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def edit(name, text):
        for function in vars(provenance).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()
        (tmp_path / name).write_text(text)

    return tmp_path, edit


def test_the_closure_follows_imports_inside_functions_and_relative_ones(package):
    root, _ = package
    assert provenance.closure("spatgmm.methods.one", root=root) == {
        "spatgmm.methods.one",
        "spatgmm.core",
        "spatgmm.deep.inner",
    }
    assert provenance.closure("spatgmm.methods.two", root=root) == {
        "spatgmm.methods.two",
        "spatgmm.methods",
    }


def test_of_a_package_all_modules_count(package):
    root, _ = package
    assert provenance.closure("spatgmm.deep", root=root) == {
        "spatgmm.deep",
        "spatgmm.deep.inner",
        "spatgmm.other",
    }


@pytest.mark.parametrize(
    ("edited", "changed"),
    [
        ("methods/one.py", {"one"}),
        ("methods/two.py", {"two"}),
        ("methods/__init__.py", {"two"}),
        ("core.py", {"one"}),
        ("deep/inner.py", {"one"}),
        ("other.py", set()),
        ("__init__.py", set()),
    ],
)
def test_a_hash_changes_only_with_what_is_imported(package, edited, changed):
    root, edit = package

    def hashes():
        return {
            name: provenance.code_hash(f"spatgmm.methods.{name}", root=root)
            for name in ("one", "two")
        }

    before = hashes()
    edit(edited, FILES[edited] + "\nNEW = 2\n")
    after = hashes()
    assert {name for name in before if before[name] != after[name]} == changed


def test_comments_docstrings_and_layout_do_not_count(package):
    root, edit = package
    before = provenance.code_hash("spatgmm.core", root=root)
    same = FILES["core.py"].replace('"""Core."""', '"""The core."""\n# a comment\n\n')
    edit("core.py", same.replace("def core():\n", 'def core():\n    """Value."""\n'))
    assert provenance.code_hash("spatgmm.core", root=root) == before


def test_requirements_on_r_are_read_without_importing(package):
    root, _ = package
    assert not provenance.requires_r("one", root=root)
    assert provenance.requires_r("two", root=root)


def test_an_unknown_module_is_named(package):
    root, _ = package
    with pytest.raises(ValueError, match=r"no module spatgmm\.nowhere"):
        provenance.code_hash("spatgmm.nowhere", root=root)


def brought_along(closure):
    """What the packages on the way to these modules import for users' convenience."""
    packages = {module.rpartition(".")[0] for module in closure} - {""}
    convenience = {name for package in packages for name in provenance._imports(package, ROOT)}
    return provenance.closure(*convenience)


@pytest.mark.parametrize("name", methods.names())
def test_all_that_a_fit_imports_is_in_its_hash(name):
    plugin = provenance.plugin_module(name)
    program = (
        "import sys, spatgmm.study; before = set(sys.modules);"
        f"import {plugin}, spatgmm.study.fit;"
        "print(*[n for n, m in sys.modules.items() if n not in before"
        " and n.startswith('spatgmm') and not m.__file__.endswith('__init__.py')])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert plugin in loaded
    closure = provenance.closure("spatgmm.study.fit", plugin)
    assert set(loaded) <= closure | brought_along(closure)


@pytest.mark.parametrize("name", methods.names())
def test_no_fit_depends_on_tables_figures_or_another_method(name):
    closure = provenance.closure("spatgmm.study.fit", provenance.plugin_module(name))
    public = {provenance.plugin_module(other) for other in methods.names()}
    assert closure & public == {provenance.plugin_module(name)}
    assert not [module for module in closure if "tables" in module or "figures" in module]


def test_requires_r_agrees_with_the_plugins():
    for name in methods.names():
        assert provenance.requires_r(name) == bool(methods.get(name).requires)


def test_what_only_type_checkers_import_does_not_count(package):
    root, edit = package
    before = provenance.closure("spatgmm.methods.two", root=root)
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from spatgmm import other\n"
    edit("methods/two.py", typed + FILES["methods/two.py"])
    assert provenance.closure("spatgmm.methods.two", root=root) == before
    edit("methods/two.py", typed + "else:\n    from spatgmm import other\n")
    assert "spatgmm.other" in provenance.closure("spatgmm.methods.two", root=root)

"""Which code a result comes from: a hash of the modules behind it, and versions of the rest.

Snakemake does not see the package behind a shell command.  The hash does: it covers a module and
all modules of this package that it imports, directly or not, found by reading the sources, so
that editing one method reruns that method's fits and editing a figure reruns no fit.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import platform
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import spatgmm
from spatgmm.study.rows import VERSIONS

PACKAGE = "spatgmm"
ROOT = Path(__file__).parents[1]


def fit_code(plugin: str) -> str:
    """Hash of all that a fit by this method runs through."""
    return code_hash("spatgmm.study.fit", plugin_module(plugin))


def data_code(loader: str) -> str:
    """Hash of the code that loads a data set."""
    return code_hash(f"{PACKAGE}.datasets.{loader}")


def plugin_module(plugin: str) -> str:
    """Module of a method's plug-in."""
    return f"{PACKAGE}.methods.{plugin.replace('-', '_')}"


@functools.cache
def code_hash(*modules: str, root: Path = ROOT) -> str:
    """A hash of the code of these modules and of all that they import from this package.

    Comments, docstrings and layout do not count.

    Parameters
    ----------
    *modules : str
        Dotted names; of a package, all of its modules count.
    root : Path
        Folder of the package.

    Returns
    -------
    str
        Twelve hexadecimal digits.
    """
    combined = hashlib.blake2b(digest_size=6)
    for name in sorted(closure(*modules, root=root)):
        combined.update(f"{name}\0{_fingerprint(_file(name, root))}\0".encode())
    return combined.hexdigest()


def closure(*modules: str, root: Path = ROOT) -> set[str]:
    """These modules and all that they import from this package, directly or not.

    A package's ``__init__`` counts where a name is taken from it, not where it is merely on the
    way to a submodule: what it imports for users' convenience is not what a method depends on.
    """
    waiting: list[str] = []
    for name in modules:
        waiting.append(name)
        file = _file(name, root)
        if file.name == "__init__.py":
            waiting += [
                ".".join([name, *path.relative_to(file.parent).with_suffix("").parts])
                for path in file.parent.rglob("[!_]*.py")
            ]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name, root)
    return found


@functools.cache
def stated(plugin: str, name: str, root: Path = ROOT) -> object:
    """The value that a plug-in gives a name, None if it does not; read without importing it."""
    for node in _tree(_file(plugin_module(plugin), root)).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    return None


def requires_r(plugin: str, root: Path = ROOT) -> bool:
    """Whether a plug-in states R packages that it needs."""
    return bool(stated(plugin, "REQUIRES", root))


def versions(plugin: str) -> dict[str, str | None]:
    """Versions that a row of results carries; R's where the plug-in uses it."""
    special = {
        "spatgmm": lambda: spatgmm.__version__,
        "Python": platform.python_version,
        "R": lambda: _r_version() if requires_r(plugin) else None,
    }
    found = {
        column: special[name]() if name in special else metadata.version(name)
        for column, name in VERSIONS.items()
    }
    return {"code_hash": fit_code(plugin), **found}


def commit() -> str | None:
    """The commit of the sources that run, and whether files differ from it; None if unknown."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        known = git("rev-parse", "--short=12", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", str(ROOT))
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"commit {known}" + (", with changes" if changed else "")


def processor() -> str:
    """What the machine calculates with, in its maker's words where the system knows them."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(errors="replace").splitlines() if told.is_file() else []
    named = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _r_version() -> str | None:
    from spatgmm.common import r

    try:
        with r.session() as ro:
            return str(ro.r("as.character(getRversion())")[0])
    except RuntimeError:  # no R: the method's rows say so themselves
        return None


def _file(module: str, root: Path) -> Path:
    path = root.joinpath(*module.split(".")[1:])
    for candidate in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    raise ValueError(f"there is no module {module} in {root}")


def _exists(module: str, root: Path) -> bool:
    try:
        _file(module, root)
    except ValueError:
        return False
    return True


@functools.cache
def _imports(module: str, root: Path) -> tuple[str, ...]:
    path = _file(module, root)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = []
    for node in _running(_tree(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if _ours(alias.name)]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*up, base] if base else up)
            if not _ours(base):
                continue
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                found.append(submodule if _exists(submodule, root) else base)
    return tuple(found)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only type checkers see."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        waiting += node.orelse if typing else ast.iter_child_nodes(node)


def _ours(module: str) -> bool:
    return module == PACKAGE or module.startswith(f"{PACKAGE}.")


@functools.cache
def _tree(path: Path) -> ast.Module:
    """A module's syntax tree without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    return tree


@functools.cache
def _fingerprint(path: Path) -> str:
    return hashlib.blake2b(ast.dump(_tree(path)).encode(), digest_size=16).hexdigest()

"""The pipeline's logic: what a configuration asks for, and how each piece of it is computed.

Snakemake's rules only say which file comes from which; they call ``python -m spatgmm study``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spatgmm.study.config import ConfigError, checked, read
from spatgmm.study.design import Design, expand


def prepare(
    raw: Mapping[str, Any],
    source: str = "configuration",
    values: bool = True,
    files: Iterable[str | Path] = (),
) -> tuple[dict[str, Any], Design]:
    """Configuration and design, or one error that names everything that is wrong.

    Parameters
    ----------
    raw : mapping
        As in the file.
    source : str
        Named in errors.
    values : bool
        Check names and values of methods, data sets, scenarios and outputs too, for which their
        code must be imported.
    files : iterable of path
        Read again, to find what whoever read them has passed over: a key that stands twice.

    Returns
    -------
    config : dict
        With defaults filled in.
    design : Design

    Raises
    ------
    ConfigError
    """
    problems = []
    for file in files:
        try:
            read(file)
        except ConfigError as error:
            problems += [f"{file}: {problem}" for problem in error.problems]
    config, found = checked(raw)
    problems += found
    if config is not None:
        design, found = expand(config)
        problems += found
        if values:
            from spatgmm.study import check

            problems += check.problems(config, design)
    if problems:
        raise ConfigError(source, problems)
    return config, design


def load(path: str | Path) -> tuple[dict[str, Any], Design]:
    """Configuration and design from a file whose values were checked when the run started."""
    return prepare(read(path), str(path), values=False)

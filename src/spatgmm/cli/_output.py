"""Files that commands write, each whole or not at all, and the folder they go to."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from spatgmm.common.errors import UsageError
from spatgmm.common.files import atomic_path


def make_folder(out: str, names: Iterable[str], force: bool) -> Path:
    """The folder to write to, made if need be, before any work is done.

    Raises
    ------
    UsageError
        If it holds files of these names and `force` is not given, or is a file.
    OSError
        If nothing can be written there.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {out}: is a file, not a folder")
    there = [name for name in names if (folder / name).exists()]
    if there and not force:
        raise UsageError(
            f"--out {out}: holds {', '.join(there)} of an earlier fit; --force overwrites them"
        )
    if folder.is_symlink() and not folder.exists():
        raise UsageError(f"--out {out}: is a link to a place that does not exist")
    folder.mkdir(parents=True, exist_ok=True)
    with _written(folder / ".writable") as probe:
        probe.touch()
    (folder / ".writable").unlink()
    return folder


def remove(folder: Path, names: Iterable[str]) -> None:
    """Files of an earlier fit, which must not pass for this one's."""
    for name in names:
        (folder / name).unlink(missing_ok=True)


@contextmanager
def _written(path: Path) -> Iterator[Path]:
    """Where to write a file that appears once it is whole; errors name the file."""
    try:
        with atomic_path(path) as temporary:
            yield temporary
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


#: More likely outlying than not.
_OUTLYING = 0.5

#: Outlying maps that a line names.
_NAMED = 10


def labels(
    labels: np.ndarray,
    probabilities: np.ndarray | None,
    names: list[str] | None,
    outlying: np.ndarray | None = None,
) -> pd.DataFrame:
    """A row per map: its name, its cluster and, where there are any, probabilities.

    Clusters, which are counted from 0 here, count from 1 in files.
    """
    table = {"map": np.arange(len(labels)) if names is None else names, "label": labels + 1}
    if probabilities is not None:
        table |= {f"probability_{g}": column for g, column in enumerate(probabilities.T, 1)}
    if outlying is not None:
        table["outlier_probability"] = outlying
    return pd.DataFrame(table)


def outliers(table: pd.DataFrame) -> str | None:
    """A line that names the maps of a table of labels that outlie; None where there are none."""
    if "outlier_probability" not in table:
        return None
    found = table.loc[outlies(table["outlier_probability"]), "map"].tolist()
    if not found:
        return None
    named = ", ".join(map(str, found[:_NAMED])) + (", ..." if len(found) > _NAMED else "")
    return f"outlying maps: {len(found)} of {len(table)} ({named})"


def outlies(probability):
    """Whether maps are more likely outliers than not."""
    return probability > _OUTLYING


def csv(path: Path, table: pd.DataFrame) -> Path:
    with _written(path) as temporary:
        table.to_csv(temporary, index=False)
    return path


def as_json(path: Path, values: dict[str, Any]) -> Path:
    def plain(value):
        if isinstance(value, np.generic):
            value = value.item()
        # JSON knows no NaN.
        return None if isinstance(value, float) and not math.isfinite(value) else value

    text = json.dumps({name: plain(value) for name, value in values.items()}, indent=2)
    with _written(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def picture(path: Path, figure: Figure) -> Path:
    with _written(path) as temporary:
        figure.savefig(temporary)
    plt.close(figure)
    return path


def page(path: Path, text: str) -> Path:
    with _written(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path

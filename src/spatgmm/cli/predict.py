"""``spatgmm predict``: the clusters of further maps, by a model that ``spatgmm fit`` left."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import spatgmm
from spatgmm.cli import _input, _output
from spatgmm.common.errors import UsageError

#: What it leaves in its folder.
FILES = ("labels.csv",)

#: The file of a model in the folder of a fit.
MODEL = "model.npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, further maps, and where to write."""
    parser.add_argument("model", metavar="MODEL", help=f"folder of a fit, or its {MODEL}")
    _input.add_arguments(parser)
    parser.add_argument(
        "--out",
        default="spatgmm-predict",
        metavar="DIR",
        help="folder to write (default: spatgmm-predict)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite an earlier prediction")


def run(arguments: argparse.Namespace) -> None:
    """Write each map's cluster and the probability of every cluster."""
    path = Path(arguments.model)
    path = path / MODEL if path.is_dir() else path
    if not path.is_file():
        raise UsageError(
            f"{arguments.model}: there is no {MODEL}; spatgmm fit leaves one where the method is "
            "spatgmm"
        )
    model = spatgmm.load(path)
    brought = _input.read(
        arguments,
        missing=model.missing == "em",
        known=model.coordinates_,
        n_variables=model.n_variables,
    )
    probabilities = model.predict_proba(brought.data.X)
    out = _output.make_folder(arguments.out, FILES, arguments.force)
    labels = probabilities.argmax(axis=1)
    outlying = model.outlier_probability(brought.data.X)
    table = _output.labels(labels, probabilities, brought.names, outlying)
    written = _output.csv(out / "labels.csv", table)
    sizes = ", ".join(map(str, np.bincount(labels, minlength=probabilities.shape[1])))
    outliers = _output.outliers(table)
    if outliers is not None:
        print(outliers)
    print(f"clusters of {sizes} maps: {written}")

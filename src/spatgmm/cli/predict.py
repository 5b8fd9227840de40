"""``spatgmm predict``: the clusters of further maps, by a model that ``spatgmm fit`` left."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import spatgmm
from spatgmm import SpatialGaussianMixture, reading
from spatgmm.cli import _input, _output
from spatgmm.common.errors import UsageError
from spatgmm.reading import places
from spatgmm.reading.words import listed

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
    for note in brought.notes:
        print(f"spatgmm predict: note: {note}", file=sys.stderr)
    X = _as_fitted(brought, model, arguments)
    probabilities = model.predict_proba(X)
    out = _output.make_folder(arguments.out, FILES, arguments.force)
    labels = probabilities.argmax(axis=1)
    outlying = model.outlier_probability(X)
    table = _output.labels(labels, probabilities, brought.names, outlying)
    written = _output.csv(out / "labels.csv", table)
    sizes = ", ".join(map(str, np.bincount(labels, minlength=probabilities.shape[1])))
    outliers = _output.outliers(table)
    if outliers is not None:
        print(outliers)
    print(f"clusters of {sizes} maps: {written}")


def _as_fitted(
    brought: reading.Reading, model: SpatialGaussianMixture, arguments: argparse.Namespace
) -> np.ndarray:
    """Maps with their values in the order of the fit: by their places, or else by their names.

    Raises
    ------
    UsageError
        If these are not the places of the fit, or their order is not known.
    """
    data, fitted = brought.data, model.coordinates_
    if len(fitted) != data.n_locations:
        raise UsageError(
            f"{arguments.data}: maps have {data.n_locations} values, those of the fit {len(fitted)}"
        )
    order = None
    if brought.located or arguments.coordinates is not None:
        order = places.rows_at(*map(model.space_.embedded, (data.coordinates, fitted)))
        if order is None:
            where = arguments.coordinates or arguments.data
            raise UsageError(
                f"{where}: its locations are not those of the fit (in its order, maps need none)"
            )
    elif brought.places is not None and model.place_names_ is not None:
        given = [pd.Series(brought.places)]
        order = places.order(given, model.place_names_, arguments.data, "maps of the fit")
        if order is None and not places.only_counts(brought.places):
            raise UsageError(
                f"{arguments.data}: its columns ({listed(brought.places)}) have other names than "
                f"those of the fit ({listed(model.place_names_)}); say where they are by "
                "--coordinates, or rename them"
            )
    elif model.place_names_ is not None and not brought.located and data.shape is None:
        print(
            f"spatgmm predict: note: {arguments.data}: names no places; its values are taken in "
            "the order of the fit's",
            file=sys.stderr,
        )
    if order is None:
        return data.X
    values = data.X.reshape(len(data.X), -1, data.n_variables)
    return values[:, order].reshape(data.X.shape)

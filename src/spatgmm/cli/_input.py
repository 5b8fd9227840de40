"""Users' maps on the command line: the arguments that say how files are meant."""

from __future__ import annotations

import argparse
from dataclasses import replace

from spatgmm import methods, reading
from spatgmm.common.errors import UsageError
from spatgmm.data import Dataset
from spatgmm.reading import per_map as of_maps

#: What may be said of each map in a file of its own, by the attribute of the data.
PER_MAP = {
    "known_labels": "labels of some maps: one per row, empty where unknown, or two columns, the "
    "maps' names first",
    "weights": "how much each map counts, at least 0: one per row, or two columns, the maps' names "
    "first",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Maps, coordinates, and what decides where a file can be read in two ways."""
    parser.add_argument(
        "data",
        metavar="DATA",
        help="maps: a table with a map per row (.csv, .tsv, .txt, compressed or not, .parquet), a "
        "long table with columns map, x, y, value, an array (.npy, .npz) of shape (n, p), "
        "(n, r, c) or (n, r, c, s), or .nc, .zarr, .tif; FILE:NAME chooses an array in a file",
    )
    parser.add_argument(
        "--coordinates",
        metavar="COORDS",
        help="locations: a file with one per row, or a grid shape such as 10x10; may be left out "
        "where the maps bring them",
    )
    parser.add_argument(
        "--columns",
        type=lambda text: text.split(","),
        metavar="NAME,...",
        help="columns of COORDS to take, by name or by number from 1 (default: x, y, z, row, "
        "column, lon, lat and the like)",
    )
    parser.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first row of DATA is a header (default: as it looks)",
    )
    parser.add_argument(
        "--index",
        action=argparse.BooleanOptionalAction,
        help="whether the first column of DATA names the maps (default: as it looks)",
    )
    parser.add_argument(
        "--decimal",
        choices=(".", ","),
        metavar="MARK",
        help="the decimal mark of text files whose numbers leave it open, as 1,234 does (default: "
        "these are asked about)",
    )
    parser.add_argument(
        "--variables",
        type=_variables,
        metavar="N|NAME,...",
        help="several values at each location: how many stand beside each other in DATA (the last "
        "axis of an array), or which variables of a long table or file to take (default: one, or "
        "all of a long table with a column 'variable')",
    )
    parser.add_argument(
        "--missing-value",
        type=float,
        action="append",
        default=[],
        metavar="NUMBER",
        help="a number in DATA that stands for a missing value, such as -9999; may be repeated",
    )


def read(
    arguments: argparse.Namespace, missing: bool, known=None, n_variables: int | None = None
) -> reading.Reading:
    """The maps that the arguments name.

    At `known` coordinates (p, d), and of so many variables, where neither the arguments nor the
    maps say otherwise.
    """
    return reading.read(
        arguments.data,
        arguments.coordinates,
        known=known,
        missing=missing,
        missing_values=arguments.missing_value,
        header=arguments.header,
        index=arguments.index,
        columns=arguments.columns,
        decimal=arguments.decimal,
        variables=arguments.variables or n_variables,
    )


def _variables(text: str) -> int | list[str]:
    if not text.isdecimal():
        return text.split(",")
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


def flag(name: str) -> str:
    """The flag of an option, or of an attribute in :data:`PER_MAP`."""
    return f"--{name.replace('_', '-')}"


def told(arguments: argparse.Namespace) -> dict[str, str]:
    """Files that say something of each map, by the attribute of the data."""
    given = {name: getattr(arguments, name) for name in PER_MAP}
    return {name: file for name, file in given.items() if file is not None}


def per_map(
    arguments: argparse.Namespace, method: methods.Method, brought: reading.Reading
) -> tuple[Dataset, list[str]]:
    """The maps with what these files say of them, and what there is to note."""
    files, data, notes = told(arguments), brought.data, []
    for name in files:
        if name not in method.uses:
            raise UsageError(f"{flag(name)}: method {method.name!r} takes none")
    names = brought.map_names
    if files and brought.names is None:
        notes.append(f"{arguments.data}: names no maps; other files count them from 0")
    if "known_labels" in files:
        table = reading.read_table(files["known_labels"], header=False, decimal=arguments.decimal)
        known, called = of_maps.labels(table, names, min(arguments.components))
        data = replace(data, known_labels=known)
        told_labels = f"{table.path}: {(known >= 0).sum()} of {len(known)} labels are known"
        if called:
            clusters = ", ".join(f"cluster {g} is {name!r}" for g, name in enumerate(called, 1))
            told_labels += f"; {clusters}"
        notes.append(told_labels)
    if "weights" in files:
        table = reading.read_table(files["weights"], header=False, decimal=arguments.decimal)
        data = replace(data, weights=of_maps.weights(table, names))
    return data, notes

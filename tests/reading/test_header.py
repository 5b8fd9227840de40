"""Headers of numbers: told from maps, or asked about."""

import numpy as np
import pandas as pd
import pytest

from spatgmm.common.errors import UsageError
from spatgmm.reading import read
from spatgmm.reading.header import is_header

RNG = np.random.default_rng(3)
NOISE = RNG.normal(size=(25, 12)).round(3)

NUMBERS = {
    "counted from 0": range(12),
    "counted from 1": range(1, 13),
    "even steps": 5 * np.arange(12) - 30,
    "even steps with digits": (400 + 0.5 * np.arange(12)).round(1),
    "falling": 1800 - 2 * np.arange(12),
    "wavelengths": np.sort(RNG.uniform(400, 900, 12)).round(2),
    "wavenumbers": -np.sort(-RNG.uniform(600, 1800, 12)).round(1),
}


def rows(table):
    return [[str(cell) for cell in row] for row in table]


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("names", NUMBERS.values(), ids=NUMBERS)
def test_a_header_of_numbers_is_no_map(tmp_path, names, index):
    pd.DataFrame(NOISE, columns=names).to_csv(tmp_path / "maps.csv", index=index)
    found = read(str(tmp_path / "maps.csv"), "3x4")
    np.testing.assert_array_equal(found.data.X, NOISE)
    assert found.places[:2] == [str(name) for name in list(names)[:2]]
    assert found.names == ([str(i) for i in range(25)] if index else None)


@pytest.mark.parametrize("holes", ["", "NA", "."])
def test_gaps_below_do_not_hide_a_header(tmp_path, holes):
    X = NOISE.copy()
    X[:, 5] = np.nan
    X[::3, 2] = np.nan
    pd.DataFrame(X).to_csv(tmp_path / "maps.csv", index=False, na_rep=holes)
    np.testing.assert_array_equal(read(str(tmp_path / "maps.csv"), "3x4", missing=True).data.X, X)


@pytest.mark.parametrize(
    "table",
    [
        NOISE,
        np.cumsum(np.abs(NOISE), axis=1).round(3),
        RNG.integers(0, 256, (25, 12)),
        np.repeat(NOISE[:, :1], 12, axis=1),
        np.vstack([np.ones(12), NOISE]),
    ],
    ids=["noise", "all rising", "whole numbers", "constant maps", "a constant map first"],
)
def test_maps_are_not_taken_for_a_header(table):
    first, *below = rows(table)
    assert is_header(first, below) is False


@pytest.mark.parametrize(
    "table",
    [
        [[1, 2, 3], *RNG.integers(0, 9, (20, 3))],
        [[0, 1, 2, 3], [0, 2, 4, 6], [1, 2, 3, 4]],
        [[0.1, 0.4, 0.5, 0.9, 1.1], *NOISE[:, :5]],
        [[400.1, 401, 402, 404], *np.cumsum(np.abs(NOISE[:, :4]), axis=1)],
        [[17, 3, 20, 11], *NOISE[:, :4]],
    ],
    ids=["few whole numbers", "ramps", "five rising", "rising outside rising", "stations"],
)
def test_what_could_be_either_is_asked_about(tmp_path, table):
    path = tmp_path / "maps.csv"
    path.write_text("\n".join(",".join(row) for row in rows(table)))
    p = str(len(table[0]))
    n = len(table)
    with pytest.raises(UsageError, match=rf"--header \({n - 1} maps\) or --no-header \({n} maps"):
        read(str(path), p)
    assert len(read(str(path), p, header=True).data.X) == n - 1
    assert len(read(str(path), p, header=False).data.X) == n


@pytest.mark.parametrize(
    ("first", "header"),
    [
        (["id", "1", "2", "3"], True),
        (["", "0", "1", "2"], True),
        (["0.3", "abc", "0.2", "0.7"], False),
        (["a", "b", "c", "0.5"], True),
        (["", "0.4", "0.1", "0.9"], False),
    ],
)
def test_words_and_numbers_in_the_first_row(first, header):
    assert is_header(first, rows(NOISE[:, :4])) is header


def test_an_index_of_words_does_not_make_a_header_of_the_first_map():
    table = [[f"m{i}", *map(str, row)] for i, row in enumerate(NOISE)]
    assert is_header(table[0], table[1:]) is False
    assert is_header(["name", *map(str, range(12))], table) is True

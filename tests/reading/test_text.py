"""Text as people save it: separators, decimal marks, encodings, comments, compression, gaps."""

import gzip
import zipfile

import numpy as np
import pandas as pd
import pytest

from spatgmm.common.errors import UsageError
from spatgmm.reading import read, text

X = np.random.default_rng(4).normal(size=(20, 6)).round(3)
NAMED = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(6)])
PLAIN = pd.DataFrame(X).to_csv(index=False, header=False)
SEMICOLONS = pd.DataFrame(X).to_csv(index=False, header=False, sep=";")


def found(tmp_path, content, name="maps.csv", encoding="utf-8", **options):
    content = content if isinstance(content, bytes) else content.encode(encoding)
    (tmp_path / name).write_bytes(content)
    return read(str(tmp_path / name), "2x3", **options)


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("separator", [";", "\t", "|", " "])
def test_separators_and_decimal_marks(tmp_path, separator, decimal, header):
    content = NAMED.to_csv(sep=separator, decimal=decimal, header=header, index=False)
    np.testing.assert_array_equal(found(tmp_path, content).data.X, X)


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\n" + SEMICOLONS,
        "\ufeffsep=;\r\n" + SEMICOLONS.replace("\n", "\r\n"),
        "\ufeff" + PLAIN,
        "# made by hand, 2024; x\n#\n" + PLAIN,
        PLAIN.replace("\n", "\n# half-way\n", 9),
        "% from Octave\n%\n" + PLAIN.replace("\n", "\n% half-way\n", 3) + "% end\n",
        "// of a microscope\n! 5 Hz\n" + NAMED.to_csv(index=False),
        PLAIN.replace("\n", "  # doubtful\n", 3),
        PLAIN.replace("\n", ",\n"),
        PLAIN.replace(",", ", "),
        PLAIN.replace("\n", "\r"),
        "\n\n" + PLAIN.replace("\n", "\n\n"),
        NAMED.to_csv(index=False).replace("\n", ",\n"),
        NAMED.to_csv(index=False).replace("\n", ",\n").replace(",\n", "\n", 1),
        NAMED.to_csv(index=False, quoting=1),
        NAMED.to_csv(index=False, quoting=1, decimal=","),
        "\n".join("  ".join(f"{value:9.3f}" for value in row) for row in X),
    ],
)
def test_habits_of_programs(tmp_path, content):
    np.testing.assert_array_equal(found(tmp_path, content).data.X, X)


@pytest.mark.parametrize("names", [False, True])
@pytest.mark.parametrize("units", [["mm"] * 6, ["[V]", "", "V", "-", "V", "V"]])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_row_of_units_is_read_as_such(tmp_path, units, separator, names):
    table = NAMED.assign(id=[f"m{i}" for i in range(20)])[["id", *NAMED]] if names else NAMED
    header, *rows = table.to_csv(index=False, sep=separator).splitlines()
    below = separator.join([""] * names + units)
    done = found(tmp_path, "\n".join([header, below, *rows]))
    np.testing.assert_array_equal(done.data.X, X)
    assert any("a row of units" in note for note in done.notes)


def test_a_first_map_of_missing_values_is_no_row_of_units(tmp_path):
    gaps = NAMED.copy()
    gaps.iloc[0, 1:] = np.nan
    for named in (gaps, gaps.assign(id="a")[["id", *NAMED]]):
        done = found(tmp_path, named.to_csv(index=False, na_rep="NA"), missing=True)
        assert done.data.X.shape == X.shape


def test_an_archive_may_hold_what_a_system_adds(tmp_path):
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        for name in ("maps/", "__MACOSX/._maps.csv", "maps/.DS_Store"):
            archive.writestr(name, b"\0")
        archive.writestr("maps/maps.csv", PLAIN)
    content = (tmp_path / "made.zip").read_bytes()
    np.testing.assert_array_equal(found(tmp_path, content, name="maps.csv.zip").data.X, X)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-32", "utf-8-sig"])
def test_encodings(tmp_path, encoding):
    names = NAMED.rename(columns=lambda name: name.replace("pixel", "Größe"))
    done = found(tmp_path, names.to_csv(index=False), encoding=encoding)
    assert done.places[0] == "Größe 0"
    np.testing.assert_array_equal(done.data.X, X)


def test_a_letter_of_another_encoding_far_down(tmp_path):
    names = [f"m{i}" for i in range(2999)] + ["mü"]
    content = pd.DataFrame(np.resize(X, (3000, 6)), index=names).to_csv(header=False)
    assert found(tmp_path, content, encoding="latin-1").names[-1] == "mü"


@pytest.mark.parametrize(("decimal", "thousands"), [(",", "."), (".", ",")])
def test_marks_between_thousands(tmp_path, decimal, thousands):
    marks = str.maketrans({",": thousands, ".": decimal})
    large = (1e4 * X).round(2)
    cells = [[f"{value:,.2f}".translate(marks) for value in row] for row in large]
    np.testing.assert_allclose(
        found(tmp_path, pd.DataFrame(cells).to_csv(sep=";", header=False, index=False)).data.X,
        large,
    )


def test_decimal_commas_that_come_late(tmp_path):
    whole = "\n".join(["1;2;3;4;5;6"] * 50)
    done = found(tmp_path, "a;b;c;d;e;f\n7;9;8;1;2;5\n" + whole + "\n1;2,5;3;4;5;6\n")
    assert done.data.X[-1].tolist() == [1, 2.5, 3, 4, 5, 6]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt"])
@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip"])
def test_compressed_text(tmp_path, kind, suffix):
    path = tmp_path / f"maps{suffix}.{kind}"
    NAMED.to_csv(path, index=False, sep="\t")
    np.testing.assert_array_equal(read(str(path), "2x3").data.X, X)


@pytest.mark.parametrize("word", ["", "NA", "NaN", "nan", "null", "NULL", ".", "-", "n/a", "--"])
def test_words_for_a_missing_value(tmp_path, word):
    Y = X.copy()
    Y[0, 0] = Y[7, 3] = np.nan
    content = NAMED.where(~np.isnan(Y)).to_csv(index=False, na_rep=word)
    np.testing.assert_array_equal(found(tmp_path, content, missing=True).data.X, Y)
    with pytest.raises(ValueError, match=r"row 1, column 1 \('pixel 0'\): the value is missing \("):
        found(tmp_path, content)


def test_numbers_that_stand_for_a_missing_value(tmp_path):
    Y = X.copy()
    Y[2:6, 1] = -9999
    content = pd.DataFrame(Y).to_csv(index=False, header=False)
    told = found(tmp_path, content)
    assert "-9999 (4 times) is far outside all other values" in told.notes[0]
    done = found(tmp_path, content, missing=True, missing_values=[-9999])
    assert np.isnan(done.data.X).sum() == 4
    assert not done.notes
    with pytest.raises(ValueError, match="row 3, column 2: -9999"):
        found(tmp_path, content, missing_values=[-9999])


def test_places_without_any_value_are_said_to_be_holes(tmp_path):
    content = NAMED.assign(**{"pixel 2": None}).to_csv(index=False)
    with pytest.raises(ValueError, match="1 of 6 places have no value in any map: --missing em"):
        found(tmp_path, content)


@pytest.mark.parametrize("missing", [False, True])
def test_a_row_that_ends_early_is_no_row_with_gaps(tmp_path, missing):
    torn = PLAIN.rstrip("\n").rsplit(",", 2)[0]
    with pytest.raises(ValueError, match="row 20 has 4 values, others have 6"):
        found(tmp_path, torn, missing=missing)


@pytest.mark.parametrize(
    ("index", "names"),
    [
        ([f"m{i}" for i in range(20)], None),
        (range(20), None),
        (range(1, 21), None),
        (pd.Index(np.arange(20) * 7 + 100, name="sample_id"), None),
        (pd.Index([f"{i:03}a" for i in range(20)], name="who"), None),
    ],
)
@pytest.mark.parametrize("header", [False, True])
def test_an_index_names_the_maps(tmp_path, index, names, header):
    if not header and getattr(index, "name", None) == "sample_id":
        pytest.skip("without its name it is a column of numbers")
    done = found(tmp_path, NAMED.set_axis(index).to_csv(header=header))
    np.testing.assert_array_equal(done.data.X, X)
    assert done.names == [str(name) for name in index]


def test_a_column_too_many_is_asked_about(tmp_path):
    content = NAMED.assign(group=np.arange(20) % 3).to_csv(index=False)
    with pytest.raises(UsageError, match="leave out columns of classes"):
        found(tmp_path, content)
    ids = pd.DataFrame(X, index=np.arange(20) * 7 % 20 + 500).to_csv(header=False)
    assert found(tmp_path, ids, index=True).names[:2] == ["500", "507"]


def test_an_index_beside_a_column_of_names(tmp_path):
    done = found(tmp_path, NAMED.assign(who=list("abcdefghijklmnopqrst")).to_csv())
    np.testing.assert_array_equal(done.data.X, X)
    assert done.names[:2] == ["a", "b"]


def test_a_header_as_r_writes_it(tmp_path):
    content = NAMED.set_axis([f"V{i}" for i in range(6)], axis=1).set_axis(range(1, 21))
    content = content.to_csv(sep=" ", index_label=False)
    done = found(tmp_path, content)
    assert done.names[:2] == ["1", "2"] and done.places[0] == "V0"
    np.testing.assert_array_equal(done.data.X, X)


def test_an_index_is_a_pixel_where_places_are_so_many(tmp_path):
    counted = np.column_stack([np.arange(20), X[:, :5]])
    content = pd.DataFrame(counted).to_csv(index=False, header=False)
    np.testing.assert_array_equal(found(tmp_path, content).data.X, counted)
    with pytest.raises(UsageError, match="6 locations but X has 5"):
        found(tmp_path, content, index=True)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "has no rows"),
        (b"\n\n", "has no rows"),
        (b"# nothing\n", "has no rows"),
        (b" # nothing\n", "has no rows"),
        (b"a,b\0,c\n", "is not text"),
        (b"Spectrometer 5\nrun 3\n" + PLAIN.encode(), "line 3 has 6 values, those before it 1"),
        (PLAIN.replace("\n", ",7\n", 1).encode(), "line 2 has 6|others have 7"),
        (b"a,b,c\n", "has no rows below its first line"),
        (gzip.compress(PLAIN.encode()), r"is compressed; let its name end in \.gz"),
        (b"1:2:3\n4:5:6\n", "told by commas, semicolons, tabs, bars or blanks"),
        (b"x" * 5000 + b",1\n" + b"y" * 5000 + b",q\n", "not a number"),
    ],
)
def test_what_is_no_table_is_named_in_a_short_line(tmp_path, content, complaint):
    with pytest.raises(ValueError, match=complaint) as refused:
        found(tmp_path, content)
    assert len(str(refused.value)) < 400
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip"])
def test_damaged_compressed_files_are_named(tmp_path, kind):
    whole = gzip.compress(PLAIN.encode())
    for content in (b"no archive", b"", whole[:-30], whole[:40] + b"?" * 20 + whole[60:]):
        with pytest.raises(ValueError, match=rf"maps.csv.{kind}: "):
            found(tmp_path, content, name=f"maps.csv.{kind}")


def test_the_first_lines_tell_how_long_ones_are_written(tmp_path):
    wide = np.random.default_rng(5).normal(size=(3, 9000))
    path = tmp_path / "wide.csv"
    pd.DataFrame(wide).to_csv(path, index=False, sep=";")
    table = text.read(str(path), None)
    assert table.cells.shape == (3, 9000) and table.names[:2] == ["0", "1"]


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize(("decimal", "mark", "separator"), [(".", ",", ","), (",", ".", ";")])
def test_whole_thousands_are_asked_about(tmp_path, decimal, mark, separator, small, header):
    large = np.random.default_rng(6).integers(1000, 999_999, (20, 6))
    large[::2, 1] = 7 if small else 7007
    cells = pd.DataFrame([[f"{value:,}".replace(",", mark) for value in row] for row in large])
    content = cells.to_csv(sep=separator, index=False, header=[*"abcdef"] if header else False)
    if not small and mark == ".":
        return  # the same in another unit: decimals of three digits
    with pytest.raises(UsageError, match=r"may be \d+ or \d+\.\d+; say --decimal"):
        found(tmp_path, content)
    np.testing.assert_array_equal(found(tmp_path, content, decimal=decimal).data.X, large)


@pytest.mark.parametrize(
    ("above", "late", "told"),
    [
        ("1,2,3,4,5,{}", '"1,234",2,3,4,5,6', {".": 1234, ",": 1.234}),
        ("1,5;2;3;4;5;{}", "1.234;2;3;4;5;6", {",": 1234}),
    ],
)
def test_a_mark_that_comes_late_is_asked_about(tmp_path, above, late, told):
    content = "\n".join([*map(above.format, range(40)), late, ""])
    with pytest.raises(ValueError, match=r"row 41, column 1: '1.234' may be 1234 or 1\.234; say"):
        found(tmp_path, content)
    for decimal, value in told.items():
        assert found(tmp_path, content, decimal=decimal).data.X[-1, 0] == value


def test_marks_in_odd_places_are_no_thousands(tmp_path):
    content = "\n".join([*["1.234,5;2;3;4;5;6"] * 30, "1.5;2;3;4;5;6", ""])
    with pytest.raises(ValueError, match=r"row 31, column 1: '1\.5' is not a number"):
        found(tmp_path, content)


@pytest.mark.parametrize("name", ["x", "wavelength", None])
def test_one_column_with_decimal_commas_is_not_two(tmp_path, name):
    line = np.arange(6) / 2 + 400
    (tmp_path / "maps.csv").write_text(PLAIN)
    places = tmp_path / "places.csv"
    pd.DataFrame({name: line}).to_csv(places, index=False, header=bool(name), decimal=",")
    places.write_text(places.read_text().replace('"', ""))
    if name is None:
        with pytest.raises(UsageError, match="may be one number or two; say --decimal"):
            read(str(tmp_path / "maps.csv"), str(places))
    done = read(str(tmp_path / "maps.csv"), str(places), decimal="," if name is None else None)
    np.testing.assert_array_equal(done.data.coordinates[:, 0], line)


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("header", [False, True])
def test_maps_of_true_and_false(tmp_path, header, index):
    flags = pd.DataFrame(X > 0, index=[f"m{i}" for i in range(20)], columns=NAMED.columns)
    done = found(tmp_path, flags.to_csv(header=header, index=index))
    np.testing.assert_array_equal(done.data.X, X > 0)


def test_a_minus_of_typographers(tmp_path):
    content = NAMED.to_csv(index=False).replace("-", "\N{MINUS SIGN}")
    np.testing.assert_array_equal(found(tmp_path, content).data.X, X)


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("a,a,a,b,b,b", "0,1,2,3,4,5"),
        ("a,a,b,b,c,c", "0,1,0,1,0,1"),
        ("a,b,c,d,e,f", "400.5,410,421,433,440,455"),
        ("row,a,a,b,b,c,c", "col,0,1,0,1,0,1"),
    ],
)
def test_a_second_header_is_no_map(tmp_path, above, below):
    rows = NAMED.to_csv(index=above.startswith("row"), header=False)
    with pytest.raises(UsageError, match=r"second header or a map; say --header \(21 maps\)"):
        found(tmp_path, f"{above}\n{below}\n{rows}")
    content = f"{above}\n{rows}"
    np.testing.assert_array_equal(found(tmp_path, content).data.X, X)


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("form", ["{:03}", "{}E2", "00{}"])
def test_names_that_look_like_numbers_stay_as_they_are(tmp_path, form, header):
    names = [form.format(i) for i in range(20)]
    content = NAMED.set_axis(pd.Index(names, name="id")).to_csv(header=header)
    options = {} if header or form == "{:03}" else {"index": True}
    assert found(tmp_path, content, **options).names == names


def test_blank_lines_between_the_line_ends_of_old_macs(tmp_path):
    content = "\n# made by hand\n" + NAMED.to_csv(index=False) + "\n"
    done = found(tmp_path, content.replace("\n", "\r"))
    np.testing.assert_array_equal(done.data.X, X)


@pytest.mark.parametrize("gap", ["NA", ""])
def test_names_of_two_words_between_tabs(tmp_path, gap):
    named = NAMED.set_axis([f"map {i}" for i in range(20)])
    named.iloc[3, 2] = np.nan
    content = named.to_csv(sep="\t", index_label="id", na_rep=gap)
    done = found(tmp_path, content, missing=True)
    np.testing.assert_array_equal(done.data.X, named)


def test_an_index_without_header_where_rows_end_in_separators(tmp_path):
    content = NAMED.to_csv(header=False).replace("\n", ",\n")
    np.testing.assert_array_equal(found(tmp_path, content).data.X, X)


def test_an_index_that_counts_says_where_the_first_map_is(tmp_path):
    rising = np.cumsum(np.abs(X[:5]) + 0.01, axis=1).round(3)
    content = pd.DataFrame(rising).to_csv(header=False, sep=";")
    np.testing.assert_array_equal(found(tmp_path, content).data.X, rising)


@pytest.mark.parametrize("header", [None, ["x", "y"]])
@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_whole_coordinates_are_not_asked_about(tmp_path, order, header):
    (tmp_path / "maps.csv").write_text(PLAIN)
    places = np.argwhere(np.ones((2, 3)))[:, order]
    pd.DataFrame(places, columns=header).to_csv(
        tmp_path / "places.csv", index=False, header=header is not None
    )
    done = read(str(tmp_path / "maps.csv"), str(tmp_path / "places.csv"))
    np.testing.assert_array_equal(done.data.coordinates, places)


def test_one_row_that_may_be_a_number_or_two_is_asked_about(tmp_path):
    (tmp_path / "maps.csv").write_text("1\n2\n3\n")
    (tmp_path / "places.csv").write_text("x\n1,4\n")
    with pytest.raises(UsageError, match="'1,4' may be one number or two; say --decimal"):
        read(str(tmp_path / "maps.csv"), str(tmp_path / "places.csv"))


def test_thousands_in_one_column_beside_small_numbers_in_others_are_asked_about(tmp_path):
    content = "122;3;4;15,874;5;6\n20;7;84;39,997;5;6\n"
    with pytest.raises(UsageError, match=r"'39,997' may be 39997 or 39\.997; say --decimal"):
        found(tmp_path, content)
    assert found(tmp_path, content, decimal=".").data.X[1, 3] == 39997
    assert found(tmp_path, content, decimal=",").data.X[1, 3] == 39.997

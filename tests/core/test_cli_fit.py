"""`spatgmm fit` on users' files: what it writes, what it picks, what it refuses."""

import json
import re
import time
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

import spatgmm
from spatgmm import SpatialGaussianMixture, methods, reading
from spatgmm.cli import _pictures, _search, main
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay
from spatgmm.covariance.fitted import FittedCovariance
from spatgmm.covariance.geometry import scaled_distances
from spatgmm.data import Dataset
from spatgmm.fitting.options import DECAYS
from spatgmm.plot import curves

COMPONENTS = [(0.5, 0.0, (1.0, -0.9, 0.3), 2.5), (0.5, 3.0, (1.2, -0.8, 0.4), 5.0)]
PARAMETERS = ["weight", "alpha1", "alpha2", "alpha3", "beta"]


@pytest.fixture(scope="module")
def maps(plain):
    """Maps on a 3x4 grid and their groups."""
    return plain.draw(grid_coordinates((3, 4)), 60, COMPONENTS, seed=1)


@pytest.fixture
def files(tmp_path, maps):
    """The same maps and coordinates in every kind of file."""
    X, grid = maps[0], grid_coordinates((3, 4))
    table = pd.DataFrame(X, columns=[f"pixel {j}" for j in range(12)])
    sites = pd.DataFrame(grid, columns=["row", "column"])
    paths = SimpleNamespace(
        plain=tmp_path / "plain.csv",
        named=tmp_path / "named.csv",
        parquet=tmp_path / "maps.parquet",
        array=tmp_path / "maps.npy",
        grids=tmp_path / "grids.npy",
        sites=tmp_path / "sites.csv",
        sites_parquet=tmp_path / "sites.parquet",
        sites_array=tmp_path / "sites.npy",
    )
    table.to_csv(paths.plain, index=False, header=False)
    table.to_csv(paths.named, index=False)
    table.to_parquet(paths.parquet)
    np.save(paths.array, X)
    np.save(paths.grids, X.reshape(-1, 3, 4))
    sites.to_csv(paths.sites, index=False)
    sites.to_parquet(paths.sites_parquet)
    np.save(paths.sites_array, grid)
    return paths


@pytest.fixture
def fit(tmp_path):
    """Run the command; the exit status and what it wrote."""

    def run(*arguments, out="out"):
        status = main(["fit", *map(str, arguments), "--out", str(tmp_path / out)])
        return SimpleNamespace(
            status=status,
            folder=tmp_path / out,
            table=lambda name: pd.read_csv(tmp_path / out / name),
            summary=lambda: json.loads((tmp_path / out / "summary.json").read_text()),
        )

    return run


def test_it_writes_what_the_estimator_finds(fit, files, maps):
    done = fit(files.plain, "--coordinates", "3x4", "--components", "2", "--decay", "sigmoid")
    assert done.status == 0
    X, groups = maps
    labels, parameters = done.table("labels.csv"), done.table("parameters.csv")
    columns = ["map", "label", "probability_1", "probability_2", "outlier_probability"]
    assert labels.columns.tolist() == columns
    assert labels["map"].tolist() == list(range(60))
    assert adjusted_rand_score(groups, labels["label"]) == 1

    # So small a grid has several optima: from these labels to the one that was found.
    model = SpatialGaussianMixture(2, coordinates=(3, 4), init=labels["label"] - 1).fit(X)
    expected = model.standard_errors(X)
    assert parameters["component"].tolist() == [1] * 5 + [2] * 5
    assert parameters["parameter"].tolist() == PARAMETERS * 2
    for column in ("estimate", "std_error", "lower", "upper"):
        np.testing.assert_allclose(parameters[column], expected[column], rtol=1e-3)

    summary = done.summary()
    assert summary["log_likelihood"] == pytest.approx(model.log_likelihood_, abs=1e-3)
    assert summary["bic"] == pytest.approx(model.bic(X), abs=1e-2)
    assert summary["n_parameters"] == 1 + 2 * 12 + 8
    assert summary["cluster_sizes"] == np.bincount(labels["label"]).tolist()[1:]
    assert (summary["n"], summary["p"], summary["method"]) == (60, 12, "spatgmm")
    assert summary["converged"] is True


def test_pictures_are_drawn_and_only_whole_files_are_left(fit, files):
    folder = fit(files.plain, "--coordinates", "3x4", "--components", "2").folder
    tables = {"labels.csv", "means.csv", "parameters.csv", "summary.json", "model.npz"}
    expected = tables | {"clusters.png", "decay.png", "bic.csv", "report.html"}
    assert {path.name for path in folder.iterdir()} == expected
    for name in ("clusters.png", "decay.png"):
        image = matplotlib.image.imread(folder / name)
        assert min(image.shape[:2]) > 300
        assert np.ptp(image[..., :3]) > 0.5


@pytest.mark.parametrize(
    ("maps_file", "sites_file"),
    [
        ("plain", "sites"),
        ("named", "sites"),
        ("parquet", "sites"),
        ("array", "sites"),
        ("plain", "sites_parquet"),
        ("plain", "sites_array"),
    ],
)
def test_every_kind_of_file_gives_the_same_clusters(fit, files, maps_file, sites_file):
    arguments = ["--components", "2", "--method", "kmeans"]
    one = fit(getattr(files, maps_file), "--coordinates", getattr(files, sites_file), *arguments)
    other = fit(files.plain, "--coordinates", "3x4", *arguments, out="other")
    pd.testing.assert_frame_equal(one.table("labels.csv"), other.table("labels.csv"))


def test_an_array_of_grids_brings_its_coordinates(fit, files):
    arguments = ["--components", "2", "--decay", "sigmoid"]
    one = fit(files.grids, *arguments)
    other = fit(files.plain, "--coordinates", "3x4", *arguments, out="other")
    assert one.summary()["log_likelihood"] == other.summary()["log_likelihood"]


def test_locations_that_fill_a_grid_are_known_as_one(tmp_path, files):
    assert reading.read(str(files.plain), str(files.sites)).data.shape == (3, 4)
    # x runs fastest, y falls from the top: an image listed line by line.
    y, x = np.meshgrid([9.0, 6.0, 3.0], [0.0, 1.0, 2.0, 3.0], indexing="ij")
    np.save(tmp_path / "image.npy", np.column_stack([x.ravel(), y.ravel()]))
    assert reading.read(str(files.plain), str(tmp_path / "image.npy")).data.shape == (3, 4)
    shuffled = np.random.default_rng(0).permutation(grid_coordinates((3, 4)))
    np.save(tmp_path / "shuffled.npy", shuffled)
    assert reading.read(str(files.plain), str(tmp_path / "shuffled.npy")).data.shape is None


def test_several_variables(fit, tmp_path, maps):
    X = np.stack([maps[0], np.random.default_rng(0).normal(size=maps[0].shape)], axis=2)
    np.save(tmp_path / "maps.npy", X.reshape(-1, 3, 4, 2))
    done = fit(tmp_path / "maps.npy", "--variables", 2, "--components", 2, "--between", "diagonal")
    assert done.status == 0
    assert done.summary()["n_variables"] == 2 and done.summary()["p"] == 12
    assert list(done.table("means.csv"))[-4:] == ["mean_1_0", "mean_1_1", "mean_2_0", "mean_2_1"]
    assert "psi[1,1]" in set(done.table("parameters.csv")["parameter"])
    model = spatgmm.load(done.folder / "model.npz")
    np.testing.assert_array_equal(model.predict(X) + 1, done.table("labels.csv")["label"])
    status = main(
        [
            *("predict", str(done.folder), str(tmp_path / "maps.npy")),
            *("--out", str(tmp_path / "predicted")),
        ]
    )
    assert status == 0


def test_bic_picks_among_several_numbers_of_components(fit, files, capsys):
    arguments = ["--components", "1:3", "--decay", "sigmoid"]
    done = fit(files.plain, "--coordinates", "3x4", *arguments)
    table = done.table("bic.csv")
    assert table["n_components"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(
        table["bic"], -2 * table["log_likelihood"] + table["n_parameters"] * np.log(60)
    )
    best = table.loc[table["bic"].idxmin()]
    assert best["n_components"] == 2
    assert done.summary()["n_components"] == 2
    assert done.summary()["bic"] == best["bic"]
    assert done.table("labels.csv")["label"].nunique() == 2
    shown = capsys.readouterr()
    assert "bic" in shown.out
    assert shown.err.count("BIC") == 3  # progress: a line per fit where there is no terminal


def test_a_fit_does_not_depend_on_the_range_it_is_picked_from(fit, files):
    sigmoid = ["--coordinates", "3x4", "--decay", "sigmoid", "--components"]
    one = fit(files.plain, *sigmoid, "2")
    fit(files.plain, *sigmoid, "2:3", out="range")
    other = pd.read_csv(one.folder.parent / "range" / "bic.csv")
    assert other["log_likelihood"][0] == one.summary()["log_likelihood"]


def test_files_of_an_earlier_fit_do_not_stay(fit, files):
    fit(files.plain, "--coordinates", "3x4", "--components", "1:2", "--decay", "sigmoid")
    again = [files.plain, "--coordinates", "3x4", "--components", "2", "--method", "kmeans"]
    done = fit(*again, "--force")
    assert not (done.folder / "bic.csv").exists()
    assert not (done.folder / "decay.png").exists()


def test_other_methods_report_what_they_have(fit, files):
    done = fit(files.plain, "--coordinates", "3x4", "--components", "2", "--method", "kmeans")
    assert done.table("parameters.csv")["parameter"].tolist() == ["inertia"]
    assert done.summary()["log_likelihood"] is None
    assert done.summary()["inertia"] > 0


def test_bic_cannot_pick_for_a_method_without_a_likelihood(fit, files, capsys):
    done = fit(files.plain, "--coordinates", "3x4", "--components", "2:3", "--method", "kmeans")
    assert done.status == 2
    assert "'kmeans' has no likelihood" in capsys.readouterr().err


def test_a_fit_that_fails_is_told_and_the_others_go_on(fit, files, capsys, monkeypatch):
    get = methods.get

    def failing(name):
        method = get(name)

        def fit(data, n_components, rng, **parameters):
            if n_components == 2:
                raise RuntimeError("out of luck")
            return method._fit(data, n_components, rng, **parameters)

        return replace(method, _fit=fit)

    monkeypatch.setattr(methods, "get", failing)
    sigmoid = ["--coordinates", "3x4", "--decay", "sigmoid", "--components"]
    done = fit(files.plain, *sigmoid, "1:2")
    assert done.status == 0
    assert done.summary()["n_components"] == 1
    assert "2 components, sigmoid decay: out of luck" in capsys.readouterr().err
    assert fit(files.plain, *sigmoid, "2", out="b").status == 1
    assert "every fit failed: 2 components: out of luck" in capsys.readouterr().err


def test_what_the_estimator_warns_of_is_told_and_kept(fit, files, tmp_path, maps, capsys):
    X = maps[0].copy()
    X[:, 4] = 1.0
    np.save(tmp_path / "masked.npy", X)
    done = fit(tmp_path / "masked.npy", "--coordinates", "3x4", "--components", "1")
    assert "1 of 12 columns are constant" in done.summary()["warnings"][0]
    assert "warning: X: 1 of 12 columns are constant" in capsys.readouterr().err


def test_the_decay_is_left_to_bic_and_compared_with_the_papers(fit, files, capsys):
    done = fit(files.plain, "--coordinates", "3x4", "--components", "2")
    table = done.table("bic.csv")
    assert table["decay"].tolist() == list(DECAYS)
    best = table.loc[table["bic"].idxmin()]
    assert done.summary()["decay"] == best["decay"]
    said = capsys.readouterr().out
    taken = re.search(r"decay (\w+), the lowest BIC of 7 decays: .* lie ([\d.]+) from", said)
    assert taken[1] == best["decay"] and float(taken[2]) < 0.5
    if best["decay"] != "sigmoid":
        above = table.set_index("decay")["bic"]["sigmoid"] - best["bic"]
        assert f"the paper's sigmoid would give a BIC {above:.1f} higher" in said


def test_too_few_components_for_the_sake_of_free_means_get_a_hint():
    bic = pd.DataFrame({"n_components": [1, 2, 3], "log_likelihood": [-9553.0, -9378.0, -9280.0]})
    best = {"n_components": 2, "decay": "sigmoid"}
    told = _search.hint(bic, best, {}, n=150, p=64)
    assert told.startswith("BIC takes 2 components, but 3 raise the log-likelihood by 98")
    assert "--mean constant" in told
    # By chance alone, means of 64 values gain 32; and other means are not so dear.
    noise = bic.assign(log_likelihood=[-9553.0, -9378.0, -9340.0])
    assert _search.hint(noise, best, {}, n=150, p=64) is None
    assert _search.hint(bic, best, {"mean": "constant"}, n=150, p=64) is None
    assert _search.hint(bic, {**best, "n_components": 3}, {}, n=150, p=64) is None


def test_a_fit_without_a_terminal_shows_signs_of_life(monkeypatch):
    said = []
    monkeypatch.setattr(_search, "_EVERY", 0.01)
    with _search.signs_of_life("2 components", said.append):
        time.sleep(0.2)
    assert len(said) > 3 and said[0].startswith("2 components: at work for ")
    there = len(said)
    time.sleep(0.05)
    assert len(said) == there


# -- refusals: one line, the file and the place in it; status 1 where another command line would
# not help, else 2 ---------------------------------------------------------------------------


def broken(tmp_path, maps, change, name="bad.csv", header=False):
    table = pd.DataFrame(maps[0], columns=[f"pixel {j}" for j in range(12)]).astype(object)
    change(table)
    table.to_csv(tmp_path / name, index=False, header=header)
    return tmp_path / name


def put(row, column, value):
    def change(table):
        table.iloc[row, column] = value

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (put(6, 3, "n/k"), r"row 7, column 4: 'n/k' is not a number"),
        (put(6, 3, None), r"row 7, column 4: the value is missing"),
        (put(0, 0, None), r"row 1, column 1: the value is missing"),
        (put(59, 11, np.inf), r"row 60, column 12: inf is not a finite number"),
        (put(0, 2, "abc"), r"row 1, column 3: 'abc' is not a number"),
    ],
)
def test_a_bad_value_is_named_by_row_and_column(
    fit, files, tmp_path, maps, capsys, change, complaint
):
    path = broken(tmp_path, maps, change)
    assert fit(path, "--coordinates", "3x4", "--components", "2").status == 1
    error = capsys.readouterr().err
    assert f"{path}: {complaint}" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_bad_value_under_a_header_is_named_by_its_column(fit, tmp_path, maps, capsys):
    path = broken(tmp_path, maps, put(2, 5, "?"), header=True)
    assert fit(path, "--coordinates", "3x4", "--components", "2").status == 1
    assert "row 3, column 6 ('pixel 5'): '?' is not a number" in capsys.readouterr().err


def test_a_bad_value_in_parquet_and_npy_is_named_too(fit, tmp_path, maps, capsys):
    X = maps[0].copy()
    X[4, 7] = np.nan
    pd.DataFrame(X, columns=[f"pixel {j}" for j in range(12)]).to_parquet(tmp_path / "x.parquet")
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "grids.npy", X.reshape(-1, 3, 4))
    for name, place in (
        ("x.parquet", "row 5, column 8 ('pixel 7')"),
        ("x.npy", "row 5, column 8"),
        ("grids.npy", "row 5, pixel (2, 4)"),
    ):
        assert fit(tmp_path / name, "--coordinates", "3x4", "--components", "2").status == 1
        assert f"{name}: {place}: the value is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has no rows"),
        ("a,b,c\n", "has no rows"),
        ("1,2,3\n4,5,6,7\n", "line 2 has 4 values, those before it 3"),
        ("a,b,c\n1,2\n3,4\n", "row 1 has 2 values, the header line names 3"),
        ("1,2,3\n4,5\n", "row 2 has 2 values, others have 3"),
    ],
)
def test_a_csv_file_that_is_no_table(fit, tmp_path, capsys, text, complaint):
    (tmp_path / "bad.csv").write_text(text)
    assert fit(tmp_path / "bad.csv", "--coordinates", "3", "--components", "2").status == 1
    error = capsys.readouterr().err
    assert f"bad.csv: {complaint}" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["bad.csv", "bad.parquet", "bad.npy"])
def test_a_file_that_is_not_what_its_name_says(fit, tmp_path, capsys, name):
    (tmp_path / name).write_bytes(b"\xff\xfe\x00\x81 nothing of the kind")
    assert fit(tmp_path / name, "--coordinates", "3x4", "--components", "2").status == 1
    error = capsys.readouterr().err
    assert name in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.array(["a", "b"]), "does not hold one array of real numbers"),
        (np.zeros((3, 0)), "holds no values"),
        (np.zeros(5), "2, 3 or 4 axes"),
        (np.zeros((2, 2, 2, 2, 2)), "2, 3 or 4 axes"),
    ],
)
def test_an_array_that_holds_no_maps(fit, tmp_path, capsys, array, complaint):
    np.save(tmp_path / "bad.npy", array)
    assert fit(tmp_path / "bad.npy", "--coordinates", "3x4", "--components", "2").status == 1
    assert complaint in capsys.readouterr().err


def test_files_that_are_not_there_or_of_no_known_kind(fit, tmp_path, files, capsys):
    (tmp_path / "maps.xlsx").touch()
    for name, complaint in (
        ("none.csv", "none.csv: there is no such file"),
        ("maps.xlsx", "known are .csv, "),
    ):
        assert fit(tmp_path / name, "--coordinates", "3x4", "--components", "2").status == 2
        assert complaint in capsys.readouterr().err
    assert fit(files.plain, "--coordinates", "none.csv", "--components", "2").status == 2
    assert "none.csv: there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x,y\n1,2\n3,4\n", "coordinates has 2 locations but X has 12 values per map"),
        ("x,y\n" + "1,2\n" * 12, "all 12 locations are on one spot"),
        ("x,y\n" + "1,2\n" * 11 + "1,north\n", "row 12, column 2 ('y'): 'north' is not a number"),
        ("1,2,3,4\n" * 12, "must have shape (p, d)"),
    ],
)
def test_bad_coordinates_are_refused_with_their_file(fit, files, tmp_path, capsys, text, complaint):
    (tmp_path / "where.csv").write_text(text)
    done = fit(files.plain, "--coordinates", tmp_path / "where.csv", "--components", "2")
    assert done.status == 1
    error = capsys.readouterr().err
    assert "where.csv" in error
    assert complaint in error


def test_maps_need_coordinates_that_fit(fit, files, capsys):
    assert fit(files.plain, "--components", "2").status == 2
    assert "where are its 12 locations?" in capsys.readouterr().err
    assert fit(files.plain, "--coordinates", "5x5", "--components", "2").status == 2
    assert "has 25 locations but X has 12 values" in capsys.readouterr().err
    assert fit(files.grids, "--coordinates", "4x3", "--components", "2").status == 2
    assert "are 3 x 4 grids" in capsys.readouterr().err


@pytest.mark.parametrize("components", ["0", "two", "3:2", "1:", ":3", "-1", "2.5"])
def test_bad_numbers_of_components(fit, files, capsys, components):
    with pytest.raises(SystemExit) as ended:
        fit(files.plain, "--coordinates", "3x4", f"--components={components}")
    assert ended.value.code == 2
    assert "--components" in capsys.readouterr().err


def test_what_a_method_cannot_do_is_said_before_any_fit(fit, files, capsys):
    arguments = [files.plain, "--coordinates", "3x4", "--components"]
    assert fit(*arguments, "2", "--method", "kmedoids").status == 2
    assert "unknown method 'kmedoids'; known are" in capsys.readouterr().err
    assert fit(*arguments, "2", "--method", "truth").status == 2
    assert "the true parameters are not known" in capsys.readouterr().err
    assert fit(*arguments, "1:60").status == 2
    assert "60 maps are too few for 60 components" in capsys.readouterr().err


def test_a_file_in_place_of_the_folder(fit, files, tmp_path, capsys):
    (tmp_path / "out").write_text("here first")
    assert fit(files.plain, "--coordinates", "3x4", "--components", "2").status == 2
    assert "is a file, not a folder" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "here first"


# -- pictures --------------------------------------------------------------------------------


def test_an_empty_cluster_is_shown_as_one():
    data = Dataset(np.arange(12.0).reshape(3, 4), grid_coordinates((2, 2)), shape=(2, 2))
    figure = _pictures.clusters(data, np.array([0, 2, 2]), 3, np.zeros(3, dtype=bool))
    titles = [ax.get_title() for ax in figure.axes]
    assert "cluster 1, n = 1" in titles
    assert "cluster 2, no maps" in titles
    assert "map 2" in titles


@pytest.mark.parametrize("shape", [(3000,), (60, 50), (15, 15, 14)])
def test_many_locations_are_thinned_without_changing_the_scale(shape):
    coordinates = grid_coordinates(shape)
    data = Dataset(np.zeros((1, len(coordinates))), coordinates, shape=shape)
    thinned = curves.thinned(data)
    assert len(thinned.coordinates) <= 2002
    largest = np.linalg.norm(np.array(shape) - 1)
    assert np.linalg.norm(np.ptp(thinned.coordinates, axis=0)) == pytest.approx(largest)
    kept = scaled_distances(thinned.coordinates)
    there = np.linalg.norm(thinned.coordinates[0] - thinned.coordinates[1])
    assert kept[0, 1] == pytest.approx(2 * there / largest)


def test_the_axis_of_the_decay_is_in_units_of_the_coordinates():
    coordinates = 2.5 * grid_coordinates((4, 5))
    data = Dataset(np.random.default_rng(0).normal(size=(9, 20)), coordinates, shape=(4, 5))
    fitted = FittedCovariance(
        np.array([1.0, -0.9, 0.3]), np.array([3.0]), None, decay.get("sigmoid")
    )
    figure = _pictures.decay(data, np.zeros(9, dtype=int), {0: fitted})
    figure.draw_without_rendering()
    np.testing.assert_allclose(figure.axes[0].get_xlim(), [0, 2.5 * 5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metric", "rotatd"], r"--metric: must be one of .*'rotatd'; did you mean 'rotated'\?"),
        (["--tol", "-1"], "--tol: must be a positive number, got '-1'"),
        (["--tol", "nan"], "--tol: must be a positive number"),
        (["--n-init", "2.0"], "--n-init: must be an integer of at least 1"),
        (["--decay", "sigmoid,matern"], "--decay: must be one of .*did you mean 'matern"),
    ],
)
def test_values_of_options_are_refused_as_declared(fit, files, capsys, options, message):
    with pytest.raises(SystemExit):
        fit(files.plain, "--coordinates", "3x4", "--components", "2", *options)
    assert re.search(message, capsys.readouterr().err)


def test_options_of_other_methods_are_refused_by_name(fit, files, capsys):
    arguments = ["--coordinates", "3x4", "--components", "2", "--method", "kmeans"]
    assert fit(files.plain, *arguments, "--tol", "1").status == 2
    assert "--tol, method 'kmeans': is unknown" in capsys.readouterr().err
    assert fit(files.plain, *arguments, "--n-init", "3").status == 0


def test_outlying_maps_are_named(fit, maps, tmp_path, capsys):
    X, groups = maps
    np.savetxt(tmp_path / "broken.csv", np.vstack([X, 30 * X[:1]]), delimiter=",")
    done = fit(
        *(tmp_path / "broken.csv", "--coordinates", "3x4", "--components", "2"),
        *("--tails", "contaminated"),
    )
    assert done.status == 0
    labels = done.table("labels.csv")
    outlying = np.flatnonzero(labels["outlier_probability"] > 0.5)
    assert outlying[-1] == 60
    named = ", ".join(map(str, outlying))
    assert f"outlying maps: {len(outlying)} of 61 ({named})" in capsys.readouterr().out
    assert adjusted_rand_score(groups, labels["label"][:60]) == 1


def test_a_saved_fit_serves_further_maps(fit, files, maps, tmp_path, capsys):
    arguments = ["--components", "2", "--decay", "sigmoid"]
    done = fit(files.plain, "--coordinates", "3x4", *arguments)
    folder = done.folder
    from spatgmm.cli import main

    X, _ = maps
    np.savetxt(tmp_path / "more.csv", X[:7], delimiter=",")
    for model in (folder, folder / "model.npz"):
        out = tmp_path / f"predicted{model.suffix}"
        assert main(["predict", str(model), str(tmp_path / "more.csv"), "--out", str(out)]) == 0
        again = pd.read_csv(out / "labels.csv")
        first = done.table("labels.csv").iloc[:7]
        pd.testing.assert_frame_equal(again, first, atol=1e-6)
    assert main(["predict", str(tmp_path), str(tmp_path / "more.csv")]) == 2
    assert "there is no model.npz" in capsys.readouterr().err


@pytest.fixture
def stations(tmp_path, maps):
    """Places around the date line, under their names."""
    longitude = (np.linspace(170, 195, 12) + 180) % 360 - 180
    table = pd.DataFrame({"lat": np.arange(12) % 5 - 20.0, "lon": longitude})
    table.to_csv(tmp_path / "stations.csv", index=False)
    return tmp_path / "stations.csv"


def test_degrees_in_a_plane_are_asked_about_unless_something_was_said(fit, files, stations, capsys):
    fast = ["--components", 1, "--n-init", 1, "--max-iter", 3, "--force"]
    arguments = [files.plain, "--coordinates", stations, *fast]
    assert fit(*arguments).status == 0
    assert "lon, lat were taken for a plane" in capsys.readouterr().err
    for said in (["--space", "plane"], ["--space", "sphere"], ["--method", "kmeans"]):
        arguments[arguments.index("--components") + 1] = 2
        assert fit(*arguments, *said).status == 0
        assert "taken for a plane" not in capsys.readouterr().err


def test_a_fit_on_the_earth_comes_back_for_prediction(fit, files, stations, tmp_path):
    arguments = [files.plain, "--coordinates", stations, "--components", 2, "--space", "sphere"]
    run = fit(*arguments)
    assert run.status == 0 and run.summary()["space"] == "sphere"
    assert (run.folder / "decay.png").exists()
    assert main(["predict", str(run.folder), str(files.plain), "--out", str(tmp_path / "p")]) == 0
    again = pd.read_csv(tmp_path / "p" / "labels.csv")
    assert (again["label"] == run.table("labels.csv")["label"]).all()


@pytest.mark.parametrize(("period", "status"), [("none,4", 0), ("none,3", 1), ("none,day", 2)])
def test_closed_axes_on_the_command_line(fit, files, period, status, capsys):
    arguments = [files.plain, "--coordinates", files.sites, "--components", 2, "--period", period]
    try:
        assert fit(*arguments).status == status
    except SystemExit as refused:
        assert refused.code == status
    assert status == 0 or "period" in capsys.readouterr().err


def test_maps_too_few_to_check_the_model_are_fitted_all_the_same(tmp_path):
    np.save(tmp_path / "few.npy", np.random.default_rng(0).normal(size=(5, 3)))
    words = [str(tmp_path / "few.npy"), "--coordinates", "3", "--components", "3"]
    assert main(["fit", *words, "--decay", "exponential", "--out", str(tmp_path / "out")]) == 0
    assert "Not checked: X: no component has 5" in (tmp_path / "out" / "report.html").read_text()


def test_outlying_maps_have_a_row_of_their_own():
    X = np.random.default_rng(0).normal(size=(20, 9))
    outlying = np.arange(20) == 7
    X[outlying] *= 100
    data = Dataset(X, grid_coordinates((3, 3)), shape=(3, 3))
    figure = _pictures.clusters(data, np.repeat([0, 1], 10), 2, outlying)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles.count("map 7, cluster 1") == 1 and "map 7" not in titles
    # What outlies does not stretch the scale of the others.
    (usual,) = (ax for ax in figure.axes if ax.get_title() == "map 0")
    assert usual.get_images()[0].get_clim()[1] < 10

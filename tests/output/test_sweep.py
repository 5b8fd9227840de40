"""Sweeps: means over many fits without holding them, and a table and two figures of them."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from spatgmm.report import labels, registry, summary
from spatgmm.report.numbers import sweep
from spatgmm.report.results import Results, mean_and_error
from spatgmm.report.story import Story


@pytest.fixture(scope="module")
def swept(made_up, tmp_path_factory):
    """(config, directory) of a sweep over three keys, one method failing half of the time."""
    config = made_up.raw_config()
    config["studies"] = {
        "sweep": {
            "scenarios": ["grid"],
            "vary": {
                "n": [40, 60],
                "components.1.beta": [4, 5, 7],
                "locations.grid": [[4, 4], [5, 5]],
                "method.n_init": [1],
            },
            "methods": ["spatgmm", "kmeans", "truth"],
            "replicates": 4,
        }
    }
    config["outputs"] = ["table10", "figure10", "figure11"]

    def spoil(row):
        if row["method"].startswith("kmeans") and row["replicate"] % 2:
            made_up.fail(row, "timeout", "stopped after the time limit of 1 s")

    return made_up.make_run(tmp_path_factory.mktemp("sweep"), config, spoil)


def test_cells_are_means_over_the_fits(swept):
    results = Results(*swept)
    cells = results.cells("sweep").set_index(["case", "method"])
    assert len(cells) == 2 * 3 * 2 * 3
    for (case, method), group in results.of("sweep").groupby(["case", "method"]):
        ok = group["status"] == "ok"
        mean, error = mean_and_error(group.loc[ok, "ari"])
        cell = cells.loc[(case, method)]
        assert cell["mean_ari"] == pytest.approx(mean)
        assert cell["se_ari"] == pytest.approx(error)
        assert (cell["n_ok"], cell["n_failed"]) == (ok.sum(), (~ok).sum())


def test_cells_do_not_depend_on_how_rows_are_grouped_on_disk(swept, tmp_path):
    config, directory = swept
    before = Results(config, directory).cells("sweep")
    rows = pq.read_table(directory / "fits.parquet")
    pq.write_table(rows, tmp_path / "fits.parquet", row_group_size=7)
    pd.testing.assert_frame_equal(Results(config, tmp_path).cells("sweep"), before)


def test_only_what_takes_more_than_one_value_is_a_column(swept):
    raw = sweep.cells(Results(*swept), "sweep")
    assert sweep.swept(raw) == ["n", "components.1.beta", "locations.grid"]
    assert set(raw["locations.grid"]) == {(4, 4), (5, 5)}


def test_the_table_has_a_row_per_point_and_counts_failures(swept, build):
    results = Results(*swept)
    table = build("table10", results)
    assert len(table.formatted) == 2 * 3 * 2
    assert list(table.formatted["beta of component 2"][:3]) == ["4", "4", "5"]
    assert list(table.formatted["grid"][:2]) == ["4 × 4", "5 × 5"]
    assert table.formatted["k-means, n_init = 1"].str.contains("[2/4]", regex=False).all()
    assert "24 of 144 fits failed" in table.finding
    for path in registry.write("table10", *swept):
        assert path.stat().st_size > 100


@pytest.mark.parametrize("name", ["figure10", "figure11"])
def test_figures_show_every_method_and_point(swept, name, build):
    config, directory = swept
    results = Results(config, directory)
    for path in registry.write(name, config, directory):
        assert path.stat().st_size > 1000
    drawing = build(name, results)
    figure = drawing.draw()
    shown = [ax for ax in figure.axes if ax.get_xlabel() != "" or ax.images or ax.lines]
    assert len(shown) >= 6
    assert drawing.notes == ("Rows of panels: grid.",)
    if name == "figure10":
        maps = [ax.images[0].get_array() for ax in figure.axes if ax.images]
        assert len([m for m in maps if m.shape == (3, 2)]) == 6
        values = np.sort(np.concatenate([np.ravel(m) for m in maps if m.shape == (3, 2)]))
        np.testing.assert_allclose(values, np.sort(results.cells("sweep")["mean_ari"]))


def test_a_sweep_of_one_key_is_drawn_too(made_up, tmp_path):
    config = made_up.raw_config()
    config["studies"] = {
        "sweep": {"scenarios": ["grid"], "vary": {"n": [40, 60]}, "methods": ["kmeans"]}
    }
    config["outputs"] = ["table10", "figure10", "figure11"]
    resolved, directory = made_up.make_run(tmp_path, config)
    for name in ("figure10", "figure11"):
        assert registry.write(name, resolved, directory)
    assert "Table 10" in summary.text(Story(Results(resolved, directory)))


def test_fits_of_different_code_are_said_to_be_mixed(swept, made_up, tmp_path, build):
    config, directory = swept
    assert Results(config, directory).mixed() == ""
    rows = pd.read_parquet(directory / "fits.parquet")
    rows.loc[rows.index[0], "code_hash"] = "other"
    rows.loc[rows["method"] == rows["method"].iloc[0], "numpy"] = None
    rows.loc[rows.index[:2], "numpy"] = ["1", "2"]
    rows.to_parquet(tmp_path / "fits.parquet")
    results = Results(config, tmp_path)
    first = rows["method"].iloc[0]
    said = f"Fits are mixed here that differ in: code ({first}); numpy ({first})."
    assert results.mixed() == said
    assert said in build("table10", results).notes
    assert said in summary.text(Story(results))


def test_whole_components_may_vary_and_keys_be_absent_at_some_points(made_up, tmp_path, build):
    config = made_up.raw_config()
    parts = [{"alpha": [1, -0.9, 0.3], "beta": beta} for beta in (2, 4, 7)]
    two = {"components": [parts[0], parts[2]], "weights": [0.5, 0.5]}
    three = {"components": parts, "weights": [0.4, 0.3, 0.3]}
    config["studies"] = {
        "sweep": {
            "scenarios": ["grid"],
            "vary": [{"n": 40} | two, {"n": 40} | three, {"n": 60} | three, two],
            "methods": ["kmeans"],
        }
    }
    config["outputs"] = ["table10", "figure10", "figure11"]
    resolved, directory = made_up.make_run(tmp_path, config)
    shown = build("table10", Results(resolved, directory)).formatted
    assert list(shown["components"]) == ["2", "3", "3", "2"]
    assert list(shown["weights"]) == [
        "(0.5; 0.5)",
        "(0.4; 0.3; 0.3)",
        "(0.4; 0.3; 0.3)",
        "(0.5; 0.5)",
    ]
    assert list(shown["n"]) == ["40", "40", "60", labels.ABSENT]
    for name in ("figure10", "figure11"):
        assert registry.write(name, resolved, directory)


def test_components_of_one_number_are_told_apart(made_up, tmp_path, build):
    config = made_up.raw_config()
    near, far = (
        [{"alpha": [1, -0.9, 0.3], "beta": beta} for beta in betas] for betas in ((2, 3), (2, 7))
    )
    config["studies"] = {
        "sweep": {
            "scenarios": ["grid"],
            "vary": {"components": [near, far], "n": [40, 60]},
            "methods": ["kmeans"],
        }
    }
    config["outputs"] = ["table10"]
    shown = build("table10", Results(*made_up.make_run(tmp_path, config))).formatted
    assert shown["components"].nunique() == 2
    assert shown["components"].iloc[-1].endswith("beta 7)")


def test_one_replicate_of_a_study(swept):
    results = Results(*swept)
    fits = results.of("sweep", replicate=2)
    expected = results.of("sweep").query("replicate == 2").reset_index(drop=True)
    # Counts are floats where a fit without any is read along.
    pd.testing.assert_frame_equal(fits, expected, check_dtype=False)
    assert len(fits) == len(results.design.studies["sweep"])


def test_points_are_called_as_a_person_called_them(made_up, tmp_path):
    raw = made_up.raw_config()
    points = [
        {"label": "fine grains", "n": 40, "components.1.beta": 4, "method.n_init": 1},
        {"label": "coarse grains", "n": 40, "components.1.beta": 7, "method.n_init": 2},
    ]
    raw["studies"] = {
        "sweep": {"scenarios": ["grid"], "vary": points, "methods": ["spatgmm"], "replicates": 3}
    }
    raw["outputs"] = ["table10", "figure10"]
    results = Results(*made_up.make_run(tmp_path / "named", raw))
    assert sweep.cells(results, "sweep")["setting"].tolist() == ["fine grains", "coarse grains"]
    called = [labels.case(results, case) for case in results.design.cases]
    assert called == ["grid, fine grains", "grid, coarse grains"]
    assert list(labels.variants(results).values()) == [
        "SpatGMM, fine grains",
        "SpatGMM, coarse grains",
    ]
    assert "fine grains" in summary.write(results.config, results.directory).read_text()
    table = pd.read_csv(results.directory / "design.csv")
    assert table["label"].tolist() == ["fine grains", "coarse grains"]
    # A name decides nothing: ids, and so seeds and files, are those of the points.
    unnamed = [{key: v for key, v in point.items() if key != "label"} for point in points]
    raw["studies"]["sweep"]["vary"] = unnamed
    bare = Results(*made_up.make_run(tmp_path / "bare", raw)).design
    assert bare.studies == results.design.studies and bare.labels == {}

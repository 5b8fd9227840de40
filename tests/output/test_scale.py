"""Table 11 and Figure 12: what a fit costs as maps grow."""

import numpy as np
import pytest

from spatgmm.report import registry
from spatgmm.report.numbers.scale import scale
from spatgmm.report.results import Results


@pytest.fixture(scope="module")
def grown(made_up, tmp_path_factory):
    """(config, directory) of a study over three grids, seconds linear in the pixels."""
    config = made_up.raw_config()
    config["studies"] = {
        "scale": {
            "scenarios": ["grid"],
            "vary": {"locations.grid": [[4, 4], [6, 6], [10, 10]]},
            "methods": ["spatgmm", "kmeans"],
            "replicates": 4,
        }
    }
    config["outputs"] = ["table11", "figure12"]

    def spoil(row):
        row["seconds"] = 0.01 * row["p"]
        if row["method"].startswith("kmeans") and row["p"] == 100:
            made_up.fail(row, "failed", "no memory")

    return made_up.make_run(tmp_path_factory.mktemp("scale"), config, spoil)


def test_every_method_has_a_cell_at_every_size(grown):
    results = Results(*grown)
    cells = scale(results, "scale").set_index(["method", "p"])
    assert [p for _, p in cells.index] == [16, 36, 100] * 2
    for (method, p), cell in cells.iterrows():
        fits = results.of("scale")
        fits = fits[(fits["method"] == method) & (fits["p"] == p) & (fits["status"] == "ok")]
        assert cell["n_ok"] == len(fits)
        if len(fits):
            assert cell["seconds"] == pytest.approx(fits["seconds"].median())
            assert cell["ari"] == pytest.approx(fits["ari"].mean())
        else:
            assert np.isnan(cell["seconds"])


def test_the_table_says_how_seconds_grow_and_why_fits_failed(grown, build):
    table = build("table11", Results(*grown))
    assert list(table.formatted["pixels"]) == ["16", "16", "36", "36", "100", "100"]
    assert "p^1.00" in table.finding
    assert any("no memory" in note for note in table.notes)
    assert "4 of 24 fits failed" in table.finding


@pytest.mark.parametrize("name", ["table11", "figure12"])
def test_the_outputs_are_written(grown, name):
    for path in registry.write(name, *grown):
        assert path.stat().st_size > 100


def test_the_figure_has_a_line_per_method_in_each_panel(grown, build):
    drawing = build("figure12", Results(*grown))
    assert "k-means" in drawing.finding
    figure = drawing.draw()
    assert [len(ax.lines) for ax in figure.axes] == [2, 2, 2]
    assert [len(line.get_xdata()) for line in figure.axes[0].lines] == [3, 2]

"""report.html of `spatgmm fit`, in a browser."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from spatgmm import methods, simulate
from spatgmm.cli import _page, main
from spatgmm.common.locations import grid_coordinates
from spatgmm.data import Dataset
from spatgmm.reading import Reading

#: A name that would be markup, were it not escaped.
NAME = "a <b>map</b> & 'more'"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A fit of two kinds of maps with names of their own."""
    home = tmp_path_factory.mktemp("<i>fit & co")
    components = [{"alpha": [1, -0.9, 0.3], "beta": 2.5}, {"alpha": [1, -0.3, 0.3], "beta": 6}]
    scenario = {"locations": {"grid": [6, 6]}, "n": 80, "weights": [0.6, 0.4]}
    drawn = simulate.Scenario.from_config("maps", scenario | {"components": components})
    X = simulate.draw(drawn, 0, 0).X
    names = [f"{NAME} {i}" for i in range(len(X))]
    pd.DataFrame(X, index=names).to_csv(home / "maps <1>.csv")
    arguments = ["--coordinates", "6x6", "--components", "2", "--decay", "sigmoid,exponential"]
    status = main(["fit", str(home / "maps <1>.csv"), *arguments, "--out", str(home / "out")])
    assert status == 0
    return home / "out"


def test_it_needs_no_network_and_fits_a_telephone(check_page, folder):
    check_page(folder / "report.html")


def test_it_says_what_the_files_say(browser, folder):
    browser.open(folder / "report.html")
    summary = json.loads((folder / "summary.json").read_text())
    labels, bic = pd.read_csv(folder / "labels.csv"), pd.read_csv(folder / "bic.csv")
    shown = browser.run("document.body.textContent")
    assert browser.run("document.querySelector('h1').innerText") == "2 clusters in 80 maps"
    for cluster, size in enumerate(summary["cluster_sizes"], 1):
        assert f"luster {cluster} has {size} maps" in shown
    sure = (labels.filter(like="probability").max(axis=1) >= 0.95).mean()
    assert f"{100 * sure:.0f} % of the maps belong to their cluster" in shown
    above = bic[bic["n_components"] == 2].set_index("decay")["bic"]
    if summary["decay"] != "sigmoid":
        assert f"a BIC {above['sigmoid'] - above.min():.1f} higher" in shown
    parameters = pd.read_csv(folder / "parameters.csv")
    assert set(parameters["component"]) == {1, 2}
    assert f"{parameters['estimate'][0]:.4g}" in shown
    headings = ("Clusters as maps", "Correlation by distance", "How sure the clusters are")
    for heading in (*headings, "Is the model right?"):
        assert heading in shown
    assert browser.run("document.querySelectorAll('figure svg, figure img').length") == 4


def test_names_of_files_and_maps_are_no_markup(browser, folder):
    browser.open(folder / "report.html")
    assert browser.run("document.querySelectorAll('b, i').length") == 0
    shown = browser.run("document.body.textContent")
    assert NAME in shown and "maps <1>.csv" in shown and "<i>fit & co" in shown


def test_the_least_sure_maps_come_sorted(browser, folder):
    browser.open(folder / "report.html")
    rows = browser.run(
        "Array.from(document.querySelectorAll('details tbody tr'),"
        " r => [r.cells[0].innerText || r.cells[0].textContent, r.cells[2].textContent])"
    )
    labels = pd.read_csv(folder / "labels.csv").set_index("map")
    best = labels.filter(like="probability").max(axis=1)
    assert rows[0][0] == best.idxmin()
    np.testing.assert_allclose(
        [float(p) for _, p in rows],
        labels.loc[[name for name, _ in rows], "probability_1"],
        atol=6e-4,
    )


def test_outliers_are_named_where_the_model_knows_them(browser, tmp_path):
    X = np.random.default_rng(0).normal(size=(12, 4))
    data = Dataset(X, grid_coordinates((2, 2)), shape=(2, 2), source="maps.csv")
    probability = np.zeros(12)
    probability[[3, 7]] = 0.6, 0.9
    result = methods.FitResult(np.zeros(12, dtype=int), outlier_probability=probability)
    summary = {"cluster_sizes": [12], "warnings": []}
    brought = Reading(data, [f"day {i}" for i in range(12)])
    page = _page.Page(data, brought, result, {"n_components": 1, "seconds": 0.1}, summary)
    path = tmp_path / "page.html"
    path.write_text(page.text({}, [], None, None, "spatgmm fit maps.csv", "1"))
    browser.open(path)
    shown = browser.run("document.body.innerText")
    assert "1 cluster in 12 maps" in shown
    assert "2 of 12 maps are more likely outliers than not." in shown
    rows = browser.run("Array.from(document.querySelectorAll('tbody tr'), r => r.innerText)")
    assert [row.split() for row in rows] == [["day", "7", "0.900"], ["day", "3", "0.600"]]

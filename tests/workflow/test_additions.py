"""ARCHITECTURE.md is right about the layers, and about what to touch to add something."""

import re
import tomllib
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
NAME = "toy"

#: What the page calls it -> the files that it names.
FILES = {
    what: re.findall(r"`([^`]+)`", files)
    for what, files in re.findall(r"^\| ([a-z ]+) \| (`[^|]+`) \|", PAGE, re.MULTILINE)
}

DECAY = '''
class Toy(ScaleDecay):
    """``x / (1 + x)``."""

    name = "toy"
    formula = "x / (1 + x), x = beta*delta, scaled to 1 at distance 2"
    valid = True

    def rise(self, x):
        return x / (1 + x)

    def rise_slope(self, x):
        return 1 / (1 + x) ** 2


'''

METHOD = '''
"""Maps in two halves by their mean."""

import numpy as np

from spatgmm.methods import FitResult

LABEL = "Toy method"
DEFAULTS = {}


def fit(data, n_components, rng):
    means = data.X.mean(axis=1)
    return FitResult(labels=(means > np.median(means)).astype(int))
'''

DATASET = '''
"""Noise on a grid, with and without a step."""

import numpy as np

from spatgmm.common.locations import grid_coordinates
from spatgmm.data import Dataset

DEFAULTS = {"step": 2.0}
VALUES = "toys"


def load(*, step):
    labels = np.repeat([0, 1], 20)
    X = np.random.default_rng(0).normal(size=(40, 16)) + step * labels[:, None]
    return Dataset(X, grid_coordinates((4, 4)), labels, ("flat", "raised"), (4, 4), "toys", "here")
'''

TABLE = '''
"""A toy table: fits and their ARI."""

from spatgmm.report import labels
from spatgmm.report.tables.table import Table


def build(results, study):
    raw = results.of(study)[["case", "method", "ari"]].assign(
        unit=lambda fits: [labels.values(results, case) for case in fits["case"]]
    )
    raw["method"] = raw["method"].map(labels.methods(results, raw))
    return Table(raw, raw.astype(str), "Toys were counted.")
'''

FIGURE = '''
"""A toy figure: ARI by fit."""

from matplotlib.figure import Figure

from spatgmm.report.figures.drawing import Drawing


def build(results, study):
    def draw():
        figure = Figure()
        figure.subplots().plot(results.of(study)["ari"], "o")
        return figure

    return Drawing(draw, "Toys were drawn.")
'''


def entry(kind):
    """An output at the end of the catalogue."""
    entry = f'Output("{kind}", "{NAME}", "Toys", "All of them.", studies=("toys",)),\n'
    return lambda text: f"    {entry})\n".join(text.rsplit(")\n", 1))


def listed(text):
    """A decay with its place in the list at the end."""
    text = text.replace("\n_DECAYS = {", f"{DECAY}_DECAYS = {{")
    return text.replace("        ISpline(),\n", "        ISpline(),\n        Toy(),\n")


#: How each of the page's files is written or changed, in its order.
EDITS = {
    "decay": [
        listed,
        lambda text: text.replace('"quadratic",\n', f'"quadratic",\n    "{NAME}",\n'),
    ],
    "method": [lambda text: METHOD],
    "data set": [lambda text: DATASET],
    "table": [lambda text: TABLE, entry("table")],
    "figure": [lambda text: FIGURE, entry("figure")],
}

STUDY = {
    "name": "toys",
    "scenarios": {
        "drawn": {
            "locations": {"grid": [4, 4]},
            "n": 40,
            "weights": [0.5, 0.5],
            "components": [
                {"alpha": [1, -0.9, 0.3], "beta": 1},
                {"alpha": [1, -0.9, 0.3], "beta": 9},
            ],
            "decay": NAME,
        }
    },
    "datasets": {"loaded": {"load": NAME}},
    "methods": {"spatgmm": {"decay": NAME, "n_init": 1}},
    "studies": {
        "toys": {"scenarios": ["drawn"], "datasets": ["loaded"], "methods": [NAME, "spatgmm"]}
    },
    "outputs": [{"table": NAME}, {"figure": NAME}],
}


def test_additions_by_the_page_alone_are_in_the_results(snakemake, sources, tmp_path):
    for what, edits in EDITS.items():
        for name, edit in zip(FILES[what], edits, strict=True):
            path = sources / name.replace("NAME", NAME)
            before = path.read_text() if path.exists() else ""
            path.write_text(edit(before))
            assert path.read_text() != before

    run = snakemake(STUDY, "all", sources=sources)
    assert run.returncode == 0, run.stdout

    results = tmp_path / "results/toys"
    fits = pd.read_parquet(results / "fits.parquet").set_index(["case", "method"])
    assert len(fits) == 4 and set(fits["status"]) == {"ok"}
    assert fits.loc[("loaded", NAME), "ari"] == 1
    assert (fits.loc[(slice(None), "spatgmm"), "extra.decay"] == NAME).all()
    table = pd.read_csv(results / "tables/table1.csv")
    assert set(table.loc[table["case"] == "loaded", "unit"]) == {"toys"}
    assert "Toy method" in set(table["method"])
    assert (results / "figures/figure1.png").stat().st_size > 1000
    summary = (results / "summary.md").read_text()
    for said in ("Toys were counted.", "Toys were drawn."):
        assert said in summary


def test_what_the_page_names_is_there_at_most_two_files_each():
    assert {"decay", "metric", "mean", "likelihood", "study", "executor", *EDITS} <= set(FILES)
    for what, files in FILES.items():
        assert 1 <= len(files) <= 2, what
        for name in files:
            folder, _, inside = name.partition("/NAME")
            assert (ROOT / folder).exists(), name
            assert not inside or list((ROOT / folder).glob(f"*{inside}")), name


def test_the_layers_of_the_page_are_those_that_lint_checks():
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    checked = [layer.replace("spatgmm.", "") for layer in rules["contracts"][0]["layers"]]
    block = PAGE.partition("```text\n")[2].partition("```")[0].splitlines()
    assert [re.split("  +", line)[0] for line in block] == checked

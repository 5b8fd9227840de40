"""What a configuration can ask for: by number or by name and study, one entry for each output."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from spatgmm.report import registry, summary
from spatgmm.report.results import Results
from spatgmm.report.story import Story
from spatgmm.study import config as configs
from spatgmm.study import outputs


def resolved(made_up, *entries, **changes):
    return configs.resolve(made_up.raw_config(outputs=list(entries), **changes))


def names(config) -> list[tuple]:
    return [(one.name, one.output.name, one.studies) for one in outputs.asked(config)]


def test_numbers_are_short_for_names_and_studies(made_up):
    assert names(resolved(made_up, "table2", "figure3", "table9")) == [
        ("table2", "comparison", ("comparison",)),
        ("figure3", "ari", ("comparison",)),
        ("table9", "selection", ("selection", "selection-decay")),
    ]


def test_names_are_numbered_by_order_among_their_kind(made_up):
    config = resolved(
        made_up,
        {"table": "comparison"},
        {"figure": "ari", "study": "film"},
        {"table": "comparison", "study": "film"},
        "table4",
        {"table": "sweep"},
        {"table": "real-raw", "study": ["film", "raman"]},
    )
    assert names(config) == [
        ("table1", "comparison", ("comparison",)),
        ("figure1", "ari", ("film",)),
        ("table2", "comparison", ("film",)),
        ("table4", "real-centred", ("film", "raman")),
        ("table5", "sweep", ("sweep",)),
        ("table6", "real-raw", ("film", "raman")),
    ]


def test_a_number_that_is_asked_for_is_not_given_away(made_up):
    config = resolved(made_up, {"table": "sweep"}, {"table": "comparison"}, "table2")
    assert [one.name for one in outputs.asked(config)] == ["table1", "table3", "table2"]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("tabel2", "outputs.0: unknown table or figure 'tabel2'; did you mean 'table2'?"),
        (
            {"table": "comparisn"},
            "outputs.0: unknown table 'comparisn'; did you mean 'comparison'?",
        ),
        (
            {"figure": "comparison"},
            "outputs.0: unknown figure 'comparison'; known are example-maps",
        ),
        (
            {"table": "comparison", "study": "compare"},
            "outputs.0: unknown study 'compare'; did you mean",
        ),
        ({"table": "sweep", "study": ["sweep", "film"]}, "outputs.0: shows one study, not 2"),
        ({"table": "recovery", "study": "film"}, "needs a study that draws from a scenario"),
        ({"table": "selection", "study": "film"}, "needs a study that varies method.n_components"),
        ({"table": "real-centred", "study": "raman"}, "uses a group-centred data set"),
        ({"table": "sweep", "figure": "ari"}, "must name a table or a figure, and not both"),
        ({"study": "film"}, "must name a table or a figure, and not both"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(made_up, entry, problem):
    (found,) = outputs.problems(resolved(made_up, entry))
    assert problem in found


def test_what_a_configuration_without_the_study_lacks(made_up):
    film = {"film": made_up.raw_config()["studies"]["film"]}
    config = resolved(made_up, *(f"figure{k}" for k in range(1, 12)), studies=film)
    assert [one.name for one in outputs.asked(config)] == ["figure6"]
    assert "outputs.2: figure3: the configuration has no study 'comparison'" in outputs.problems(
        config
    )
    assert (
        "outputs.0: figure1: no study of the configuration draws from a scenario"
        in outputs.problems(config)
    )


def test_entries_of_other_shapes_are_refused(made_up):
    with pytest.raises(configs.ConfigError, match=r"outputs\.0\.studdy: is unknown; .*'study'"):
        resolved(made_up, {"table": "comparison", "studdy": "film"})
    with pytest.raises(configs.ConfigError, match=r"outputs\.0: must be a text or .*got 3"):
        resolved(made_up, 3)


def test_a_study_of_another_name_gets_the_table_and_the_figure(tmp_path, made_up):
    raw = made_up.raw_config()
    raw["studies"] = {"mine": raw["studies"]["comparison"], "film": raw["studies"]["film"]}
    raw["outputs"] = [
        {"table": "comparison", "study": "mine"},
        {"figure": "ari", "study": "mine"},
        {"table": "comparison", "study": "film"},
    ]
    config, directory = made_up.make_run(tmp_path, raw)
    for name in ("table1", "figure1", "table2"):
        assert all(path.stat().st_size > 100 for path in registry.write(name, config, directory))
    cases = set(pd.read_csv(directory / "tables/table1.csv")["case"])
    assert cases == {"grid", "irregular", "cube"}
    assert set(pd.read_csv(directory / "tables/table2.csv")["case"]) == {"film-raw", "film-centred"}


def test_every_output_has_its_module_and_one_caption():
    seen = set()
    for output in outputs.CATALOGUE:
        assert callable(import_module(output.code).build)
        assert output.caption.endswith(".") and not output.title.endswith(".")
        assert (output.kind, output.name) not in seen
        seen.add((output.kind, output.name))


def test_tables_and_figures_are_siblings():
    report = Path(registry.__file__).parent
    for kind, other in (("tables", "figures"), ("figures", "tables")):
        for path in (report / kind).glob("*.py"):
            assert f"spatgmm.report.{other}" not in path.read_text(), path


def test_the_catalogue_is_light_and_knows_nothing_of_the_report():
    code = (
        "import sys; from spatgmm.study import outputs;"
        "sys.exit(any(m in sys.modules for m in"
        " ('matplotlib', 'pandas', 'pyarrow', 'spatgmm.report')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


_TOYS = {
    "table": """
from spatgmm.report.tables.table import Table

def build(results, study):
    raw = results.of(study).groupby("case", as_index=False)["n"].first()
    return Table(raw, raw.astype(str), "Maps are counted.")
""",
    "figure": """
import matplotlib.pyplot as plt
from spatgmm.report.figures.drawing import Drawing

def build(results, study):
    fits = results.of(study)

    def draw():
        figure, ax = plt.subplots()
        ax.hist(fits["n"])
        return figure

    return Drawing(draw, "Maps are counted.")
""",
}


@pytest.mark.parametrize("kind", outputs.KINDS)
def test_a_new_output_is_a_module_and_an_entry(tmp_path, made_up, monkeypatch, kind):
    module = type(sys)(f"spatgmm.report.{kind}s.sizes")
    exec(_TOYS[kind], module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entry = outputs.Output(kind, "sizes", "Sizes", "Numbers of maps.", studies=("sweep",))
    monkeypatch.setattr(outputs, "CATALOGUE", (*outputs.CATALOGUE, entry))
    raw = made_up.raw_config()
    raw["outputs"] = [{kind: "sizes", "study": "recovery"}]
    raw["studies"] = {"recovery": raw["studies"]["recovery"]}
    config, directory = made_up.make_run(tmp_path, raw)
    first, *_ = registry.write(f"{kind}1", config, directory)
    assert first.stat().st_size > 10
    if kind == "table":
        assert sorted(pd.read_csv(first)["n"]) == [60, 240]
    text = summary.text(Story(Results(config, directory)))
    assert f"**{kind.capitalize()} 1.** Sizes. Numbers of maps." in text
    assert "**What it shows.** Maps are counted." in text

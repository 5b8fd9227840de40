"""Numbers of the README come from finished runs, by a script that finds them out of date."""

import importlib.util
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    path = ROOT / "workflow/scripts/documented_numbers.py"
    spec = importlib.util.spec_from_file_location("documented_numbers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def results(tmp_path):
    """A run with two methods and one scenario."""
    tables = tmp_path / "results/paper/tables"
    tables.mkdir(parents=True)
    config = {"methods": {"mine": {"plugin": "spatgmm"}}}
    (tables.parent / "config.yaml").write_text(yaml.safe_dump(config))
    pd.DataFrame(
        {
            "case": ["grid", "grid", "irregular", "irregular"],
            "method": ["mine", "mmn"] * 2,
            "mean_ari": [0.97512, -0.0001, 0.5, float("nan")],
            "se_ari": [0.0021, 0.001, 0.25, float("nan")],
            "n_ok": [10, 10, 10, 0],
            "n_unsupported": [0, 0, 0, 10],
        }
    ).to_csv(tables / "table2.csv", index=False)
    return tmp_path / "results"


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("Before\n<!-- numbers: comparison -->\nold\n<!-- numbers end -->\nafter\n")
    return path


def test_a_block_is_rewritten_and_nothing_else(script, results, page):
    arguments = ["--results", str(results), str(page)]
    assert script.main(["--check", *arguments]) == 1
    assert "old" in page.read_text()
    assert script.main(arguments) == 0
    assert page.read_text() == (
        "Before\n<!-- numbers: comparison -->\n"
        "| method | grid | irregular |\n|---|---|---|\n"
        "| SpatGMM | 0.975 (0.002) | 0.500 (0.250) |\n"
        "| Matrix normals | 0.000 (0.001) | n/a |\n"
        "<!-- numbers end -->\nafter\n"
    )
    assert script.main(["--check", *arguments]) == 0


def test_what_calibration_counted_is_shown_in_percent(script, tmp_path):
    results = tmp_path / "results/bench"
    results.mkdir(parents=True)
    tests = {"maps": ["two", "three"], "sets": [200, 50], "rejected": [0.045, 1.0]}
    pd.DataFrame(tests).to_csv(results / "component_test.csv", index=False)
    checks = {"maps": ["right"], "distances": [0.01], "any": [0.07]}
    pd.DataFrame(checks).to_csv(results / "diagnostics.csv", index=False)
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- numbers: component-test -->\n<!-- numbers end -->\n"
        "<!-- numbers: diagnostics -->\n<!-- numbers end -->\n"
    )
    assert script.main(["--results", str(results.parent), str(page)]) == 0
    assert page.read_text() == (
        "<!-- numbers: component-test -->\n"
        "| maps of | data sets | a third found at the level 0.05 |\n|---|---|---|\n"
        "| two | 200 | 4.5 % |\n| three | 50 | 100.0 % |\n<!-- numbers end -->\n"
        "<!-- numbers: diagnostics -->\n"
        "| maps of | distances | any |\n|---|---|---|\n"
        "| right | 1 % | 7 % |\n<!-- numbers end -->\n"
    )


def test_without_the_run_a_block_stays_and_that_is_said(script, results, page, capsys):
    shutil.rmtree(results)
    before = page.read_text()
    assert script.main(["--results", str(results), str(page)]) == 0
    assert page.read_text() == before
    assert "comparison: there is no" in capsys.readouterr().err


def test_every_block_is_known_closed_and_somewhere(script):
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    text = "".join(page.read_text() for page in pages)
    found = [match[1] for match in script._BLOCK.finditer(text)]
    assert sorted(found) == sorted(script.BLOCKS)
    assert text.count("<!-- numbers: ") == text.count("<!-- numbers end -->") == len(found)

"""Reference pages say all that the package checks and parses by."""

import importlib.util
from pathlib import Path

import pytest

from spatgmm import cli, datasets, methods
from spatgmm.common.constraints import Keys, defaults
from spatgmm.fitting.options import OPTIONS
from spatgmm.scenarios import SCENARIO
from spatgmm.study import config, outputs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages():
    path = ROOT / "docs/hooks/reference.py"
    spec = importlib.util.spec_from_file_location("reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


def test_every_option_stands_with_its_default(pages):
    page = pages["reference/options.md"]
    own = page.partition("\n## Methods")[0]
    for name, parameter in OPTIONS.items():
        (row,) = [line for line in own.splitlines() if line.startswith(f"| `{name}` |")]
        assert parameter.text in row and row.endswith(f"| `{parameter.default!r}` |")
    for name in (*methods.names(), *datasets.names()):
        assert f"### `{name}`" in page
    assert defaults(datasets.declared("film")).keys() <= set(page.replace("`", " ").split())


def test_every_key_of_a_configuration_stands(pages):
    page = pages["reference/keys.md"]
    for mapping in (config.CONFIG, config.STUDY, config.METHOD, config.DATASET, SCENARIO):
        assert isinstance(mapping, Keys)
        assert [key for key in mapping.keys if f"\n| `{key}` |" not in page] == []


def test_every_command_stands_with_its_options(pages):
    page = pages["reference/command-line.md"]
    assert [name for name in cli.COMMANDS if f"\n## `spatgmm {name}`" not in page] == []
    assert "\n## `spatgmm study fit`" in page and "--replicates" in page and "--coordinates" in page


def test_every_output_stands_and_those_of_the_study_with_their_command(pages):
    page = pages["reference/outputs.md"]
    for output in outputs.CATALOGUE:
        assert f"\n## {output.kind.capitalize()} `{output.name}`" in page
    assert "snakemake table2 --cores 2 --configfile config/paper.yaml" in page
    assert "snakemake figure10 --cores 2 --configfile config/sweep.yaml" in page

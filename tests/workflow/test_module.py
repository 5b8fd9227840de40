"""The workflow as a Snakemake module of another project, run for real."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[2]

#: The Snakefile that the documentation shows.
PAGE = (ROOT / "docs" / "module.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```snakemake\n(.*?)```", PAGE, re.DOTALL)[1]


@pytest.fixture
def project(tmp_path, tiny):
    """A project of its own that uses ours by the documentation's lines, with a rule besides."""
    del tiny["datasets"], tiny["studies"]["raman"]
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mine.yaml").write_text(yaml.safe_dump(tiny))
    rule = """

rule own:
    input:
        "results/tiny/tables/table2.csv",
    output:
        "my/own/output.txt",
    shell:
        "wc -l < {input} > {output}"
"""
    example = EXAMPLE.replace("/path/to/spatgmm", str(ROOT))
    assert str(ROOT) in example
    (tmp_path / "Snakefile").write_text(example + rule)
    return tmp_path


def run(folder, *options):
    """Snakemake in a folder, without anything of ours on the path."""
    surroundings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *options],
        cwd=folder,
        env=surroundings | {"PATH": path},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )


def test_another_project_runs_the_study_and_builds_on_it(project):
    done = run(project)
    assert done.returncode == 0, done.stdout
    fits = pd.read_parquet(project / "results/tiny/fits.parquet")
    assert set(fits["status"]) == {"ok"}
    assert (project / "results/tiny/figures/figure3.png").stat().st_size > 100
    # A header and two methods.
    assert (project / "my/own/output.txt").read_text().split() == ["3"]
    assert "Nothing to be done" in run(project).stdout

    changed = yaml.safe_load((project / "config/mine.yaml").read_text())
    changed["studies"]["comparison"]["replicates"] += 1
    (project / "config/mine.yaml").write_text(yaml.safe_dump(changed))
    assert run(project, "--dry-run").returncode == 0
    recorded = (project / "results/tiny/config.yaml").read_text()
    assert "replicates: 3" in recorded and "replicates: 4" not in recorded
    assert run(project).returncode == 0
    assert len(pd.read_parquet(project / "results/tiny/fits.parquet")) == len(fits) + 2


def test_a_wrong_configuration_ends_the_other_project_before_any_job(project):
    wrong = yaml.safe_load((project / "config/mine.yaml").read_text())
    wrong["studies"]["sizes"]["replicats"] = 2
    (project / "config/mine.yaml").write_text(yaml.safe_dump(wrong))
    done = run(project)
    assert done.returncode != 0
    assert "studies.sizes.replicats: is unknown; did you mean 'replicates'?" in done.stdout
    assert not (project / "results").exists()


def test_a_prefix_which_jobs_would_not_see_is_refused(project):
    snakefile = project / "Snakefile"
    example = snakefile.read_text()
    prefixed = example.replace("module spatgmm:\n", 'module spatgmm:\n    prefix: "deep"\n')
    assert prefixed != example
    snakefile.write_text(prefixed)
    assert "leave out `prefix`" in run(project, "--dry-run").stdout

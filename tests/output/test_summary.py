"""summary.md holds every output of the configuration, what it shows, and where it comes from."""

from __future__ import annotations

import re

import pandas as pd

from spatgmm.report import summary
from spatgmm.report.results import Results
from spatgmm.report.story import Story
from spatgmm.study import outputs


def test_summary_holds_every_output_with_its_finding(run):
    config, directory = run
    path = summary.write(config, directory)
    assert path == directory / "summary.md"
    text = path.read_text()
    for asked in outputs.asked(config):
        section = text.split(f"### {asked.label}\n")[1].split("\n## ")[0].split("\n### ")[0]
        assert re.search(r"\*\*What it shows\.\*\* .{20,}", section), asked.name
        assert f"**{asked.label}.** {asked.caption}" in section
        if asked.output.kind == "figure":
            assert f"](figures/{asked.name}.png)" in section
        else:
            assert "\n|" in section
    assert "nan" not in re.sub(r"\w*nan\w+|\w+nan\w*", "", text)
    opening = text.split("### Table 1")[0]
    assert "synthetic stand-in" in opening and "found the groups best: mean ARI 0.9" in opening
    assert "](figures/figure3.png)" in opening
    # Contents, with links to headings.
    for label in ("Table 1", "Figure 11"):
        assert f"- [{label}](#{label.lower().replace(' ', '-')}): " in opening
        assert f"\n### {label}\n" in text


def test_provenance_counts_fits_versions_and_seconds(results):
    story = Story(results)
    text = summary.provenance(story)
    fits = results.of(*results.design.studies)
    status = fits["status"].value_counts()
    studies = len(results.design.studies)
    assert (
        story.headline[-1]
        == story.runs()
        == (
            f"{len(fits)} fits by 9 methods in {studies} studies: {status['ok']} ok, "
            f"{status['failed']} failed, {status['unsupported']} not applicable to their data."
        )
    )
    assert "numpy 2.4" in text and re.search(r"\| +hash-gmm-diag +\|", text)
    assert not any("mixed" in warning for warning in story.warnings)
    seconds = float(re.search(r"seconds in fits: ([\d.]+), all", text).group(1))
    assert abs(seconds / fits["seconds"].sum() - 1) < 0.01


def test_fits_of_different_code_are_pointed_out(run, tmp_path):
    config, directory = run
    fits = pd.read_parquet(directory / "fits.parquet")
    fits.loc[fits["method"].eq("kmeans").idxmax(), "code_hash"] = "older"
    fits.to_parquet(tmp_path / "fits.parquet")
    (tmp_path / "data").symlink_to(directory / "data")
    (warning, *_) = Story(Results(config, tmp_path)).warnings
    assert warning == "Fits are mixed here that differ in: code (kmeans)."


def test_a_part_of_the_study(tmp_path, made_up):
    raw = made_up.raw_config()
    raw["studies"] = {"comparison": raw["studies"]["comparison"]}
    raw["outputs"] = ["table2", "figure3"]
    text = summary.write(*made_up.make_run(tmp_path, raw)).read_text()
    assert "### Table 2" in text and "### Figure 3" in text and "### Table 1" not in text

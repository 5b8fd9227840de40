"""Tables: numbers against an independent computation, failures counted, files well formed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spatgmm.covariance.decay import get as get_decay
from spatgmm.report import labels, registry
from spatgmm.report.numbers import coordinates, recovery, stability
from spatgmm.report.results import Results
from spatgmm.report.tables import anisotropy, comparison, selection, writer
from spatgmm.report.tables.table import Footnotes, Table
from spatgmm.report.words import listing, number, significant
from spatgmm.study import outputs

TABLES = [f"table{k}" for k in range(1, 11)]


def test_every_table_is_written_in_three_formats(run):
    config, directory = run
    for name in TABLES:
        paths = registry.write(name, config, directory)
        assert [path.suffix for path in paths] == [".csv", ".tex", ".md"]
        assert all(path.parent == directory / "tables" for path in paths)
        frame = pd.read_csv(paths[0])
        assert len(frame) > 1
        markdown = paths[2].read_text()
        rows = [line for line in markdown.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) == 1
        latex = paths[1].read_text()
        assert latex.count(r"\begin{") == latex.count(r"\end{")
        body = latex.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
        assert len({line.replace(r"\&", "").count("&") for line in body}) == 1
        assert all(ord(c) < 0x370 for c in latex), "symbols pdflatex does not know"


def test_recovery_numbers(results, made_up):
    raw = recovery.recovery(results, results.of("recovery"))
    fits = results.of("recovery")
    fits = fits[fits["n"] == 240]
    line = raw[(raw["n"] == 240) & (raw["component"] == 1) & (raw["parameter"] == "beta")].iloc[0]
    estimates = fits["estimate.1.beta"].to_numpy()
    assert line["truth"] == 7
    assert line["mean"] == pytest.approx(np.mean(estimates))
    assert line["bias"] == pytest.approx(np.mean(estimates) - 7)
    assert line["empirical_se"] == pytest.approx(np.std(estimates, ddof=1))
    assert line["ratio"] == pytest.approx(
        fits["std_error.1.beta"].mean() / np.std(estimates, ddof=1)
    )
    inside = (fits["lower.1.beta"] <= 7) & (fits["upper.1.beta"] >= 7)
    assert line["coverage"] == pytest.approx(inside.mean())
    assert line["n_used"] == made_up.REPLICATES
    assert len(raw) == 2 * 2 * 5


def test_recovery_counts_missing_standard_errors_and_failures(tmp_path, made_up, build):
    def spoil(row):
        if row["method"] == "spatgmm-se" and row["scenario"] == "recovery":
            if row["replicate"] == 0:
                made_up.fail(row, "failed", "ValueError: broken")
            elif row["replicate"] == 1:  # beta at its bound
                for kind in ("std_error", "lower", "upper"):
                    row[f"{kind}.0.beta"] = np.nan

    results = Results(*made_up.make_run(tmp_path, made_up.raw_config(), spoil))
    raw = recovery.recovery(results, results.of("recovery"))
    line = raw[(raw["component"] == 0) & (raw["parameter"] == "beta")].iloc[0]
    assert (line["n_used"], line["n_with_se"], line["n_failed"]) == (5, 4, 1)
    assert "2 of 12 fits failed" in build("table1", results).finding


def test_comparison_counts_failures_and_says_why_a_cell_is_empty(results, made_up, build):
    raw = comparison.comparison(results.of("comparison")).set_index(["method", "case"])
    failed = raw.loc[("spatgmm-gls", "grid")]
    assert (failed["n_ok"], failed["n_failed"]) == (made_up.REPLICATES - 2, 2)
    fits = results.of(*results.design.studies)
    ari = fits.loc[(fits["method"] == "spatgmm-gls") & (fits["case"] == "grid"), "ari"].dropna()
    assert failed["mean_ari"] == pytest.approx(ari.mean())
    assert failed["se_ari"] == pytest.approx(ari.std() / np.sqrt(len(ari)))
    assert failed["median_ari"] == pytest.approx(ari.median())

    table = build("table2", results)
    formatted = table.formatted.set_index(("method", ""))
    assert formatted.loc["SpatGMM, GLS", ("grid", "ok/failed")] == "4/2[a]"
    assert formatted.loc["GMM, diagonal covariance", ("irregular", "mean (SE)")] == "–[b]"
    assert "3-th leading minor" in table.notes[0]
    assert table.notes[1] == "[b] not applicable: needs a grid of rows and columns"
    assert "2 of 102 fits failed" in table.finding
    assert "Within 0.03 of zero on every scenario they apply to:" in table.finding


def test_best_possible_ari_is_a_row_and_the_yardstick(results, build):
    table = build("table2", results)
    label = next(iter(results.controls(results.of("comparison"))))
    assert results.plugin(label).label in list(table.formatted[("method", "")])
    best = table.raw[(table.raw["method"] == label) & (table.raw["case"] == "cube")]
    assert f"{number(best['mean_ari'].iloc[0])} on cube" in table.finding
    assert table.finding.startswith("The best possible mean ARI is")


def test_methods_of_one_plugin_are_told_apart_by_their_settings(made_up, tmp_path):
    raw = made_up.raw_config()
    raw["methods"] |= {"again": {"plugin": "kmeans"}}
    raw["methods"] |= {"named": {"plugin": "spatgmm", "label": "By BIC", "decay": "auto"}}
    raw["studies"] = {
        "comparison": {
            "scenarios": ["grid"],
            "methods": ["spatgmm", "spatgmm-rotated", "gls-single", "kmeans", "again", "named"],
        }
    }
    results = Results(*made_up.make_run(tmp_path, raw))
    assert list(labels.methods(results, results.of("comparison")).values()) == [
        "SpatGMM",
        "SpatGMM (metric = rotated)",
        "SpatGMM, GLS",
        "k-means (kmeans)",
        "k-means (again)",
        "By BIC",
    ]


def test_a_case_is_called_by_what_varies(made_up, tmp_path, build):
    raw = made_up.raw_config()
    raw["studies"] = {
        "comparison": {
            "scenarios": ["grid"],
            "vary": {"n": [40, 60], "components.1.beta": [5]},
            "methods": ["kmeans"],
        }
    }
    table = build("table2", Results(*made_up.make_run(tmp_path, raw)))
    headers = [upper for upper, lower in table.formatted if lower == "median"]
    assert headers == [f"grid, n = {n}, beta of component 2 = 5" for n in (40, 60)]
    assert "grid-" not in table.finding


def test_raw_and_centred_data_sets_are_kept_apart(results, build):
    raw, centred = build("table3", results), build("table4", results)
    assert set(raw.raw["case"]) == {"film-raw", "raman-raw"}
    assert set(centred.raw["case"]) == {"film-centred"}


def test_synthetic_stand_in_is_called_so(results, build):
    table = build("table3", results)
    assert "raman-raw (synthetic stand-in)" in list(table.formatted["data set"])
    assert "synthetic stand-in" in table.notes[0] and "synthetic stand-in" in table.finding
    assert table.raw.set_index("case")["synthetic_stand_in"].loc["raman-raw"].all()
    assert not any("synthetic" in note for note in build("table4", results).notes)


def test_chosen_model_is_shown(tmp_path, made_up, build):
    def spoil(row):
        if row["plugin"] == "gmm-diag":
            row["extra.model"] = "VVI"

    results = Results(*made_up.make_run(tmp_path, made_up.raw_config(), spoil))
    table = build("table3", results).formatted.set_index("method")
    assert table.loc["GMM, diagonal covariance", "model"] == "VVI"


def test_film_parameters(results, build):
    table = build("table5", results)
    line = table.raw.iloc[0]
    fits = results.of("film")
    fits = fits[fits["case"] == "film-raw"].set_index("method")
    assert line["alpha2"] == fits.loc["spatgmm-se", "estimate.0.alpha2"]
    assert line["partial_sill"] == -line["alpha2"]
    assert line["partial_sill_se"] == fits.loc["spatgmm-se", "std_error.0.alpha2"]
    assert line["baseline"] == pytest.approx(line["alpha1"] + line["alpha2"])
    # Without covariances of the estimates no standard error of their sum is made up.
    assert np.isnan(line["baseline_se"])
    assert set(table.raw["group"]) == {"low dose", "high dose"}


def test_beta_at_its_bound_and_a_negative_nugget_are_explained(tmp_path, made_up, build):
    def spoil(row):
        if row["case"] == "film-raw" and row["plugin"] == "spatgmm":
            row["estimate.0.beta"], row["std_error.0.beta"] = 1e-3, np.nan
            row["estimate.1.alpha3"] = -0.01

    results = Results(*made_up.make_run(tmp_path, made_up.raw_config(), spoil))
    table = build("table5", results)
    assert table.raw["bound"].tolist() == ["lower", "", "", ""]
    assert table.formatted["β"].iloc[0] == "0.00100[a]"
    assert "linear decay" in table.notes[0]
    assert "positive definite" in table.notes[1]
    assert "β lies at a bound in 1 of 4 components" in table.finding


@pytest.mark.parametrize(
    ("decay", "beta", "note"),
    [
        ("exponential", 1e-3, "β at its lower bound: linear decay; no standard error."),
        ("matern32", 1e-3, "β at its lower bound: decay with the square of distance; no standard"),
        ("quadratic", 1e-3, "β at its lower bound: a parabola, level at the start; no standard"),
        (
            "quadratic",
            2.0,
            "β at its upper bound: a parabola, level at the end; no standard error.",
        ),
        ("sigmoid", 60.0, "β at its upper bound: decay within the nearest neighbours; no standard"),
    ],
)
def test_what_a_decay_is_at_a_bound_is_asked_of_it(tmp_path, made_up, build, decay, beta, note):
    def spoil(row):
        if row["case"] == "film-raw" and row["plugin"] == "spatgmm":
            row["estimate.0.beta"], row["std_error.0.beta"] = beta, np.nan
            row["extra.decay"] = decay

    raw = made_up.raw_config()
    raw["studies"] = {"film": raw["studies"]["film"]}
    table = build("table5", Results(*made_up.make_run(tmp_path, raw, spoil)))
    assert note in table.notes[0]


def test_a_decay_without_beta_has_no_bound(tmp_path, made_up, build):
    def spoil(row):
        if row["plugin"] == "spatgmm":
            row["extra.decay"] = "ispline"
            for g in (0, 1):
                del row[f"estimate.{g}.beta"]
                row.pop(f"std_error.{g}.beta", None)
                for name in get_decay("ispline").parameter_names:
                    row[f"estimate.{g}.{name}"] = 0.2

    raw = made_up.raw_config()
    raw["studies"] = {"film": raw["studies"]["film"]}
    table = build("table5", Results(*made_up.make_run(tmp_path, raw, spoil)))
    assert set(table.formatted["β"]) == {"–"} and set(table.raw["bound"]) == {""}


def test_a_table_whose_every_fit_failed_says_so(tmp_path, made_up, build):
    def spoil(row):
        made_up.fail(row, "failed", "RuntimeError: nothing works\nsecond line")

    results = Results(*made_up.make_run(tmp_path, made_up.raw_config(), spoil))
    for name in TABLES:
        table = build(name, results)
        assert "failed" in table.finding, name
        assert len(table.formatted), name
    marks = build("table2", results).notes
    assert marks == ("[a] every fit failed, most often: RuntimeError: nothing works",)


def test_a_configuration_without_the_study(tmp_path, made_up):
    raw = made_up.raw_config()
    raw["studies"] = {"film": raw["studies"]["film"]}
    raw["outputs"] = ["table3"]
    config, directory = made_up.make_run(tmp_path, raw)
    assert outputs.find(config, "table3").studies == ("film",)
    with pytest.raises(ValueError, match="table1: the configuration has no study 'recovery'"):
        registry.write("table1", config, directory)
    assert registry.write("table3", config, directory)[0].is_file()


def test_unknown_table_and_missing_fits(run, tmp_path):
    config, _ = run
    with pytest.raises(ValueError, match="unknown table or figure 'table99'; did you mean 'table"):
        registry.write("table99", config, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"fits\.parquet is missing"):
        registry.write("table1", config, tmp_path)


def test_a_case_without_any_fit_is_an_error(run, tmp_path):
    config, directory = run
    fits = pd.read_parquet(directory / "fits.parquet")
    fits[fits["method"] != "kmeans"].to_parquet(tmp_path / "fits.parquet")
    with pytest.raises(ValueError, match="no fit of case 'grid' by method 'kmeans'"):
        Results(config, tmp_path).of("comparison")


def test_latex_escapes_text_and_sets_symbols():
    assert writer.escape("a_b & 5 % of β ≤ α₁ −2") == (
        r"a\_b \& 5 \% of $\beta$ $\le$ $\alpha_1$ $-$2"
    )
    frame = pd.DataFrame({"x|y": ["a|b"], "value": ["1[a]"]})
    table = Table(frame, frame, "finding", ("[a] why",))
    asked = outputs.Asked("table1", outputs.CATALOGUE[0], ("recovery",))
    latex = writer.to_latex(asked, table)
    assert r"1\textsuperscript{a}" in latex and r"\textsuperscript{a} why" in latex
    assert r"a\|b" in writer.to_markdown(asked, table)


@pytest.mark.parametrize(
    ("value", "text"), [(1.2345, "1.234"), (-0.5, "−0.500"), (-0.0001, "0.000"), (np.nan, "–")]
)
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.00012345, "0.000123"), (12.345, "12.3"), (1234.5, "1234"), (0, "0")]
)
def test_significant(value, text):
    assert significant(value) == text


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b", "c"], "a, b and c"),
        (["SpatGMM", "SpatGMM, GLS", "mclust"], "SpatGMM; SpatGMM, GLS; and mclust"),
        (["SpatGMM, GLS", "mclust"], "SpatGMM, GLS and mclust"),
    ],
)
def test_names_that_hold_commas_stand_in_no_comma_list(items, text):
    assert listing(items) == text


@pytest.mark.parametrize(("n", "marked"), [(30, True), (60, False)])
def test_a_bic_from_singular_covariances_is_marked(tmp_path, made_up, build, n, marked):
    p, G = 25, 2

    def spoil(row):
        row["n"] = n
        if row["plugin"] == "gmm-diag":  # as if it had all covariances
            row["n_parameters"] = G * (p + p * (p + 1) // 2) + G - 1

    raw = made_up.raw_config()
    raw["studies"] = {"film": raw["studies"]["film"]}
    table = build("table3", Results(*made_up.make_run(tmp_path, raw, spoil)))
    cells = table.formatted.set_index("method")["BIC"]
    assert cells["GMM, diagonal covariance"].endswith("[a]") == marked
    assert not cells["SpatGMM"].endswith("[a]")
    assert any("singular" in note for note in table.notes) == marked


def test_wide_tables_lie_on_their_side_and_shrink():
    asked = outputs.Asked("table1", outputs.CATALOGUE[0], ("recovery",))
    narrow = pd.DataFrame({"a": ["1"], "b": ["2"]})
    wide = pd.DataFrame({f"a column with a long name, {k}": ["1"] for k in range(4)})
    assert "resizebox" not in writer.to_latex(asked, Table(narrow, narrow, ""))
    latex = writer.to_latex(asked, Table(wide, wide, ""))
    assert r"\resizebox{\ifdim\width>\linewidth" in latex and "sidewaystable" in latex


def test_footnotes_reuse_marks():
    footnotes = Footnotes()
    assert [footnotes.mark(text) for text in ("x", "y", "x")] == ["[a]", "[b]", "[a]"]
    for number_ in range(40):
        footnotes.mark(f"text {number_}")
    assert len({note.split()[0] for note in footnotes.notes()}) == 42


_STABILITY = ("stability", "stability-multistart")


def test_stability_counts_failures_falls_and_distances_to_the_best(tmp_path, made_up, build):
    def spoil(row):
        row["log_likelihood"] = -1000.0 - (row["replicate"] if row["method"] != "spatgmm" else 0)
        if row["plugin"] == "spatgmm":
            row["log_likelihood"] = -1000.0
        if row["method"].startswith("gls-single"):
            if row["replicate"] == 5:
                made_up.fail(row, "failed", "LinAlgError: singular")
            if row["replicate"] == 4:
                row |= {"extra.largest_fall": 1e-3, "extra.empty_components": 1.0}

    run = made_up.make_run(tmp_path, made_up.raw_config(), spoil)
    results = Results(*run)
    runs = stability.runs(results, *_STABILITY)
    raw = stability.stability(runs, ["base_method"]).set_index("base_method")
    gls = raw.loc["gls-single"]
    assert (gls["n"], gls["n_failed"], gls["n_empty"], gls["n_fell"]) == (24, 4, 4, 4)
    assert gls["reached"] == pytest.approx(1 / 6)  # replicate 0 alone reaches it
    assert gls["median_gap"] == 2
    assert raw.loc["spatgmm", "reached"] == 1
    assert raw.loc["spatgmm-gls", "n"] == made_up.REPLICATES
    by_start = stability.stability(runs, ["base_method", "start"])
    assert len(by_start) == 4 + 4 + 1
    table = build("table6", results)
    assert "SpatGMM, GLS, single start: 8 of 24 runs failed or lost a component" in table.finding


def test_coordinates_measure_bic_against_the_true_locations(tmp_path, made_up, build):
    config = made_up.raw_config()
    lost = {"none": 0, "permute": 90, "jitter": 40, "stretch": 20}

    def spoil(row):
        if row["case"] in kinds:
            row["bic"] = 2400.0 + lost[kinds[row["case"]]]
            row["ari"] = 0.9 - lost[kinds[row["case"]]] / 100

    from spatgmm.study import config as configs
    from spatgmm.study import design

    kinds = {}
    work, _ = design.expand(configs.resolve(config))
    for case in work.cases.values():
        for path, level in case.varied.items():
            if path.startswith("distort."):
                kind = path.removeprefix("distort.")
                kinds[case.id] = "none" if kind == "permute" and level == 0 else kind
    results = Results(*made_up.make_run(tmp_path, config, spoil))
    raw = coordinates.coordinates(results, "coordinates", "coordinates-real")
    assert set(raw["scenario"]) == {"grid", "film-centred"}
    for line in raw.itertuples():
        assert line.bic_lost == pytest.approx(lost[line.distortion])
        assert np.isnan(line.se_ari) == (line.scenario == "film-centred")
    table = build("table7", results)
    assert "both ARI and BIC are worse on grid and film-centred" in table.finding


def test_anisotropy_measures_angles_as_directions(results):
    raw = anisotropy.anisotropy(results, results.varied("anisotropy")).set_index(
        ["strength", "method"]
    )
    assert raw.loc[(2, "spatgmm-rotated"), "angle_error"] < 5
    assert raw.loc[(2, "spatgmm-rotated"), "range_ratio"] == pytest.approx(2)
    assert np.isnan(raw.loc[(2, "spatgmm"), "angle_error"])
    np.testing.assert_allclose(anisotropy._angle_error(np.array([179.0, 1.0, 91.0]), 0), [1, 1, 89])


def test_selection_counts_what_each_criterion_chooses(results, build):
    options, choices = selection.selection(results, "selection", "selection-decay")
    options = options.set_index(["question", "option"])
    assert options.loc[("components", "2"), "by_bic"] == 1
    assert options.loc[("components", "1"), "by_bic"] == 0
    assert options.loc[("components", "3"), "bic_above"] == pytest.approx(50, abs=5)
    assert options.loc[("decay", "sigmoid"), "true"]
    assert options.loc[("decay", "exponential"), "by_icl"] == 0
    assert set(choices["question"]) == {"components", "decay"}
    assert "BIC chooses the true decay (sigmoid) in 100 %" in build("table9", results).finding

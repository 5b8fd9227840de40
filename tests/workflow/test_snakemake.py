"""The tiny study through Snakemake: from nothing to tables, and what reruns."""

import pandas as pd
import yaml


def finished(run):
    """Lines of finished batches, by case and method."""
    assert run.returncode == 0, run.stdout
    words = [line.split() for line in run.stdout.splitlines() if " ok" in line]
    return {(case, method, batch.rstrip(":")) for case, method, batch, *_ in words}


def test_from_nothing_to_report_and_only_what_is_needed_again(snakemake, tiny, tmp_path):
    results = tmp_path / "results" / "tiny"
    done = finished(snakemake(tiny, "all", "report"))
    assert ("grid", "kmeans-once", "0-1") in done
    assert len(done) == 7
    for name in (
        "tables/table2.csv",
        "tables/table2.tex",
        "tables/table2.md",
        "summary.md",
        "figures/figure3.png",
        "figures/figure3.pdf",
        "report.html",
    ):
        assert (results / name).stat().st_size > 100, name
    fits = pd.read_parquet(results / "fits.parquet")
    assert len(fits) == 9
    assert set(fits["status"]) == {"ok"}
    assert fits["code_hash"].notna().all()
    assert fits.groupby("method")["code_hash"].nunique().max() == 1
    real = fits[fits["case"] == "raman-raw"]
    assert (real["labels"].str.len() == real["n"]).all()
    drawn = fits[fits["case"] == "grid"]
    assert (drawn["labels"].notna() == (drawn["replicate"] == 0)).all()
    design = pd.read_csv(results / "design.csv")
    assert set(design["study"]) == {"comparison", "sizes", "raman"}
    assert sorted(design.loc[design["study"] == "sizes", "n"]) == [30, 50]
    assert yaml.safe_load((results / "config.yaml").read_text())["name"] == "tiny"

    again = snakemake(tiny, "all", "report")
    assert "Nothing to be done" in again.stdout

    times = fits.set_index(["case", "method", "replicate"])["seconds"]
    tiny["studies"]["comparison"]["replicates"] = 4
    tiny["methods"]["kmeans-once"]["n_init"] = 2
    told = finished(snakemake(tiny, "all"))
    # Batches that share truth's job are told of again, though nothing of them is fitted.
    shared = {batch for batch in told if batch[0].startswith("grid-")}
    assert {method for _, method, _ in shared} == {"truth"}
    assert told - shared == {
        ("grid", "kmeans-once", "0-1"),
        ("grid", "kmeans-once", "2-3"),
        ("grid", "truth", "2-3"),
        ("raman-raw", "kmeans-once", "0-0"),
    }
    fits = pd.read_parquet(results / "fits.parquet")
    assert len(fits) == 11
    # Replicate 2 of truth moved to a larger batch without being fitted again.
    again = fits.set_index(["case", "method", "replicate"])["seconds"]
    assert again["grid", "truth", 2] == times["grid", "truth", 2]
    for case, method, batch in shared:
        first = (case, method, int(batch.split("-")[0]))
        assert again[first] == times[first]
    assert again["grid", "kmeans-once", 2] != times["grid", "kmeans-once", 2]


def test_a_new_method_is_one_file_and_one_line_of_configuration(snakemake, sources, tiny, tmp_path):
    methods = sources / "src/spatgmm/methods"
    template = (methods / "_template.py").read_text()
    changed = template.replace('"my-method"', '"ward"').replace('"My method"', '"Ward linkage"')
    (methods / "ward.py").write_text(changed)
    tiny["studies"]["comparison"]["methods"].append("ward")
    done = finished(snakemake(tiny, "table2", "figure3", sources=sources))
    assert ("grid", "ward", "0-1") in done
    results = tmp_path / "results/tiny"
    table = pd.read_csv(results / "tables/table2.csv")
    row = table[table["method"] == "ward"].squeeze()
    assert row["n_ok"] == 3 and row["n_failed"] == 0
    assert "Ward linkage" in (results / "tables/table2.md").read_text()
    assert (results / "figures/figure3.png").stat().st_size > 100


def test_editing_a_method_reruns_that_method_and_a_table_no_fit(snakemake, sources, tiny, tmp_path):
    finished(snakemake(tiny, "table2", sources=sources))

    kmeans = sources / "src/spatgmm/methods/kmeans.py"
    kmeans.write_text(kmeans.read_text() + "\nEDITED = True\n")
    done = finished(snakemake(tiny, "table2", sources=sources))
    assert {method for _, method, _ in done} == {"kmeans-once"}

    table = sources / "src/spatgmm/report/tables/comparison.py"
    table.write_text(table.read_text() + "\nEDITED = True\n")
    before = (tmp_path / "results/tiny/tables/table2.csv").stat().st_mtime_ns
    assert finished(snakemake(tiny, "table2", sources=sources)) == set()
    assert (tmp_path / "results/tiny/tables/table2.csv").stat().st_mtime_ns > before


def test_a_wrong_configuration_ends_before_any_job(snakemake, tiny, tmp_path):
    tiny["studies"]["sizes"]["replicats"] = 2
    run = snakemake(tiny, "all")
    assert run.returncode != 0
    assert "studies.sizes.replicats: is unknown; did you mean 'replicates'?" in run.stdout
    assert "Traceback" not in run.stdout
    assert not (tmp_path / "results").exists()


def test_a_file_that_is_not_there_is_named_with_all_else_before_any_job(snakemake, tiny, tmp_path):
    tiny["datasets"]["raman-raw"]["file"] = str(tmp_path / "gone.csv")
    tiny["studies"]["comparison"]["methods"].append("kmens")
    run = snakemake(tiny, "all")
    assert run.returncode != 0
    assert "2 thing(s) wrong" in run.stdout
    assert f"datasets.raman-raw.file: {tmp_path}/gone.csv: there is no such file" in run.stdout
    assert "unknown method 'kmens'" in run.stdout
    assert not (tmp_path / "results").exists()


def test_a_file_with_missing_pixels_is_named_before_any_fit(snakemake, tiny, tmp_path):
    maps = pd.DataFrame(
        [(m, x, y, 1.0, m % 2) for m in range(8) for x in range(3) for y in range(3)],
        columns=["map_id", "x", "y", "value", "dose"],
    )
    maps.drop(index=40).to_csv(tmp_path / "maps.csv", index=False)
    tiny["datasets"]["raman-raw"]["file"] = str(tmp_path / "maps.csv")
    run = snakemake(tiny, "all")
    assert run.returncode != 0
    assert "datasets.raman-raw: " in run.stdout
    assert "map 4" in run.stdout
    assert not (tmp_path / "results/tiny/fits").exists()

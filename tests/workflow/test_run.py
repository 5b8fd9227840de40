"""Fits become rows, whatever the method does and however they are batched."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from spatgmm import methods, study
from spatgmm.cli import main
from spatgmm.study import aggregate, cases, parquet, rows
from spatgmm.study import batch as batches
from spatgmm.study import fit as run
from spatgmm.study.design import fits_path
from spatgmm.study.worker import ReplicateError

TIMINGS = ["seconds", "peak_memory_mb"]


def rows_of(config, case, method, replicates, tmp_path):
    _, design = study.prepare(config, values=False)
    of_case, variant = design.cases[case], design.methods[method]
    return list(
        run.fit_rows(of_case, variant, replicates, root_seed=design.root_seed, results=tmp_path)
    )


@pytest.fixture
def in_folder(tmp_path, monkeypatch, tiny):
    """A folder with a configuration file, and the command line on it."""
    monkeypatch.chdir(tmp_path)

    def call(step, *arguments, config=tiny):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        return main(["study", step, "--config", "config.yaml", *arguments])

    return call


@pytest.mark.parametrize("method", ["kmeans-once", "random", "spatgmm"])
def test_batches_of_1_and_of_50_give_identical_rows(tmp_path, monkeypatch, tiny, method):
    tiny["studies"]["comparison"] |= {"methods": [method], "replicates": 3}
    tiny["outputs"] = []
    tables = []
    for size in (1, 50):
        tiny["batch_size"] = size
        _, design = study.prepare(tiny)
        folder = tmp_path / str(size)
        folder.mkdir()
        monkeypatch.chdir(folder)
        (folder / "config.yaml").write_text(yaml.safe_dump(tiny))
        batches = [batch for batch in design.batches() if batch.method == method]
        batches = [batch for batch in batches if batch.case == "grid"]
        assert len(batches) == (3 if size == 1 else 1)
        for batch in batches:
            replicates = f"{batch.first}-{batch.last}"
            step = ["study", "fit", "--config", "config.yaml", "--case", "grid"]
            assert main([*step, "--method", method, "--replicates", replicates]) == 0
        paths = [fits_path(folder / "results/tiny", batch) for batch in batches]
        tables.append(pd.concat(map(pd.read_parquet, paths), ignore_index=True))
    assert list(tables[0]["replicate"]) == [0, 1, 2]
    pd.testing.assert_frame_equal(*(table.drop(columns=TIMINGS) for table in tables))


def test_any_number_of_components_can_be_fitted(tmp_path, tiny):
    tiny["studies"]["comparison"]["vary"] = {"method.n_components": [1, 2, 3]}
    _, design = study.prepare(tiny)
    made = [
        row
        for case, method in design.studies["comparison"]
        for row in rows_of(tiny, case, method, range(1), tmp_path)
    ]
    kmeans, truth = made[:3], made[3:]
    assert [row["n_components"] for row in made] == [1, 2, 3, 1, 2, 3]
    assert [row["status"] for row in kmeans] == ["ok"] * 3
    assert kmeans[0]["ari"] == 0
    assert all(0 < row["accuracy"] <= 1 for row in kmeans)
    assert [row["status"] for row in truth] == ["unsupported", "ok", "unsupported"]


def test_every_method_sees_the_same_maps(tmp_path, tiny, monkeypatch):
    seen = []
    real = run._outcome

    def spy(method, data, n_components, rng, parameters):
        seen.append((method.name, data.X.copy(), rng.integers(2**62)))
        return real(method, data, n_components, rng, parameters)

    monkeypatch.setattr(run, "_outcome", spy)
    for method in ("kmeans-once", "truth"):
        rows_of(tiny, "grid", method, range(1, 2), tmp_path)
    (_, first, draw), (_, second, other_draw) = seen
    np.testing.assert_array_equal(first, second)
    assert draw != other_draw


def test_a_failing_method_gives_rows_and_the_batch_goes_on(
    in_folder, tmp_path, tiny, monkeypatch, capsys
):
    def breaks(data, n_components, rng, **parameters):
        calls.append(data)
        if len(calls) == 2:
            raise FloatingPointError("singular, they said")
        return methods.FitResult(np.zeros(len(data.X), dtype=int))

    calls = []
    real = methods.get("kmeans")
    broken = methods.Method(
        real.name, real.label, real.declared, (), False, lambda data, n_components: None, breaks
    )
    monkeypatch.setattr(methods, "get", lambda name: broken)
    step = ("--case", "grid", "--method", "kmeans-once", "--replicates", "0-2")
    assert in_folder("fit", *step) == 0
    captured = capsys.readouterr()
    assert "2 ok, 1 failed" in captured.err
    assert "replicate 1 failed; alone: python -m spatgmm study fit" in captured.err
    assert "--replicates 1 --show" in captured.err
    table = pd.read_parquet(tmp_path / "results/tiny/fits/grid/kmeans-once/0-2.parquet")
    assert list(table["status"]) == ["ok", "failed", "ok"]
    assert table["error"][1] == "FloatingPointError: singular, they said"
    assert table["seconds"].notna().all()
    assert np.isnan(table["ari"][1])


def test_what_a_method_does_not_support_is_a_row_with_the_reason(in_folder, tmp_path, tiny):
    tiny["datasets"]["film"] = {"load": "film"}
    tiny["studies"]["raman"] |= {"datasets": ["film"], "methods": ["truth"]}
    assert in_folder("data", "--case", "film") == 0
    step = ("--case", "film", "--method", "truth", "--replicates", "0")
    assert in_folder("fit", *step) == 0
    table = pd.read_parquet(tmp_path / "results/tiny/fits/film/truth/0-0.parquet")
    assert list(table["status"]) == ["unsupported"]
    assert table["error"][0] == "the true parameters are not known"


def test_maps_that_cannot_be_had_end_the_job_with_case_replicate_and_command(
    in_folder, tiny, monkeypatch, capsys
):
    def no_maps(scenario, replicate, root_seed):
        raise MemoryError("no room")

    monkeypatch.setattr("spatgmm.simulate.draw", no_maps)
    step = ("--case", "grid", "--method", "truth", "--replicates", "1-2")
    assert in_folder("fit", *step) == 1
    said = capsys.readouterr().err
    assert "case grid, replicate 1: no room" in said
    assert "--method truth --replicates 1 --show" in said


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [("--case", "gird", "mean 'grid'"), ("--method", "truht", "mean 'truth'")],
)
def test_unknown_ids_are_named(in_folder, capsys, option, value, expected):
    step = {"--case": "grid", "--method": "truth", "--replicates": "0"} | {option: value}
    assert in_folder("fit", *(word for pair in step.items() for word in pair)) == 2
    assert expected in capsys.readouterr().err


def test_estimates_are_those_of_the_true_groups(tmp_path, tiny, monkeypatch):
    def swapped(data, n_components, rng, **parameters):
        table = pd.DataFrame(
            [(0, "beta", 6.0, 0.1, 5.8, 6.2), (1, "beta", 2.5, 0.2, 2.1, 2.9)],
            columns=["component", "parameter", "estimate", "std_error", "lower", "upper"],
        )
        truth = methods.get("truth").fit(maps[0], n_components, rng).labels
        extras = {"parameters": table, "model": "VVV", "steps": 3}
        return methods.FitResult(1 - truth, -10.0, 4, extras=extras)

    maps = []
    real = methods.get("truth")
    monkeypatch.setattr(
        run.methods.Method,
        "_seen",
        lambda self, data: maps.append(data) or data,
    )
    fake = methods.Method("fake", "Fake", {}, (), True, lambda data, n: None, swapped)
    monkeypatch.setattr(run.methods, "get", lambda name: real if maps else fake)
    tiny["scenarios"]["grid"]["n"] = 400
    (row,) = rows_of(tiny, "grid", "truth", range(1), tmp_path)
    assert row["status"] == "ok", row["error"]
    assert (row["estimate.0.beta"], row["estimate.1.beta"]) == (2.5, 6.0)
    assert row["upper.1.beta"] == 6.2
    assert (row["extra.model"], row["extra.steps"]) == ("VVV", 3.0)
    assert row["bic"] == pytest.approx(20 + 4 * np.log(400))
    assert np.mean(row["labels"] == maps[0].labels) == row["accuracy"]


def test_peak_memory_is_that_of_the_fit():
    run.reset_peak_memory()
    before = run.peak_memory_mb()
    block = np.ones(30_000_000)
    assert run.peak_memory_mb() > before + 200
    del block
    run.reset_peak_memory()
    assert run.peak_memory_mb() < before + 100


def test_batches_with_different_columns_become_one_table(tmp_path, tiny):
    del tiny["studies"]["raman"]
    _, design = study.prepare(tiny, values=False)
    for number, batch in enumerate(design.batches()):
        extra = [{}, {"extra.model": "VVV"}, {"extra.model": None, "extra.steps": 2}][number % 3]
        row = batches.identity(tmp_path, design, batch) | {"labels": np.array([0, 1])} | extra
        found = [row | {"replicate": r} for r in range(batch.first, batch.last + 1)]
        parquet.write(fits_path(tmp_path, batch), found)
    number = aggregate.merge_fits(tmp_path, design)
    table = pq.read_table(tmp_path / "fits.parquet")
    assert number == len(table) == sum(design.replicates().values())
    assert table.column_names[: len(rows.COLUMNS)] == list(rows.COLUMNS)
    assert set(table["extra.model"].to_pylist()) == {"VVV", None}
    assert set(table["extra.steps"].to_pylist()) == {2.0, None}
    assert table["labels"].to_pylist()[0] == [0, 1]


def test_a_batch_that_comes_to_nothing_leaves_the_rows_of_its_job_in_journals(
    tmp_path, monkeypatch, tiny
):
    _, design = study.prepare(tiny)
    job = tuple(batch for batch in design.batches() if batch.method == "truth")
    real = cases.maps

    def maps(case, *arguments):
        if case.id == "grid":
            raise ValueError("no maps today")
        return real(case, *arguments)

    with monkeypatch.context() as broken:
        broken.setattr(cases, "maps", maps)
        with pytest.raises(ReplicateError, match="no maps today") as error:
            batches.complete(tmp_path, design, job)
    assert error.value.fit.batch.case == "grid"
    assert not list(tmp_path.rglob("*.parquet")), "Snakemake deletes the files of a failed job"
    fitted = []
    done = batches.complete(tmp_path, design, job, fitted.append)
    assert {row["case"] for row in fitted} == {"grid"}, "the others were kept"
    assert [len(rows) for rows in done.values()] == [len(batch) for batch in job]
    assert not list(tmp_path.rglob("*.rows"))

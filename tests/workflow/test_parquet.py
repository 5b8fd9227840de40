"""Rows in files: what is written comes back, and no job imports what it does not need."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from spatgmm.study import parquet


@pytest.mark.parametrize(
    ("values", "type"),
    [
        (["a", None, "b\u00e4\n", ""], pa.string()),
        ([1, None, -(2**40), np.int64(3)], pa.int64()),
        ([0.5, None, float("nan"), np.float64(-1), 2], pa.float64()),
        ([True, None, False, np.bool_(True)] * 5, pa.bool_()),
        ([[1, 2], None, [], [3]], pa.list_(pa.int16())),
        ([np.array([1, 2], dtype=np.int64), [5]], pa.list_(pa.int16())),
        ([None, None], pa.string()),
        ([None, None], pa.null()),
        ([], pa.float64()),
    ],
)
def test_arrays_are_those_that_arrow_makes(values, type):
    made = parquet._array(values, type)
    made.validate(full=True)
    expected = pa.array([None if v is None else v for v in values], type)
    assert made.type == expected.type and made.null_count == expected.null_count
    assert str(made.to_pylist()) == str(expected.to_pylist())


def test_a_number_that_does_not_fit_is_an_error():
    with pytest.raises(OverflowError):
        parquet._array([[2**20]], pa.list_(pa.int16()))


def test_rows_come_back(tmp_path):
    rows = [
        {"case": "a", "replicate": 0, "ari": 0.5, "labels": np.array([0, 1]), "extra.model": "VVV"},
        {"case": "a", "replicate": 1, "error": "broken", "extra.steps": 2},
    ]
    parquet.write(tmp_path / "rows.parquet", rows)
    back = parquet.read(tmp_path / "rows.parquet")
    assert back.column_names[: len(parquet.SCHEMA)] == parquet.SCHEMA.names
    first, second = back.to_pylist()
    assert (first["labels"], first["extra.model"], first["extra.steps"]) == ([0, 1], "VVV", None)
    assert (second["labels"], second["error"], second["extra.steps"]) == (None, "broken", 2.0)


def test_a_job_imports_neither_pandas_nor_scikit_learn_for_a_method_without(tmp_path, tiny):
    import yaml

    tiny["studies"]["comparison"]["methods"].append("random")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny))
    program = (
        "import sys; from spatgmm.cli import main;"
        "main(['study', 'fit', '--config', 'config.yaml', '--case', 'grid', '--method', 'random',"
        "'--replicates', '0-1']);"
        "print(*[m for m in ('pandas', 'sklearn', 'matplotlib', 'seaborn') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
    assert list((tmp_path / "results/tiny/fits/grid/random").iterdir())

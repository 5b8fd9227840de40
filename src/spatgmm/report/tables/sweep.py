"""Table 10: ARI over all that a sweep varies."""

from __future__ import annotations

import pandas as pd

from spatgmm.report import labels
from spatgmm.report.numbers.sweep import cells, finding, swept
from spatgmm.report.results import Results
from spatgmm.report.tables.table import Table
from spatgmm.report.words import with_error

#: Rows that a reader can take in; the CSV file has them all.
_SHOWN = 100


def build(results: Results, study: str) -> Table:
    """One row per point, one column per method: mean ARI (standard error)."""
    raw = cells(results, study)
    keys = swept(raw)
    names = labels.methods(results, raw)
    rows = []
    for point, group in raw.groupby(keys, sort=False, dropna=False):
        row = {labels.key(key): labels.value(value) for key, value in zip(keys, point, strict=True)}
        by_method = group.set_index("method")
        for method, name in names.items():
            row[name] = _cell(by_method.loc[method]) if method in by_method.index else "–"
        rows.append(row)
    notes = ["[failed/all]: fits without a result, which the mean leaves out."]
    if len(rows) > _SHOWN:
        notes.append(f"The first {_SHOWN} of {len(rows)} points; the CSV file has them all.")
    plain = raw.assign(**{key: raw[key].map(labels.value) for key in keys})
    return Table(
        raw=plain.rename(columns={key: labels.key(key) for key in keys}),
        formatted=pd.DataFrame(rows[:_SHOWN]),
        notes=tuple(notes),
        finding=finding(results, raw),
    )


def _cell(cell: pd.Series) -> str:
    if not cell["n_ok"] + cell["n_failed"]:
        return "n/a"
    text = with_error(cell["mean_ari"], cell["se_ari"])
    if cell["n_failed"]:
        text += f" [{cell['n_failed']}/{cell['n_ok'] + cell['n_failed']}]"
    return text

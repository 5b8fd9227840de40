"""Table 4: every method on the real data, centred by true group."""

from __future__ import annotations

from spatgmm.report.results import Results
from spatgmm.report.tables import real
from spatgmm.report.tables.table import Table


def build(results: Results) -> Table:
    return real.build(results, centred=True)

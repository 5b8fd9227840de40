"""Table 4: every method on the real data, centred by true group."""

from __future__ import annotations

from spatgmm.results import Results
from spatgmm.tables import real
from spatgmm.tables.table import Table


def build(results: Results) -> Table:
    return real.build(results, centred=True)

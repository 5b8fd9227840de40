"""Table 3: every method on the real data as they are."""

from __future__ import annotations

from spatgmm.results import Results
from spatgmm.tables import real
from spatgmm.tables.table import Table


def build(results: Results) -> Table:
    return real.build(results, centred=False)

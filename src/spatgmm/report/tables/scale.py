"""Table 11: what a fit costs and finds as maps grow."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatgmm.report.numbers.scale import scale
from spatgmm.report.results import Results
from spatgmm.report.tables.table import Footnotes, Table, ended
from spatgmm.report.words import failures, listing, number, significant, with_error


def build(results: Results, *studies: str) -> Table:
    """One row per number of pixels and method."""
    raw = scale(results, *studies)
    footnotes = Footnotes()
    rows = [
        {
            "pixels": f"{line['p']}",
            "method": line["label"],
            "seconds": significant(line["seconds"], 2),
            "memory (MB)": number(line["peak_memory_mb"], 0),
            "ARI (SE)": with_error(line["ari"], line["ari_se"]),
            "fits / failed": ended(line, footnotes),
        }
        for _, line in raw.sort_values("p", kind="stable").iterrows()
    ]
    return Table(raw, pd.DataFrame(rows), _finding(raw), footnotes.notes())


def _finding(raw: pd.DataFrame) -> str:
    sentences = [f"{failures(raw)}."]
    done = raw[raw["n_ok"] > 0]
    parts = []
    for label, own in done.groupby("label", sort=False):
        last = own.iloc[-1]
        text = (
            f"{label} takes {significant(last['seconds'], 2)} s and "
            f"{number(last['peak_memory_mb'], 0)} MB at {last['p']} pixels"
        )
        if len(own) > 2:
            text += f" (seconds grow like p^{_growth(own):.2f} over its last three sizes)"
        parts.append(text)
    if parts:
        sentences.append(f"{listing(parts)}.")
    return " ".join(sentences)


def _growth(own: pd.DataFrame) -> float:
    """The power of p that seconds follow, by least squares on logarithms."""
    last = own.iloc[-3:]
    return float(np.polyfit(np.log(last["p"]), np.log(last["seconds"]), 1)[0])

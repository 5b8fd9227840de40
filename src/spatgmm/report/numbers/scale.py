"""What a fit costs and finds as maps grow: by method and number of pixels."""

from __future__ import annotations

import pandas as pd

from spatgmm.report import labels
from spatgmm.report.results import Results, counts, mean_and_error, succeeded
from spatgmm.report.words import reason

#: What is measured: column of the fits, and what it is called.
MEASURES = {
    "seconds": "seconds per fit",
    "peak_memory_mb": "peak memory (MB)",
    "ari": "ARI",
}


def scale(results: Results, *studies: str) -> pd.DataFrame:
    """Medians of seconds and memory and the mean ARI of each method at each number of pixels.

    Returns
    -------
    DataFrame
        Columns method, label, p, n, those of :func:`spatgmm.report.results.counts`, `reason` (why
        fits failed), `seconds`, `peak_memory_mb`, `ari` and `ari_se`; methods in the order of the
        studies, p rising.
    """
    fits = results.of(*studies)
    names = labels.methods(results, fits)
    rows = []
    for method, own in fits.groupby("method", sort=False):
        for p, group in own.groupby("p"):
            ok = succeeded(group)
            ari, ari_se = mean_and_error(ok["ari"])
            rows.append(
                {
                    "method": method,
                    "label": names[method],
                    "p": int(p),
                    "n": int(group["n"].iloc[0]),
                    **counts(group),
                    "reason": reason(group["error"]),
                    "seconds": float(ok["seconds"].astype(float).median()),
                    "peak_memory_mb": float(ok["peak_memory_mb"].astype(float).median()),
                    "ari": ari,
                    "ari_se": ari_se,
                }
            )
    return pd.DataFrame(rows)

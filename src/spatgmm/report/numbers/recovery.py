"""Estimates over replicates against the truth: bias, standard errors, coverage."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatgmm.report.results import Results, counts, mean_and_error
from spatgmm.study.rows import values


def recovery(results: Results, fits: pd.DataFrame) -> pd.DataFrame:
    """Bias, standard errors and coverage as raw numbers.

    Parameters
    ----------
    results : Results
        For the true parameters of each case.
    fits : DataFrame
        Rows of ``fits.parquet``.

    Returns
    -------
    DataFrame
        ``bias_se`` and ``coverage_se`` are Monte Carlo standard errors.
    """
    rows = []
    for (case, method), group in fits.groupby(["case", "method"], sort=False):
        ended = counts(group)
        truth = results.dataset(case).truth
        for component in range(len(truth.beta)):
            for parameter, true_value in truth.parameters(component).items():
                estimate = values(group, "estimate", component, parameter)
                error = values(group, "std_error", component, parameter)
                lower = values(group, "lower", component, parameter)
                upper = values(group, "upper", component, parameter)
                used = np.isfinite(estimate)
                with_se = used & np.isfinite(error)
                mean, mean_se = mean_and_error(estimate[used])
                empirical = float(np.std(estimate[used], ddof=1)) if used.sum() > 1 else np.nan
                model = float(error[with_se].mean()) if with_se.any() else np.nan
                inside = (lower <= true_value) & (true_value <= upper)
                coverage = float(inside[with_se].mean()) if with_se.any() else np.nan
                rows.append(
                    {
                        "case": case,
                        "method": method,
                        "n": int(group["n"].iloc[0]),
                        "component": component,
                        "parameter": parameter,
                        "truth": float(true_value),
                        "mean": mean,
                        "bias": mean - float(true_value),
                        "bias_se": mean_se,
                        "empirical_se": empirical,
                        "model_se": model,
                        "ratio": model / empirical if empirical > 0 else np.nan,
                        "coverage": coverage,
                        "coverage_se": float(np.sqrt(coverage * (1 - coverage) / with_se.sum()))
                        if with_se.any()
                        else np.nan,
                        "n_used": int(used.sum()),
                        "n_with_se": int(with_se.sum()),
                        "n_failed": ended["n_failed"] + ended["n_unsupported"],
                    }
                )
    return pd.DataFrame(rows)

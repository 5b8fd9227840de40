"""What a run left behind, as tables and figures read it: fits and data sets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spatgmm import methods
from spatgmm.covariance import decay
from spatgmm.covariance.fitted import COEFFICIENTS, FittedCovariance
from spatgmm.data import Dataset
from spatgmm.study import cases, design, rows


class Results:
    """The results folder of one configuration.

    Parameters
    ----------
    config : mapping
        The validated study configuration.
    directory : path-like
        ``results/<name>``, with ``fits.parquet`` and, where there are data sets, ``data/``.

    Raises
    ------
    FileNotFoundError
        If ``fits.parquet`` is not there.
    """

    def __init__(self, config: Mapping, directory):
        self.config = config
        self.directory = Path(directory)
        self._datasets: dict[str, Dataset] = {}
        fits = self.directory / "fits.parquet"
        if not fits.is_file():
            raise FileNotFoundError(f"{fits} is missing: tables and figures come after the fits")
        self.design, problems = design.expand(config)
        if problems:
            raise ValueError(f"configuration: {problems[0]}")

    def of(self, *studies: str, replicate: int | None = None) -> pd.DataFrame:
        """The fits of these studies, in the order of the configuration, each fit once.

        Only these are held in memory: another study of the run may have millions.

        Parameters
        ----------
        *studies : str
        replicate : int or None
            This replicate alone; None: all.

        Raises
        ------
        ValueError
            If a case has no fit at all by one of the study's methods.
        """
        pairs = dict.fromkeys(pair for study in studies for pair in self.design.studies[study])
        wanted = pd.DataFrame(list(pairs), columns=["case", "method"])
        path = self.directory / "fits.parquet"
        filters = [(name, "in", set(wanted[name])) for name in wanted]
        if replicate is not None:
            filters.append(("replicate", "==", replicate))
        fits = pd.read_parquet(path, filters=filters)
        # Absent labels are None in every version of pandas.
        fits["labels"] = [None if np.ndim(cell) == 0 else cell for cell in fits["labels"]]
        there = set(zip(fits["case"], fits["method"], strict=True))
        for case, method in pairs:
            if (case, method) not in there:
                raise ValueError(
                    f"{path} holds no fit of case {case!r} by method {method!r}; aggregate again"
                )
        return wanted.merge(fits, on=["case", "method"])

    def cells(self, study: str) -> pd.DataFrame:
        """Mean ARI per case and method of a study, without holding its fits in memory.

        Returns
        -------
        DataFrame
            Columns ``case``, ``method``, ``mean_ari``, ``se_ari`` (of the mean; NaN for fewer than
            two fits), ``n_ok``, ``n_unsupported`` and ``n_failed``, in the order of the study.
        """
        sums = pd.DataFrame(list(self.design.studies[study]), columns=["case", "method"])
        sums = sums.merge(self._sums, on=["case", "method"])
        ended = sums.pivot_table(
            index=["case", "method"], columns="status", values="fits", aggfunc="sum", sort=False
        ).fillna(0)
        ok = succeeded(sums).groupby(["case", "method"], sort=False)
        ok = ok[["fits", "ari", "squares"]].sum()
        table = pd.DataFrame(index=ended.index)
        table["mean_ari"] = ok["ari"] / ok["fits"]
        around = (ok["squares"] - ok["fits"] * table["mean_ari"] ** 2).clip(lower=0)
        table["se_ari"] = np.sqrt(around / (ok["fits"] - 1).where(ok["fits"] > 1) / ok["fits"])
        counted = pd.DataFrame([tallied(line) for line in ended.to_dict("records")], ended.index)
        return table.join(counted).reset_index()

    def tally(self) -> pd.DataFrame:
        """Numbers of fits and their seconds by method, status, code and versions."""
        keys = ["method", "plugin", "status", "code_hash", *rows.VERSIONS]
        return self._sums.groupby(keys, sort=False, dropna=False, as_index=False)[
            ["fits", "seconds"]
        ].sum()

    def spent(self) -> pd.DataFrame:
        """Numbers of fits and their seconds, by case and method as the index."""
        return self._sums.groupby(["case", "method"], sort=False)[["fits", "seconds"]].sum()

    def lost(self) -> pd.DataFrame:
        """Fits that were tried and gave no result: case, method, status and error."""
        return pd.read_parquet(
            self.directory / "fits.parquet",
            columns=["case", "method", "status", "error"],
            filters=[("status", "in", set(rows.LOST))],
        )

    def mixed(self) -> str:
        """A sentence about fits of one method by different code or versions; empty if none are."""
        tally = self.tally().groupby("method", sort=False)
        differing = []
        for column, what in {"code_hash": "code", **rows.VERSIONS}.items():
            number = tally[column].nunique()
            mixed = list(number[number > 1].index)
            if mixed:
                differing.append(f"{what} ({', '.join(mixed)})")
        return f"Fits are mixed here that differ in: {'; '.join(differing)}." if differing else ""

    @cached_property
    def _sums(self) -> pd.DataFrame:
        """Sums over fits that share all but the replicate, read a part at a time."""
        keys = ["case", "method", "plugin", "status", "code_hash", *rows.VERSIONS]
        sums, parts = ["fits", "ari", "squares", "seconds"], []
        with pq.ParquetFile(self.directory / "fits.parquet") as file:
            for batch in file.iter_batches(columns=[*keys, "ari", "seconds"], batch_size=200_000):
                part = pa.Table.from_batches([batch])
                part = part.append_column("fits", pa.array(np.ones(len(part), dtype=np.int64)))
                squares = pc.multiply(part["ari"], part["ari"])
                part = part.append_column("squares", squares)
                grouped = part.group_by(keys).aggregate([(name, "sum") for name in sums])
                parts.append(grouped.rename_columns([*keys, *sums]).to_pandas())
        return (
            pd.concat(parts, ignore_index=True)
            .groupby(keys, sort=False, dropna=False, as_index=False)[sums]
            .sum()
        )

    def varied(self, study: str) -> pd.DataFrame:
        """The fits of a study with what it varies.

        Returns
        -------
        DataFrame
            Further columns: ``base_method``, its id in the configuration, and one for every varied
            key, ``method.<parameter>`` for those of methods; empty where a case or method does not
            have it.
        """
        lines = []
        for case, method in self.design.studies[study]:
            of_case, variant = self.design.cases[case], self.design.methods[method]
            line = {"case": case, "method": method, "base_method": variant.base_method}
            lines.append(line | design.varied(of_case, variant))
        return self.of(study).merge(pd.DataFrame(lines), on=["case", "method"])

    def dataset(self, case: str) -> Dataset:
        """The data of a case; of a simulated one, its replicate 0."""
        if case not in self._datasets:
            maps = cases.maps(self.design.cases[case], self.design.root_seed, self.directory)
            self._datasets[case] = maps(0)
        return self._datasets[case]

    def is_stand_in(self, case: str) -> bool:
        """Whether the data of this case stand in for measurements."""
        return not self.design.cases[case].simulated and self.dataset(case).source.startswith(
            "synthetic"
        )

    def is_centred(self, case: str) -> bool:
        """Whether a data set variant has each true group's mean map subtracted."""
        return bool(self.design.cases[case].settings.get("centred", False))

    def family(self, case: str) -> tuple:
        """What raw and centred variants of the same data set have in common."""
        variant = self.design.cases[case].settings
        return tuple(sorted((k, str(v)) for k, v in variant.items() if k != "centred"))

    def controls(self, fits: pd.DataFrame) -> set[str]:
        """Method variants among `fits` that are shown the true parameters."""
        return {m for m in fits["method"].unique() if self.plugin(m).control}

    def plugin(self, method: str):
        """The plug-in behind a method variant."""
        return methods.get(self.design.methods[method].plugin)

    def fitted(self, row: pd.Series) -> dict[int, FittedCovariance]:
        """The spatial covariances in a row of the fits, by component."""
        law = decay.get(row[rows.extra("decay")])
        errors = rows.covariances(row)
        found = {
            component: FittedCovariance.from_estimates(estimates, errors[component], law)
            for component, estimates in rows.estimates(row).items()
        }
        return {component: one for component, one in found.items() if one is not None}

    def spatial_methods(self, fits: pd.DataFrame) -> list[str]:
        """Method variants among `fits` that report a spatial covariance, in order."""
        reports = np.isfinite(rows.values(fits, "estimate", 0, COEFFICIENTS[0]))
        return list(dict.fromkeys(fits.loc[reports, "method"]))

    def spatial_fit(self, fits: pd.DataFrame) -> pd.Series | None:
        """The fit whose spatial covariance to show for one case, None if there is none.

        Of the first method, those with standard errors before those without, the likeliest.
        """
        ok = succeeded(fits)
        spatial = self.spatial_methods(ok)
        if not spatial:
            return None
        errors = np.isfinite(rows.values(ok, "std_error", 0, COEFFICIENTS[0]))
        with_errors = set(ok.loc[errors, "method"])
        spatial.sort(key=lambda method: method not in with_errors)
        chosen = ok[ok["method"] == spatial[0]]
        return chosen.loc[chosen["log_likelihood"].astype(float).idxmax()]

    def beside(self, fits: pd.DataFrame, shown: pd.Series) -> pd.Series | None:
        """The fit of a case that BIC takes over the one `shown`, where it has another decay."""
        ok = succeeded(fits[fits["case"] == shown["case"]])
        ok = ok[ok["method"].isin(self.spatial_methods(ok))]
        if rows.extra("decay") not in ok or ok.empty:
            return None
        best = ok.loc[ok["bic"].astype(float).idxmin()]
        name = rows.extra("decay")
        better = best["bic"] < shown["bic"] and best[name] != shown[name]
        return best if better else None

    def competing(self, fits: pd.DataFrame) -> pd.DataFrame:
        """Those of `fits` that gave a result, without the controls."""
        return fits[(fits["status"] == rows.OK) & ~fits["method"].isin(self.controls(fits))]


def succeeded(fits: pd.DataFrame) -> pd.DataFrame:
    """Those of `fits` that gave a result."""
    return fits[fits["status"] == rows.OK]


def shown_labels(data: Dataset, row: pd.Series) -> np.ndarray:
    """The true labels of drawn maps, of others those of the fit."""
    return data.labels if data.truth is not None else np.asarray(row["labels"], dtype=int)


def mean_and_error(sample: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error; NaN for what the finite values cannot give."""
    sample = np.asarray(sample, dtype=float)
    sample = sample[np.isfinite(sample)]
    mean = float(sample.mean()) if len(sample) else np.nan
    error = float(sample.std(ddof=1) / np.sqrt(len(sample))) if len(sample) > 1 else np.nan
    return mean, error


def counts(fits: pd.DataFrame) -> dict[str, int]:
    """Numbers of fits by how they ended, as columns of a table."""
    return tallied(rows.ended(fits["status"]))


def tallied(ended: Mapping[str, int]) -> dict[str, int]:
    """Numbers of fits by status as columns: with a result, not applicable, without a result."""
    found = {f"n_{status}": int(ended.get(status, 0)) for status in (rows.OK, rows.UNSUPPORTED)}
    # Whatever else a fit can end as, it gave no result.
    return found | {"n_failed": int(sum(ended.values())) - sum(found.values())}

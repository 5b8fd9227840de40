"""``spatgmm fit``: cluster a user's own maps."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

import spatgmm
from spatgmm import methods, mixture
from spatgmm.cli import _files, _pictures
from spatgmm.common.base import bic
from spatgmm.common.files import atomic_path
from spatgmm.covariance import decay, metric
from spatgmm.covariance.fitted import FittedCovariance
from spatgmm.data import Dataset
from spatgmm.fitting import scoring

#: Further parameters of the model, for methods that take them: choices and help.
_OPTIONS = {
    "mean": (mixture.MEANS, "one mean per location and cluster, or one per cluster"),
    "metric": (metric.names(), "whether correlation has a direction"),
    "variance": (mixture.VARIANCES, "whether the variance differs by location"),
    "sharing": (list(scoring.SHARED), "covariance parameters that all clusters share"),
    "missing": (mixture.MISSING, "whether an empty value is an error or a missing pixel (em)"),
}

#: What methods report beside scalars.
_TABLES = ("parameters", "covariances")

#: Columns of parameters.csv, whatever the method reports.
_COLUMNS = ["component", "parameter", "estimate", "std_error", "lower", "upper", "note"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files, number of components, method."""
    parser.add_argument(
        "data",
        metavar="DATA",
        help="maps: .csv or .parquet with a map per row, or .npy of shape (n, p), (n, r, c) or "
        "(n, r, c, s)",
    )
    parser.add_argument(
        "--coordinates",
        metavar="COORDS",
        help="locations: a file with one per row, or a grid shape such as 10x10; may be left out "
        "for a .npy of grids",
    )
    parser.add_argument(
        "--components",
        type=_components,
        required=True,
        metavar="G[:H]",
        help="number of clusters, or a range from which BIC picks: 2:5 is 2, 3, 4 and 5",
    )
    parser.add_argument(
        "--method", default="spatgmm", help="as listed by `spatgmm methods` (default: spatgmm)"
    )
    parser.add_argument(
        "--out", default="spatgmm-fit", metavar="DIR", help="folder to write (default: spatgmm-fit)"
    )
    parser.add_argument("--seed", type=_seed, default=0, help="of all random starts (default: 0)")
    parser.add_argument(
        "--decay",
        type=_decays,
        metavar="NAME[,...]",
        help=f"how covariance falls with distance: {', '.join(decay.names())}; several, or auto "
        "for all of them: BIC picks (default: sigmoid)",
    )
    for name, (choices, text) in _OPTIONS.items():
        parser.add_argument(f"--{name}", choices=choices, help=text)


def run(arguments: argparse.Namespace) -> None:
    """Fit, choose, and write labels, parameters, summary and pictures."""
    method = methods.get(arguments.method)
    options = {name: getattr(arguments, name) for name in _OPTIONS if getattr(arguments, name)}
    for name in [*options, *(["decay"] if arguments.decay else [])]:
        if name not in method.defaults:
            raise ValueError(f"--{name}: method {method.name!r} has no such parameter")
    missing = options.get("missing") == "em"
    data = _files.read(arguments.data, arguments.coordinates, missing)
    for n_components in arguments.components:
        reason = method.supports(data, n_components)
        if reason is not None:
            raise ValueError(f"{arguments.data}: method {method.name!r} cannot run: {reason}")
    out = Path(arguments.out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out}: is a file, not a folder")
    out.mkdir(parents=True, exist_ok=True)

    settings = [
        (n_components, options | ({"decay": name} if name else {}))
        for n_components in arguments.components
        for name in arguments.decay or [None]
    ]
    fits = _fit_all(data, method, settings, arguments.seed)
    best = min(fits, key=lambda fit: fit["row"]["bic"])
    result, row = best["result"], best["row"]
    labels = pd.DataFrame({"map": np.arange(len(data.X)), "label": result.labels})
    reported = result.extras.get("parameters")
    parameters = _parameters(result.extras)
    summary = {
        "data": arguments.data,
        "coordinates": arguments.coordinates,
        "n": data.X.shape[0],
        "p": data.X.shape[1],
        "method": method.name,
        "seed": arguments.seed,
        "spatgmm": spatgmm.__version__,
        **row,
        "cluster_sizes": np.bincount(result.labels, minlength=row["n_components"]).tolist(),
        **options,
        **{name: value for name, value in result.extras.items() if name not in _TABLES},
        "warnings": best["warnings"],
    }

    written = [_csv(out / "labels.csv", labels), _csv(out / "parameters.csv", parameters)]
    written.append(_json(out / "summary.json", summary))
    picture = _pictures.clusters(data, result.labels, row["n_components"])
    written.append(_picture(out / "clusters.png", picture))
    # Files of an earlier fit in the same folder must not pass for this one's.
    for name in ("bic.csv", "decay.png"):
        (out / name).unlink(missing_ok=True)
    if len(settings) > 1:
        table = pd.DataFrame([fit["row"] for fit in fits])
        written.append(_csv(out / "bic.csv", table))
        print(table.to_string(index=False))
    if reported is not None and "decay" in result.extras:
        fitted = _fitted(result.extras)
        picture = _pictures.decay(data, result.labels, fitted)
        written.append(_picture(out / "decay.png", picture))
    sizes = ", ".join(map(str, summary["cluster_sizes"]))
    print(f"{row['n_components']} clusters of {sizes} maps: {', '.join(map(str, written))}")


def _fit_all(
    data: Dataset,
    method: methods.Method,
    settings: Sequence[tuple[int, dict[str, Any]]],
    seed: int,
) -> list[dict[str, Any]]:
    """A fit for each number of components and decay; those that fail are reported and left out."""
    on_terminal = sys.stderr.isatty()
    # What the method can do of this; other methods report what they report.
    wanted = {"standard_errors": True, "verbose": on_terminal}
    wanted = {name: value for name, value in wanted.items() if name in method.defaults}
    fits, failures = [], []
    bar = tqdm(settings, unit=" fits", disable=not on_terminal or len(settings) == 1)
    for n_components, options in bar:
        what = f"{n_components} components"
        if len(settings) > 1 and "decay" in options:
            what += f", {options['decay']} decay"
        bar.set_description(what)
        rng = np.random.default_rng([seed, n_components])
        start = time.perf_counter()
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("default")
                result = method.fit(data, n_components, rng, **wanted, **options)
        except Exception as error:  # plug-ins raise what they like; the next may still run
            failures.append(f"{what}: {error or type(error).__name__}")
            _say(failures[-1])
            continue
        fit = {
            "result": result,
            "row": _row(result, n_components, len(data.X), time.perf_counter() - start),
            "warnings": list(dict.fromkeys(str(warning.message) for warning in caught)),
        }
        if fit["row"]["bic"] is None and len(settings) > 1:
            raise ValueError(
                f"method {method.name!r} has no likelihood, so BIC cannot choose among "
                f"{len(settings)} numbers of components; give one"
            )
        if result.converged is False:
            fit["warnings"].append(f"{what}: the fit did not converge")
        for message in fit["warnings"]:
            _say(f"warning: {message}")
        fits.append(fit)
        if len(settings) > 1 and not on_terminal:
            seconds = fit["row"]["seconds"]
            _say(f"{what}: BIC {fit['row']['bic']:.1f}, {seconds:.1f} s")
    if not fits:
        raise ValueError("every fit failed: " + "; ".join(failures))
    return fits


def _row(result: methods.FitResult, n_components: int, n: int, seconds: float) -> dict[str, Any]:
    has_bic = result.log_likelihood is not None and result.n_parameters is not None
    row = {"n_components": n_components}
    if "decay" in result.extras:
        row["decay"] = result.extras["decay"]
    return row | {
        "log_likelihood": result.log_likelihood,
        "n_parameters": result.n_parameters,
        "bic": bic(result.log_likelihood, result.n_parameters, n) if has_bic else None,
        "icl": result.extras.get("icl"),
        "n_iter": result.n_iter,
        "converged": result.converged,
        "seconds": round(seconds, 3),
    }


def _parameters(extras: dict[str, Any]) -> pd.DataFrame:
    """What the method reports: a table of estimates, or else its scalars by name."""
    table = extras.get("parameters")
    if table is None:
        rows = [{"parameter": name, "estimate": value} for name, value in extras.items()]
        return pd.DataFrame(rows, columns=_COLUMNS)
    return table.reindex(columns=_COLUMNS)


def _fitted(extras: dict[str, Any]) -> dict[int, FittedCovariance]:
    """Covariances by component, of those that the method gives all estimates for."""
    covariances, fitted = extras.get("covariances", {}), {}
    for g, table in extras["parameters"].groupby("component"):
        estimates = table.set_index("parameter")["estimate"].to_dict()
        of_decay = decay.get(extras["decay"])
        found = FittedCovariance.from_estimates(estimates, covariances.get(g), of_decay)
        if found is not None:
            fitted[g] = found
    return fitted


def _say(message: str) -> None:
    tqdm.write(f"spatgmm fit: {message}", file=sys.stderr)


def _csv(path: Path, table: pd.DataFrame) -> Path:
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    return path


def _json(path: Path, values: dict[str, Any]) -> Path:
    def plain(value):
        if isinstance(value, np.generic):
            value = value.item()
        # JSON knows no NaN.
        return None if isinstance(value, float) and not math.isfinite(value) else value

    text = json.dumps({name: plain(value) for name, value in values.items()}, indent=2)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def _picture(path: Path, figure: Figure) -> Path:
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
    plt.close(figure)
    return path


def _components(text: str) -> range:
    first, colon, last = text.partition(":")
    if not first.isdecimal() or (colon and not last.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor a range such as 2:5")
    low, high = int(first), int(last or first)
    if not 1 <= low <= high:
        raise argparse.ArgumentTypeError(f"{text!r} must rise from at least 1")
    return range(low, high + 1)


def _decays(text: str) -> list[str]:
    names = decay.names() if text == "auto" else text.split(",")
    try:
        return [decay.get(name).name for name in names]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)

"""One fit, one row: maps are drawn or read, a method clusters them, the outcome is measured.

Whatever a method does, the result is a row: it may fail, and the batch goes on.
"""

from __future__ import annotations

import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from spatgmm import methods, simulate
from spatgmm.common import agreement
from spatgmm.data import Dataset


class ReplicateError(RuntimeError):
    """A replicate could not even be tried, or was stopped from outside; no method is to blame.

    Parameters
    ----------
    message : str
    replicate : int
    """

    def __init__(self, message: str, replicate: int) -> None:
        super().__init__(message)
        self.replicate = replicate


def source(
    case: str, simulated: bool, settings: Mapping[str, Any], root_seed: int, path: Path
) -> Callable[[int], Dataset]:
    """Where a case's maps come from, by replicate.

    Parameters
    ----------
    case : str
    simulated : bool
        Whether to draw them; else they are read.
    settings : mapping
        The scenario.
    root_seed : int
    path : Path
        Where the maps are that are not drawn.
    """
    if simulated:
        scenario = simulate.Scenario.from_config(case, settings)
        return lambda replicate: simulate.draw(scenario, replicate, root_seed)
    data = Dataset.load(path)
    return lambda replicate: data


def fit_rows(
    draw: Callable[[int], Dataset],
    replicates: Iterable[int],
    *,
    case: str,
    method: str,
    plugin: str,
    parameters: Mapping[str, Any],
    n_components: int | None = None,
    root_seed: int,
    keep_labels: bool,
    started: Callable[[dict[str, Any]], None] = lambda row: None,
) -> Iterator[dict[str, Any]]:
    """Rows of results, one per replicate.

    Parameters
    ----------
    draw : callable
        Maps by replicate, see :func:`source`.
    replicates : iterable of int
    case, method : str
        Ids; with the root seed and the replicate they seed the method's randomness.
    plugin : str
        The method's plug-in.
    parameters : mapping
        Those to change from the plug-in's defaults.
    n_components : int or None
        Number of components to fit; None: as many as there are true groups.
    root_seed : int
    keep_labels : bool
        Whether rows hold the labels: of drawn maps, which nobody keeps, they say nothing.
    started : callable
        Gets the columns known before a fit, right before it.

    Yields
    ------
    dict
        Columns by name.

    Raises
    ------
    ReplicateError
        If the maps cannot be had; the message names case, method and replicate.
    """
    fitted = methods.get(plugin)
    for replicate in replicates:
        entropy = [root_seed, simulate.stable_hash(case), replicate, simulate.stable_hash(method)]
        rng = np.random.default_rng(np.random.SeedSequence(entropy))
        try:
            data = draw(replicate)
            number = n_components or len(data.label_names)
        except Exception as error:
            message = f"case {case}, replicate {replicate}: {error}"
            raise ReplicateError(message, replicate) from error
        row = {
            "case": case,
            "method": method,
            "plugin": plugin,
            "replicate": replicate,
            "n": data.X.shape[0],
            "p": data.X.shape[1],
            "n_components": number,
        }
        started(row)
        outcome, matched_labels = _outcome(fitted, data, number, rng, parameters)
        yield row | outcome | ({"labels": matched_labels} if keep_labels else {})


def _outcome(
    method: methods.Method,
    data: Dataset,
    n_components: int,
    rng: np.random.Generator,
    parameters: Mapping[str, Any],
) -> tuple[dict[str, Any], np.ndarray | None]:
    """What to report of a fit, and its labels renumbered to the true groups."""
    reset_peak_memory()
    start = time.perf_counter()
    result, reason = None, None
    try:
        reason = method.supports(data, n_components)
        if reason is None:
            start = time.perf_counter()
            result = method.fit(data, n_components, rng, **parameters)
        status, error = ("ok", None) if result else ("unsupported", reason)
    except Exception as failure:
        traceback.print_exc()
        status, error = "failed", f"{type(failure).__name__}: {failure}"
    outcome = {
        "status": status,
        "error": error,
        "seconds": time.perf_counter() - start,
        "peak_memory_mb": peak_memory_mb(),
    }
    if result is None:
        return outcome, None
    matched = agreement.match(data.labels, result.labels, n_components)
    return outcome | _measures(result, data, matched), matched[result.labels]


def _measures(result: methods.FitResult, data: Dataset, matched: np.ndarray) -> dict[str, Any]:
    measures = {
        "ari": agreement.ari(data.labels, result.labels),
        "accuracy": agreement.accuracy(data.labels, result.labels),
        "log_likelihood": result.log_likelihood,
        "n_parameters": result.n_parameters,
        "n_iter": result.n_iter,
        "converged": result.converged,
    }
    if result.log_likelihood is not None and result.n_parameters is not None:
        penalty = result.n_parameters * np.log(len(data.X))
        measures["bic"] = -2 * result.log_likelihood + penalty
    extras = dict(result.extras)
    parameters = extras.pop("parameters", None)
    # Numbers are floats whatever the method made of them, so that batches fit together.
    measures |= {
        f"extra.{name}": float(value) if isinstance(value, Real | np.bool_) else value
        for name, value in extras.items()
    }
    if parameters is not None:
        for row in agreement.relabel_parameters(parameters, matched).itertuples():
            for kind in ("estimate", "std_error", "lower", "upper"):
                name = f"{kind}.{row.component}.{row.parameter}"
                measures[name] = float(getattr(row, kind))
    return measures


def reset_peak_memory() -> None:
    """Let the next :func:`peak_memory_mb` count from now, where the system can (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        warnings.warn("peak memory is that of the whole batch here", stacklevel=2)


def peak_memory_mb() -> float:
    """Peak resident memory of this process, in MB (10^6 bytes)."""
    try:
        status = Path("/proc/self/status").read_text()
        kilobytes = next(line.split()[1] for line in status.splitlines() if "VmHWM" in line)
        return int(kilobytes) * 1024 / 1e6
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024) / 1e6

"""One fit, one row: maps are drawn or read, a method clusters them, the outcome is measured.

Whatever a method does, the result is a row: it may fail, and the batch goes on.
"""

from __future__ import annotations

import errno
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatgmm import methods
from spatgmm.common import agreement, r
from spatgmm.data import Dataset
from spatgmm.study import cases, rows

if TYPE_CHECKING:
    from spatgmm.study.design import Case, Variant


#: Of the system's errors, those that may not be there another time: no room on a disk, no memory,
#: no process or file to be had, a disk or a network that does not answer.
_SURROUNDINGS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM, errno.EAGAIN),
    *(errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE, errno.ETIMEDOUT),
}


def fit_rows(
    case: Case,
    variant: Variant,
    replicates: Iterable[int],
    *,
    root_seed: int,
    results: Path,
    started: Callable[[dict[str, Any]], None] = lambda row: None,
) -> Iterator[dict[str, Any]]:
    """Rows of results, one per replicate.

    Labels are kept of data sets, and of the first replicate of drawn maps, which outputs show.

    Parameters
    ----------
    case : Case
    variant : Variant
    replicates : iterable of int
    root_seed : int
    results : Path
        The run's folder, where the maps are that are not drawn.
    started : callable
        Gets the columns known before a fit, right before it.

    Yields
    ------
    dict
        Columns by name.

    Raises
    ------
    RuntimeError
        If the maps cannot be had; the message names case and replicate.
    """
    method = methods.get(variant.plugin)
    draw = cases.maps(case, root_seed, results)
    for replicate in replicates:
        try:
            data = draw(replicate)
            n_components = variant.n_components or len(data.label_names)
        except Exception as error:
            message = f"case {case.id}, replicate {replicate}: {error}"
            raise RuntimeError(message) from error
        row = {
            "case": case.id,
            "scenario": case.scenario,
            "method": variant.id,
            "plugin": variant.plugin,
            "replicate": replicate,
            "n": data.X.shape[0],
            "p": data.X.shape[1],
            "n_components": n_components,
        }
        started(row)
        rng = cases.generator(case, variant, replicate, root_seed)
        outcome, labels = _outcome(method, data, n_components, rng, variant.parameters)
        kept = not case.simulated or replicate == 0
        yield row | outcome | ({"labels": labels} if kept else {})


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
    result, disturbed = None, False
    try:
        error = method.supports(data, n_components)
        if error is None:
            start = time.perf_counter()
            result = method.fit(data, n_components, rng, **parameters)
        else:
            disturbed = r.missing(method.requires) is not None
        status = rows.OK if result else rows.UNSUPPORTED
    except Exception as failure:
        traceback.print_exc()
        status, error = rows.FAILED, f"{type(failure).__name__}: {failure}"
        disturbed = _by_surroundings(failure)
    outcome = {
        "status": status,
        "error": error,
        "disturbed": disturbed,
        "seconds": time.perf_counter() - start,
        "peak_memory_mb": peak_memory_mb(),
    }
    if result is None:
        return outcome, None
    matched = agreement.match(data.labels, result.labels, n_components)
    return outcome | _measures(result, data, matched), matched[result.labels]


def _by_surroundings(error: BaseException | None) -> bool:
    """Whether an error, or one behind it, says nothing about data or code."""
    while error is not None:
        if isinstance(error, MemoryError | ImportError | r.Unavailable):
            return True
        if isinstance(error, OSError) and error.errno in _SURROUNDINGS:
            return True
        error = error.__cause__ or error.__context__
    return False


def _measures(result: methods.FitResult, data: Dataset, matched: np.ndarray) -> dict[str, Any]:
    # Labels that a method was told are no findings of its own.
    found = slice(None) if data.known_labels is None else data.known_labels < 0
    measures = {
        "ari": agreement.ari(data.labels[found], result.labels[found]),
        "accuracy": agreement.accuracy(data.labels[found], result.labels[found]),
        "log_likelihood": result.log_likelihood,
        "n_parameters": result.n_parameters,
        "n_iter": result.n_iter,
        "converged": result.converged,
    }
    if result.log_likelihood is not None and result.n_parameters is not None:
        # Here, since it comes with scikit-learn: half of a job's start, and some methods need none.
        from spatgmm.common.base import bic

        measures["bic"] = bic(result.log_likelihood, result.n_parameters, len(data.X))
    extras = dict(result.extras)
    parameters, covariances = extras.pop("parameters", None), extras.pop("covariances", {})
    # Numbers are floats whatever the method made of them, so that batches fit together.
    measures |= {
        rows.extra(name): float(value) if isinstance(value, Real | np.bool_) else value
        for name, value in extras.items()
    }
    if parameters is not None:
        parameters = agreement.relabel_parameters(parameters, matched)
        covariances = {matched[g]: matrix for g, matrix in covariances.items()}
        measures |= rows.of_estimates(parameters, covariances)
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

"""The search of ``spatgmm fit``: which decays are tried, and what is said of the one it took."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from spatgmm import methods
from spatgmm.cli._output import outlies
from spatgmm.covariance import decay, metric
from spatgmm.covariance import space as spaces
from spatgmm.covariance.fitted import FittedCovariance
from spatgmm.covariance.geometry import scaled_distances
from spatgmm.data import Dataset
from spatgmm.fitting import engine
from spatgmm.fitting.options import AUTO, OPTIONS
from spatgmm.plot import curves

#: The decay of the paper.
SIGMOID = OPTIONS["decay"].default

#: Seconds between two signs of life where there is no terminal.
_EVERY = 30.0

#: Free means that are noise alone raise twice the log-likelihood like a chi-square with as many
#: degrees of freedom: so many of its standard deviations above its mean is more than chance.
_BEYOND_CHANCE = 3.0


def decays(
    wanted: str | Sequence[str], method: methods.Method, data: Dataset
) -> list[str] | list[None]:
    """The decays to try; ``auto`` leaves out those that are no covariance on so large maps."""
    if wanted != AUTO:
        return list(wanted)
    if "decay" not in method.declared:
        return [None]
    allowed = method.declared["decay"].rule
    return [name for name in decay.candidates(data.n_locations) if allowed.allows(name)]


def likelihood(
    options: dict[str, Any], names: Sequence[str], method: methods.Method, data: Dataset
) -> dict[str, str]:
    """One likelihood for fits with all of these decays, as BIC compares no others.

    Nothing where the method has no choice of it.
    """
    if "likelihood" not in method.declared:
        return {}
    of_metric = options.get("metric", OPTIONS["metric"].default)
    complete = not np.isnan(data.X).any()
    there = ~np.isnan(data.X).all(axis=0).reshape(-1, data.n_variables)
    seen = data.coordinates[there.any(axis=1)]
    alike = options.get("variance", OPTIONS["variance"].default) == OPTIONS["variance"].default
    space = spaces.of(
        options.get("space", OPTIONS["space"].default), options.get("period"), seen.shape[1]
    )
    metrics = metric.names(seen.shape[1], space) if of_metric == AUTO else [of_metric]
    chosen = engine.for_all(
        {
            engine.automatic(seen, decay.get(name), metric.get(one), complete, alike, space)
            for name in names
            for one in metrics
        }
    )
    return {"likelihood": chosen} if method.declared["likelihood"].rule.allows(chosen) else {}


def fitted(extras: dict[str, Any]) -> dict[int, FittedCovariance]:
    """Covariances by component, of those that the method gives all estimates for."""
    if "decay" not in extras or extras.get("parameters") is None:
        return {}
    covariances, found = extras.get("covariances", {}), {}
    for g, table in extras["parameters"].groupby("component"):
        estimates = table.set_index("parameter")["estimate"].to_dict()
        of_decay = decay.get(extras["decay"])
        one = FittedCovariance.from_estimates(estimates, covariances.get(g), of_decay)
        if one is not None:
            found[g] = one
    return found


def usual(result: methods.FitResult) -> np.ndarray:
    """The cluster of each map, -1 for maps that are more likely outliers than not."""
    probability = result.outlier_probability
    return (
        result.labels if probability is None else np.where(outlies(probability), -1, result.labels)
    )


def misfit(data: Dataset, result: methods.FitResult) -> float:
    """How far empirical correlations lie from the fitted curves, root mean square; NaN for none."""
    pooled, labels = curves.pooled(data, usual(result))
    small = curves.thinned(pooled)
    delta = scaled_distances(small.coordinates)
    gaps = []
    for g, covariance in fitted(result.extras).items():
        members = small.X[labels == g]
        if len(members) > 1:
            gaps.append(curves.misfit(covariance, curves.empirical(members, delta)))
    return float(np.mean(gaps)) if gaps else np.nan


def told(data: Dataset, fits: list[dict[str, Any]], best: dict[str, Any]) -> list[str]:
    """Which decay was taken, what the paper's would have given, and how well curves meet points."""
    taken = best["row"].get("decay")
    if taken is None:
        return []
    gap = misfit(data, best["result"])
    meets = f"empirical correlations lie {gap:.3f} from its curves (root mean square)"
    rivals = [fit for fit in fits if fit["row"]["n_components"] == best["row"]["n_components"]]
    if len(rivals) == 1:
        return [f"decay {taken}: {meets}"]
    first = f"decay {taken}, the lowest BIC of {len(rivals)} decays: {meets}"
    paper = next((fit for fit in rivals if fit["row"]["decay"] == SIGMOID), None)
    if paper is None or paper is best:
        return [first + ("; it is the paper's" if paper is best else "")]
    above = paper["row"]["bic"] - best["row"]["bic"]
    return [
        first,
        f"the paper's {SIGMOID} would give a BIC {above:.1f} higher; empirical correlations lie "
        f"{misfit(data, paper['result']):.3f} from its curves",
    ]


def hint(
    table: pd.DataFrame, best: dict[str, Any], options: dict[str, Any], n: float, p: int
) -> str | None:
    """Whether BIC may have seen too few components since each has a free mean of its own.

    A further component costs ``p log n`` for its mean.  Where it raises the likelihood by more than
    noise in a mean would, but by less than that, components may differ in covariance alone.
    """
    if options.get("mean", OPTIONS["mean"].default) != "free" or "decay" not in best:
        return None
    highest = table.groupby("n_components")["log_likelihood"].max()
    G = best["n_components"]
    if G + 1 not in highest.index:
        return None
    gain = 2 * (highest[G + 1] - highest[G])
    # Weight and covariance have about five parameters, whose price is not in question.
    if gain <= p + _BEYOND_CHANCE * np.sqrt(2 * p) + 5 * np.log(n):
        return None
    return (
        f"BIC takes {G} components, but {G + 1} raise the log-likelihood by {gain / 2:.0f}, more "
        f"than chance: a free mean of {p} values for each may be what is too dear. Try --mean "
        "constant, or --mean auto"
    )


@contextmanager
def signs_of_life(what: str, say) -> Iterator[None]:
    """A line now and then while a fit is at work, where no terminal shows a bar."""
    if sys.stderr.isatty():
        yield
        return
    ended, start = threading.Event(), time.monotonic()

    def tell() -> None:
        while not ended.wait(_EVERY):
            say(f"{what}: at work for {time.monotonic() - start:.0f} s")

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

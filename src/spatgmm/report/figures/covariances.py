"""Figure 4: true, fitted and baseline covariance matrices side by side."""

from __future__ import annotations

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from spatgmm.covariance.geometry import scaled_distances
from spatgmm.data import Dataset
from spatgmm.plot.colours import DIVERGING, group_colour
from spatgmm.report import labels
from spatgmm.report.figures import style
from spatgmm.report.figures.drawing import Drawing
from spatgmm.report.results import Results, succeeded
from spatgmm.report.words import listing, number
from spatgmm.study.rows import FAILED, OK

_ACROSS = 5

#: Beyond this loss of log-likelihood a matrix is as good as singular.
_MOST = 1000


def build(results: Results, *studies: str) -> Drawing:
    """A row per component, a column per covariance."""
    case, fits = _case(results, studies)
    p = results.dataset(case).X.shape[1]
    return Drawing(
        lambda: _draw(results, case, fits),
        _finding(results, case, fits),
        (f"Scenario {labels.case(results, case)}, {p} locations, replicate 0.",),
    )


def _finding(results: Results, case: str, fits: pd.DataFrame) -> str:
    data = results.dataset(case)
    truth = _truth(data)
    lost = [divergence(Xi, best_separable(Xi, data.shape)) for Xi in truth]
    apart = [divergence(a, b) for a, b in zip(truth, truth[1:] + truth[:1], strict=True)]
    text = (
        "Log-likelihood units lost per map against the truth, component by component: even the "
        f"best separable covariance loses {_nats(lost)}, where taking one component for the other "
        f"costs {_nats(apart)}"
    )
    names = labels.methods(results, fits)
    for method, matrices in _fitted(results, fits, data).items():
        lost = [divergence(truth[g], matrix) for g, matrix in matrices.items()]
        text += f"; {names[method]} loses {_nats(lost)}"
    return text + "."


def _draw(results: Results, case: str, fits: pd.DataFrame):
    data = results.dataset(case)
    truth = _truth(data)
    names = labels.methods(results, fits)
    cells = {"Truth": dict(enumerate(truth))}
    cells["Row ⊗ column at best"] = {
        g: best_separable(Xi, data.shape) for g, Xi in enumerate(truth)
    }
    for method, matrices in _fitted(results, fits, data).items():
        cells[names[method]] = matrices
    for method, matrices in _clusters(results, fits, data).items():
        cells[f"{names[method]} (clusters)"] = matrices
    for method in fits.loc[fits["status"] == FAILED, "method"]:
        cells[names[method]] = {}

    components, blocks = len(truth), -(-len(cells) // _ACROSS)
    across = -(-len(cells) // blocks)
    figure, axes = plt.subplots(
        blocks * components,
        across,
        figsize=(0.6 + (style.PAGE - 0.6) * across / _ACROSS, blocks * (1.4 * components + 0.25)),
        squeeze=False,
    )
    limit = max(float(Xi.max()) for Xi in truth)
    for ax in axes.ravel():
        ax.axis("off")
    image = None
    for index, (title, matrices) in enumerate(cells.items()):
        block, column = divmod(index, across)
        for g in range(components):
            ax = axes[block * components + g, column]
            ax.axis("on")
            ax.set(xticks=[], yticks=[])
            if g == 0:
                ax.set_title("\n".join(textwrap.wrap(title, 22)))
            if column == 0:
                ax.set_ylabel(f"component {g + 1}", color=group_colour(g))
            if g not in matrices:
                reason = "empty\ncluster" if matrices else "fit failed"
                ax.text(0.5, 0.5, reason, ha="center", va="center", fontsize=6)
                ax.set_aspect("equal")
                continue
            image = ax.imshow(
                matrices[g],
                cmap=DIVERGING,
                vmin=-limit,
                vmax=limit,
                interpolation="nearest",
            )
            if index:
                ax.set_xlabel(_distances(truth[g], matrices[g]), labelpad=2)
    bar = figure.colorbar(image, ax=axes, pad=0.01, aspect=30, fraction=0.03, shrink=0.6)
    bar.set_label("covariance")
    bar.outline.set_linewidth(0.4)
    return figure


def best_separable(Xi: np.ndarray, shape: tuple[int, int], tol: float = 1e-10) -> np.ndarray:
    """The ``U ⊗ V`` under which data of covariance `Xi` are likeliest, by the flip-flop algorithm.

    Parameters
    ----------
    Xi : ndarray of shape (r*c, r*c)
        Positive definite.
    shape : tuple of int
        Rows r and columns c of the grid.
    tol : float
        Relative change of the matrix at which to stop.

    References
    ----------
    Dutilleul (1999), "The MLE algorithm for the matrix normal distribution", Journal of
    Statistical Computation and Simulation 64.
    """
    r, c = shape
    tensor = Xi.reshape(r, c, r, c)
    V, best = np.eye(c), np.zeros_like(Xi)
    while True:
        U = np.einsum("icjd,dc->ij", tensor, np.linalg.inv(V)) / c
        V = np.einsum("icjd,ji->cd", tensor, np.linalg.inv(U)) / r
        before, best = best, np.kron(U, V)
        if np.linalg.norm(best - before) <= tol * np.linalg.norm(best):
            return best


def divergence(truth: np.ndarray, matrix: np.ndarray) -> float:
    """Expected log-likelihood lost per map of covariance `truth` if `matrix` is believed.

    The Kullback-Leibler divergence of centred normal distributions; infinite where `matrix` is
    not positive definite.
    """
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return np.inf
    ratio = np.linalg.solve(matrix, truth)
    return 0.5 * float(np.trace(ratio) - len(truth) - np.linalg.slogdet(ratio)[1])


def _case(results: Results, studies: tuple[str, ...]) -> tuple[str, pd.DataFrame]:
    """The first case on a grid of rows and columns, and its fits of replicate 0."""
    for study in studies:
        for case, _ in results.design.studies[study]:
            known = results.design.cases[case]
            if known.simulated and len(results.dataset(case).shape or ()) == 2:
                fits = results.of(study, replicate=0)
                return case, fits[fits["case"] == case]
    raise ValueError("no simulated case is on a grid of rows and columns")


def _truth(data: Dataset) -> list[np.ndarray]:
    return [data.truth.covariance(g, data.coordinates) for g in range(len(data.truth.beta))]


def _fitted(results: Results, fits, data: Dataset) -> dict[str, dict[int, np.ndarray]]:
    """Spatial covariances as the fits of the run report them, by method and component."""
    delta = scaled_distances(data.coordinates)
    ok = succeeded(fits)
    found = {}
    for method in results.spatial_methods(ok):
        row = ok[ok["method"] == method].iloc[0]
        covariances = results.fitted(row)
        found[method] = {g: fitted.matrix(delta) for g, fitted in covariances.items()}
    return found


def _clusters(results: Results, fits, data: Dataset) -> dict[str, dict[int, np.ndarray]]:
    """Sample covariances of the clusters of other methods that model a covariance."""
    ok = fits[(fits["status"] == OK) & fits["n_parameters"].notna()]
    spatial = results.spatial_methods(ok)
    found = {}
    for row in ok[~ok["method"].isin(spatial) & ok["labels"].notna()].itertuples():
        clusters = np.asarray(row.labels, dtype=int)
        found[row.method] = {
            g: np.cov(data.X[clusters == g], rowvar=False)
            for g in range(len(data.truth.beta))
            if (clusters == g).sum() > 1
        }
    return found


def _distances(truth: np.ndarray, matrix: np.ndarray) -> str:
    """Relative error in Frobenius norm, and log-likelihood lost per map where it is finite."""
    text = f"error {number(np.linalg.norm(matrix - truth) / np.linalg.norm(truth), 2)}"
    lost = divergence(truth, matrix)
    if np.isinf(lost):
        return f"{text}, singular"
    return f"{text}, loss {number(lost, 1) if lost < _MOST else f'> {_MOST}'}"


def _nats(values: list[float]) -> str:
    return listing(["infinitely many" if np.isinf(v) else number(v, 1) for v in values])

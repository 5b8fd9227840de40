"""Figure 6: maps, clusters and fitted correlation of real data, by dose or other groups."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from spatgmm.covariance.geometry import MAX_DISTANCE
from spatgmm.data import Dataset
from spatgmm.plot import curves, images
from spatgmm.plot.colours import DIVERGING, SEQUENTIAL, group_colour
from spatgmm.report import labels
from spatgmm.report.figures import style
from spatgmm.report.figures.drawing import Drawing
from spatgmm.report.results import Results, shown_labels
from spatgmm.report.words import STAND_IN, listing, number
from spatgmm.study.rows import extra

#: Example maps drawn per data set, shared by its groups.
_MAPS = 4


def build(results: Results, *studies: str) -> Drawing:
    """A row per data set: maps, clusters in raw and centred data, correlation by distance."""
    fits = results.of(*studies)
    families = _families(results, fits)
    stand_ins = [_title(*pair) for pair in families if results.is_stand_in(pair[0])]
    return Drawing(
        lambda: _draw(results, fits, families),
        _finding(results, fits, families),
        (f"{listing(stand_ins)}: {STAND_IN}, simulated and not measured.",) if stand_ins else (),
    )


def _finding(results: Results, fits: pd.DataFrame, families: list[tuple]) -> str:
    """How the fall of correlation with distance differs between groups."""
    parts = []
    for case, _ in families:
        row = results.spatial_fit(fits[fits["case"] == case])
        name = labels.case(results, case)
        if row is None:
            parts.append(f"{name}: no spatial covariance was fitted")
            continue
        data = results.dataset(case)
        fitted = results.fitted(row)
        at = np.array([curves.nearest(data), MAX_DISTANCE / 2])
        falls = []
        for g, covariance in fitted.items():
            near, far = covariance.correlation(at)
            falls.append(f"{data.label_names[g]} {number(near, 2)} to {number(far, 2)}")
        parts.append(f"{name} (ARI {number(row['ari'], 2)}): {listing(falls)}")
    return (
        "The fitted correlation falls from nearest neighbours to half the largest distance: "
        + "; ".join(parts)
        + "."
    )


def _draw(results: Results, fits: pd.DataFrame, families: list[tuple]):
    figure = plt.figure(figsize=(style.PAGE, 1.75 * len(families)))
    rows = figure.subfigures(len(families), 1, squeeze=False)[:, 0]
    for row, (case, other) in zip(rows, families, strict=True):
        data = results.dataset(case)
        left, middle, after, right = row.subfigures(1, 4, width_ratios=[1.4, 1, 1, 1.4])
        title = _title(case, other)
        if results.is_stand_in(case):
            title += f" ({STAND_IN})"
        if data.n_variables > 1:
            title += f": {data.names_of_variables[0]}, the first of {data.n_variables} variables"
        row.suptitle(title, fontweight="bold", fontsize=7.5, x=0.01, ha="left")
        # Maps of the first of several variables.
        _draw_maps(left, data.of_variables()[0], labels.values(results, case))
        for shown in filter(None, (case, other)):
            _draw_confusion(after if results.is_centred(shown) else middle, results, fits, shown)
        ax = right.subplots()
        chosen = results.spatial_fit(fits[fits["case"] == case])
        if chosen is None:
            ax.axis("off")
            ax.text(0.5, 0.5, "no spatial covariance\nwas fitted", ha="center", va="center")
            continue
        fitted = results.fitted(chosen)
        unit = labels.distance_unit(results, case)
        other = results.beside(fits, chosen)
        beside = None if other is None else results.fitted(other)
        curves.draw(ax, *curves.pooled(data, shown_labels(data, chosen)), fitted, unit, beside)
        if other is not None:
            ax.set_title(f"dash-dotted: {other[extra('decay')]} (BIC)")
    return figure


def _title(case: str, other: str | None) -> str:
    """What the ids of a data set's variants have in common: film-raw, film-centred -> film."""
    pairs = zip(case.split("-"), (other or case).split("-"), strict=False)
    return "-".join(first for first, second in pairs if first == second) or case


def _draw_maps(panel, data: Dataset, unit: str) -> None:
    """A few maps of each group, groups told apart by the colour of name and frame."""
    groups = len(data.label_names)
    each = max(1, _MAPS // groups)
    shown = [(g, i) for g in range(groups) for i in np.flatnonzero(data.labels == g)[:each]]
    across = each if each > 1 else -(-len(shown) // 2)
    axes = panel.subplots(-(-len(shown) // across), across, squeeze=False).ravel()
    values = data.X[[i for _, i in shown]]
    low, high = np.percentile(values, [1, 99])
    # Values on both sides of zero, and not just a few frosts.
    signed = low < -high / 3 < 0
    if signed:
        low, high = -max(-low, high), max(-low, high)
    artist, place = None, images.layout(data.coordinates, data.shape)
    for ax, (g, i) in zip(axes, shown, strict=False):
        artist = images.draw(
            ax,
            data.X[i],
            place,
            cmap=DIVERGING if signed else SEQUENTIAL,
            vmin=low,
            vmax=high,
        )
        for spine in ax.spines.values():
            spine.set(visible=True, edgecolor=group_colour(g), linewidth=1)
        if i == shown[[s[0] for s in shown].index(g)][1]:
            ax.set_title(data.label_names[g], color=group_colour(g), fontsize=6.5, pad=2)
    for ax in axes[len(shown) :]:
        ax.axis("off")
    bar = panel.colorbar(artist, ax=list(axes), pad=0.02, aspect=14, extend="both")
    bar.ax.tick_params(labelsize=5.5)
    bar.set_label(unit, fontsize=6)
    bar.outline.set_linewidth(0.4)


def _draw_confusion(panel, results: Results, fits, case: str) -> None:
    row = results.spatial_fit(fits[fits["case"] == case])
    if row is None or row["labels"] is None:
        return
    ax = panel.subplots()
    data = results.dataset(case)
    groups = len(data.label_names)
    counts = np.zeros((groups, groups), dtype=int)
    np.add.at(counts, (data.labels, np.asarray(row["labels"], dtype=int)), 1)
    share = counts / counts.sum(axis=1, keepdims=True)
    ax.imshow(share, cmap="Greys", vmin=0, vmax=1.25)
    for g in range(groups):
        for k in range(groups):
            colour = "white" if share[g, k] > 0.6 else "black"
            ax.text(k, g, counts[g, k], ha="center", va="center", color=colour, fontsize=6)
    names = [name.removesuffix(" dose").removeprefix("dose ") for name in data.label_names]
    ax.set(
        xticks=range(groups),
        xticklabels=range(1, groups + 1),
        yticks=range(groups),
        yticklabels=names,
        xlabel="cluster",
        ylabel="true group",
    )
    kind = "centred" if results.is_centred(case) else "raw"
    ax.set_title(f"{kind}: ARI {number(row['ari'], 2)}")


def _families(results: Results, fits: pd.DataFrame) -> list[tuple[str, str | None]]:
    """(case to show, its centred counterpart or None) of every data set."""
    variants: dict[tuple, dict[bool, str]] = {}
    for case in fits["case"].unique():
        kinds = variants.setdefault(results.family(case), {})
        kinds.setdefault(results.is_centred(case), case)
    return [
        (kinds[False], kinds.get(True)) if False in kinds else (kinds[True], None)
        for kinds in variants.values()
    ]

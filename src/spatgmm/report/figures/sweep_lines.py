"""Figure 11: ARI along one swept parameter, a line per method, a panel per value of another."""

from __future__ import annotations

from spatgmm.report import labels
from spatgmm.report.figures.drawing import Drawing
from spatgmm.report.figures.looks import looks
from spatgmm.report.figures.sweep_panels import Panels, frame, notes, panels, ticks
from spatgmm.report.results import Results
from spatgmm.report.words import listing, number

#: Panels side by side.
_MOST_COLUMNS = 6


def build(results: Results, study: str) -> Drawing:
    """A panel per value of the second key, a row of them per value of further ones."""
    arranged = panels(results, study)
    left_out = arranged.cells[arranged.y].nunique() - _MOST_COLUMNS if arranged.y else 0
    return Drawing(lambda: _draw(results, arranged), _finding(arranged), notes(arranged, left_out))


def _finding(arranged: Panels) -> str:
    """Which way each method's mean goes along the first parameter."""
    ok = arranged.cells[arranged.cells["n_ok"] > 0]
    ways = []
    for method, label in arranged.methods.items():
        along = ok[ok["method"] == method].groupby(arranged.x, sort=False)["mean_ari"].mean()
        if len(along):
            ways.append(f"{label} {number(along.iloc[0], 2)} to {number(along.iloc[-1], 2)}")
    if not ways:
        return "Every fit failed."
    ends = [labels.value(value) for value in (ok[arranged.x].iloc[0], ok[arranged.x].iloc[-1])]
    return (
        f"From {labels.key(arranged.x)} = {ends[0]} to {ends[1]}, over all else that is varied, "
        f"mean ARI goes from {listing(ways)}."
    )


def _draw(results: Results, arranged: Panels):
    columns = list(dict.fromkeys(arranged.cells[arranged.y])) if arranged.y else [""]
    columns = columns[:_MOST_COLUMNS]
    titles = [""]
    if arranged.y:
        titles = [labels.point(arranged.y, value) for value in columns]
    figure, axes = frame(arranged, titles, "ARI", (0.9, 1.6))
    shown_as = looks(results.design.methods.values())
    xs = list(dict.fromkeys(arranged.cells[arranged.x]))
    for row, (_, cells) in zip(axes, arranged.rows, strict=True):
        for ax, value in zip(row, columns, strict=True):
            shown = cells[cells[arranged.y] == value] if arranged.y else cells
            _draw_methods(ax, shown, xs, arranged.x, arranged.methods, shown_as)
    handles, shown = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, shown, loc="outside upper center", ncols=min(5, len(shown)))
    return figure


def _draw_methods(ax, cells, xs, x: str, names: dict[str, str], shown_as: dict) -> None:
    ax.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    for method, label in names.items():
        block, look = cells[cells["method"] == method], shown_as[method]
        ax.errorbar(
            [xs.index(value) for value in block[x]],
            block["mean_ari"],
            yerr=1.96 * block["se_ari"].fillna(0),
            label=label,
            color=look.colour,
            marker=look.marker,
            linestyle=look.line,
            markerfacecolor="white" if look.hollow else look.colour,
            markersize=3,
            linewidth=1,
            capsize=1.5,
        )
    ticks(ax.xaxis, xs)
    ax.set_ylim(top=1.05)

"""Figure 11: ARI along one swept parameter, a line per method, a panel per value of another."""

from __future__ import annotations

from spatgmm.report.figures import style
from spatgmm.report.figures.sweep_panels import frame, panels, ticks, told
from spatgmm.report.results import Results
from spatgmm.report.tables import sweep
from spatgmm.report.tables.table import listing, number

#: Panels side by side.
_MOST_COLUMNS = 6


def caption(results: Results) -> str:
    arranged = panels(results)
    text = f"Sweep: mean ARI along {sweep.name(arranged.x)} by method, with 95 % intervals (bars)."
    if arranged.y:
        text += f" Columns of panels: {sweep.name(arranged.y)}."
        left_out = len(dict.fromkeys(arranged.cells[arranged.y])) - _MOST_COLUMNS
        if left_out > 0:
            text += f" {left_out} further values are in Table 10 only."
    return text + told(arranged)


def finding(results: Results) -> str:
    """Which way each method's mean goes along the first parameter."""
    arranged = panels(results)
    ok = arranged.cells[arranged.cells["n_ok"] > 0]
    told = []
    for method, label in arranged.labels.items():
        along = ok[ok["method"] == method].groupby(arranged.x, sort=False)["mean_ari"].mean()
        if len(along):
            told.append(f"{label} {number(along.iloc[0], 2)} to {number(along.iloc[-1], 2)}")
    if not told:
        return "Every fit failed."
    ends = [sweep.shown(value) for value in (ok[arranged.x].iloc[0], ok[arranged.x].iloc[-1])]
    return (
        f"From {sweep.name(arranged.x)} = {ends[0]} to {ends[1]}, over all else that is varied, "
        f"mean ARI goes from {listing(told)}."
    )


def draw(results: Results):
    arranged = panels(results)
    columns = list(dict.fromkeys(arranged.cells[arranged.y])) if arranged.y else [""]
    columns = columns[:_MOST_COLUMNS]
    titles = [""]
    if arranged.y:
        titles = [f"{sweep.name(arranged.y)}\n= {sweep.shown(value)}" for value in columns]
    figure, axes = frame(arranged, titles, "ARI", (0.6, 1.5))
    xs = list(dict.fromkeys(arranged.cells[arranged.x]))
    for row, (_, cells) in zip(axes, arranged.rows, strict=True):
        for ax, value in zip(row, columns, strict=True):
            shown = cells[cells[arranged.y] == value] if arranged.y else cells
            _draw_methods(ax, shown, xs, arranged.x, arranged.labels, results)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(5, len(labels)))
    return figure


def _draw_methods(ax, cells, xs, x: str, labels, results: Results) -> None:
    ax.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    for method, label in labels.items():
        block = cells[cells["method"] == method]
        ax.errorbar(
            [xs.index(value) for value in block[x]],
            block["mean_ari"],
            yerr=1.96 * block["se_ari"].fillna(0),
            label=label,
            color=style.method_colour(results.design.methods[method].plugin),
            marker=style.method_marker(method),
            markersize=3,
            linewidth=1,
            capsize=1.5,
        )
    ticks(ax.xaxis, xs)
    ax.set_ylim(top=1.05)

"""Figure 3: ARI of every fit, by method and scenario."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from spatgmm.report import labels
from spatgmm.report.figures import method_rows, style
from spatgmm.report.figures.drawing import Drawing
from spatgmm.report.figures.looks import Look, looks
from spatgmm.report.results import Results, counts, mean_and_error
from spatgmm.report.words import listing, percent
from spatgmm.study.rows import OK, UNSUPPORTED

#: From here on a method is said to find the groups.
_FOUND = 0.5


def build(results: Results, study: str) -> Drawing:
    """A panel per scenario, a row per method."""
    fits = results.of(study)
    names = labels.methods(results, fits)
    return Drawing(lambda: _draw(results, fits, names), _finding(results, fits, names))


def _finding(results: Results, fits: pd.DataFrame, names: dict[str, str]) -> str:
    """How often each method finds the groups at all."""
    ok = results.competing(fits)
    if ok.empty:
        return "Every fit failed."
    share = (ok["ari"] > _FOUND).groupby(ok["method"]).mean()
    finders = [f"{name} in {percent(share[m])}" for m, name in names.items() if share.get(m, 0) > 0]
    never = [name for m, name in names.items() if share.get(m, 1) == 0]
    sentences = []
    if finders:
        sentences.append(f"ARI is above {_FOUND} for {listing(finders)} of all fits")
    if never:
        sentences.append(f"it never is for {listing(never)}")
    failed = int((~fits["status"].isin([OK, UNSUPPORTED])).sum())
    return "; ".join(sentences) + f". {failed} of {len(fits)} fits failed."


def _draw(results: Results, fits: pd.DataFrame, names: dict[str, str]):
    cases = list(dict.fromkeys(fits["case"]))
    columns = min(3, len(cases))
    rows = -(-len(cases) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(style.PAGE, rows * (0.75 + 0.19 * len(names))),
        sharey=True,
        sharex=True,
        squeeze=False,
    )
    controls, shown_as = results.controls(fits), looks(results.design.methods.values())
    rng = np.random.default_rng(0)  # jitter only
    for index, (ax, case) in enumerate(zip(axes.ravel(), cases, strict=False)):
        group = fits[fits["case"] == case]
        best, _ = mean_and_error(
            group.loc[group["method"].isin(controls) & (group["status"] == OK), "ari"]
        )
        if np.isfinite(best):
            ax.axvline(best, color="0.3", linestyle="--", linewidth=0.8, zorder=0)
        ax.axvline(0, color="0.85", linewidth=0.8, zorder=0)
        for y, method in enumerate(names):
            _draw_method(ax, y, group[group["method"] == method], shown_as[method], rng)
        style.title(ax, labels.case(results, case))
        style.letter(ax, index)
    shown = [ax for ax in axes.ravel()[: len(cases)]]
    for ax in axes.ravel()[len(cases) :]:
        ax.axis("off")
    for index, ax in enumerate(shown):
        if index + columns >= len(cases):
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("ARI")
    low = min(-0.12, float(fits["ari"].min()) - 0.05) if fits["ari"].notna().any() else -0.12
    axes[0, 0].set_xlim(low, 1.05)
    method_rows.label(axes[0, 0], list(names.values()))
    return figure


def _draw_method(ax, y: int, group, look: Look, rng) -> None:
    ended = counts(group)
    ari = group.loc[group["status"] == OK, "ari"].to_numpy(dtype=float)
    if len(ari):
        mean, error = mean_and_error(ari)
        reach = 1.96 * error if np.isfinite(error) else 0.0
        summary = (mean - reach, mean, mean + reach)
        method_rows.draw(ax, y, ari, summary, look, rng)
    if ended["n_failed"]:
        note = f"{ended['n_failed']} of {len(group)} failed"
    elif ended["n_unsupported"]:
        note = "not applicable"
    else:
        return
    # Beside the dots of a method that did well there is room on the left, else on the right.
    left = len(ari) > 0 and np.median(ari) > 0.5
    ax.annotate(
        note,
        (0.02 if left else 0.98, y),
        xycoords=("axes fraction", "data"),
        ha="left" if left else "right",
        va="center",
        fontsize=5.5,
        color="0.35",
        zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
    )

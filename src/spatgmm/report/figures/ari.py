"""Figure 3: ARI of every fit, by method and scenario."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from spatgmm.report.figures import method_rows, style
from spatgmm.report.results import Results, counts, mean_and_error
from spatgmm.report.tables import comparison
from spatgmm.report.tables.table import listing

#: From here on a method is said to find the groups.
_FOUND = 0.5


def caption(results: Results) -> str:
    return (
        "ARI by method and scenario: every replicate (dots), mean with 95 % interval (bar), and "
        "the best possible mean, by the true parameters (dashed line). Notes count the fits that "
        "failed and mark methods that do not apply."
    )


def finding(results: Results) -> str:
    """How often each method finds the groups at all."""
    fits = results.of(comparison.STUDY)
    labels = results.method_labels(fits)
    ok = results.competing(fits)
    if ok.empty:
        return "Every fit failed."
    share = (ok["ari"] > _FOUND).groupby(ok["method"]).mean()
    finders = [f"{labels[m]} in {100 * share[m]:.0f} %" for m in labels if share.get(m, 0) > 0]
    never = [labels[m] for m in labels if share.get(m, 1) == 0]
    sentences = []
    if finders:
        sentences.append(f"ARI is above {_FOUND} for {listing(finders)} of all fits")
    if never:
        sentences.append(f"it never is for {listing(never)}")
    failed = int((~fits["status"].isin(["ok", "unsupported"])).sum())
    return "; ".join(sentences) + f". {failed} of {len(fits)} fits failed."


def draw(results: Results):
    fits = results.of(comparison.STUDY)
    labels = results.method_labels(fits)
    cases = list(dict.fromkeys(fits["case"]))
    columns = min(3, len(cases))
    rows = -(-len(cases) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(style.PAGE, rows * (0.75 + 0.19 * len(labels))),
        sharey=True,
        sharex=True,
        squeeze=False,
    )
    controls = results.controls(fits)
    rng = np.random.default_rng(0)  # jitter only
    for index, (ax, case) in enumerate(zip(axes.ravel(), cases, strict=False)):
        group = fits[fits["case"] == case]
        best, _ = mean_and_error(
            group.loc[group["method"].isin(controls) & (group["status"] == "ok"), "ari"]
        )
        if np.isfinite(best):
            ax.axvline(best, color="0.3", linestyle="--", linewidth=0.8, zorder=0)
        ax.axvline(0, color="0.85", linewidth=0.8, zorder=0)
        for y, method in enumerate(labels):
            _draw_method(ax, y, group[group["method"] == method], method, results, rng)
        ax.set_title(results.design.cases[case].source)
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
    method_rows.label(axes[0, 0], labels)
    return figure


def _draw_method(ax, y: int, group, method: str, results: Results, rng) -> None:
    ended = counts(group)
    ari = group.loc[group["status"] == "ok", "ari"].to_numpy(dtype=float)
    if len(ari):
        mean, error = mean_and_error(ari)
        reach = 1.96 * error if np.isfinite(error) else 0.0
        summary = (mean - reach, mean, mean + reach)
        method_rows.draw(ax, y, ari, summary, method, results, rng)
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

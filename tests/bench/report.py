"""What `make bench` leaves behind: CSV files, one Markdown file, one plot."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy
from measure import Measurement
from tabulate import tabulate
from threadpoolctl import threadpool_info

from spatgmm.common.files import atomic_path
from spatgmm.plot.colours import group_colour
from spatgmm.report.figures import style


def line(measurement: Measurement) -> list[str]:
    """A measurement as cells of a table."""
    m = measurement
    target = f"{m.bound} {_number(m.target)}" if m.bound else ""
    return [m.part, m.what, f"{_number(m.value)} {m.unit}".strip(), target, m.verdict, m.note]


def machine() -> str:
    """What it was measured on."""
    names = {
        f"{info['internal_api']} {info['version']}"
        for info in threadpool_info()
        if info["user_api"] == "blas"
    }
    processors = Path("/proc/cpuinfo")
    model = platform.processor() or platform.machine()
    if processors.is_file():
        lines = processors.read_text().splitlines()
        model = next((li.partition(": ")[2] for li in lines if li.startswith("model name")), model)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{model}, {cores} core{'s' * (cores != 1)}; load average {os.getloadavg()[0]:.1f} at the "
        f"start; Python {platform.python_version()}, numpy {np.__version__}, "
        f"scipy {scipy.__version__}, {', '.join(sorted(names))}."
    )


def write(
    name: str,
    measured_on: str,
    measurements: list[Measurement],
    tables: dict[str, pd.DataFrame],
    directory: Path,
) -> None:
    """``<name>.csv`` with all measurements, a CSV per table, ``<name>.md`` with everything."""
    directory.mkdir(parents=True, exist_ok=True)
    rows = [asdict(m) | {"verdict": m.verdict} for m in measurements]
    header = ["part", "what", "value", "target", "", "note"]
    cells = [line(m) for m in measurements]
    parts = [measured_on, tabulate(cells, header, tablefmt="pipe", disable_numparse=True)]
    _save(directory / f"{name}.csv", pd.DataFrame(rows).to_csv(index=False))
    for title, table in tables.items():
        _save(directory / f"{title}.csv", table.to_csv(index=False))
        parts += [f"## {title}", tabulate(table, "keys", tablefmt="pipe", showindex=False)]
    _save(directory / f"{name}.md", "\n\n".join(parts) + "\n")


def plot_growth(times: pd.DataFrame, slopes: list[Measurement], directory: Path) -> None:
    """Seconds by n, p and G, both axes logarithmic; slopes in the legends."""
    style.apply()
    names = list(times["series"].unique())
    figure, axes = plt.subplots(2, -(-len(names) // 2), figsize=(style.PAGE, 5), sharey=True)
    slope_of = {m.what: m.value for m in slopes}
    for index, (name, panel) in enumerate(zip(names, axes.ravel(), strict=True)):
        shown = times[times["series"] == name]
        axis = shown["axis"].iloc[0]
        for number, (what, group) in enumerate(shown.groupby("what", sort=False)):
            slope = next(
                v for k, v in slope_of.items() if k.startswith(f"{what}: power of {axis},")
            )
            panel.loglog(
                group[axis],
                group["seconds"],
                marker="osD"[number],
                markersize=3,
                color=group_colour(number),
                label=f"{what}: {axis}$^{{{slope:.2f}}}$",
            )
        others = ", ".join(f"{o} = {shown[o].iloc[0]}" for o in ("n", "p", "G") if o != axis)
        sizes = sorted(shown[axis].unique())
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.minorticks_off()
        panel.set_xlabel(f"{axis}   ({others})")
        panel.legend(loc="upper left")
        style.letter(panel, index)
    for panel in axes[:, 0]:
        panel.set_ylabel("seconds, one core")
    low, high = axes[0, 0].get_ylim()
    axes[0, 0].set_ylim(low, high * 30)  # room for the legends
    style.save(figure, "growth", directory)


def _number(value: float) -> str:
    if np.isnan(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _save(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")

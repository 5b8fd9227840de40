"""Benchmarks: ratios measured side by side in one run, each with its target.

``make bench`` runs everything on one core, but for what compares numbers of BLAS threads;
``make bench-large`` fits large images, on all cores; ``make bench-scale`` plans large studies and
aggregates their rows; ``make bench-calibration`` counts how often tests and checks err, on all
cores.
Results go to ``results/bench/``.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path

import blas_threads
import calibration
import comparisons
import growth
import iterations
import large
import report
import scale
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="large images only (minutes)")
    parser.add_argument("--scale", action="store_true", help="large studies only (minutes)")
    parser.add_argument(
        "--calibration", action="store_true", help="errors of tests only (an hour on two cores)"
    )
    parser.add_argument("--out", type=Path, default=Path("results/bench"), help="results folder")
    arguments = parser.parse_args()
    # Whether each fit converged is beside the point here.
    warnings.simplefilter("ignore", ConvergenceWarning)
    if arguments.large:
        measured_on = report.machine()
        measurements = _show(large.run())
        report.write("large", measured_on, measurements, {}, arguments.out)
        return
    if arguments.scale:
        measured_on = report.machine()
        report.write("scale", measured_on, _show(scale.run()), {}, arguments.out)
        return
    if arguments.calibration:
        measured_on = report.machine()
        measurements, tables = calibration.run()
        report.write("calibration", measured_on, _show(measurements), tables, arguments.out)
        return
    threads = blas_threads.run()
    print(threads.to_string(index=False), flush=True)
    _use_one_core()
    measured_on = report.machine()
    print(measured_on)
    of_fits, fits = comparisons.run()
    measurements = _show(of_fits)
    measurements += _show(iterations.against_unavoidable_calls())
    measurements += _show(iterations.standard_errors())
    slopes, times = growth.run()
    measurements += _show(slopes)
    measurements += _show(growth.parsimonious_search(times))
    measurements += _show(growth.memory())
    tables = {"fits": fits, "times": times, "threads": threads}
    report.write("bench", measured_on, measurements, tables, arguments.out)
    report.plot_growth(times, slopes, arguments.out)
    missed = sum(m.verdict == "missed" for m in measurements)
    met = sum(m.verdict == "met" for m in measurements)
    print(f"{met} targets met, {missed} missed; see {arguments.out}")


def _use_one_core() -> None:
    """This process and those it starts: one core, one thread."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # for R's BLAS, which is loaded later, and for new processes
    threadpool_limits(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _show(measurements):
    for measurement in measurements:
        part, what, value, target, verdict, _ = report.line(measurement)
        print(f"{part}: {what}: {value}{f'   ({target}: {verdict})' if target else ''}", flush=True)
    return measurements


if __name__ == "__main__":
    main()

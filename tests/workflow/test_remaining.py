"""The time left, in simulated runs of the paper's study: right within a factor of two."""

import heapq
import itertools
from pathlib import Path

import numpy as np
import pytest

from spatgmm import study
from spatgmm.study.config import read
from spatgmm.study.design import Batch
from spatgmm.study.remaining import Remaining

#: Seconds of a fit by method on drawn maps, and on data sets, as measured on the paper's study.
SECONDS = {
    "random": (0.0005, 0.0005),
    "truth": (0.003, 0.003),
    "kmeans": (0.006, 0.01),
    "copo": (0.01, 0.02),
    "gmm-diag": (0.012, 0.03),
    "gmm-full": (0.025, 0.14),
    "scoring-single": (0.09, 0.5),
    "gls-single": (0.4, 1.0),
    "mclust-hc": (0.2, 0.5),
    "mmn": (0.3, 0.6),
    "spatgmm": (0.07, 0.6),
    "mclust": (0.4, 13.0),
    "spatgmm-se": (0.14, 1.3),
    "pgmm": (0.7, 1.4),
    "spatgmm-gls": (0.35, 8.0),
    "haralick": (0.1, 0.1),
    "spatgmm-auto": (0.5, 10.0),
    "spatgmm-bic": (2.0, 20.0),
    "spatgmm-axes": (0.7, 2.0),
    "spatgmm-rotated": (1.0, 3.0),
}

#: How many times longer fits of so many components take, where there are two groups.
LONGER = {1: 0.5, 2: 1, 3: 40, 4: 60}


@pytest.fixture(scope="module")
def design():
    config = read(Path(__file__).parents[2] / "config/paper.yaml")
    return study.prepare(config, values=False)[1]


def run(design, jobs, cores, rng, speed=1.0):
    """Time and estimate at the end of each job."""
    now, queue, running = [0.0], list(jobs), []
    remaining = Remaining(design, queue, lambda: now[0], at_once=cores)
    numbers, said = itertools.count(), [(0.0, remaining.seconds())]
    while queue or running:
        begun = queue[: cores - len(running)]
        del queue[: len(begun)]
        remaining.started(begun)
        for job in begun:
            seconds = {batch: seconds_of(design, batch, rng) / speed for batch in job}
            end = now[0] + 1.5 + sum(seconds.values())
            heapq.heappush(running, (end, next(numbers), job, seconds))
        now[0], _, *finished = heapq.heappop(running)
        remaining.finished(*finished)
        said.append((now[0], remaining.seconds()))
    return np.array(said)


def seconds_of(design, batch, rng):
    case, variant = design.cases[batch.case], design.methods[batch.method]
    usual = SECONDS[variant.base_method][not case.simulated] * LONGER[variant.n_components or 2]
    return len(batch) * usual * np.exp(rng.normal(scale=0.3))


def wrong_by(said, frm, until=0.9):
    """The largest factor by which estimates are wrong from a time on, until little is left."""
    end = said[-1, 0]
    at, left = said[(said[:, 0] >= frm) & (said[:, 0] < until * end)].T
    ratio = left / (end - at)
    return max(ratio.max(), 1 / ratio.min())


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("order", ["as configured", "longest first", "any"])
def test_the_first_estimate_and_all_later_ones_are_right_within_a_factor_of_two(
    design, cores, order
):
    rng = np.random.default_rng(cores)
    jobs = design.jobs()
    if order == "any":
        jobs = [jobs[k] for k in rng.permutation(len(jobs))]
    elif order == "longest first":
        lengths = Remaining(design, jobs).lengths()
        jobs.sort(key=lambda job: -lengths[job])
    # In any order, which no run has, a long job may come last.
    until = 0.8 if order == "any" else 0.9
    assert wrong_by(run(design, jobs, cores, rng), 0, until) < 2


@pytest.mark.parametrize("speed", [0.3, 3])
def test_a_slow_or_quick_machine_is_noticed_within_the_run(design, speed):
    rng = np.random.default_rng(1)
    jobs = design.jobs()
    jobs = [jobs[k] for k in rng.permutation(len(jobs))]
    said = run(design, jobs, 2, rng, speed)
    assert wrong_by(said, 0) < 4
    assert wrong_by(said, 0.1 * said[-1, 0]) < 2


def job_of(design, case, method):
    """A job with all replicates of one case by one method."""
    return (Batch(case, method, 0, design.replicates()[case, method] - 1),)


def test_a_long_first_job_says_little_about_other_methods(design):
    jobs = [(batch,) for batch in design.batches()]
    now = [0.0]
    remaining = Remaining(design, jobs, lambda: now[0])
    before = remaining.seconds()
    slow = job_of(design, "climate-raw", "spatgmm-se")
    remaining.started([slow])
    now[0] = 61.5
    remaining.finished(slow, {slow[0]: 60.0})
    assert remaining.seconds() < 5 * before


def test_quick_and_slow_batches_of_a_job_are_told_apart(design):
    now = [0.0]
    slow, quick = (Batch("grid", method, 0, 49) for method in ("pgmm", "kmeans"))
    later = [(Batch("grid", batch.method, 50, 99),) for batch in (slow, quick)]
    remaining = Remaining(design, [(slow, quick), *later], lambda: now[0])
    remaining.started([(slow, quick)])
    now[0] = 62.0
    remaining.finished((slow, quick), {slow: 59.0, quick: 1.0})
    lengths = remaining.lengths()
    assert lengths[later[0]] > 10 * lengths[later[1]]


def test_rows_of_an_earlier_run_take_no_time(design):
    now = [0.0]
    job = job_of(design, "grid", "spatgmm")
    other = job_of(design, "means", "spatgmm")
    remaining = Remaining(design, [job, other], lambda: now[0])
    for one in (job, other):
        remaining.started([one])
        now[0] += 2
        remaining.finished(one, {one[0]: 3600.0})
    assert remaining.seconds() == 0


def test_a_job_that_came_to_nothing_is_still_to_be_done(design):
    now = [0.0]
    job = job_of(design, "grid", "pgmm")
    remaining = Remaining(design, [job], lambda: now[0])
    before = remaining.seconds()
    remaining.started([job])
    now[0] = 10.0
    assert remaining.seconds() < before
    remaining.stopped(job)
    now[0] = 20.0
    assert remaining.seconds() == pytest.approx(before, rel=0.5)


def test_larger_maps_are_expected_to_take_longer():
    config = read(Path(__file__).parents[2] / "config/scale.yaml")
    design = study.prepare(config, values=False)[1]
    now = [0.0]
    growing = [
        job_of(design, id, "spatgmm-vecchia")
        for id, case in design.cases.items()
        if case.scenario == "growing"
    ]
    remaining = Remaining(design, growing, lambda: now[0])
    lengths = remaining.lengths()
    sizes = {
        job: np.prod(design.cases[job[0].case].settings["locations"]["grid"]) for job in growing
    }
    smallest, largest = min(sizes, key=sizes.get), max(sizes, key=sizes.get)
    assert lengths[largest] > 20 * lengths[smallest]
    # The first sizes tell of the others: seconds in proportion to the pixels.
    for job in sorted(growing, key=sizes.get)[:3]:
        remaining.started([job])
        seconds = {batch: len(batch) * 6e-4 * sizes[job] for batch in job}
        now[0] += sum(seconds.values())
        remaining.finished(job, seconds)
    last = 3 * 6e-4 * sizes[largest]
    assert last / 3 < remaining.lengths()[largest] < 3 * last

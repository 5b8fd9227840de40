"""The time left, in simulated runs of the paper's study: right within a factor of two."""

import heapq
import itertools
from pathlib import Path

import numpy as np
import pytest

from spatgmm import study
from spatgmm.study.config import read
from spatgmm.study.remaining import Remaining

#: Seconds of a fit by method on a drawn grid, and how much longer it takes elsewhere.
SECONDS = {
    "random": 0.001,
    "truth": 0.005,
    "kmeans": 0.02,
    "copo": 0.02,
    "gmm-diag": 0.02,
    "gmm-full": 0.03,
    "scoring-single": 0.05,
    "gls-single": 0.1,
    "mclust-hc": 0.1,
    "mmn": 0.15,
    "spatgmm": 0.2,
    "mclust": 0.25,
    "spatgmm-se": 0.25,
    "pgmm": 0.5,
    "spatgmm-gls": 0.5,
    "spatgmm-axes": 0.5,
    "spatgmm-rotated": 0.6,
}
LONGER = {"recovery": 1.5, "climate": 30, "film": 8, "texture": 8, "raman": 8}


@pytest.fixture(scope="module")
def design():
    config = read(Path(__file__).parents[2] / "config/paper.yaml")
    return study.prepare(config, values=False)[1]


def run(design, batches, cores, rng, speed=1.0):
    """Time and estimate at the end of each batch."""
    now, queue, running, said = [0.0], list(batches), [], []
    remaining, numbers = Remaining(design, queue, lambda: now[0]), itertools.count()
    while queue or running:
        begun = queue[: cores - len(running)]
        del queue[: len(begun)]
        remaining.started(begun)
        for batch in begun:
            case, method = design.cases[batch.case], design.methods[batch.method].base_method
            usual = SECONDS[method] * LONGER.get(case.scenario.partition("-")[0], 1)
            fits = batch.last - batch.first + 1
            seconds = fits * usual * np.exp(rng.normal(scale=0.3)) / speed
            heapq.heappush(running, (now[0] + 1.5 + seconds, next(numbers), batch, seconds, fits))
        now[0], _, *finished = heapq.heappop(running)
        remaining.finished(*finished)
        said.append((now[0], remaining.seconds()))
    return np.array(said)


def wrong_by(said, frm):
    """The largest factor by which estimates are wrong from a time on, until little is left."""
    end = said[-1, 0]
    at, left = said[(said[:, 0] >= frm) & (said[:, 0] < 0.9 * end)].T
    ratio = left / (end - at)
    return max(ratio.max(), 1 / ratio.min())


@pytest.mark.parametrize("cores", [1, 2, 8])
@pytest.mark.parametrize("order", ["as configured", "real data first", "any"])
def test_the_first_estimate_and_all_later_ones_are_right_within_a_factor_of_two(
    design, cores, order
):
    rng = np.random.default_rng(cores)
    batches = list(design.batches())
    if order == "any":
        batches = [batches[k] for k in rng.permutation(len(batches))]
    elif order == "real data first":
        batches.sort(key=lambda batch: design.cases[batch.case].simulated)
    assert wrong_by(run(design, batches, cores, rng), 0) < 2


@pytest.mark.parametrize("speed", [0.3, 3])
def test_a_slow_or_quick_machine_is_noticed_within_the_run(design, speed):
    rng = np.random.default_rng(1)
    batches = list(design.batches())
    batches = [batches[k] for k in rng.permutation(len(batches))]
    said = run(design, batches, 2, rng, speed)
    assert wrong_by(said, 0) < 4
    assert wrong_by(said, 0.1 * said[-1, 0]) < 2


def test_a_long_first_batch_says_little_about_other_methods(design):
    batches = list(design.batches())
    now = [0.0]
    remaining = Remaining(design, batches, lambda: now[0])
    before = remaining.seconds()
    slow = next(b for b in batches if b.case == "climate-raw" and b.method == "spatgmm-se")
    remaining.started([slow])
    now[0] = 61.5
    remaining.finished(slow, 60.0, 1)
    assert remaining.seconds() < 5 * before


def test_rows_of_an_earlier_run_take_no_time(design):
    now = [0.0]
    batches = [b for b in design.batches() if b.case == "grid" and b.method == "spatgmm"]
    remaining = Remaining(design, [*batches, *batches], lambda: now[0])
    for batch in batches:
        remaining.started([batch])
        now[0] += 2
        remaining.finished(batch, 3600.0, 100)
    assert remaining.seconds() == 0


def test_a_batch_that_came_to_nothing_is_still_to_be_done(design):
    now = [0.0]
    batch = next(b for b in design.batches() if b.case == "grid" and b.method == "pgmm")
    remaining = Remaining(design, [batch], lambda: now[0])
    before = remaining.seconds()
    remaining.started([batch])
    now[0] = 10.0
    assert remaining.seconds() < before
    remaining.stopped(batch)
    now[0] = 20.0
    assert remaining.seconds() == pytest.approx(before, rel=0.5)

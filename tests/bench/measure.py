"""Times taken side by side, memory in a process of its own, and what was asked for."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: Seconds after which a function is not timed again in a further round.
_BUDGET = 10.0


@dataclass
class Measurement:
    """A number, and the target it has if it has one.

    Attributes
    ----------
    part, what : str
        Where it belongs and what it is.
    value : float
        NaN where it could not be measured.
    unit : str
    bound : {"", "at most", "at least"}
    target : float
        NaN where there is none.
    note : str
    """

    part: str
    what: str
    value: float
    unit: str = ""
    bound: str = ""
    target: float = np.nan
    note: str = ""

    @property
    def verdict(self) -> str:
        """``"met"``, ``"missed"`` or, without a target, nothing."""
        if not self.bound:
            return ""
        met = self.value <= self.target if self.bound == "at most" else self.value >= self.target
        return "met" if met else "missed"


def side_by_side(functions: dict[str, Callable[[], object]], rounds: int = 3) -> dict[str, float]:
    """The best time of each function, in seconds.

    Functions take turns, so that a change in what else the machine does hits all of them alike;
    the best of several rounds is the one least disturbed.

    Parameters
    ----------
    functions : dict
        Functions without arguments, by name.
    rounds : int
        Slow functions are run in fewer.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            if sum(seconds[name]) < _BUDGET:
                start = time.perf_counter()
                function()
                seconds[name].append(time.perf_counter() - start)
    return {name: min(times) for name, times in seconds.items()}


def in_a_fresh_process(
    X: np.ndarray, shape: tuple[int, ...], n_components: int
) -> dict[str, float]:
    """A default fit in a process of its own.

    Returns
    -------
    dict
        seconds, peak_mb (of the process), growth_mb (of the peak over the process with only the
        data loaded), log_likelihood, n_iter; NaN for all if the process did not survive.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "maps.npy"
        np.save(path, X)
        command = [sys.executable, str(Path(__file__).with_name("fresh.py")), str(path)]
        command += [str(n_components), *map(str, shape)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(f"the process ended with code {done.returncode}", file=sys.stderr)
        names = ("seconds", "peak_mb", "growth_mb", "log_likelihood", "n_iter")
        return dict.fromkeys(names, np.nan)
    return json.loads(done.stdout)

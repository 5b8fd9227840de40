"""Times taken side by side, memory in a process of its own, and what was asked for."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

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
    X: np.ndarray,
    coordinates: tuple[int, ...] | np.ndarray,
    n_components: int,
    options: Mapping[str, Any] = MappingProxyType({}),
    errors: bool = False,
) -> dict[str, Any]:
    """A fit in a process of its own.

    Parameters
    ----------
    X : ndarray of shape (n, p) or of images
    coordinates : tuple of int or ndarray of shape (p, d)
    n_components : int
    options : mapping
        Of the estimator.
    errors : bool
        Whether standard errors belong to it.

    Returns
    -------
    dict
        seconds, peak_mb (of the process), growth_mb (of the peak over the process with only the
        data loaded), log_likelihood, n_iter, likelihood, labels.

    Raises
    ------
    CalledProcessError
        If the process did not survive.
    """
    told = json.dumps({"n_components": n_components, "errors": errors, **options})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "maps.npz"
        np.savez(path, X=X, coordinates=coordinates)
        command = [sys.executable, str(Path(__file__).with_name("fresh.py")), str(path), told]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)

"""Shared by the tests of the model: the plain version of it, and the peer's reference data."""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

REFERENCE = Path(__file__).parents[1] / "reference"


def _beside(name):
    """The module of that name beside this file (test folders are not packages)."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def plain():
    """``plain.py``: the model and the paper's algorithm, written plainly."""
    return _beside("plain")


@pytest.fixture(scope="session")
def fuzz():
    """``fuzz.py``: random data sets, and what their fits must be."""
    return _beside("fuzz")


@pytest.fixture(scope="session")
def reference():
    """Reference data by name, with the peer's fit from the start at the true labels."""

    @cache
    def load(name):
        def read(kind, **how):
            return np.loadtxt(REFERENCE / f"{name}_{kind}.csv", delimiter=",", **how)

        labels = read("z", dtype=int)
        n, G = len(labels), labels.max() + 1
        start = np.full((n, G), 0.1 / (G - 1))
        start[np.arange(n), labels] = 0.9
        fits = pd.read_csv(REFERENCE / "spatmix_fits.csv")
        row = fits.query("data == @name and start == 'truth' and beta_start == 4").iloc[0]
        alpha = np.array([[float(a) for a in g.split()] for g in row["alpha"].split("|")])
        # The peer's J has a zero diagonal: its third coefficient is the variance a1 + a3.
        alpha[:, 2] -= alpha[:, 0]
        return SimpleNamespace(
            X=read("X"),
            coordinates=read("coords", ndmin=2),
            labels=labels,
            start=start,
            n_components=G,
            peer_log_likelihood=row["log_likelihood"],
            peer_alpha=alpha,
            peer_beta=np.array(str(row["beta"]).split(), dtype=float),
        )

    return load

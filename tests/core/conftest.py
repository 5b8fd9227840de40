"""Shared by the tests of the model: the plain version of it, and the peer's reference data."""

import importlib.util
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="session")
def plain():
    """The module ``plain.py`` beside this file (test folders are not packages)."""
    spec = importlib.util.spec_from_file_location("plain", Path(__file__).with_name("plain.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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

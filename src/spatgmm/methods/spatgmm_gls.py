"""SpatGMM by the paper's own algorithm: EM with one GLS step and a 1-D search for beta."""

from __future__ import annotations

import numpy as np

from spatgmm.data import Dataset
from spatgmm.methods import FitResult, _spatgmm

LABEL = "SpatGMM, GLS"
SECONDS = 0.3
USES = _spatgmm.USES
DEFAULTS = _spatgmm.PAPER


def fit(data: Dataset, n_components: int, rng: np.random.Generator, **parameters) -> FitResult:
    return _spatgmm.fit(data, n_components, rng, solver="gls", **parameters)

"""One fit in this process; prints its time and memory as JSON.

``python fresh.py MAPS.npz OPTIONS``: an archive of maps ``X`` and ``coordinates`` (or the shape of
a grid), and a JSON mapping of the estimator's options, with ``errors`` whether to compute standard
errors as well.
"""

import json
import sys
import time
import warnings

import numpy as np

from spatgmm import SpatialGaussianMixture
from spatgmm.study.fit import peak_memory_mb, reset_peak_memory

path, text = sys.argv[1:]
options = json.loads(text)
errors = options.pop("errors")
warnings.simplefilter("ignore")
# What libraries set up at their first use is not the fit's.
SpatialGaussianMixture(2, random_state=0).fit(np.random.default_rng(0).normal(size=(40, 9)))
with np.load(path) as file:
    X, coordinates = file["X"], file["coordinates"]
coordinates = tuple(coordinates.tolist()) if coordinates.ndim == 1 else coordinates
reset_peak_memory()
before = peak_memory_mb()
start = time.perf_counter()
model = SpatialGaussianMixture(coordinates=coordinates, random_state=0, **options).fit(X)
if errors:
    model.standard_errors(X)
seconds = time.perf_counter() - start
peak = peak_memory_mb()
print(
    json.dumps(
        {
            "seconds": seconds,
            "peak_mb": peak,
            "growth_mb": peak - before,
            "log_likelihood": model.log_likelihood_,
            "n_iter": model.n_iter_,
            "likelihood": model.likelihood_,
            "labels": model.labels_.tolist(),
        }
    )
)

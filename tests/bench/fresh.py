"""One default fit in this process; prints its time and memory as JSON.

``python fresh.py MAPS.npy COMPONENTS SIZE [SIZE ...]``, sizes being those of the grid.
"""

import json
import sys
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from spatgmm import SpatialGaussianMixture
from spatgmm.study.fit import peak_memory_mb, reset_peak_memory

path, n_components, *shape = sys.argv[1:]
shape = tuple(map(int, shape))
warnings.simplefilter("ignore", ConvergenceWarning)
# What libraries set up at their first use is not the fit's.
SpatialGaussianMixture(2, random_state=0).fit(np.random.default_rng(0).normal(size=(40, 9)))
X = np.load(path)
reset_peak_memory()
before = peak_memory_mb()
start = time.perf_counter()
model = SpatialGaussianMixture(int(n_components), coordinates=shape, random_state=0).fit(X)
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
        }
    )
)

# %% [markdown]
# # Several variables at each location
#
# A weather station has a temperature and a humidity, a pixel of an image has channels. The model
# then has a covariance in space, by distance, and one between the variables, the same at all
# places: `Xi (x) Psi`, four parameters and `q (q + 1) / 2 - 1` more.
#
# ## The data
#
# Months at 30 stations, with temperature, humidity and wind, drawn so that we know the answer. In
# both kinds of months each variable has the same mean, the same variance and the same correlation
# by distance; what differs is how temperature and humidity go together.

# %%
import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score

from spatgmm import SpatialGaussianMixture, plot

os.chdir(tempfile.mkdtemp())  # the files of this page, in a folder of their own

rng = np.random.default_rng(1)
names = ["temperature", "humidity", "wind"]
stations = rng.uniform(0, 300, size=(30, 2))  # km
in_space = 0.8 * np.exp(-cdist(stations, stations) / 60) + 0.2 * np.eye(30)
between = [
    np.array([[1, -0.6, 0.2], [-0.6, 1, 0.1], [0.2, 0.1, 1]]),
    np.array([[1, 0.4, 0.2], [0.4, 1, 0.1], [0.2, 0.1, 1]]),
]
truth = np.repeat([0, 1], 50)
covariances = [np.kron(in_space, psi) for psi in between]
maps = np.array([rng.multivariate_normal(np.zeros(90), covariances[g]) for g in truth])
maps = maps.reshape(100, 30, 3)  # maps, stations, variables

# %% [markdown]
# ## The fit
#
# Variables are the last axis. Each variable alone does not tell the months apart, all three do:

# %%
options = {"coordinates": stations, "decay": "exponential", "mean": "constant", "random_state": 0}
for v, name in enumerate(names):
    alone = SpatialGaussianMixture(2, **options).fit(maps[:, :, v])
    print(f"{name} alone: ARI {adjusted_rand_score(truth, alone.labels_):.2f}")
model = SpatialGaussianMixture(2, n_variables=3, **options).fit(maps)
print(f"all three: ARI {adjusted_rand_score(truth, model.labels_):.2f}")

# %% [markdown]
# Why: the covariances between the variables, one matrix for each cluster. Their mean diagonal is
# 1, and `alpha_` has the scale.

# %%
for psi in model.variable_covariances_:
    print(pd.DataFrame(psi, names, names).round(2), end="\n\n")

# %% [markdown]
# With standard errors, `psi[1,0]` being that of humidity and temperature:

# %%
table = model.standard_errors(maps)
table[table["parameter"].str.startswith("psi")].round(3)

# %% [markdown]
# ## How variables go together: full, diagonal, factor
#
# `"full"` is any covariance, `"diagonal"` none between different variables, `"factor"` a few common
# factors, for many variables. BIC says which:

# %%
tried = {
    "full": {},
    "diagonal": {"variables": "diagonal"},
    "one factor": {"variables": "factor", "n_factors": 1},
}
for name, choice in tried.items():
    one = SpatialGaussianMixture(2, n_variables=3, **choice, **options).fit(maps)
    print(f"{name}: {one.n_parameters_} parameters, BIC {one.bic(maps):.0f}")

# %% [markdown]
# Without covariances between variables nothing is left that differs, and BIC is far worse.
#
# ## Pictures, gaps, files
#
# One panel for each variable; here the correlation by distance, which they have in common:

# %%
figure, axis = plt.subplots(figsize=(5, 3.6), layout="constrained")
plot.correlogram(model, maps, ax=axis)
plt.show()

# %% [markdown]
# A variable may be missing where others are not; `impute` fills it in from all of them:

# %%
gaps = maps.copy()
gaps[rng.random(gaps.shape) < 0.1] = np.nan
with_gaps = SpatialGaussianMixture(2, n_variables=3, missing="em", **options).fit(gaps)
print(f"ARI {adjusted_rand_score(truth, with_gaps.labels_):.2f}")
error = (with_gaps.impute(gaps) - maps)[np.isnan(gaps)]
print(f"imputed values are off by {error.std():.2f}, where all have a standard deviation of 1")

# %% [markdown]
# On the command line variables stand beside each other (`--variables 3`), or in a long table with
# a column `variable`:

# %%
rows = [
    (i, *stations[j], name, maps[i, j, v])
    for i in range(100)
    for j in range(30)
    for v, name in enumerate(names)
]
pd.DataFrame(rows, columns=["map", "x", "y", "variable", "value"]).to_csv("long.csv", index=False)

# %% language="bash"
# spatgmm fit long.csv --components 2 --mean constant --decay exponential --out fit > said.txt
# tail -n 1 said.txt | fold -s -w 95

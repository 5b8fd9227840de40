# %% [markdown]
# # Your own maps
#
# From a file of maps to clusters, standard errors, diagnostics and figures: first by the command
# line, then in Python.
#
# ## The data
#
# Maps come as one row each, or as a stack of images. Here: 120 maps of some property at 60 sites,
# drawn so that we know the answer. Half of them vary over short distances, half over long ones;
# every site has the same mean and the same variance in both.

# %%
import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

import spatgmm
from spatgmm import SpatialGaussianMixture, plot, select

os.chdir(tempfile.mkdtemp())  # the files of this page, in a folder of their own

rng = np.random.default_rng(4)
sites = rng.uniform(0, 100, size=(60, 2))  # km
truth = np.repeat([0, 1], 60)
distance = cdist(sites, sites)
covariances = [0.8 * np.exp(-distance / reach) + 0.2 * np.eye(60) for reach in (8, 40)]
maps = np.array([rng.multivariate_normal(np.full(60, 15.0), covariances[g]) for g in truth])

pd.DataFrame(maps).to_csv("maps.csv", index=False)
pd.DataFrame(sites, columns=["x", "y"]).to_csv("sites.csv", index=False)

# %% [markdown]
# ## By the command line
#
# Two files in, a folder out. Every decay is fitted, and BIC chooses.

# %% language="bash"
# spatgmm fit maps.csv --coordinates sites.csv --components 2 --mean constant \
#     --out fit > said.txt 2> progress.txt
# tail -n 3 said.txt | fold -s -w 95

# %% [markdown]
# `bic.csv` has every fit, the first is the one that was taken:

# %%
pd.read_csv("fit/bic.csv").sort_values("bic")[["decay", "log_likelihood", "bic", "icl"]]

# %% [markdown]
# `report.html` is a page to look at first: clusters as maps, curves, parameters in plain words, how
# sure. `labels.csv` has the cluster of each map, how probable it is and how likely the map is an
# outlying one, `parameters.csv` what the clusters are made of. Clusters count from 1 in files and
# pictures:

# %%
pd.read_csv("fit/parameters.csv")

# %% [markdown]
# ## In Python
#
# The same fit, and everything that it knows; arrays count clusters from 0. `coordinates` are in any
# unit; `mean="constant"` is one mean value for each cluster, where `"free"` would be one for each
# cluster and site ([Means](../means.md)).

# %%
model = SpatialGaussianMixture(
    2, coordinates=sites, decay="exponential", mean="constant", random_state=0
)
model.fit(maps)
pd.crosstab(truth, model.labels_, rownames=["truth"], colnames=["cluster"])

# %% [markdown]
# What the clusters are, in the words of geostatistics: the effective range is in kilometres,
# since the coordinates are. With the maps come 95 % intervals.

# %%
model.geostatistics(maps).round(2)

# %% [markdown]
# ## How many clusters, and which decay?
#
# Every combination is fitted; the lowest BIC comes first. The warnings are about the sigmoid: the
# correlation of these maps falls fastest at the start, and the nearest that a sigmoid comes to it
# is a straight line.

# %%
table = select(
    maps,
    [1, 2, 3],
    decay=["sigmoid", "exponential"],
    coordinates=sites,
    mean="constant",
    n_init=4,
    random_state=0,
)
table[["n_components", "decay", "bic", "icl", "converged", "empty_components"]]

# %% [markdown]
# ## Is the fit to be trusted?
#
# - Did EM converge, and how many starts led to this clustering? One of many is a reason for a
#   larger `n_init`.
# - Is some component all but empty? Is a covariance nearly singular? Both would have warned.
# - How sure is it? Probabilities are those of the model: [Questions](../questions.md) says what
#   that means.

# %%
sure = model.predict_proba(maps).max(axis=1)
print("converged:", model.converged_, "after", model.n_iter_, "iterations")
led = model.starts_["n_starts"]
print("starts that led to this clustering:", led[0], "of", led.sum())
print("condition number:", round(model.condition_number_))
print("maps with a probability below 0.9:", (sure < 0.9).sum())

# %% [markdown]
# Is the model right? `diagnostics` compares the maps with maps that the fitted model draws:
# distances from their component, correlation by distance and by direction, variances by site. What
# leaves the simulated bands would be a warning that says what to try.

# %%
print(model.diagnostics(maps))

# %% [markdown]
# Does the curve meet the data? Lines are fitted correlations with 95 % bands, points mean
# empirical correlations of pairs of sites about the same distance apart. Beside them the interval
# of each parameter.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
plot.correlogram(model, maps, ax=left)
plot.standard_errors(model, maps, ax=right)
plt.show()

# %% [markdown]
# ## Values between the sites
#
# With its covariance a map can be continued to other places, by kriging: here the one whose
# probability of the second cluster is highest.

# %%
across = np.linspace(0, 100, 41)
places = np.stack(np.meshgrid(across, across), axis=-1).reshape(-1, 2)
one = model.predict_proba(maps)[:, 1].argmax()
surface = model.interpolate(maps[[one]], places).reshape(41, 41)
figure, axis = plt.subplots(figsize=(4.6, 3.6), layout="constrained")
drawn = axis.pcolormesh(across, across, surface)
axis.scatter(*sites.T, c=maps[one], norm=drawn.norm, edgecolors="white", s=25)
axis.set(xlabel="x (km)", ylabel="y (km)", title=f"map {one}, cluster 2", aspect="equal")
figure.colorbar(drawn, ax=axis)
plt.show()

# %% [markdown]
# ## Keep it, and use it on further maps

# %%
model.save("model.npz")  # parameters only, no pickle
spatgmm.load("model.npz").predict(maps[:5])

# %% [markdown]
# On the command line: `spatgmm predict fit/ more.csv --out more/`.

# %% [markdown]
# # Large images
#
# An exact covariance costs the cube of the pixels. Images of a thousand pixels and more are
# fitted by other likelihoods, which `"auto"` takes by itself ([Which
# likelihood](../likelihoods.md)).
#
# ## Complete images: cosines
#
# Sixty images of 64x64 pixels, whose correlation reaches some six pixels or some ten:

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.metrics import adjusted_rand_score

from spatgmm import SpatialGaussianMixture

rng = np.random.default_rng(0)
truth = np.repeat([0, 1], 30)
images = np.array([gaussian_filter(rng.normal(size=(64, 64)), (1.0, 1.4)[g]) for g in truth])
images /= images.reshape(60, -1).std(axis=1)[:, None, None]
images += 0.3 * rng.normal(size=images.shape)  # and noise

figure, axes = plt.subplots(1, 2, figsize=(6, 3), layout="constrained")
for g, axis in enumerate(axes):
    axis.imshow(images[30 * g])
    axis.set(title=f"group {g + 1}", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# Two settings matter on large maps. The decay must be a covariance at any size, which the sigmoid
# is not ([Which decay](../decay.md)). And means must be few: a free mean has 4,096 parameters
# here, which BIC never grants a second component.

# %%
began = time.perf_counter()
model = SpatialGaussianMixture(2, decay="matern32", mean="constant", random_state=0).fit(images)
print(f"{model.likelihood_}, {time.perf_counter() - began:.1f} s")
print("cluster by group:", model.labels_[:30].mean(), model.labels_[30:].mean())
model.geostatistics(images).round(3)

# %% [markdown]
# ## Masks and missing pixels: Vecchia
#
# Where pixels are missing there is no basis of cosines. Each pixel is then given its nearest
# earlier ones. A round window, and clouds:

# %%
small = images[:, 18:46, 18:46].copy()
rows, columns = np.indices((28, 28)) - 13.5
small[:, np.hypot(rows, columns) > 14] = np.nan  # outside of the window in every image
small[rng.random(small.shape) < 0.02] = np.nan  # missing in some

began = time.perf_counter()
masked = SpatialGaussianMixture(
    2,
    decay="matern32",
    mean="constant",
    missing="em",
    likelihood="vecchia",
    n_neighbors=12,
    n_init=3,
    random_state=0,
).fit(small)
print(f"{masked.likelihood_}, {time.perf_counter() - began:.1f} s")
print("pixels of the window:", masked.observed_locations_.sum())
print("as before:", adjusted_rand_score(model.labels_, masked.labels_))

# %% [markdown]
# Clusters are numbered by their size, which says nothing here: the adjusted Rand index compares
# partitions whatever their numbers.
#
# More neighbours come closer to the exact likelihood, and cost more. Log-likelihoods, and so BIC,
# of different likelihoods cannot be compared; with missing pixels `cosine` is refused.

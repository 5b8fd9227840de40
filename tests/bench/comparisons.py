"""Whole fits of the reference maps: this package, its oracle, and other people's mixtures."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from measure import Measurement, side_by_side
from problems import spat_grid10
from sklearn.mixture import GaussianMixture

from spatgmm import SpatialGaussianMixture, methods
from spatgmm.common import agreement, r
from spatgmm.fitting.gls import STARTING_BETA

PART = "fits of spat_grid10"

_DEFAULT = "spatgmm, default"
_SCORING = "spatgmm, given start"  # responsibilities and, as for the oracle, beta
_SKLEARN = "scikit-learn, full covariance, one start"
_ORACLE = 'plain solver="gls", given start'

# Its tolerance is 0.1 by default, and from beta = 1 it breaks down on these maps.
_SPATMIX = """
function(X, G, coords) {
  fit <- spatmix(X, G = G, coords = coords, spatial_decay = "sigmoid", init = "covariance",
                 sigmoid_ctrl = list(init = 4), tol = 1e-4, verbose = FALSE)
  list(fit$cluster, tail(fit$log_likelihood, 1))
}
"""


def run() -> tuple[list[Measurement], pd.DataFrame]:
    """Ratios with their targets, and a row per fit."""
    data, start = spat_grid10()
    outcomes = {}

    def keeping(name, fit):
        outcomes[name] = fit()  # labels and log-likelihood

    fits = {name: partial(keeping, name, fit) for name, fit in _fits(data, start).items()}
    seconds = side_by_side(fits)
    default = seconds[_DEFAULT]
    table = pd.DataFrame(
        [
            {
                "fit": name,
                "seconds": seconds[name],
                "times the default fit": seconds[name] / default,
                "log-likelihood": log_likelihood,
                "ARI": agreement.ari(data.labels, labels),
            }
            for name, (labels, log_likelihood) in outcomes.items()
        ]
    )
    gain = outcomes[_SCORING][1] - outcomes[_ORACLE][1]
    tolerance = SpatialGaussianMixture().tol
    measurements = [
        Measurement(
            PART,
            'same start: plain solver="gls" / scoring',
            seconds[_ORACLE] / seconds[_SCORING],
            "x",
            "at least",
            15,
        ),
        Measurement(
            PART,
            'same start: log-likelihood, scoring - plain solver="gls"',
            gain,
            "",
            "at least",
            -tolerance,
            "equal, to the tolerance, or higher",
        ),
        Measurement(
            PART,
            'plain solver="gls" / whole default fit',
            seconds[_ORACLE] / default,
            "x",
            "at least",
            1,
        ),
    ]
    measurements += [
        Measurement(
            PART,
            f"{name} / default fit",
            seconds[name] / default,
            "x",
            *(("at least", 0.5) if name == _SKLEARN else ()),
        )
        for name in fits
        if name not in (_DEFAULT, _ORACLE)
    ]
    return measurements, table


def _fits(data, start) -> dict:
    """Functions that return labels and log-likelihood."""
    G = start.shape[1]

    def ours(**settings):
        model = SpatialGaussianMixture(
            G, coordinates=data.coordinates, random_state=0, **settings
        ).fit(data.X)
        return model.labels_, model.log_likelihood_

    def oracle():
        plain = _plain()
        weights, means, alpha, beta, trace = plain.gls_em(
            data.X, data.coordinates, start, STARTING_BETA
        )
        covariances = [
            plain.covariance(data.coordinates, a, b) for a, b in zip(alpha, beta, strict=True)
        ]
        return plain.log_joint(data.X, weights, means, covariances).argmax(axis=1), trace[-1]

    def plugin(name):
        method = methods.get(name)
        result = method.fit(data, G, np.random.default_rng(0), **method.defaults)
        return result.labels, result.log_likelihood

    def sklearn():
        mixture = GaussianMixture(G, random_state=0).fit(data.X)
        return mixture.predict(data.X), mixture.score(data.X) * len(data.X)

    def spatmix():
        with r.session("SpatMix") as ro:
            labels, log_likelihood = ro.r(_SPATMIX)(data.X, G, data.coordinates).values()
        return np.asarray(labels, dtype=int) - 1, float(log_likelihood[0])

    fits = {
        _DEFAULT: ours,
        _SCORING: partial(ours, init=start, beta_init=STARTING_BETA),
        "spatgmm, given responsibilities": partial(ours, init=start),
        'spatgmm, solver="gls"': partial(ours, solver="gls"),
        'spatgmm, solver="gls", given start': partial(ours, solver="gls", init=start),
        _ORACLE: oracle,
        _SKLEARN: sklearn,
    }
    for package, fit in (("mclust", partial(plugin, "mclust")), ("SpatMix", spatmix)):
        reason = r.missing((package,))
        if reason is None:
            fits[f"R, {package}"] = fit
        else:
            print(f"without {package}: {reason}")
    return fits


def _plain():
    """The tests' plainly written version of the model, ``tests/core/plain.py``."""
    path = Path(__file__).parents[1] / "core" / "plain.py"
    spec = importlib.util.spec_from_file_location("plain", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

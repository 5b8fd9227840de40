"""Starts with what is held at its values; a search, which knows nothing of it, finds the rest.

A search knows components up to their numbers.  Where held values tell components apart, they go to
those that they suit best, all together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from spatgmm.covariance.family import COEFFICIENTS, Covariance
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.state import Mixture, Model, empty

#: Shapes of the kernel's grid that are looked at beside the present one.
_MOST_SHAPES = 8

#: What is left of the free coefficients of the structured part, until a covariance is one.
_SOFTENED = 0.5 ** np.arange(16)


def imposed(model: Model, mixture: Mixture, maps: Maps, responsibilities: np.ndarray) -> Mixture:
    """A start, its components numbered as held values are, with these values.

    Beside held coefficients another shape may be best: a look at a few of them shows.

    Raises
    ------
    ValueError
        If no covariance with a component's held coefficients is positive definite.
    """
    means = model.mean.imposed(mixture.means)
    weights = mixture.weights if model.held.weights is None else model.held.weights
    mixture = replace(mixture, weights=weights, means=means)
    if model.held.alpha is None:
        return mixture
    counts, G = responsibilities.sum(axis=0), len(weights)
    moments = [
        None if lost else _moments(mixture, maps, responsibilities, means[g], g)
        for g, lost in enumerate(empty(counts))
    ]
    covariances = list(mixture.covariances)
    for group in [list(range(G))] if model.shared.any() else [[g] for g in range(G)]:
        alphas = [model.held.alpha_of(g) for g in group]
        found, _ = _best(
            [covariances[g] for g in group], alphas, [moments[g] for g in group], counts[group]
        )
        if found is None:
            held = [k for k, v in zip(COEFFICIENTS, alphas[0], strict=True) if not np.isnan(v)]
            whose = f"component {group[0]}'s" if len(group) == 1 else "the components'"
            raise ValueError(
                f"fixed: no covariance over these locations with {whose} {', '.join(held)} is "
                "positive definite"
            )
        for g, covariance in zip(group, found, strict=True):
            covariances[g] = covariance
    return replace(mixture, covariances=covariances)


def promises(
    model: Model, mixture: Mixture, maps: Maps, responsibilities: np.ndarray
) -> np.ndarray:
    """How well the values held under each number (rows) suit each component (columns), (G, G).

    Expected log-likelihoods, up to a constant of each component; -inf where values cannot be.
    """
    counts, G = responsibilities.sum(axis=0), len(mixture.weights)
    found = np.zeros((G, G))
    if model.held.weights is not None:
        found += np.log(model.held.weights)[:, None] * counts
    if not model.mean.is_held and model.held.alpha is None:
        return found
    for g, k in product(range(G), np.flatnonzero(~empty(counts))):
        # The mean that component k has under the number g.
        mean = model.mean.imposed([mixture.means[k]] * G)[g]
        moments = _moments(mixture, maps, responsibilities, mean, k)
        alpha = model.held.alpha_of(g)
        _, value = _best([mixture.covariances[k]], [alpha], [moments], counts[[k]])
        found[g, k] -= value / 2
    return found


def _moments(mixture: Mixture, maps: Maps, responsibilities: np.ndarray, mean, g: int):
    seen = mixture.scales.divide(maps).completed(mean, mixture.covariances[g])
    return seen.moments(responsibilities[:, g], mean)


def _best(
    present: list[Covariance], alphas: list[np.ndarray], moments: list, counts: np.ndarray
) -> tuple[list[Covariance] | None, float]:
    """Covariances with these coefficients that suit the moments, and ``sum n_g objective_g``.

    None and infinity where there are none.
    """
    best, lowest = None, np.inf
    for share in _SOFTENED:
        for thetas in _candidates(present, alphas, share):
            trial = [c.family.at(theta) for c, theta in zip(present, thetas, strict=True)]
            if any(covariance is None for covariance in trial):
                continue
            value = sum(
                count * covariance.objective(of_one)
                for count, covariance, of_one in zip(counts, trial, moments, strict=True)
                if of_one is not None
            )
            if best is None or value < lowest:
                best, lowest = trial, value
        if best is not None:
            break
    return best, lowest


def _candidates(
    present: list[Covariance], alphas: list[np.ndarray], share: float
) -> Iterator[list[np.ndarray]]:
    """theta of each component with its coefficients, at the present shapes and at a few others."""
    family = present[0].family
    held = [family.holding(c.theta, alpha) for c, alpha in zip(present, alphas, strict=True)]
    softer = [
        family.holding(family.softened(theta, share), alpha)
        for theta, alpha in zip(held, alphas, strict=True)
    ]
    yield softer
    shapes = family.kernel.grid()[0]
    for shape in shapes[:: -(-len(shapes) // _MOST_SHAPES)]:
        yield [family.shaped(theta, shape) for theta in softer]

"""Starts of a search that is told what is known of some maps, or not shown others."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from spatgmm.fitting.em import Solver
from spatgmm.fitting.evidence import Evidence
from spatgmm.fitting.imposing import imposed, promises
from spatgmm.fitting.maps import Maps
from spatgmm.fitting.state import Mixture, Model

if TYPE_CHECKING:
    from spatgmm.fitting.engine import Engine


def starts(
    engine: Engine,
    maps: Maps,
    model: Model,
    solver: Solver,
    evidence: Evidence,
    n_components: int,
    n_init: int,
    rng: np.random.Generator,
    shown: np.ndarray,
) -> list[tuple[Mixture, int]]:
    """Distinct places from where to finish, the most promising first, and how often each was found.

    The search itself knows no labels and no tails, and sees the maps that are `shown` (n,) as often
    as they count.  Where tails are heavy it also looks at maps of equal length, which have none:
    otherwise it may do no more than tell maps that are wide from others, in whatever component.
    Where labels are known, components take the numbers that agree best with them, and what known
    maps alone say is the first start.
    """
    some = maps
    if evidence.weights is not None or not shown.all():
        some = engine.maps(engine.back(maps.blocks)[evidence.as_often(shown)])
    found = engine.starts(some, model.searched, n_components, n_init, rng)
    if model.tails.heavy and n_components > 1:
        alike = _of_equal_length(engine, some)
        further = [
            (solver.start(engine, some, mixture.expectation(alike)[1], model.searched), led)
            for mixture, led in engine.starts(alike, model.searched, n_components, n_init, rng)
        ]
        # In turn, since none tells whether its kind is the better one.
        found = [one for both in zip_longest(found, further) for one in both if one is not None]
    found = [(_told(mixture, maps, model, evidence), led) for mixture, led in found]
    if evidence.labels is not None and evidence.covers(n_components):
        of_known = evidence.imposed(np.zeros((len(maps), n_components)))
        found.insert(0, (solver.start(engine, maps, of_known, model), 1))
    return found


def _told(mixture: Mixture, maps: Maps, model: Model, evidence: Evidence) -> Mixture:
    """What a search found, as labels and held values number it, with these values."""
    if evidence.labels is None and not model.holds:
        return mixture
    responsibilities = mixture.expectation(maps)[1]
    order = numbering(mixture, maps, responsibilities, model, evidence)
    return imposed(model, mixture.reordered(order), maps, responsibilities[:, order])


def numbering(
    mixture: Mixture,
    maps: Maps,
    responsibilities: np.ndarray,
    model: Model,
    evidence: Evidence,
) -> np.ndarray:
    """The order (G,) of a start's components that agrees best with known labels.

    Where these do not tell, that which suits what is held.
    """
    if model.by_number:
        promised = promises(model, mixture, maps, responsibilities)
        return evidence.numbering(responsibilities, promised)
    return evidence.numbering(responsibilities)


def _of_equal_length(engine: Engine, maps: Maps) -> Maps:
    """Maps divided by the root of their mean square: what widens a whole map cancels."""
    values = engine.back(maps.blocks)
    lengths = np.sqrt(np.square(values).mean(axis=1, keepdims=True))
    return engine.maps(values / np.where(lengths > 0, lengths, 1.0))

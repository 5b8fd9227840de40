"""The one recipe for the maps of a case and for the randomness of a fit to them.

Maps of a scenario are drawn wherever they are needed, by a seed of their own; those of a data set
are read from the file that ``spatgmm study data`` has written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from spatgmm.data import Dataset
    from spatgmm.simulate import Scenario
    from spatgmm.study.design import Case, Variant

# What the functions need is imported in them: who schedules jobs asks for paths only.


def data_path(results: Path, case: str) -> Path:
    """Where the maps of a data set are; those of a scenario are drawn where they are needed."""
    return results / "data" / f"{case}.npz"


def maps(case: Case, root_seed: int, results: Path) -> Callable[[int], Dataset]:
    """The maps of a case, by replicate; every replicate of a data set is the same.

    Raises
    ------
    ValueError
        If the scenario makes no sense.
    FileNotFoundError
        If the data set was not loaded yet.
    DamagedFile
        If its file cannot be read.
    """
    if case.simulated:
        from spatgmm import simulate

        scenario = _scenario(case)
        return lambda replicate: simulate.draw(scenario, replicate, root_seed)
    data = _loaded(case, results)
    return lambda replicate: data


def generator(case: Case, variant: Variant, replicate: int, root_seed: int) -> np.random.Generator:
    """The randomness of one fit: it depends on ids and seeds, not on the order of fits."""
    import numpy as np

    from spatgmm import simulate

    ids = [simulate.stable_hash(case.id), replicate, simulate.stable_hash(variant.id)]
    return np.random.default_rng(np.random.SeedSequence([root_seed, *ids]))


def fingerprint(case: Case, results: Path) -> str:
    """A hash of a data set's file.

    Raises
    ------
    DamagedFile
        If it cannot be read.
    """
    _loaded(case, results)
    return hashlib.blake2b(data_path(results, case.id).read_bytes()).hexdigest()


def sizes(case: Case, results: Path) -> dict[str, int]:
    """Maps, locations and groups of a case, as columns of the design; nothing is drawn."""
    if case.simulated:
        scenario = _scenario(case)
        n, (groups, p) = scenario.n, scenario.truth.means.shape
    else:
        data = _loaded(case, results)
        (n, p), groups = data.X.shape, len(data.label_names)
    return {"n": n, "p": p, "n_components": groups}


def _scenario(case: Case) -> Scenario:
    from spatgmm.simulate import Scenario

    # By the case's own id, which seeds its maps.
    return Scenario.from_config(case.id, case.settings)


def _loaded(case: Case, results: Path) -> Dataset:
    from spatgmm.data import Dataset

    return Dataset.load(data_path(results, case.id))

"""What a configuration's names and values mean, checked before any job starts.

The schema knows shapes; whether a method, a loader or a table of that name exists, takes these
settings, and whether a scenario's covariance is positive definite, only their code knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spatgmm.study import outputs
from spatgmm.study.config import suggest
from spatgmm.study.design import Design


def problems(config: Mapping[str, Any], design: Design) -> list[str]:
    """Everything that is wrong with names and values, one line each.

    Parameters
    ----------
    config : mapping
        Resolved, see :func:`spatgmm.study.config.resolve`.
    design : Design
        Of that configuration.
    """
    return [*_scenarios(design), *_datasets(config), *_methods(design), *outputs.problems(config)]


def _scenarios(design: Design) -> list[str]:
    from spatgmm.simulate import Scenario

    found = []
    for case in design.cases.values():
        if case.simulated:
            at = "".join(f", {path} = {value}" for path, value in case.varied.items())
            try:
                Scenario.from_config(case.scenario, case.settings)
            except ValueError as error:
                found.append(f"scenarios.{case.scenario}{at}: {error}")
    return found


def _datasets(config: Mapping[str, Any]) -> list[str]:
    from spatgmm import datasets

    found = []
    for id, variant in config["datasets"].items():
        settings = dict(variant)
        loader = settings.pop("load")
        if loader not in datasets.names():
            hint = suggest(loader, datasets.names())
            found.append(f"datasets.{id}.load: unknown data set {loader!r}; {hint}")
            continue
        known = datasets.defaults(loader)
        found += [
            f"datasets.{id}.{key}: {loader!r} has no such setting; {suggest(key, known)}"
            for key in settings
            if key not in known
        ]
    return found


def _methods(design: Design) -> list[str]:
    from spatgmm import methods

    found = []
    for variant in design.methods.values():
        if variant.plugin not in methods.names():
            hint = suggest(variant.plugin, methods.names())
            found.append(
                f"methods.{variant.base_method}: unknown method {variant.plugin!r}; {hint}"
            )
            continue
        number = variant.n_components
        if number is not None and (type(number) is not int or number < 1):
            found.append(
                f"methods.{variant.base_method}.n_components: must be a whole number, at least 1, "
                f"got {number!r}"
            )
        if variant.parameters:  # only then worth importing the method
            known = methods.get(variant.plugin).defaults
            found += [
                f"methods.{variant.base_method}.{key}: {variant.plugin!r} has no such parameter; "
                f"{suggest(key, known)}"
                for key in variant.parameters
                if key not in known
            ]
    # Variants of one method share what is wrong with it.
    return list(dict.fromkeys(found))

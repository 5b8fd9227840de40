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
        values = dict(variant.parameters)
        if variant.n_components is not None:
            values["n_components"] = variant.n_components
        if not values:  # nothing to check is not worth importing the method
            continue
        studies = [
            study
            for study, pairs in design.studies.items()
            if any(method == variant.id for _, method in pairs)
        ]
        for problem in methods.get(variant.plugin).problems(values):
            key = ".".join(map(str, problem.path))
            if problem.path[0] in variant.varied:
                places = [f"studies.{study}.vary.method.{key}" for study in studies]
            else:
                places = [f"methods.{variant.base_method}.{key}"]
            told = f"method {variant.base_method!r}, " + _listed("study", "studies", studies)
            found += [f"{place}: {problem.message} ({told})" for place in places]
    # Variants of one method share what is wrong with it.
    return list(dict.fromkeys(found))


def _listed(one: str, several: str, names: list[str]) -> str:
    return f"{one if len(names) == 1 else several} {', '.join(map(repr, names))}"

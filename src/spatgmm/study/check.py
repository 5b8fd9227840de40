"""What a configuration's names and values mean, checked before any job starts.

The rules of the configuration know shapes; whether a method, a loader or a table of that name
exists, takes these settings, and whether a scenario's covariance exists, only their code knows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spatgmm.common.constraints import Problem, suggest
from spatgmm.scenarios import SCENARIO
from spatgmm.study import outputs, vary
from spatgmm.study.design import Case, Design, Variant


def problems(config: Mapping[str, Any], design: Design) -> list[str]:
    """Everything that is wrong with names and values, one line each.

    Parameters
    ----------
    config : mapping
        Checked, see :func:`spatgmm.study.config.checked`.
    design : Design
        Of that configuration.
    """
    found = (_scenarios(design), _datasets(config, design), _methods(design))
    # Cases of one scenario, and variants of one method, share what is wrong with it.
    return [*dict.fromkeys(itertools.chain(*found)), *outputs.problems(config)]


def _scenarios(design: Design) -> Iterator[str]:
    from spatgmm.simulate import Scenario

    for case in design.cases.values():
        if not case.simulated:
            continue
        found = list(SCENARIO.problems(case.settings))
        yield from _lines(design, case, found)
        if not found:  # only then can there be a covariance
            try:
                Scenario.from_config(case.scenario, case.settings)
            except ValueError as error:
                at = "".join(f", {path} = {value}" for path, value in case.varied.items())
                yield f"scenarios.{case.scenario}{at}: {error}"


def _datasets(config: Mapping[str, Any], design: Design) -> Iterator[str]:
    from spatgmm import datasets

    all_of_them = [Case(id, id, False, settings, {}) for id, settings in config["datasets"].items()]
    for case in [*all_of_them, *(case for case in design.cases.values() if case.varied)]:
        if case.simulated:
            continue
        settings = dict(case.settings)
        loader = settings.pop("load")
        if loader in datasets.names():
            yield from _lines(design, case, datasets.problems(loader, settings))
        else:
            hint = suggest(loader, datasets.names())
            yield f"datasets.{case.scenario}.load: unknown data set {loader!r}; {hint}"


def _methods(design: Design) -> Iterator[str]:
    from spatgmm import methods

    for variant in design.methods.values():
        if variant.plugin not in methods.names():
            hint = suggest(variant.plugin, methods.names())
            yield f"methods.{variant.base_method}: unknown method {variant.plugin!r}; {hint}"
            continue
        values = dict(variant.parameters)
        if variant.n_components is not None:
            values["n_components"] = variant.n_components
        if values:  # nothing to check is not worth importing the method
            yield from _lines(design, variant, methods.get(variant.plugin).problems(values))


def _lines(design: Design, owner: Case | Variant, problems: Iterable[Problem]) -> Iterator[str]:
    """Problems of a case or method, at the key of the configuration that brought each in."""
    if isinstance(owner, Variant):
        section, what, name, start = "methods", "method", owner.base_method, vary.METHOD
        siblings = {other.id for other in design.methods.values() if other.base_method == name}
    else:
        section, what = ("scenarios", "scenario") if owner.simulated else ("datasets", "data set")
        name, start = owner.scenario, ""
        siblings = {other.id for other in design.cases.values() if other.scenario == name}
    for problem in problems:
        varied = any(f"{problem.place}.".startswith(f"{key}.") for key in owner.varied)
        # What is not varied is the same wherever the entry is used.
        studies = design.studies_of({owner.id} if varied else siblings)
        places = [f"{section}.{name}.{problem.place}"]
        if varied:
            places = [f"studies.{study}.vary.{start}{problem.place}" for study in studies]
        told = f"{what} {name!r}" + (f"; studies: {', '.join(studies)}" if studies else "")
        yield from (f"{place}: {problem.message} ({told})" for place in places)

"""From a configuration to the work to be done: cases, methods, batches of replicates.

A case is a scenario at one point of what a study varies, or a data set.  Work is case x method x
batch of replicates.  Ids are short; the design table says what they stand for.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatgmm.study.config import suggest

#: Varied keys that begin so are parameters of methods.
OF_METHODS = "method."

_KINDS = {"scenarios": "scenario", "datasets": "data set"}


@dataclass(frozen=True)
class Case:
    """One set of maps to cluster, drawn or loaded.

    Attributes
    ----------
    id : str
        Short, unique over all studies; part of the seeds.
    source : str
        Id of the scenario or data set in the configuration.
    simulated : bool
        Whether it is drawn from a scenario.
    settings : dict
        The scenario with the varied keys set, or the loader and its arguments.
    varied : dict
        Varied keys, by dotted path, with their values here.
    """

    id: str
    source: str
    simulated: bool
    settings: dict[str, Any]
    varied: dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """A plug-in with parameters, under the id that results carry.

    Attributes
    ----------
    id : str
    plugin : str
    parameters : dict
        Those to change from the plug-in's defaults.
    n_components : int or None
        Number of components to fit; None: as many as there are true groups.
    base : str
        Id in the configuration, before its parameters were varied.
    varied : dict
        Varied parameters, with their values here.
    """

    id: str
    plugin: str
    parameters: dict[str, Any]
    n_components: int | None
    base: str
    varied: dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """Replicates `first` to `last`, both included, of one case by one method."""

    case: str
    method: str
    first: int
    last: int


@dataclass(frozen=True)
class Design:
    """All work of a configuration.

    Attributes
    ----------
    name, root_seed, batch_size
        As configured.
    cases : dict of Case by id
    methods : dict of Variant by id
    studies : dict
        By study, its (case id, method id) pairs in the order of the configuration, with the
        number of replicates.
    """

    name: str
    root_seed: int
    batch_size: int
    cases: dict[str, Case] = field(default_factory=dict)
    methods: dict[str, Variant] = field(default_factory=dict)
    studies: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict)

    def replicates(self) -> dict[tuple[str, str], int]:
        """Replicates of each (case id, method id): where studies share one, the larger number."""
        needed: dict[tuple[str, str], int] = {}
        for pairs in self.studies.values():
            for pair, replicates in pairs.items():
                needed[pair] = max(replicates, needed.get(pair, 0))
        return needed

    def batches(self) -> Iterator[Batch]:
        """Every batch, in the order of the configuration."""
        for (case, method), replicates in self.replicates().items():
            for first in range(0, replicates, self.batch_size):
                last = min(first + self.batch_size, replicates) - 1
                yield Batch(case, method, first, last)

    def data_settings(self, case: str) -> str:
        """All that decides about a case's maps, besides code and files, as JSON."""
        settings = {"settings": self.cases[case].settings}
        if self.cases[case].simulated:
            settings["root_seed"] = self.root_seed
        return json.dumps(settings, sort_keys=True)

    def fit_settings(self, case: str, method: str) -> str:
        """All that decides about a fit, besides code and files, as JSON."""
        variant = self.methods[method]
        settings: dict[str, Any] = {
            "plugin": variant.plugin,
            "parameters": variant.parameters,
            "n_components": variant.n_components,
            "root_seed": self.root_seed,
        }
        if self.cases[case].simulated:
            settings["scenario"] = self.cases[case].settings
        return json.dumps(settings, sort_keys=True)


def expand(config: Mapping[str, Any]) -> tuple[Design, list[str]]:
    """The design of a configuration.

    Parameters
    ----------
    config : mapping
        Resolved, see :func:`spatgmm.study.config.resolve`.

    Returns
    -------
    Design
        Without the parts that hold a problem.
    list of str
        References that lead nowhere, one line each.
    """
    design = Design(config["name"], config["root_seed"], config["batch_size"])
    problems: list[str] = []
    for study, spec in config["studies"].items():
        where = f"studies.{study}"
        if not spec["scenarios"] and not spec["datasets"]:
            problems.append(f"{where}: has neither scenarios nor datasets")
        pairs = design.studies[study] = {}
        for point in _points(spec["vary"]):
            of_methods = {
                path.removeprefix(OF_METHODS): value
                for path, value in point.items()
                if path.startswith(OF_METHODS)
            }
            of_cases = {k: v for k, v in point.items() if not k.startswith(OF_METHODS)}
            variants = [_variant(config, method, of_methods) for method in spec["methods"]]
            if not any(variant.varied for variant in variants) and of_methods:
                names = ", ".join(of_methods)
                problems.append(f"{where}.vary: no method of the study has a parameter {names}")
            for case in _cases(config, where, spec, of_cases, problems):
                if design.cases.setdefault(case.id, case) != case:
                    problems.append(
                        f"{where}: {case.id!r} is the id of a scenario and of a data set"
                    )
                for variant in variants:
                    design.methods[variant.id] = variant
                    pairs[case.id, variant.id] = spec["replicates"]
    return design, list(dict.fromkeys(problems))


def fits_path(results: Path, batch: Batch) -> Path:
    """Where the rows of a batch are."""
    return results / "fits" / batch.case / batch.method / f"{batch.first}-{batch.last}.parquet"


def data_path(results: Path, case: str) -> Path:
    """Where the maps of a case are; of a simulated one, its replicate 0."""
    return results / "data" / f"{case}.npz"


def digest(value: Any, length: int = 10) -> str:
    """A short name for anything that JSON can hold; equal values have equal names."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.blake2b(text.encode()).hexdigest()[:length]


def _cases(
    config: Mapping, where: str, spec: Mapping, point: dict[str, Any], problems: list[str]
) -> list[Case]:
    """Every scenario and data set of a study at one point of what it varies."""
    cases = []
    for kind, simulated in (("scenarios", True), ("datasets", False)):
        for number, name in enumerate(spec[kind]):
            if name not in config[kind]:
                problems.append(
                    f"{where}.{kind}.{number}: unknown {_KINDS[kind]} {name!r}; "
                    f"{suggest(name, config[kind])}"
                )
                continue
            settings = copy.deepcopy(config[kind][name])
            try:
                for path, value in point.items():
                    _set(settings, path, value)
            except KeyError as error:
                problems.append(
                    f"{where}.vary.{path}: {_KINDS[kind]} {name!r} has no {error.args[0]!r} there"
                )
                continue
            id = f"{name}-{digest(point)}" if point else name
            cases.append(Case(id, name, simulated, settings, point))
    return cases


def _variant(config: Mapping, method: str, point: dict[str, Any]) -> Variant:
    """A method at one point of what a study varies; what it does not take leaves it alone."""
    parameters = dict(config["methods"].get(method, {}))
    plugin = parameters.pop("plugin", method)
    varied = {name: value for name, value in point.items() if _takes(plugin, name)}
    parameters |= varied
    n_components = parameters.pop("n_components", None)
    id = f"{method}-{digest(varied)}" if varied else method
    return Variant(id, plugin, parameters, n_components, method, varied)


def _takes(plugin: str, parameter: str) -> bool:
    from spatgmm import methods  # imports the plug-in, which only a study that varies it needs

    if parameter == "n_components":
        return True
    return plugin in methods.names() and parameter in methods.get(plugin).defaults


def _points(vary: Mapping[str, list] | list[dict]) -> list[dict[str, Any]]:
    if isinstance(vary, list):
        return vary
    return [dict(zip(vary, values, strict=True)) for values in itertools.product(*vary.values())]


def _set(scenario: dict, path: str, value: Any) -> None:
    """Set a key by dotted path; KeyError with the first part that is not there."""
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    node: Any = scenario
    for key in [*parents, last]:
        there = (
            key in node
            if isinstance(node, dict)
            else (isinstance(node, list) and isinstance(key, int) and key < len(node))
        )
        if not there:
            raise KeyError(str(key))
        parent, node = node, node[key]
    parent[last] = value

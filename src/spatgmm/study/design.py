"""From a configuration to the work to be done: cases, methods, batches of replicates, jobs.

A case is a scenario at one point of what a study varies, or a data set.  Work is case x method x
batch of replicates; a job does one full batch or several small ones.  Ids are short; the design
table says what they stand for.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatgmm.common.constraints import suggest
from spatgmm.study import vary


@dataclass(frozen=True)
class Case:
    """One set of maps to cluster, drawn or loaded.

    Attributes
    ----------
    id : str
        Short, unique over all studies; part of the seeds.
    scenario : str
        Id of the scenario or data set in the configuration.
    simulated : bool
        Whether it is drawn from a scenario.
    settings : dict
        The scenario with the varied keys set, or the loader and its arguments.
    varied : dict
        Varied keys, by dotted path, with their values here.
    """

    id: str
    scenario: str
    simulated: bool
    settings: dict[str, Any]
    varied: dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """A plug-in with parameters, under the id that results carry.

    Attributes
    ----------
    id : str
        Short, unique over all studies; part of the seeds.
    plugin : str
    parameters : dict
        The plug-in's, those to change from its defaults.
    n_components : int or None
        Number of components to fit; None: as many as there are true groups.
    time_limit : float or None
        Seconds that one fit may take.
    base_method : str
        Id in the configuration, of which this is one of several where a study varies a
        parameter of the methods.
    varied : dict
        Varied parameters, ``n_components`` among them, with their values here.
    """

    id: str
    plugin: str
    parameters: dict[str, Any]
    n_components: int | None
    time_limit: float | None
    base_method: str
    varied: dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """Replicates `first` to `last`, both included, of one case by one method."""

    case: str
    method: str
    first: int
    last: int

    @property
    def replicates(self) -> range:
        return range(self.first, self.last + 1)

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.case}/{self.method}/{self.first}-{self.last}"

    @classmethod
    def parse(cls, text: str) -> Batch:
        """The batch of which `text` is the str; ValueError if it is that of none."""
        case, method, replicates = text.split("/")
        first, _, last = replicates.partition("-")
        last = last or first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
            raise ValueError(f"{replicates!r} is neither a number nor a range such as 0-9")
        return cls(case, method, int(first), int(last))


#: Batches that one process fits, one after the other.
Job = tuple[Batch, ...]

#: Batches in a job at most: a command line names them all.
_MOST_BATCHES = 200


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
    labels : dict of str
        What a person calls the point of a varied case or method, by its id.
    """

    name: str
    root_seed: int
    batch_size: int
    cases: dict[str, Case] = field(default_factory=dict)
    methods: dict[str, Variant] = field(default_factory=dict)
    studies: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    def replicates(self) -> dict[tuple[str, str], int]:
        """Replicates of each (case id, method id): where studies share one, the larger number."""
        needed: dict[tuple[str, str], int] = {}
        for pairs in self.studies.values():
            for pair, replicates in pairs.items():
                needed[pair] = max(replicates, needed.get(pair, 0))
        return needed

    def studies_of(self, ids: Collection[str]) -> list[str]:
        """The studies in which one of these cases or methods takes part."""
        return [
            study
            for study, pairs in self.studies.items()
            if any(not {*pair}.isdisjoint(ids) for pair in pairs)
        ]

    def batches(self) -> Iterator[Batch]:
        """Every batch, in the order of the configuration."""
        for (case, method), replicates in self.replicates().items():
            for first in range(0, replicates, self.batch_size):
                last = min(first + self.batch_size, replicates) - 1
                yield Batch(case, method, first, last)

    def jobs(self) -> list[Job]:
        """Every batch in some job, in the order of the configuration.

        A job has at most `batch_size` fits, all by one method as configured, so that they are much
        the same to the processor and depend on the same code. Fits of data sets, which wait for
        files, and of drawn maps, which do not, never share one.
        """
        jobs: list[list[Batch]] = []
        filling: dict[tuple[str, bool], list[Batch]] = {}
        for batch in self.batches():
            kind = (self.methods[batch.method].base_method, self.cases[batch.case].simulated)
            job = filling.get(kind, [])
            full = sum(map(len, job)) + len(batch) > self.batch_size or len(job) == _MOST_BATCHES
            if not job or full:
                job = filling[kind] = []
                jobs.append(job)
            job.append(batch)
        return [tuple(job) for job in jobs]

    def data_settings(self, case: str) -> str:
        """All that decides about a data set's maps, besides code and files, as JSON."""
        return json.dumps(self.cases[case].settings, sort_keys=True)

    def fit_settings(self, case: str, method: str) -> str:
        """All that decides about a fit, besides code and files, as JSON."""
        variant = self.methods[method]
        settings: dict[str, Any] = {
            "plugin": variant.plugin,
            "parameters": variant.parameters,
            "root_seed": self.root_seed,
        }
        if variant.n_components is not None:
            settings["n_components"] = variant.n_components
        if self.cases[case].simulated:
            settings["scenario"] = self.cases[case].settings
        return json.dumps(settings, sort_keys=True)


def expand(config: Mapping[str, Any]) -> tuple[Design, list[str]]:
    """The design of a configuration.

    Parameters
    ----------
    config : mapping
        Checked, see :func:`spatgmm.study.config.checked`.

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
        unvaried = _unvaried(config, where, spec, problems)
        points = vary.points(spec["vary"])
        _check_keys(config, where, spec, unvaried, points, problems)
        cases, variants, pairs = [], [], set()
        for plain in unvaried:
            for case in (_case(plain, point) for point in points):
                cases.append(case)
                if design.cases.setdefault(case.id, case) != case:
                    problems.append(
                        f"{where}: {case.id!r} is the id of a scenario and of a data set"
                    )
        for method in spec["methods"]:
            variants += [_variant(config, method, point) for point in points]
        design.methods.update({variant.id: variant for variant in variants})
        named = vary.labels(spec["vary"])
        for made in (cases, variants):
            for one, label in zip(made, itertools.cycle(named), strict=False):
                if label and one.varied:
                    design.labels.setdefault(one.id, label)
        # A point fixes case and method together: a list of points is no product.
        for number in range(len(points)):
            pairs |= {
                (case.id, variant.id)
                for case in cases[number :: len(points)]
                for variant in variants[number :: len(points)]
            }
        design.studies[study] = {
            (case, method): spec["replicates"]
            for case in dict.fromkeys(case.id for case in cases)
            for method in dict.fromkeys(variant.id for variant in variants)
            if (case, method) in pairs
        }
    return design, problems


def varied(case: Case, variant: Variant) -> dict[str, object]:
    """Every varied key with its value here, lists and mappings as text."""
    keys = case.varied | {f"{vary.METHOD}{key}": value for key, value in variant.varied.items()}
    # "n" is a column of the fits already, with the same value.
    return {
        key: str(value) if isinstance(value, list | dict) else value
        for key, value in keys.items()
        if key != "n"
    }


def fits_path(results: Path, batch: Batch) -> Path:
    """Where the rows of a batch are."""
    return results / "fits" / f"{batch}.parquet"


def digest(value: Any, length: int = 10) -> str:
    """A short name for anything that JSON can hold; equal values have equal names."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.blake2b(text.encode()).hexdigest()[:length]


def _unvaried(config: Mapping, where: str, spec: Mapping, problems: list[str]) -> list[Case]:
    """A study's scenarios and data sets as they stand in the configuration."""
    found = []
    for kind, what in (("scenarios", "scenario"), ("datasets", "data set")):
        for number, name in enumerate(spec[kind]):
            if name in config[kind]:
                found.append(Case(name, name, kind == "scenarios", config[kind][name], {}))
            else:
                problems.append(
                    f"{where}.{kind}.{number}: unknown {what} {name!r}; "
                    f"{suggest(name, config[kind])}"
                )
    return found


def _check_keys(
    config: Mapping,
    where: str,
    spec: Mapping,
    unvaried: list[Case],
    points: list[vary.Point],
    problems: list[str],
) -> None:
    """Every varied key must belong somewhere."""
    for key in dict.fromkeys(key for point in points for key in point):
        if not key.startswith(vary.METHOD):
            owners = " or ".join(repr(plain.id) for plain in unvaried)
            if unvaried and not any(_has(plain, key) for plain in unvaried):
                problems.append(f"{where}.vary.{key}: {owners} has no such key")
            continue
        parameter = key.removeprefix(vary.METHOD)
        known = [_parameters(_plugin(config, method)) for method in spec["methods"]]
        if None not in known and not any(parameter in of_one for of_one in known):
            hint = suggest(parameter, dict.fromkeys(name for of_one in known for name in of_one))
            problems.append(f"{where}.vary.{key}: none of the methods has this parameter; {hint}")


def _case(plain: Case, point: vary.Point) -> Case:
    """A scenario or data set with the keys of a point that it has."""
    varied = {key: v for key, v in vary.of_data(point).items() if _has(plain, key)}
    if not varied:
        return plain
    settings = copy.deepcopy(plain.settings)
    for key, value in varied.items():
        vary.set_key(settings, key, value)
    id = f"{plain.id}-{digest(varied)}"
    return Case(id, plain.id, plain.simulated, settings, varied)


def _variant(config: Mapping, method: str, point: vary.Point) -> Variant:
    """A method of the configuration with the parameters of a point that it has."""
    plugin = _plugin(config, method)
    configured = config["methods"].get(method, {})
    parameters = {k: v for k, v in configured.items() if k not in ("plugin", "label")}
    varied = vary.of_methods(point)
    if varied:
        known = _parameters(plugin)
        varied = {key: v for key, v in varied.items() if known is None or key in known}
    parameters |= varied
    n_components = parameters.pop("n_components", None)
    time_limit = parameters.pop("time_limit", config["time_limit"])
    id = f"{method}-{digest(varied)}" if varied else method
    return Variant(id, plugin, parameters, n_components, time_limit, method, varied)


def _plugin(config: Mapping, method: str) -> str:
    return config["methods"].get(method, {}).get("plugin", method)


def _has(plain: Case, key: str) -> bool:
    if plain.simulated:
        return vary.scenario_has(plain.settings, key)
    # A loader that does not exist is named elsewhere.
    known = _settings(plain.settings["load"])
    return known is None or key.partition(".")[0] in known


@functools.cache
def _settings(loader: str) -> Iterable[str] | None:
    """What can be varied of a data set; None if there is no such loader."""
    from spatgmm import datasets

    return set(datasets.defaults(loader)) if loader in datasets.names() else None


@functools.cache
def _parameters(plugin: str) -> Iterable[str] | None:
    """What can be varied of a method; None if there is no such method."""
    from spatgmm import methods

    if plugin not in methods.names():
        return None
    return ["n_components", *methods.get(plugin).defaults]

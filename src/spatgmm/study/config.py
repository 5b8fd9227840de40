"""The configuration of a study: read, checked against the rules of its keys, defaults filled in."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from spatgmm.common.constraints import (
    ABSENT,
    REQUIRED,
    Either,
    Integer,
    Keys,
    Kind,
    List,
    Named,
    Number,
    Parameter,
    Text,
    optional,
)
from spatgmm.common.errors import UsageError
from spatgmm.scenarios import DISTORT, SCENARIO

_ID = Text(r"[a-z][a-z0-9-]*", "an id: lower-case letters, digits and hyphens, a letter first")
_IDS = List(Text(), distinct=True)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(below) for key, below in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float)


#: What JSON can hold: YAML makes dates of some texts.
_PLAIN = Kind("plain: numbers, texts, true, false, null, lists and mappings", _is_plain)

#: Seconds, or None for any time.
_TIME_LIMIT = optional(Number(above=0))

DATASET = Keys(
    {
        "load": Parameter(REQUIRED, Text(), "name of the loader, as `spatgmm datasets` lists it"),
        "distort": Parameter({}, DISTORT, "moves the locations as it does for scenarios"),
    },
    further=True,
)

METHOD = Keys(
    {
        "plugin": Parameter(
            ABSENT, Text(), "name of the plug-in, as `spatgmm methods` lists it (default: the id)"
        ),
        "label": Parameter(ABSENT, Text(), "what tables call it (default: the plug-in's label)"),
        "n_components": Parameter(
            ABSENT, Integer(1), "number of components to fit (default: that of the true groups)"
        ),
        "time_limit": Parameter(ABSENT, _TIME_LIMIT, "takes the place of the study's"),
    },
    further=True,
)

STUDY = Keys(
    {
        "scenarios": Parameter([], _IDS, "ids of scenarios"),
        "datasets": Parameter([], _IDS, "ids of data sets"),
        "vary": Parameter(
            {},
            Either(
                Named(Text(), List(_PLAIN, 1)),
                List(Named(Text(), _PLAIN, least=1), 1),
            ),
            "keys and the values they take, see below",
        ),
        "methods": Parameter(
            REQUIRED, List(Text(), 1, distinct=True), "ids, in the order of tables and legends"
        ),
        "replicates": Parameter(
            1, Integer(1), "draws of each scenario; of real data, repeated fits"
        ),
    }
)

_OUTPUT = Either(
    Text(),
    Keys(
        {
            "table": Parameter(ABSENT, Text(), "name of the table"),
            "figure": Parameter(ABSENT, Text(), "name of the figure"),
            "study": Parameter(
                ABSENT,
                Either(Text(), List(Text(), 1, distinct=True)),
                "the study or studies to show",
            ),
        }
    ),
)

#: What config/*.yaml may hold; config/README.md explains every key with examples.
CONFIG = Keys(
    {
        "name": Parameter(REQUIRED, _ID, "results go to `results/<name>/`"),
        "question": Parameter("", Text(), "what is asked, as the title of the report"),
        "root_seed": Parameter(0, Integer(0), "the one seed that all others come from"),
        "batch_size": Parameter(
            50, Integer(1), "fits per job, all by one method; results do not depend on it"
        ),
        "time_limit": Parameter(None, _TIME_LIMIT, "seconds that one fit may take"),
        "scenarios": Parameter({}, Named(_ID, SCENARIO), "what is simulated, by id"),
        "datasets": Parameter({}, Named(_ID, DATASET), "real data, by id"),
        "methods": Parameter({}, Named(_ID, METHOD), "variants of methods, by id"),
        "studies": Parameter(
            REQUIRED,
            Named(_ID, STUDY, least=1),
            "which methods meet which scenarios or data sets, by id",
        ),
        "outputs": Parameter(REQUIRED, List(_OUTPUT, distinct=True), "tables and figures to make"),
    }
)


class ConfigError(UsageError):
    """Everything that is wrong with a configuration, one line each.

    Parameters
    ----------
    source : str
        Where the configuration came from, usually a file.
    problems : list of str
        Each names the key's path and what is wrong there.
    """

    def __init__(self, source: str, problems: list[str]) -> None:
        self.problems = problems
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{source}: {len(problems)} thing(s) wrong{lines}")


def read(path: str | Path) -> dict[str, Any]:
    """A configuration file as it stands.

    Raises
    ------
    ConfigError
        If the file cannot be read, is no YAML mapping or holds a key twice; the message names the
        line.
    """
    try:
        raw = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(str(path), [at + " ".join(str(error.problem).split())]) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(str(path), [" ".join(str(error).split())]) from None
    if not isinstance(raw, dict):
        raise ConfigError(str(path), ["must hold a mapping of keys to values"])
    return raw


def resolve(raw: Mapping[str, Any], source: str = "configuration") -> dict[str, Any]:
    """A configuration with its defaults filled in; a :class:`ConfigError` if anything is wrong."""
    config, problems = checked(raw)
    if problems:
        raise ConfigError(source, problems)
    return config


def checked(raw: Mapping[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """What is wrong with a configuration, and the rest, which can be checked further.

    Parameters
    ----------
    raw : mapping
        As in the file; left as it is.

    Returns
    -------
    config : dict or None
        Defaults filled in; without what is wrong, and None where that leaves no study.
    problems : list of str
        Every key and value that the rules refuse, one line each.
    """
    config = copy.deepcopy(dict(raw))
    problems = found = list(CONFIG.problems(config))
    while found:
        for problem in found:
            _drop(config, problem.path)
        if "studies" not in config:
            config = None
            break
        config = {"name": "unnamed", "outputs": []} | config
        found = list(CONFIG.problems(config))
    lines = [f"{problem.place}: {problem.message}" for problem in problems]
    if config is None:
        return None, sorted(lines)
    config = CONFIG.filled(config)
    if problems:
        _forget(config, raw)
    return config, sorted(lines)


def dump(config: Mapping[str, Any]) -> str:
    """A configuration as YAML, keys in their order."""
    return yaml.safe_dump(dict(config), sort_keys=False, width=100)


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key that stands twice, of which the last would win unnoticed."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands here a second time", key_node.start_mark
                )
            seen.add(key if isinstance(key, Hashable) else None)
        return super().construct_mapping(node, deep)


def _drop(config: dict, path: tuple[str | int, ...]) -> None:
    """Leave out what is at a path, or where nothing is, what lacks it; of a list, all."""
    node, holder, at = config, None, None
    for number, key in enumerate(path):
        if isinstance(node, list):
            break
        if key not in node:
            if number < len(path) - 1:
                return  # left out already
            break
        node, holder, at = node[key], node, key
    if holder is not None:
        del holder[at]


def _forget(config: dict, raw: Mapping) -> None:
    """Leave out references to what was left out, and what would then be said to lack something."""
    for study, spec in list(config["studies"].items()):
        for kind in ("scenarios", "datasets", "methods"):
            was = raw.get(kind)
            gone = set(was if isinstance(was, Mapping) else ()) - set(config[kind])
            spec[kind] = [id for id in spec[kind] if id not in gone]
        if not spec["methods"] or not spec["scenarios"] + spec["datasets"]:
            del config["studies"][study]
    if set(config["studies"]) != set(raw["studies"]):
        config["outputs"] = []

"""The configuration of a study: read, checked against the schema, defaults filled in."""

from __future__ import annotations

import copy
import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

#: The schema is part of the workflow: studies run from a clone of the project.
SCHEMA_PATH = Path(__file__).with_name("config.schema.yaml")


class ConfigError(ValueError):
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
        If the file cannot be read or is no YAML mapping.
    """
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(str(path), [" ".join(str(error).split())]) from None
    if not isinstance(raw, dict):
        raise ConfigError(str(path), ["must hold a mapping of keys to values"])
    return raw


def resolve(raw: Mapping[str, Any], source: str = "configuration") -> dict[str, Any]:
    """A configuration with its defaults filled in.

    Parameters
    ----------
    raw : mapping
        As in the file; left as it is.
    source : str
        Named in errors.

    Returns
    -------
    dict

    Raises
    ------
    ConfigError
        With every key and value that the schema refuses.
    """
    config = copy.deepcopy(dict(raw))
    problems = [line for error in _validator().iter_errors(config) for line in _explain(error)]
    if problems:
        raise ConfigError(source, sorted(problems))
    return config


def dump(config: Mapping[str, Any]) -> str:
    """A configuration as YAML, keys in their order."""
    return yaml.safe_dump(dict(config), sort_keys=False, width=100)


@functools.cache
def schema() -> dict[str, Any]:
    """The JSON schema of configurations."""
    return yaml.safe_load(SCHEMA_PATH.read_text(encoding="utf-8"))


def scenario_allows(path: Sequence[str | int]) -> bool:
    """Whether the schema knows this key of a scenario.

    Parameters
    ----------
    path : sequence of str or int
        Keys from the scenario down; an int is a place in a list.
    """
    whole = schema()
    nodes = [whole["$defs"]["scenario"]]
    for key in path:
        nodes = [below for node in nodes for below in _below(whole, node, key)]
    return bool(nodes)


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: the nearest known one, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known are {', '.join(known)}" if known else "none is known"


def _below(whole: dict, node: dict, key: str | int) -> Iterator[dict]:
    """What the schema says about a key of a node, in each of the node's alternatives."""
    if "$ref" in node:
        yield from _below(whole, whole["$defs"][node["$ref"].rpartition("/")[2]], key)
    if isinstance(key, int) and "items" in node:
        yield node["items"]
    elif key in node.get("properties", {}):
        yield node["properties"][key]
    for keyword in ("anyOf", "oneOf", "allOf"):
        for alternative in node.get(keyword, []):
            yield from _below(whole, alternative, key)


@functools.cache
def _validator() -> Draft202012Validator:
    plain = Draft202012Validator.VALIDATORS["properties"]

    def properties_with_defaults(validator, properties, instance, schema) -> Iterator:
        if isinstance(instance, dict):
            for key, subschema in properties.items():
                if "default" in subschema:
                    instance.setdefault(key, copy.deepcopy(subschema["default"]))
        yield from plain(validator, properties, instance, schema)

    extended = validators.extend(Draft202012Validator, {"properties": properties_with_defaults})
    return extended(schema())


def _explain(error: ValidationError) -> Iterator[str]:
    path = [str(key) for key in error.absolute_path]
    if error.validator == "additionalProperties" and error.validator_value is False:
        known = error.schema["properties"]
        for key in error.instance:
            if key not in known:
                yield f"{'.'.join([*path, str(key)])}: unknown key; {suggest(key, known)}"
    elif "propertyNames" in error.absolute_schema_path:
        where = ".".join([*path, str(error.instance)])
        yield f"{where}: an id holds lower-case letters, digits and hyphens, a letter first"
    elif error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        yield from (f"{'.'.join([*path, key])}: missing" for key in missing)
    else:
        yield f"{'.'.join(path) or 'configuration'}: {error.message}"

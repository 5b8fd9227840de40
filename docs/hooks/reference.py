"""Reference pages, written from what the package itself checks and parses with."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

from spatgmm import cli, datasets, methods
from spatgmm.common.constraints import (
    ABSENT,
    REQUIRED,
    Either,
    Keys,
    List,
    Named,
    Parameter,
    Rule,
)
from spatgmm.fitting.options import OPTIONS
from spatgmm.study import config, outputs

ROOT = Path(__file__).parents[2]

#: Columns of help, which argparse asks the terminal for.
_WIDTH = "100"


def pages() -> dict[str, str]:
    """All pages by their path in the site."""
    return {
        "reference/options.md": options(),
        "reference/keys.md": keys(),
        "reference/command-line.md": command_line(),
        "reference/outputs.md": catalogue(),
    }


def options() -> str:
    """Parameters of the estimator, of the methods and of the data sets."""
    parts = [
        "# Options\n\nWhat every parameter may be, as it is declared: the estimator, the command "
        "line and configurations check by these lines.\n",
        "## `SpatialGaussianMixture`\n\nThe same names are parameters of the methods `spatgmm` and "
        "`spatgmm-gls`.\n",
        _parameters(OPTIONS),
        "## Methods\n",
    ]
    for name in methods.names():
        method = methods.get(name)
        needs = f", needs R's {', '.join(method.requires)}" if method.requires else ""
        parts.append(f"### `{name}`\n\n{method.label}{needs}.\n")
        parts.append(_parameters(method.declared))
    parts.append("## Data sets\n")
    for name in datasets.names():
        parts += [
            f"### `{name}`\n\n{datasets.summary(name)}\n",
            _parameters(datasets.declared(name)),
        ]
    return "\n".join(parts)


def keys() -> str:
    """Every key of a configuration, mapping by mapping."""
    head = (
        "# Configuration keys\n\nWhat a study's configuration may hold, as it is checked; "
        "[Configurations](configurations.md) explains the keys with examples.\n"
    )
    sections = [f"## {title}\n\n{_parameters(mapping.keys)}" for title, mapping in _mappings()]
    return "\n".join([head, *sections])


def command_line() -> str:
    """The help of every command, as argparse prints it."""
    parts = ["# Command line\n"]
    with mock.patch.dict(os.environ, COLUMNS=_WIDTH):
        for title, parser in _with_steps("spatgmm", cli.parser()):
            parts.append(f"## `{title}`\n\n```text\n{parser.format_help()}```\n")
    return "\n".join(parts)


def catalogue() -> str:
    """Tables and figures: what each shows, and the command that makes it again."""
    parts = [
        "# Tables and figures\n\nWhat a study can show, by name. `make reproduce` makes all that "
        "`config/paper.yaml` asks for; the command below makes one again, with the fits that it "
        "needs. [Configurations](configurations.md#outputs) says how to ask for one by name and "
        "study.\n"
    ]
    commands = _commands()
    for output in outputs.CATALOGUE:
        parts.append(
            f"## {output.kind.capitalize()} `{output.name}`: {output.title}\n\n{output.caption}\n"
        )
        if (output.kind, output.name) in commands:
            parts.append(f"```sh\n{commands[output.kind, output.name]}\n```\n")
    return "\n".join(parts)


def _commands() -> dict[tuple[str, str], str]:
    """What makes an output, by kind and name, where a configuration of the project asks for it."""
    commands: dict[tuple[str, str], str] = {}
    for name in ("paper", "sweep", "scale"):
        settings, _ = config.checked(config.read(ROOT / f"config/{name}.yaml"))
        for asked in outputs.asked(settings):
            command = f"snakemake {asked.name} --cores 2 --configfile config/{name}.yaml"
            commands.setdefault((asked.output.kind, asked.output.name), command)
    return commands


def _mappings() -> Iterator[tuple[str, Keys]]:
    """All mappings below the top level, with the path that leads to each."""
    yield "Top level", config.CONFIG
    for name, parameter in config.CONFIG.keys.items():
        yield from _below(name, parameter.rule)


def _below(path: str, rule: Rule) -> Iterator[tuple[str, Keys]]:
    if isinstance(rule, Keys):
        yield f"`{path}`", rule
        for name, parameter in rule.keys.items():
            yield from _below(f"{path}.{name}", parameter.rule)
    elif isinstance(rule, Named):
        yield from _below(f"{path}.ID", rule.of)
    elif isinstance(rule, List):
        yield from _below(f"{path}.N", rule.of)
    elif isinstance(rule, Either):
        for one in rule.rules:
            yield from _below(path, one)


def _parameters(declared: Mapping[str, Parameter]) -> str:
    if not declared:
        return "No parameters.\n"
    rows = [
        f"| `{name}` | {_cell(parameter.text)} | {_cell(str(parameter.rule))} "
        f"| {_default(parameter.default)} |"
        for name, parameter in declared.items()
    ]
    return "\n".join(["| name | what it is | values | default |", "|---|---|---|---|", *rows, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _default(value: object) -> str:
    if value is REQUIRED:
        return "must be given"
    return "none" if value is ABSENT else f"`{_cell(repr(value))}`"


def _with_steps(
    title: str, parser: argparse.ArgumentParser
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """A parser and those of its own commands."""
    yield title, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from _with_steps(f"{title} {name}", below)

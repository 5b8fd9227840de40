"""``spatgmm methods``: what is there, which can run here, and why not."""

from __future__ import annotations

import argparse

from spatgmm import methods, simulate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which methods, and how much of each."""
    parser.add_argument(
        "names", nargs="*", metavar="METHOD", help="those to show, with parameters (default: all)"
    )
    parser.add_argument(
        "--parameters", action="store_true", help="show what each can be told, with defaults"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print a line per method, and one per parameter where asked for."""
    # The smallest data that every method can have: a grid, known groups, more maps than pixels.
    component = {"alpha": [1, -0.9, 0.3], "beta": 2.5}
    scenario = simulate.Scenario.from_config(
        "probe",
        {
            "locations": {"grid": [3, 3]},
            "n": 40,
            "weights": [0.5, 0.5],
            "components": [component, component],
        },
    )
    data = simulate.draw(scenario, replicate=0, root_seed=0)
    for name in arguments.names or methods.names():
        method = methods.get(name)
        reason = method.supports(data, 2)
        state = f"cannot run: {reason}" if reason else "ready"
        print(f"{name:14} {method.label:30} {state}")
        if arguments.names or arguments.parameters:
            for parameter, declared in method.declared.items():
                print(f"    {parameter} = {declared.default!r}: {_told(declared)}")


def _told(declared) -> str:
    """What a parameter is for, if it says so, and what it may be."""
    return "; ".join(filter(None, [declared.text, str(declared.rule)]))

"""``spatgmm methods``: what is there, which can run here, and why not."""

from __future__ import annotations

import argparse

from spatgmm import methods, simulate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command takes none."""


def run(arguments: argparse.Namespace) -> None:
    """Print a line per method."""
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
    for name in methods.names():
        method = methods.get(name)
        reason = method.supports(data, 2)
        state = f"cannot run: {reason}" if reason else "ready"
        print(f"{name:14} {method.label:30} {state}")
        for parameter, value in method.defaults.items():
            print(f"{'':14}   {parameter} = {value!r}")

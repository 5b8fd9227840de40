"""``spatgmm datasets``: what is there, which can be loaded here, and why not."""

from __future__ import annotations

import argparse

from spatgmm import datasets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command takes none."""


def run(arguments: argparse.Namespace) -> None:
    """Print a line per data set, and its settings."""
    for name in datasets.names():
        reason = datasets.missing(name)
        print(f"{name:14} {datasets.summary(name)}")
        if reason:
            print(f"    cannot be loaded: {reason}")
        for setting, declared in datasets.declared(name).items():
            print(f"    {setting} = {declared.default!r}: {declared.text}")

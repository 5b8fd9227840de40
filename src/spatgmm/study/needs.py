"""What a table or figure needs of a configuration: each says what is lacking, or None."""

from __future__ import annotations

from collections.abc import Mapping


def study(name: str):
    """A study of that name."""

    def lacking(config: Mapping) -> str | None:
        return None if name in config["studies"] else f"the configuration has no study {name!r}"

    return lacking


def scenarios(config: Mapping) -> str | None:
    """Some study on simulated data."""
    if any(spec["scenarios"] for spec in config["studies"].values()):
        return None
    return "no study of the configuration draws from a scenario"


def grid_scenario(config: Mapping) -> str | None:
    """Some study on simulated data of a grid with rows and columns."""
    for spec in config["studies"].values():
        for scenario in spec["scenarios"]:
            if len(config["scenarios"].get(scenario, {}).get("locations", {}).get("grid", ())) == 2:
                return None
    return "no study of the configuration draws from a scenario on a grid of rows and columns"


def datasets(centred: bool | None = None):
    """Some study on data sets, of raw or of group-centred ones if that matters."""
    kind = {None: "a", True: "a group-centred", False: "a raw"}[centred]

    def lacking(config: Mapping) -> str | None:
        for spec in config["studies"].values():
            for variant in spec["datasets"]:
                settings = config["datasets"].get(variant, {})
                if centred in (None, bool(settings.get("centred", False))):
                    return None
        return f"no study of the configuration uses {kind} data set"

    return lacking

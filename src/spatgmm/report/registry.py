"""What a run can be asked for by name, tables and figures alike: one registry serves both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

#: What a configuration lacks for an output, None if nothing: see :mod:`spatgmm.study.needs`.
Need = Callable[[Mapping], str | None]


class Registry:
    """The outputs of one kind, each made by one module, imported when its output is asked for.

    Parameters
    ----------
    kind : str
        ``"table"``, say, for messages; files go to the folder ``<kind>s`` of the results.
    package : str
        Dotted name of the package that holds the modules.
    entries : mapping
        By name of the output: its module, and what it needs of a configuration.
    save : callable
        ``save(name, module, results, directory)`` writes one output and returns the paths.
    """

    def __init__(
        self,
        kind: str,
        package: str,
        entries: Mapping[str, tuple[str, Need]],
        save: Callable[..., list[Path]],
    ):
        self._kind = kind
        self._package = package
        self._entries = entries
        self._save = save

    def names(self) -> list[str]:
        """The outputs there are."""
        return list(self._entries)

    def missing(self, name: str, config: Mapping) -> str | None:
        """Why this configuration cannot fill the output; None if it can.

        Raises
        ------
        ValueError
            If there is no such output; the message lists those that exist.
        """
        _, need = self._entry(name)
        return need(config)

    def module(self, name: str) -> ModuleType:
        """The module that makes this output.

        Raises
        ------
        ValueError
            If there is no such output.
        """
        module, _ = self._entry(name)
        return import_module(f"{self._package}.{module}")

    def check(self, name: str, config: Mapping) -> None:
        """Refuse an output that is not there, or that this configuration cannot fill.

        Raises
        ------
        ValueError
        """
        lacking = self.missing(name, config)
        if lacking:
            raise ValueError(f"{name}: {lacking}")

    def write(self, name: str, config: Mapping, results_dir) -> list[Path]:
        """Write an output into its folder of the results.

        Parameters
        ----------
        name : str
            One of :meth:`names`.
        config : mapping
            The validated study configuration.
        results_dir : path-like
            ``results/<name>`` of that configuration.

        Returns
        -------
        list of Path
            The files written.

        Raises
        ------
        ValueError
            If there is no such output, or the configuration lacks what it shows.
        FileNotFoundError
            If the run's fits are not there.
        """
        from spatgmm.report.results import Results

        self.check(name, config)
        results = Results(config, results_dir)
        return self._save(name, self.module(name), results, Path(results_dir) / f"{self._kind}s")

    def _entry(self, name: str) -> tuple[str, Need]:
        if name not in self._entries:
            known = ", ".join(self._entries)
            raise ValueError(f"unknown {self._kind} {name!r}; known are {known}")
        return self._entries[name]

"""What a finished run has to tell, for ``summary.md`` and ``report.html`` alike.

The answer first, then every table and figure by the study that it shows, then what stands behind
them: methods, data, failures, software, time.
"""

from __future__ import annotations

import os
import platform
import shlex
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from spatgmm.common import r
from spatgmm.report import labels, registry
from spatgmm.report.figures.drawing import Drawing
from spatgmm.report.results import Results, tallied
from spatgmm.report.tables.table import Table
from spatgmm.report.words import STAND_IN, listing, one_line, significant
from spatgmm.study import outputs, provenance, rows
from spatgmm.study.outputs import Asked

#: Sentences that say what was found.
_HEADLINE = 3


@dataclass(frozen=True)
class Told:
    """One table or figure: what was asked for, and what became of it."""

    asked: Asked
    made: Table | Drawing


@dataclass(frozen=True)
class Chapter:
    """The tables and figures that answer one question."""

    question: str
    outputs: list[Told]

    @property
    def id(self) -> str:
        """Of the first of them, for a link."""
        return f"about-{self.outputs[0].asked.name}"


class Story:
    """The tables, figures and facts of a run.

    Parameters
    ----------
    results : Results
    """

    def __init__(self, results: Results):
        self.results = results
        self.name = results.config["name"]
        self.question = results.config["question"] or f"Results of the configuration {self.name}"

    @cached_property
    def outputs(self) -> list[Told]:
        """All that the configuration asks for, in its order."""
        wanted = outputs.asked(self.results.config)
        return [Told(asked, registry.build(asked, self.results)) for asked in wanted]

    @property
    def opening(self) -> list[Told]:
        """What a reader should see first."""
        return [told for told in self.outputs if told.asked.output.headline]

    @property
    def headline(self) -> list[str]:
        """The answer, in three sentences at most; the last one says what was run."""
        tables = [told.made for told in self.opening if told.asked.output.kind == "table"]
        found = [sentence for table in tables for sentence in table.headline]
        return [*found[: _HEADLINE - 1], self.runs()]

    @property
    def chapters(self) -> list[Chapter]:
        """The story question by question, in the order of the configuration."""
        questions: dict[str, list[Told]] = {}
        for told in self.outputs:
            output = told.asked.output
            questions.setdefault(output.question or output.title, []).append(told)
        return [Chapter(question, told) for question, told in questions.items()]

    def runs(self) -> str:
        """What was run, and how it ended."""
        tally, design = self.results.tally(), self.results.design
        ended = tallied(tally.groupby("status")["fits"].sum().to_dict())
        methods = {variant.base_method for variant in design.methods.values()}
        return (
            f"{tally['fits'].sum()} fits by {len(methods)} methods in {len(design.studies)} "
            f"studies: {ended['n_ok']} ok, {ended['n_failed']} failed, {ended['n_unsupported']} "
            "not applicable to their data."
        )

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before any number."""
        cases = [case.id for case in self.results.design.cases.values() if not case.simulated]
        stand_ins = [case for case in cases if self.results.is_stand_in(case)]
        told = [self.results.mixed()] if self.results.mixed() else []
        if stand_ins:
            told.append(
                f"{', '.join(stand_ins)}: {STAND_IN}. These maps were simulated from documented "
                "parameters in place of measurements that only a user can bring; their numbers say "
                "nothing about real samples."
            )
        return told

    # -- what stands behind it ----------------------------------------------------------------

    def methods(self) -> pd.DataFrame:
        """A row per method of the configuration: what it is, its code, its fits and their time."""
        tally, design = self.results.tally(), self.results.design
        base = tally["method"].map(lambda method: design.methods[method].base_method)
        lines = []
        for method, group in tally.groupby(base, sort=False):
            ended = tallied(group.groupby("status")["fits"].sum().to_dict())
            lines.append(
                {
                    "method": method,
                    "what it is": self.results.plugin(group["method"].iloc[0]).label,
                    "plug-in": group["plugin"].iloc[0],
                    "set here": labels.settings(self.results, method) or "–",
                    "code": ", ".join(sorted(group["code_hash"].dropna().unique())),
                    "fits ok": str(ended["n_ok"]),
                    "failed": str(ended["n_failed"]),
                    "not applicable": str(ended["n_unsupported"]),
                    "seconds": significant(float(group["seconds"].sum())),
                }
            )
        return pd.DataFrame(lines)

    def data(self) -> pd.DataFrame:
        """A row per scenario and data set."""
        lines = {}
        for case in self.results.design.cases.values():
            if case.scenario in lines:
                continue
            data = self.results.dataset(case.id)
            lines[case.scenario] = {
                "name": case.scenario,
                "maps": str(len(data.X)),
                "locations": str(data.X.shape[1]),
                "groups": str(len(data.label_names)),
                "what they are": data.description or "–",
                "source": data.source or "–",
            }
        return pd.DataFrame(lines.values())

    def failures(self) -> pd.DataFrame:
        """Fits that were tried and gave no result, by case, method and reason."""
        lost = self.results.lost()
        names = labels.variants(self.results)
        lines = []
        for (case, method, status), group in lost.groupby(["case", "method", "status"], sort=False):
            lines.append(
                {
                    "maps": labels.case(self.results, case),
                    "method": names[method],
                    "ended": status,
                    "fits": str(len(group)),
                    "most often": one_line(group["error"].mode().iloc[0]),
                }
            )
        return pd.DataFrame(lines, columns=["maps", "method", "ended", "fits", "most often"])

    def times(self) -> pd.DataFrame:
        """A row per study: its fits and their seconds."""
        spent = self.results.spent()
        lines = []
        for study, pairs in self.results.design.studies.items():
            own = spent.reindex(list(pairs))
            lines.append(
                {
                    "study": study,
                    "fits": str(int(own["fits"].sum())),
                    "seconds": significant(float(own["seconds"].sum())),
                }
            )
        return pd.DataFrame(lines)

    def versions(self) -> str:
        """Software behind the rows, as they say themselves."""
        tally = self.results.tally()
        versions = []
        for column, label in rows.VERSIONS.items():
            found = sorted(str(version) for version in tally[column].dropna().unique())
            if found:
                versions.append(f"{label} {' and '.join(found)}")
        return ", ".join(versions)

    def provenance(self) -> dict[str, str]:
        """Where the run comes from; machine and R's packages are those of the one that tells."""
        commit = provenance.commit()
        return {
            "Code": commit or "not under version control",
            "Root seed": str(self.results.design.root_seed),
            "Seconds in fits": f"{significant(self.results.tally()['seconds'].sum())}, all "
            "processes together",
            "Made with": self.versions(),
            "R's packages": self._r_packages(),
            "Machine": f"{provenance.processor()}, {os.cpu_count()} cores",
            "System": platform.platform(),
        }

    def _r_packages(self) -> str:
        plugins = [self.results.plugin(variant) for variant in self.results.design.methods]
        needed = sorted({name for plugin in plugins for name in plugin.requires})
        if not needed:
            return "none needed"
        found = r.versions(needed)
        return listing([f"{name} {version}" for name, version in found.items()]) or "no R here"

    def commands(self) -> list[str]:
        """What makes all of it again, and one table or figure alone."""
        config = f"results/{self.name}/config.yaml"
        whole = ["snakemake", "all", "--cores", "2", "--configfile", config]
        said = [shlex.join(whole)]
        if self.outputs:
            said.append(shlex.join(["snakemake", self.outputs[0].asked.name, *whole[2:]]))
        return said

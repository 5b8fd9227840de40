"""The catalogue of tables and figures: what each shows, and of which studies.

Code that makes them stands in :mod:`spatgmm.report`, a module each; the check of a configuration,
the workflow and the report all ask here.  A new table or figure is a module there and an entry at
the end of :data:`CATALOGUE`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spatgmm.common.constraints import suggest
from spatgmm.common.errors import UsageError
from spatgmm.study import vary

KINDS = ("table", "figure")


@dataclass(frozen=True)
class Trait:
    """Something that a study may be.

    Attributes
    ----------
    text : str
        Said of a study that is: "draws from a scenario".
    holds : callable
        ``holds(config, spec)``, the study's part of the configuration.
    """

    text: str
    holds: Callable[[Mapping, Mapping], bool]


def _varies(*prefixes: str) -> Trait:
    def holds(config: Mapping, spec: Mapping) -> bool:
        return any(key.startswith(prefixes) for point in vary.points(spec["vary"]) for key in point)

    return Trait(f"varies {' or '.join(prefixes)}", holds)


def _on_grid(config: Mapping, spec: Mapping) -> bool:
    scenarios = [config["scenarios"].get(name, {}) for name in spec["scenarios"]]
    return any(len(one.get("locations", {}).get("grid", ())) == 2 for one in scenarios)


def _kind_of_data(what: str, centred: bool) -> Trait:
    def holds(config: Mapping, spec: Mapping) -> bool:
        used = [config["datasets"].get(name, {}) for name in spec["datasets"]]
        found = [bool(settings.get("centred", False)) for settings in used]
        return not spec["vary"] and centred in found

    return Trait(f"uses a {what} data set", holds)


SIMULATED = Trait("draws from a scenario", lambda config, spec: bool(spec["scenarios"]))
ON_GRID = Trait("draws from a scenario on a grid of rows and columns", _on_grid)
REAL = Trait(
    "uses data sets as they are",
    lambda config, spec: bool(spec["datasets"]) and not spec["vary"],
)
RAW = _kind_of_data("raw", centred=False)
CENTRED = _kind_of_data("group-centred", centred=True)


@dataclass(frozen=True)
class Output:
    """A table or figure that a configuration can ask for.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    name : str
        As in a configuration; unique among its kind.
    title : str
        What it shows, in a few words.
    caption : str
        How to read it, whatever the study; what depends on the run is said in its notes.
    studies : tuple of str or Trait
        Shown where the configuration names none: studies of that name, all studies of that trait.
        The first must be there, further ones come along if they are.
    otherwise : tuple of str or Trait
        The same, where the configuration has not what `studies` asks for.
    each, some : Trait or None
        What all of the studies, or one of them, must be.
    several : bool
        Whether it can show more than one study.
    headline : bool
        Whether a summary opens with what it shows.
    question : str
        What it helps to answer: a chapter of the report holds all of one question.
    module : str
        In ``spatgmm.report.<kind>s`` (default, that of its name).
    options : mapping
        Keyword arguments of the module's ``build``.
    """

    kind: str
    name: str
    title: str
    caption: str
    studies: tuple[str | Trait, ...]
    otherwise: tuple[str | Trait, ...] = ()
    each: Trait | None = None
    some: Trait | None = None
    several: bool = False
    headline: bool = False
    question: str = ""
    module: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "module", self.module or self.name.replace("-", "_"))

    @property
    def code(self) -> str:
        """Dotted name of the module that makes it."""
        return f"spatgmm.report.{self.kind}s.{self.module}"

    def default(self, config: Mapping) -> tuple[str, ...]:
        """The studies to show where the configuration names none.

        Raises
        ------
        ValueError
            If there are none for it.
        """
        try:
            return self._chosen(config, self.studies)
        except ValueError:
            if not self.otherwise:
                raise
            return self._chosen(config, self.otherwise)

    def check(self, config: Mapping, studies: tuple[str, ...]) -> None:
        """Refuse studies that cannot be shown.

        Raises
        ------
        ValueError
        """
        for study in studies:
            if study not in config["studies"]:
                raise ValueError(f"unknown study {study!r}; {suggest(study, config['studies'])}")
        if len(studies) > 1 and not self.several:
            raise ValueError(f"shows one study, not {len(studies)}")
        for trait, enough in ((self.each, all), (self.some, any)):
            if trait and not enough(trait.holds(config, config["studies"][s]) for s in studies):
                raise ValueError(f"needs a study that {trait.text}")

    def _chosen(self, config: Mapping, wanted: tuple[str | Trait, ...]) -> tuple[str, ...]:
        found: list[str] = []
        for number, one in enumerate(wanted):
            if isinstance(one, Trait):
                specs = config["studies"].items()
                names = [study for study, spec in specs if one.holds(config, spec)]
                lacking = f"no study of the configuration {one.text}"
            else:
                names = [one] if one in config["studies"] else []
                lacking = f"the configuration has no study {one!r}"
            if not names and not number:
                raise ValueError(lacking)
            found += names
        studies = tuple(dict.fromkeys(found))
        self.check(config, studies)
        return studies


@dataclass(frozen=True)
class Asked:
    """An output as one configuration asks for it.

    Attributes
    ----------
    name : str
        Of its files, its target in the workflow and its heading: ``table2``.
    output : Output
    studies : tuple of str
        What it shows.
    """

    name: str
    output: Output
    studies: tuple[str, ...]

    @property
    def label(self) -> str:
        """``table2`` for readers: ``Table 2``."""
        return re.sub(r"(\d+)$", r" \1", self.name).capitalize()

    @property
    def caption(self) -> str:
        """Title and caption."""
        return f"{self.output.title}. {self.output.caption}"


def asked(config: Mapping) -> list[Asked]:
    """The outputs of a valid configuration, in its order."""
    return [found for found in _entries(config) if isinstance(found, Asked)]


def problems(config: Mapping) -> list[str]:
    """What is wrong with the outputs that a configuration asks for, one line each."""
    return [found for found in _entries(config) if isinstance(found, str)]


def find(config: Mapping, name: str) -> Asked:
    """The output of that name; one that the configuration does not list has its short form.

    Raises
    ------
    ValueError
        If there is no such output, or the configuration cannot fill it.
    """
    for one in asked(config):
        if one.name == name:
            return one
    output = _short(name)
    try:
        return Asked(name, output, output.default(config))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _entries(config: Mapping) -> Iterator[Asked | str]:
    """What each entry of a configuration's outputs asks for, or what is wrong with it."""
    # Numbers that short forms take; long forms go on from the one before them.
    taken = {entry for entry in config["outputs"] if isinstance(entry, str)}
    last = dict.fromkeys(KINDS, 0)
    for number, entry in enumerate(config["outputs"]):
        where = f"outputs.{number}"
        try:
            if isinstance(entry, str):
                output, name, studies = _short(entry), entry, None
                where = f"{where}: {entry}"
                last[output.kind] = _position(output)
            else:
                output, studies = _long(entry)
                last[output.kind] += 1
                while f"{output.kind}{last[output.kind]}" in taken:
                    last[output.kind] += 1
                name = f"{output.kind}{last[output.kind]}"
            if studies is None:
                studies = output.default(config)
            output.check(config, studies)
            yield Asked(name, output, studies)
        except ValueError as error:
            yield f"{where}: {error}"


def _short(name: str) -> Output:
    """``table2``: the second table of the catalogue."""
    known = {f"{output.kind}{_position(output)}": output for output in CATALOGUE}
    if name not in known:
        raise UsageError(f"unknown table or figure {name!r}; {suggest(name, known)}")
    return known[name]


def _long(entry: Mapping) -> tuple[Output, tuple[str, ...] | None]:
    """``{table: comparison, study: mine}``."""
    kinds = [kind for kind in KINDS if kind in entry]
    if len(kinds) != 1:
        raise ValueError("must name a table or a figure, and not both")
    kind, name = kinds[0], entry[kinds[0]]
    known = {output.name: output for output in CATALOGUE if output.kind == kind}
    if name not in known:
        raise ValueError(f"unknown {kind} {name!r}; {suggest(name, known)}")
    studies = entry.get("study")
    return known[name], (studies,) if isinstance(studies, str) else studies and tuple(studies)


def _position(output: Output) -> int:
    """Where it stands among those of its kind, counted from 1."""
    return [one for one in CATALOGUE if one.kind == output.kind].index(output) + 1


_CONVENTION = (
    "Covariance Ξ = α₁J + α₂D(β) + α₃I with J all ones (diagonal too), so the variance is α₁ + α₃ "
    "and α₃ is the nugget."
)

#: Questions of the report's chapters.
_FOUND = "Who finds groups that differ in their spatial covariance?"
_RECOVERED = "Are the parameters recovered, with honest standard errors?"
_REAL_DATA = "What is found in real data?"
_STABLE = "Does the result depend on where a solver starts?"
_LOCATIONS = "What if locations are wrong?"
_DIRECTIONS = "What if correlation has a direction?"
_CHOSEN = "Does BIC choose the right model?"
_FAST = "How long does it take?"
_SWEPT = "How does it depend on what is varied?"
_LARGE = "What do pixels cost?"
_OUTLYING = "How many broken maps does it bear?"
_KNOWN = "What are some known labels worth?"

#: All tables and figures; the short form ``table2`` is the second table here, so that new ones come
#: last.
CATALOGUE = (
    Output(
        "table",
        "recovery",
        "Parameter recovery",
        "Estimates over simulated replicates against the truth. Empirical SE: standard deviation "
        "of the estimates over replicates; model SE: mean standard error by observed information; "
        "ratio: model over empirical; coverage: share of 95 % intervals that hold the truth "
        f"(standard error of that share). {_CONVENTION}",
        question=_RECOVERED,
        studies=("recovery",),
        each=SIMULATED,
    ),
    Output(
        "table",
        "comparison",
        "Comparison of methods",
        "Adjusted Rand index (ARI) by method and scenario, over replicates that every method "
        "shares: mean (standard error of the mean), median, and fits that succeeded / failed. "
        "Classification by the true parameters gives the best possible ARI.",
        question=_FOUND,
        studies=("comparison",),
        headline=True,
    ),
    Output(
        "table",
        "real-raw",
        "Real data as they are",
        "ARI and accuracy (share in the right group under the best match of clusters to groups) "
        "against the true groups, chosen model, BIC (smaller is better), seconds per fit.",
        question=_REAL_DATA,
        studies=(REAL,),
        each=REAL,
        some=RAW,
        several=True,
        module="real",
        options={"centred": False},
    ),
    Output(
        "table",
        "real-centred",
        "Real data without the groups' means",
        "Each true group's mean map is subtracted first, so that only covariance is left to "
        "cluster by. ARI and accuracy (share in the right group under the best match of clusters "
        "to groups) against the true groups, chosen model, BIC (smaller is better), seconds per "
        "fit.",
        question=_REAL_DATA,
        studies=(REAL,),
        each=REAL,
        some=CENTRED,
        several=True,
        module="real",
        options={"centred": True},
    ),
    Output(
        "table",
        "spatial-parameters",
        "Fitted spatial covariances",
        f"Estimates per group (standard error in brackets). {_CONVENTION} Baseline α₁ + α₂: "
        "covariance at the largest distance; partial sill −α₂; nugget α₃; effective range: "
        "distance at which 5 % of the partial sill is left, in the unit of the coordinates.",
        question=_REAL_DATA,
        studies=("film",),
        several=True,
    ),
    Output(
        "table",
        "stability",
        "Stability of the solvers",
        "Runs over starting values of β and data sets (seeds). Single starts begin at k-means "
        "labels; multi-start finds its own β, so that its runs differ in random starts. Best: the "
        "highest log-likelihood of any run on the same data set. Percentages are of all runs, "
        "failures included.",
        question=_STABLE,
        studies=("stability", "stability-multistart"),
        some=_varies("method.beta_init"),
        several=True,
    ),
    Output(
        "table",
        "coordinates",
        "Distorted locations",
        "ARI (standard error of the mean over replicates; real data are one fit) and what BIC "
        "loses against the true locations (positive: the true locations fit better). Permuted: a "
        "share of the locations change places; jittered: normal noise in units of the smallest "
        "distance; stretched: one axis by a factor.",
        question=_LOCATIONS,
        studies=("coordinates", "coordinates-real"),
        each=_varies("distort."),
        several=True,
    ),
    Output(
        "table",
        "anisotropy",
        "Correlation with a direction",
        "Stripes by how many times farther correlation reaches along them than across: mean ARI "
        "(standard error of the mean), and the mean absolute error of the estimated angle in "
        "degrees (about 45 where the truth has no direction).",
        question=_DIRECTIONS,
        studies=("anisotropy",),
        each=_varies("components."),
    ),
    Output(
        "table",
        "selection",
        "Model selection",
        "How often each number of components G, or each decay, has the lowest BIC or ICL of its "
        "replicate; how far its BIC lies above the lowest; ARI; and, where standard errors were "
        "asked for, the share of distances at which the pointwise band of the fitted correlation "
        "holds the true one, over components and replicates.",
        question=_CHOSEN,
        studies=("selection", "selection-decay"),
        each=_varies("method.n_components", "method.decay"),
        several=True,
    ),
    Output(
        "table",
        "sweep",
        "Sweep",
        "Adjusted Rand index (ARI) by method over all that is varied, mean (standard error of the "
        "mean).",
        question=_SWEPT,
        studies=("sweep",),
        headline=True,
    ),
    Output(
        "figure",
        "example-maps",
        "Simulated maps",
        "Maps of each component in each scenario, replicate 0. In a scenario all maps share one "
        "colour scale; a cube's slices are laid out side by side.",
        question=_FOUND,
        studies=("comparison",),
        otherwise=(SIMULATED,),
        some=SIMULATED,
        several=True,
    ),
    Output(
        "figure",
        "decay-curves",
        "Decay of correlation",
        "(a) The sigmoid decay s(δ; β); at the lower bound of β it is a straight line. Other "
        "panels: fitted correlation by scaled distance per component (lines), its pointwise 95 % "
        "band by the delta method from the fit's observed information (shaded; none where a fit "
        "came without), the truth of simulated data (dashed), and mean empirical correlations of "
        "pairs of locations about the component's mean map (points; components by true labels in "
        "simulated data, by fitted ones in real data); where BIC takes another decay of those "
        "fitted, its curve too (dash-dotted). Simulated: replicate 0.",
        question=_RECOVERED,
        studies=("recovery", REAL),
        otherwise=(SIMULATED, REAL),
        some=SIMULATED,
        several=True,
    ),
    Output(
        "figure",
        "ari",
        "ARI by method and scenario",
        "Every replicate (dots), mean with 95 % interval (bar), and the best possible mean, by the "
        "true parameters (dashed line). Notes count the fits that failed and mark methods that do "
        "not apply.",
        question=_FOUND,
        studies=("comparison",),
        headline=True,
    ),
    Output(
        "figure",
        "covariances",
        "Covariance matrices",
        "Covariances of the locations (rows and columns in C order), component by component: the "
        "truth; the separable covariance (row ⊗ column) that a mixture of matrix normals would "
        "reach at best, with endless data and known groups; fitted spatial covariances; and, for "
        "other methods with a likelihood, the sample covariance of the clusters they found. Error: "
        "relative, in Frobenius norm; loss: log-likelihood lost per map against the truth, "
        "which row ⊗ column makes as small as it can (singular: without limit).",
        question=_FOUND,
        studies=("comparison",),
        otherwise=(ON_GRID,),
        some=ON_GRID,
        several=True,
    ),
    Output(
        "figure",
        "recovery",
        "Estimates by the number of maps",
        "Estimates of the parameters of each component: every replicate (dots), mean and range of "
        "the middle 95 % of replicates (bars), truth (dashed line). Coefficients α for J all ones. "
        "Vertical axes are cut to the middle 99 % of replicates.",
        question=_RECOVERED,
        studies=("recovery",),
        each=SIMULATED,
    ),
    Output(
        "figure",
        "real-data",
        "Real data",
        "One data set per row. Left: example maps of each group. Middle: true groups against "
        "clusters, in the raw data and with each group's mean map subtracted (numbers of maps; "
        "colour: share of the group). Right: fitted correlation by distance per cluster "
        "(lines; raw data where they were fitted, else centred), 95 % band by the delta method "
        "from the fit's observed information, and mean empirical correlations about the cluster's "
        "mean map (points); where BIC takes another decay of those fitted, its curve too "
        "(dash-dotted). Colours as in the maps' frames.",
        question=_REAL_DATA,
        studies=(REAL,),
        each=REAL,
        several=True,
    ),
    Output(
        "figure",
        "stability",
        "Every run by its start",
        "Runs by starting β and data set (seed), for each solver and way of starting: how far "
        "below the best log-likelihood known for the same data it ended, in units of "
        "log-likelihood. Failed: no result, or a component lost. Multi-start finds its own β; its "
        "runs along a row differ in random starts only.",
        question=_STABLE,
        studies=("stability", "stability-multistart"),
        some=_varies("method.beta_init"),
        several=True,
    ),
    Output(
        "figure",
        "run-time",
        "Run time",
        "Seconds of one fit by method (logarithmic scale), multi-start and model search included: "
        "every successful fit (dots), median (bar), middle 95 % (line).",
        question=_FAST,
        studies=("comparison", REAL),
        several=True,
    ),
    Output(
        "figure",
        "coordinates",
        "Distorted locations",
        "ARI (top, bars: 95 % interval of the mean over replicates) and what BIC loses against the "
        "true locations, for each map (bottom), as locations are permuted, jittered or stretched. "
        "Real data are one fit each.",
        question=_LOCATIONS,
        studies=("coordinates", "coordinates-real"),
        each=_varies("distort."),
        several=True,
    ),
    Output(
        "figure",
        "sweep-heat",
        "Sweep: maps of ARI",
        "Mean ARI over the first two keys that are varied, a heat map per method, with its "
        "standard error in brackets where there is room. A row of panels for each value of further "
        "keys.",
        question=_SWEPT,
        studies=("sweep",),
    ),
    Output(
        "figure",
        "sweep-lines",
        "Sweep: lines of ARI",
        "Mean ARI along the first key that is varied by method, with 95 % intervals (bars). "
        "Columns of panels: the second key; rows: further ones.",
        question=_SWEPT,
        studies=("sweep",),
    ),
    Output(
        "table",
        "scale",
        "What a fit costs as maps grow",
        "One fit by number of pixels and method: median seconds (search for starts and standard "
        "errors included), median peak memory of the process that fits (data included), mean ARI "
        "(standard error of the mean), fits that succeeded / failed.",
        question=_LARGE,
        studies=("scale", "scale-exact"),
        each=SIMULATED,
        several=True,
    ),
    Output(
        "figure",
        "scale",
        "Cost and ARI by number of pixels",
        "Median seconds of one fit (logarithmic scales), median peak memory of its process (data "
        "included) and mean ARI against the number of pixels, a line per method. A line ends "
        "where a method was not asked to go further.",
        question=_LARGE,
        studies=("scale", "scale-exact"),
        each=SIMULATED,
        several=True,
    ),
    Output(
        "table",
        "robustness",
        "Outlying maps",
        "Adjusted Rand index (ARI) of all maps, mean (standard error of the mean), by share of "
        "maps that outlie: of a larger variance, or with another level. They keep the label of "
        "the component that they were drawn from.",
        question=_OUTLYING,
        studies=("robustness",),
        each=_varies("outliers."),
        module="sweep",
    ),
    Output(
        "table",
        "labels",
        "Known labels",
        "Adjusted Rand index (ARI) of the maps whose label is not known, mean (standard error of "
        "the mean), by share of maps whose label the method is told. Methods that take no labels "
        "are told none.",
        question=_KNOWN,
        studies=("labels",),
        each=_varies("known"),
        module="sweep",
    ),
    Output(
        "figure",
        "robustness",
        "ARI by share of outlying maps",
        "Mean ARI of all maps by share of maps that outlie, with 95 % intervals (bars).",
        question=_OUTLYING,
        studies=("robustness",),
        each=_varies("outliers."),
        module="sweep_lines",
    ),
    Output(
        "figure",
        "labels",
        "ARI by share of known labels",
        "Mean ARI of the maps whose label is not known, by share of maps whose label is, with 95 % "
        "intervals (bars).",
        question=_KNOWN,
        studies=("labels",),
        each=_varies("known"),
        module="sweep_lines",
    ),
)

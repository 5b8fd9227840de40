"""Numbers of the documentation, from the tables of finished runs.

``python workflow/scripts/documented_numbers.py [--check]`` rewrites what stands between
``<!-- numbers: NAME -->`` and ``<!-- numbers end -->`` in README.md and docs/, or with ``--check``
says what is out of date.  A block whose run is not there stays as it is, and that is said.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import yaml

from spatgmm import methods
from spatgmm.report.words import number, percent, significant

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(r"(?<=<!-- numbers: )([a-z-]+)( -->\n)(.*?)(?=<!-- numbers end -->)", re.DOTALL)

#: Numbers below are written with a power of ten.
_TINY = 1e-3

#: Steps of beta at which the paper's algorithm is said to fail.
_EARLY = 3


class Run:
    """A finished run: its tables, and what its methods are called.

    Parameters
    ----------
    folder : Path
        ``results/<name>``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        config = folder / "config.yaml"
        self._methods = yaml.safe_load(config.read_text())["methods"] if config.exists() else {}

    def table(self, number: int) -> pd.DataFrame:
        return pd.read_csv(self._folder / "tables" / f"table{number}.csv")

    def measured(self, name: str) -> pd.DataFrame:
        """What a benchmark of that name measured."""
        return pd.read_csv(self._folder / f"{name}.csv")

    def label(self, method: str) -> str:
        """What a configuration calls a method, or else its plug-in does."""
        configured = self._methods.get(method, {})
        return configured.get("label") or methods.get(configured.get("plugin", method)).label


def comparison(run: Run) -> str:
    """Table 2: mean ARI (standard error) by method and scenario."""
    table = run.table(2)
    cells = [
        f"{number(row.mean_ari, 3)} ({row.se_ari:.3f})" if row.n_ok else missing(row)
        for row in table.itertuples()
    ]
    return by_method(run, table.assign(cell=cells), list(table["case"].unique()))


def real(run: Run) -> str:
    """Tables 3 and 4: ARI by method and data set, controls left out."""
    table = pd.concat([run.table(3), run.table(4)])
    table = table[(table["method"] != "random") & ~table["synthetic_stand_in"]]
    cells = [number(row.ari, 2) if row.n_ok else missing(row) for row in table.itertuples()]
    table = table.assign(cell=cells)
    parts = []
    for kind, title in (("raw", "As they are"), ("centred", "Centred by true group")):
        cases = [case for case in table["case"].unique() if case.endswith(f"-{kind}")]
        parts.append(f"{title}:\n\n{by_method(run, table, cases)}")
    return "\n".join(parts)


def sensitivity(run: Run) -> str:
    """Tables 3 and 4 of other cuts: ARI of SpatGMM."""
    table = pd.concat([run.table(3), run.table(4)])
    ari = table[table["method"] == "spatgmm"].set_index("case")["ari"]
    names = dict.fromkeys(case.rpartition("-")[0] for case in ari.index)
    lines = [
        (CUTS.get(name, name), *(number(ari[f"{name}-{kind}"], 2) for kind in ("raw", "centred")))
        for name in names
    ]
    return markdown(("cut", "raw", "centred"), lines)


#: Data sets of which the study has more than one.
DATASETS = {
    "climate": "climate, Jan/Jul",
    "climate-four": "climate, 4 months",
    "climate-three": "climate, 3 variables",
}

#: The cuts of config/sensitivity.yaml in words.
CUTS = {
    "film-halves": "film, halves instead of outer thirds",
    "film-6x6": "film, 6x6 tiles",
    "film-10x10": "film, 10x10 tiles",
    "film-shifted": "film, tiles shifted by (4, 4) pixels",
    "texture-whole": "texture, each image standardised as a whole",
    "texture-33": "texture, 33-pixel window",
    "texture-other": "texture, another draw of patches",
}


def open_questions(run: Run) -> str:
    """Tables 6 to 9: the questions that the paper ends on."""
    lines = [
        ("How often does estimation break?", stability(run), "6"),
        ("Does it use the true geometry?", coordinates(run), "7"),
        ("What if correlation has a direction?", directions(run), "8"),
        ("Does BIC find the number of components?", components(run), "9"),
        ("And the decay?", decay(run), "9"),
    ]
    return markdown(("question", "answer, as measured here", "table"), lines)


def stability(run: Run) -> str:
    table = run.table(6)
    runs = table.groupby("base_method")
    total, failed, fell = (runs[column].sum() for column in ("n", "n_failed", "n_fell"))
    reached = runs["reached"].mean()
    single = table[table["base_method"] == "gls-single"]
    early = single.loc[single["start"] < _EARLY, "n_failed"].sum() / single["n_failed"].sum()
    return (
        f"On `grid`, over {len(single)} starting values of β and {single['n'].max()} data sets: "
        f"the paper's algorithm fails in {failed['gls-single']} of {total['gls-single']:,} runs "
        f"({percent(early)} of these below β = {_EARLY}), and its likelihood falls in "
        f"{fell['gls-single']}; even from the whole search it reaches the best log-likelihood "
        f"known in {percent(reached['spatgmm-gls'])} of the data sets. The default fails in "
        f"{failed['spatgmm']} and reaches it in {percent(reached['spatgmm'])} of "
        f"{total['spatgmm']:,}"
    )


def coordinates(run: Run) -> str:
    table = run.table(7).set_index(["distortion", "level", "scenario"])

    def ari(distortion: str, level: float, scenario: str) -> str:
        return number(table.loc[(distortion, level, scenario), "ari"], 2)

    names = {"grid": "`grid`", "texture-centred": "texture", "film-centred": "film"}
    falls = ", ".join(
        f"from {ari('none', 0, name)} to {ari('permute', 1, name)} on {called}"
        for name, called in names.items()
    )
    worse = [f"{table.loc[('permute', 1.0, name), 'bic_lost']:,.0f}" for name in names]
    return (
        f"With the locations permuted, ARI falls {falls}, and BIC is worse by "
        f"{worse[0]}, {worse[1]} and {worse[2]}. `grid` bears noise of half a pixel "
        f"({ari('jitter', 0.5, 'grid')}) and a stretch by 1.5 ({ari('stretch', 1.5, 'grid')})"
    )


def directions(run: Run) -> str:
    table = run.table(8).set_index(["strength", "method"])
    ari = {at: number(value, 2) for at, value in table["ari"].items()}
    error = table.loc[(4.0, "spatgmm-rotated"), "angle_error"]
    return (
        "With diagonal stripes 1.5 times longer than wide the isotropic model starts to lose "
        f"({ari[1.5, 'spatgmm']} against {ari[1.5, 'spatgmm-rotated']}), at 4 times it is at "
        f'{ari[4.0, "spatgmm"]}. `metric="rotated"` is at {ari[4.0, "spatgmm-rotated"]}, where the '
        f"true parameters give {ari[4.0, 'truth']}, and finds the angles within {error:.1f} degrees"
    )


def components(run: Run) -> str:
    table = run.table(9).query("question == 'components'")
    found = table[table["true"]].set_index("scenario")
    told = [
        f"in {row.by_bic * row.n_ok:.0f} of {row.n_ok} replicates of `{scenario}`"
        for scenario, row in found.iterrows()
    ]
    options = table["option"].astype(int)
    return f"BIC finds it {' and '.join(told)}, among {options.min()} to {options.max()}"


def decay(run: Run) -> str:
    table = run.table(9).query("question == 'decay'").set_index(["scenario", "option"])
    taken = (table["by_bic"] * table["n_ok"]).round().astype(int)
    ari = {at: number(value, 3) for at, value in table["ari"].items()}
    n = table["n_ok"]
    return (
        f"The sigmoid in {taken['grid', 'sigmoid']} of {n['grid', 'sigmoid']} where it is true. "
        "Where a Matérn decay of smoothness 3/2 is true, BIC takes it in "
        f"{taken['matern', 'matern32']} of {n['matern', 'matern32']} (5/2 in "
        f"{taken['matern', 'matern52']}), and ARI rises from {ari['matern', 'sigmoid']} with the "
        f"sigmoid to {ari['matern', 'matern32']}; the I-spline curve comes to "
        f"{ari['matern', 'ispline']}, and its 95 % band holds the true correlation at "
        f"{percent(table.loc[('matern', 'ispline'), 'coverage'])} of distances"
    )


def scale(run: Run) -> str:
    """Table 11: seconds and megabytes by number of pixels and method."""
    table = run.table(11)
    names = list(dict.fromkeys(table["method"]))
    lines = []
    for pixels, rows in table.groupby("p"):
        by_method = rows.set_index("method")
        seconds, memory = by_method["seconds"], by_method["peak_memory_mb"]
        cells = [
            f"{significant(seconds[m], 2)} s, {memory[m]:.0f} MB" if m in seconds else "–"
            for m in names
        ]
        side = round(pixels**0.5)
        lines.append((f"{side}x{side}", *cells))
    return markdown(("pixels", *map(run.label, names)), lines)


def price(run: Run) -> str:
    """Recovery by the three likelihoods, over all parameters."""
    lines = []
    for method, rows in run.table(12).groupby("method", sort=False):
        bias = (rows["bias"] / rows["empirical_se"]).abs().max()
        ratio, coverage = rows["ratio"], rows["coverage"]
        lines.append(
            (
                run.label(method),
                f"{bias:.2f}",
                f"{ratio.min():.2f} to {ratio.max():.2f}",
                f"{coverage.min():.3f} to {coverage.max():.3f}",
            )
        )
    heads = ("likelihood", "largest bias / SE", "model SE / empirical SE", "coverage of 95 %")
    return markdown(heads, lines)


def outliers(run: Run) -> str:
    """Table 12: ARI by share of outlying maps, of ten times the variance."""
    table = run.table(12).query("scenario == 'noisy'")
    return swept(run, table, "share of outlying maps", "outlying maps")


def labels(run: Run) -> str:
    """Table 13: ARI of the others by share of known labels."""
    return swept(run, run.table(13), "share of known labels", "known labels")


def swept(run: Run, table: pd.DataFrame, key: str, head: str) -> str:
    """Mean ARI (standard error): a row for each method, a column for each value of `key`."""
    cells = [f"{number(row.mean_ari, 2)} ({row.se_ari:.2f})" for row in table.itertuples()]
    values = sorted(table[key].unique())
    return by_method(run, table.assign(case=table[key], cell=cells), values, head, percent)


def speed(run: Run) -> str:
    """What `make bench` measured against a target."""
    return benchmark(run.measured("bench"))


def large(run: Run) -> str:
    """What `make bench-large` measured."""
    return benchmark(run.measured("large"))


def component_test(run: Run) -> str:
    """What `make bench-calibration` counted of tests of two components against three."""
    lines = [
        (row.maps, f"{row.sets:,}", f"{100 * row.rejected:.1f} %")
        for row in run.measured("component_test").itertuples()
    ]
    return markdown(("maps of", "data sets", "a third found at the level 0.05"), lines)


def diagnostics(run: Run) -> str:
    """What it counted of checks: shares of data sets that each flags."""
    return shares(run.measured("diagnostics"), "maps of")


def intervals(run: Run) -> str:
    """What it counted of 95 % intervals: shares that hold the truth."""
    return shares(run.measured("intervals"), "tails")


def shares(table: pd.DataFrame, head: str) -> str:
    """A row for each kind of maps, a column for each share."""
    table = table.set_index("maps")
    lines = [(maps, *map(percent, of_maps)) for maps, of_maps in table.iterrows()]
    return markdown((head, *table.columns), lines)


def benchmark(table: pd.DataFrame) -> str:
    """Measurements that have a target, and the target."""
    table = table[table["bound"].notna()]
    lines = [
        (
            row.part,
            row.what,
            f"{measured(row.value)} {'' if pd.isna(row.unit) else row.unit}".strip(),
            f"{row.bound} {measured(row.target)}",
        )
        for row in table.itertuples()
    ]
    return markdown(("where", "what", "measured", "wanted"), lines)


#: What a block holds: the run it comes from, and who writes it.
BLOCKS: dict[str, tuple[str, Callable[[Run], str]]] = {
    "comparison": ("paper", comparison),
    "real": ("paper", real),
    "sensitivity": ("sensitivity", sensitivity),
    "open-questions": ("paper", open_questions),
    "scale": ("scale", scale),
    "price": ("scale", price),
    "outliers": ("structures", outliers),
    "labels": ("structures", labels),
    "speed": ("bench", speed),
    "large": ("bench", large),
    "component-test": ("bench", component_test),
    "diagnostics": ("bench", diagnostics),
    "intervals": ("bench", intervals),
}


def case_name(case: str) -> str:
    """A case for readers: ``climate-four-raw`` is that of four months."""
    name, _, kind = case.rpartition("-")
    return DATASETS.get(name, name) if kind in ("raw", "centred") else case


def by_method(
    run: Run,
    table: pd.DataFrame,
    cases: Sequence,
    head: str = "method",
    named: Callable[..., str] = case_name,
) -> str:
    """A row for each method, in the table's order, a column for each case."""
    cells = table.set_index(["method", "case"])["cell"]
    lines = [
        (run.label(method), *(cells.get((method, case), "–") for case in cases))
        for method in table["method"].unique()
    ]
    return markdown((head, *map(named, cases)), lines)


def markdown(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table."""
    head, *rest = (f"| {' | '.join(row)} |\n" for row in (heads, *lines))
    return f"{head}|{'---|' * len(heads)}\n{''.join(rest)}"


def measured(value: float) -> str:
    """Two significant digits; of a tiny number with a power of ten."""
    if 0 < abs(value) < _TINY:
        return f"{value:.1e}".replace("-", "−")
    return significant(value, 2)


def missing(row) -> str:
    """What stands for a number that is not there."""
    return "n/a" if row.n_unsupported else "failed"


def rewritten(text: str, results: Path, say: Callable[[str], None]) -> str:
    """A page with its blocks as the runs in `results` have them."""

    def block(match: re.Match[str]) -> str:
        run, write = BLOCKS[match[1]]
        try:
            return f"{match[1]}{match[2]}{write(Run(results / run))}"
        except FileNotFoundError as error:
            say(f"{match[1]}: there is no {error.filename}; left as it is")
            return match[0]

    return _BLOCK.sub(block, text)


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite or check all pages; 1 if a check finds something."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing, say what would")
    parser.add_argument("--results", type=Path, default=ROOT / "results", metavar="DIR")
    parser.add_argument("pages", type=Path, nargs="*", help="default: README.md and docs/")
    arguments = parser.parse_args(argv)
    pages = arguments.pages or [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    old = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        new = rewritten(text, arguments.results, lambda told: print(told, file=sys.stderr))
        if new != text:
            old.append(page)
            if not arguments.check:
                page.write_text(new, encoding="utf-8")
    for page in old:
        print(f"{page}: {'out of date' if arguments.check else 'rewritten'}")
    return int(arguments.check and bool(old))


if __name__ == "__main__":
    sys.exit(main())

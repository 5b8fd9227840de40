"""``spatgmm fit``: cluster a user's own maps."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

import spatgmm
from spatgmm import methods, plot, reading
from spatgmm.cli import _input, _output, _page, _pictures, _search
from spatgmm.common.base import bic
from spatgmm.common.constraints import Choice, Either, Rule
from spatgmm.common.errors import UsageError
from spatgmm.covariance import decay
from spatgmm.covariance.space import SPHERE, Space
from spatgmm.data import Dataset
from spatgmm.fitting.diagnostics import Diagnostics
from spatgmm.fitting.options import AUTO, DECAY_ALIASES, DECAYS, OPTIONS
from spatgmm.reading.fill import FillValueWarning

#: Parameters of the model that are options, for methods that take them.
_OPTIONS = {
    name: OPTIONS[name]
    for name in (
        *("mean", "metric", "variance", "sharing", "missing", "tails", "likelihood"),
        *("space", "period"),
        *("variables", "n_factors"),
        *("init", "n_init", "tol", "max_iter", "beta_init"),
    )
}

#: Flags that are not their parameter's name: `--variables` says which variables there are.
_FLAGS = {"variables": "--between"}

#: Values of all maps up to which the model is checked by simulation, and sets that are simulated.
_MOST_DIAGNOSED, _SIMULATIONS = 500_000, 99

#: What methods report beside scalars.
_TABLES = ("parameters", "covariances")

#: What a fit may leave in its folder.
FILES = (
    "labels.csv",
    "means.csv",
    "parameters.csv",
    "summary.json",
    "model.npz",
    "bic.csv",
    "clusters.png",
    "decay.png",
    "report.html",
)

#: Columns of parameters.csv, whatever the method reports; components count from 1 there.
_COLUMNS = ["component", "parameter", "estimate", "std_error", "lower", "upper", "note"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files, number of components, method."""
    _input.add_arguments(parser)
    parser.add_argument(
        "--components",
        type=_components,
        required=True,
        metavar="G[:H]",
        help="number of clusters, or a range from which BIC picks: 2:5 is 2, 3, 4 and 5",
    )
    parser.add_argument(
        "--method", default="spatgmm", help="as listed by `spatgmm methods` (default: spatgmm)"
    )
    parser.add_argument(
        "--out", default="spatgmm-fit", metavar="DIR", help="folder to write (default: spatgmm-fit)"
    )
    parser.add_argument(
        "--force", action="store_true", help="overwrite the files of an earlier fit in DIR"
    )
    parser.add_argument("--seed", type=_seed, default=0, help="of all random starts (default: 0)")
    for name, text in _input.PER_MAP.items():
        parser.add_argument(_input.flag(name), metavar="FILE", help=text)
    parser.add_argument(
        "--decay",
        type=_decays,
        default=AUTO,
        metavar="NAME[,...]",
        help=f"{OPTIONS['decay'].text}: {', '.join(DECAYS)}; several, or auto for all of them: BIC "
        f"picks (default: {AUTO}; the paper's: {_search.SIGMOID})",
    )
    group = parser.add_argument_group("parameters, for methods that take them; defaults of spatgmm")
    for name, option in _OPTIONS.items():
        group.add_argument(
            _flag(name),
            dest=f"option_{name}",
            type=_allowed_by(option.rule),
            metavar=_metavar(option.rule) or name.upper(),
            help=f"{option.text} (default: {option.default})",
        )


def run(arguments: argparse.Namespace) -> None:
    """Fit, choose, and write labels, parameters, summary and pictures."""
    method = _method(arguments.method)
    given = {name: getattr(arguments, f"option_{name}") for name in _OPTIONS}
    options = {name: value for name, value in given.items() if value is not None}
    named = [] if arguments.decay == AUTO else arguments.decay
    for name in named or [None]:
        for problem in method.problems(options | ({"decay": name} if name else {})):
            flag = _flag(problem.path[0])
            raise UsageError(f"{flag}, method {method.name!r}: {problem.message}")
    brought = _input.read(arguments, missing=options.get("missing") == "em")
    _check_degrees(arguments, brought)
    data, told_of_maps = _input.per_map(arguments, method, brought)
    notes = [*brought.notes, *told_of_maps, *_degrees(arguments, method, brought)]
    for note in notes:
        _say(f"note: {note}")
    for n_components in arguments.components:
        reason = method.supports(data, n_components)
        if reason is not None:
            raise UsageError(f"{arguments.data}: method {method.name!r} cannot run: {reason}")
    out = _output.make_folder(arguments.out, FILES, arguments.force)

    tried = _search.decays(arguments.decay, method, data)
    if len(tried) > 1 and options.get("likelihood", AUTO) == AUTO:
        options |= _search.likelihood(options, tried, method, data)
    settings = [
        (n_components, options | ({"decay": name} if name else {}))
        for n_components in arguments.components
        for name in tried
    ]
    fits = _fit_all(data, method, settings, arguments.seed)
    best = min(fits, key=lambda fit: fit["row"]["bic"])
    # What is wrong with fits that were not taken is of no use.
    for message in best["warnings"]:
        _say(f"warning: {message}")
    result, row = best["result"], best["row"]
    table = pd.DataFrame([fit["row"] for fit in fits])
    located = data if result.model is None else _embedded(data, result.model.space_)
    told = [] if located is None else _search.told(located, fits, best)
    checked = _diagnostics(result, data)
    hint = _search.hint(table, row, options, _count(data), data.n_locations)
    summary = {
        "data": arguments.data,
        "coordinates": arguments.coordinates,
        "n": data.X.shape[0],
        "p": data.n_locations,
        **({} if data.n_variables == 1 else {"n_variables": data.n_variables}),
        "method": method.name,
        "seed": arguments.seed,
        **_input.told(arguments),
        "spatgmm": spatgmm.__version__,
        **row,
        "cluster_sizes": np.bincount(result.labels, minlength=row["n_components"]).tolist(),
        **options,
        **{name: value for name, value in result.extras.items() if name not in _TABLES},
        **({"diagnostics": checked.flagged} if isinstance(checked, Diagnostics) else {}),
        "notes": notes + told + ([hint] if hint else []),
        "warnings": best["warnings"],
    }

    _output.remove(out, FILES)
    labels = _output.labels(
        result.labels, result.probabilities, brought.names, result.outlier_probability
    )
    outliers = _output.outliers(labels)
    written = [
        _output.csv(out / "labels.csv", labels),
        _output.csv(out / "means.csv", _means(result, brought, row["n_components"])),
        _output.csv(out / "parameters.csv", _parameters(result.extras)),
        _output.as_json(out / "summary.json", summary),
    ]
    if result.model is not None:
        result.model.place_names_ = _place_names(brought)
        result.model.save(out / "model.npz")
        written.append(out / "model.npz")
    page = _page.Page(data, brought, result, row, summary)
    usual = _search.usual(result)
    figure = _pictures.clusters(data, result.labels, row["n_components"], usual < 0)
    page.picture("clusters", "Clusters as maps", figure)
    written.append(_output.picture(out / "clusters.png", figure))
    fitted = _search.fitted(result.extras)
    if "decay" in result.extras and located is not None:
        unit = "km" if result.model.space_ is SPHERE else ""
        figure = _pictures.decay(located, usual, fitted, unit)
        page.picture("decay", "Correlation by distance", figure)
        written.append(_output.picture(out / "decay.png", figure))
    if "decay" in result.extras:
        figure = _pictures.of(plot.intervals, result.extras["parameters"])
        page.picture("intervals", "How sure each parameter is", figure, last=True)
    if len(settings) > 1:
        written.append(_output.csv(out / "bic.csv", table))
        print(table.to_string(index=False))
        figure = _pictures.of(plot.selection, table)
        page.picture("selection", "BIC of every fit", figure, last=True)
    command = shlex.join(["spatgmm", *arguments.words])
    text = page.text(fitted, told, hint, checked, command, spatgmm.__version__)
    written.append(_output.page(out / "report.html", text))
    for line in [*told, *([f"hint: {hint}"] if hint else [])]:
        print(line)
    for line in _wrong(checked):
        print(f"diagnostics: {line}")
    sizes = ", ".join(map(str, summary["cluster_sizes"]))
    if outliers is not None:
        print(outliers)
    print(f"{row['n_components']} clusters of {sizes} maps: {', '.join(map(str, written))}")


def _embedded(data: Dataset, space: Space) -> Dataset | None:
    """The same maps where distances are those of the fit; None where no picture can be drawn."""
    if space.is_flat:
        return data
    points = space.embedded(data.coordinates)
    return replace(data, coordinates=points, shape=None) if points.shape[1] <= 3 else None


def _place_names(brought: reading.Reading) -> list[str] | None:
    """What tells a later file's columns apart: their names, or else where they are."""
    if not brought.located:
        return brought.places
    return [f"({', '.join(f'{value:g}' for value in place)})" for place in brought.data.coordinates]


def _check_degrees(arguments, brought: reading.Reading) -> None:
    """Refuse rows and columns of a grid where places on the earth are asked for."""
    of_grid = arguments.coordinates is None or reading.is_grid(arguments.coordinates)
    if arguments.option_space == SPHERE.name and of_grid and not brought.located:
        raise UsageError(
            f"{arguments.data}: --space sphere needs longitude and latitude of each location; "
            "rows and columns of a grid are none"
        )


def _degrees(arguments, method: methods.Method, brought: reading.Reading) -> list[str]:
    """A note where degrees are about to be taken for a plane, and nothing was said of it."""
    said = arguments.option_space is not None or arguments.option_period is not None
    if said or brought.degrees is None or "space" not in method.declared:
        return []
    where = arguments.coordinates or arguments.data
    return [
        f"{where}: {brought.degrees} were taken for a plane; if they are degrees, say --space "
        "sphere: distances are then those on the earth, in km (--space plane: a plane it is)"
    ]


def _method(name: str) -> methods.Method:
    try:
        return methods.get(name)
    except ValueError as error:
        raise UsageError(f"--method: {error}") from None


def _diagnostics(result: methods.FitResult, data: Dataset) -> Diagnostics | str | None:
    """What the maps show that the model does not, or why nobody looked; None without a model."""
    if result.model is None:
        return None
    if data.X.size > _MOST_DIAGNOSED:
        return (
            "simulating so large maps takes long; in Python, "
            'spatgmm.load("model.npz").diagnostics(X) does'
        )
    with warnings.catch_warnings():
        # What they say is printed and stands on the page.
        warnings.simplefilter("ignore")
        try:
            return result.model.diagnostics(data.X, n_simulations=_SIMULATIONS)
        except ValueError as error:  # the fit is none the worse
            return str(error)


def _wrong(checked: Diagnostics | str | None) -> list[str]:
    """Checks that the model does not pass, in words."""
    if not isinstance(checked, Diagnostics):
        return []
    return checked.checks.query("flagged")["finding"].tolist()


def _means(result: methods.FitResult, brought: reading.Reading, n_components: int) -> pd.DataFrame:
    """A row per location: its name, its coordinates, and the mean map of each cluster there."""
    data = brought.data
    table = {"location": np.arange(data.n_locations) if brought.places is None else brought.places}
    table |= {f"coordinate_{axis}": values for axis, values in enumerate(data.coordinates.T)}
    for g in range(n_components):
        mean = _pictures.mean_map(data.X[result.labels == g])
        mean = mean if result.means is None else result.means[g]
        of_each = np.reshape(mean, (-1, data.n_variables)).T
        names = [f"_{name}" for name in data.names_of_variables] if len(of_each) > 1 else [""]
        table |= {
            f"mean_{g + 1}{name}": of_one for name, of_one in zip(names, of_each, strict=True)
        }
    return pd.DataFrame(table)


def _fit_all(
    data: Dataset,
    method: methods.Method,
    settings: Sequence[tuple[int, dict[str, Any]]],
    seed: int,
) -> list[dict[str, Any]]:
    """A fit for each number of components and decay; those that fail are reported and left out."""
    on_terminal = sys.stderr.isatty()
    # What the method can do of this; other methods report what they report.
    wanted = {"standard_errors": True, "verbose": on_terminal}
    wanted = {name: value for name, value in wanted.items() if name in method.defaults}
    fits, failures = [], []
    bar = tqdm(settings, unit=" fits", disable=not on_terminal or len(settings) == 1)
    for n_components, options in bar:
        what = f"{n_components} components"
        if len(settings) > 1 and "decay" in options:
            what += f", {options['decay']} decay"
        bar.set_description(what)
        rng = np.random.default_rng([seed, n_components])
        start = time.perf_counter()
        try:
            with (
                _search.signs_of_life(what, _say),
                warnings.catch_warnings(record=True) as caught,
            ):
                warnings.simplefilter("default")
                # The reader said so already, with the name of the file.
                warnings.simplefilter("ignore", FillValueWarning)
                result = method.fit(data, n_components, rng, **wanted, **options)
        except Exception as error:  # plug-ins raise what they like; the next may still run
            failures.append(f"{what}: {error or type(error).__name__}")
            _say(failures[-1])
            continue
        fit = {
            "result": result,
            "row": _row(result, n_components, _count(data), time.perf_counter() - start),
            "warnings": list(dict.fromkeys(str(warning.message) for warning in caught)),
        }
        if fit["row"]["bic"] is None and len(settings) > 1:
            raise UsageError(
                f"method {method.name!r} has no likelihood, so BIC cannot choose among "
                f"{len(settings)} numbers of components; give one"
            )
        if result.converged is False:
            fit["warnings"].append(f"{what}: the fit did not converge")
        fits.append(fit)
        if len(settings) > 1 and not on_terminal:
            seconds = fit["row"]["seconds"]
            _say(f"{what}: BIC {fit['row']['bic']:.1f}, {seconds:.1f} s")
    if not fits:
        raise ValueError("every fit failed: " + "; ".join(failures))
    return fits


def _count(data: Dataset) -> float:
    """Number of maps, for BIC: a map of weight 2 is two."""
    return len(data.X) if data.weights is None else float(data.weights.sum())


def _row(result: methods.FitResult, n_components: int, n: float, seconds: float) -> dict[str, Any]:
    has_bic = result.log_likelihood is not None and result.n_parameters is not None
    row = {"n_components": n_components}
    if "decay" in result.extras:
        row["decay"] = result.extras["decay"]
    return row | {
        "log_likelihood": result.log_likelihood,
        "n_parameters": result.n_parameters,
        "bic": bic(result.log_likelihood, result.n_parameters, n) if has_bic else None,
        "icl": result.extras.get("icl"),
        "n_iter": result.n_iter,
        "converged": result.converged,
        "seconds": round(seconds, 3),
    }


def _parameters(extras: dict[str, Any]) -> pd.DataFrame:
    """What the method reports: a table of estimates, or else its scalars by name."""
    table = extras.get("parameters")
    if table is None:
        rows = [{"parameter": name, "estimate": value} for name, value in extras.items()]
        return pd.DataFrame(rows, columns=_COLUMNS)
    return table.assign(component=table["component"] + 1).reindex(columns=_COLUMNS)


def _say(message: str) -> None:
    tqdm.write(f"spatgmm fit: {message}", file=sys.stderr)


def _components(text: str) -> range:
    first, colon, last = text.partition(":")
    if not first.isdecimal() or (colon and not last.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor a range such as 2:5")
    low, high = int(first), int(last or first)
    if not 1 <= low <= high:
        raise argparse.ArgumentTypeError(f"{text!r} must rise from at least 1")
    return range(low, high + 1)


def _decays(text: str) -> str | list[str]:
    if text == AUTO:
        return AUTO
    parse = _allowed_by(Choice(*DECAYS, also=DECAY_ALIASES))
    return [decay.get(parse(name)).name for name in text.split(",")]


def _flag(name: str) -> str:
    return _FLAGS.get(name, _input.flag(name))


def _metavar(rule: Rule) -> str | None:
    """Choices as argparse shows them; of several rules, those of the first."""
    first = rule.rules[0] if isinstance(rule, Either) else rule
    return f"{{{','.join(first.names)}}}" if isinstance(first, Choice) else None


def _allowed_by(rule: Rule) -> Callable[[str], Any]:
    """What makes an allowed value of a text, as argparse's ``type``."""

    def parse(text: str) -> Any:
        for kind in (int, float, str, _each):
            with contextlib.suppress(ValueError):
                value = kind(text)
                if rule.allows(value):
                    return value
        raise argparse.ArgumentTypeError(next(rule.problems(text)).message)

    return parse


def _each(text: str) -> list[float | None]:
    """Numbers, one for each axis; "none" where an axis has none."""
    return [None if one == "none" else float(one) for one in text.lower().split(",")]


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)

"""``spatgmm fit``: cluster a user's own maps."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

import spatgmm
from spatgmm import methods, reading
from spatgmm.cli import _input, _output, _pictures
from spatgmm.common.base import bic
from spatgmm.common.constraints import Choice, Either, Rule
from spatgmm.common.errors import UsageError
from spatgmm.covariance import decay
from spatgmm.covariance.fitted import FittedCovariance
from spatgmm.data import Dataset
from spatgmm.fitting.options import AUTO, DECAY_ALIASES, DECAYS, OPTIONS
from spatgmm.reading.fill import FillValueWarning

#: Parameters of the model that are options, for methods that take them.
_OPTIONS = {
    name: OPTIONS[name]
    for name in (
        *("mean", "metric", "variance", "sharing", "missing"),
        *("variables", "n_factors"),
        *("init", "n_init", "tol", "max_iter", "beta_init"),
    )
}

#: Flags that are not their parameter's name: `--variables` says which variables there are.
_FLAGS = {"variables": "--between"}

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
)

#: Columns of parameters.csv, whatever the method reports.
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
    parser.add_argument(
        "--decay",
        type=_decays,
        metavar="NAME[,...]",
        help=f"{OPTIONS['decay'].text}: {', '.join(DECAYS)}; several, or auto for all of them: BIC "
        f"picks (default: {OPTIONS['decay'].default})",
    )
    group = parser.add_argument_group("parameters, for methods that take them; defaults of spatgmm")
    for name, option in _OPTIONS.items():
        group.add_argument(
            _flag(name),
            dest=f"option_{name}",
            type=_allowed_by(option.rule),
            metavar=_metavar(option.rule),
            help=f"{option.text} (default: {option.default})",
        )


def run(arguments: argparse.Namespace) -> None:
    """Fit, choose, and write labels, parameters, summary and pictures."""
    method = _method(arguments.method)
    given = {name: getattr(arguments, f"option_{name}") for name in _OPTIONS}
    options = {name: value for name, value in given.items() if value is not None}
    for name in arguments.decay or [None]:
        for problem in method.problems(options | ({"decay": name} if name else {})):
            flag = _flag(problem.path[0])
            raise UsageError(f"{flag}, method {method.name!r}: {problem.message}")
    brought = _input.read(arguments, missing=options.get("missing") == "em")
    data = brought.data
    for note in brought.notes:
        _say(f"note: {note}")
    for n_components in arguments.components:
        reason = method.supports(data, n_components)
        if reason is not None:
            raise UsageError(f"{arguments.data}: method {method.name!r} cannot run: {reason}")
    out = _output.make_folder(arguments.out, FILES, arguments.force)

    settings = [
        (n_components, options | ({"decay": name} if name else {}))
        for n_components in arguments.components
        for name in arguments.decay or [None]
    ]
    fits = _fit_all(data, method, settings, arguments.seed)
    best = min(fits, key=lambda fit: fit["row"]["bic"])
    result, row = best["result"], best["row"]
    summary = {
        "data": arguments.data,
        "coordinates": arguments.coordinates,
        "n": data.X.shape[0],
        "p": data.n_locations,
        **({} if data.n_variables == 1 else {"n_variables": data.n_variables}),
        "method": method.name,
        "seed": arguments.seed,
        "spatgmm": spatgmm.__version__,
        **row,
        "cluster_sizes": np.bincount(result.labels, minlength=row["n_components"]).tolist(),
        **options,
        **{name: value for name, value in result.extras.items() if name not in _TABLES},
        "notes": brought.notes,
        "warnings": best["warnings"],
    }

    _output.remove(out, FILES)
    written = [
        _output.csv(
            out / "labels.csv",
            _output.labels(result.labels, result.probabilities, brought.names),
        ),
        _output.csv(out / "means.csv", _means(result, brought, row["n_components"])),
        _output.csv(out / "parameters.csv", _parameters(result.extras)),
        _output.as_json(out / "summary.json", summary),
    ]
    if result.model is not None:
        result.model.save(out / "model.npz")
        written.append(out / "model.npz")
    picture = _pictures.clusters(data, result.labels, row["n_components"])
    written.append(_output.picture(out / "clusters.png", picture))
    reported = result.extras.get("parameters")
    if reported is not None and "decay" in result.extras:
        fitted = _fitted(result.extras)
        picture = _pictures.decay(data, result.labels, fitted)
        written.append(_output.picture(out / "decay.png", picture))
    if len(settings) > 1:
        table = pd.DataFrame([fit["row"] for fit in fits])
        written.append(_output.csv(out / "bic.csv", table))
        print(table.to_string(index=False))
    sizes = ", ".join(map(str, summary["cluster_sizes"]))
    print(f"{row['n_components']} clusters of {sizes} maps: {', '.join(map(str, written))}")


def _method(name: str) -> methods.Method:
    try:
        return methods.get(name)
    except ValueError as error:
        raise UsageError(f"--method: {error}") from None


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
        table |= {f"mean_{g}{name}": of_one for name, of_one in zip(names, of_each, strict=True)}
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
            with warnings.catch_warnings(record=True) as caught:
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
            "row": _row(result, n_components, len(data.X), time.perf_counter() - start),
            "warnings": list(dict.fromkeys(str(warning.message) for warning in caught)),
        }
        if fit["row"]["bic"] is None and len(settings) > 1:
            raise UsageError(
                f"method {method.name!r} has no likelihood, so BIC cannot choose among "
                f"{len(settings)} numbers of components; give one"
            )
        if result.converged is False:
            fit["warnings"].append(f"{what}: the fit did not converge")
        for message in fit["warnings"]:
            _say(f"warning: {message}")
        fits.append(fit)
        if len(settings) > 1 and not on_terminal:
            seconds = fit["row"]["seconds"]
            _say(f"{what}: BIC {fit['row']['bic']:.1f}, {seconds:.1f} s")
    if not fits:
        raise ValueError("every fit failed: " + "; ".join(failures))
    return fits


def _row(result: methods.FitResult, n_components: int, n: int, seconds: float) -> dict[str, Any]:
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
    return table.reindex(columns=_COLUMNS)


def _fitted(extras: dict[str, Any]) -> dict[int, FittedCovariance]:
    """Covariances by component, of those that the method gives all estimates for."""
    covariances, fitted = extras.get("covariances", {}), {}
    for g, table in extras["parameters"].groupby("component"):
        estimates = table.set_index("parameter")["estimate"].to_dict()
        of_decay = decay.get(extras["decay"])
        found = FittedCovariance.from_estimates(estimates, covariances.get(g), of_decay)
        if found is not None:
            fitted[g] = found
    return fitted


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


def _decays(text: str) -> list[str]:
    names = DECAYS if text == AUTO else text.split(",")
    parse = _allowed_by(Choice(*DECAYS, also=DECAY_ALIASES))
    return [decay.get(parse(name)).name for name in names]


def _flag(name: str) -> str:
    return _FLAGS.get(name, f"--{name.replace('_', '-')}")


def _metavar(rule: Rule) -> str | None:
    """Choices as argparse shows them; of several rules, those of the first."""
    first = rule.rules[0] if isinstance(rule, Either) else rule
    return f"{{{','.join(first.names)}}}" if isinstance(first, Choice) else None


def _allowed_by(rule: Rule) -> Callable[[str], Any]:
    """What makes an allowed value of a text, as argparse's ``type``."""

    def parse(text: str) -> Any:
        for kind in (int, float, str):
            with contextlib.suppress(ValueError):
                value = kind(text)
                if rule.allows(value):
                    return value
        raise argparse.ArgumentTypeError(next(rule.problems(text)).message)

    return parse


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)

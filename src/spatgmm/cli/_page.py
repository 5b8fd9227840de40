"""``report.html`` of ``spatgmm fit``: what was found in a user's maps, as one page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from spatgmm import methods, plot
from spatgmm.cli import _output
from spatgmm.covariance.fitted import FittedCovariance
from spatgmm.covariance.geometry import Geometry
from spatgmm.data import Dataset
from spatgmm.fitting.diagnostics import Diagnostics
from spatgmm.plot import curves
from spatgmm.reading import Reading
from spatgmm.report import html
from spatgmm.report.words import number, percent, significant

#: Ends of the probabilities by which a reader is told how sure the clusters are.
_SURE = (0.99, 0.95, 0.8, 0.0)

#: Maps named where there may be many.
_NAMED = 20

#: What a summary holds that is shown elsewhere on the page, or is no setting.
_NOT_SETTINGS = {"cluster_sizes", "notes", "warnings", "spatgmm", "seconds", "n_components"}


class Page:
    """A page that pictures are put into as they are drawn.

    Parameters
    ----------
    data : Dataset
    brought : Reading
        What was read.
    result : FitResult
        The fit that was taken.
    row, summary : mapping
        What ``bic.csv`` and ``summary.json`` say of it.
    """

    def __init__(
        self,
        data: Dataset,
        brought: Reading,
        result: methods.FitResult,
        row: Mapping[str, Any],
        summary: Mapping[str, Any],
    ):
        self._data, self._brought, self._result = data, brought, result
        self._row, self._summary = row, summary
        self._first: list[tuple[str, Markup]] = []
        self._last: list[tuple[str, Markup]] = []

    def picture(self, name: str, title: str, figure: Figure, last: bool = False) -> None:
        """Put a picture at the top; or, one that is for nothing else, below the tables."""
        (self._last if last else self._first).append((title, html.drawn(figure, title, name)))
        if last:
            plt.close(figure)

    def text(
        self,
        fitted: Mapping[int, FittedCovariance],
        told: list[str],
        hint: str | None,
        checked: Diagnostics | str | None,
        command: str,
        version: str,
    ) -> str:
        """The page, with what was said of the fit on the command line."""
        parameters = self._result.extras.get("parameters")
        G, known = self._row["n_components"], self._result.probabilities is not None
        return html.render(
            "fit.html",
            title=f"{G} cluster{'s' * (G > 1)} in {len(self._data.X)} maps",
            source=self._data.source,
            written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            answer=[self._sizes(), *self._surely(), *map(_sentence, told)],
            cautions=[*([hint] if hint else []), *self._summary["warnings"]],
            first=self._first,
            last=self._last,
            words=html.grid(self._in_words(fitted)) if fitted else None,
            parameters=None if parameters is None else html.grid(_parameters(parameters)),
            sure=html.grid(self._sure()) if known else None,
            unsure=html.grid(self._least_sure()) if known else None,
            outliers=self._outliers(),
            checks=html.grid(_checks(checked)) if isinstance(checked, Diagnostics) else None,
            n_simulations=getattr(checked, "n_simulations", None),
            unchecked=checked if isinstance(checked, str) else None,
            read=self._read(),
            settings=self._settings(),
            command=command,
            version=version,
        )

    def _sizes(self) -> str:
        sizes = self._summary["cluster_sizes"]
        parts = [
            f"cluster {g} has {size} maps ({percent(size / sum(sizes))})"
            for g, size in enumerate(sizes, 1)
        ]
        return _sentence("; ".join(parts))

    def _surely(self) -> list[str]:
        if self._result.probabilities is None:
            return []
        best = self._result.probabilities.max(axis=1)
        return [
            f"{percent(np.mean(best >= _SURE[1]))} of the maps belong to their cluster with a "
            f"probability of at least {_SURE[1]:g}; the least sure of all has {best.min():.2f}."
        ]

    def _in_words(self, fitted: Mapping[int, FittedCovariance]) -> pd.DataFrame:
        """A row per cluster in the words of geostatistics."""
        geometry = Geometry(self._data.coordinates)
        near = np.array([curves.nearest(curves.thinned(self._data))])
        sizes, lines = self._summary["cluster_sizes"], []
        for g, one in fitted.items():
            quantities = one.quantities(geometry.unit)
            variance = float(one.alpha[0] + one.alpha[2])
            lines.append(
                {
                    "cluster": str(g + 1),
                    "maps": str(sizes[g]),
                    "variance": significant(variance),
                    "share of it that is noise of single pixels (nugget)": percent(
                        float(one.alpha[2]) / variance
                    ),
                    "correlation of neighbours": number(float(one.correlation(near)[0]), 2),
                    "correlation at the largest distance": number(
                        quantities["baseline"][0] / variance, 2
                    ),
                    "distance at which 95 % of the fall is over": significant(
                        quantities["effective_range"][0]
                    ),
                }
            )
        return pd.DataFrame(lines)

    def _sure(self) -> pd.DataFrame:
        best = self._result.probabilities.max(axis=1)
        lines, above = [], np.inf
        for end in _SURE:
            count = int(((best >= end) & (best < above)).sum())
            name = f"at least {end:g}" if end else f"less than {above:g}"
            lines.append(
                {"probability": name, "maps": str(count), "share": percent(count / len(best), 1)}
            )
            above = end
        return pd.DataFrame(lines)

    def _least_sure(self) -> pd.DataFrame:
        probabilities = self._result.probabilities
        order = np.argsort(probabilities.max(axis=1))[:_NAMED]
        names = self._brought.map_names
        return pd.DataFrame(
            [
                {"map": names[i], "cluster": str(self._result.labels[i] + 1)}
                | {f"P(cluster {g})": f"{p:.3f}" for g, p in enumerate(probabilities[i], 1)}
                for i in order
            ]
        )

    def _outliers(self) -> dict[str, Any] | None:
        """Maps that fit no cluster, where the model says so."""
        probability = self._result.outlier_probability
        if probability is None:
            return None
        names, found = self._brought.map_names, np.flatnonzero(_output.outlies(probability))
        order = found[np.argsort(-probability[found])][:_NAMED]
        lines = [{"map": names[i], "P(outlier)": f"{probability[i]:.3f}"} for i in order]
        grid = html.grid(pd.DataFrame(lines)) if lines else None
        return {"count": len(found), "of": len(probability), "grid": grid}

    def _read(self) -> list[tuple[str, str]]:
        data, n_missing = self._data, int(np.isnan(self._data.X).sum())
        low, high = data.coordinates.min(axis=0), data.coordinates.max(axis=0)
        spans = "; ".join(f"{a:g} to {b:g}" for a, b in zip(low, high, strict=True))
        shape = "no grid" if data.shape is None else " × ".join(map(str, data.shape)) + " grid"
        found = [
            ("Maps", f"{len(data.X)} of {data.X.shape[1]} values, from {data.source}"),
            *self._variables(),
            ("Locations", f"{shape}; coordinates {spans}"),
            ("Values", f"{np.nanmin(data.X):.4g} to {np.nanmax(data.X):.4g}"),
            ("Missing values", f"{n_missing} ({percent(n_missing / data.X.size, 1)})"),
        ]
        return found + [("Note", note) for note in self._brought.notes]

    def _variables(self) -> list[tuple[str, str]]:
        names = self._data.names_of_variables
        return [("Variables", ", ".join(names))] if len(names) > 1 else []

    def _settings(self) -> list[tuple[str, str]]:
        told = {k: v for k, v in self._summary.items() if k not in _NOT_SETTINGS}
        seconds = [("seconds of this fit", significant(float(self._row["seconds"])))]
        return [(name.replace("_", " "), _shown(value)) for name, value in told.items()] + seconds


#: What each check of the diagnostics asks.
_ASKED = {
    "distances": "Do maps lie as far from their cluster as normal ones?",
    "correlation": "Does correlation follow the decay?",
    "direction": "Is correlation alike in all directions?",
    "variance": "Is the variance the same everywhere?",
}


def _checks(checked: Diagnostics) -> pd.DataFrame:
    """What the maps show beside maps of the fitted model."""
    return pd.DataFrame(
        [
            {
                "question": _ASKED[line.check],
                "answer": "no" if line.flagged else "yes, as far as these maps tell",
                "what was seen": line.finding,
                "p": f"{line.p_value:.2f}",
            }
            for line in checked.checks.itertuples()
        ]
    )


def _parameters(table: pd.DataFrame) -> pd.DataFrame:
    """All estimates with what is known of their errors."""
    notes = table["note"].fillna("") if "note" in table else [""] * len(table)
    return pd.DataFrame(
        [
            {
                "cluster": str(line.component + 1),
                "parameter": plot.parameter_name(line.parameter),
                "estimate": _plain(line.estimate),
                "standard error": _plain(line.std_error),
                "95 % from": _plain(line.lower),
                "to": _plain(line.upper),
                "note": note or "–",
            }
            for line, note in zip(table.itertuples(), notes, strict=True)
        ]
    )


def _plain(value: float) -> str:
    return f"{value:.4g}".replace("-", "−") if np.isfinite(value) else "–"


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "–" if value is None else str(value)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."

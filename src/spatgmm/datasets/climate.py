"""Climate: monthly means at Colorado's weather stations, by month; temperatures, also rain.

Source: data set COmonthlyMet of the R package fields (Nychka et al.; GPL), from the US Co-op
weather station network.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spatgmm.common import r
from spatgmm.common.constraints import Choice, Integer, List, Parameter, check_value
from spatgmm.data import Dataset

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

#: What is measured, and its name in the R package.
VARIABLES = {"maximum temperature": "CO.tmax", "minimum temperature": "CO.tmin", "rain": "CO.ppt"}

_EARTH_RADIUS_KM = 6371.0

VALUES = "temperature (°C)"
DISTANCE_UNIT = "km"

DEFAULTS = {
    "months": Parameter(
        ("Jan", "Jul"), List(Choice(*MONTHS), 2, distinct=True), "the groups, at least two months"
    ),
    "variables": Parameter(
        ("maximum temperature",),
        List(Choice(*VARIABLES), 1, distinct=True),
        "what is taken of each station",
    ),
    "first_year": Parameter(1920, Integer(), "the first year, within 1895-1997"),
    "last_year": Parameter(1997, Integer(), "the last year, included"),
}


def missing(**settings) -> str | None:
    return r.missing(("fields",))


def load(
    *, months: Sequence[str], variables: Sequence[str], first_year: int, last_year: int
) -> Dataset:
    """Months of Colorado's climate record.

    One observation is one month of one year: the monthly means of one or several variables at
    every station whose record of them is complete over all the years.  With one variable this
    means all twelve months, so that every choice of months shows the same stations; few measure
    several for so long, so that there the chosen months count.

    Returns
    -------
    Dataset
        By default 156 observations of 40 stations; X in degrees Celsius, rain as the package has
        it, coordinates in km (east, north) of the stations' middle.

    Raises
    ------
    ValueError
        If a setting is out of range, or fewer than three stations are complete.
    """
    record, years, degrees, version = _record(variables)
    check_value("first_year", first_year, Integer(int(years[0]), int(years[-1])))
    check_value("last_year", last_year, Integer(first_year, int(years[-1])))

    record = record[(years >= first_year) & (years <= last_year)]  # year, month, station, variable
    columns = [MONTHS.index(month) for month in months]
    needed = record if len(variables) == 1 else record[:, columns]
    complete = np.isfinite(needed).all(axis=(0, 1, 3))
    if complete.sum() < 3:
        raise ValueError(
            f"{complete.sum()} stations are complete over {first_year}-{last_year}, fewer than 3"
        )
    return Dataset(
        X=record[:, columns][:, :, complete].reshape(len(record) * len(months), -1),
        coordinates=_kilometres(degrees[complete]),
        labels=np.tile(np.arange(len(months)), len(record)),
        label_names=tuple(months),
        description=(
            f"{', '.join(variables)} at {complete.sum()} Colorado stations, {', '.join(months)} of "
            f"{first_year}-{last_year}"
        ),
        source=f"R package fields {version}, COmonthlyMet",
        n_variables=len(variables),
        variable_names=tuple(variables) if len(variables) > 1 else (),
    )


_READ = """
function(names) {
  here <- new.env()
  data("COmonthlyMet", package = "fields", envir = here)
  list(
    lapply(names, function(name) here[[name]]),
    here$CO.years, as.matrix(here$CO.loc), toString(packageVersion("fields"))
  )
}
"""


def _record(variables: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Record (year, month, station, variable), years, stations (longitude, latitude), version."""
    with r.session("fields") as ro:
        names = ro.StrVector([VARIABLES[variable] for variable in variables])
        arrays, years, degrees, version = ro.r(_READ)(names).values()
        record = np.stack([np.array(array, float) for array in arrays.values()], axis=-1)
    return record, np.array(years), np.array(degrees), str(version[0])


def _kilometres(degrees: np.ndarray) -> np.ndarray:
    """Longitude and latitude on a plane, true to scale at the middle latitude.

    Over Colorado and its surroundings (5 degrees of latitude) this is right within 4 %.
    """
    middle = degrees.mean(axis=0)
    east_north = np.radians(degrees - middle) * _EARTH_RADIUS_KM
    east_north[:, 0] *= np.cos(np.radians(middle[1]))
    return east_north

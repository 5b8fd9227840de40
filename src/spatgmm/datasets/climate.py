"""Climate: monthly mean maximum temperatures at Colorado's weather stations, by month.

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

_EARTH_RADIUS_KM = 6371.0

VALUES = "temperature (°C)"
DISTANCE_UNIT = "km"

DEFAULTS = {
    "months": Parameter(
        ("Jan", "Jul"), List(Choice(*MONTHS), 2, distinct=True), "the groups, at least two months"
    ),
    "first_year": Parameter(1920, Integer(), "the first year, within 1895-1997"),
    "last_year": Parameter(1997, Integer(), "the last year, included"),
}


def missing(**settings) -> str | None:
    return r.missing(("fields",))


def load(*, months: Sequence[str], first_year: int, last_year: int) -> Dataset:
    """Months of Colorado's temperature record.

    One observation is one month of one year: its mean daily maximum temperature at every station
    whose record has all twelve months of all the years.

    Returns
    -------
    Dataset
        By default 156 observations of 40 stations; X in degrees Celsius, coordinates in km (east,
        north) of the stations' middle.

    Raises
    ------
    ValueError
        If a setting is out of range, or fewer than three stations are complete.
    """
    temperature, years, degrees, version = _record()
    check_value("first_year", first_year, Integer(int(years[0]), int(years[-1])))
    check_value("last_year", last_year, Integer(first_year, int(years[-1])))

    chosen_years = (years >= first_year) & (years <= last_year)
    temperature = temperature[chosen_years]  # year, month, station
    complete = np.isfinite(temperature).all(axis=(0, 1))
    if complete.sum() < 3:
        raise ValueError(
            f"{complete.sum()} stations are complete over {first_year}-{last_year}, fewer than 3"
        )
    columns = [MONTHS.index(month) for month in months]
    data = Dataset(
        X=temperature[:, columns][:, :, complete].reshape(-1, complete.sum()),
        coordinates=_kilometres(degrees[complete]),
        labels=np.tile(np.arange(len(months)), len(temperature)),
        label_names=tuple(months),
        description=(
            f"maximum temperature at {complete.sum()} Colorado stations, {', '.join(months)} of "
            f"{first_year}-{last_year}"
        ),
        source=f"R package fields {version}, COmonthlyMet",
    )
    return data


_READ = """
function() {
  here <- new.env()
  data("COmonthlyMet", package = "fields", envir = here)
  list(here$CO.tmax, here$CO.years, as.matrix(here$CO.loc), toString(packageVersion("fields")))
}
"""


def _record() -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Temperature (year, month, station), years, stations (longitude, latitude), version."""
    with r.session("fields") as ro:
        temperature, years, degrees, version = ro.r(_READ)().values()
    return np.array(temperature, float), np.array(years), np.array(degrees), str(version[0])


def _kilometres(degrees: np.ndarray) -> np.ndarray:
    """Longitude and latitude on a plane, true to scale at the middle latitude.

    Over Colorado and its surroundings (5 degrees of latitude) this is right within 4 %.
    """
    middle = degrees.mean(axis=0)
    east_north = np.radians(degrees - middle) * _EARTH_RADIUS_KM
    east_north[:, 0] *= np.cos(np.radians(middle[1]))
    return east_north

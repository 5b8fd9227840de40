"""What a scenario's configuration may say: its keys, their rules and defaults, once for all.

:class:`spatgmm.simulate.Scenario` is made from such a mapping; configurations of studies are
checked by the same rules, without importing what simulating needs.
"""

from __future__ import annotations

from spatgmm.common.constraints import (
    ABSENT,
    REQUIRED,
    Choice,
    Either,
    Integer,
    Keys,
    List,
    Number,
    Parameter,
)
from spatgmm.fitting.options import DECAY_ALIASES, ONE_PARAMETER_DECAYS

_LOCATIONS = Either(
    Keys(
        {
            "grid": Parameter(
                REQUIRED,
                List(Integer(1), 1, 3),
                "sizes of a regular grid in 1, 2 or 3 dimensions",
            )
        }
    ),
    Keys(
        {
            "uniform": Parameter(
                REQUIRED,
                Integer(2),
                "number of points drawn uniformly in the unit interval, square or cube, the same "
                "in every replicate",
            ),
            "dimensions": Parameter(REQUIRED, Integer(1, 3), "1, 2 or 3"),
            "seed": Parameter(REQUIRED, Integer(0), "seed of these points"),
        }
    ),
)

_MEAN = Keys(
    {"bump": Parameter(REQUIRED, Number(), "height of a smooth bump in the middle of the map")}
)

_STRIPES = Keys(
    {
        "angle": Parameter(REQUIRED, Number(), "that direction, in degrees from the first axis"),
        "ratio": Parameter(
            REQUIRED, Number(1), "how many times farther than across it, at least 1"
        ),
    }
)

_COMPONENT = Keys(
    {
        "alpha": Parameter(
            REQUIRED,
            List(Number(), 3, 3),
            "`(a1, a2, a3)` of the covariance `Xi = a1*J + a2*D(beta) + a3*I`, `J` all ones "
            "(diagonal too); `Xi` must be positive definite",
        ),
        "beta": Parameter(REQUIRED, Number(above=0), "steepness of the decay, positive"),
        "mean": Parameter(ABSENT, _MEAN, "the mean map; zero if not given"),
        "stripes": Parameter(
            ABSENT,
            _STRIPES,
            "correlation that reaches farther in one direction; the same in all if not given",
        ),
        "variables": Parameter(
            ABSENT,
            List(List(Number(), 2), 2),
            "covariance between several variables at a location, a symmetric positive definite "
            "matrix by rows, in all components or in none; one variable if not given",
        ),
    }
)

#: How the locations that methods are shown differ from the true ones; data sets take it too.
DISTORT = Keys(
    {
        "permute": Parameter(
            0, Number(0, 1), "share of the locations that change places with each other, 0 to 1"
        ),
        "jitter": Parameter(
            0,
            Number(0),
            "standard deviation of normal noise on every coordinate, in units of the smallest "
            "distance",
        ),
        "stretch": Parameter(1, Number(above=0), "factor on the first coordinate"),
    }
)

#: Maps that are broken, each in all its pixels.
_OUTLIERS = Keys(
    {
        "share": Parameter(0, Number(0, 1), "share of the maps that outlie, 0 to 1"),
        "inflation": Parameter(
            10, Number(1), "their variance, in units of their component's, at least 1"
        ),
        "shift": Parameter(0, Number(), "what is added to all their pixels"),
    }
)

SCENARIO = Keys(
    {
        "locations": Parameter(
            REQUIRED, _LOCATIONS, "either `grid`, or `uniform` with `dimensions` and `seed`"
        ),
        "n": Parameter(REQUIRED, Integer(1), "number of maps"),
        "weights": Parameter(
            REQUIRED, List(Number(above=0), 1), "mixing proportions; they sum to 1"
        ),
        "components": Parameter(REQUIRED, List(_COMPONENT, 1), "one entry per component"),
        "decay": Parameter(
            "sigmoid",
            Choice(*ONE_PARAMETER_DECAYS, also=DECAY_ALIASES),
            "how covariance falls with distance, a decay with one parameter",
        ),
        "outliers": Parameter(
            {},
            _OUTLIERS,
            "maps of a larger variance or another level, with the labels of their components; none "
            "if not given",
        ),
        "known": Parameter(
            0, Number(0, 1), "share of the maps whose label methods are told, 0 to 1"
        ),
        "distort": Parameter(
            {},
            DISTORT,
            "how the locations that methods are shown differ from the true ones; not at all if not "
            "given",
        ),
    }
)

"""The maps of a data set as its loader gives them, or an error that names the place in its file."""

from __future__ import annotations

from spatgmm import datasets
from spatgmm.data import Dataset
from spatgmm.study.design import Case


def load(case: Case) -> Dataset:
    """The maps of a data set, with groups to compare clusters with.

    Raises
    ------
    ValueError
        If they cannot be had or have no groups; the message starts with the configuration's key.
    """
    settings = dict(case.settings)
    try:
        data = datasets.load(settings.pop("load"), **settings)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"datasets.{case.id}: {error}") from error
    if data.labels is None:
        raise ValueError(
            f"datasets.{case.id}: these maps have no groups to compare clusters with; "
            "spatgmm fit clusters maps without"
        )
    return data

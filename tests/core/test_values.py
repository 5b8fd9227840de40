"""What can be passed as X, to the spatial mixture and to the baselines alike."""

import datetime
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spatgmm import SpatialGaussianMixture
from spatgmm.baselines import COPO, MatrixNormalMixture, ParsimoniousGaussianMixture
from spatgmm.common.values import as_numbers

RNG = np.random.default_rng(41)
X = RNG.normal(size=(30, 12)) + 3 * (np.arange(30) < 15)[:, None]

ESTIMATORS = {
    "spatgmm": SpatialGaussianMixture(2, coordinates=(3, 4), init="kmeans", random_state=0),
    "pgmm": ParsimoniousGaussianMixture(2, n_factors=1, n_init=1, random_state=0),
    "mmn": MatrixNormalMixture(2, shape=(3, 4), n_init=1, random_state=0),
    "copo": COPO(2, random_state=0),
}


def with_cell(cell, dtype=object):
    changed = X.astype(dtype)
    changed[2, 5] = cell
    return changed


def masked(rows=(2,)):
    mask = np.zeros(X.shape, dtype=bool)
    mask[list(rows), 5] = True
    return np.ma.masked_array(np.where(mask, -9999, X), mask=mask)


def frame(column):
    return pd.DataFrame(X).assign(**{"5": column})


PLACE = r"row 2, column 5"
REFUSED = {
    "masked": (masked(), f"NaN at {PLACE}"),
    "masked whole numbers": (masked().astype(int), f"NaN at {PLACE}"),
    "list of masked rows": (list(masked()), f"NaN at {PLACE}"),
    "missing": (with_cell(pd.NA), f"NaN at {PLACE}"),
    "none": (with_cell(None), f"NaN at {PLACE}"),
    "nullable": (pd.DataFrame(X).astype("Float64").mask(pd.DataFrame(masked().mask)), "NaN at"),
    "infinite": (with_cell(np.inf, float), f"infinity at {PLACE}"),
    "word": (with_cell("wet"), f"{PLACE}: 'wet' is not a number"),
    "date": (with_cell(datetime.date(2020, 1, 1)), f"{PLACE}: datetime.date"),
    "too long": (with_cell(10**400), f"{PLACE}: 1000.* is beyond the largest number"),
    "too long to write": (with_cell(10**5000), f"{PLACE}: a number of thousands of digits"),
    "huge": (with_cell(-3e160, float), f"-3e.160 at {PLACE}: beyond 1e"),
    "dates": (X.astype("datetime64[s]"), "X must be numbers, got dates or times"),
    "spans": (X.astype("timedelta64[s]"), "X must be numbers, got dates or times"),
    "column of words": (frame(["dry"] * 30), "X: column '5', row 0: 'dry' is not a number"),
    "column of classes": (frame(pd.Categorical(["a"] * 30)), "X: column '5', row 0: 'a' is not"),
    "column of dates": (frame(pd.date_range("2020", periods=30)), "column '5', row 0: '2020"),
    "column of days": (frame(pd.period_range("2020", periods=30, freq="D")), "column '5', row 0: "),
    "records": (np.zeros((30, 12), dtype=[("a", float)]), "X must be an array .* got records"),
    "dict": ({"a": [1.0, 2.0]}, "X must be an array of numbers, got dict"),
    "generator": ((row for row in X), "X must be an array of numbers, got generator"),
    "ragged": ([[1.0, 2.0], [3.0]], "X must be an array of numbers; its rows differ in length"),
    "equal rows": (np.ones((30, 12)), "X: all rows are the same"),
}


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_map_is_refused_by_place_and_the_old_fit_stays(name, kind):
    values, message = REFUSED[kind]
    model = ESTIMATORS[name].fit(X)
    before = model.predict(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message):
            model.fit(values)
        if kind != "equal rows":
            with pytest.raises(ValueError, match=r"^X"):
                model.predict(values)
    np.testing.assert_array_equal(model.predict(X), before)


ACCEPTED = {
    "lists": X.tolist(),
    "unmasked": np.ma.masked_array(X, mask=False),
    "list of unmasked rows": list(np.ma.masked_array(X, mask=np.zeros(X.shape, dtype=bool))),
    "objects": X.astype(object),
    "decimals": np.vectorize(Decimal, otypes=[object])(X),
    "text of numbers": X.astype(str),
    "data frame": pd.DataFrame(X),
    "matrix": np.asmatrix(X),
    "reversed in memory": np.asfortranarray(X)[::-1][::-1],
    "read-only": np.frombuffer(X.tobytes()).reshape(X.shape),
}


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("kind", ACCEPTED)
def test_the_same_numbers_in_other_containers_are_the_same_maps(name, kind):
    expected = ESTIMATORS[name].fit(X).labels_.copy()
    np.testing.assert_array_equal(ESTIMATORS[name].fit(ACCEPTED[kind]).labels_, expected)


def test_sparse_and_complex_data_are_left_to_scikit_learn():
    for values in (sparse.csr_array(X), X + 1j):
        assert as_numbers(values) is values or np.iscomplexobj(as_numbers(values))
        with pytest.raises((TypeError, ValueError), match=r"Sparse|Complex"):
            COPO(2).fit(values)


@pytest.mark.parametrize("name", ["spatgmm", "pgmm", "mmn"])
def test_masked_or_ragged_starts_are_refused(name):
    labels = np.ma.masked_array(np.arange(30) % 2, mask=np.arange(30) == 4)
    for start in (labels, [[1, 0], [1]]):
        with pytest.raises(ValueError, match=r"^init"):
            ESTIMATORS[name].__class__(**ESTIMATORS[name].get_params() | {"init": start}).fit(X)


@pytest.mark.parametrize(
    "given, message",
    [
        (np.ma.masked_array(np.eye(12, 2), mask=np.eye(12, 2)), "coordinates row 0 is masked"),
        ([[1, 2]] * 11 + [[3]], "coordinates must be an array; its rows differ in length"),
        ((10**6, 10**6), "coordinates has 1000000000000 locations but X has 12"),
        (np.eye(12, 2) * 1e160, "coordinates: values up to 1e.160"),
        (np.eye(12, 2) * 1e-170, "coordinates: values up to 1e-170"),
    ],
)
def test_places_that_are_none_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        SpatialGaussianMixture(2, coordinates=given).fit(X)


@pytest.mark.parametrize("largest", [1e71, -1e140])
def test_copo_refuses_what_it_cannot_take_to_the_fourth_power(largest):
    with pytest.raises(ValueError, match=r"at row 2, column 5: beyond 1e\+70 its fourth power"):
        COPO(2).fit(with_cell(largest, float))

"""The plug-in contract, applied to every method that is there."""

from __future__ import annotations

import numbers
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spatgmm import methods, simulate
from spatgmm.common import r

SCENARIO = simulate.Scenario.from_config(
    "contract",
    {
        "locations": {"grid": [4, 5]},
        "n": 60,
        "weights": [0.4, 0.6],
        "components": [
            {"alpha": [1, -0.9, 0.3], "beta": 2.5},
            {"alpha": [1, -0.9, 0.3], "beta": 6, "mean": {"bump": 2.0}},
        ],
    },
)
#: Two components that are far apart, for the estimators to agree on.
DATA = simulate.draw(SCENARIO, 0, 1)


def every_method():
    for name in methods.names():
        marks = [pytest.mark.r] if methods.get(name).requires else []
        yield pytest.param(name, marks=marks)


@pytest.fixture(params=every_method())
def method(request) -> methods.Method:
    return methods.get(request.param)


def fitted(method, data=DATA, seed=1, **parameters) -> methods.FitResult:
    return method.fit(data, 2, np.random.default_rng(seed), **parameters)


def test_it_says_who_it_is(method):
    assert method.name in methods.names()
    assert method.label.strip() and "\n" not in method.label
    assert all(isinstance(name, str) for name in method.defaults)


def test_it_runs_on_an_easy_case(method):
    assert method.supports(DATA, 2) is None


def test_several_variables_are_taken_or_refused(method):
    pairs = replace(DATA, X=np.repeat(DATA.X, 2, axis=1), n_variables=2, truth=None)
    pairs = replace(pairs, X=pairs.X + np.random.default_rng(2).normal(size=pairs.X.shape))
    reason = method.supports(pairs, 2)
    if reason is None:
        assert fitted(method, pairs).labels.shape == (60,)
    else:
        assert "variable" in reason or method.control


def test_labels_are_whole_numbers_in_range(method):
    labels = fitted(method).labels
    assert labels.shape == (60,) and np.issubdtype(labels.dtype, np.integer)
    assert labels.min() >= 0 and labels.max() < 2


def test_the_same_generator_gives_the_same_fit(method):
    first, again = fitted(method), fitted(method)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert first.log_likelihood == again.log_likelihood
    assert first.n_iter == again.n_iter


def test_global_random_numbers_play_no_part(method):
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (this is what must stay untouched)
    fitted(method)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_numbers_make_sense_where_given(method):
    result = fitted(method)
    if result.log_likelihood is not None:
        assert np.isfinite(result.log_likelihood)
    if result.n_parameters is not None:
        assert result.log_likelihood is not None, "BIC needs both"
        assert isinstance(result.n_parameters, numbers.Integral) and result.n_parameters > 0
    if result.n_iter is not None:
        assert result.n_iter >= 1
    assert result.converged in (None, True, False)


def test_extras_are_scalars_and_a_table_of_parameters(method):
    extras = dict(fitted(method).extras)
    table = extras.pop("parameters", None)
    for name, value in extras.items():
        assert isinstance(value, (str, bool, numbers.Number)), name
    if table is not None:
        columns = ["component", "parameter", "estimate", "std_error", "lower", "upper"]
        assert list(table.columns) == columns
        assert set(table["component"]) == {0, 1}
        assert not table.duplicated(["component", "parameter"]).any()
        assert np.isfinite(table["estimate"]).all()


def test_it_never_touches_labels_or_data(method):
    spoilt = replace(DATA, labels=1 - DATA.labels, label_names=("x", "y"))
    before = DATA.X.copy(), DATA.coordinates.copy()
    np.testing.assert_array_equal(fitted(method).labels, fitted(method, spoilt).labels)
    np.testing.assert_array_equal(DATA.X, before[0])
    np.testing.assert_array_equal(DATA.coordinates, before[1])


def test_it_is_shown_no_truth_unless_it_is_a_control(method):
    shown = []
    spy = replace(method, _fit=lambda data, *a, **k: shown.append(data) or methods.FitResult(ZEROS))
    fitted(spy)
    assert (shown[0].truth is not None) == (shown[0].labels is not None) == method.control


ZEROS = np.zeros(60, dtype=int)


def test_too_few_maps_are_refused_with_a_reason(method):
    few = replace(DATA, X=DATA.X[:2], labels=DATA.labels[:2])
    assert "2 maps are too few for 2 components" in method.supports(few, 2)
    with pytest.raises(ValueError, match=f"'{method.name}' cannot run: 2 maps are too few"):
        fitted(method, few)
    assert "at least 1" in method.supports(DATA, 0)


def test_unknown_parameters_are_refused_by_name(method):
    with pytest.raises(ValueError, match=f"'{method.name}': n_inits is unknown"):
        method.parameters(n_inits=3)
    with pytest.raises(ValueError, match="n_inits is unknown"):
        fitted(method, n_inits=3)


def test_values_of_no_sense_are_refused_before_the_fit(method):
    never = replace(method, _fit=None)
    for name, declared in method.declared.items():
        if not declared.rule.allows(object()):
            with pytest.raises(ValueError, match=f"'{method.name}': {name} must be"):
                fitted(never, **{name: object()})


def test_its_defaults_are_all_that_it_takes(method):
    received = {}

    def spy(data, n_components, rng, **parameters):
        received.update(parameters)
        return methods.FitResult(ZEROS)

    fitted(replace(method, _fit=spy))
    assert received == dict(method.defaults)
    fitted(method, **method.defaults)  # each is accepted by the method itself


WITH_R = [name for name in methods.names() if methods.get(name).requires]


@pytest.mark.parametrize("name", WITH_R)
def test_absent_r_packages_are_a_reason_not_a_crash(name, monkeypatch):
    monkeypatch.setattr(r, "_start", lambda: None)
    monkeypatch.setattr(r, "_has", lambda package: False)
    package = methods.get(name).requires[0]
    assert f"apt-get install r-cran-{package}" in methods.get(name).supports(DATA, 2)


@pytest.mark.parametrize("name", WITH_R)
def test_absent_r_is_a_reason_not_a_crash(name, monkeypatch):
    def no_r():
        raise RuntimeError("R cannot be started")

    monkeypatch.setattr(r, "_start", no_r)
    assert methods.get(name).supports(DATA, 2) == "R cannot be started"


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown method 'mclusst'; known are .*mclust"):
        methods.get("mclusst")
    with pytest.raises(ValueError, match="unknown method '_template'"):
        methods.get("_template")


def test_a_wrong_number_of_labels_is_caught():
    method = methods.get("random")
    for labels in (np.zeros(59, dtype=int), np.zeros(60), np.full(60, 2), np.full(60, -1)):
        broken = replace(method, _fit=lambda *a, labels=labels, **k: methods.FitResult(labels))
        with pytest.raises(RuntimeError, match="'random' returned labels"):
            fitted(broken)


def test_parameter_tables_are_frames():
    assert isinstance(fitted(methods.get("spatgmm")).extras["parameters"], pd.DataFrame)

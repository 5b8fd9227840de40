"""One declaration of every parameter: what it refuses, and that signatures and texts agree."""

import inspect
import re
import subprocess
import sys

import numpy as np
import pytest

from spatgmm import SpatialGaussianMixture, baselines, methods
from spatgmm.baselines import options as baseline_options
from spatgmm.baselines import parsimonious
from spatgmm.common import constraints
from spatgmm.common.constraints import (
    FLAG,
    REQUIRED,
    SEED,
    Choice,
    Either,
    Integer,
    Keys,
    List,
    Named,
    Number,
    Parameter,
    Text,
    given,
    optional,
)
from spatgmm.covariance import decay, metric
from spatgmm.fitting import options
from spatgmm.fitting.scoring import SHARED

ESTIMATORS = {
    SpatialGaussianMixture: options.OPTIONS,
    baselines.ParsimoniousGaussianMixture: baseline_options.PARSIMONIOUS,
    baselines.MatrixNormalMixture: baseline_options.MATRIX_NORMAL,
    baselines.COPO: baseline_options.COPO,
}


def named(value) -> str:
    """The same in every process, whatever the addresses of what stands in it."""
    return re.sub(r" at 0x\w+", "", repr(value))


every_estimator = pytest.mark.parametrize(
    ("estimator", "declared"), ESTIMATORS.items(), ids=lambda value: getattr(value, "__name__", "")
)


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (Number(), True),
        (Number(), np.bool_(True)),
        (Number(), np.nan),
        (Number(), float("inf")),
        (Number(), np.float32("-inf")),
        (Number(), "1"),
        (Number(), None),
        (Number(), 1j),
        (Number(), 10**400),
        (Number(above=0), 0),
        (Number(least=0, most=1), 5),
        (Integer(), 2.0),
        (Integer(), np.float64(2)),
        (Integer(), True),
        (Integer(1), 0),
        (Integer(most=3), np.int64(4)),
        (FLAG, 1),
        (FLAG, "yes"),
        (Text(r"[a-z]+"), "abc\n"),
        (Choice("one"), ["one"]),
        (SEED, -1),
        (SEED, True),
        (SEED, "today"),
        (List(Integer()), "12"),
        (List(Integer(), 1), []),
        (List(Integer(), 0, 1), [1, 2]),
        (List(Integer(), distinct=True), [1, 1]),
        (optional(Number()), np.nan),
        (Either(Choice("one"), given("labels")), 3),
        (Named(Text(r"[a-z]+"), Integer()), {"a\n": 1}),
        (Named(Text(r"[a-z]+"), Integer()), {1: 1}),
    ],
    ids=named,
)
def test_values_that_look_right_are_refused(rule, value):
    assert not rule.allows(value)
    assert list(rule.problems(value))


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (Number(), 1),
        (Number(above=0), np.float32(0.5)),
        (Number(0, 1), np.int8(1)),
        (Integer(1), np.int64(1)),
        (Integer(1), np.uint8(1)),
        (FLAG, np.bool_(False)),
        (Choice("one", also=["eins"]), "eins"),
        (SEED, None),
        (SEED, np.random.default_rng(0)),
        (SEED, np.random.RandomState(0)),
        (List(Integer(), 2, 2), (1, 2)),
        (optional(Integer()), None),
        (Either(Choice("one"), given("labels")), np.zeros(3)),
    ],
    ids=named,
)
def test_values_that_look_wrong_are_taken(rule, value):
    assert rule.allows(value)
    assert not list(rule.problems(value))


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        (Number(above=0), -1, "x must be a positive number, got -1"),
        (Number(0, 1), 5, "x must be a number from 0 to 1, got 5"),
        (Number(above=0, most=0.5), 1, "x must be a number above 0 and of at most 0.5, got 1"),
        (Integer(), 2.0, "x must be an integer, got 2.0"),
        (Integer(3), 1, "x must be an integer of at least 3, got 1"),
        (
            Choice("sigmoid", "matern32"),
            "sigmoidd",
            "x must be one of 'sigmoid', 'matern32', got 'sigmoidd'; did you mean 'sigmoid'?",
        ),
        (Number(), "1e-6", "x must be a number, got '1e-6'; YAML reads 1e-6 as a text, not 1.0e-6"),
        (Choice("one"), "zzz", "x must be 'one', got 'zzz'"),
        (optional(Integer(1)), 0, "x must be an integer of at least 1, got 0"),
        (optional(Integer(1)), "a", "x must be an integer of at least 1 or None, got 'a'"),
        (List(Choice("UUU")), ["UUU", "UU"], "x.1 must be 'UUU', got 'UU'; did you mean 'UUU'?"),
        (List(Integer(), distinct=True), [4, 4], "x.1 repeats 4"),
        (Keys({"n": Parameter(REQUIRED, Integer(), "")}), {}, "x.n is missing"),
        (
            Keys({"size": Parameter(1, Integer(), "")}),
            {"sise": 2},
            "x.sise is unknown; did you mean 'size'?",
        ),
        (Integer(), "long " * 99, "x must be an integer, got 'long long "),
    ],
)
def test_refusals_name_place_rule_and_value(rule, value, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)) as caught:
        constraints.check_value("x", value, rule)
    assert len(str(caught.value)) < 150


def test_everything_wrong_is_named_at_once():
    with pytest.raises(ValueError, match=r"tol must .*; decay must .*; decoy is unknown"):
        constraints.check(Keys(options.OPTIONS), {"tol": 0, "decay": "x", "decoy": 1})


def test_defaults_are_filled_in_at_every_depth():
    inner = Keys({"a": Parameter(1, Integer(), ""), "b": Parameter(REQUIRED, Integer(), "")})
    outer = Keys({"all": Parameter(REQUIRED, List(inner), ""), "one": Parameter({}, inner, "")})
    given = {"all": [{"b": 2}]}
    assert outer.filled(given) == {"all": [{"b": 2, "a": 1}], "one": {"a": 1}}
    assert given == {"all": [{"b": 2}]}


def test_plain_defaults_declare_their_kind():
    declared = constraints.declared({"linkage": "ward", "k": 3, "fast": False, "metric": None})
    assert constraints.defaults(declared) == {
        "linkage": "ward",
        "k": 3,
        "fast": False,
        "metric": None,
    }
    wrong = {"linkage": 3, "k": "3", "fast": 1}
    assert len(list(Keys(declared).problems(wrong))) == 3
    right = {"linkage": "single", "k": 2.5, "fast": True, "metric": ["anything"]}
    assert not list(Keys(declared).problems(right))


@every_estimator
def test_signatures_are_as_declared(estimator, declared):
    signature = inspect.signature(estimator).parameters
    assert list(signature) == list(declared)
    for name, parameter in signature.items():
        default = declared[name].default
        assert parameter.default == (parameter.empty if default is REQUIRED else default), name
        keyword = parameter.kind is parameter.KEYWORD_ONLY
        assert keyword == (name != "n_components"), name


@every_estimator
def test_siblings_have_one_order(estimator, declared):
    common = ["init", "n_init", "tol", "max_iter", "random_state"]
    assert [name for name in declared if name in common] == [n for n in common if n in declared]


@every_estimator
def test_docstrings_are_as_declared(estimator, declared):
    text = inspect.getdoc(estimator).partition("Parameters\n---")[2].partition("\nAttributes\n")[0]
    headers = dict(re.findall(r"^(\w+) : (.*)$", text, re.M))
    assert list(headers) == list(declared)
    for name, header in headers.items():
        kind, _, default = header.partition(", default=")
        if default:
            assert eval(default) == declared[name].default, name
        choices = re.search(r"\{(.*)\}", kind)
        if choices:
            first = declared[name].rule
            while isinstance(first, Either):
                first = first.rules[0]
            assert re.findall(r'"(\w+)"', choices[1]) == list(first.names), name


@every_estimator
def test_defaults_are_allowed_and_described(estimator, declared):
    for name, parameter in declared.items():
        if parameter.default is not REQUIRED:
            assert parameter.rule.allows(parameter.default), name
        assert parameter.text and "\n" not in parameter.text, name


@pytest.mark.parametrize("name", methods.names())
def test_plug_ins_declare_what_they_take(name):
    for parameter, declared in methods.get(name).declared.items():
        assert declared.rule.allows(declared.default), parameter
        assert declared.text, parameter


def test_names_written_out_are_those_of_the_objects():
    assert list(options.DECAYS) == decay.names()
    for name in options.DECAYS:
        one = len(decay.get(name).parameter_names) == 1
        assert one == (name in options.ONE_PARAMETER_DECAYS)
    for alias in options.DECAY_ALIASES:
        assert decay.get(alias).name in options.DECAYS
    assert list(options.OPTIONS["metric"].rule.names) == [*metric.names(), options.AUTO]
    assert list(options.OPTIONS["sharing"].rule.names) == list(SHARED)
    assert {model[1:] for model in baseline_options.MODELS} == set(parsimonious._NOISE)


def test_declarations_import_nothing_slow():
    code = (
        "import sys, spatgmm.fitting.options, spatgmm.common.constraints;"
        "sys.exit(any(name in sys.modules for name in ('scipy', 'sklearn', 'pandas')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_old_positional_calls_are_refused():
    with pytest.raises(TypeError, match="positional"):
        SpatialGaussianMixture(2, (3, 4))
    with pytest.raises(TypeError, match="positional"):
        baselines.MatrixNormalMixture(2, (3, 4))

"""Configurations: defaults, and one error that names everything that is wrong."""

import copy
import datetime
import random
import re
from pathlib import Path

import pytest
import yaml

from spatgmm import study
from spatgmm.common import constraints
from spatgmm.study import config as study_config

ROOT = Path(__file__).parents[2]


def problems(raw):
    with pytest.raises(study.ConfigError) as caught:
        study.prepare(raw, "here.yaml")
    assert str(caught.value).startswith("here.yaml: ")
    return caught.value.problems


def test_defaults_are_filled_in_and_the_input_is_left_alone(tiny):
    del tiny["root_seed"]
    resolved = study_config.checked(tiny)[0]
    assert resolved["root_seed"] == 0
    assert resolved["studies"]["sizes"]["replicates"] == 1
    assert resolved["studies"]["raman"]["scenarios"] == []
    assert "root_seed" not in tiny


def test_a_resolved_configuration_resolves_to_itself(tiny):
    resolved = study_config.checked(tiny)[0]
    assert study_config.checked(yaml.safe_load(study_config.dump(resolved))) == (resolved, [])


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("root_sed", 1, r"root_sed: is unknown; did you mean 'root_seed'\?"),
        ("studies.sizes.replicats", 3, r"studies\.sizes\.replicats: is unknown; .*'replicates'"),
        (
            "studies.sizes.replicates",
            0,
            r"studies\.sizes\.replicates: must be an integer of at least 1, got 0",
        ),
        (
            "studies.sizes.replicates",
            "many",
            r"studies\.sizes\.replicates: must be an integer .*'many'",
        ),
        ("studies.sizes.methods", [], r"studies\.sizes\.methods: must be a list of at least 1"),
        ("studies.sizes.methods", ["kmens"], r"methods\.kmens: unknown method.*mean 'kmeans'\?"),
        ("studies.sizes.scenarios", ["gird"], r"studies\.sizes\.scenarios\.0: .*mean 'grid'\?"),
        ("studies.sizes.vary", {"m": [1]}, r"studies\.sizes\.vary\.m: 'grid' has no such key"),
        (
            "studies.sizes.vary",
            {"components.2.beta": [1]},
            r"studies\.sizes\.vary\.components\.2\.beta: 'grid' has no such key",
        ),
        (
            "studies.sizes.vary",
            {"n": [30, -1]},
            r"studies\.sizes\.vary\.n: .*at least 1, got -1 \(scenario 'grid'",
        ),
        (
            "studies.raman.datasets",
            ["film"],
            r"studies\.raman\.datasets\.0: unknown data set 'film'",
        ),
        ("studies.raman.vary", {"n": [3]}, r"studies\.raman\.vary\.n: 'raman-raw' has no such key"),
        (
            "studies.raman.vary",
            {"method.n_inti": [3]},
            r"studies\.raman\.vary\.method\.n_inti: none of the methods .*mean 'n_init'\?",
        ),
        (
            "studies.raman.vary",
            {"method.n_components": [2, 0]},
            r"studies\.raman\.vary\.method\.n_components: must be an integer of at least 1, got 0",
        ),
        (
            "methods.kmeans-once.n_components",
            0,
            r"methods\.kmeans-once\.n_components: .*at least 1, got 0",
        ),
        ("studies.raman.datasets", [], r"studies\.raman: has neither scenarios nor datasets"),
        ("studies.Sizes", {"methods": ["truth"]}, r"studies\.Sizes: must be an id: lower-case"),
        ("scenarios.grid.location", {}, r"scenarios\.grid\.location: is unknown; .*'locations'"),
        (
            "scenarios.grid.n",
            1.5,
            r"scenarios\.grid\.n: must be an integer of at least 1, got 1\.5",
        ),
        ("scenarios.grid.weights", [0.5, 0.6], r"scenarios\.grid: .*weights must .* sum to 1"),
        (
            "scenarios.grid.components.1.alpha",
            [1, -0.9, -0.5],
            r"scenarios\.grid: .*components\.1: no maps have this covariance",
        ),
        (
            "scenarios.grid.components.0.beta",
            0,
            r"scenarios\.grid\.components\.0\.beta: must be a positive number, got 0",
        ),
        ("datasets.raman-raw.load", "rahman", r"datasets\.raman-raw\.load: .*mean 'raman'\?"),
        ("datasets.raman-raw.fiel", "x.csv", r"datasets\.raman-raw\.fiel: .*mean 'file'\?"),
        ("methods.kmeans-once.plugin", "kmean", r"methods\.kmeans-once: .*mean 'kmeans'\?"),
        ("methods.kmeans-once.n_inti", 1, r"methods\.kmeans-once\.n_inti: .*mean 'n_init'\?"),
        (
            "outputs",
            ["table2", "tabel1"],
            r"outputs\.1: unknown table or figure 'tabel1'; .*table1",
        ),
        ("outputs", ["table1"], r"outputs\.0: table1: .*recovery"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tiny, path, value, expected):
    node = tiny
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        node = node[key]
    node[last] = value
    found = problems(tiny)
    assert any(re.search(expected, problem) for problem in found), found


@pytest.mark.parametrize("key", ["name", "studies", "outputs"])
def test_missing_keys_are_named(tiny, key):
    del tiny[key]
    assert problems(tiny) == [f"{key}: is missing"]


def test_everything_wrong_is_named_at_once(tiny):
    tiny["outputs"] = ["table99"]
    tiny["studies"]["sizes"]["scenarios"] = ["nowhere"]
    tiny["methods"]["kmeans-once"]["plugin"] = "nobody"
    assert len(problems(tiny)) == 3


def test_an_id_shared_by_a_scenario_and_a_data_set_is_refused(tiny):
    tiny["datasets"]["grid"] = {"load": "raman"}
    tiny["studies"]["raman"]["datasets"] = ["grid"]
    assert problems(tiny) == ["studies.raman: 'grid' is the id of a scenario and of a data set"]


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(study.ConfigError, match=r"broken\.yaml"):
        study.read(path)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name
)
def test_the_configurations_that_come_along_are_valid(path):
    study.prepare(study.read(path), str(path))


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "time_limit",
            NAN,
            r"time_limit: must be a positive number or None|time_limit: .* got nan",
        ),
        ("time_limit", INFINITY, r"time_limit: must be a positive number, got inf"),
        ("batch_size", 2.0, r"batch_size: must be an integer of at least 1, got 2\.0"),
        ("root_seed", True, r"root_seed: must be an integer of at least 0, got True"),
        ("name", "tiny\n", r"name: must be an id: .*got 'tiny\\n'"),
        ("studies.sizes.replicates", 2.0, r"studies\.sizes\.replicates: .* got 2\.0"),
        ("studies.sizes\n", {"methods": ["truth"]}, r"studies\.'sizes\\n': must be an id"),
        ("scenarios.grid.components.0.beta", INFINITY, r"components\.0\.beta: .*got inf"),
        ("scenarios.grid.weights", [0.5, NAN], r"scenarios\.grid\.weights\.1: .*got nan"),
        ("scenarios.grid.distort", {"permute": 5}, r"grid\.distort\.permute: .*0 to 1, got 5"),
        ("datasets.raman-raw.centred", "yes", r"raman-raw\.centred: must be true or false.*'yes'"),
        ("datasets.raman-raw.seed", 1.0, r"datasets\.raman-raw\.seed: must be an integer"),
        ("datasets.raman-raw.distort", {"jitter": NAN}, r"raman-raw\.distort\.jitter: .*got nan"),
        (
            "studies.raman.vary",
            {"distort.permute": [0, 5]},
            r"studies\.raman\.vary\.distort\.permute: must be a number from 0 to 1, got 5",
        ),
        (
            "studies.sizes.vary",
            {"distort.permute": [5]},
            r"studies\.sizes\.vary\.distort\.permute: must be a number from 0 to 1, got 5",
        ),
        (
            "studies.sizes.vary",
            {"components.1.beta": [3, NAN]},
            r"studies\.sizes\.vary\.components\.1\.beta: must be a positive number, got nan",
        ),
        (
            "methods.kmeans-once.n_init",
            "x",
            r"kmeans-once\.n_init: .*'x' \(method 'kmeans-once'; s",
        ),
        ("methods.kmeans-once.max_iter", 2.0, r"kmeans-once\.max_iter: must be an integer .*2\.0"),
        ("methods.kmeans-once.time_limit", NAN, r"kmeans-once\.time_limit: .*got nan"),
        (
            "studies.comparison.vary",
            {"method.n_init": [1, 0]},
            r"studies\.comparison\.vary\.method\.n_init: .*at least 1, got 0 .*'kmeans-once'",
        ),
    ],
)
def test_values_that_no_job_can_use_are_refused(tiny, path, value, expected):
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    node = tiny
    for key in parents:
        node = node[key]
    node[last] = value
    found = problems(tiny)
    assert len(found) == 1 and re.search(expected, found[0]), found


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (
            {"decay": "sigmoidd"},
            r"decay: must be one of .*got 'sigmoidd'; did you mean 'sigmoid'\?",
        ),
        ({"tol": -1}, r"tol: must be a positive number, got -1"),
        ({"n_init": "x"}, r"n_init: must be an integer of at least 1, got 'x'"),
        ({"metric": "rotate"}, r"metric: must be one of .*did you mean 'rotated'\?"),
        ({"standard_errors": 1}, r"standard_errors: must be true or false, got 1"),
        ({"init": "kmean"}, r"init: must be one of 'multistart', 'kmeans', got 'kmean'; did you"),
        ({"plugin": "spatgmm-gls", "decay": "ispline"}, r"decay: must be one of .*got 'ispline'"),
        ({"plugin": "spatgmm-gls", "metric": "axes"}, r"metric: is unknown"),
    ],
    ids=str,
)
def test_values_of_the_model_are_refused_with_method_and_study(tiny, setting, expected):
    tiny["methods"]["mine"] = {"plugin": "spatgmm"} | setting
    tiny["studies"]["comparison"]["methods"].append("mine")
    (problem,) = problems(tiny)
    assert re.match(rf"methods\.mine\.{expected}", problem), problem
    assert problem.endswith("(method 'mine'; studies: comparison)")


def test_shapes_names_and_values_are_refused_together(tiny):
    tiny["root_sed"] = 1
    tiny["scenarios"]["grid"]["n"] = 1.5
    tiny["studies"]["raman"]["methods"].append("kmens")
    tiny["studies"]["raman"]["replicates"] = 2.0
    tiny["methods"]["kmeans-once"]["n_init"] = 0
    tiny["datasets"]["raman-raw"]["centred"] = "yes"
    places = [problem.partition(":")[0] for problem in problems(tiny)]
    assert places == [
        "root_sed",
        "scenarios.grid.n",
        "studies.raman.replicates",
        "datasets.raman-raw.centred",
        "methods.kmeans-once.n_init",
        "methods.kmens",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a\nname: b\n", "line 2, column 1: the key 'name' stands here a second time"),
        ("studies:\n  a: {}\n  b: {}\n  a: {}\n", "line 4, column 3: the key 'a' stands"),
        ("outputs: [table1\nname: a\n", "line 2"),
        ("name: a\n\tb: 1\n", "line 2"),
    ],
)
def test_yaml_is_refused_with_file_and_line(tmp_path, text, expected):
    path = tmp_path / "twice.yaml"
    path.write_text(text)
    with pytest.raises(study.ConfigError, match=rf"twice\.yaml: .*\n.*{expected}"):
        study.read(path)


def test_a_key_that_stands_twice_is_named_with_all_else(tiny, tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text("name: a\nname: b\n")
    tiny["batch_size"] = 0
    with pytest.raises(study.ConfigError) as caught:
        study.prepare(tiny, "here", files=[path])
    assert [problem.partition(": must")[0] for problem in caught.value.problems] == [
        f"{path}: line 2, column 1: the key 'name' stands here a second time",
        "batch_size",
    ]


def places(node, path=()):
    """Every place in a configuration but the whole."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, below in pairs:
        yield (*path, key)
        if isinstance(below, dict | list):
            yield from places(below, (*path, key))


JUNK = [None, True, -1, 2.0, NAN, INFINITY, 10**400, "", "x\n", "1e-6", [], [[1]], {}, {1: []}]
JUNK += [b"x", datetime.date(2026, 1, 1)]


def test_whatever_a_configuration_holds_it_is_refused_or_taken(tiny):
    rng = random.Random(1)
    refused = 0
    for _ in range(300):
        damaged = copy.deepcopy(tiny)
        for _ in range(rng.randint(1, 3)):
            *parents, last = rng.choice(list(places(damaged)) or [("name",)])
            node = damaged
            for key in parents:
                node = node[key]
            node[last] = copy.deepcopy(rng.choice(JUNK))
        try:
            study.prepare(damaged, values=False)
        except study.ConfigError as error:
            refused += bool(error.problems)
    assert refused > 200


def documented(rule):
    """Every key that a rule knows, with its text."""
    if isinstance(rule, constraints.Keys):
        for key, parameter in rule.keys.items():
            yield key, parameter.text
            yield from documented(parameter.rule)
    elif isinstance(rule, constraints.Either):
        for each in rule.rules:
            yield from documented(each)
    elif isinstance(rule, constraints.List | constraints.Named):
        yield from documented(rule.of)


def test_the_manual_says_of_every_key_what_its_declaration_says():
    manual = (ROOT / "config" / "README.md").read_text()
    rows = [f"| `{key}` | {text}" for key, text in documented(study_config.CONFIG)]
    assert len(rows) > 30
    assert [row for row in rows if row not in manual] == []

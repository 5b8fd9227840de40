"""Configurations: defaults, and one error that names everything that is wrong."""

import re
from pathlib import Path

import pytest
import yaml

from spatgmm import study
from spatgmm.study import config as study_config

ROOT = Path(__file__).parents[2]


def problems(raw):
    with pytest.raises(study.ConfigError) as caught:
        study.prepare(raw, "here.yaml")
    assert str(caught.value).startswith("here.yaml: ")
    return caught.value.problems


def test_defaults_are_filled_in_and_the_input_is_left_alone(tiny):
    del tiny["root_seed"]
    resolved = study_config.resolve(tiny)
    assert resolved["root_seed"] == 0
    assert resolved["studies"]["sizes"]["replicates"] == 1
    assert resolved["studies"]["raman"]["scenarios"] == []
    assert "root_seed" not in tiny


def test_a_resolved_configuration_resolves_to_itself(tiny):
    resolved = study_config.resolve(tiny)
    assert study_config.resolve(yaml.safe_load(study_config.dump(resolved))) == resolved


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("root_sed", 1, r"root_sed: unknown key; did you mean 'root_seed'\?"),
        ("studies.sizes.replicats", 3, r"studies\.sizes\.replicats: unknown key; .*'replicates'"),
        ("studies.sizes.replicates", 0, r"studies\.sizes\.replicates: 0 is less than .* 1"),
        (
            "studies.sizes.replicates",
            "many",
            r"studies\.sizes\.replicates: 'many' is not .*integer",
        ),
        ("studies.sizes.methods", [], r"studies\.sizes\.methods: \[\] should be non-empty"),
        ("studies.sizes.methods", ["kmens"], r"methods\.kmens: unknown method.*mean 'kmeans'\?"),
        ("studies.sizes.scenarios", ["gird"], r"studies\.sizes\.scenarios\.0: .*mean 'grid'\?"),
        ("studies.sizes.vary", {"m": [1]}, r"studies\.sizes\.vary\.m: 'grid' has no such key"),
        (
            "studies.sizes.vary",
            {"components.2.beta": [1]},
            r"studies\.sizes\.vary\.components\.2\.beta: 'grid' has no such key",
        ),
        ("studies.sizes.vary", {"n": [30, -1]}, r"scenarios\.grid, n = -1: .*at least 1"),
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
        ("methods.kmeans-once.n_components", 0, r"methods\.kmeans-once\.n_components: 0 is less"),
        ("studies.raman.datasets", [], r"studies\.raman: has neither scenarios nor datasets"),
        ("studies.Sizes", {"methods": ["truth"]}, r"studies\.Sizes: an id holds lower-case"),
        ("scenarios.grid.location", {}, r"scenarios\.grid\.location: unknown key; .*'locations'"),
        ("scenarios.grid.n", 1.5, r"scenarios\.grid\.n: 1\.5 is not of type 'integer'"),
        ("scenarios.grid.weights", [0.5, 0.6], r"scenarios\.grid: .*weights must .* sum to 1"),
        (
            "scenarios.grid.components.1.alpha",
            [1, -0.9, -0.5],
            r"scenarios\.grid: .*components\.1.*not positive definite",
        ),
        ("scenarios.grid.components.0.beta", 0, r"scenarios\.grid\.components\.0\.beta: 0 is less"),
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
    assert problems(tiny) == [f"{key}: missing"]


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


def schema_keys(node):
    if isinstance(node, dict):
        for key, below in node.get("properties", {}).items():
            yield key
            yield from schema_keys(below)
        for key in ("items", "additionalProperties", "$defs"):
            below = node.get(key)
            yield from schema_keys(below)
            if key == "$defs" and below:
                for definition in below.values():
                    yield from schema_keys(definition)


def test_every_key_is_documented():
    manual = (ROOT / "config" / "README.md").read_text()
    keys = set(schema_keys(study_config.schema()))
    assert {"batch_size", "replicates", "bump", "load", "plugin", "seed"} <= keys
    assert [key for key in sorted(keys) if f"`{key}`" not in manual] == []

"""From a configuration to cases, methods and batches."""

import re
from itertools import chain

import pytest

from spatgmm import study
from spatgmm.study.design import Batch


def design_of(raw):
    return study.prepare(raw)[1]


def test_cases_of_a_study_that_varies_nothing_are_called_as_their_scenario(tiny):
    design = design_of(tiny)
    assert design.cases["grid"].simulated
    assert design.cases["grid"].settings["n"] == 40
    assert not design.cases["raman-raw"].simulated


def test_varied_keys_are_crossed_and_reach_into_lists(tiny):
    tiny["studies"]["sizes"]["vary"] = {"n": [30, 50], "components.1.beta": [5, 6, 7]}
    cases = [case for case in design_of(tiny).cases.values() if case.varied]
    assert [(case.settings["n"], case.settings["components"][1]["beta"]) for case in cases] == [
        (30, 5),
        (30, 6),
        (30, 7),
        (50, 5),
        (50, 6),
        (50, 7),
    ]
    assert tiny["scenarios"]["grid"]["n"] == 40


def test_points_can_be_listed(tiny):
    points = [{"n": 30, "locations.grid": [3, 3]}, {"n": 50, "locations.grid": [5, 5]}]
    tiny["studies"]["sizes"]["vary"] = points
    varied = [case.varied for case in design_of(tiny).cases.values() if case.varied]
    assert varied == points


def test_a_varied_parameter_multiplies_the_methods_that_have_it(tiny):
    tiny["studies"]["comparison"]["vary"] = {"n": [30, 50], "method.n_init": [1, [2], None]}
    _, design = study.prepare(tiny, values=False)  # lists and nothing at all are values too
    pairs = design.studies["comparison"]
    kmeans = [id for id, variant in design.methods.items() if variant.varied]
    assert [design.methods[id].varied for id in kmeans] == [
        {"n_init": 1},
        {"n_init": [2]},
        {"n_init": None},
    ]
    assert all(re.fullmatch(r"kmeans-once-[0-9a-f]{10}", id) for id in kmeans)
    assert {design.methods[id].base_method for id in kmeans} == {"kmeans-once"}
    assert design.methods[kmeans[0]].parameters == {"n_init": 1}
    cases = list(dict.fromkeys(case for case, _ in pairs))
    assert list(pairs) == [(case, method) for case in cases for method in [*kmeans, "truth"]]
    # The same study without it keeps its ids, whatever other studies vary.
    assert ("raman-raw", "kmeans-once") in design.studies["raman"]


def test_a_point_fixes_scenario_and_method_together(tiny):
    points = [{"n": 30, "method.n_init": 1}, {"n": 50, "method.n_init": 2}]
    tiny["studies"]["comparison"]["vary"] = points
    design = design_of(tiny)
    met = [
        (design.cases[case].varied | {f"method.{k}": v for k, v in variant.varied.items()})
        for case, variant in (
            (case, design.methods[method]) for case, method in design.studies["comparison"]
        )
        if variant.plugin == "kmeans"
    ]
    assert met == points


def test_every_method_has_a_number_of_components(tiny):
    tiny["methods"]["kmeans-once"]["n_components"] = 4
    tiny["studies"]["sizes"]["vary"] = {"method.n_components": [1, 2]}
    methods = design_of(tiny).methods
    assert methods["kmeans-once"].n_components == 4
    assert methods["kmeans-once"].parameters == {"n_init": 1}
    varied = [variant for variant in methods.values() if variant.varied]
    assert [variant.n_components for variant in varied] == [1, 2]
    assert methods["truth"].n_components is None


def test_settings_of_data_sets_can_be_varied(tiny):
    tiny["studies"]["raman"] |= {"vary": {"centred": [False, True]}, "scenarios": ["grid"]}
    design = design_of(tiny)
    cases = [design.cases[case] for case, _ in design.studies["raman"]]
    assert [case.scenario for case in cases] == ["grid", "raman-raw", "raman-raw"]
    assert [case.settings.get("centred") for case in cases] == [None, False, True]
    assert all(re.fullmatch(r"raman-raw-[0-9a-f]{10}", case.id) for case in cases[1:])


def test_optional_keys_of_a_scenario_need_not_be_stated(tiny):
    tiny["studies"]["sizes"]["vary"] = {"components.1.mean.bump": [0.5]}
    (case,) = [case for case in design_of(tiny).cases.values() if case.varied]
    assert case.settings["components"][1]["mean"] == {"bump": 0.5}
    assert "mean" not in case.settings["components"][0]


def test_ids_are_short_and_depend_on_the_point_only(tiny):
    def ids(raw):
        return {case.settings["n"]: id for id, case in design_of(raw).cases.items() if case.varied}

    before = ids(tiny)
    assert all(re.fullmatch(r"grid-[0-9a-f]{10}", id) for id in before.values())
    tiny["studies"]["sizes"]["vary"]["n"] = [10, 50, 30]
    tiny["scenarios"]["grid"]["components"][0]["beta"] = 3
    after = ids(tiny)
    assert {n: after[n] for n in before} == before


def test_batches_hold_every_replicate_once(tiny):
    batches = [batch for batch in design_of(tiny).batches() if batch.case == "grid"]
    assert batches == [
        Batch("grid", "kmeans-once", 0, 1),
        Batch("grid", "kmeans-once", 2, 2),
        Batch("grid", "truth", 0, 1),
        Batch("grid", "truth", 2, 2),
    ]


def test_jobs_hold_every_batch_once_and_no_more_fits_than_a_batch_may(tiny):
    tiny["batch_size"] = 3
    tiny["studies"]["raman"]["methods"].append("truth")
    design = design_of(tiny)
    jobs = design.jobs()
    assert sorted(map(str, chain(*jobs))) == sorted(map(str, design.batches()))
    for job in jobs:
        assert sum(map(len, job)) <= 3
        assert len({design.methods[batch.method].base_method for batch in job}) == 1
        assert len({design.cases[batch.case].simulated for batch in job}) == 1
    sizes = [job for job in jobs if job[0].method == "truth" and job[0].case != "grid"]
    assert [len(job) for job in sizes if job[0].case != "raman-raw"] == [2], "small ones share"


def test_a_batch_is_read_from_what_it_is_called(tiny):
    for batch in design_of(tiny).batches():
        assert Batch.parse(str(batch)) == batch
    assert Batch.parse("grid/truth/4") == Batch("grid", "truth", 4, 4)
    with pytest.raises(ValueError):
        Batch.parse("grid/truth")


def test_what_two_studies_share_is_fitted_once_with_the_larger_number_of_replicates(tiny):
    tiny["studies"]["again"] = {"scenarios": ["grid"], "methods": ["truth"], "replicates": 5}
    assert design_of(tiny).replicates()["grid", "truth"] == 5


def test_a_method_without_an_entry_is_its_plugin_with_defaults(tiny):
    methods = design_of(tiny).methods
    assert (methods["truth"].plugin, methods["truth"].parameters) == ("truth", {})
    assert (methods["kmeans-once"].plugin, methods["kmeans-once"].parameters) == (
        "kmeans",
        {"n_init": 1},
    )


def test_settings_that_decide_about_a_fit(tiny):
    before = design_of(tiny)
    tiny["scenarios"]["grid"]["n"] = 41
    tiny["batch_size"] = 50
    after = design_of(tiny)
    assert before.fit_settings("grid", "truth") != after.fit_settings("grid", "truth")
    assert before.fit_settings("raman-raw", "kmeans-once") == after.fit_settings(
        "raman-raw", "kmeans-once"
    )
    varied = next(id for id, case in before.cases.items() if case.varied)
    assert before.fit_settings(varied, "truth") == after.fit_settings(varied, "truth")

"""Everything that users call says its types, and shows by an example how it is used."""

import doctest
import inspect

import pytest

import spatgmm
from spatgmm import baselines, data, datasets, methods, mixture, plot, simulate

MODULES = (data, datasets, methods, mixture, simulate, baselines, plot)


def public_callables():
    """Functions and methods by name, those of scikit-learn's bases and of dataclasses left out."""
    for module in (spatgmm, *MODULES):
        exported = getattr(module, "__all__", ())
        for name in exported or vars(module):
            found = getattr(module, name)
            ours = name in exported or getattr(found, "__module__", None) == module.__name__
            if name.startswith("_") or not ours:
                continue
            if inspect.isfunction(found):
                yield f"{module.__name__}.{name}", found
            elif inspect.isclass(found):
                yield from methods_of(found)


def methods_of(cls):
    for owner in cls.__mro__:
        if owner.__module__.startswith("spatgmm"):
            for name, member in vars(owner).items():
                function = getattr(member, "fget", None) or getattr(member, "__func__", member)
                if inspect.isfunction(function) and (name == "__init__" or name[0] != "_"):
                    yield f"{owner.__qualname__}.{name}", function


FOUND = dict(public_callables())


def test_the_search_finds_what_users_call():
    assert {
        "SpatialGaussianMixture.__init__",
        "SpatialGaussianMixture.fit",
        "FittedMixture.covariances_",
        "LikelihoodMixture.bic",
        "COPO.predict",
        "Dataset.load",
        "FittedMixture.interpolate",
        "spatgmm.component_test",
        "spatgmm.plot.maps",
        "spatgmm.select",
        "spatgmm.datasets.load",
        "spatgmm.simulate.draw",
        "spatgmm.methods.get",
    } <= set(FOUND)


@pytest.mark.parametrize("name", FOUND)
def test_every_argument_and_result_is_annotated(name):
    signature = inspect.signature(FOUND[name])
    given = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    bare = [p.name for p in given if p.annotation is p.empty]
    assert not bare
    # dataclasses write their own __init__, without a result.
    assert name.endswith("__init__") or signature.return_annotation is not signature.empty


def examples():
    """Docstrings of classes, functions and the estimator's methods, by name."""
    for name, function in FOUND.items():
        owner = name.partition(".")[0]
        if name.startswith("spatgmm") or owner in ("SpatialGaussianMixture", "LikelihoodMixture"):
            yield name, function
    for module in MODULES:
        for name in getattr(module, "__all__", ()):
            yield name, getattr(module, name)
    yield "SpatialGaussianMixture", spatgmm.SpatialGaussianMixture
    yield "Scenario.from_config", simulate.Scenario.from_config


#: Helpers of the plug-ins' own machinery, which users meet on the command line.
MACHINERY = {
    *("spatgmm.datasets." + name for name in ("problems", "declared", "defaults", "missing")),
    *("spatgmm.datasets." + name for name in ("values", "distance_unit", "summary")),
    "spatgmm.simulate.stable_hash",
}
SHOWN = {
    name: found
    for name, found in examples()
    if name not in MACHINERY and not name.endswith(".__init__")
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_example_gives_what_it_says(name):
    found = SHOWN[name]
    text = inspect.getdoc(found)
    assert "Examples\n--------\n" in text
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    told = []
    failed, tried = doctest.DocTestRunner().run(test, out=told.append)
    assert tried and not failed, "".join(told)

"""Figures: files that hold something, colours that stay, numbers behind them that are right."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from spatgmm import methods, simulate
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay
from spatgmm.covariance.fitted import FittedCovariance, at_bounds
from spatgmm.covariance.geometry import scaled_distances
from spatgmm.plot import curves, images
from spatgmm.report import registry
from spatgmm.report.figures import covariances
from spatgmm.report.figures.looks import looks
from spatgmm.report.results import Results
from spatgmm.study import rows
from spatgmm.study.design import Variant

FIGURES = [f"figure{k}" for k in range(1, 12)]

SIGMOID = decay.get("sigmoid")


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_written_as_vector_and_picture(run, name):
    config, directory = run
    pdf, png, svg = registry.write(name, config, directory)
    assert pdf.read_bytes().startswith(b"%PDF")
    assert svg.read_text().rstrip().endswith("</svg>")
    picture = matplotlib.image.imread(png)[..., :3]
    height, width, _ = picture.shape
    assert width <= 7.3 * 300 and height > 150
    # Something is drawn in every quarter of the height.
    for part in np.array_split(picture, 4):
        assert part.std() > 0.02
    assert not list((directory / "figures").glob(".*"))


@pytest.mark.parametrize("name", FIGURES)
def test_finding_and_notes_are_sentences(results, name, build):
    drawing = build(name, results)
    for text in (drawing.finding, *drawing.notes):
        assert text.endswith(".") and "nan" not in text and "None" not in text


@pytest.mark.parametrize("name", FIGURES)
def test_figure_without_a_single_fit(name, failed_run, build):
    config, directory = failed_run
    paths = registry.write(name, config, directory)
    assert all(path.stat().st_size > 1000 for path in paths)
    assert build(name, Results(config, directory)).finding.endswith(".")


@pytest.fixture(scope="module")
def failed_run(tmp_path_factory, made_up):
    def spoil(row):
        made_up.fail(row, "failed", "RuntimeError: nothing works")

    return made_up.make_run(tmp_path_factory.mktemp("failed"), made_up.raw_config(), spoil)


def test_stand_in_is_called_so(results, build):
    assert "synthetic stand-in" in build("figure2", results).finding
    assert "synthetic stand-in" in build("figure6", results).notes[0]


def _variants(*plugins: str) -> list[Variant]:
    return [Variant(f"{p}-{k}", p, {}, None, None, p, {}) for k, p in enumerate(plugins)]


def test_methods_have_colours_of_their_own_while_there_are_any():
    found = looks(_variants(*methods.names()[:12]))
    assert len({look.colour for look in found.values()}) == len(found) == 12


def test_a_new_method_takes_no_colour_from_those_before_it():
    # Each new one would like some method's colour.
    before = _variants(*methods.names()[:8])
    for name in ("ward", "dbscan", "mean-shift"):
        after = looks([*before, *_variants(name)])
        assert {id: look for id, look in after.items() if look != after[f"{name}-0"]} == looks(
            before
        )
        assert after[f"{name}-0"].colour not in {look.colour for look in looks(before).values()}


def test_many_methods_and_variants_all_look_different():
    found = looks(_variants(*(f"method-{k % 40}" for k in range(60))))
    assert len(set(found.values())) == 60


def test_no_method_is_named_in_tables_or_figures():
    for path in Path(registry.__file__).parent.rglob("*.py"):
        strings = re.findall(r'"([^"\n]*)"', path.read_text())
        # The truth is also a column, and the package has the name of its method.
        named = set(strings) & set(methods.names()) - {"truth", "spatgmm"}
        assert not named, path


def test_empirical_correlation_finds_the_true_one():
    coordinates = grid_coordinates((5, 5))
    scenario = simulate.Scenario.from_config(
        "one",
        {
            "locations": {"grid": [5, 5]},
            "n": 20000,
            "weights": [1.0],
            "components": [{"alpha": [1, -0.9, 0.3], "beta": 4}],
        },
    )
    X = simulate.draw(scenario, 0, 1).X
    points = curves.empirical(X, scaled_distances(coordinates))
    true = FittedCovariance(np.array([1, -0.9, 0.3]), np.array([4.0]), None, SIGMOID)
    assert len(points) == 14  # distinct distances of a 5 x 5 grid
    np.testing.assert_allclose(
        points["correlation"], true.correlation(points["delta"].to_numpy()), atol=0.02
    )


def _row(values: dict) -> pd.Series:
    return pd.Series(values, dtype=float)


def _full_row() -> tuple[pd.Series, np.ndarray]:
    """A row with covariances of the estimates, and the covariance matrix."""
    root = np.random.default_rng(3).normal(size=(4, 4)) * np.array([[0.02], [0.02], [0.01], [0.2]])
    covariance = root @ root.T
    names = ("alpha1", "alpha2", "alpha3", "beta")
    values = dict(zip((f"estimate.0.{n}" for n in names), (1.1, -0.8, 0.25, 3.0), strict=True))
    for i, name in enumerate(names):
        values[f"std_error.0.{name}"] = np.sqrt(covariance[i, i])
        for j in range(i):
            values[f"estimate.0.cov.{names[j]}.{name}"] = covariance[i, j]
    return _row(values), covariance


def _fitted(row: pd.Series) -> FittedCovariance:
    return FittedCovariance.from_estimates(
        rows.estimates(row)[0], rows.covariances(row)[0], SIGMOID
    )


def test_band_agrees_with_simulation():
    row, covariance = _full_row()
    fitted = _fitted(row)
    delta = np.linspace(0.1, 2, 7)
    low, high = fitted.band(delta)
    draws = np.random.default_rng(0).multivariate_normal(
        [1.1, -0.8, 0.25, 3.0], covariance / 100, size=20000
    )
    curves = np.array(
        [FittedCovariance(d[:3], d[3:], None, SIGMOID).correlation(delta) for d in draws]
    )
    # A tenth of the errors: there the delta method is exact.
    np.testing.assert_allclose(curves.std(axis=0) * 10 * 1.96 * 2, high - low, rtol=0.04)
    np.testing.assert_allclose((low + high) / 2, fitted.correlation(delta))


def test_effective_range_and_its_error():
    row, covariance = _full_row()
    fitted = _fitted(row)
    distance, error = fitted.effective_range()
    assert SIGMOID.value(np.asarray(distance), 3.0) == pytest.approx(0.95)
    step = 1e-4
    above, _ = FittedCovariance(fitted.alpha, [3.0 + step], None, SIGMOID).effective_range()
    below, _ = FittedCovariance(fitted.alpha, [3.0 - step], None, SIGMOID).effective_range()
    slope = abs(above - below) / (2 * step)
    assert error == pytest.approx(slope * np.sqrt(covariance[3, 3]), rel=1e-4)
    _, baseline_error = fitted.baseline()
    assert baseline_error == pytest.approx(np.sqrt(covariance[:2, :2].sum()))


def test_no_band_from_standard_errors_alone():
    row, _ = _full_row()
    row = row[[name for name in row.index if ".cov." not in name]]
    assert _fitted(row).band(np.array([1.0])) is None


def test_beta_at_its_bound_is_taken_as_known():
    row, covariance = _full_row()
    for name in row.index:
        if "std_error.0.beta" in name or (name.endswith(".beta") and ".cov." in name):
            row[name] = np.nan
    fitted = _fitted(row)
    np.testing.assert_allclose(fitted.covariance[:3, :3], covariance[:3, :3])
    assert not fitted.covariance[3].any()
    assert np.isnan(fitted.effective_range()[1])


def test_bounds_are_recognised():
    lower, upper = SIGMOID.bounds(0.2)
    assert at_bounds(lower, lower, upper) == ["lower"]
    assert at_bounds(upper, lower, upper) == ["upper"]
    assert at_bounds([3.0], lower, upper) == [None]
    assert at_bounds([0.0, 0.5, 1.0], np.zeros(3), np.ones(3)) == ["lower", None, "upper"]


def test_best_separable_covariance():
    rng = np.random.default_rng(0)
    U, V = (np.cov(rng.normal(size=(30, m)), rowvar=False) for m in (3, 4))
    separable = np.kron(U, V)
    np.testing.assert_allclose(covariances.best_separable(separable, (3, 4)), separable, rtol=1e-7)

    delta = scaled_distances(grid_coordinates((5, 5)))
    fitted = FittedCovariance(np.array([1, -0.9, 0.3]), np.array([4.0]), None, SIGMOID)
    spatial = fitted.matrix(delta)
    best = covariances.best_separable(spatial, (5, 5))
    lost = covariances.divergence(spatial, best)
    assert lost > 0.1
    # No other product near it is likelier.
    for _ in range(20):
        other = best * np.kron(
            *(1 + 0.01 * (lambda e: e + e.T)(rng.normal(size=(5, 5))) for _ in range(2))
        )
        assert covariances.divergence(spatial, other) >= lost


def test_clusters_are_the_run_s_and_nothing_is_fitted(results, monkeypatch):
    def fit(*args, **kwargs):
        raise AssertionError("figures fit nothing")

    monkeypatch.setattr(methods.Method, "fit", fit)
    fits = results.of("comparison", replicate=0).query("case == 'grid'")
    data = results.dataset("grid")
    found = covariances._clusters(results, fits, data)
    assert list(found) == ["gmm-diag"]  # the other methods are spatial or have no likelihood
    labels = np.asarray(fits.set_index("method").loc["gmm-diag", "labels"])
    for g, matrix in found["gmm-diag"].items():
        np.testing.assert_allclose(matrix, np.cov(data.X[labels == g], rowvar=False))


def test_the_truth_has_its_own_decay_and_direction():
    component = {"alpha": [1, -0.8, 0.9], "beta": 3, "stripes": {"angle": 45, "ratio": 3}}
    scenario = {
        "locations": {"grid": [4, 4]},
        "n": 5,
        "weights": [1.0],
        "decay": "matern32",
        "components": [component],
    }
    data = simulate.draw(simulate.Scenario.from_config("one", scenario), 0, 1)
    (Xi,) = covariances._truth(data)
    # Along the stripes correlation reaches farther than across, at the same distance.
    assert Xi[0, 15] != pytest.approx(Xi[3, 12], abs=0.01)


def test_missing_pixels_have_no_colour_of_a_value():
    data = simulate.draw(simulate.Scenario.from_config("one", _cube()), 0, 1)
    X = data.X.copy()
    X[0, 4] = np.nan
    holed = replace(data, X=X, missing=True, truth=None)
    figure = Figure()
    ax = figure.subplots()
    place = images.layout(holed.coordinates, holed.shape)
    images.draw(ax, holed.X[0], place, vmin=-1, vmax=1)
    # A field behind the slices, and the slices; the missing pixel lets its hatches through.
    assert [patch.get_hatch() is not None for patch in ax.patches] == [True]
    assert len(ax.images) == 1 + 4
    assert sum(np.ma.getmaskarray(image.get_array()).sum() for image in ax.images) == 1
    points = replace(holed, shape=None)
    ax = figure.subplots()
    artist = images.draw(ax, points.X[0], images.layout(points.coordinates))
    assert len(artist.get_offsets()) == 15 and len(ax.lines[0].get_xdata()) == 1


def _cube() -> dict:
    component = {"alpha": [1, -0.8, 0.9], "beta": 3}
    return {
        "locations": {"grid": [2, 2, 4]},
        "n": 5,
        "weights": [1.0],
        "components": [component],
    }


def test_one_row_of_run_times_for_variants_that_share_no_panel(results, build):
    drawing = build("figure8", results)
    names = [text.get_text() for text in drawing.draw().axes[0].get_yticklabels()]
    assert names.count("SpatGMM") == 1 and not any("spatgmm" in name for name in names)
    assert drawing.notes == ("SpatGMM is spatgmm on simulated data and spatgmm-se on real data.",)


def test_ticks_of_losses_are_plain_numbers(tmp_path, made_up, build):
    def spoil(row):
        row["bic"] = row.get("bic", 0) + (3e5 if row["case"].startswith("grid-") else -50)

    raw = made_up.raw_config()
    raw["studies"] = {"coordinates": raw["studies"]["coordinates"]}
    results = Results(*made_up.make_run(tmp_path, raw, spoil))
    axes = build("figure9", results).draw().axes
    below = next(ax for ax in axes if ax.get_ylabel() == "BIC lost per map")
    texts = [text.get_text() for text in below.get_yticklabels()]
    assert texts and all(re.fullmatch(r"[−\d]+", text) for text in texts), texts


def test_fields_of_a_heat_map_say_what_their_numbers_are(results, build):
    figure = build("figure10", results).draw()
    assert any("(standard error)" in ax.get_ylabel() for ax in figure.axes)
    written = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert written and all(re.fullmatch(r"\S+\n\(\S+\)", text) for text in written)


def test_axes_of_run_times_are_equal(results, build):
    left, right = build("figure8", results).draw().axes
    assert left.get_xlim() == right.get_xlim()


def test_divergence():
    assert covariances.divergence(np.eye(3), np.eye(3)) == pytest.approx(0)
    # One dimension, variances 1 and s: (1/s - 1 + log s) / 2.
    assert covariances.divergence(np.eye(1), 2 * np.eye(1)) == pytest.approx(
        (0.5 - 1 + np.log(2)) / 2
    )
    assert np.isinf(covariances.divergence(np.eye(2), np.diag([1.0, -1.0])))


def test_the_curve_that_bic_takes_is_found_beside_another(results):
    fits = results.of("selection-decay")
    name = "extra.decay"
    shown = results.spatial_fit(fits[fits[name] == "exponential"])
    better = results.beside(fits, shown)
    # The made-up BIC of the sigmoid is lower by 30.
    assert better[name] == "sigmoid" and better["bic"] == fits["bic"].min()
    assert results.beside(fits, better) is None
    assert results.beside(fits[fits[name] == "exponential"], shown) is None

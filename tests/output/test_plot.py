"""spatgmm.plot: what is drawn is what the model says, in the Axes that it is given."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from spatgmm import SpatialGaussianMixture, plot, select
from spatgmm.common.locations import grid_coordinates
from spatgmm.plot import images


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(50, 3, 5))
    X[:20] += 3
    return SpatialGaussianMixture(2, n_init=1, random_state=0).fit(X), X


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_axes_in_axes_out(fitted):
    model, X = fitted
    table = select(X, (1, 2), n_init=1, random_state=0)
    for draw, arguments in (
        (plot.maps, [model]),
        (plot.correlogram, [model]),
        (plot.correlogram, [model, X]),
        (plot.selection, [table]),
        (plot.standard_errors, [model, X]),
    ):
        _, (first, second) = plt.subplots(1, 2)
        assert draw(*arguments, ax=second) is second
        assert not first.has_data() and not first.child_axes
        before = plt.get_fignums()
        own = draw(*arguments)
        assert own.figure.number not in before
        own.figure.canvas.draw()


def test_maps_are_the_means_on_one_scale(fitted):
    model, _ = fitted
    panels = plot.maps(model).child_axes
    assert [panel.get_title() for panel in panels] == [
        f"component {g + 1}, {weight:.0%}" for g, weight in enumerate(model.weights_)
    ]
    drawn = [panel.images[0] for panel in panels]
    for image, mean in zip(drawn, model.means_, strict=True):
        np.testing.assert_array_equal(image.get_array(), mean.reshape(3, 5))
    assert drawn[0].get_clim() == drawn[1].get_clim()


def test_maps_on_a_line_are_curves():
    X = np.random.default_rng(0).normal(size=(30, 12))
    model = SpatialGaussianMixture(1, coordinates=np.arange(12.0)[::-1], n_init=1).fit(X)
    (line,) = plot.maps(model).lines
    np.testing.assert_array_equal(line.get_xdata(), np.arange(12.0))
    np.testing.assert_array_equal(line.get_ydata(), model.means_[0][::-1])


def test_curves_are_the_models_and_bands_come_with_maps(fitted):
    model, X = fitted
    bare, full = plot.correlogram(model), plot.correlogram(model, X)
    assert not bare.collections and len(full.collections) == 2
    for ax in (bare, full):
        curve = next(line for line in ax.lines if len(line.get_xdata()) == 200)
        told = model.correlogram(curve.get_xdata())
        first = told[told["component"] == 0]["correlation"]
        np.testing.assert_allclose(curve.get_ydata(), first, atol=1e-9)


def test_a_selection_has_a_line_for_each_other_choice(fitted):
    table = select(fitted[1], (1, 2), decay=["sigmoid", "exponential"], n_init=1, random_state=0)
    ax = plot.selection(table)
    labels = ax.get_legend_handles_labels()[1]
    assert set(labels) == {"sigmoid", "exponential", "lowest"}
    circle = ax.lines[-1]
    assert circle.get_ydata() == [table["bic"].min()]
    with pytest.raises(ValueError, match="no column 'bic'"):
        plot.selection(table.drop(columns="bic"))


def test_intervals_are_shares_of_the_estimates(fitted):
    model, X = fitted
    table = model.standard_errors(X)
    ax = plot.standard_errors(model, X)
    assert len(ax.get_yticks()) == len(table)
    known = table[np.isfinite(table["std_error"])]
    ends = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2][: len(known)]
    first = known.iloc[0]
    expected = [100 * (first[end] / first["estimate"] - 1) for end in ("lower", "upper")]
    np.testing.assert_allclose(ends[0], expected)


def test_longitude_lies_across_and_the_north_is_up():
    lon, lat = np.meshgrid([10.0, 12.0, 14.0, 16.0], [40.0, 41.0, 42.0], indexing="ij")
    place = images.layout(np.column_stack([lon.ravel(), lat.ravel()]))
    assert place.pixels.shape == (3, 4) and place.aspect == pytest.approx(0.5)
    north_west = place.pixels[0, 0]
    assert (lon.ravel()[north_west], lat.ravel()[north_west]) == (10, 42)


def test_indices_of_a_grid_are_rows_from_the_top():
    place = images.layout(grid_coordinates((3, 4)), (3, 4))
    np.testing.assert_array_equal(place.pixels, np.arange(12).reshape(3, 4))
    scaled = images.layout(2.5 * grid_coordinates((3, 4)))
    np.testing.assert_array_equal(scaled.pixels, place.pixels)


def test_holes_are_holes_and_missing_pixels_are_hatched():
    grid = grid_coordinates((4, 4))
    kept = np.delete(np.arange(16), [5, 6])
    values = kept.astype(float)
    values[kept == 10] = np.nan
    _, ax = plt.subplots()
    artist = images.draw(ax, values, images.layout(grid[kept]))
    empty = np.argwhere(np.ma.getmaskarray(artist.get_array()))
    assert empty.tolist() == [[1, 1], [1, 2], [2, 2]]
    (hatched,) = ax.patches
    assert hatched.get_hatch() and hatched.get_xy() == (1.5, 1.5)


def test_scattered_locations_are_points():
    places = np.random.default_rng(0).uniform(size=(20, 2))
    assert images.layout(places).pixels is None
    # A few points of a fine lattice are no image of it.
    assert images.layout(np.round(places * 1000)).pixels is None

"""What goes beyond the paper: sharing, scales, directions, missing pixels, choice of the decay."""

from functools import partial

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score as ari

from spatgmm import SpatialGaussianMixture, select, simulate
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance import decay
from spatgmm.covariance.family import SpatialCovariance, theta_from_alpha
from spatgmm.covariance.geometry import Geometry
from spatgmm.covariance.kernel import Kernel
from spatgmm.fitting import means, scales
from spatgmm.fitting.scoring import SHARED, Scoring
from spatgmm.fitting.state import Mixture, Model

COMPONENTS = [{"alpha": [1, -0.9, 0.3], "beta": 2.5}, {"alpha": [1, -0.9, 0.3], "beta": 6}]
ALPHA, BETAS = (1.0, -0.9, 0.3), (2.5, 6.0)


def draw(components=COMPONENTS, grid=(6, 6), n=120, replicate=0, **scenario):
    mapping = {"locations": {"grid": list(grid)}, "n": n, "components": components} | scenario
    mapping["weights"] = [1 / len(components)] * len(components)
    return simulate.draw(simulate.Scenario.from_config("test", mapping), replicate, 1)


def masked(X, share, seed=0):
    missing = np.random.default_rng(seed).random(X.shape) < share
    return np.where(missing, np.nan, X), missing


def never_falls(model):
    trace = model.log_likelihood_trace_
    return (np.diff(trace) >= -1e-8 * np.abs(trace[1:])).all()


OPTIONS = [
    {"decay": "exponential"},
    {"decay": "matern32"},
    {"decay": "matern52"},
    {"decay": "gaussian"},
    {"decay": "quadratic"},
    {"decay": "ispline"},
    {"metric": "axes"},
    {"metric": "rotated"},
    {"metric": "rotated", "decay": "exponential"},
    {"metric": "additive"},
    {"metric": "additive", "decay": "ispline", "sharing": "alpha"},
    {"metric": "additive", "decay": "exponential", "missing": "em", "variance": "location"},
    {"variance": "location"},
    {"variance": "location", "mean": "constant"},
    {"sharing": "beta"},
    {"sharing": "alpha"},
    {"sharing": "all"},
    {"sharing": "beta", "metric": "axes"},
    {"missing": "em"},
    {"missing": "em", "variance": "location", "metric": "axes", "sharing": "beta"},
    {"missing": "em", "mean": "constant", "decay": "ispline"},
]


@pytest.fixture(scope="module", params=OPTIONS, ids=str)
def fitted(request):
    data = draw()
    X = masked(data.X, 0.1)[0] if "missing" in request.param else data.X
    model = SpatialGaussianMixture(2, coordinates=(6, 6), random_state=0, n_init=4, **request.param)
    return model.fit(X), X


def test_the_likelihood_never_falls(fitted):
    model, X = fitted
    assert never_falls(model)
    assert model.score_samples(X).sum() == pytest.approx(model.log_likelihood_, rel=1e-9)


def test_the_likelihood_is_that_of_the_covariances(fitted):
    model, X = fitted
    joint = np.empty((len(X), 2))
    for g, (weight, mean, Xi) in enumerate(
        zip(model.weights_, model.means_, model.covariances_, strict=True)
    ):
        for i, x in enumerate(X):
            seen = ~np.isnan(x)
            density = multivariate_normal(mean[seen], Xi[np.ix_(seen, seen)]).logpdf(x[seen])
            joint[i, g] = np.log(weight) + density
    assert logsumexp(joint, axis=1).sum() == pytest.approx(model.log_likelihood_, rel=1e-8)


def test_standard_errors_and_descriptions_are_finite_or_say_why(fitted):
    model, X = fitted
    table = model.standard_errors(X)
    assert set(table["parameter"]) == {"weight", *model.parameter_names_}
    known = table["std_error"].notna()
    assert (known | (table["note"] != "")).all()
    assert (table.loc[known, "std_error"] > 0).all()
    assert np.isfinite(model.geostatistics(X)["estimate"]).all()
    assert np.isfinite(model.correlogram()["correlation"]).all()
    assert np.isfinite(model.sample(5)[0]).all()


def test_the_observed_information_is_the_curvature_of_the_likelihood():
    # Along each covariance parameter, all others at their optimum: a profile of the likelihood.
    data = draw([COMPONENTS[0]], n=150, grid=(4, 4))
    for options in ({"decay": "matern32"}, {"metric": "axes"}, {"missing": "em"}):
        X = masked(data.X, 0.15)[0] if "missing" in options else data.X
        model = SpatialGaussianMixture(
            1, coordinates=(4, 4), tol=1e-9, mean="constant", **options
        ).fit(X)
        covariance = np.array(model.standard_errors(X).attrs["covariance"])[0]
        information = np.linalg.inv(covariance)
        theta = np.concatenate([model.alpha_[0], model.shape_[0]])
        level = model.means_[0, 0]
        numeric = numeric_hessian(partial(direct, model, X, level), theta)
        largest = abs(information).max()
        np.testing.assert_allclose(-numeric, information, rtol=0.02, atol=0.02 * largest)


def direct(model, X, level, theta):
    """Log-likelihood of one component by dense matrices; X may have missing pixels."""
    family = model._engine.family
    blocks = family.matrix(theta_from_alpha(theta[:3], theta[3:]))
    assert len(blocks) == 1
    total = 0.0
    for x in X:
        seen = ~np.isnan(x)
        mean = np.full(seen.sum(), level)
        total += multivariate_normal(mean, blocks[0][np.ix_(seen, seen)]).logpdf(x[seen])
    return total


def numeric_hessian(f, at):
    steps = 1e-3 * np.maximum(np.abs(at), 0.1)
    size = len(at)
    hessian = np.empty((size, size))
    for i in range(size):
        for j in range(i, size):
            total = 0.0
            for a, b, sign in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
                moved = np.array(at)
                moved[i] += a * steps[i]
                moved[j] += b * steps[j]
                total += sign * f(moved)
            hessian[i, j] = hessian[j, i] = total / (4 * steps[i] * steps[j])
    return hessian


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 1 + 2 * 36 + 8),
        ({"decay": "ispline"}, 1 + 2 * 36 + 2 * (3 + 3)),
        ({"metric": "axes"}, 1 + 2 * 36 + 10),
        ({"metric": "rotated"}, 1 + 2 * 36 + 12),
        ({"variance": "location"}, 1 + 2 * 36 + 8 + 35),
        ({"sharing": "beta"}, 1 + 2 * 36 + 6 + 1),
        ({"sharing": "alpha"}, 1 + 2 * 36 + 3 + 2),
        ({"sharing": "all"}, 1 + 2 * 36 + 4),
    ],
)
def test_parameters_are_counted(options, expected):
    model = SpatialGaussianMixture(2, coordinates=(6, 6), init=draw().labels, **options).fit(
        draw().X
    )
    assert model.n_parameters_ == expected


@pytest.mark.parametrize("sharing", ["beta", "alpha", "all"])
def test_shared_parameters_are_equal_and_nested_models_are_no_likelier(sharing):
    data = draw()
    free = SpatialGaussianMixture(2, coordinates=(6, 6), init=data.labels).fit(data.X)
    tied = SpatialGaussianMixture(2, coordinates=(6, 6), init=data.labels, sharing=sharing).fit(
        data.X
    )
    if sharing in ("beta", "all"):
        assert tied.beta_[0] == tied.beta_[1]
    if sharing in ("alpha", "all"):
        np.testing.assert_allclose(tied.alpha_[0], tied.alpha_[1], rtol=1e-12)
    assert tied.log_likelihood_ <= free.log_likelihood_ + 1e-3
    assert never_falls(tied)


def test_sharing_all_finds_clusters_that_differ_in_their_means_alone():
    same = [COMPONENTS[0], COMPONENTS[0] | {"mean": {"bump": 3}}]
    data = draw(same)
    model = SpatialGaussianMixture(2, coordinates=(6, 6), sharing="all", random_state=0).fit(data.X)
    free = SpatialGaussianMixture(2, coordinates=(6, 6), random_state=0).fit(data.X)
    assert ari(data.labels, model.labels_) > 0.9
    assert model.bic(data.X) < free.bic(data.X)


def test_scales_of_locations_are_recovered():
    data = draw(n=600)
    truth = np.exp(np.random.default_rng(5).normal(scale=0.4, size=36))
    truth /= np.exp(np.log(truth).mean())
    X = data.X * truth
    model = SpatialGaussianMixture(2, coordinates=(6, 6), variance="location", random_state=0).fit(
        X
    )
    plain = SpatialGaussianMixture(2, coordinates=(6, 6), random_state=0).fit(X)
    assert np.abs(np.log(model.scales_ / truth)).max() < 0.15
    assert np.exp(np.log(model.scales_).mean()) == pytest.approx(1)
    assert model.bic(X) < plain.bic(X)
    assert ari(data.labels, model.labels_) > ari(data.labels, plain.labels_) + 0.1
    # Where variances are all the same, the further parameters do not pay.
    assert SpatialGaussianMixture(2, coordinates=(6, 6), random_state=0).fit(data.X).bic(data.X) < (
        SpatialGaussianMixture(2, coordinates=(6, 6), variance="location", random_state=0).fit(
            data.X
        )
    ).bic(data.X)


def test_a_rotated_metric_recovers_angles_that_the_isotropic_model_cannot_see():
    striped = [
        {"alpha": [1, -0.9, 0.3], "beta": 4, "stripes": {"angle": angle, "ratio": 3}}
        for angle in (45, 120)
    ]
    data = draw(striped, grid=(8, 8), n=200)
    model = SpatialGaussianMixture(2, coordinates=(8, 8), metric="rotated", random_state=0).fit(
        data.X
    )
    plain = SpatialGaussianMixture(2, coordinates=(8, 8), random_state=0).fit(data.X)
    assert ari(data.labels, model.labels_) > 0.95 > ari(data.labels, plain.labels_) + 0.2
    table = model.geostatistics().set_index(["quantity", "component"])["estimate"]
    angles = sorted(table["angle"])
    assert np.abs(np.array(angles) - [45, 120]).max() < 5
    assert np.abs(table["range_ratio"] - 3).max() < 0.5


def test_stretched_coordinates_are_undone_by_a_metric_of_the_axes():
    data = draw(n=200, distort={"stretch": 3.0})
    assert np.ptp(data.coordinates[:, 0]) == 15
    model = SpatialGaussianMixture(
        2, coordinates=data.coordinates, metric="axes", random_state=0
    ).fit(data.X)
    plain = SpatialGaussianMixture(2, coordinates=data.coordinates, random_state=0).fit(data.X)
    assert model.bic(data.X) < plain.bic(data.X)
    ratio = model.geostatistics().set_index(["quantity", "component"])["estimate"]
    reached = ratio["relative_range_axis1"] / ratio["relative_range_axis2"]
    assert np.abs(reached - 3).max() < 0.4


def test_a_constant_mean_stays_one_where_locations_have_scales():
    data = draw()
    truth = np.linspace(0.7, 1.4, 36)
    X = 5 + (data.X - data.X.mean()) * truth
    model = SpatialGaussianMixture(
        2, coordinates=(6, 6), variance="location", mean="constant", random_state=0
    )
    model.fit(X)
    assert np.ptp(model.means_, axis=1).max() < 1e-8
    assert np.corrcoef(model.scales_, truth)[0, 1] > 0.9
    assert model.n_iter_ > 3


# -- missing pixels --------------------------------------------------------------------------------


def test_missing_pixels_cost_little_and_mean_imputation_much():
    gaps = []
    for replicate in range(3):
        data = draw(grid=(10, 10), n=200, replicate=replicate)
        X, _ = masked(data.X, 0.2, replicate)
        complete = SpatialGaussianMixture(2, coordinates=(10, 10), random_state=0).fit(data.X)
        model = SpatialGaussianMixture(2, coordinates=(10, 10), missing="em", random_state=0).fit(X)
        filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
        naive = SpatialGaussianMixture(2, coordinates=(10, 10), random_state=0).fit(filled)
        gaps.append([ari(data.labels, fit.labels_) for fit in (complete, model, naive)])
    complete, model, naive = np.mean(gaps, axis=0)
    assert model > complete - 0.05
    assert model > naive + 0.15


def test_imputed_pixels_are_the_conditional_expectation():
    data = draw([COMPONENTS[0]], n=80, grid=(4, 4))
    X, missing = masked(data.X, 0.2)
    model = SpatialGaussianMixture(1, coordinates=(4, 4), missing="em").fit(X)
    filled = model.impute(X)
    np.testing.assert_allclose(filled[~missing], X[~missing])
    Xi, mu = model.covariances_[0], model.means_[0]
    i = int(missing.sum(axis=1).argmax())
    m, o = missing[i], ~missing[i]
    expected = mu[m] + Xi[np.ix_(m, o)] @ np.linalg.solve(Xi[np.ix_(o, o)], X[i, o] - mu[o])
    np.testing.assert_allclose(filled[i, m], expected, rtol=1e-8)
    error = np.mean((filled - data.X)[missing] ** 2)
    assert error < 0.6 * np.mean((np.nanmean(X, axis=0) - data.X)[missing] ** 2)


def test_complete_maps_fit_alike_whether_or_not_pixels_may_be_missing():
    data = draw()
    default = SpatialGaussianMixture(2, coordinates=(6, 6), random_state=0).fit(data.X)
    allowed = SpatialGaussianMixture(2, coordinates=(6, 6), random_state=0, missing="em").fit(
        data.X
    )
    np.testing.assert_array_equal(default.log_likelihood_trace_, allowed.log_likelihood_trace_)


def test_missing_pixels_are_refused_where_they_cannot_be_used():
    X = draw().X.copy()
    X[3, 5] = np.nan
    with pytest.raises(ValueError, match=r"NaN at row 3, column 5.*missing='em'"):
        SpatialGaussianMixture(2, coordinates=(6, 6)).fit(X)
    X[3] = np.nan
    with pytest.raises(ValueError, match="every value of row 3 is missing"):
        SpatialGaussianMixture(2, coordinates=(6, 6), missing="em").fit(X)
    X = draw().X.copy()
    X[:, 7] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        SpatialGaussianMixture(2, coordinates=(6, 6), missing="em").fit(X)


# -- choices ---------------------------------------------------------------------------------------


def test_auto_is_the_decay_with_the_lowest_bic():
    data = draw(n=150, decay="matern32")
    model = SpatialGaussianMixture(2, coordinates=(6, 6), decay="auto", random_state=0).fit(data.X)
    table = select(data.X, 2, "auto", coordinates=(6, 6), random_state=0)
    assert len(table) == 7 and table["bic"].is_monotonic_increasing
    assert model.decay_ == table["decay"][0]
    assert model.bic(data.X) == pytest.approx(table["bic"][0])
    assert model.decay == "auto"
    assert model.get_params()["decay"] == "auto"


def test_select_compares_every_combination():
    data = draw([COMPONENTS[0], COMPONENTS[1] | {"mean": {"bump": 1.5}}])
    table = select(
        data.X, range(1, 4), coordinates=(6, 6), sharing=["none", "all"], n_init=4, random_state=0
    )
    assert len(table) == 6
    assert table["n_components"][0] == 2
    best = table["estimator"][0]
    assert best.icl(data.X) == table["icl"][0]
    assert (table["icl"] >= table["bic"] - 1e-9).all()
    with pytest.raises(ValueError, match="n_components: no alternatives"):
        select(data.X, [], coordinates=(6, 6))


def test_select_takes_lists_of_locations_and_labels_for_one_value():
    data = draw()
    given = {"coordinates": data.coordinates.tolist(), "init": data.labels.tolist()}
    table = select(data.X, np.int64(2), **given)
    assert len(table) == 1
    model = SpatialGaussianMixture(2, coordinates=(6, 6), init=data.labels).fit(data.X)
    assert table["log_likelihood"][0] == pytest.approx(model.log_likelihood_)


@pytest.mark.parametrize(
    "options",
    [
        {"metric": "rotated"},
        {"variance": "location"},
        {"sharing": "all"},
        {"missing": "em"},
        {"decay": "ispline"},
        {"decay": "auto"},
    ],
    ids=str,
)
def test_the_papers_algorithm_refuses_what_the_paper_does_not_have(options):
    with pytest.raises(ValueError, match="solver='gls'"):
        SpatialGaussianMixture(2, coordinates=(6, 6), solver="gls", **options).fit(draw().X)


@pytest.mark.parametrize("name", ["metric", "variance", "sharing", "missing"])
def test_unknown_choices_are_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=f"{name} must be one of"):
        SpatialGaussianMixture(2, coordinates=(6, 6), **{name: "other"}).fit(draw().X)


def test_one_dimension_has_no_directions():
    X = np.random.default_rng(0).normal(size=(20, 6))
    with pytest.raises(ValueError, match="metric='axes' needs coordinates of 2 or 3"):
        SpatialGaussianMixture(2, coordinates=grid_coordinates((6,)), metric="axes").fit(X)


# -- derivatives -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sharing", ["none", "beta", "alpha", "all"])
def test_a_shared_step_is_uphill_on_the_total_and_keeps_what_is_shared(sharing):
    family = SpatialCovariance(Kernel(Geometry(grid_coordinates((3, 4))), decay.get("sigmoid")))
    scatters = [family.matrix([0.3, 0.8, 0.4, 2.5]), family.matrix([0.4, 0.7, 0.5, 4.0])]
    shared, counts = family.members(SHARED[sharing]), np.array([30.0, 10.0])
    model = Model(family, means.FreeMean(), scales.NoScales(), shared)
    thetas = model.tied(np.array([[0.3, 0.8, 0.7, 2.0], [0.5, 0.6, 0.9, 4.0]]), counts)

    def total(covariances):
        return sum(
            n * c.objective(S) for n, c, S in zip(counts, covariances, scatters, strict=True)
        )

    before = [family.at(theta) for theta in thetas]
    after = before
    for _ in range(80):
        after = Scoring().update(after, scatters, counts, shared, np.full((2, 3), np.nan))
    assert total(after) < total(before)
    found = np.array([covariance.theta for covariance in after])
    np.testing.assert_array_equal(found[0, shared], found[1, shared])

    # At the end no shared and no own parameter has a slope left, by central differences.
    def slopes(thetas):
        for k in range(4):
            for which in [[0, 1]] if shared[k] else [[0], [1]]:
                ends = []
                for sign in (-1, 1):
                    moved = np.array(thetas)
                    moved[which, k] += sign * 1e-5
                    ends.append(total([family.at(theta) for theta in moved]))
                yield (ends[1] - ends[0]) / 2e-5

    assert np.abs(list(slopes(found))).max() < 1e-3 * np.abs(list(slopes(thetas))).max()


def test_scales_stay_where_no_component_has_maps():
    family = SpatialCovariance(Kernel(Geometry(np.arange(4.0)[:, None]), decay.get("sigmoid")))
    covariances = [family.at([0.2, 0.5, 0.5, 2.0])]
    step = Mixture(np.ones(1), [[np.zeros(4)]], covariances, scales.LocationScales(np.ones(4)))
    assert step.scales.improved(step, [None], np.zeros(1)) is step


def test_scales_are_finite_where_most_pixels_are_constant():
    X = np.zeros((40, 36))
    X[:, :6] = np.random.default_rng(2).normal(size=(40, 6))
    model = SpatialGaussianMixture(2, coordinates=(6, 6), variance="location", random_state=0)
    harm = "30 of 36 columns are constant.*variance='location'.*worthless"
    with pytest.warns(UserWarning, match=harm):
        model.fit(X)
    assert np.isfinite(model.covariances_).all()
    assert 1e-4 < model.scales_.min() <= model.scales_.max() < 1e4
    assert np.diff(model.log_likelihood_trace_).min(initial=0) >= 0


def test_scales_of_locations_go_where_the_slope_of_their_objective_vanishes():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(60, 8)) * np.linspace(0.5, 2, 8)
    family = SpatialCovariance(Kernel(Geometry(np.arange(8.0)[:, None]), decay.get("sigmoid")))
    covariances = [family.at([0.2, 0.5, 0.5, 2.0])]
    mixture = Mixture(np.ones(1), [[np.zeros(8)]], covariances, scales.LocationScales(np.ones(8)))
    for _ in range(200):
        Y = X / mixture.scales.values(8)
        (covariance,) = mixture.covariances
        before = 60 * covariance.objective([Y.T @ Y / 60])
        mixture = mixture.scales.improved(mixture, [[Y.T @ Y / 60]], np.array([60.0]))
        Y = X / mixture.scales.values(8)
        (covariance,) = mixture.covariances
        assert 60 * covariance.objective([Y.T @ Y / 60]) <= before + 1e-8
    # f(r) = r'Mr - 2n sum log r at r = 1: all slopes 2 (M1)_j - 2n are zero.
    M = 60 * covariance.inverse[0] * (Y.T @ Y / 60)
    np.testing.assert_allclose(M.sum(axis=1), 60, rtol=1e-4)


def test_scales_stay_where_rounding_leaves_their_objective_no_curvature():
    M = np.diag([-1e6, 1.0])  # what rounding makes of a nearly singular covariance's inverse
    step = scales._newton_step(M, 1.0, np.full(2, -5.0), np.full(2, 5.0))
    np.testing.assert_array_equal(step, 1)

"""What single methods promise, and how they are found."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from spatgmm import methods, simulate
from spatgmm.common import agreement
from spatgmm.common.locations import grid_coordinates
from spatgmm.covariance.geometry import scaled_distances
from spatgmm.data import Dataset
from spatgmm.methods import haralick


def drawn(n=200, bump=0.0, grid=(10, 10)) -> Dataset:
    components = [
        {"alpha": [1, -0.9, 0.3], "beta": 2.5},
        {"alpha": [1, -0.9, 0.3], "beta": 6, "mean": {"bump": bump}},
    ]
    settings = {
        "locations": {"grid": list(grid)},
        "n": n,
        "weights": [0.5, 0.5],
        "components": components,
    }
    return simulate.draw(simulate.Scenario.from_config("grid", settings), 0, 2601)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return drawn()


def run(name, data, n_components=2, **parameters) -> methods.FitResult:
    return methods.get(name).fit(data, n_components, np.random.default_rng(1), **parameters)


def test_names_are_found_without_importing_any():
    code = (
        "import sys; from spatgmm import methods; print(*methods.names());"
        "print(*[m for m in sys.modules if m.startswith('spatgmm.methods.')])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    names, imported = answer.stdout.split("\n")[:2]
    assert {"gmm-diag", "gmm-full", "kmeans", "mclust", "random", "truth"} <= set(names.split())
    assert {"spatgmm", "spatgmm-gls"} <= set(names.split())
    assert imported == ""


def test_the_papers_algorithm_takes_what_the_paper_has():
    assert "standard_errors" in methods.get("spatgmm-gls").declared
    assert not {"metric", "variance", "sharing", "missing"} & set(
        methods.get("spatgmm-gls").declared
    )
    with pytest.raises(ValueError, match=r"'spatgmm-gls': decay must be one of .* got 'ispline'"):
        methods.get("spatgmm-gls").parameters(decay="ispline")


def test_getting_one_imports_no_other():
    code = (
        "import sys; from spatgmm import methods; methods.get('kmeans');"
        "sys.exit('rpy2' in sys.modules or 'spatgmm.mixture' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_template_is_short_and_works_as_it_stands(data, tmp_path, monkeypatch):
    template = Path(methods.__file__).with_name("_template.py").read_text()
    assert len(template.splitlines()) <= 50
    (tmp_path / "my_method.py").write_text(template)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    assert "my-method" in methods.names()
    try:
        assert set(run("my-method", data).labels) == {0, 1}
        with pytest.raises(ValueError, match="link is unknown; did you mean 'linkage'"):
            run("my-method", data, link="single")
    finally:
        sys.modules.pop("spatgmm.methods.my_method", None)


def test_a_file_that_defines_too_little_is_refused(tmp_path, monkeypatch):
    (tmp_path / "half.py").write_text("LABEL = 'Half'\n")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    try:
        with pytest.raises(ImportError, match="does not define DEFAULTS"):
            methods.get("half")
    finally:
        sys.modules.pop("spatgmm.methods.half", None)


def test_truth_classifies_by_bayes_rule(data):
    # Densities by scipy, and the covariance from the formula.
    delta = scaled_distances(data.coordinates)
    truth = data.truth
    joint = np.empty((len(data.X), 2))
    for g in range(2):
        (a1, a2, a3), b = truth.alpha[g], truth.beta[g]
        s0, s2 = (1 / (1 + np.exp(3 - x)) for x in (0.0, 2 * b))
        D = (1 / (1 + np.exp(3 - b * delta)) - s0) / (s2 - s0)
        Xi = a1 + a2 * D + a3 * np.eye(len(D))
        joint[:, g] = np.log(truth.weights[g]) + multivariate_normal(truth.means[g], Xi).logpdf(
            data.X
        )
    result = run("truth", data)
    np.testing.assert_array_equal(result.labels, joint.argmax(axis=1))
    assert result.log_likelihood == pytest.approx(np.logaddexp(*joint.T).sum(), rel=1e-10)
    assert agreement.ari(data.labels, result.labels) > 0.9


def test_truth_needs_a_truth_of_that_many_components(data):
    truth = methods.get("truth")
    assert truth.supports(replace(data, truth=None), 2) == "the true parameters are not known"
    assert truth.supports(data, 3) == "the truth has 2 components, not 3"


def test_random_labels_score_about_nothing(data):
    scores = [
        agreement.ari(
            data.labels, methods.get("random").fit(data, 2, np.random.default_rng(seed)).labels
        )
        for seed in range(200)
    ]
    assert abs(np.mean(scores)) < 0.003


@pytest.mark.parametrize(
    "name", ["kmeans", "gmm-diag", "gmm-full", pytest.param("mclust", marks=pytest.mark.r)]
)
def test_baselines_find_means_and_not_spatial_covariance(name, data):
    assert abs(agreement.ari(data.labels, run(name, data).labels)) < 0.05
    # A diagonal covariance misses the correlation, and with it some maps.
    apart = drawn(n=300, bump=6.0, grid=(4, 5))
    assert agreement.ari(apart.labels, run(name, apart).labels) > 0.7


@pytest.mark.parametrize(("name", "in_covariance"), [("gmm-full", 10), ("gmm-diag", 4)])
def test_gaussian_mixtures_count_their_parameters(name, in_covariance):
    # Two components of four values: one weight; four means and a covariance matrix each.
    assert run(name, drawn(grid=(2, 2))).n_parameters == 1 + 2 * (4 + in_covariance)


@pytest.mark.r
def test_mclust_gives_what_r_gives():
    small = drawn(n=80, bump=3.0, grid=(2, 3))
    result = run("mclust", small)
    from spatgmm.common import r

    with r.session("mclust") as ro:
        classes, bic, name = ro.r(
            "function(X) { f <- Mclust(X, G = 2, verbose = FALSE);"
            " list(f$classification, f$bic, f$modelName) }"
        )(small.X).values()
    np.testing.assert_array_equal(result.labels, np.asarray(classes).astype(int) - 1)
    # mclust's BIC is larger for the better model.
    bic_here = 2 * result.log_likelihood - result.n_parameters * np.log(80)
    assert bic_here == pytest.approx(float(bic[0]))
    assert result.extras["model"] == name[0]
    assert run("mclust", small, models=["VVV"]).extras["model"] == "VVV"


@pytest.mark.r
def test_errors_of_r_become_one_line():
    same = replace(drawn(n=20, grid=(2, 2)), X=np.ones((20, 4)))
    with pytest.raises(RuntimeError, match=r"^R: "):
        run("mclust", same)


@pytest.mark.r
def test_r_is_silent_and_conversion_ends_with_the_session(capfd):
    from spatgmm.common import r

    with r.session() as ro:
        ro.r('cat("hello\\n"); message("hello"); warning("hello")')
        assert isinstance(ro.r("c(1, 2)"), np.ndarray)
    assert "hello" not in "".join(capfd.readouterr())
    assert not isinstance(ro.r("c(1, 2)"), np.ndarray)


@pytest.mark.parametrize("name", ["spatgmm", "spatgmm-gls"])
def test_spatgmm_reports_estimates_always_and_errors_where_asked(name):
    separated = drawn(n=120, bump=6.0, grid=(4, 5))
    plain = run(name, separated).extras["parameters"]
    parameters = ["weight", "alpha1", "alpha2", "alpha3", "beta"]
    assert plain["parameter"].tolist() == parameters * 2
    assert plain[["std_error", "lower", "upper"]].isna().all(axis=None)
    assert plain.loc[plain["parameter"] == "weight", "estimate"].sum() == pytest.approx(1)
    extras = run(name, separated, standard_errors=True).extras
    full, covariances = extras["parameters"], extras["covariances"]
    assert sorted(covariances) == [0, 1]
    assert all(list(matrix.columns) == parameters[1:] for matrix in covariances.values())
    assert full["parameter"].tolist() == parameters * 2
    np.testing.assert_allclose(full["estimate"], plain["estimate"])
    with_errors = full.dropna()
    assert len(with_errors) >= 8 and (with_errors["std_error"] > 0).all()


def test_spatgmm_finds_what_differs_in_covariance_only(data):
    result = run("spatgmm", data)
    best = agreement.ari(data.labels, run("truth", data).labels)
    assert agreement.ari(data.labels, result.labels) > best - 0.05
    assert result.n_parameters == 1 + 2 * 100 + 8
    assert result.log_likelihood > run("truth", data).log_likelihood


def test_texture_features_tell_smooth_images_from_rough_ones():
    rng = np.random.default_rng(0)
    rough = rng.standard_normal((80, 12, 12))
    smooth = rough + np.roll(rough, 1, axis=1) + np.roll(rough, 1, axis=2)
    smooth += np.roll(rough, (1, 1), axis=(1, 2))
    X = np.concatenate([rough[:40], smooth[40:] / 2]).reshape(80, -1)
    data = Dataset(X, np.indices((12, 12)).reshape(2, -1).T, shape=(12, 12))
    found = run("haralick", data)
    assert agreement.ari(np.repeat([0, 1], 40), found.labels) > 0.95
    # Units and level of the maps play no part.
    again = run("haralick", replace(data, X=1e6 + 1e3 * X))
    np.testing.assert_array_equal(found.labels, again.labels)
    # The likelihood would be that of the features, whose BIC compares with no other method's.
    assert found.log_likelihood is None and found.n_parameters is None


def test_texture_features_need_images():
    line = Dataset(np.eye(6), np.arange(6)[:, None])
    assert "needs images" in methods.get("haralick").supports(line, 2)


def test_morans_i_is_that_of_the_definition():
    z = np.random.default_rng(1).standard_normal((4, 5))
    at = np.indices((4, 5)).reshape(2, -1).T
    weights = np.abs(at[:, None] - at[None]).sum(axis=2) == 1
    flat = z.ravel() - z.mean()
    expected = 20 / weights.sum() * (flat @ weights @ flat) / (flat @ flat)
    np.testing.assert_allclose(haralick._morans_i(z[None]), [[expected]])


def test_known_labels_are_used_and_give_components_their_numbers():
    data = drawn(n=120, bump=3.0, grid=(4, 4))
    known = np.where(np.arange(120) % 3 == 0, 1 - data.labels, -1)
    result = run("spatgmm", replace(data, known_labels=known))
    np.testing.assert_array_equal(result.labels[known >= 0], known[known >= 0])
    assert np.mean(result.labels == 1 - data.labels) > 0.9


def test_a_metric_that_bic_leaves_isotropic_adds_no_rows():
    X = np.random.default_rng(3).normal(size=(40, 9))
    data = Dataset(X, grid_coordinates((3, 3)), shape=(3, 3))
    options = {"metric": "auto", "decay": "exponential", "n_init": 1}
    result = methods.get("spatgmm").fit(data, 2, np.random.default_rng(0), **options)
    parameters = result.extras["parameters"]
    assert parameters["component"].dtype.kind == "i"
    assert result.model.metric_ == "isotropic"
    assert set(parameters["parameter"]) == {"weight", "alpha1", "alpha2", "alpha3", "beta"}

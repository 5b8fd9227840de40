"""The estimator among scikit-learn's tools."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from spatgmm import SpatialGaussianMixture
from spatgmm.common.locations import grid_coordinates

COMPONENTS = [(0.5, 0.0, (1.0, -0.9, 0.3), 2.5), (0.5, 6.0, (1.0, -0.8, 0.3), 7.0)]


#: Its maps are shuffled, so that random starts differ: tests of weights compare from one start.
EXPECTED = {"check_sample_weight_equivalence_on_dense_data": "a search by random starts"}


@parametrize_with_checks(
    [SpatialGaussianMixture(n_init=1)], expected_failed_checks=lambda estimator: EXPECTED
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def maps(plain):
    return plain.draw(grid_coordinates((3, 3)), 120, COMPONENTS, seed=1)[0]


def test_clone_and_parameters_round_trip():
    model = SpatialGaussianMixture(3, coordinates=(4, 5), mean="constant", beta_init=2.0, tol=1e-3)
    copy = clone(model)
    assert copy is not model
    assert copy.get_params() == model.get_params()
    assert copy.set_params(n_components=4).n_components == 4
    assert model.n_components == 3


def test_a_fit_survives_pickling(maps):
    model = SpatialGaussianMixture(2, coordinates=(3, 3), n_init=1, random_state=0).fit(maps)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(maps), model.predict_proba(maps))
    assert again.standard_errors(maps).equals(model.standard_errors(maps))


def test_it_works_in_a_pipeline(maps):
    model = SpatialGaussianMixture(2, coordinates=(3, 3), n_init=1, random_state=0)
    pipeline = make_pipeline(FunctionTransformer(lambda X: X - X.mean()), model)
    np.testing.assert_array_equal(pipeline.fit_predict(maps), pipeline.predict(maps))
    assert pipeline.score(maps) == pytest.approx(model.log_likelihood_ / len(maps))


def test_a_grid_search_picks_the_number_of_components(maps):
    model = SpatialGaussianMixture(coordinates=(3, 3), init="kmeans", random_state=0)
    search = GridSearchCV(model, {"n_components": [1, 2]}, cv=3).fit(maps)
    assert search.best_params_ == {"n_components": 2}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()

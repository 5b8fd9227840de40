from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from spatgmm.common import agreement

pairs_of_labels = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=30)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(pairs_of_labels)
def test_ari_is_that_of_scikit_learn(pairs):
    true_labels, labels = np.array(pairs).T
    expected = adjusted_rand_score(true_labels, labels)
    assert agreement.ari(true_labels, labels) == pytest.approx(expected, abs=1e-12)


def test_match_undoes_any_renumbering():
    rng = np.random.default_rng(2)
    true_labels = rng.integers(4, size=60)
    for _ in range(5):
        order = rng.permutation(4)
        matched = agreement.match(true_labels, order[true_labels], 4)
        np.testing.assert_array_equal(matched[order[true_labels]], true_labels)
        assert agreement.accuracy(true_labels, order[true_labels]) == 1.0
        assert agreement.ari(true_labels, order[true_labels]) == 1.0


def test_match_finds_the_most_agreement():
    true_labels = np.array([0, 0, 0, 0, 1, 1, 1])
    labels = np.array([0, 0, 1, 1, 1, 1, 1])
    # Greedy would also take component 1 for group 1; the other way round agrees on 2 only.
    np.testing.assert_array_equal(agreement.match(true_labels, labels, 2), [0, 1])
    assert agreement.accuracy(true_labels, labels) == pytest.approx(5 / 7)


def test_accuracy_of_hand_counted_contingency_table():
    # Agreement [[3, 2], [3, 0]]: best is 2 + 3, although component 0 prefers group 0.
    true_labels = np.array([0, 0, 0, 1, 1, 0, 0, 0])
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1])
    assert agreement.accuracy(true_labels, labels) == pytest.approx(5 / 8)


@pytest.mark.parametrize(("components", "groups"), [(4, 2), (2, 4), (3, 3)])
def test_match_is_a_permutation_with_empty_components_and_groups(components, groups):
    rng = np.random.default_rng(3)
    true_labels = np.append(rng.integers(groups, size=30), groups - 1)
    labels = rng.integers(max(components - 1, 1), size=31)  # the last component is empty
    matched = agreement.match(true_labels, labels, components)
    assert sorted(matched) == list(range(max(components, groups)))


def test_one_component_for_all_scores_nothing():
    true_labels = np.repeat([0, 1], 10)
    assert agreement.ari(true_labels, np.zeros(20, dtype=int)) == 0
    assert agreement.accuracy(true_labels, np.zeros(20, dtype=int)) == 0.5


def test_parameters_follow_their_component():
    table = pd.DataFrame(
        {"component": [0, 0, 1, 1], "parameter": ["weight", "beta"] * 2, "estimate": [1, 2, 3, 4]}
    )
    renumbered = agreement.relabel_parameters(table, np.array([1, 0]))
    assert renumbered["component"].tolist() == [0, 0, 1, 1]
    assert renumbered["estimate"].tolist() == [3, 4, 1, 2]
    assert table["component"].tolist() == [0, 0, 1, 1]

"""Which of several candidates for the best fit are on the way to different optima."""

from __future__ import annotations

import numpy as np

#: Labels that agree to this ARI are on the way to the same optimum.
_SAME_CLUSTERING = 0.95


def distinct(candidates: list) -> list:
    """The best of those with the same clustering, the best first; they have a rank and labels."""
    kept, labels_kept = [], []
    for candidate in sorted(candidates, key=lambda candidate: candidate.rank):
        labels = candidate.labels
        if all(ari(labels, others) < _SAME_CLUSTERING for others in labels_kept):
            kept.append(candidate)
            labels_kept.append(labels)
    return kept


def ari(a: np.ndarray, b: np.ndarray) -> float:
    """Adjusted Rand index of labels counted from 0 (Hubert and Arabie, J. Classification 2, 1985).

    A search compares a thousand pairs of labels; scikit-learn's ``adjusted_rand_score`` takes 50
    times as long, nearly all of it for checks of its input, and was a quarter of some fits.
    """
    size = b.max() + 1
    together = _pairs(np.bincount(a * size + b))
    in_a, in_b = _pairs(np.bincount(a)), _pairs(np.bincount(b))
    expected = in_a * in_b / _pairs(np.array([len(a)]))
    largest = (in_a + in_b) / 2
    # All in one cluster, or each alone, in both.
    return 1.0 if largest == expected else (together - expected) / (largest - expected)


def _pairs(counts: np.ndarray) -> float:
    """Pairs within clusters of these sizes, ``sum n (n - 1) / 2``."""
    return float((counts * (counts - 1.0)).sum() / 2)

"""Which of several candidates for the best fit are on the way to different optima."""

from __future__ import annotations

from spatgmm.common.agreement import ari

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

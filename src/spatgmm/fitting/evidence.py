"""What is known of maps beside their values: labels of some, and how much each counts.

Both enter where the E-step turns log-densities into responsibilities, and nowhere else: a known
label leaves one component possible, a weight multiplies a map's log-likelihood and its
responsibilities, so that a map of weight 2 is two maps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp

from spatgmm.common.em import posterior

#: Whole weights repeat maps in a search while that makes no more of them than so many times.
_MOST_REPEATED = 10

#: The label of a map whose component is not known.
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Evidence:
    """Labels and weights of maps.

    Attributes
    ----------
    labels : ndarray of int, shape (n,), or None
        Component of each map, -1 where unknown; None: all unknown.
    weights : ndarray of shape (n,) or None
        None: every map counts once.
    """

    labels: np.ndarray | None = None
    weights: np.ndarray | None = None

    @classmethod
    def checked(cls, sample_weight, known_labels, n: int, n_components: int) -> Evidence:
        """What users pass, checked.

        Raises
        ------
        ValueError
            Naming the argument and the first bad entry.
        """
        return cls(_labels(known_labels, n, n_components), _weights(sample_weight, n))

    def of(self, maps: np.ndarray) -> Evidence:
        """This, if these are as many maps.

        Raises
        ------
        ValueError
            If not: the maps of the fit are asked for.
        """
        for known in (self.labels, self.weights):
            if known is not None and len(known) != len(maps):
                raise ValueError(
                    f"X has {len(maps)} maps, the fit had weights or known labels of {len(known)}: "
                    "pass the maps of the fit"
                )
        return self

    def some(self, rows: np.ndarray) -> Evidence:
        """That of some of the maps."""
        weights = None if self.weights is None else self.weights[rows]
        if weights is not None and (weights == 1).all():
            weights = None
        return Evidence(None if self.labels is None else self.labels[rows], weights)

    def counted(self, n: int) -> np.ndarray:
        """Which of `n` maps have some weight, (n,)."""
        return np.ones(n, dtype=bool) if self.weights is None else self.weights > 0

    def rows(self, n: int) -> np.ndarray:
        """Of which rows the `n` maps are that have some weight."""
        return np.arange(n) if self.weights is None else np.flatnonzero(self.weights)

    def without(self, which: np.ndarray) -> Evidence:
        """The same with no weight on some maps (n,)."""
        weights = np.ones(len(which)) if self.weights is None else self.weights
        return Evidence(self.labels, np.where(which, 0.0, weights))

    def as_often(self, shown: np.ndarray) -> np.ndarray:
        """Rows of the maps that are `shown` (n,), each as often as it counts.

        Weights that are not whole give each map its turns among as many as there are.
        """
        rows = np.flatnonzero(shown)
        if self.weights is None:
            return rows
        weights = self.weights[rows]
        turns = np.cumsum(weights)
        if (weights != np.round(weights)).any() or turns[-1] > _MOST_REPEATED * len(rows):
            turns = np.round(turns * (len(rows) / turns[-1]))
        return np.repeat(rows, np.diff(turns, prepend=0).astype(int))

    def total(self, n: int) -> float:
        """How many maps `n` maps are."""
        return n if self.weights is None else float(self.weights.sum())

    def weighted(self, values: np.ndarray) -> np.ndarray:
        """A number of each map (n,), as often as the map counts."""
        return values if self.weights is None else self.weights * values

    def posterior(self, log_joint: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood, and responsibilities (n, G) whose rows sum to the maps' weights.

        Parameters
        ----------
        log_joint : ndarray of shape (n, G)
            ``log(pi_g) + log f_g(x_i)``.
        """
        log_joint = self.possible(log_joint)
        if self.weights is None:
            return posterior(log_joint)
        _, responsibilities = posterior(log_joint)
        log_likelihood = float(self.weights @ logsumexp(log_joint, axis=1))
        return log_likelihood, self.weights[:, None] * responsibilities

    def possible(self, log_joint: np.ndarray) -> np.ndarray:
        """`log_joint` (n, G) with components that a known label rules out at -inf."""
        if self.labels is None:
            return log_joint
        return np.where(self._ruled_out(log_joint.shape[1]), -np.inf, log_joint)

    def imposed(self, responsibilities: np.ndarray) -> np.ndarray:
        """Responsibilities (n, G) that a fit starts from, as labels and weights have them."""
        if self.labels is not None:
            known = self.labels != UNKNOWN
            responsibilities = responsibilities.copy()
            responsibilities[known] = np.eye(responsibilities.shape[1])[self.labels[known]]
        return (
            responsibilities if self.weights is None else self.weights[:, None] * responsibilities
        )

    def numbered(self, responsibilities: np.ndarray) -> np.ndarray:
        """The same responsibilities (n, G), components numbered as the labels are."""
        if self.labels is None:
            return responsibilities
        return responsibilities[:, self.numbering(responsibilities)]

    def numbering(
        self, responsibilities: np.ndarray, promised: np.ndarray | None = None
    ) -> np.ndarray:
        """The order of components that agrees best with the labels, (G,).

        A start knows components up to their numbers.  Where no label tells, `promised` (G, G) does:
        how well each component (columns) suits each number (rows), -inf where it does not at all.
        """
        G = responsibilities.shape[1]
        agreement = np.zeros((G, G))
        if self.labels is not None:
            agreement = np.eye(G)[self.labels[self.known]].T @ responsibilities[self.known]
        if promised is not None and np.isfinite(promised).any():
            possible = promised[np.isfinite(promised)]
            reach = np.ptp(possible) + 1.0
            # One pair that cannot be outweighs all that can, a label in turn all promises.
            promised = np.maximum(promised, possible.min() - G * reach)
            agreement = 2 * G * (G + 1) * reach * agreement + promised
        return linear_sum_assignment(agreement, maximize=True)[1]

    @property
    def known(self) -> np.ndarray:
        """Rows of maps whose label is known."""
        if self.labels is None:
            return np.empty(0, dtype=int)
        return np.flatnonzero(self.labels != UNKNOWN)

    def covers(self, n_components: int) -> bool:
        """Whether some map of each component is known."""
        return len(np.unique(self.labels[self.known])) == n_components if len(self.known) else False

    def everything(self, n: int) -> bool:
        """Whether all of `n` maps are known: there is nothing to search for."""
        return len(self.known) == n

    def _ruled_out(self, n_components: int) -> np.ndarray:
        others = np.arange(n_components) != self.labels[:, None]
        return others & (self.labels != UNKNOWN)[:, None]


#: Nothing is known but the maps.
NOTHING = Evidence()


def _labels(labels, n: int, n_components: int) -> np.ndarray | None:
    if labels is None:
        return None
    labels = _numbers("known_labels", labels, n)
    bad = np.flatnonzero(
        ~((labels == np.floor(labels)) & (labels >= UNKNOWN) & (labels < n_components))
    )
    if bad.size:
        raise ValueError(
            f"known_labels[{bad[0]}] is {labels[bad[0]]:g}: labels are integers 0 .. "
            f"{n_components - 1} (n_components={n_components}), and {UNKNOWN} where unknown"
        )
    return None if (labels == UNKNOWN).all() else labels.astype(int)


def _weights(weights, n: int) -> np.ndarray | None:
    if weights is None:
        return None
    weights = _numbers("sample_weight", weights, n)
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if bad.size:
        raise ValueError(
            f"sample_weight[{bad[0]}] is {weights[bad[0]]:g}: weights are finite and at least 0"
        )
    if not weights.any():
        raise ValueError("sample_weight: every weight is zero; there is nothing to fit")
    return None if (weights == 1).all() else weights


def _numbers(name: str, values, n: int) -> np.ndarray:
    try:
        values = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be {n} numbers, one for each map: {error}") from error
    if values.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one for each map, got {values.shape}")
    return values

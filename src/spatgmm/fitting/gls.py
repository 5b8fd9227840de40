"""The paper's own M-step for a covariance: a GLS step for alpha, then a 1-D search for beta.

Kept faithful, failures included: the GLS step is unconstrained and can leave the
positive-definite cone, whereupon eigenvalues are floored as in the authors' package (SpatMix).
The `scoring` solver (:mod:`spatgmm.fitting.scoring`) is the default.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from spatgmm.covariance.family import FactoredCovariance, theta_from_alpha
from spatgmm.fitting.em import EmptyComponentError, Solver, maximisation
from spatgmm.fitting.maps import Blocks

#: Where beta starts unless told otherwise.  The authors' package starts at 1 and breaks down on
#: easy data; from 4 it did well.
STARTING_BETA = 4.0

#: Eigenvalue floor of the authors' package.
EIGENVALUE_FLOOR = 1e-8


class GLS(Solver):
    """The solver ``"gls"``.

    Parameters
    ----------
    beta_init : float or None
        Where beta starts; None: 4.
    """

    may_fall = True

    def __init__(self, beta_init: float | None = None):
        self.beta_init = STARTING_BETA if beta_init is None else beta_init

    def start(self, engine, maps, responsibilities, model):
        """One M-step from the identity, where the GLS step is ordinary least squares."""
        identity = theta_from_alpha([0.0, 0.0, 1.0], self.beta_init)
        thetas = np.tile(identity, (responsibilities.shape[1], 1))
        mixture = model.mixture(maps, responsibilities, thetas)
        return maximisation(maps, responsibilities, mixture, model, self)

    def lost(self, component):
        """The paper's algorithm has no answer to a component without maps."""
        raise EmptyComponentError(f"solver='gls': component {component} became empty")

    def update(self, covariances, moments, counts, shared, alphas):
        """``alpha = Theta^-1 rhs`` at the present beta, then beta by bounded minimisation.

        ``Theta_km = tr(P B_k P B_m)``, ``rhs_k = tr(P B_k P S)``, ``P = Xi^-1``, ``B = (J, D, I)``.

        Parameters
        ----------
        covariances : list of one FactoredCovariance
            The component's present covariance.
        moments : list of one Blocks
            Its scatter matrix ``S`` about the new mean, block by block.
        counts : ndarray of shape (1,)

        Raises
        ------
        numpy.linalg.LinAlgError
            If the normal equations are singular.
        """
        (covariance,), (scatter,) = covariances, moments
        family = covariance.family
        alpha = _gls_step(covariance, scatter)
        tried: dict[float, FactoredCovariance] = {}

        def objective(trial: float) -> float:
            tried[trial] = at = family.at_floored(theta_from_alpha(alpha, trial), EIGENVALUE_FLOOR)
            return at.objective(scatter)

        (lower,), (upper,) = family.kernel.lower, family.kernel.upper
        found = minimize_scalar(objective, bounds=(lower, upper), method="bounded")
        return [tried[found.x]]

    def has_converged(self, trace: list[float], tol: float) -> bool:
        """Whether the log-likelihood moved by less than `tol`, up or down."""
        return len(trace) >= 2 and abs(trace[-1] - trace[-2]) < tol


def _gls_step(covariance: FactoredCovariance, scatter: Blocks) -> np.ndarray:
    """``alpha = Theta^-1 rhs`` at a component's present beta."""
    family = covariance.family
    geometry = family.geometry
    (beta,) = family.shape(covariance.theta)
    J = geometry.assemble(np.ones_like(geometry.delta))
    D = geometry.assemble(family.kernel.decay.value(geometry.delta, beta))
    Theta, rhs = np.zeros((3, 3)), np.zeros(3)
    for b, (P, S) in enumerate(zip(covariance.inverse, scatter, strict=True)):
        PB = [P @ J[b], P @ D[b], P]
        PS = P @ S
        for k, transposed in enumerate(np.ascontiguousarray(M.T) for M in PB):
            rhs[k] += np.vdot(transposed, PS)
            for m in range(3):
                Theta[k, m] += np.vdot(transposed, PB[m])
    return np.linalg.solve(Theta, rhs)

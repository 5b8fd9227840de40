"""The model and the paper's algorithm written plainly: dense p x p matrices, formulas as printed.

Nothing here is shared with the package, and nothing is done for speed: this is what the package is
tested against.
"""

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.spatial.distance import cdist
from scipy.special import expit, logsumexp
from scipy.stats import multivariate_normal

EIGENVALUE_FLOOR = 1e-8


def distances(coordinates):
    d = cdist(coordinates, coordinates)
    return 2 * d / d.max()


def decay(delta, beta):
    start, end = expit(-3), expit(2 * beta - 3)
    return (expit(beta * delta - 3) - start) / (end - start)


def covariance(coordinates, alpha, beta):
    """``a1*J + a2*D(beta) + a3*I``, J all ones."""
    D = decay(distances(coordinates), beta)
    return alpha[0] * np.ones_like(D) + alpha[1] * D + alpha[2] * np.eye(len(D))


def draw(coordinates, n, components, seed):
    """Maps and labels; components are (weight, mean, alpha, beta)."""
    rng = np.random.default_rng(seed)
    p = len(coordinates)
    labels = rng.choice(len(components), size=n, p=[weight for weight, *_ in components])
    X = np.empty((n, p))
    for g, (_, mean, alpha, beta) in enumerate(components):
        rows = labels == g
        # Hard cases lie on the edge of the cone or a little beyond: drawn from what is next to it.
        Xi = covariance(coordinates, alpha, beta)
        X[rows] = rng.multivariate_normal(
            np.broadcast_to(mean, p), Xi, size=rows.sum(), check_valid="ignore"
        )
    return X, labels


def log_joint(X, weights, means, covariances):
    """``log(pi_g) + log N(x_i; mu_g, Xi_g)``, shape (n, G)."""
    return np.column_stack(
        [
            np.log(weight) + np.atleast_1d(multivariate_normal(mean, Xi).logpdf(X))
            for weight, mean, Xi in zip(weights, means, covariances, strict=True)
        ]
    )


def log_likelihood(X, weights, means, covariances):
    return logsumexp(log_joint(X, weights, means, covariances), axis=1).sum()


def largest_beta(delta):
    """Where the decay is half over at the nearest neighbour."""
    nearest = delta[delta > 0].min()
    return brentq(lambda beta: decay(nearest, beta) - 0.5, 0.01, 100)


def gls_em(X, coordinates, responsibilities, beta_start=4.0, tol=1e-4, max_iter=500):
    """The paper's EM: a GLS step for alpha, then a bounded search for beta.

    Returns weights, means, alpha, beta and the trace of the log-likelihood.
    """
    delta = distances(coordinates)
    p, G = len(coordinates), responsibilities.shape[1]
    J, identity = np.ones((p, p)), np.eye(p)
    bounds = (1e-3, largest_beta(delta))

    def positive_definite(Xi):
        values, vectors = np.linalg.eigh(Xi)
        return (vectors * np.maximum(values, EIGENVALUE_FLOOR)) @ vectors.T

    def m_step(responsibilities, covariances, beta):
        weights = responsibilities.mean(axis=0)
        means = (responsibilities.T @ X) / responsibilities.sum(axis=0)[:, None]
        alpha, beta, covariances = np.empty((G, 3)), beta.copy(), list(covariances)
        for g in range(G):
            r = responsibilities[:, g]
            S = ((X - means[g]).T * r) @ (X - means[g]) / r.sum()
            P = np.linalg.inv(covariances[g])
            B = [J, decay(delta, beta[g]), identity]
            Theta = [[np.trace(P @ Bk @ P @ Bm) for Bm in B] for Bk in B]
            alpha[g] = np.linalg.solve(Theta, [np.trace(P @ Bk @ P @ S) for Bk in B])

            def Xi(b, a=alpha[g]):
                return positive_definite(a[0] * J + a[1] * decay(delta, b) + a[2] * identity)

            def objective(b, S=S, Xi=Xi):
                return np.linalg.slogdet(Xi(b))[1] + np.trace(np.linalg.inv(Xi(b)) @ S)

            beta[g] = minimize_scalar(objective, bounds=bounds, method="bounded").x
            covariances[g] = Xi(beta[g])
        return weights, means, alpha, beta, covariances

    parameters = m_step(responsibilities, [identity] * G, np.full(G, float(beta_start)))
    trace = []
    while True:
        weights, means, alpha, beta, covariances = parameters
        joint = log_joint(X, weights, means, covariances)
        evidence = logsumexp(joint, axis=1)
        trace.append(evidence.sum())
        if len(trace) > max_iter or (len(trace) > 1 and abs(trace[-1] - trace[-2]) < tol):
            return weights, means, alpha, beta, np.array(trace)
        parameters = m_step(np.exp(joint - evidence[:, None]), covariances, beta)

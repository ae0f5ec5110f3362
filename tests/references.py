"""GEMINIs straight from their definition, in loops: what the package is compared with.

Cluster k is seen through the weights w_ik = w_i p_ik / pi_k of the samples, the data through w_i:

    one-vs-all  sum_k pi_k D(w_k || w)            one-vs-one  sum_kl pi_k pi_l D(w_k || w_l)

A divergence takes two vectors of weights over the samples and the affinity (N, N) between them;
the sliced one takes the samples (N, D) themselves.
"""

import numpy as np
from ot.sliced import get_random_projections
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance


def kullback_leibler(a, b, affinity=None):
    return sum(x * np.log(x / y) for x, y in zip(a, b, strict=True) if x > 0)


def jensen_shannon(a, b, affinity=None):
    middle = (a + b) / 2
    return (kullback_leibler(a, middle) + kullback_leibler(b, middle)) / 2


def total_variation(a, b, affinity=None):
    return sum(abs(x - y) for x, y in zip(a, b, strict=True)) / 2


def squared_hellinger(a, b, affinity=None):
    return sum((np.sqrt(x) - np.sqrt(y)) ** 2 for x, y in zip(a, b, strict=True)) / 2


def chi_squared(a, b, affinity=None):
    return sum((x - y) ** 2 / y for x, y in zip(a, b, strict=True) if x != y)


def squared_mmd(a, b, kernel):
    return (a - b) @ kernel @ (a - b)


def mmd(a, b, kernel):
    return np.sqrt(max(squared_mmd(a, b, kernel), 0.0))


def wasserstein(a, b, distance):
    """Least cost of a plan (N, N) with marginals a and b, as a linear programme."""
    n = len(a)
    row_sums = np.kron(np.eye(n), np.ones(n))
    column_sums = np.kron(np.ones(n), np.eye(n))
    plan = linprog(
        distance.ravel(),
        A_eq=np.vstack([row_sums, column_sums[:-1]]),  # the last one follows from the others
        b_eq=np.r_[a, b[:-1]],
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    assert plan.success, plan.message
    return plan.fun


def sliced_wasserstein(a, b, X):
    directions = get_random_projections(X.shape[1], 50, np.random.RandomState(0))
    return np.mean([wasserstein_distance(line, line, a, b) for line in (X @ directions).T])


DIVERGENCES = {
    "kl": kullback_leibler,
    "tv": total_variation,
    "hellinger": squared_hellinger,
    "chi2": chi_squared,
    "mmd": mmd,
    "wasserstein": wasserstein,
    "sliced_wasserstein": sliced_wasserstein,
    "jensen-shannon": jensen_shannon,
}


def gemini(divergence, mode, proba, weight=None, affinity=None):
    """GEMINI of assignments (N, K), sample weights (N,) that sum to 1; unused clusters count 0."""
    weight = np.full(len(proba), 1 / len(proba)) if weight is None else weight
    proportions = weight @ proba
    used = [k for k in range(proba.shape[1]) if proportions[k] > 0]
    clusters = {k: weight * proba[:, k] / proportions[k] for k in used}
    total = 0.0
    for k in used:
        if mode == "ova":
            total += proportions[k] * divergence(clusters[k], weight, affinity)
            continue
        for other in used:
            if other != k:
                distance = divergence(clusters[k], clusters[other], affinity)
                total += proportions[k] * proportions[other] * distance
    return total


def gemini_by_name(name, proba, weight=None, affinity=None):
    """GEMINI by its name in the table, such as "kl_ova"; "mi" is "kl_ova"."""
    divergence, mode = ("kl_ova" if name == "mi" else name).rsplit("_", 1)
    return gemini(DIVERGENCES[divergence], mode, proba, weight, affinity)

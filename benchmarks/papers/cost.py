"""What a value and its gradient cost: ours, gemclus's, and a plain transcription of the formulas.

Of random soft assignments of so many normal samples in ten dimensions to K clusters, float64, one
thread, with respect to p(y|x) (ours: its logarithm). MMD with the linear kernel: ours takes X, the
others the matrix; ours is timed with that, too. Transport starts from nothing, as on samples that
were never seen before.
"""

import time
from functools import cache
from itertools import combinations

import harness
import numpy as np
import torch
from datasets import Unavailable
from scipy.special import softmax
from torch.utils._python_dispatch import TorchDispatchMode

from papers.fits import CHI2, GEMINIS, MMDS, TRANSPORT, Verdict

COLUMNS = [*harness.Cell._fields, "value", "milliseconds", "seconds", "note"]

BATCHES = (100, 250, 500, 2000)
CLUSTERS = (4, 10, 30)
OURS, MATRIX, PEER, FORMULA = "gemclust", "gemclust, matrix", "gemclus", "formula"
METHODS = (OURS, MATRIX, PEER, FORMULA)
MOST_TRANSPORT = 2e8  # transports times squared samples: more would take many minutes
ENOUGH, LEAST = 0.3, 3  # seconds and evaluations, of which the fastest counts
FLOOR = 1e-12  # of probabilities, in the papers and in both packages
VALUES_AGREE = 1e-6  # relative
DIGITS = 1e-8  # relative, to which rows are written


def cells():
    for objective in (*GEMINIS[:6], *CHI2, *MMDS, *TRANSPORT):
        for n_samples in BATCHES:
            for n_clusters in CLUSTERS:
                if objective in TRANSPORT and transports(objective, n_clusters) * n_samples**2 > (
                    MOST_TRANSPORT
                ):
                    continue
                for method in METHODS:
                    if method != MATRIX or objective in MMDS:
                        yield harness.Cell(shape_name(n_samples, n_clusters), method, objective, 0)


def transports(objective, n_clusters):
    return n_clusters if objective.endswith("ova") else n_clusters * (n_clusters - 1) // 2


def shape_name(n_samples, n_clusters):
    return f"B={n_samples} K={n_clusters}"


def shape_of(name):
    return tuple(int(part.partition("=")[2]) for part in name.split())


@cache
def data(n_samples, n_clusters):
    """Samples, p(y|x), the linear kernel and the distances."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n_samples, 10))
    proba = softmax(X @ rng.standard_normal((10, n_clusters)), axis=1)
    squares = np.square(X).sum(1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * X @ X.T, 0))
    np.fill_diagonal(distances, 0)
    return X, proba, X @ X.T, np.ascontiguousarray(distances)


def measure(cell):
    evaluate = {OURS: ours, MATRIX: ours, PEER: gemclus, FORMULA: formula}[cell.method]
    call = evaluate(cell, *data(*shape_of(cell.dataset)))
    times = []
    while len(times) < LEAST or sum(times) < ENOUGH:
        start = time.perf_counter()
        value = call()
        times.append(time.perf_counter() - start)
        if times[0] > 20:
            break
    best = min(times)
    return {"value": value, "milliseconds": 1e3 * best, "seconds": sum(times), "note": ""}


# Each: cell and data -> a function that computes the gradient and returns the value.


def ours(cell, X, proba, kernel, distances):
    from gemclust.objectives import Batch, get_objective

    objective = get_objective(cell.objective)
    log_proba = torch.tensor(np.log(proba))[None].requires_grad_()
    weight = torch.full((len(X),), 1 / len(X), dtype=torch.float64)
    if objective.affinity == "distance":
        sight = {"matrix": torch.tensor(distances), "triangle": True}
    elif cell.method == MATRIX:
        sight = {"matrix": torch.tensor(kernel)}
    else:
        sight = {"features": torch.tensor(X)} if objective.affinity else {}

    def call():
        # Restarts come as rows, which lie in memory as the built-in models leave them.
        value = objective.evaluate(Batch(log_proba, weight, **sight)).sum()
        torch.autograd.grad(value, log_proba)
        return float(value.detach())

    return call


def gemclus(cell, X, proba, kernel, distances):
    try:
        from gemclus import gemini
    except ImportError as error:
        raise Unavailable("gemclus is missing: pip install 'gemclust[bench]'") from error

    distance, mode = cell.objective.split("_")
    names = {"kl": "KL", "tv": "TV", "hellinger": "Hellinger", "chi2": "ChiSquare"}
    name = names.get(distance) or {"mmd": "MMD", "wasserstein": "Wasserstein"}[distance]
    objective = getattr(gemini, f"{name}GEMINI")(ovo=mode == "ovo")
    affinity = {"mmd": kernel, "wasserstein": distances}.get(distance)
    return lambda: float(objective.evaluate(proba, affinity, return_grad=True)[0])


def formula(cell, X, proba, kernel, distances):
    p = torch.tensor(proba, requires_grad=True)
    matrix = torch.tensor(distances if cell.objective in TRANSPORT else kernel)
    function = FORMULAS[cell.objective]

    def call():
        value = function(p.clamp(min=FLOOR), p.mean(0), matrix)
        torch.autograd.grad(value, p)
        return float(value.detach())

    return call


class Calls(TorchDispatchMode):
    """Counts what torch is called for, the passes back included."""

    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.n += 1
        return function(*args, **(kwargs or {}))


def n_calls(method, objective):
    """For one value and its gradient, of the smallest batch."""
    shape = shape_name(BATCHES[0], CLUSTERS[0])
    evaluate = {OURS: ours, FORMULA: formula}[method]
    call = evaluate(harness.Cell(shape, method, objective, 0), *data(*shape_of(shape)))
    with Calls() as calls:
        call()
    return calls.n


def tv_ovo(p, pi, _):
    return 0.5 * (pi * p[:, :, None] - pi[:, None] * p[:, None, :]).abs().sum((1, 2)).mean()


def mmd_ova(p, pi, kernel):
    deviation = p / pi - 1
    return (pi * ((deviation * (kernel @ deviation)).sum(0) / len(p) ** 2).sqrt()).sum()


def mmd_ovo(p, pi, kernel):
    ratio = p / pi
    omega = ratio.T @ kernel @ ratio / len(p) ** 2
    squares = omega.diagonal()[:, None] + omega.diagonal() - 2 * omega
    # The derivative of the root at 0 is infinite: the diagonal is left out.
    a, b = torch.triu_indices(*squares.shape, offset=1)
    return 2 * (pi[a] * pi[b] * squares[a, b].sqrt()).sum()


def wasserstein_ova(p, pi, distances):
    import ot

    data = torch.full((len(p),), 1 / len(p), dtype=p.dtype)
    parts = [ot.emd2(column / column.sum(), data, distances) for column in p.T]
    return (pi * torch.stack(parts)).sum()


def wasserstein_ovo(p, pi, distances):
    import ot

    shares = [column / column.sum() for column in p.T]
    pairs = combinations(range(len(pi)), 2)
    return 2 * sum(pi[a] * pi[b] * ot.emd2(shares[a], shares[b], distances) for a, b in pairs)


FORMULAS = {
    "kl_ova": lambda p, pi, _: (p * (p / pi).log()).sum(1).mean(),
    "kl_ovo": lambda p, pi, _: ((p - pi) * (p / pi).log()).sum(1).mean(),
    "tv_ova": lambda p, pi, _: 0.5 * (p - pi).abs().sum(1).mean(),
    "tv_ovo": tv_ovo,
    "hellinger_ova": lambda p, pi, _: 1 - (pi * p).sqrt().sum(1).mean(),
    "hellinger_ovo": lambda p, pi, _: 1 - (pi * p).sqrt().sum(1).square().mean(),
    "chi2_ova": lambda p, pi, _: (p.square() / pi).sum(1).mean() - 1,
    "chi2_ovo": lambda p, pi, _: ((p.square() / pi).sum(1) * (pi.square() / p).sum(1)).mean() - 1,
    "mmd_ova": mmd_ova,
    "mmd_ovo": mmd_ovo,
    "wasserstein_ova": wasserstein_ova,
    "wasserstein_ovo": wasserstein_ovo,
}


def verdicts(rows):
    """No line on time stands in the plan; the values have to agree."""
    values = {(r["dataset"], r["method"], r["objective"]): float(r["value"]) for r in rows}
    for peer in (FORMULA, PEER):
        gaps = [
            abs(value - other) / abs(other)
            for (dataset, method, objective), value in values.items()
            if method in (OURS, MATRIX) and not (peer == PEER and objective in CHI2)
            if (other := values.get((dataset, peer, objective)))
        ]
        gap = max(gaps, default=0.0)
        but = ", chi-squared apart" if peer == PEER else ""
        of = "the formulas" if peer == FORMULA else peer
        yield Verdict(
            f"our values are those of {of}{but}",
            f"{len(gaps)} values, "
            + ("equal in all digits of the file" if gap < DIGITS else f"up to {gap:.1e} apart"),
            gap < VALUES_AGREE if gaps else None,
        )

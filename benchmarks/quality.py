"""Quality at the true number of clusters: ours, K-means, Gaussian mixture and gemclus.

    python benchmarks/quality.py [--only PATTERN ...] [--seeds 10] [--redo]
    python benchmarks/quality.py --summary

Rows go to results/quality.csv as they are done; running again continues. A PATTERN is matched
with DATASET/METHOD/OBJECTIVE, for example 'iris/*' or '*/gemclust/mmd_*'.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import sys
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import numpy as np
from datasets import DATASETS, Unavailable, load
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

RESULTS = Path(__file__).parent / "results"
COLUMNS = [*harness.Cell._fields, "n_clusters", "n_found", "ari", "mmd_ova", "mmd_ovo"]
COLUMNS += ["objective_value", "seconds", "n_iter", "note"]

DISTANCES = ("kl", "tv", "hellinger", "chi2", "mmd", "wasserstein")
GEMINIS = tuple(f"{distance}_{mode}" for distance in DISTANCES for mode in ("ova", "ovo"))
SECTORS = ("blobs_1d", "cross")  # a true cluster lies at the mean: one-vs-all cannot hold it
MAX_TRANSPORT = 2_000  # samples up to which a Wasserstein value is evaluated

# (epochs, batch size) of gemclus where its defaults, 1,000 epochs on the full batch, take too long.
SCHEDULES = {
    "digits/mmd_ova": (1000, 200),
    "optdigits/mmd_*": (200, 100),
    "gstm_df1/mmd_*": (100, 100),
    "penguins/wasserstein_*": (300, 100),
    "breast_cancer/wasserstein_*": (200, 100),
    "digits/wasserstein_*": (50, 100),
    "optdigits/wasserstein_*": (10, 100),
    "blobs_1d/wasserstein_*": (200, 100),
    "cross/wasserstein_*": (200, 100),
    "gstm_df1/wasserstein_*": (20, 100),
}


@cache
def data(name):
    X, y, source = load(name)
    print(f"{name}: {X.shape[0]} x {X.shape[1]}, {source}", flush=True)
    return X, y, len(np.unique(y))


# Each method: (cell, y, number of clusters) -> an estimator that is not fitted yet, and a note.


def gemclust(cell, y, n_clusters):
    from gemclust import GeminiClustering

    return GeminiClustering(n_clusters, objective=cell.objective, random_state=cell.seed), ""


def kmeans(cell, y, n_clusters):
    return KMeans(n_clusters, n_init=10, random_state=cell.seed), "n_init 10"


def gaussian_mixture(cell, y, n_clusters):
    return GaussianMixture(n_clusters, random_state=cell.seed), "full covariance"


def gemclus(cell, y, n_clusters):
    try:
        from gemclus.mlp import MLPMMD, MLPModel, MLPWasserstein
    except ImportError as error:
        raise Unavailable("gemclus is missing: pip install 'gemclust[bench]'") from error

    name = f"{cell.dataset}/{cell.objective}"
    schedules = (pair for pattern, pair in SCHEDULES.items() if fnmatch(name, pattern))
    max_iter, batch_size = next(schedules, (1000, None))
    options = {"max_iter": max_iter, "batch_size": batch_size, "random_state": cell.seed}
    if cell.objective == "mi":
        model = MLPModel(n_clusters, gemini="mi", **options)
    else:
        family = MLPMMD if cell.objective.startswith("mmd") else MLPWasserstein
        model = family(n_clusters, ovo=cell.objective.endswith("ovo"), **options)
    if batch_size:
        return model, f"{max_iter} epochs, batch_size {batch_size}: not its defaults"
    return model, f"{max_iter} epochs, full batch: its defaults"


def truth(cell, y, n_clusters):
    return FromTruth(y, None), "the true partition"


def from_truth(cell, y, n_clusters):
    from gemclust.objectives import get_objective

    return FromTruth(y, get_objective(cell.objective)), "free logits started near the truth"


class FromTruth:
    """One free row of logits per sample, started near the truth, ascends an objective (or none)."""

    def __init__(self, y, objective):
        self.y, self.objective = y, objective
        self.predicted, self.n_iter_ = np.eye(y.max() + 1)[y], 0

    def fit(self, X):
        if self.objective is None:
            return
        import torch

        from gemclust.objectives import Batch

        logits = torch.tensor(4.0 * self.predicted[None], requires_grad=True)
        weight = torch.full((len(X),), 1 / len(X), dtype=logits.dtype)
        features = torch.tensor(X - X.mean(axis=0))
        solver = torch.optim.LBFGS([logits], max_iter=500, line_search_fn="strong_wolfe")

        def loss():
            solver.zero_grad()
            batch = Batch(logits.log_softmax(-1), weight, features=features)
            value = -self.objective.evaluate(batch).sum()
            value.backward()
            return value

        solver.step(loss)
        self.n_iter_ = solver.state[logits]["n_iter"]
        self.predicted = logits.detach()[0].softmax(-1).numpy()

    def predict_proba(self, X):
        return self.predicted


METHODS = {
    gemclust: GEMINIS,
    kmeans: ("",),
    gaussian_mixture: ("",),
    gemclus: ("mmd_ova", "mmd_ovo", "mi", "wasserstein_ova", "wasserstein_ovo"),
    truth: ("",),
    from_truth: ("mmd_ova", "mmd_ovo"),
}
BY_NAME = {method.__name__: method for method in METHODS}


def cells(n_seeds):
    """The cross product; what knows the truth has no seed and starts from it where that tells."""
    for dataset in DATASETS:
        for method, objectives in METHODS.items():
            if method is from_truth and dataset not in SECTORS:
                continue
            for objective in objectives:
                for seed in range(1 if method in (truth, from_truth) else n_seeds):
                    yield harness.Cell(dataset, method.__name__, objective, seed)


def fit(cell, keep=None):
    """Fit one cell; a peer's fit is kept in the folder ``keep`` and read back from there."""
    peer = cell.method in ("kmeans", "gaussian_mixture", "gemclus")
    path = keep / f"{'-'.join(filter(None, map(str, cell)))}.npz" if keep and peer else None
    if path and path.exists():
        with np.load(path) as kept:
            return {name: kept[name][()] for name in kept.files}
    X, y, n_clusters = data(cell.dataset)
    model, note = BY_NAME[cell.method](cell, y, n_clusters)
    seconds, warned = harness.timed(lambda: model.fit(X))
    fitted = {
        "assignment": model.labels_ if cell.method == "kmeans" else model.predict_proba(X),
        "seconds": seconds,
        "n_iter": model.n_iter_,
        "note": "; ".join(filter(None, [note, *warned])),
    }
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **fitted)
    return fitted


def evaluate(cell, assignment, **fitted):
    """Turn any method's labels or probabilities into the columns of its row."""
    from gemclust.metrics import gemini_score

    X, y, n_clusters = data(cell.dataset)
    labels = assignment if assignment.ndim == 1 else assignment.argmax(axis=1)
    wanted = {"mmd_ova", "mmd_ovo", cell.objective} - {""}
    if len(X) > MAX_TRANSPORT:
        wanted -= {"wasserstein_ova", "wasserstein_ovo"}
    values = {name: gemini_score(X, assignment, objective=name) for name in wanted}
    return fitted | {
        "n_clusters": n_clusters,
        "n_found": len(np.unique(labels)),
        "ari": adjusted_rand_score(y, labels),
        "mmd_ova": values["mmd_ova"],
        "mmd_ovo": values["mmd_ovo"],
        "objective_value": values.get(cell.objective, ""),
    }


def statistics(rows):
    """Mean and standard deviation (n - 1) over the seeds, by (data set, method, objective)."""
    groups = {cell[:3]: [] for cell in cells(1)}
    for row in rows:
        groups[row["dataset"], row["method"], row["objective"]].append(row)
    table = {}
    for key, group in groups.items():
        if not group:
            continue
        entry = dict(zip(("dataset", "method", "objective"), key, strict=True), n_seeds=len(group))
        for column in ("ari", "mmd_ova", "mmd_ovo", "objective_value", "seconds", "n_found"):
            values = np.array([float(row[column] or "nan") for row in group])
            entry[column] = values.mean()
            entry[f"{column}_std"] = values.std(ddof=1) if len(values) > 1 else 0.0
        table[key] = entry
    return table


# What the table is to show of ours: (claim, column, rival, the sign under which more is better).
CLAIMS = [
    ("objective at least K-means's", "{}", "kmeans", 1),
    ("objective at least gemclus's", "{}", "gemclus", 1),
    ("ARI at least gemclus's", "ari", "gemclus", 1),
    ("ARI spread at most gemclus's", "ari_std", "gemclus", -1),
    ("objective spread at most gemclus's", "{}_std", "gemclus", -1),
]


def verdicts(table):
    """Yield one row for each claim, objective and data set that has both sides."""

    def compare(claim, objective, where, ours, other, sign=1):
        slack = 1e-6 * abs(other)
        names = ("claim", "objective", "dataset", "ours", "other", "passed")
        values = (claim, objective, where, ours, other, bool(sign * (ours - other) >= -slack))
        return dict(zip(names, values, strict=True))

    for objective in ("mmd_ova", "mmd_ovo"):
        averaged = []
        for dataset in DATASETS:
            ours = table.get((dataset, "gemclust", objective))
            rivals = {
                "kmeans": table.get((dataset, "kmeans", "")),
                "gemclus": table.get((dataset, "gemclus", objective)),
            }
            for claim, column, rival, sign in CLAIMS:
                if ours and (other := rivals[rival]):
                    name = column.format(objective)
                    yield compare(claim, objective, dataset, ours[name], other[name], sign)
            if ours and rivals["kmeans"] and not DATASETS[dataset].generated:
                averaged.append((ours["ari"], rivals["kmeans"]["ari"]))
        if averaged and len(averaged) == sum(not d.generated for d in DATASETS.values()):
            means = np.mean(averaged, axis=0)
            claim = "mean ARI at least K-means's"
            yield compare(claim, objective, f"{len(averaged)} real sets", *means)
    for dataset in DATASETS:
        ours = table.get((dataset, "gemclust", "mmd_ovo"))
        other = table.get((dataset, "gemclus", "mmd_ova"))
        if ours and other:
            claim = "default's ARI at least that of gemclus's default"
            yield compare(claim, "mmd_ovo", dataset, ours["ari"], other["ari"])
    for dataset in SECTORS:
        start = table.get((dataset, "truth", ""))
        for objective, claim, sign in (("mmd_ova", "leaves", -1), ("mmd_ovo", "stays at", 1)):
            end = table.get((dataset, "from_truth", objective))
            if start and end:
                yield compare(
                    f"{claim} the truth (ARI 0.99)", objective, dataset, end["ari"], 0.99, sign
                )
                if objective == "mmd_ova":
                    values = (end[objective], start[objective])
                    yield compare("higher objective than the truth", objective, dataset, *values)


def summarise():
    """Print and write the statistics and the verdict on each claim."""
    table = statistics(harness.read(RESULTS / "quality.csv"))
    if not table:
        return "no rows yet"
    entries, rows = list(table.values()), list(verdicts(table))
    harness.write(RESULTS / "quality_summary.csv", list(entries[0]), entries)
    print(f"{'':44}{'seeds':>5}  {'ARI':<15}{'MMD OvA':<17}{'MMD OvO':<17}{'clusters':>8}{'s':>8}")
    for entry in entries:
        name = f"{entry['method']} {entry['objective']}"
        print(f"{entry['dataset']:14}{name:30}{entry['n_seeds']:5}", end="")
        for column, width in (("ari", 7), ("mmd_ova", 9), ("mmd_ovo", 9)):
            print(f"{entry[column]:{width}.3f} ({entry[f'{column}_std']:.3f})", end="")
        print(f"{entry['n_found']:8.1f}{entry['seconds']:10.2f}")
    print()
    if rows:
        harness.write(RESULTS / "quality_claims.csv", list(rows[0]), rows)
    for row in rows:
        print("pass" if row["passed"] else "FAIL", end="  ")
        print(f"{row['claim']:50}{row['objective']:9}{row['dataset']:14}", end="")
        print(f"{row['ours']:10.4f}{row['other']:10.4f}")
    return None


def main():
    parser = harness.parser(__doc__, seeds=10)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the peers' fits there")
    parser.add_argument("--fit-only", action="store_true", help="fill FOLDER, evaluate nothing")
    parser.add_argument("--summary", action="store_true", help="summarise the rows, run nothing")
    options = parser.parse_args()
    if options.summary:
        return summarise()
    harness.limit_torch()
    print(harness.environment())
    chosen = [cell for cell in cells(options.seeds) if cell.matches(options.only)]
    if options.fit_only:
        for cell in chosen:
            print(*cell, f"{fit(cell, options.keep)['seconds']:.2f} s", flush=True)
        return None

    def measure(cell):
        return evaluate(cell, **fit(cell, options.keep))

    return harness.run(chosen, measure, RESULTS / "quality.csv", COLUMNS, options.redo) > 0


if __name__ == "__main__":
    sys.exit(main())

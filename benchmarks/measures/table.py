"""What is measured, and what was to be reached."""

from collections.abc import Callable
from dataclasses import dataclass, field

from measures import floor, large, peer, process

FORMULAS = {
    "other / ours": lambda ours, other: other / ours,
    "ours / other": lambda ours, other: ours / other,
    "ours - other": lambda ours, other: ours - other,
    "ours": lambda ours, other: ours,
}


@dataclass(frozen=True)
class Row:
    """One line of the table: what it is about, the value of a repeat, and what it should be."""

    what: str
    formula: str
    other: str = ""
    sense: str = ""  # ">=", "<=" or ">"; without a target, the line is for information
    target: float | None = None
    statistic: str = "median"  # over the repeats: "median", "mean" or "min"
    unit: str = "s"


@dataclass(frozen=True)
class Measure:
    """One fresh process for each repeat; it gives one line or several."""

    call: Callable
    rows: dict[str, Row]
    options: dict = field(default_factory=dict)
    threads: int | None = 1  # None: all cores

    def named_rows(self, name):
        """Each line with its name in the results."""
        return {f"{name}/{part}" if part else name: row for part, row in self.rows.items()}


def measure(call, row, threads=1, **options):
    return Measure(call, row if isinstance(row, dict) else {"": row}, options, threads)


def faster_than_gemclus(what, target=None):
    sense = ">=" if target else ""
    return Row(what, "other / ours", "gemclus", sense, target)


def slower_than(other, what, target=None):
    return Row(what, "ours / other", other, "<=" if target else "", target)


def kmeans_rows(what, time, gemini=False):
    rows = {
        "time": slower_than("K-means", f"whole fit, {what}", time),
        "ari": Row(f"mean ARI, {what}", "ours - other", "K-means", ">=", 0, "mean", "ARI"),
    }
    least = f"GEMINI (MMD one-vs-one), least over the seeds, {what}"
    wanted = (">", 0) if gemini else ("", None)
    rows["gemini"] = Row(least, "ours - other", "K-means", *wanted, "min", "GEMINI")
    return rows


def megabytes(what):
    return Row(f"peak memory above the data, {what}", "ours", "K-means", "<=", 300, unit="MB")


def exponent(what):
    return Row(f"exponent of time over N, {what}", "ours", "", "<=", 1.05, unit="exponent")


REACHED = "time to gemclus's final objective"
TARGETS = {"iris": 20, "wine": 20, "breast_cancer": 300, "digits": 500}
NAMED = {"ova": "one-vs-all", "ovo": "one-vs-one"}
FLOORS = {"mmd": "MMD", "kl": "KL", "tv": "TV", "hellinger": "Hellinger"}

MEASURES = {}
for dataset, target in TARGETS.items():
    call = peer.reach_extrapolated if dataset == "digits" else peer.reach
    rounds = 1 if dataset == "breast_cancer" else 3
    options = {"dataset": dataset, "rounds": rounds}
    for key, title, limit, more in (
        ("reach", "one start, stopped there", target, {}),
        ("reach_whole", "one start, whole fit", None, {"whole": True}),
        ("reach_default", "default restarts, whole fit", None, {"whole": True, "n_init": "auto"}),
    ):
        name = f"{dataset} (gemclus extrapolated)" if dataset == "digits" else dataset
        row = faster_than_gemclus(f"{REACHED}, {title}, {name}", limit)
        MEASURES[f"{key}/{dataset}"] = measure(call, row, **options, **more)

TRANSPORT = "epoch of Wasserstein one-vs-all, n = 2,000, K = 3"
MEASURES["wasserstein/full"] = measure(
    peer.wasserstein, faster_than_gemclus(f"{TRANSPORT}, full batch", 5), batch_size=None
)
MEASURES["wasserstein/batch_200"] = measure(
    peer.wasserstein, faster_than_gemclus(f"{TRANSPORT}, batches of 200"), batch_size=200
)

for mode, name in NAMED.items():
    for family, title in FLOORS.items():
        objective = f"{family}_{mode}"
        for kind, call, limit in (
            ("mini-batches", floor.mini_batches, 1.2),
            ("full batch", floor.full_batch, 1.5),
        ):
            row = slower_than(
                "floor", f"epoch of {title} {name}, {kind}", limit if mode == "ova" else None
            )
            key = f"epoch/{objective}/{kind.replace(' ', '_').replace('-', '_')}"
            MEASURES[key] = measure(call, row, objective=objective)

MEASURES["kmeans/mnist"] = measure(
    large.kmeans,
    kmeans_rows("MNIST, linear model", 0.8, gemini=True),
    threads=None,
    data=large.mnist,
    model="linear",
)
for model, title in {"auto": "default model", "linear": "linear model"}.items():
    MEASURES[f"kmeans/blobs_{model}"] = measure(
        large.kmeans,
        kmeans_rows(f"blobs 1,000,000 x 32, {title}", 2),
        threads=None,
        data=large.blobs,
        model=model,
    )

MEASURES["restarts/default"] = measure(
    peer.restarts, slower_than("one start", "ten starts, digits, default", 3)
)
MEASURES["restarts/all"] = measure(
    peer.restarts,
    slower_than("one start", "ten starts, digits, all to the end", 7),
    all_to_the_end=True,
)
MEASURES["growth/adam"] = measure(
    large.growth,
    exponent("Adam, 5 epochs, batches of 1,000"),
    solver="adam",
    iterations=5,
    batch_size=1000,
)
MEASURES["growth/lbfgs"] = measure(large.growth, exponent("L-BFGS, whole fit"), solver="lbfgs")
for n_samples, n_features, n_clusters in large.SELECTED:
    shape = f'n_clusters="auto", {n_samples:,} x {n_features:,}'
    title = f"{shape}, {n_clusters} cluster{'s' if n_clusters > 1 else ''}"
    MEASURES[f"selection/{n_samples}x{n_features}_k{n_clusters}"] = measure(
        large.selection,
        slower_than("its units", title, 2),
        n_samples=n_samples,
        n_features=n_features,
        n_clusters=n_clusters,
    )
MEASURES["memory/ram"] = measure(
    process.memory,
    megabytes("1,000,000 x 32 in memory"),
    threads=None,
    n_samples=1_000_000,
    mapped=False,
)
MEASURES["memory/mapped"] = measure(
    process.memory,
    megabytes("8,000,000 x 32 in a mapped file"),
    threads=None,
    n_samples=8_000_000,
    mapped=True,
)
MEASURES["import"] = measure(
    process.imports, slower_than("torch and sklearn", "import gemclust", 1.1)
)

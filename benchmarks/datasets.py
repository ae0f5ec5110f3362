"""The data sets of the benchmarks: one table, one function ``load``."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn import datasets as bundled
from sklearn.preprocessing import StandardScaler


class Unavailable(RuntimeError):
    """The data set cannot be had here; it is reported and never replaced by another."""


@dataclass(frozen=True)
class Dataset:
    """How to obtain one data set; ``fetch`` returns X, y (or None) and where they came from."""

    fetch: Callable
    shape: tuple[int, int]
    standardise: bool = True
    generated: bool = False


def openml(name):
    return lambda: bundled.fetch_openml(name, version=1, as_frame=False, return_X_y=True)


def subsample(fetch, n_samples):
    """So many rows, the same in every run."""

    def fetch_some():
        X, y, source = fetch()
        rows = np.random.default_rng(0).permutation(len(X))[:n_samples]
        return X[rows], y[rows], source

    return fetch_some


def grey_values(fetch):
    """Pixels between 0 and 1."""

    def fetch_scaled():
        X, y, source = fetch()
        return np.asarray(X, dtype=np.float64) / X.max(), y, source

    return fetch_scaled


def from_sklearn(loader):
    return lambda: (*loader(return_X_y=True), "scikit-learn")


def from_file_or_openml(name, from_openml):
    """Read real/NAME.npz in the folder named by GEMCLUST_DATA, otherwise ask OpenML."""

    def fetch():
        folder = os.environ.get("GEMCLUST_DATA")
        if folder and (path := Path(folder) / "real" / f"{name}.npz").exists():
            with np.load(path) as arrays:
                return arrays["X"], arrays["y0"], "GEMCLUST_DATA"
        try:
            return *from_openml(), "OpenML"
        except Exception as error:  # network, parser or a renamed set: all mean "not to be had"
            raise Unavailable(
                f"{name}: no file in GEMCLUST_DATA, and OpenML said {error}"
            ) from error

    return fetch


def load_mnist():
    """All 70,000 images as rows of grey values, the training set first, and their digits."""
    X, y, _ = from_file_or_openml("mnist", openml("mnist_784"))()
    return X, np.unique(y, return_inverse=True)[1]


def openml_penguins():
    """The four measurements of the birds for which every variable is known, sex included."""
    frame = bundled.fetch_openml("penguins", version=1, as_frame=True).frame
    frame = frame[frame["sex"].astype(str).str.upper().isin(["MALE", "FEMALE"])].dropna()
    lengths = ["culmen_length_mm", "culmen_depth_mm", "flipper_length_mm", "body_mass_g"]
    return frame[lengths].to_numpy(), frame["species"].to_numpy()


def blobs(centers, n_per_blob, std=0.5):
    """Equal spherical Gaussians at the given centres."""

    def fetch():
        sizes = [n_per_blob] * len(centers)
        X, y = bundled.make_blobs(sizes, centers=np.array(centers), cluster_std=std, random_state=0)
        return X, y, "generated"

    return fetch


def gaussians_and_student(df, n_samples=5000, alpha=5.0):
    """Three Gaussians and one Student-t in the plane (Ohl et al., NeurIPS 2022)."""

    def fetch():
        rng = np.random.RandomState(0)
        sizes = rng.multinomial(1, [0.25] * 4, size=n_samples).sum(axis=0)  # 1203 1235 1268 1294
        means = alpha * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
        noise = [rng.multivariate_normal(np.zeros(2), np.eye(2), size=size) for size in sizes]
        noise[-1] *= np.sqrt(df / rng.chisquare(df, size=(sizes[-1], 1)))
        y = np.repeat(np.arange(4), sizes)
        return np.concatenate(noise) + means[y], y, "generated"

    return fetch


def generated(fetch, shape):
    return Dataset(fetch, shape, standardise=False, generated=True)


CROSS = [[0, 0], [-5, 0], [5, 0], [0, -5], [0, 5]]

DATASETS = {
    "iris": Dataset(from_sklearn(bundled.load_iris), (150, 4)),
    "wine": Dataset(from_sklearn(bundled.load_wine), (178, 13)),
    "penguins": Dataset(from_file_or_openml("penguins", openml_penguins), (333, 4)),
    "breast_cancer": Dataset(from_sklearn(bundled.load_breast_cancer), (569, 30)),
    "digits": Dataset(from_sklearn(bundled.load_digits), (1797, 64)),
    "optdigits": Dataset(from_file_or_openml("optdigits", openml("optdigits")), (5620, 64)),
    "blobs_1d": generated(blobs([[-5], [0], [5]], n_per_blob=100), (300, 1)),
    "cross": generated(blobs(CROSS, n_per_blob=60), (300, 2)),
    "gstm_df1": generated(gaussians_and_student(df=1), (5000, 2)),
}


def load(name, table=DATASETS):
    """Return X (float64, standardised where so declared), y in 0..K-1 or None, and the source."""
    dataset = table[name]
    X, y, source = dataset.fetch()
    X = np.asarray(X, dtype=np.float64)
    if X.shape != dataset.shape:
        raise Unavailable(f"{name}: expected shape {dataset.shape}, {source} gave {X.shape}")
    if dataset.standardise:
        X = StandardScaler().fit_transform(X)
    return X, None if y is None else np.unique(y, return_inverse=True)[1], source

"""Against gemclus, and against ourselves with one start instead of ten."""

import csv
from pathlib import Path

import numpy as np
from datasets import load
from sklearn.datasets import make_blobs

from gemclust import GeminiClustering, training
from gemclust.metrics import gemini_score
from measures.timing import Outcome, alternate, endless, epoch_seconds, seconds

FULL_RUNS = Path(__file__).parent.parent / "results" / "gemclus_full.csv"
PEER_EPOCHS = 1000  # its default


def standardised(name):
    X, y, _ = load(name)
    return X, len(np.unique(y))


def gemclus(n_clusters, seed, max_iter=PEER_EPOCHS):
    from gemclus.mlp import MLPMMD

    return MLPMMD(n_clusters, max_iter=max_iter, random_state=seed)


def mmd_ova(X, model):
    return gemini_score(X, model.predict_proba(X), "mmd_ova")


def reach(repeat, dataset, n_init=1, whole=False, rounds=3):
    """Our fit against that of gemclus, which ends where it ends; infinite if we end lower."""
    X, n_clusters = standardised(dataset)
    other = gemclus(n_clusters, repeat).fit(X)
    ours = make_ours(X, n_clusters, repeat, n_init, None if whole else mmd_ova(X, other))
    times = alternate([lambda: ours.fit(X), lambda: other.fit(X)], rounds, repeat)
    return {"": reached(times, mmd_ova(X, ours), mmd_ova(X, other), "measured in full")}


def reach_extrapolated(repeat, dataset, n_init=1, whole=False, rounds=3, epochs=21):
    """The same where 1,000 epochs take minutes: time is linear in epochs, so 1 and 21 tell it."""
    X, n_clusters = standardised(dataset)
    full = full_run(dataset, repeat)
    ours = make_ours(X, n_clusters, repeat, n_init, None if whole else full["mmd_ova"])
    one, more = (gemclus(n_clusters, repeat, max_iter) for max_iter in (1, epochs))
    warm_up(one.fit, X=X)
    calls = [lambda: ours.fit(X), lambda: one.fit(X), lambda: more.fit(X)]
    own, shorter, longer = alternate(calls, rounds, repeat)
    total = shorter + (longer - shorter) * (PEER_EPOCHS - 1) / (epochs - 1)
    note = f"from 1 and {epochs} epochs; once measured in full: {full['seconds']:.0f} s"
    return {"": reached([own, total], mmd_ova(X, ours), full["mmd_ova"], note)}


def make_ours(X, n_clusters, seed, n_init, goal):
    """Ours, to be fitted with as many iterations as it takes to the goal, or to the end."""
    ours = GeminiClustering(n_clusters, objective="mmd_ova", n_init=n_init, random_state=seed)
    ours.fit(X)
    if goal is not None:
        enough = [i for i, value in enumerate(ours.objective_curve_, 1) if value >= goal]
        ours.set_params(max_iter=enough[0] if enough else ours.max_iter)
    return ours


def warm_up(*calls, X):
    for call in calls:
        call(X)


def reached(times, ours, other, note):
    note = f"objective {ours:.4f} against {other:.4f}; gemclus {times[1]:.3f} s {note}"
    if ours < other:
        return Outcome(np.inf, times[1], f"NOT REACHED after {times[0]:.4f} s; {note}")
    return Outcome(*times, note)


def full_run(dataset, seed):
    """Where gemclus ends at its defaults: run once, then read from results/gemclus_full.csv."""
    kept = {}
    if FULL_RUNS.exists():
        with FULL_RUNS.open(newline="") as file:
            kept = {(row["dataset"], int(row["seed"])): row for row in csv.DictReader(file)}
    if (dataset, seed) not in kept:
        X, n_clusters = standardised(dataset)
        model = gemclus(n_clusters, seed)
        row = {"dataset": dataset, "seed": seed, "seconds": round(seconds(lambda: model.fit(X)), 3)}
        kept[dataset, seed] = row | {"mmd_ova": f"{mmd_ova(X, model):.8g}"}
        with FULL_RUNS.open("w", newline="") as file:
            writer = csv.DictWriter(file, kept[dataset, seed], lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept.values())
    return {name: float(kept[dataset, seed][name]) for name in ("seconds", "mmd_ova")}


def wasserstein(repeat, batch_size, n_samples=2000, n_clusters=3, epochs=4):
    """One epoch of Wasserstein one-vs-all; of gemclus the difference of two fits."""
    from gemclus.mlp import MLPWasserstein

    X, _ = make_blobs(n_samples, 8, centers=n_clusters, cluster_std=5, random_state=repeat)
    shared = {"batch_size": batch_size, "random_state": repeat}
    ours = GeminiClustering(
        n_clusters,
        objective="wasserstein_ova",
        solver="adam",
        n_init=1,
        **shared,
        **endless(epochs),
    )
    shorter, longer = (MLPWasserstein(n_clusters, max_iter=n, **shared) for n in (1, 1 + epochs))
    warm_up(shorter.fit, X=X)
    clocks = [
        lambda: epoch_seconds(ours, X),
        lambda: (seconds(lambda: longer.fit(X)) - seconds(lambda: shorter.fit(X))) / epochs,
    ]
    own, other = alternate(clocks, 1, repeat, clock=lambda call: call())
    return {"": Outcome(own, other, f"{epochs} epochs, n = {n_samples}, K = {n_clusters}")}


def restarts(repeat, all_to_the_end=False, rounds=3):
    """Ten starts against one, on digits at our defaults."""
    X, n_clusters = standardised("digits")
    if all_to_the_end:
        training.KEPT_AFTER = {}  # no iteration after which restarts are dropped
    ten, one = (GeminiClustering(n_clusters, n_init=n, random_state=repeat) for n in (10, 1))
    warm_up(one.fit, ten.fit, X=X)
    times = alternate([lambda: ten.fit(X), lambda: one.fit(X)], rounds, repeat)
    return {"": Outcome(*times, "ours: n_init=10, other: n_init=1")}

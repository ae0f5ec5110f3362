"""Work and memory on many samples: bounded counts of both, no seconds."""

import os
import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from limited import CASES
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, load_wine, make_blobs
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_info

from gemclust import GeminiClustering, automatic, canonical, shards
from gemclust import evaluation as evaluation_module
from gemclust import geometry as geometry_module
from gemclust.canonical import MERGE_SAMPLES
from gemclust.metrics import gemini_score
from gemclust.objectives import MMD, OBJECTIVES, get_objective
from gemclust.problem import Problem
from gemclust.progress import Progress
from gemclust.samples import Samples

N_SAMPLES = MERGE_SAMPLES + 1_000
BY_MEANS = [name for name in OBJECTIVES if get_objective(name).n_stages]


def make(n_clusters=4, **parameters):
    defaults = {"random_state": 0, "n_init": 2, "model": "linear", "max_iter": 30}
    return GeminiClustering(n_clusters, **defaults | parameters)


def make_data(n_samples=N_SAMPLES, n_features=6, seed=0):
    X, _ = make_blobs(n_samples, n_features, centers=4, cluster_std=3, random_state=seed)
    return X


@pytest.fixture
def few_are_many(monkeypatch):
    """Make 1,500 samples as many as 25,000 are."""
    for module in (canonical, shards):
        monkeypatch.setattr(module, "MERGE_SAMPLES", 1_200)
    monkeypatch.setattr(automatic, "FULL_BATCH_SAMPLES", 800)
    monkeypatch.setattr(automatic, "FIRST_SAMPLES", 200)


# What X may be


def as_memmap(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


CONTAINERS = {
    "memmap": as_memmap,
    "torch": lambda X, folder: torch.from_numpy(X.copy()),
    "torch with gradient": lambda X, folder: torch.tensor(X.astype(float), requires_grad=True),
    "frame": lambda X, folder: pd.DataFrame(X),
    "fortran": lambda X, folder: np.asfortranarray(X),
    "strided": lambda X, folder: np.repeat(X, 2, axis=1)[:, ::2],
    "int64": lambda X, folder: X.astype(np.int64),
    "uint8": lambda X, folder: X.astype(np.uint8),
    "int memmap": lambda X, folder: as_memmap(X.astype(np.int16), folder),
}


@pytest.fixture(scope="module")
def integers():
    """Samples that every type holds exactly, and a fit to them in float64."""
    X = np.clip(np.round(8 * make_data() + 128), 0, 255)
    return X, make().fit(X)


@pytest.mark.parametrize("container", CONTAINERS)
def test_samples_may_come_in_any_container(integers, container, tmp_path):
    X, expected = integers
    given = CONTAINERS[container](X, tmp_path)
    model = make().fit(given)
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    assert model.objective_value_ == pytest.approx(expected.objective_value_, rel=1e-12)
    np.testing.assert_array_equal(model.predict(given), expected.labels_)
    assert model.score(given) == pytest.approx(expected.objective_value_, rel=1e-12)
    assert model.predict_proba(given[:3]).dtype == float


def test_float32_is_trained_in_float32(integers):
    X, expected = integers
    model = make().fit(X.astype(np.float32))
    assert model.predict_proba(X[:3].astype(np.float32)).dtype == np.float32
    assert (model.labels_ == expected.labels_).mean() > 0.99
    assert model.objective_value_ == pytest.approx(expected.objective_value_, rel=1e-3)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_sparse_rows_of_any_type(dtype):
    dense = np.random.default_rng(0).poisson(0.3, size=(N_SAMPLES, 8))
    dense[: N_SAMPLES // 2, :4] *= 3
    expected = make(max_iter=10).fit(sp.csr_array(dense.astype(np.float64)))
    model = make(max_iter=10).fit(sp.csr_matrix(dense.astype(dtype)))
    agree = (model.labels_ == expected.labels_).mean()
    assert agree == 1 if dtype != np.float32 else agree > 0.99
    np.testing.assert_array_equal(model.predict(sp.csc_array(dense.astype(dtype))), model.labels_)


@pytest.mark.parametrize("n_samples", [500, N_SAMPLES])
@pytest.mark.parametrize("objective", ["mmd_ovo", MMD(kernel="cosine"), MMD(kernel="rbf")])
def test_nothing_is_written_into_the_samples(n_samples, objective):
    X = make_data(n_samples)
    weight = np.ones(n_samples)
    before = X.copy()
    X.flags.writeable = weight.flags.writeable = False
    model = make(objective=objective, max_iter=3).fit(X, sample_weight=weight)
    model.predict(X), model.score(X)
    np.testing.assert_array_equal(X, before)


# Memory


def peak_of(call):
    """Bytes that numpy held at most while it ran, beyond those before."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("dtype", "solver", "objective"),
    [
        (np.float32, "lbfgs", "mmd_ovo"),
        (np.uint8, "lbfgs", "tv_ova"),
        (np.float32, "lbfgs", MMD(kernel="cosine")),
        (np.float32, "adam", "mmd_ovo"),
    ],
    ids=["float32", "uint8", "cosine", "adam"],
)
def test_no_second_copy_of_the_samples(dtype, solver, objective):
    shape = 400_000, 64
    X = np.random.default_rng(0).integers(0, 100, size=shape, dtype=np.uint8).astype(dtype)
    whole = X.size * (4 if dtype == np.float32 else 8)  # in working precision
    model = make(3, solver=solver, n_init=1, max_iter=2, objective=objective)
    model.fit(X[:500])  # what is imported on the way takes memory, too
    assert peak_of(lambda: model.fit(X)) < 0.6 * whole
    assert peak_of(lambda: model.predict(X)) < 0.3 * whole
    assert peak_of(lambda: model.score(X)) < 0.3 * whole


def test_no_second_copy_of_a_memory_map(tmp_path):
    shape = 200_000, 100
    X = np.lib.format.open_memmap(tmp_path / "X.npy", mode="w+", dtype=np.float32, shape=shape)
    X[:] = np.random.default_rng(0).normal(size=(1, 100))
    X[::3] += 1
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert peak_of(lambda: make(2, n_init=1, max_iter=2).fit(X)) < 0.8 * 4 * X.size


@pytest.mark.parametrize(
    "objective", ["mmd_ovo", "tv_ovo", MMD(kernel="cosine"), MMD("ovo", kernel="rbf")]
)
def test_nothing_grows_with_the_square_of_the_number_of_samples(objective):
    X = make_data(11_000, 3)
    model = make(objective=objective, n_init=1, max_iter=2)
    peak = peak_of(lambda: (model.fit(X), model.score(X)))
    assert peak < 0.4 * 8 * len(X) ** 2


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("case", CASES)
def test_a_process_with_little_memory(case):
    """What tracemalloc does not see, as torch's tensors: a limit on the process does."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("limited.py")), case]
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        command, env=os.environ | limits, capture_output=True, text=True, timeout=300
    )
    if case in ("copy", "pairs"):
        assert done.returncode
        assert "memory" in done.stderr.lower()
    else:
        assert done.stdout == "fitted\n", done.stderr[-2_000:]


# Work


@pytest.fixture
def counts(monkeypatch):
    """Counts rows that are made ready for the model, and evaluations of losses with gradients."""
    counts = {"taken": 0, "evaluations": 0, "rows of restarts": 0}
    take, evaluate = Samples._transformed, Problem.loss_and_gradient

    def counting_take(self, rows):
        part = take(self, rows)
        counts["taken"] += part.shape[0]
        return part

    def counting_evaluate(self, parameters, which, rows=None, *args, **kwargs):
        counts["evaluations"] += 1
        size = len(self) if rows is None else len(rows)
        counts["rows of restarts"] += size * len(which)
        return evaluate(self, parameters, which, rows, *args, **kwargs)

    monkeypatch.setattr(Samples, "_transformed", counting_take)
    monkeypatch.setattr(Problem, "loss_and_gradient", counting_evaluate)
    return counts


DATA = {"iris": load_iris, "wine": load_wine, "digits": load_digits}


# Bounds are about one and a half times what was counted.
@pytest.mark.parametrize(
    ("name", "n_clusters", "evaluations", "passes"),
    [("iris", 3, 55, 260), ("wine", 3, 70, 320), ("digits", 10, 50, 250)],
)
def test_evaluations_until_convergence(counts, name, n_clusters, evaluations, passes):
    X = DATA[name]().data
    GeminiClustering(n_clusters, random_state=0).fit(X)
    assert 10 < counts["evaluations"] <= evaluations
    assert counts["rows of restarts"] <= passes * len(X)  # of ten restarts


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_passes_over_many_samples(counts, model):
    X = make_data(30_000)
    GeminiClustering(4, model=model, random_state=0).fit(X)
    assert counts["rows of restarts"] <= 25 * len(X)
    assert counts["evaluations"] <= 60
    assert counts["taken"] <= 4 * len(X)  # few numbers, kept once they are scaled


# Scores


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_samples", [700, 1_100, 1_700])
@pytest.mark.parametrize("objective", [*BY_MEANS, MMD("ovo", kernel="cosine"), MMD(kernel="rbf")])
def test_scores_agree(n_samples, dtype, objective, monkeypatch):
    monkeypatch.setattr(geometry_module, "EXACT_KERNEL_SAMPLES", 900)
    monkeypatch.setattr(geometry_module, "AUTO_COMPONENTS", 20)
    X = make_data(n_samples, 3).astype(dtype)
    weight = np.random.default_rng(0).integers(0, 3, n_samples)
    model = make(objective=objective, max_iter=5).fit(X, sample_weight=weight)
    rtol = 1e-9 if dtype == np.float64 else 1e-4
    assert model.score(X, sample_weight=weight) == pytest.approx(model.objective_value_, rel=1e-9)
    score = gemini_score(X, model.predict_proba(X), objective, sample_weight=weight)
    assert score == pytest.approx(model.objective_value_, rel=rtol)


@pytest.mark.parametrize("objective", ["wasserstein_ova", "wasserstein_ovo"])
def test_scores_agree_on_parts(objective, monkeypatch):
    monkeypatch.setattr(geometry_module, "EXACT_TRANSPORT_SAMPLES", 300)
    monkeypatch.setattr(evaluation_module, "TRANSPORT_PART", 150)
    X = make_data(400, 3)
    model = make(3, objective=objective, max_iter=2).fit(X)
    assert model.score(X) == pytest.approx(model.objective_value_, rel=1e-9)
    score = gemini_score(X, model.predict_proba(X), objective)
    assert score == pytest.approx(model.objective_value_, rel=1e-9)


@pytest.mark.parametrize("n_samples", [5_000, 12_000, 25_000])
def test_scores_agree_at_full_size(n_samples):
    X = make_data(n_samples).astype(np.float32)
    model = make(max_iter=5).fit(X)
    assert model.score(X) == pytest.approx(model.objective_value_, rel=1e-7)
    score = gemini_score(X, model.predict_proba(X), "mmd_ovo")
    assert score == pytest.approx(model.objective_value_, rel=1e-6)


# Odd samples


@pytest.mark.parametrize("n_samples", [10_001, N_SAMPLES])
@pytest.mark.parametrize("objective", ["mmd_ovo", "kl_ovo", MMD(kernel="rbf")])
def test_equal_samples_are_one_cluster(n_samples, objective):
    model = make(objective=objective).fit(np.full((n_samples, 2), 2.5))
    assert model.n_clusters_ == 1
    assert model.objective_value_ == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("model", ["mlp", "linear"])
def test_most_samples_in_one_place_hide_no_clusters(model, container):
    samples, truth = make_blobs(300, centers=[(40, 40), (49, 40), (40, 49)], random_state=0)
    X = container(np.r_[samples, np.zeros((N_SAMPLES, 2))])
    fitted = GeminiClustering(model=model, random_state=0).fit(X)
    assert fitted.n_clusters_ == 3
    assert adjusted_rand_score(truth, fitted.labels_[:300]) == 1


@pytest.mark.parametrize("objective", ["mmd_ovo", "tv_ova", MMD(kernel="cosine")])
def test_weight_zero_is_removal_of_many_samples(objective):
    X = make_data(2 * N_SAMPLES)
    weight = np.random.default_rng(0).integers(0, 4, len(X)).astype(float)
    assert np.count_nonzero(weight) > MERGE_SAMPLES
    counted = weight > 0
    model = make(objective=objective, max_iter=8).fit(X, sample_weight=weight)
    alone = make(objective=objective, max_iter=8).fit(X[counted], sample_weight=weight[counted])
    assert model.objective_value_ == alone.objective_value_
    np.testing.assert_array_equal(model.labels_[counted], alone.labels_)
    assert len(model.labels_) == len(X)
    score = gemini_score(X, model.predict_proba(X), objective, sample_weight=weight)
    assert score == pytest.approx(model.objective_value_, rel=1e-9)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_precomputed_kernel_of_many_samples(solver):
    X = make_data(1_500, 3)
    kernel = (X - X.mean(0)) @ (X - X.mean(0)).T
    model = make(objective="mmd_ovo", solver=solver, max_iter=60)
    by_matrix = clone(model).fit(X, affinity=kernel)
    linear = model.fit(X)
    assert by_matrix.objective_value_ == pytest.approx(linear.objective_value_, rel=0.02)
    score = by_matrix.score(X, affinity=kernel)
    assert score == pytest.approx(by_matrix.objective_value_, rel=1e-9)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("objective", ["mmd_ovo", MMD(kernel="cosine"), MMD(kernel="rbf")])
def test_copies_of_a_fit_to_many_samples(objective):
    X = make_data(1_500, 3).astype(np.float32)
    model = make(objective=objective).fit(X)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(X), model.labels_)
    assert copy.score(X) == model.score(X)
    assert len(pickle.dumps(model)) < 10 * 20_000  # without the samples
    assert not hasattr(clone(model), "labels_")


@pytest.mark.usefixtures("few_are_many")
def test_warm_start_and_partial_fit_on_many_samples():
    X = make_data(3_000, 3)
    model = make(warm_start=True, max_iter=2).fit(X)
    begun = model.objective_value_
    assert model.set_params(max_iter=30).fit(X).objective_value_ > begun
    before = model.score(X)
    for part in (X[:500], X[500:2_000], X):
        model.partial_fit(part)
        assert len(model.labels_) == len(part)
    assert model.score(X) > 0.95 * before


# Reports and ends


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("max_iter", [3, 200])
def test_iterations_are_numbered_across_levels(monkeypatch, max_iter):
    seen = []
    report = Progress.__call__

    def spy(self, iteration, loss):
        seen.append(iteration)
        return report(self, iteration, loss)

    monkeypatch.setattr(Progress, "__call__", spy)
    model = make(8, n_init=10, model="mlp", max_iter=max_iter).fit(make_data(1_700))
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) <= max_iter
    assert model.n_iter_ == len(model.objective_curve_) <= len(seen)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("last", [1, 4])
def test_interrupt_on_the_first_level_keeps_the_best_so_far(monkeypatch, last):
    def interrupt(self, iteration, loss):
        if iteration == last:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(Progress, "__call__", interrupt)
    X = make_data(1_700)
    with pytest.warns(UserWarning, match="interrupted"):
        model = make(n_init=3).fit(X)
    assert model.n_iter_ == last
    assert model.score(X) == pytest.approx(model.objective_value_, rel=1e-9)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


# Threads


def thread_settings():
    pools = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
    return torch.get_num_threads(), torch.get_num_interop_threads(), sorted(pools)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield thread_settings()
    torch.set_num_threads(before)


@pytest.mark.parametrize("n_samples", [200, N_SAMPLES])
@pytest.mark.parametrize("objective", ["mmd_ovo", MMD(kernel="rbf"), "wasserstein_ova"])
def test_threads_of_the_user_come_back(two_threads, n_samples, objective):
    if objective == "wasserstein_ova":
        n_samples = 200
    X = make_data(n_samples)
    model = make(objective=objective, max_iter=3).fit(X)
    assert thread_settings() == two_threads
    model.predict(X)
    assert thread_settings() == two_threads
    model.score(X), model.partial_fit(X[:500])
    assert thread_settings() == two_threads


@pytest.mark.parametrize("end", [KeyboardInterrupt, RuntimeError])
def test_threads_of_the_user_come_back_after_an_early_end(two_threads, monkeypatch, end):
    def stop(self, iteration, loss):
        raise end

    monkeypatch.setattr(Progress, "__call__", stop)
    if end is KeyboardInterrupt:
        with pytest.warns(UserWarning, match="interrupted"):
            make().fit(make_data(12_000))
    else:
        with pytest.raises(end):
            make().fit(make_data(12_000))
    assert thread_settings() == two_threads

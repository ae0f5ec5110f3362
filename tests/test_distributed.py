"""Processes that fit together find what one process finds, and fail together."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import workers

from gemclust.distributed import ALONE, Processes, split


def run_processes(scenario, folder, size=2):
    """The results of each process by rank; an error of processes that hang."""
    command = [sys.executable, "-W", "ignore", workers.__file__, scenario]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(size), str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for rank in range(size)
    ]
    try:
        for process in processes:
            process.wait(timeout=4 * workers.TIMEOUT)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return [pickle.loads(Path(folder, f"result{rank}").read_bytes()) for rank in range(size)]


# Equality with one process


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    return run_processes("agreement", tmp_path_factory.mktemp("agreement"))


@pytest.fixture
def small(monkeypatch):
    for (module, name), value in workers.SMALL.items():
        monkeypatch.setattr(module, name, value)


def assert_same(together, name, expected):
    parts = [results[name] for results in together]
    for part in parts:
        if isinstance(part, Exception):
            raise part
    first, second = parts
    np.testing.assert_array_equal(first["parameters"], second["parameters"])
    assert first["value"] == second["value"]
    assert first["value"] == pytest.approx(expected["value"], rel=1e-6)
    labels = np.concatenate([part["labels"] for part in parts])
    np.testing.assert_array_equal(labels, expected["labels"])
    np.testing.assert_allclose(first["proportions"], expected["proportions"], atol=1e-3)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", workers.FITS)
def test_two_processes_find_what_one_finds(together, name):
    assert_same(together, name, workers.fit_alone(name))


@pytest.mark.usefixtures("small")
def test_two_processes_find_what_one_finds_in_sparse_samples(together):
    X, weight = workers.make_data(np.float64, True)
    sparse = sp.csr_array(np.where(np.abs(X) < 2, 0, X))
    alone = workers.summary(workers.make().fit(sparse, sample_weight=weight))
    assert_same(together, "sparse", alone)


@pytest.mark.usefixtures("small")
def test_few_samples_are_gathered(together):
    X, weight = workers.make_data(np.float64, True)
    alone = workers.summary(workers.make().fit(X[:700], sample_weight=weight[:700]))
    assert_same(together, "few", alone)
    np.testing.assert_array_equal(together[0]["few"]["parameters"], alone["parameters"])


def test_processes_without_a_seed_share_one(together):
    first, second = (results["no seed"] for results in together)
    np.testing.assert_array_equal(first["parameters"], second["parameters"])
    assert first["value"] == second["value"]


# Failing together


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    return run_processes("failures", tmp_path_factory.mktemp("failures"))


FAILURES = {
    "nan in one shard": (RuntimeError, "Process 1 failed: .*NaN", ValueError, "NaN"),
    "another number of features": (ValueError, "1 has 2 features", ValueError, "0 has 3 features"),
    "another dtype": (ValueError, "float32", ValueError, "float64"),
    "another parameter": (ValueError, "alpha", ValueError, "alpha"),
    "another objective": (ValueError, "kl_ova", ValueError, "tv_ova"),
    "bad parameter in one": (RuntimeError, "Process 1 .*max_iter=0", ValueError, "max_iter=0"),
    "bad weights in one": (RuntimeError, "Process 1 .*-1", ValueError, "contains -1"),
    "wasserstein": (ValueError, "compares all samples", ValueError, "compares all samples"),
    "affinity": (ValueError, "process group", ValueError, "process group"),
    "exact kernel": (ValueError, "n_components='auto'", ValueError, "n_components='auto'"),
    "diverged at once": (FloatingPointError, "after 0", FloatingPointError, "after 0"),
    "diverged later": (FloatingPointError, "no longer", FloatingPointError, "no longer"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_fails_in_one_process_fails_in_all(failed, name):
    kinds, messages = FAILURES[name][::2], FAILURES[name][1::2]
    for results, kind, message in zip(failed, kinds, messages, strict=True):
        assert type(results[name]) is kind
        with pytest.raises(kind, match=message):
            raise results[name]


def test_processes_fit_on_after_they_failed(failed):
    assert [results["fits after all that"] for results in failed] == [None, None]


def test_killed_process_ends_the_others(failed):
    survivor, victim = failed
    assert "killed" not in victim  # it came to no end
    assert isinstance(survivor["killed"], Exception)


# Alone


def test_one_process_gets_back_what_it_gives():
    value = [object()]
    assert ALONE.sum(value) is value
    assert ALONE.gather(3) == [3]
    assert ALONE.first("a") == "a"
    assert ALONE.concatenate(value) is value
    assert not ALONE.several
    with pytest.raises(KeyError, match="k"), ALONE.failing_together():
        raise KeyError("k")


@pytest.mark.parametrize("sizes", [[4, 3, 0, 5], [12], [0, 12]])
def test_rows_are_split_among_the_shards(sizes):
    rows = np.array([0, 3, 4, 6, 7, 11])
    starts = np.cumsum([0, *sizes])
    parts = [split(rows, sizes, rank) + starts[rank] for rank in range(len(sizes))]
    np.testing.assert_array_equal(np.concatenate(parts), rows)
    for rank, size in enumerate(sizes):
        part = split(rows, sizes, rank)
        assert ((part >= 0) & (part < size)).all()
    assert Processes(1, 2).several

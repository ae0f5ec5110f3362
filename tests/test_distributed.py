"""Processes that fit together find what one process finds, and fail together."""

import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
import workers
from sklearn.datasets import make_blobs

from gemclust.distributed import ALONE, Processes, split


def run_processes(scenario, folder, size=2, awaited=2):
    """The results of the first processes by rank, an error if they hang; others are ended."""
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
        for process in processes[:awaited]:
            process.wait(timeout=4 * workers.TIMEOUT)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return [pickle.loads(Path(folder, f"result{rank}").read_bytes()) for rank in range(awaited)]


# One test for each scenario, whatever it holds: processes take seconds to start, and parallel
# runs of the tests would start them several times.


def complaints(names, check):
    """What is wrong with each of some cases, by name."""
    found = {}
    for name in names:
        try:
            check(name)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


# Equality with one process


def check_same(parts, expected):
    for part in parts:
        if isinstance(part, Exception):
            raise part
    first, second = parts
    np.testing.assert_array_equal(first["parameters"], second["parameters"])
    np.testing.assert_array_equal(first["proportions"], second["proportions"])
    assert first["value"] == second["value"]
    if expected is None:
        return
    np.testing.assert_allclose(first["value"], expected["value"], rtol=1e-6)
    labels = np.concatenate([part["labels"] for part in parts])
    np.testing.assert_array_equal(labels, expected["labels"])
    np.testing.assert_allclose(first["proportions"], expected["proportions"], atol=1e-3)


def test_two_processes_find_what_one_finds(tmp_path, monkeypatch):
    together = run_processes("agreement", tmp_path)
    for (module, name), value in workers.SMALL.items():
        monkeypatch.setattr(module, name, value)
    alone = {name: workers.fit_alone(name) for name in workers.FITS}
    X, weight = workers.make_data(np.float64, True)
    sparse = sp.csr_array(np.where(np.abs(X) < 2, 0, X))
    alone["sparse"] = workers.summary(workers.make().fit(sparse, sample_weight=weight))
    alone["few"] = workers.summary(workers.make().fit(X[:700], sample_weight=weight[:700]))
    for name in ("no seed", "few, no seed", "stopped in one"):
        alone[name] = None  # but one for both
    assert together[0].keys() == together[1].keys() == alone.keys()
    wrong = complaints(
        alone, lambda name: check_same([results[name] for results in together], alone[name])
    )
    assert not wrong


# Failing together


FAILURES = {
    "nan in one shard": (RuntimeError, "Process 1 failed: .*NaN", ValueError, "NaN"),
    "another number of features": (
        ValueError,
        "1 has 2 dense features",
        ValueError,
        "0 has 3 dense",
    ),
    "another dtype": (ValueError, "float32", ValueError, "float64"),
    "another parameter": (ValueError, "alpha", ValueError, "alpha"),
    "another objective": (ValueError, "kl_ova", ValueError, "tv_ova"),
    "bad parameter in one": (RuntimeError, "Process 1 .*max_iter=0", ValueError, "max_iter=0"),
    "bad weights in one": (RuntimeError, "Process 1 .*-1", ValueError, "contains -1"),
    "no device in one": (RuntimeError, "Process 1 .*nowhere", ValueError, "nowhere"),
    "fitted in one": (ValueError, "1 has .*, fitted", ValueError, "0 has .* to be fitted"),
    "wasserstein": (ValueError, "compares all samples", ValueError, "compares all samples"),
    "affinity": (ValueError, "process group", ValueError, "process group"),
    "exact kernel": (ValueError, "n_components='auto'", ValueError, "n_components='auto'"),
    "diverged at once": (FloatingPointError, "after 0", FloatingPointError, "after 0"),
    "diverged later": (FloatingPointError, "no longer", FloatingPointError, "no longer"),
}


def check_failed(parts, expected):
    for part, kind, message in zip(parts, expected[::2], expected[1::2], strict=True):
        assert type(part) is kind, part
        assert re.search(message, str(part)), part


def test_what_fails_in_one_process_fails_in_all(tmp_path):
    together = run_processes("failures", tmp_path)
    wrong = complaints(
        FAILURES,
        lambda name: check_failed([results[name] for results in together], FAILURES[name]),
    )
    assert not wrong
    assert [results["fits after all that"] for results in together] == [None, None]
    # The last case kills the second process in the middle of training.
    assert "killed" not in together[1]
    assert isinstance(together[0]["killed"], Exception)


def test_a_process_that_hangs_ends_the_fit_after_the_timeout(tmp_path):
    (results,) = run_processes("hanging", tmp_path, awaited=1)
    assert isinstance(results["hanging"], RuntimeError)
    assert re.search("timed? ?out", str(results["hanging"]), re.IGNORECASE)
    # The second process was in the fit, and had not left it when it was ended.
    assert not (tmp_path / "result1").exists()


# From files


def test_example_writes_the_clusters_of_each_file(tmp_path):
    X, _ = make_blobs(600, centers=10, cluster_std=0.3, random_state=0)
    for i, part in enumerate(np.split(X, [100, 400])):
        pl.DataFrame(part).write_parquet(tmp_path / f"part-{i}.parquet")
    paths = sorted(tmp_path.glob("*.parquet"))
    example = Path(__file__).parent.parent / "examples" / "shards.py"
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(example)]
    run = subprocess.run(
        [sys.executable, "-m", *launcher, *map(str, paths)], capture_output=True, text=True
    )
    assert "2 processes found 10 clusters" in run.stdout, run.stderr
    labels = [pl.read_csv(path.with_suffix(".clusters.csv"))["cluster"] for path in paths]
    assert [len(part) for part in labels] == [100, 300, 200]
    assert len(set(np.concatenate(labels))) == 10


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

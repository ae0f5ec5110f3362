"""What shows from outside a process: the memory of a fit and the time of an import."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from measures.timing import Outcome, alternate

MEGABYTE = 1e6
PIECE = 100_000
POLL = 0.002
KMEANS_ITERATIONS = 3


def memory(repeat, n_samples, mapped):
    """Peak of the anonymous memory during a fit, above what stood before it, in megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X.npy"
        write_blobs(path, n_samples)
        sides = ["ours", "kmeans"]
        peaks = {side: peak(path, mapped, side) for side in sides[:: -1 if repeat % 2 else 1]}
    return {
        "": Outcome(
            peaks["ours"],
            peaks["kmeans"],
            f"ours to its end, K-means {KMEANS_ITERATIONS} iterations",
        )
    }


def write_blobs(path, n_samples, n_features=32):
    """Ten overlapping clusters, float32, written piece by piece."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(-10, 10, size=(10, n_features)).astype(np.float32)
    shape = (n_samples, n_features)
    X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, n_samples, PIECE):
        noise = rng.standard_normal((min(PIECE, n_samples - start), n_features), dtype=np.float32)
        X[start : start + PIECE] = 7 * noise + centres[rng.integers(10, size=len(noise))]
    X.flush()


def peak(path, mapped, side):
    """Fit in a fresh process and watch it."""
    command = [sys.executable, "-P", "-m", "measures.process", str(path), str(int(mapped)), side]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as child:
        if child.stdout.readline() != "ready\n":
            raise RuntimeError(f"the process that was to fit {side} failed")
        before = highest = anonymous_memory(child.pid)
        child.stdin.write("go\n")
        child.stdin.flush()
        while (now := anonymous_memory(child.pid)) is not None:
            highest = max(highest, now)
            time.sleep(POLL)
    if child.returncode:
        raise RuntimeError(f"the fit of {side} failed")
    return (highest - before) / MEGABYTE


def anonymous_memory(pid):
    """Bytes of memory that no file stands behind (Linux); None once the process has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return 1024 * int(line.split()[1])
    return None


def fit_when_told(path, mapped, side):
    """The process that is watched: data, a small fit, then the large one on demand."""
    X = np.load(path, mmap_mode="r" if int(mapped) else None)
    if side == "ours":
        from gemclust import GeminiClustering

        model = GeminiClustering(10, random_state=0)
    else:
        from sklearn.cluster import KMeans

        model = KMeans(10, n_init=1, max_iter=KMEANS_ITERATIONS, random_state=0)
    model.fit(X[:1000])
    print("ready", flush=True)
    sys.stdin.readline()
    model.fit(X)


IMPORT = """
import sys, time
start = time.perf_counter()
import {modules}
print(time.perf_counter() - start)
print(*(name for name in ("matplotlib", "ot") if name in sys.modules))
"""


def imports(repeat, rounds=5):
    """Seconds of an import, in fresh processes by turns."""

    def clock(modules):
        command = [sys.executable, "-P", "-c", IMPORT.format(modules=modules)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        taken, unwanted = printed.split("\n")[:2]
        if unwanted:
            raise RuntimeError(f"import {modules} brings {unwanted}")
        return float(taken)

    sides = ["gemclust", "torch, sklearn"]
    for side in sides:
        clock(side)
    times = alternate(sides, rounds, repeat, clock=clock)
    return {"": Outcome(*times, f"median of {rounds} fresh processes each")}


if __name__ == "__main__":
    fit_when_told(*sys.argv[1:])

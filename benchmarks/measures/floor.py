"""One epoch of ours against the least one can do: the same network learning labels, plain torch."""

import math
import time

import numpy as np
import torch
from sklearn.datasets import make_blobs
from torch import nn

from gemclust import GeminiClustering, automatic, chunks
from measures.timing import Outcome, alternate, endless, epoch_seconds

N_SAMPLES, N_FEATURES, N_CLUSTERS, HIDDEN = 100_000, 64, 10, 32
# What batch_size="auto" is with Adam on so many samples.
BATCH_ROWS = automatic.BATCH * math.isqrt(N_SAMPLES)
CHUNK_ROWS = chunks.CHUNK // (HIDDEN + N_FEATURES)  # what a chunk of ours holds
EPOCHS, ROUNDS = 10, 3


def data():
    X, y = make_blobs(N_SAMPLES, N_FEATURES, centers=N_CLUSTERS, cluster_std=7, random_state=0)
    return X.astype(np.float32), y


def make_ours(objective, batch_size, seed):
    return GeminiClustering(
        N_CLUSTERS,
        objective=objective,
        model="mlp",
        hidden_layer_sizes=(HIDDEN,),
        solver="adam",
        n_init=1,
        batch_size=batch_size,
        random_state=seed,
        **endless(EPOCHS),
    )


def network(seed):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(N_FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, N_CLUSTERS))
    return net, torch.optim.Adam(net.parameters(), lr=1e-2)


def floor_batches(X, y, batch_size, seed):
    """Median seconds of an epoch of mini-batches with the cross-entropy to the labels."""
    net, optimiser = network(seed)
    loss = nn.CrossEntropyLoss()

    def epoch():
        for rows in torch.randperm(len(X)).split(batch_size):
            optimiser.zero_grad()
            loss(net(X[rows]), y[rows]).backward()
            optimiser.step()

    return median_seconds(epoch)


def floor_chunks(X, y, chunk_rows, seed):
    """The same with one step on the full batch, its gradient summed over chunks."""
    net, optimiser = network(seed)
    loss = nn.CrossEntropyLoss(reduction="sum")

    def epoch():
        optimiser.zero_grad()
        for part, labels in zip(X.split(chunk_rows), y.split(chunk_rows), strict=True):
            (loss(net(part), labels) / len(X)).backward()
        optimiser.step()

    return median_seconds(epoch)


def median_seconds(epoch):
    ends = []
    for _ in range(EPOCHS):
        epoch()
        ends.append(time.perf_counter())
    return float(np.median(np.diff(ends)))


def mini_batches(repeat, objective):
    """Our epoch at batch_size="auto" against that of the floor at the same size."""
    ours = make_ours(objective, "auto", repeat)
    return compare(ours, floor_batches, BATCH_ROWS, repeat, "rows in a batch")


def full_batch(repeat, objective):
    """Our epoch on the full batch against that of the floor in chunks."""
    ours = make_ours(objective, None, repeat)
    return compare(ours, floor_chunks, CHUNK_ROWS, repeat, "rows in a chunk")


def compare(ours, floor, rows, repeat, unit):
    X, y = data()
    tensors = torch.from_numpy(X), torch.from_numpy(y)
    clocks = [lambda: epoch_seconds(ours, X), lambda: floor(*tensors, rows, repeat)]
    for clock in clocks:
        clock()
    times = alternate(clocks, ROUNDS, repeat, clock=lambda call: call())
    return {"": Outcome(*times, f"{rows} {unit}; median of {EPOCHS - 1} epochs, {ROUNDS} rounds")}

"""Fit one model to Parquet files in several processes, each of which reads its share of them.

    torchrun --nproc-per-node 2 examples/shards.py part-*.parquet

It needs polars (`pip install polars`). Each process writes the clusters of its rows beside its
files, to NAME.clusters.csv.
"""

import sys
from datetime import timedelta
from pathlib import Path

import polars as pl
import torch.distributed as dist

from gemclust import GeminiClustering


def main(paths):
    # If a process hangs, all others fail after this time instead of waiting for it.
    dist.init_process_group("gloo", timeout=timedelta(minutes=5))
    rank, size = dist.get_rank(), dist.get_world_size()
    if len(paths) < size:
        raise SystemExit(f"{len(paths)} files are too few for {size} processes.")
    tables = {path: pl.read_parquet(path) for path in sorted(paths)[rank::size]}
    X = pl.concat(tables.values()).to_numpy()

    model = GeminiClustering(n_clusters=10, random_state=0).fit(X)

    for path, table in tables.items():
        clusters = pl.DataFrame({"cluster": model.predict(table.to_numpy())})
        clusters.write_csv(Path(path).with_suffix(".clusters.csv"))
    if rank == 0:
        print(
            f"{size} processes found {model.n_clusters_} clusters; "
            f"objective {model.objective_value_:.4f}"
        )
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1:])

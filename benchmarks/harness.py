"""A declared cross product of cells, one CSV row each: whatever is interrupted resumes.

Import this module before numpy or torch: it limits them to one thread.
"""

import argparse
import csv
import os
import platform
import time
import warnings
from collections import Counter
from fnmatch import fnmatch
from importlib import metadata
from typing import NamedTuple

for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
    os.environ[f"{library}_NUM_THREADS"] = "1"


class Cell(NamedTuple):
    """What one row of a results file is about."""

    dataset: str
    method: str
    objective: str
    seed: int

    def matches(self, patterns):
        name = f"{self.dataset}/{self.method}/{self.objective}"
        return not patterns or any(fnmatch(name, pattern) for pattern in patterns)


def limit_torch():
    import torch

    torch.set_num_threads(1)


def environment():
    """One line on the machine and the versions that produce the numbers."""
    versions = []
    for name in ("numpy", "scipy", "scikit-learn", "torch", "POT", "gemclus", "clustpy"):
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name} missing")
    return f"Python {platform.python_version()}, {platform.machine()}, {', '.join(versions)}"


def timed(call):
    """Return the seconds that ``call()`` took and the names of the warnings it gave."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
    return seconds, sorted({warning.category.__name__ for warning in caught})


def read(path):
    """Return the complete rows of a results file as dicts of strings."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if None not in row.values()]


def write(path, columns, rows):
    """Replace a results file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(_rounded, rows))
    temporary.replace(path)


def append(path, columns, *rows):
    """Add rows at the end of a results file."""
    with path.open("a", newline="") as file:
        csv.DictWriter(file, columns, lineterminator="\n").writerows(map(_rounded, rows))


def run(cells, measure, path, columns, redo=False):
    """Append ``measure(cell)`` for each cell that has no row yet; return how many cells failed.

    With ``redo``, the rows that these cells have already are dropped first.
    """
    cells = list(cells)
    rows = {_cell(row): row for row in read(path)}
    if redo:
        rows = {cell: row for cell, row in rows.items() if cell not in set(cells)}
    if redo or not path.exists():
        write(path, columns, rows.values())
    failures = Counter()
    for cell in cells:
        if cell in rows:
            continue
        try:
            row = cell._asdict() | measure(cell)
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            if not failures[message]:
                print("FAILED", *cell, message, flush=True)
            failures[message] += 1
            continue
        append(path, columns, row)
        print(*cell, f"{row['seconds']:.2f} s", row["note"], flush=True)
    for message, count in failures.items():
        print(f"{count} cells without a row: {message}")
    return failures.total()


def parser(doc, seeds=None):
    """The options that all benchmarks of cells have; the seeds only where they are to choose."""
    formatter = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=doc, formatter_class=formatter)
    options.add_argument("--only", nargs="+", metavar="PATTERN", help="choose cells by name")
    if seeds is not None:
        options.add_argument("--seeds", type=int, default=seeds)
    options.add_argument("--redo", action="store_true", help="measure the chosen cells again")
    return options


def main(doc, cells, measure, path, columns, seeds=None):
    """The command that measures the cells it is asked for; returns whether any of them failed."""
    options = parser(doc, seeds).parse_args()
    limit_torch()
    print(environment())
    declared = cells() if seeds is None else cells(options.seeds)
    chosen = [cell for cell in declared if cell.matches(options.only)]
    return run(chosen, measure, path, columns, options.redo) > 0


def _cell(row):
    return Cell(row["dataset"], row["method"], row["objective"], int(row["seed"]))


def _rounded(row):
    return {
        key: f"{value:.8g}" if isinstance(value, float) else value for key, value in row.items()
    }

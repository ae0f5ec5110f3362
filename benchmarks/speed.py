"""Speed and memory next to gemclus, K-means and a plain torch loop.

    python benchmarks/speed.py [--only PATTERN ...] [--repeats 5] [--redo]
    python benchmarks/speed.py --summary
    python benchmarks/speed.py --measure NAME --repeat I

Each repeat of a measure runs in a fresh process, both sides in turns. Rows go to
results/speed.csv as they are done; running again continues. A PATTERN is matched with the name of
a measure, for example 'reach/*'. --measure prints one repeat and writes nothing.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import argparse
import json
import os
import statistics
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

from measures.table import FORMULAS, MEASURES

HERE = Path(__file__).parent
RESULTS = HERE / "results"
MIN_REPEATS = 5  # fewer decide nothing
COLUMNS = ["measure", "repeat", "threads", "ours", "other", "value", "unit", "note"]
LIBRARIES = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
SENSES = {
    ">=": lambda value, target: value >= target,
    "<=": lambda value, target: value <= target,
    ">": lambda value, target: value > target,
}


def n_threads(measure):
    return measure.threads or len(os.sched_getaffinity(0))


def run_once(name, repeat):
    """One repeat in a fresh process: its rows."""
    measure = MEASURES[name]
    threads = n_threads(measure)
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    limits = {f"{library}_NUM_THREADS": str(threads) for library in LIBRARIES}
    command = [sys.executable, "-P", "-m", "measures", name, str(repeat)]
    environment = os.environ | limits | {"PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name}, repeat {repeat}:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    rows = []
    for part, row in measure.rows.items():
        outcome = found[part]
        value = FORMULAS[row.formula](outcome["ours"], outcome["other"])
        key = {"measure": f"{name}/{part}" if part else name, "repeat": repeat, "threads": threads}
        rows.append(key | outcome | {"value": value, "unit": row.unit})
    return rows


def run(names, repeats, redo):
    """Append the rows that are missing; return how many repeats failed."""
    path = RESULTS / "speed.csv"
    chosen = {row for name in names for row in MEASURES[name].named_rows(name)}
    kept = [row for row in harness.read(path) if not (redo and row["measure"] in chosen)]
    harness.write(path, COLUMNS, kept)
    present = {(row["measure"], int(row["repeat"])) for row in kept}
    failures = 0
    for name in names:
        wanted = MEASURES[name].named_rows(name)
        for repeat in range(repeats):
            if all((row, repeat) in present for row in wanted):
                continue
            try:
                found = run_once(name, repeat)
            except RuntimeError as error:
                print("FAILED", error, flush=True)
                failures += 1
                break
            harness.append(path, COLUMNS, *found)
            report(found)
    return failures


def report(rows):
    for row in rows:
        print(f"{row['measure']:34}{row['repeat']:3} {row['value']:10.4g}", end="  ")
        print(f"({row['ours']:.4g} and {row['other']:.4g} {row['unit']}) {row['note']}", flush=True)


def summarise():
    """Write and print one line for each row of the table that has been measured."""
    measured = {}
    for row in harness.read(RESULTS / "speed.csv"):
        measured.setdefault(row["measure"], []).append(row)
    table = [
        summary(name, row, measured[name])
        for measure_name, measure in MEASURES.items()
        for name, row in measure.named_rows(measure_name).items()
        if name in measured
    ]
    if not table:
        return "no rows yet"
    harness.write(RESULTS / "speed_summary.csv", list(table[0]), table)
    for line in table:
        wanted = f"{line['sense']} {line['target']}" if line["sense"] else ""
        print(f"{line['measure']:34}{line['value']:10.4g}{wanted:>10}  {line['holds']}")
    return None


def summary(name, row, repeats):
    columns = {key: [float(r[key]) for r in repeats] for key in ("ours", "other", "value")}
    value = getattr(statistics, row.statistic, min)(columns["value"])
    holds = ""
    if row.sense and len(repeats) >= MIN_REPEATS:
        holds = "yes" if SENSES[row.sense](value, row.target) else "no"
    return {
        "measure": name,
        "what": row.what,
        "formula": row.formula.replace("other", row.other),
        "statistic": row.statistic,
        "repeats": len(repeats),
        "threads": repeats[0]["threads"],
        "value": value,
        "min": min(columns["value"]),
        "max": max(columns["value"]),
        "sense": row.sense,
        "target": "" if row.target is None else row.target,
        "holds": holds,
        "ours": statistics.median(columns["ours"]),
        "other": statistics.median(columns["other"]),
        "unit": row.unit,
    }


def main():
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--only", nargs="+", metavar="PATTERN", help="choose measures by name")
    parser.add_argument("--repeats", type=int, default=MIN_REPEATS)
    parser.add_argument("--redo", action="store_true", help="measure the chosen ones again")
    parser.add_argument("--summary", action="store_true", help="summarise the rows, run nothing")
    parser.add_argument("--measure", choices=MEASURES, metavar="NAME", help="print one repeat")
    parser.add_argument("--repeat", type=int, default=0, help="which one; it is the seed")
    options = parser.parse_args()
    if options.summary:
        return summarise()
    print(harness.environment())
    if options.measure:
        return report(run_once(options.measure, options.repeat))
    patterns = options.only or ["*"]
    names = [name for name in MEASURES if any(fnmatch(name, pattern) for pattern in patterns)]
    failures = run(names, options.repeats, options.redo)
    return summarise() or failures > 0


if __name__ == "__main__":
    sys.exit(main())

"""The experiments of the papers on GEMINI, rerun with our code.

    python benchmarks/rerun.py [EXPERIMENT ...] [--only PATTERN ...] [--redo]

Without an EXPERIMENT (a file of benchmarks/papers) all are run, in the order of `papers.NAMES`.
Rows go to results/papers_EXPERIMENT.csv as they are done; running again continues. A PATTERN is
matched with DATASET/METHOD/OBJECTIVE, for example 'gstm_df1/paper K=*/tv_*'.
"""

import harness  # isort: skip  (limits the threads before numpy is imported)

import sys
from importlib import import_module
from pathlib import Path

from papers import NAMES

RESULTS = Path(__file__).parent / "results"


def main():
    parser = harness.parser(__doc__)
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT")
    options = parser.parse_args()
    if unknown := set(options.experiments) - set(NAMES):
        parser.error(f"{', '.join(unknown)}: no such experiment; there are {', '.join(NAMES)}")
    harness.limit_torch()
    print(harness.environment())
    failures = 0
    for name in options.experiments or NAMES:
        experiment = import_module(f"papers.{name}")
        chosen = [cell for cell in experiment.cells() if cell.matches(options.only)]
        path = RESULTS / f"papers_{name}.csv"
        failures += harness.run(chosen, experiment.measure, path, experiment.COLUMNS, options.redo)
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())

"""The experiments of the papers on GEMINI, one file each; `rerun.py` runs them.

A file declares its data, methods, seeds and settings in `cells()` and what is done with a cell in
`measure(cell)`, the `COLUMNS` of its rows, the published numbers with their source, and by
`verdicts(rows)` which lines it has to pass.

Published numbers are those of the result files and the code of the authors
(https://github.com/oshillou/GEMINI), aggregated by us; "rerun" stands for numbers that we computed
with the authors' data and losses where they published none. None is copied from a table in print.
"""

NAMES = ("categorical", "moons", "cost", "gaussian_student", "affinity", "mnist")

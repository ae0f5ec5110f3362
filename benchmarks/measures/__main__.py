"""One repeat of one measure, in this process; prints what it found as JSON.

python -m measures NAME REPEAT
"""

import json
import sys
import warnings

from measures.table import MEASURES


def main(name, repeat):
    measure = MEASURES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fixed numbers of epochs do not converge, and say so
        found = measure.call(int(repeat), **measure.options)
    print(json.dumps({row: outcome._asdict() for row, outcome in found.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])

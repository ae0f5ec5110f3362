"""Write docs/papers.md and its pictures from results/papers_*.csv.

python benchmarks/pages_papers.py
"""

from textwrap import fill

from pages import table, write
from papers import (
    affinity,
    categorical,
    cost,
    gaussian_student,
    mnist,
    moons,
    pictures,
    tables,
    words,
)
from papers.results import NOT_RUN, Results

EXPERIMENTS = {
    "categorical": ("Free logits", categorical),
    "gaussian_student": ("Three Gaussians and a Student-t", gaussian_student),
    "moons": ("Two moons", moons),
    "mnist": ("MNIST", mnist),
    "affinity": ("Affinity from other features", affinity),
    "cost": ("Cost", cost),
}


def verdicts_table(results):
    body = []
    for name, (title, experiment) in EXPERIMENTS.items():
        for claim, found, holds in experiment.verdicts(results[name].rows):
            verdict = NOT_RUN if holds is None else "yes" if holds else "**no**"
            body.append([title, claim, found, verdict])
    return table(["", "to be shown", "found", "holds"], body)


INTRODUCTION = """\
# The papers' experiments

Written by `benchmarks/pages_papers.py` from `benchmarks/results/papers_*.csv`; how each number is
measured stands in `benchmarks/README.md`. The published numbers are those of the result files and
code of the authors ([oshillou/GEMINI](https://github.com/oshillou/GEMINI), for Ohl et al., NeurIPS
2022), aggregated by us. The names of objectives are ours: `kl_ova` is the mutual information.
Numbers in brackets are standard deviations over seeds.

## What was to be shown
"""


def wrapped(paragraphs):
    """Lines of a page's width; what begins with a dash is a line of a list."""
    looks = {"width": 100, "break_long_words": False, "break_on_hyphens": False}
    parts = [
        fill(" ".join(part.split()), subsequent_indent="  " * part.startswith("- "), **looks)
        for part in paragraphs
    ]
    return [part + "\n" * (not part.startswith("- ")) for part in parts]


def _picture(name, title, results):
    return [f"![{title}](images/papers_{name}.svg)\n"] if results[name].rows else []


def main():
    results = {name: Results(name) for name in EXPERIMENTS}
    free, mixture, moon = (results[name] for name in ("categorical", "gaussian_student", "moons"))
    pictures.draw_gaussian_student(mixture)
    pictures.draw_dots("papers_categorical.svg", pictures.categorical_panels(free), "ARI")
    pictures.draw_dots("papers_moons.svg", pictures.moons_panels(moon), "ARI")
    given = free, mixture, moon, results["affinity"], results["mnist"]
    purposes, plain = wrapped(words.purposes(*given)), wrapped(words.in_plain_words(*given))
    if results["affinity"].rows:
        pictures.draw_affinity(results["affinity"])
    if results["cost"].rows:
        pictures.draw_cost(results["cost"])
    sections = [
        INTRODUCTION,
        verdicts_table(results),
        *(["## In plain words\n", *plain, ""] if plain else []),
        *(["## Which objective for which purpose\n", *purposes, ""] if purposes else []),
        "## Free logits\n",
        "![ARI of each fit](images/papers_categorical.svg)\n",
        *wrapped(words.free_words(free)),
        tables.categorical_table(free),
        "## Three Gaussians and a Student-t\n",
        "![Published ARI and ours](images/papers_gaussian_student.svg)\n",
        *wrapped(words.mixture_words(mixture)),
        tables.gaussian_student_table(mixture),
        "Chi-squared, of which nothing is published:\n",
        tables.chi2_table(mixture),
        "Others on the same data:\n",
        tables.baselines_table(mixture),
        "### Eight clusters, all kept\n",
        *wrapped(words.eight_words(mixture)),
        tables.eight_table(mixture),
        "### Running means\n",
        tables.running_table(mixture),
        "## Two moons\n",
        "![ARI of each fit](images/papers_moons.svg)\n",
        *wrapped(words.moon_words(moon)),
        tables.moons_table(moon),
        "## MNIST\n",
        *(["![Objective by epoch](images/papers_mnist.svg)\n"] if pictures.draw_mnist() else []),
        *wrapped(words.mnist_words(results["mnist"])),
        tables.mnist_table(results["mnist"]),
        "## Affinity from other features\n",
        *_picture("affinity", "ARI against the quality of the affinity", results),
        *wrapped(words.affinity_words(results["affinity"])),
        tables.affinity_table(results["affinity"]),
        "## Cost\n",
        *_picture("cost", "Time against the batch size", results),
        *wrapped(words.cost_words(results["cost"])),
        tables.cost_tables(results["cost"]),
    ]
    write("papers.md", sections)


if __name__ == "__main__":
    main()

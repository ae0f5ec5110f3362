"""Write docs/papers.md and its pictures from results/papers_*.csv.

python benchmarks/pages_papers.py
"""

import numpy as np
from figures import OKABE_ITO, svg
from pages import rows, table, write
from papers import affinity, categorical, cost, gaussian_student, mnist, moons
from papers.fits import GEMINIS, MMDS, TRANSPORT, groups, method_of

NOT_RUN = "not run"
EXPERIMENTS = {
    "categorical": ("Free logits", categorical),
    "gaussian_student": ("Three Gaussians and a Student-t", gaussian_student),
    "moons": ("Two moons", moons),
    "mnist": ("MNIST", mnist),
    "affinity": ("Affinity from other features", affinity),
    "cost": ("Cost", cost),
}


def spread(values, digits=3):
    """Mean and standard deviation."""
    if not len(values):
        return NOT_RUN
    deviation = values.std(ddof=1) if len(values) > 1 else 0.0
    return f"{values.mean():.{digits}f} ({deviation:.{digits}f})"


def reach(values):
    """Mean, least and most."""
    if not len(values):
        return NOT_RUN
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"


def mean(values, digits=2):
    return f"{values.mean():.{digits}f}" if len(values) else NOT_RUN


class Results:
    """The rows of an experiment, by data set, method and objective."""

    def __init__(self, name):
        self.rows = rows(f"papers_{name}.csv")
        self.columns = {}

    def __call__(self, column, *key):
        if column not in self.columns:
            self.columns[column] = groups(self.rows, column) if self.rows else {}
        return self.columns[column].get(key, np.array([]))


def verdicts_table(results):
    body = []
    for name, (title, experiment) in EXPERIMENTS.items():
        for claim, found, holds in experiment.verdicts(results[name].rows):
            verdict = NOT_RUN if holds is None else "yes" if holds else "**no**"
            body.append([title, claim, found, verdict])
    return table(["", "to be shown", "found", "holds"], body)


# Free logits


def categorical_table(found):
    body = []
    for objective in (*categorical.BLIND, *categorical.SEEING):
        truth = found("objective_value", categorical.DATASET, categorical.TRUTH, objective)
        line = [f"`{objective}`", mean(truth, 3)]
        for setting in categorical.SETTINGS:
            key = categorical.DATASET, setting, objective
            line += [reach(found("ari", *key)), mean(found("objective_value", *key), 3)]
        distance, mode = objective.split("_")
        span = categorical.RERUN.get(distance)
        least, most = span[mode == "ovo"] if span else (None, None)
        line.append("" if span is None else f"{least:.3f} to {most:.3f}")
        body.append(line)
    header = ["", "value of the truth"]
    for setting in categorical.SETTINGS:
        header += [f"{setting}: ARI", "value"]
    return table([*header, "authors' loss, ARI"], body)


def categorical_panels(found):
    return {
        setting: {
            objective: found("ari", categorical.DATASET, setting, objective)
            for objective in (*categorical.BLIND, *categorical.SEEING)
        }
        for setting in categorical.SETTINGS
    }


# Two moons


def moons_table(found):
    body = []
    for distance in moons.DISTANCES:
        for setting, n_clusters in (
            (moons.DEFAULT, 2),
            (moons.NARROW, 2),
            (moons.DEFAULT, "auto"),
            (moons.DEFAULT, 5),
            (moons.PAPER, 2),
            (moons.PAPER, 5),
        ):
            for objective in ("auto", "kl_ova", *MMDS, *TRANSPORT):
                key = distance, method_of(setting, n_clusters), objective
                ari = found("ari", *key)
                if not len(ari):
                    continue
                rerun = moons.RERUN.get((objective, n_clusters)) if setting == moons.PAPER else None
                body.append(
                    [
                        distance.removeprefix("moons, "),
                        key[1],
                        f"`{objective}`",
                        spread(ari),
                        f"{(ari == 1).sum()} of {len(ari)}",
                        mean(found("n_found", *key)),
                        mean(found("objective_value", *key), 3),
                        f"{rerun[0]:.3f} ({rerun[1]:.3f})" if rerun else "",
                    ]
                )
    header = ["distance", "setting", "objective", "ARI", "ARI 1", "clusters", "value"]
    return table([*header, "authors' code, ARI"], body)


def moons_panels(found):
    """Our defaults, by hops."""
    return {
        f"at most {n_clusters if n_clusters != 'auto' else '5, by auto'}": {
            objective: found("ari", moons.HOPS, method_of(moons.DEFAULT, n_clusters), objective)
            for objective in ("kl_ova", *MMDS, *TRANSPORT)
        }
        for n_clusters in (2, 5, "auto")
    }


# Three Gaussians and a Student-t


def gaussian_student_table(found):
    body = []
    names = {"gstm_df2": "df 2", "gstm_df1": "df 1"}
    for key, numbers, paper, default in gaussian_student.against_published(found.rows):
        dataset, n_clusters, objective = key
        method = method_of(gaussian_student.PAPER, n_clusters)
        ours = method_of(gaussian_student.DEFAULT, 4 if n_clusters == 4 else "auto")
        within = ""
        if len(paper) > 1:
            within = "yes" if gaussian_student.within_two_errors(numbers, paper) else "**no**"
        body.append(
            [
                f"{names[dataset]}, K = {n_clusters}",
                f"`{objective}`",
                f"{numbers[0]:.3f} ({numbers[1]:.3f})",
                f"{numbers[2]:.2f}",
                spread(paper),
                mean(found("n_found", dataset, method, objective)),
                within,
                spread(default),
                mean(found("n_found", dataset, ours, objective)),
            ]
        )
    header = ["", "objective", "published ARI", "clusters", "the paper's settings", "clusters"]
    return table([*header, "within 2 errors", "our defaults", "clusters"], body)


def baselines_table(found):
    lines = [
        *(
            (name, (method_of(name, 4), method_of(name, 8)), "")
            for name in gaussian_student.BASELINES
        ),
        (
            "ours, default objective",
            tuple(method_of(gaussian_student.DEFAULT, number) for number in (4, "auto")),
            "auto",
        ),
        ("oracle", (gaussian_student.ORACLE,) * 2, ""),
    ]
    body = [
        [title]
        + [spread(found("ari", d, m, o)) for d in gaussian_student.DATASETS for m in methods]
        for title, methods, o in lines
    ]
    return table(["", "df 2, K = 4", "df 2, K = 8", "df 1, K = 4", "df 1, K = 8"], body)


def eight_table(found):
    """Eight clusters kept: the objective, and the ARI, of the published training and of ours."""
    body = []
    for dataset in gaussian_student.DATASETS:
        for objective in GEMINIS:
            line = []
            for setting in (gaussian_student.PAPER, gaussian_student.DEFAULT):
                key = dataset, method_of(setting, 8), objective
                line += [
                    mean(found("objective_value", *key), 4),
                    mean(found("n_found", *key)),
                    mean(found("ari", *key), 3),
                ]
            if NOT_RUN not in line:
                body.append([dataset, f"`{objective}`", *line])
    part = ["value", "clusters", "ARI"]
    titles = [f"{who}: {what}" for who in ("paper's settings", "defaults") for what in part]
    return table(["", "objective", *titles], body)


def running_table(found):
    """What running means change under the paper's settings."""
    body = []
    for dataset, n_clusters in gaussian_student.CONDITIONS:
        for objective in MMDS:
            line = []
            for setting in (gaussian_student.PAPER, gaussian_student.BLENDED):
                key = dataset, method_of(setting, n_clusters), objective
                line += [spread(found("ari", *key)), mean(found("n_found", *key))]
            body.append([f"{dataset}, K = {n_clusters}", f"`{objective}`", *line])
    header = [
        "",
        "objective",
        "each batch alone: ARI",
        "clusters",
        "running means: ARI",
        "clusters",
    ]
    return table(header, body)


def draw_gaussian_student(found):
    """Published means and ours, a panel for each data set and number of clusters."""
    looks = {
        "published": {"color": "#777777", "marker": "D"},
        "the paper's settings, ours": {"color": OKABE_ITO[1], "marker": "o"},
        "our defaults": {"color": OKABE_ITO[3], "marker": "X"},
    }
    cells = {key: rest for key, *rest in gaussian_student.against_published(found.rows)}
    with svg("papers_gaussian_student.svg", (9, 5.6), layout="constrained") as figure:
        axes = figure.subplots(2, 2, sharey=True, sharex=True)
        for axis, (dataset, n_clusters) in zip(axes.flat, gaussian_student.CONDITIONS, strict=True):
            for height, objective in enumerate(GEMINIS):
                numbers, paper, default = cells[dataset, n_clusters, objective]
                marks = [(numbers[0], numbers[1])]
                marks += [
                    (v.mean(), v.std(ddof=1)) if len(v) > 1 else None for v in (paper, default)
                ]
                for shift, mark, (label, look) in zip(
                    (-0.22, 0, 0.22), marks, looks.items(), strict=True
                ):
                    if mark is not None:
                        name = label if not height else None
                        line = {"markersize": 3.5, "linewidth": 1, "linestyle": "", **look}
                        axis.errorbar(mark[0], height + shift, xerr=mark[1], label=name, **line)
            oracle = found("ari", dataset, gaussian_student.ORACLE, "")
            if len(oracle):
                axis.axvline(oracle[0], color="#BBBBBB", linewidth=0.8, zorder=0)
            title = f"{dataset}, K = {n_clusters}" + (
                ' ("auto" for ours)' if n_clusters > 4 else ""
            )
            axis.set_title(title, loc="left", fontsize=9)
            axis.set_yticks(range(len(GEMINIS)), GEMINIS)
            axis.grid(color="#EEEEEE")
            axis.set_axisbelow(True)
        axes[0, 0].invert_yaxis()
        figure.supxlabel("ARI, mean and standard deviation; the line is the oracle", fontsize=8)
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)


def draw_dots(name, panels, title):
    """A dot for each fit: panels of {line: values}."""
    heights = [len(lines) for lines in panels.values()]
    size = (4.2 * len(panels), 0.6 + 0.2 * max(heights))
    with svg(name, size, layout="constrained") as figure:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, (heading, lines) in zip(axes, panels.items(), strict=True):
            for height, values in enumerate(lines.values()):
                shifts = np.linspace(-0.3, 0.3, len(values)) if len(values) > 1 else [0.0]
                axis.plot(values, height + np.array(shifts), "o", ms=2.5, color=OKABE_ITO[1])
            axis.set_yticks(range(len(lines)), list(lines))
            axis.set_ylim(len(lines) - 0.5, -0.5)
            axis.set_xlim(-0.12, 1.05)
            axis.set_title(heading, loc="left", fontsize=9)
            axis.set_xlabel(title)
            axis.grid(color="#EEEEEE")
            axis.set_axisbelow(True)


# MNIST


def mnist_table(found):
    body = []
    for (network, n_clusters), published in mnist.PUBLISHED.items():
        for objective in GEMINIS:
            key = mnist.DATASET, method_of(network, n_clusters), objective
            for i, ari in enumerate(found("ari_new", *key)):
                numbers = published.get(objective)
                body.append(
                    [
                        f"{network}, K = {n_clusters}",
                        f"`{objective}`",
                        f"{numbers[0]:.3f} / {numbers[1]:.3f}" if numbers else "missing",
                        numbers[3] if numbers else "",
                        f"{found('ari', *key)[i]:.3f} / {ari:.3f}",
                        f"{found('accuracy_new', *key)[i]:.3f}",
                        f"{found('n_found', *key)[i]:.0f}",
                        f"{found('objective_value', *key)[i]:.4f}",
                        f"{found('n_iter', *key)[i]:.0f}",
                        f"{found('seconds', *key)[i] / 60:.0f}",
                    ]
                )
    if not body:
        return f"Cells: {NOT_RUN}.\n"
    header = ["", "objective", "published ARI, train / test", "clusters", "ARI, train / test"]
    return table([*header, "accuracy", "clusters", "objective", "epochs", "minutes"], body)


def draw_mnist():
    curves = {}
    for row in rows("papers_mnist_curves.csv"):
        if row["seed"] == "0":
            curves.setdefault(row["method"], {}).setdefault(row["objective"], [])
            curves[row["method"]][row["objective"]].append(float(row["value"]))
    if not curves:
        return False
    with svg("papers_mnist.svg", (3 * len(curves), 3), layout="constrained") as figure:
        axes = figure.subplots(1, len(curves), squeeze=False)[0]
        for axis, (method, lines) in zip(axes, curves.items(), strict=True):
            for (objective, values), color in zip(
                lines.items(), [*OKABE_ITO, *OKABE_ITO], strict=False
            ):
                style = "-" if objective.endswith("ova") else "--"
                share = np.array(values) / values[-1]
                axis.plot(range(1, len(values) + 1), share, style, color=color, label=objective)
            axis.set_title(method, loc="left", fontsize=9)
            axis.set(xlabel="epoch", ylim=(0, 1.1))
            axis.legend(fontsize=6, frameon=False)
            axis.grid(color="#EEEEEE")
        axes[0].set_ylabel("penalised objective, relative to the end")
    return True


# Affinity


def affinity_table(found):
    body = []
    for dataset, features in affinity.FEATURES.items():
        for name in (affinity.NONE, *features):
            objectives = ["mi"] if name == affinity.NONE else [*MMDS, affinity.TRANSPORT]
            purity = next(
                (r["purity"] for r in found.rows if (r["dataset"], r["method"]) == (dataset, name)),
                "",
            )
            body.append(
                [
                    dataset,
                    name,
                    f"{float(purity):.3f}" if purity else "",
                    *_of(found, "ari", dataset, name, [affinity.KMEANS]),
                    *_of(found, "ari", dataset, name, ["mi"]),
                    *_of(found, "ari", dataset, name, [*MMDS, affinity.TRANSPORT]),
                    *_of(found, "ari_new", dataset, name, objectives[:1]),
                ]
            )
    header = ["", "affinity sees", "purity", "K-means there", "`mi`"]
    header += [f"`{name}`" for name in (*MMDS, affinity.TRANSPORT)]
    return table([*header, "new samples"], body)


def _of(found, column, dataset, name, objectives):
    cells = [found(column, dataset, name, objective) for objective in objectives]
    return [spread(values) if len(values) else "" for values in cells]


def draw_affinity(found):
    with svg("papers_affinity.svg", (8, 3.2), layout="constrained") as figure:
        axes = figure.subplots(1, len(affinity.FEATURES), sharey=True)
        for axis, (dataset, features) in zip(axes, affinity.FEATURES.items(), strict=True):
            purities = {
                row["method"]: float(row["purity"])
                for row in found.rows
                if row["dataset"] == dataset and row["purity"]
            }
            names = sorted((name for name in features if name in purities), key=purities.get)
            for objective, color, marker in zip(
                (*MMDS, affinity.TRANSPORT, affinity.KMEANS), OKABE_ITO[1:], "osD^", strict=False
            ):
                points = [
                    (purities[name], values.mean())
                    for name in names
                    if len(values := found("ari", dataset, name, objective))
                ]
                if points:
                    looks = {"color": color, "marker": marker, "markersize": 4, "linewidth": 1}
                    axis.plot(*zip(*points, strict=True), label=objective, **looks)
            for name in names:
                axis.annotate(name, (purities[name], 0.02), rotation=90, fontsize=7, ha="center")
            axis.set_title(dataset, loc="left", fontsize=9)
            axis.set(xlabel="neighbours of the same class", ylim=(0, 1))
            axis.grid(color="#EEEEEE")
            axis.set_axisbelow(True)
        axes[0].set_ylabel("ARI")
        axes[0].legend(frameon=False, fontsize=7)


# Cost


def cost_tables(found):
    parts = []
    for n_clusters in cost.CLUSTERS:
        body = []
        for objective in dict.fromkeys(row["objective"] for row in found.rows):
            for method in cost.METHODS:
                times = [
                    found("milliseconds", cost.shape_name(size, n_clusters), method, objective)
                    for size in cost.BATCHES
                ]
                if any(len(each) for each in times):
                    cells = [f"{each[0]:.3g}" if len(each) else "" for each in times]
                    body.append([f"`{objective}`", method, *cells])
        if body:
            sizes = [f"B = {size:,}" for size in cost.BATCHES]
            parts += [f"K = {n_clusters}:\n", table(["", "", *sizes], body)]
    return "\n".join(parts)


def draw_cost(found):
    shown = ("tv_ovo", "mmd_ova", "mmd_ovo", "wasserstein_ova")
    with svg("papers_cost.svg", (10, 2.8), layout="constrained") as figure:
        axes = figure.subplots(1, len(shown), sharex=True)
        for axis, objective in zip(axes, shown, strict=True):
            for method, color, marker in zip(cost.METHODS, OKABE_ITO, "osD^", strict=False):
                points = [
                    (size, times[0])
                    for size in cost.BATCHES
                    if len(
                        times := found("milliseconds", cost.shape_name(size, 10), method, objective)
                    )
                ]
                if points:
                    looks = {"color": color, "marker": marker, "markersize": 4, "linewidth": 1}
                    axis.plot(*zip(*points, strict=True), label=method, **looks)
            axis.set(xscale="log", yscale="log", xlabel="B")
            axis.set_xticks(cost.BATCHES, map(str, cost.BATCHES))
            axis.minorticks_off()
            axis.set_title(f"{objective}, K = 10", loc="left", fontsize=9)
            axis.grid(color="#EEEEEE")
        axes[0].set_ylabel("milliseconds")
        axes[1].legend(frameon=False, fontsize=7)


INTRODUCTION = """\
# The papers' experiments

Written by `benchmarks/pages_papers.py` from `benchmarks/results/papers_*.csv`; how each number is
measured stands in `benchmarks/README.md`. The published numbers are those of the result files and
code of the authors ([oshillou/GEMINI](https://github.com/oshillou/GEMINI), for Ohl et al., NeurIPS
2022), aggregated by us. The names of objectives are ours: `kl_ova` is the mutual information.
Numbers in brackets are standard deviations over seeds.

## What was to be shown
"""


def main():
    results = {name: Results(name) for name in EXPERIMENTS}
    free, mixture, moon = (results[name] for name in ("categorical", "gaussian_student", "moons"))
    draw_gaussian_student(mixture)
    draw_dots("papers_categorical.svg", categorical_panels(free), "ARI")
    draw_dots("papers_moons.svg", moons_panels(moon), "ARI")
    sections = [
        INTRODUCTION,
        verdicts_table(results),
        "## Free logits\n",
        "![ARI of each fit](images/papers_categorical.svg)\n",
        categorical_table(free),
        "## Three Gaussians and a Student-t\n",
        "![Published ARI and ours](images/papers_gaussian_student.svg)\n",
        gaussian_student_table(mixture),
        baselines_table(mixture),
        "### Eight clusters, all kept\n",
        eight_table(mixture),
        "### Running means\n",
        running_table(mixture),
        "## Two moons\n",
        "![ARI of each fit](images/papers_moons.svg)\n",
        moons_table(moon),
        "## MNIST\n",
        *(["![Objective by epoch](images/papers_mnist.svg)\n"] if draw_mnist() else []),
        mnist_table(results["mnist"]),
        "## Affinity from other features\n",
        affinity_table(results["affinity"]),
        "## Cost\n",
        cost_tables(results["cost"]),
    ]
    write("papers.md", sections)


if __name__ == "__main__":
    main()

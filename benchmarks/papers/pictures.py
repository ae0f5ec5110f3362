"""The pictures of docs/papers.md."""

import numpy as np
from figures import OKABE_ITO, svg
from pages import rows

from papers import affinity, categorical, cost, gaussian_student, mnist, moons
from papers.fits import GEMINIS, MMDS, TRANSPORT, method_of, setting_of


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
                        line = {"markersize": 3.5, "linewidth": 1, "linestyle": "", **look}
                        axis.errorbar(mark[0], height + shift, xerr=mark[1], label=label, **line)
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
        handles = {}
        for axis in axes.flat:
            handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles, loc="outside upper center", ncols=3)


def draw_dots(name, panels, title):
    """A dot for each fit: panels of {line: values}."""
    heights = [len(lines) for lines in panels.values()]
    size = (4.2 * len(panels), 0.6 + 0.2 * max(heights))
    with svg(name, size, layout="constrained") as figure:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, (heading, lines) in zip(axes, panels.items(), strict=True):
            for height, values in enumerate(lines.values()):
                shifts = np.linspace(-0.3, 0.3, len(values))
                axis.plot(values, height + shifts, "o", ms=2.5, color=OKABE_ITO[1])
            axis.set_yticks(range(len(lines)), list(lines))
            axis.set_ylim(len(lines) - 0.5, -0.5)
            axis.set_xlim(-0.12, 1.05)
            axis.set_title(heading, loc="left", fontsize=9)
            axis.set_xlabel(title)
            axis.grid(color="#EEEEEE")
            axis.set_axisbelow(True)


def categorical_panels(found):
    return {
        setting: {
            objective: found("ari", categorical.DATASET, setting, objective)
            for objective in (*categorical.BLIND, *categorical.SEEING)
        }
        for setting in categorical.SETTINGS
    }


def moons_panels(found):
    """Our defaults, by hops."""
    return {
        f"at most {n_clusters if n_clusters != 'auto' else '5, by auto'}": {
            objective: found("ari", moons.HOPS, method_of(moons.DEFAULT, n_clusters), objective)
            for objective in ("kl_ova", *MMDS, *TRANSPORT)
        }
        for n_clusters in (2, 5, "auto")
    }


def draw_mnist():
    curves = {}
    for row in rows("papers_mnist_curves.csv"):
        first_run = setting_of(row["method"])[0] in mnist.FIRST.values()
        if row["seed"] == "0" and not first_run:
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

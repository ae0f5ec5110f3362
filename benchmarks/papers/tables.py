"""The tables of docs/papers.md."""

from pages import table

from papers import affinity, categorical, cost, gaussian_student, mnist, moons
from papers.fits import CHI2, GEMINIS, MMDS, TRANSPORT, method_of
from papers.results import NOT_RUN, mean, reach, spread


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
                        spread(ari, of=moons.SEEDS),
                        f"{(ari == 1).sum()} of {len(ari)}",
                        mean(found("n_found", *key)),
                        mean(found("objective_value", *key), 3),
                        f"{rerun[0]:.3f} ({rerun[1]:.3f})" if rerun else "",
                    ]
                )
    header = ["distance", "setting", "objective", "ARI", "ARI 1", "clusters", "value"]
    return table([*header, "authors' code, ARI"], body)


def gaussian_student_table(found):
    body = []
    names = {"gstm_df2": "df 2", "gstm_df1": "df 1"}
    cells = gaussian_student.against_published(found.rows)
    for key, numbers, paper, default in sorted(
        cells, key=lambda cell: gaussian_student.CONDITIONS.index(cell[0][:2])
    ):
        dataset, n_clusters, objective = key
        method = method_of(gaussian_student.PAPER, n_clusters)
        ours = method_of(gaussian_student.DEFAULT, 4 if n_clusters == 4 else "auto")
        within = ""
        if len(paper) == gaussian_student.SEEDS:
            within = "yes" if gaussian_student.within_two_errors(numbers, paper) else "**no**"
        body.append(
            [
                f"{names[dataset]}, K = {n_clusters}",
                f"`{objective}`",
                f"{numbers[0]:.3f} ({numbers[1]:.3f})",
                f"{numbers[2]:.2f}",
                spread(paper, of=gaussian_student.SEEDS),
                mean(found("n_found", dataset, method, objective)),
                within,
                spread(default, of=gaussian_student.SEEDS),
                mean(found("n_found", dataset, ours, objective)),
            ]
        )
    header = ["", "objective", "published ARI", "clusters", "the paper's settings", "clusters"]
    return table([*header, "within 2 errors", "our defaults", "clusters"], body)


def chi2_table(found):
    """The divergence of which the authors published nothing."""
    body = []
    for dataset, n_clusters in gaussian_student.CONDITIONS:
        for objective in CHI2:
            line = [f"df {dataset[-1]}, K = {n_clusters}", f"`{objective}`"]
            for setting, number in (
                (gaussian_student.PAPER, n_clusters),
                (gaussian_student.DEFAULT, 4 if n_clusters == 4 else "auto"),
            ):
                key = dataset, method_of(setting, number), objective
                line += [spread(found("ari", *key), of=gaussian_student.SEEDS)]
                line += [mean(found("n_found", *key))]
            body.append(line)
    header = ["", "objective", "the paper's settings", "clusters", "our defaults", "clusters"]
    return table(header, body)


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


EIGHT = {
    gaussian_student.PAPER: "paper's settings",
    gaussian_student.SAME: "its network, our training",
    gaussian_student.DEFAULT: "defaults",
}


def eight_table(found):
    """Eight clusters kept: the objective, and the ARI, of the published training and of ours."""
    body = []
    for dataset in gaussian_student.DATASETS:
        for objective in GEMINIS:
            line = []
            for setting in EIGHT:
                key = dataset, method_of(setting, 8), objective
                line += [
                    mean(found("objective_value", *key), 4),
                    mean(found("n_found", *key)),
                    mean(found("ari", *key), 3),
                ]
            if NOT_RUN not in line:
                body.append([dataset, f"`{objective}`", *line])
    part = ["value", "clusters", "ARI"]
    titles = [f"{who}: {what}" for who in EIGHT.values() for what in part]
    return table(["", "objective", *titles], body)


def running_table(found):
    """What running means change under the paper's settings."""
    body = []
    for dataset, n_clusters in gaussian_student.CONDITIONS:
        for objective in MMDS:
            line = []
            for setting in (gaussian_student.PAPER, gaussian_student.BLENDED):
                key = dataset, method_of(setting, n_clusters), objective
                line += [
                    spread(found("ari", *key), of=gaussian_student.SEEDS),
                    mean(found("n_found", *key)),
                ]
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
                        f"{found('n_new', *key)[i]:.0f}",
                        f"{found('objective_value', *key)[i]:.4f}",
                        f"{found('n_iter', *key)[i]:.0f}",
                        f"{found('seconds', *key)[i] / 60:.0f}",
                    ]
                )
    if not body:
        return f"Cells: {NOT_RUN}.\n"
    header = ["", "objective", "published ARI, train / test", "clusters", "ARI, train / test"]
    return table([*header, "accuracy", "clusters", "objective", "epochs", "minutes"], body)


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
    return [spread(values, of=affinity.SEEDS) if len(values) else "" for values in cells]


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

"""What the pages draw."""

from contextlib import contextmanager
from itertools import product
from pathlib import Path

import matplotlib
from matplotlib import ticker
from matplotlib.figure import Figure
from PIL import Image

IMAGES = Path(__file__).parent.parent / "docs" / "images"
# Okabe and Ito's colours, told apart by every kind of colour vision; shapes tell them in grey.
OKABE_ITO = ["#000000", "#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#009E73", "#CC79A7"]
LOOKS = {
    "yes": {"color": "#0072B2", "marker": "o", "label": "target holds"},
    "no": {"color": "#D55E00", "marker": "X", "label": "target missed"},
    "": {"color": "#777777", "marker": "D", "label": "no target"},
}
PANELS = {
    "gemclus / ours": "How many times faster than gemclus: more is better",
    "ours / ": "Our time next to a reference: less is better",
}


@contextmanager
def svg(name, size, **options):
    """A figure that is written to docs/images as an SVG, the same bytes each time."""
    looks = {"svg.fonttype": "none", "svg.hashsalt": "gemclust", "font.size": 8}
    with matplotlib.rc_context(looks):
        figure = Figure(figsize=size, **options)
        yield figure
        save(figure, name, metadata={"Date": None})


def panels(name, rows, columns, draw, ticks, labels, size, n_colors, n_legend, sharey=False):
    """Write a PNG with a panel for each row and column, filled by ``draw(axis, row, column)``.

    The horizontal axes have the given ticks, both axes the given labels.
    """
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=size)
        axes = figure.subplots(len(rows), len(columns), sharex=True, sharey=sharey)
        for axis, (row, column) in zip(axes.flat, product(rows, columns), strict=True):
            draw(axis, row, column)
            if not axis.lines:
                axis.text(0.5, 0.5, "not measured", ha="center", transform=axis.transAxes)
            axis.set(xscale="log", title=f"{column}, {row}")
            axis.set_xticks(ticks, map(str, ticks))
            axis.minorticks_off()
            axis.grid(alpha=0.3)
        figure.supxlabel(labels[0])
        figure.supylabel(labels[1])
        figure.legend(
            *axes[0, 0].get_legend_handles_labels(),
            loc="lower center",
            bbox_to_anchor=(0.5, 1),
            ncols=n_legend,
            frameon=False,
        )
        figure.tight_layout()
        save(figure, name, bbox_inches="tight", dpi=110, metadata={"Software": None})
    # A few colours are enough, and a quarter of the bytes.
    Image.open(IMAGES / name).quantize(n_colors).save(IMAGES / name, optimize=True)


def save(figure, name, **options):
    IMAGES.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGES / name, **options)
    print(f"written: {IMAGES / name}")


def draw_speed(summary):
    """Write docs/images/speed.svg; lines that are no ratios of times are in the table only."""
    panels = {
        title: [row for row in summary if row["formula"].startswith(formula)]
        for formula, title in PANELS.items()
    }
    panels = {title: rows for title, rows in panels.items() if rows}
    if not panels:
        return
    sizes = [len(rows) for rows in panels.values()]
    height = 0.17 * sum(sizes) + 1.1 * len(panels)
    with svg("speed.svg", (8, height), layout="constrained") as figure:
        axes = figure.subplots(len(panels), height_ratios=sizes, squeeze=False)[:, 0]
        handles = {}
        for axis, (title, rows) in zip(axes, panels.items(), strict=True):
            draw_panel(axis, title, rows)
            lines, labels = axis.get_legend_handles_labels()
            handles |= dict(zip(labels, lines, strict=True))
        figure.legend(handles.values(), handles, loc="outside lower right", ncols=4, frameon=False)


def draw_panel(axis, title, rows):
    for height, row in enumerate(rows):
        value, low, high = (float(row[name]) for name in ("value", "min", "max"))
        look = LOOKS[row["holds"]]
        axis.plot([max(low, 0.01), high], [height, height], color=look["color"], linewidth=1)
        axis.plot(value, height, linestyle="", markersize=5, **look)
        if row["target"]:
            wanted = {"marker": "|", "color": "black", "markersize": 9, "label": "target"}
            axis.plot(float(row["target"]), height, linestyle="", markeredgewidth=1.5, **wanted)
    axis.set_xscale("log")
    low, high = axis.get_xlim()
    steps = (1, 2, 5) if high < 100 * low else (1,)
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=steps))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_locator(ticker.NullLocator())
    axis.axvline(1, color="#BBBBBB", linewidth=0.8, zorder=0)
    axis.set_yticks(range(len(rows)), [row["what"] for row in rows])
    axis.invert_yaxis()
    axis.set_title(title, loc="left", fontsize=9)
    axis.grid(axis="x", color="#EEEEEE")
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(axis="y", length=0)

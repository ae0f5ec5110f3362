"""The plot of results/speed_summary.csv: each ratio next to its target."""

from pathlib import Path

import matplotlib
from matplotlib import ticker
from matplotlib.figure import Figure

IMAGE = Path(__file__).parent.parent / "docs" / "images" / "speed.svg"
# Okabe and Ito's colours, and shapes beside them: no message hangs on colour alone.
LOOKS = {
    "yes": {"color": "#0072B2", "marker": "o", "label": "target holds"},
    "no": {"color": "#D55E00", "marker": "X", "label": "target missed"},
    "": {"color": "#777777", "marker": "D", "label": "no target"},
}
PANELS = {
    "gemclus / ours": "How many times faster than gemclus: more is better",
    "ours / ": "Our time next to a reference: less is better",
}


def draw(summary):
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
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "gemclust", "font.size": 8}
    ):
        figure = Figure(figsize=(8, height), layout="constrained")
        axes = figure.subplots(len(panels), height_ratios=sizes, squeeze=False)[:, 0]
        handles = {}
        for axis, (title, rows) in zip(axes, panels.items(), strict=True):
            draw_panel(axis, title, rows)
            lines, labels = axis.get_legend_handles_labels()
            handles |= dict(zip(labels, lines, strict=True))
        figure.legend(handles.values(), handles, loc="outside lower right", ncols=4, frameon=False)
        IMAGE.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(IMAGE, metadata={"Date": None})
    print(f"written: {IMAGE}")


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

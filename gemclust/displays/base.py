"""What the displays share: matplotlib, and the colours of clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def pyplot() -> Any:
    """matplotlib.pyplot, or an error that says what to install."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Displays are drawn by matplotlib, which is not installed: pip install matplotlib"
        ) from error
    return plt


def axes_for(ax: Any, **settings: Any) -> Any:
    """The axes given, or those of a new figure."""
    if ax is not None:
        if not hasattr(ax, "figure"):
            raise TypeError(f"ax must be one matplotlib Axes, not a {type(ax).__name__}.")
        return ax
    return pyplot().subplots(layout="constrained", **settings)[1]


def cluster_colours(n_clusters: int) -> NDArray[Any]:
    """A colour for each cluster, (n_clusters, 4), the same in all displays."""
    import matplotlib as mpl

    if n_clusters <= 20:
        name = "tab10" if n_clusters <= 10 else "tab20"
        return mpl.colormaps[name](np.arange(n_clusters))
    return mpl.colormaps["turbo"](np.linspace(0.05, 0.95, n_clusters))


def fading(colours: NDArray[Any], labels: NDArray[Any], confidence: NDArray[Any]) -> NDArray[Any]:
    """Colours of samples, paler where p(y|x) of their cluster is smaller; white at chance."""
    chance = 1 / len(colours)
    strength = np.clip((confidence - chance) / max(1 - chance, 1e-9), 0, 1)
    strength = np.ones_like(strength) if len(colours) == 1 else 0.15 + 0.85 * strength
    shades = colours[labels]
    shades[..., :3] = 1 - strength[..., None] * (1 - shades[..., :3])
    return shades


MOST_IN_LEGEND = 20


def add_legend(axis: Any, colours: NDArray[Any], labels: NDArray[Any]) -> None:
    """Names of the clusters that are there, unless they are too many."""
    from matplotlib.lines import Line2D

    present = np.unique(labels)
    if len(present) > MOST_IN_LEGEND:
        return
    dots = [Line2D([], [], marker="o", linestyle="", color=colours[k]) for k in present]
    axis.legend(dots, [str(k) for k in present], title="cluster", fontsize="small")

"""Why there are so many clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gemclust.displays.base import cluster_colours, pyplot
from gemclust.pipelines import clusterer

if TYPE_CHECKING:
    Array = NDArray[Any]

LOWEST, HIGHEST = 0.1, 100.0
"""Significances beyond are drawn at these ends: they spread over many magnitudes."""

TICKS = np.array([0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100])

MATRIX_CLUSTERS = 15
"""The valleys between more clusters are not written into a matrix, unless it is asked for."""

MOST_NUMBERED = 30
"""Of more clusters, every second below the tree is numbered, or every third."""

JOINS = "0.45"
LEVEL = "#D55E00"


class SelectionDisplay:
    """Why there are so many clusters: the tree of units, its levels, the valleys between clusters.

    The first panel shows the last merges of the tree. Each stands at the significance of the valley
    that it closes; clusters are numbered as in `labels_`, and what joins them is grey. The second
    says how many clusters each level leaves, and at which sensitivity that is the level. The third
    holds the significance of the valley between each two clusters, ">100" where hardly an edge
    joins them. The dashed line is the level of the estimator's own sensitivity.

    Parameters
    ----------
    linkage : ndarray of shape (n_leaves - 1, 4)
        The tree as SciPy's linkage matrix.
    leaf_clusters : ndarray of int of shape (n_leaves,)
        The cluster of each leaf.
    valleys : ndarray of shape (n_clusters, n_clusters)
        How real the valley between each two clusters is.
    sensitivity : float, default=None
        What decided the number, if not the user.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the tree.
    axes_ : ndarray of matplotlib Axes
        All panels.
    figure_ : matplotlib Figure
        Which holds them.
    tree_ : matplotlib LineCollection
        One line for each merge that is shown.
    numbers_ : matplotlib Line2D
        Numbers of clusters and their levels, if there is a second panel.
    image_ : matplotlib AxesImage
        Significances, if there is a third.

    See Also
    --------
    gemclust.GeminiClustering.cut : Clusters where the tree is cut elsewhere.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import make_blobs
    >>> from gemclust import GeminiClustering
    >>> from gemclust.displays import SelectionDisplay
    >>> X, _ = make_blobs(300, centers=[[0, 0], [8, 0], [0, 8]], random_state=0)
    >>> model = GeminiClustering(random_state=0).fit(X)
    >>> display = SelectionDisplay.from_estimator(model)
    >>> display.ax_.get_title()
    '3 clusters'
    """

    def __init__(
        self,
        *,
        linkage: Array,
        leaf_clusters: Array,
        valleys: Array,
        sensitivity: float | None = None,
    ) -> None:
        self.linkage = linkage
        self.leaf_clusters = leaf_clusters
        self.valleys = valleys
        self.sensitivity = sensitivity

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, max_leaves: int = 30
    ) -> SelectionDisplay:
        """Draw what `selection_` of an estimator holds.

        Parameters
        ----------
        estimator : GeminiClustering, or a Pipeline or search that ends in one
            Fitted, with more units than clusters.
        ax : matplotlib Axes or sequence of them, default=None
            See `plot`.
        max_leaves : int, default=30
            See `plot`.

        Returns
        -------
        display : SelectionDisplay

        Raises
        ------
        ValueError
            If no units were joined.
        """
        model = clusterer(estimator)
        if not hasattr(model, "selection_"):
            raise ValueError(
                "There is no tree to show: fit with n_clusters='auto' or with n_units > n_clusters."
            )
        selection = model.selection_
        display = cls(
            linkage=selection.linkage,
            leaf_clusters=selection.tree.cut(len(selection.valleys)),
            valleys=selection.valleys,
            sensitivity=float(model.sensitivity) if model.n_clusters == "auto" else None,
        )
        return display.plot(ax, max_leaves=max_leaves)

    def plot(self, ax: Any = None, *, max_leaves: int = 30) -> SelectionDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of them, default=None
            Where to draw the tree, the numbers at other levels, and the valleys, in this order, as
            far as axes are given. None: in a new figure, the valleys only between 2 to 15 clusters.
        max_leaves : int, default=30
            The tree is shown from so many groups of units on, or from the clusters if these are
            more.

        Returns
        -------
        display : SelectionDisplay
            Itself.
        """
        n_clusters = len(self.valleys)
        if ax is None:
            n_panels = 3 if 2 <= n_clusters <= MATRIX_CLUSTERS else 2
            _, ax = pyplot().subplots(
                1,
                n_panels,
                figsize=(4.4 * n_panels, 4),
                width_ratios=(1.3, 0.8, 1)[:n_panels],
                layout="constrained",
            )
        self.axes_ = np.ravel(ax)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        drawings = self._draw_tree, self._draw_numbers, self._draw_valleys
        for axis, draw in zip(self.axes_, drawings, strict=False):
            draw(axis, max(2, max_leaves, n_clusters))
        return self

    @property
    def _heights(self) -> Array:
        """Significances as they are drawn, the highest first."""
        return np.clip(self.linkage[::-1, 2], LOWEST, HIGHEST)

    def _draw_tree(self, axis: Any, n_shown: int) -> None:
        from matplotlib.collections import LineCollection
        from scipy.cluster.hierarchy import dendrogram

        n_clusters = len(self.valleys)
        colours = cluster_colours(n_clusters)
        n_leaves = len(self.leaf_clusters)
        places = {0: [0.0]}
        lines, shades = [], []
        if n_leaves > 1:
            shown = dendrogram(
                self.linkage,
                n_shown,
                "lastp",
                no_plot=True,
                # The way by which SciPy tells which merge a line stands for.
                link_color_func=str,
            )
            heights = np.clip(shown["dcoord"], LOWEST, HIGHEST)
            lines = [np.c_[x, y] for x, y in zip(shown["icoord"], heights, strict=True)]
            for node in map(int, shown["color_list"]):
                inside = node < 2 * n_leaves - n_clusters
                shades.append(colours[self._cluster_of(node)] if inside else JOINS)
            places = {cluster: [] for cluster in range(n_clusters)}
            for place, node in enumerate(shown["leaves"]):
                places[self._cluster_of(node)].append(5.0 + 10 * place)
        self.tree_ = axis.add_collection(LineCollection(lines, colors=shades, linewidths=1.3))
        middles = [np.mean(places[cluster]) for cluster in range(n_clusters)]
        for cluster, middle in enumerate(middles):
            axis.plot(places[cluster], [LOWEST] * len(places[cluster]), color=colours[cluster])
            axis.plot(middle, LOWEST, "o", color=colours[cluster], clip_on=False)
        size = "small" if n_clusters <= MATRIX_CLUSTERS else "xx-small"
        # Numbers of more clusters would run into one another.
        told = np.sort(np.argsort(middles)[:: -(-n_clusters // MOST_NUMBERED)])
        axis.set_xticks([middles[k] for k in told], map(str, told), fontsize=size)
        axis.tick_params(axis="x", length=0, pad=6)
        axis.set_xlim(-5, 10 * min(n_shown, n_leaves) + 5)
        axis.set(xlabel="cluster", ylabel="significance of the valley")
        axis.set_title("1 cluster" if n_clusters == 1 else f"{n_clusters} clusters")
        self._mark_levels(axis)

    def _draw_numbers(self, axis: Any, n_shown: int) -> None:
        heights = self._heights[: n_shown - 1]
        # Each number holds from one height to the next; of the last that is shown, the end is not.
        numbers = np.repeat(np.arange(1, len(heights) + 2), 2)[:-1]
        ends = np.r_[self._top(), np.repeat(heights, 2)]
        (self.numbers_,) = axis.plot(numbers, ends, color="#0072B2")
        axis.set(xlabel="number of clusters", title="at other levels")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.axvline(len(self.valleys), color=JOINS, linewidth=0.8, zorder=0)
        self._mark_levels(axis)
        other = axis.secondary_yaxis("right", functions=(_reciprocal, _reciprocal))
        ticks = TICKS[1 / self._top() <= TICKS]
        ticks = ticks[ticks <= 1 / LOWEST]
        other.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        other.minorticks_off()
        other.set_ylabel("sensitivity")

    def _draw_valleys(self, axis: Any, _: int) -> None:
        from matplotlib.colors import LogNorm

        n_clusters = len(self.valleys)
        drawn = np.clip(self.valleys, LOWEST, HIGHEST)
        # From white at the level of no valley at all, so that 1 has a colour of its own.
        norm = LogNorm(LOWEST, max(10.0, np.nanmax(drawn, initial=1.0)))
        self.image_ = axis.imshow(drawn, cmap="Blues", norm=norm)
        for (row, column), value in np.ndenumerate(self.valleys):
            if n_clusters <= MATRIX_CLUSTERS and np.isfinite(value):
                dark = norm(np.clip(value, LOWEST, HIGHEST)) > 0.6
                axis.text(
                    column,
                    row,
                    _short(value),
                    ha="center",
                    va="center",
                    fontsize="medium" if n_clusters <= 6 else "xx-small",
                    color="white" if dark else "black",
                )
        if n_clusters <= MATRIX_CLUSTERS:
            axis.set_xticks(range(n_clusters), map(str, range(n_clusters)), fontsize="small")
            axis.set_yticks(range(n_clusters), map(str, range(n_clusters)), fontsize="small")
        axis.tick_params(length=0)
        axis.set(xlabel="cluster", ylabel="cluster", title="valleys between clusters")

    def _mark_levels(self, axis: Any) -> None:
        """A logarithmic axis of significances, and the level that decided."""
        top = self._top()
        axis.set_yscale("log")
        axis.set_ylim(LOWEST, top)
        ticks = TICKS[top >= TICKS]
        axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
        if self.sensitivity is not None:
            level = np.clip(1 / self.sensitivity, LOWEST, HIGHEST)
            axis.axhline(level, color=LEVEL, linestyle="--", linewidth=1, label="level")
        axis.spines[["top", "right"]].set_visible(False)

    def _top(self) -> float:
        """The upper end of the axes, above all lines."""
        level = min(1 / self.sensitivity, HIGHEST) if self.sensitivity is not None else 1.0
        return 1.4 * float(max(level, 1.0, self._heights.max(initial=0.0)))

    def _cluster_of(self, node: int) -> int:
        """The cluster of the first leaf below a node of the tree."""
        n_leaves = len(self.leaf_clusters)
        while node >= n_leaves:
            node = int(self.linkage[node - n_leaves, 0])
        return int(self.leaf_clusters[node])


def _short(value: float) -> str:
    if value > HIGHEST:
        return f">{HIGHEST:g}"
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def _reciprocal(value: Any) -> Any:
    return 1 / np.maximum(value, 1e-9)

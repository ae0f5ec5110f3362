"""Which cluster any point of the plane belongs to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gemclust.displays.base import add_legend, axes_for, cluster_colours, fading
from gemclust.pipelines import seen_by_clusterer

GRAINS = 100_000
"""So many points of the plane are predicted at a time."""


class DecisionMapDisplay:
    """The plane in the colours of the clusters, paler where p(y|x) is undecided.

    Parameters
    ----------
    xs, ys : ndarray of shape (n_columns,) and (n_rows,)
        Where p(y|x) is known.
    proba : ndarray of shape (n_rows, n_columns, n_clusters)
        p(y|x) there.
    samples : ndarray of shape (n_samples, 2), default=None
        Samples to draw on it.
    labels : ndarray of int of shape (n_samples,), default=None
        Their clusters.
    axis_names : tuple of str, default=("", "")
        What the two features are.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the map.
    figure_ : matplotlib Figure
        Which holds it.
    image_ : matplotlib AxesImage
        The map.
    scatter_ : matplotlib PathCollection
        The samples, if there are any.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import make_moons
    >>> from gemclust import GeminiClustering
    >>> from gemclust.displays import DecisionMapDisplay
    >>> X, _ = make_moons(200, noise=0.05, random_state=0)
    >>> model = GeminiClustering(random_state=0).fit(X)
    >>> display = DecisionMapDisplay.from_estimator(model, X, resolution=50)
    >>> display.proba.shape[:2]
    (50, 50)
    """

    def __init__(
        self,
        *,
        xs: NDArray[Any],
        ys: NDArray[Any],
        proba: NDArray[Any],
        samples: NDArray[Any] | None = None,
        labels: NDArray[Any] | None = None,
        axis_names: tuple[str, str] = ("", ""),
    ) -> None:
        self.xs = xs
        self.ys = ys
        self.proba = proba
        self.samples = samples
        self.labels = labels
        self.axis_names = axis_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        resolution: int = 200,
        margin: float = 0.1,
        ax: Any = None,
    ) -> DecisionMapDisplay:
        """Draw p(y|x) of the plane around samples.

        Parameters
        ----------
        estimator : clusterer, or a Pipeline or search that ends in one
            Fitted to two features. Of a pipeline, they are those that its last step sees.
        X : array-like of shape (n_samples, 2)
            New or old samples.
        resolution : int, default=200
            Points along each side.
        margin : float, default=0.1
            How far the plane is shown beyond the samples, as a share of their range.
        ax : matplotlib Axes, default=None
            Where to draw; None: in a new figure.

        Returns
        -------
        display : DecisionMapDisplay

        Raises
        ------
        ValueError
            If there are not two features, or if the resolution is less than 2.
        """
        if not isinstance(resolution, int | np.integer) or resolution < 2:
            raise ValueError(
                f"resolution={resolution!r} is not possible; it must be an integer of at least 2."
            )
        seen = seen_by_clusterer(estimator, X)
        if seen.X.shape[1] != 2:
            raise ValueError(
                f"A map needs two features, but the clusterer sees {seen.X.shape[1]}. Use "
                "ClustersDisplay, which draws their principal components."
            )
        samples = seen.X.toarray() if hasattr(seen.X, "toarray") else seen.X
        low, high = samples.min(0), samples.max(0)
        # Where all samples have the same value there is no range to take a share of.
        beyond = np.where(high > low, margin * (high - low), np.maximum(1, 0.1 * np.abs(high)))
        low, high = low - beyond, high + beyond
        xs, ys = np.linspace(low, high, resolution).T
        grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
        if np.issubdtype(samples.dtype, np.floating):
            grid = grid.astype(samples.dtype)
        named = getattr(seen.model, "feature_names_in_", None)
        parts = [grid[at : at + GRAINS] for at in range(0, len(grid), GRAINS)]
        proba = np.concatenate([seen.model.predict_proba(_named(part, named)) for part in parts])
        display = cls(
            xs=xs,
            ys=ys,
            proba=proba.reshape(resolution, resolution, -1),
            samples=samples,
            labels=np.asarray(estimator.predict(X)),
            axis_names=(str(seen.names[0]), str(seen.names[1])),
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> DecisionMapDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None: in a new figure.

        Returns
        -------
        display : DecisionMapDisplay
            Itself.
        """
        self.ax_ = axes_for(ax, figsize=(5.5, 4.5))
        self.figure_ = self.ax_.figure
        labels, confidence = self.proba.argmax(-1), self.proba.max(-1)
        colours = cluster_colours(self.proba.shape[-1])
        half = 0.5 * (self.xs[1] - self.xs[0]), 0.5 * (self.ys[1] - self.ys[0])
        across = self.xs[0] - half[0], self.xs[-1] + half[0]
        edges = (*across, self.ys[0] - half[1], self.ys[-1] + half[1])
        image = fading(colours, labels, confidence)
        image[..., 3] = 0.45
        self.image_ = self.ax_.imshow(
            image, origin="lower", extent=edges, aspect="auto", interpolation="nearest"
        )
        if self.samples is not None and self.labels is not None:
            self.scatter_ = self.ax_.scatter(
                *self.samples.T,
                c=colours[self.labels],
                s=np.clip(4000 / len(self.labels), 3, 25),
                edgecolors="white",
                linewidths=0.3,
            )
        self.ax_.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        add_legend(self.ax_, colours, labels)
        return self


def _named(points: NDArray[Any], names: Any) -> Any:
    """A DataFrame, if the model knows names; without them it would warn."""
    if names is None:
        return points
    import pandas as pd

    return pd.DataFrame(points, columns=names)

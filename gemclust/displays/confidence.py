"""How sure the model is of the samples of each cluster."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gemclust.displays.base import axes_for, cluster_colours


class ConfidenceDisplay:
    """p(y|x) of each sample's own cluster, sorted within the clusters, like a silhouette plot.

    A cluster whose bar has a long slope shares many samples with others. The dashed line is the
    mean.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_clusters)
        p(y|x).

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the bars.
    figure_ : matplotlib Figure
        Which holds it.
    bars_ : list of matplotlib PolyCollection
        One for each cluster, its samples from the most to the least sure.
    mean_ : matplotlib Line2D
        The mean over all samples.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from gemclust import GeminiClustering
    >>> from gemclust.displays import ConfidenceDisplay
    >>> X = load_iris().data
    >>> model = GeminiClustering(3, alpha=0.001, random_state=0).fit(X)
    >>> display = ConfidenceDisplay.from_estimator(model, X)
    >>> len(display.bars_)
    3
    """

    def __init__(self, *, proba: NDArray[Any]) -> None:
        self.proba = proba

    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, *, ax: Any = None) -> ConfidenceDisplay:
        """Draw p(y|x) of samples.

        Parameters
        ----------
        estimator : clusterer, or a Pipeline or search that ends in one
            Fitted, with `predict_proba`.
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New or old samples.
        ax : matplotlib Axes, default=None
            Where to draw; None: in a new figure.

        Returns
        -------
        display : ConfidenceDisplay
        """
        return cls(proba=np.asarray(estimator.predict_proba(X))).plot(ax)

    def plot(self, ax: Any = None) -> ConfidenceDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None: in a new figure.

        Returns
        -------
        display : ConfidenceDisplay
            Itself.
        """
        self.ax_ = axes_for(ax, figsize=(5.5, 4.5))
        self.figure_ = self.ax_.figure
        n_samples, n_clusters = self.proba.shape
        labels, confidence = self.proba.argmax(1), self.proba.max(1)
        colours = cluster_colours(n_clusters)
        gap = max(1, n_samples // 50)
        self.bars_, middles, top = [], [], 0
        for k in range(n_clusters):
            values = np.sort(confidence[labels == k])[::-1]
            places = top + np.arange(len(values) + 1)
            # As steps, so that each sample has its height of 1, a single one too.
            bar = self.ax_.fill_betweenx(
                places, 0, np.r_[values, values[-1:]] if len(values) else 0, step="post"
            )
            bar.set(color=colours[k], linewidth=0)
            self.bars_.append(bar)
            middles.append(top + 0.5 * len(values))
            top += len(values) + gap
        self.mean_ = self.ax_.axvline(confidence.mean(), color="0.3", linestyle="--", linewidth=1)
        self.ax_.set_yticks(middles, [str(k) for k in range(n_clusters)])
        self.ax_.tick_params(axis="y", length=0)
        self.ax_.set(xlim=(0, 1), ylim=(top - gap, 0), xlabel="p(own cluster | x)")
        self.ax_.set_ylabel("cluster")
        self.ax_.spines[["top", "right", "left"]].set_visible(False)
        return self

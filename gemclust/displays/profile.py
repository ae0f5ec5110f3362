"""How the features differ between clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gemclust.displays.base import axes_for
from gemclust.explain import standardised_differences
from gemclust.pipelines import seen_by_clusterer

WRITTEN = 200
"""Numbers are written into tables of at most so many cells."""


class ProfileDisplay:
    """How each feature differs in each cluster, in standard deviations of all samples.

    Parameters
    ----------
    differences : ndarray of shape (n_clusters, n_features)
        Mean in the cluster less that of all samples, in standard deviations.
    feature_names : sequence of str
        Names of the features.
    sizes : ndarray of shape (n_clusters,), default=None
        Number of samples of each cluster.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the table.
    figure_ : matplotlib Figure
        Which holds it.
    image_ : matplotlib AxesImage
        The differences, a row for each feature and a column for each cluster.

    See Also
    --------
    gemclust.explain.cluster_profiles : The numbers.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from gemclust import GeminiClustering
    >>> from gemclust.displays import ProfileDisplay
    >>> X = load_iris(as_frame=True).data
    >>> display = ProfileDisplay.from_estimator(GeminiClustering(3, random_state=0).fit(X), X)
    >>> [text.get_text() for text in display.ax_.get_yticklabels()][0]
    'petal length (cm)'
    """

    def __init__(
        self,
        *,
        differences: NDArray[Any],
        feature_names: Any,
        sizes: NDArray[Any] | None = None,
    ) -> None:
        self.differences = differences
        self.feature_names = feature_names
        self.sizes = sizes

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        soft: bool = True,
        max_features: int = 20,
        ax: Any = None,
    ) -> ProfileDisplay:
        """Draw the profile of the clusters of samples.

        Parameters
        ----------
        estimator : clusterer, or a Pipeline or search that ends in one
            Fitted, with `predict_proba`. Of a pipeline, features are those its last step sees.
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New or old samples.
        soft : bool, default=True
            Whether samples count in each cluster by their p(y|x), or in their most probable one
            only.
        max_features : int, default=20
            At most so many features are shown: those that differ most, the most different first.
        ax : matplotlib Axes, default=None
            Where to draw; None: in a new figure.

        Returns
        -------
        display : ProfileDisplay

        Raises
        ------
        ValueError
            If `max_features` is not an integer of at least 1.
        """
        if not isinstance(max_features, int | np.integer) or max_features < 1:
            raise ValueError(f"{max_features=} is not possible; it must be an integer from 1 on.")
        seen = seen_by_clusterer(estimator, X)
        proba = np.asarray(estimator.predict_proba(X), dtype=np.float64)
        hard = np.eye(proba.shape[1])[proba.argmax(1)]
        differences = standardised_differences(seen.X, proba if soft else hard)
        largest = np.abs(np.nan_to_num(differences)).max(0)
        shown = np.argsort(-largest, kind="stable")[:max_features]
        display = cls(
            differences=differences[:, shown],
            feature_names=seen.names[shown],
            sizes=hard.sum(0).astype(int),
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> ProfileDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None: in a new figure.

        Returns
        -------
        display : ProfileDisplay
            Itself.
        """
        n_clusters, n_features = self.differences.shape
        size = (2.5 + 0.55 * n_clusters, 1.2 + 0.3 * n_features)
        self.ax_ = axes_for(ax, figsize=size)
        self.figure_ = self.ax_.figure
        # Common ends on both sides, so that white is no difference.
        end = max(1.0, float(np.abs(np.nan_to_num(self.differences)).max(initial=0.0)))
        self.image_ = self.ax_.imshow(
            self.differences.T, cmap="RdBu_r", vmin=-end, vmax=end, aspect="auto"
        )
        self._write(end)
        names = [str(k) for k in range(n_clusters)]
        if self.sizes is not None:
            names = [f"{k}\n({size})" for k, size in enumerate(self.sizes)]
        self.ax_.set_xticks(range(n_clusters), names, fontsize="small")
        self.ax_.set_yticks(range(n_features), list(self.feature_names), fontsize="small")
        self.ax_.tick_params(length=0)
        self.ax_.set_xlabel("cluster" if self.sizes is None else "cluster (samples)")
        bar = self.figure_.colorbar(self.image_, ax=self.ax_)
        bar.set_label("difference, in standard deviations")
        return self

    def _write(self, end: float) -> None:
        if self.differences.size > WRITTEN:
            return
        for (cluster, feature), value in np.ndenumerate(self.differences):
            if np.isfinite(value):
                colour = "white" if abs(value) > 0.6 * end else "black"
                text = f"{value:+.1f}"
                self.ax_.text(
                    cluster, feature, text, ha="center", va="center", fontsize=7, color=colour
                )

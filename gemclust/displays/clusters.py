"""Samples in two dimensions, with their clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from gemclust.displays.base import add_legend, axes_for, cluster_colours, fading
from gemclust.pipelines import Seen, seen_by_clusterer


class ClustersDisplay:
    """Clusters and how sure they are, in two dimensions: pale samples lie between clusters.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, 2)
        Where samples are drawn.
    proba : ndarray of shape (n_samples, n_clusters)
        p(y|x).
    axis_names : tuple of str, default=("", "")
        What the two dimensions are.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the samples.
    figure_ : matplotlib Figure
        Which holds it.
    scatter_ : matplotlib PathCollection
        The samples, the least sure on top.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from gemclust import GeminiClustering
    >>> from gemclust.displays import ClustersDisplay
    >>> X = load_iris().data
    >>> display = ClustersDisplay.from_estimator(GeminiClustering(3, random_state=0).fit(X), X)
    >>> display.embedding.shape
    (150, 2)
    """

    def __init__(
        self,
        *,
        embedding: NDArray[Any],
        proba: NDArray[Any],
        axis_names: tuple[str, str] = ("", ""),
    ) -> None:
        self.embedding = embedding
        self.proba = proba
        self.axis_names = axis_names

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, *, embedding: Any = None, ax: Any = None
    ) -> ClustersDisplay:
        """Draw samples with their p(y|x).

        Parameters
        ----------
        estimator : clusterer, or a Pipeline or search that ends in one
            Fitted, with `predict_proba`.
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New or old samples.
        embedding : transformer, or array-like of shape (n_samples, 2), default=None
            Where samples are drawn, or what makes two dimensions of the features that the clusterer
            sees, such as UMAP. A fitted transformer is used as it is; of one that is not fitted, or
            that places no new samples, as TSNE, a copy is fitted to X. None: the features
            themselves if they are two, else their principal components (of sparse X, not centred).
        ax : matplotlib Axes, default=None
            Where to draw; None: in a new figure.

        Returns
        -------
        display : ClustersDisplay

        Raises
        ------
        ValueError
            If the embedding does not have two columns and a row for each sample.
        """
        if isinstance(embedding, str):
            raise ValueError(
                f"{embedding=} is a name; give the transformer, such as PCA(2), or points."
            )
        seen = seen_by_clusterer(estimator, X)
        names = ("", "")
        if embedding is None:
            points, names = _two_dimensions(seen.X, seen.names)
        elif hasattr(embedding, "fit"):
            points = np.asarray(_embedded(embedding, seen))
        else:
            points = np.asarray(embedding)
        if points.shape != (seen.X.shape[0], 2):
            raise ValueError(
                f"The embedding has shape {points.shape}; it must have shape "
                f"({seen.X.shape[0]}, 2), a point for each sample."
            )
        display = cls(embedding=points, proba=estimator.predict_proba(X), axis_names=names)
        return display.plot(ax)

    def plot(self, ax: Any = None) -> ClustersDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None: in a new figure.

        Returns
        -------
        display : ClustersDisplay
            Itself.
        """
        self.ax_ = axes_for(ax, figsize=(5.5, 4.5))
        self.figure_ = self.ax_.figure
        labels, confidence = self.proba.argmax(1), self.proba.max(1)
        colours = cluster_colours(self.proba.shape[1])
        order = np.argsort(-confidence, kind="stable")
        self.scatter_ = self.ax_.scatter(
            *self.embedding[order].T,
            c=fading(colours, labels, confidence)[order],
            s=np.clip(4000 / len(labels), 3, 30),
            edgecolors=colours[labels][order],
            linewidths=0.4,
        )
        self.ax_.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        self.ax_.spines[["top", "right"]].set_visible(False)
        add_legend(self.ax_, colours, labels)
        return self


def _two_dimensions(X: Any, names: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, str]]:
    """The features if they are two, else their principal components, and what these are."""
    if X.shape[1] == 1:
        return np.c_[_dense(X), np.zeros(X.shape[0])], (str(names[0]), "")
    if X.shape[1] == 2:
        return _dense(X), (str(names[0]), str(names[1]))
    from sklearn.decomposition import PCA, TruncatedSVD

    if not _dense(X.max(0) - X.min(0)).any():
        # Samples that are all equal vary along no component.
        return np.zeros((X.shape[0], 2)), ("component 1", "component 2")
    method = TruncatedSVD(2, random_state=0) if sp.issparse(X) else PCA(2, random_state=0)
    points = np.asarray(method.fit_transform(X))
    first, second = (f"{share:.0%} of the variance" for share in method.explained_variance_ratio_)
    return points, (f"component 1, {first}", f"component 2, {second}")


def _embedded(transformer: Any, seen: Seen) -> Any:
    """Where a transformer places the samples, itself if it is fitted, else a copy."""
    X = seen.table if hasattr(transformer, "feature_names_in_") else seen.X
    return transformer.transform(X) if _places(transformer) else clone(transformer).fit_transform(X)


def _places(transformer: Any) -> bool:
    """Whether new samples can be placed by what it was fitted to."""
    try:
        check_is_fitted(transformer)
    except NotFittedError:
        return False
    return hasattr(transformer, "transform")


def _dense(X: Any) -> NDArray[Any]:
    return X.toarray() if sp.issparse(X) else X

"""GEMINIs of the maximum mean discrepancy: distances between mean embeddings of a kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from gemclust.objectives.base import Batch, Objective, safe_sqrt


class MMD(Objective):
    r"""Maximum mean discrepancy, with a kernel.

    .. math:: I_{ova} = \sum_k \| S_k - \pi_k \bar\varphi \|, \qquad
              I_{ovo} = \sum_{k,l} \| \pi_l S_k - \pi_k S_l \|

    where :math:`S_k = \langle p_{ik} \varphi(x_i) \rangle`,
    :math:`\bar\varphi = \langle \varphi(x_i) \rangle` and :math:`\varphi` is a feature map of the
    kernel. Linear and cosine kernels have one of the data's size, so nothing grows with the
    square of the number of samples.

    Parameters
    ----------
    mode : {"ova", "ovo"}, default="ova"
        One-vs-all or one-vs-one.
    kernel : str or callable, default="linear"
        A name that scikit-learn's `pairwise_kernels` knows, a function of two rows that returns a
        number, or of two matrices that returns the matrix of kernel values, or "precomputed" if
        `fit` gets an `affinity`.
    gamma : float or {"median", "scale", "auto"}, default=None
        Bandwidth of the kernels that have one. "median": 1 / (2 m^2) for rbf and 1 / m for
        laplacian, with m the median (Euclidean or Manhattan) distance between distinct rows;
        "scale": 1 / (n_features * v), with v the mean variance of the features (laplacian: its
        square root); "auto": 1 / n_features. None: "median" for rbf and laplacian, scikit-learn's
        own default for other kernels.
    degree, coef0 : float, default=None
        Passed to the kernels that have them; None is scikit-learn's default.
    n_components : int, "auto" or None, default="auto"
        Size of the Nystroem feature map of a kernel that has no finite one of its own. None:
        the exact n_samples x n_samples matrix. "auto": exact up to 5,000 samples, 500
        components above. Narrow kernels need more of them: see "Kernels at scale" in the
        documentation.
    random_state : int, default=0
        Draws the Nystroem landmarks.

    See Also
    --------
    Wasserstein : The same from distances instead of a kernel.

    Examples
    --------
    >>> from gemclust.metrics import gemini_score
    >>> gemini_score([[0.0], [1.0]], [0, 1], objective=MMD())
    0.5
    """

    affinity: ClassVar[str | None] = "kernel"

    def __init__(
        self,
        mode: str = "ova",
        kernel: str | Callable[..., Any] = "linear",
        gamma: float | str | None = None,
        degree: float | None = None,
        coef0: float | None = None,
        n_components: int | str | None = "auto",
        random_state: int = 0,
    ) -> None:
        super().__init__(mode)
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.n_components = n_components
        self.random_state = random_state

    def check(self) -> None:
        super().check()
        for name in ("gamma", "degree", "coef0"):
            value = getattr(self, name)
            named = name == "gamma" and isinstance(value, str)
            if not (named or value is None or isinstance(value, int | float | np.number)):
                raise ValueError(f"{name}={value!r} is not possible; it must be a number or None.")

    def means(self, batch: Batch, *earlier: Tensor) -> tuple[Tensor, ...]:
        assert batch.features is not None
        return batch.proportions, _times_features(batch.weighted_proba, batch.features)

    def inner_product(
        self, batch: Batch, earlier: Sequence[Tensor], factors: Sequence[Tensor]
    ) -> Tensor:
        assert batch.features is not None
        by_proportions, by_embeddings = factors
        products = _with_features(by_embeddings, batch.features)
        total = (batch.proportions * by_proportions).sum()
        return total + (batch.weighted_proba * products).sum()

    def value(self, *means: Tensor) -> Tensor:
        proportions, embeddings = means
        # Probabilities sum to 1, so that embeddings sum to that of these very samples; with another
        # one, an assignment that does not depend on x would not have the value 0.
        overall = embeddings.sum(1, keepdim=True)
        deviations = embeddings - proportions[..., None] * overall
        if self.mode == "ova":
            return safe_sqrt(deviations.square().sum(-1)).sum(-1)
        return _one_vs_one(proportions, deviations @ deviations.transpose(1, 2))

    def evaluate(self, batch: Batch) -> Tensor:
        if batch.matrix is None:
            return super().evaluate(batch)
        proportions = batch.proportions
        deviations = batch.weighted_proba - batch.weight[:, None] * proportions[:, None]
        # The matrix is symmetric, so that the gradient needs no second product with it: the Gram
        # matrix is that of the deviations as they are, and its slope that of 2 <d, K d>.
        still = deviations.detach()
        image = torch.einsum("nm,rmk->rnk", batch.matrix, still)
        if self.mode == "ova":
            squares = ((2 * deviations - still) * image).sum(1)
            return batch.unit * safe_sqrt(squares).sum(-1)
        gram = deviations.transpose(1, 2) @ image
        gram = gram + gram.transpose(1, 2) - gram.detach()
        return batch.unit * _one_vs_one(proportions, gram)


def _times_features(weighted: Tensor, features: Tensor) -> Tensor:
    """sum_i weighted_ik phi(x_i), of shape (n_restarts, n_clusters, n_components)."""
    restarts, samples, clusters = weighted.shape
    columns = weighted.permute(1, 0, 2).reshape(samples, restarts * clusters)
    if features.layout == torch.strided:
        product = columns.T @ features
    else:
        product = (features.t() @ columns).T
    return product.reshape(restarts, clusters, -1)


def _with_features(embeddings: Tensor, features: Tensor) -> Tensor:
    """<embedding_k, phi(x_i)>, of shape (n_restarts, n_samples, n_clusters), samples last."""
    restarts, clusters, components = embeddings.shape
    rows = embeddings.reshape(restarts * clusters, components)
    dense = features.layout == torch.strided
    products = rows @ features.T if dense else (features @ rows.T).T
    return products.unflatten(0, (restarts, clusters)).transpose(1, 2)


def _one_vs_one(proportions: Tensor, gram: Tensor) -> Tensor:
    """sum_kl || pi_l d_k - pi_k d_l || from the Gram matrix of the d's."""
    squares = gram.diagonal(dim1=1, dim2=2)
    by_other = proportions.square()[:, None, :] * squares[:, :, None]
    crossed = proportions[:, :, None] * proportions[:, None, :] * gram
    return safe_sqrt(by_other + by_other.transpose(1, 2) - 2 * crossed).sum((1, 2))

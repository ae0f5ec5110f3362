r"""GEMINIs of f-divergences: they see the probabilities p(y|x) only, never where samples lie.

In the formulas, :math:`p_{ik} = p(y=k|x_i)`, :math:`\pi_k = \langle p_{ik} \rangle` and
:math:`\langle\cdot\rangle` is the weighted mean over samples. Source: Ohl et al., Generalised
Mutual Information for Discriminative Clustering, NeurIPS 2022.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from gemclust.objectives.base import PROBABILITY_FLOOR, Batch, Objective, safe_sqrt


class KL(Objective):
    r"""Kullback-Leibler divergence; one-vs-all it is the mutual information of x and y.

    .. math:: I_{ova} = \sum_k \langle p_{ik} \log p_{ik} \rangle - \pi_k \log \pi_k, \qquad
              I_{ovo} = \sum_k \langle p_{ik} \log p_{ik} \rangle
                        - \pi_k \langle \log p_{ik} \rangle

    One-vs-one is unbounded at hard assignments; the floor on probabilities bounds it.

    Parameters
    ----------
    mode : {"ova", "ovo"}, default="ova"
        One-vs-all or one-vs-one.

    Examples
    --------
    >>> from gemclust.metrics import gemini_score
    >>> round(gemini_score([[0.0], [1.0]], [0, 1], objective=KL()), 4)
    0.6931
    """

    def means(self, batch: Batch, *earlier: Tensor) -> tuple[Tensor, ...]:
        negentropy = batch.mean(batch.proba * batch.floored_log_proba)
        if self.mode == "ova":
            return batch.proportions, negentropy
        return batch.proportions, negentropy, batch.mean(batch.floored_log_proba)

    def value(self, *means: Tensor) -> Tensor:
        proportions, negentropy = means[:2]
        if self.mode == "ovo":
            return (negentropy - proportions * means[2]).sum(-1)
        log_proportions = torch.where(proportions > 0, proportions, 1.0).log()
        return (negentropy - proportions * log_proportions).sum(-1)


class TotalVariation(Objective):
    r"""Total variation distance.

    .. math:: I_{ova} = \tfrac12 \sum_k \langle |p_{ik} - \pi_k| \rangle, \qquad
              I_{ovo} = \tfrac12 \sum_{k,l} \langle |\pi_l p_{ik} - \pi_k p_{il}| \rangle

    Parameters
    ----------
    mode : {"ova", "ovo"}, default="ova"
        One-vs-all or one-vs-one.

    Examples
    --------
    >>> from gemclust.metrics import gemini_score
    >>> gemini_score([[0.0], [1.0]], [0, 1], objective=TotalVariation())
    0.5
    """

    n_stages: ClassVar[int] = 2

    def means(self, batch: Batch, *earlier: Tensor) -> tuple[Tensor, ...]:
        if not earlier:
            return (batch.proportions,)
        proportions = earlier[0][:, None]
        if self.mode == "ova":
            return (batch.mean((batch.proba - proportions).abs().sum(-1)),)
        return (batch.mean(_sum_of_gaps(batch.proba, proportions)),)

    def value(self, *means: Tensor) -> Tensor:
        return 0.5 * means[1]


def _sum_of_gaps(proba: Tensor, proportions: Tensor) -> Tensor:
    """sum_kl |pi_l p_k - pi_k p_l| of each sample, in O(K log K).

    With the clusters sorted by p / pi every absolute value has a known sign, and the sum over l
    becomes a difference of cumulative proportions.
    """
    proportions = proportions.expand_as(proba)
    ratio = torch.where(
        proportions > 0, proba / torch.where(proportions > 0, proportions, 1.0), 0.0
    )
    order = ratio.detach().argsort(-1)
    proba, proportions = proba.gather(-1, order), proportions.gather(-1, order)
    up_to = proportions.cumsum(-1)
    total = up_to[..., -1:]
    return 2 * (proba * (2 * up_to - proportions - total)).sum(-1)


class Hellinger(Objective):
    r"""Squared Hellinger distance.

    .. math:: I_{ova} = 1 - \sum_k \sqrt{\pi_k} \langle \sqrt{p_{ik}} \rangle, \qquad
              I_{ovo} = 1 - \sum_{k,l} \sqrt{\pi_k \pi_l} \langle \sqrt{p_{ik} p_{il}} \rangle

    Parameters
    ----------
    mode : {"ova", "ovo"}, default="ova"
        One-vs-all or one-vs-one.

    Examples
    --------
    >>> from gemclust.metrics import gemini_score
    >>> gemini_score([[0.0], [1.0]], [0, 1], objective=Hellinger("ovo"))
    0.5
    """

    def means(self, batch: Batch, *earlier: Tensor) -> tuple[Tensor, ...]:
        root = (0.5 * batch.log_proba).exp()
        if self.mode == "ova":
            return batch.proportions, batch.mean(root)
        return batch.proportions, root.transpose(1, 2) @ (batch.weight[:, None] * root)

    def value(self, *means: Tensor) -> Tensor:
        proportions, overlaps = means
        root = safe_sqrt(proportions)
        if self.mode == "ova":
            return 1 - (root * overlaps).sum(-1)
        return 1 - torch.einsum("rk,rkl,rl->r", root, overlaps, root)


class ChiSquared(Objective):
    r"""Pearson's chi-squared divergence.

    .. math:: I_{ova} = \sum_k \frac{\langle p_{ik}^2 \rangle}{\pi_k} - 1, \qquad
              I_{ovo} = \sum_{k,l} \frac{\pi_l^2}{\pi_k}
                        \left\langle \frac{p_{ik}^2}{p_{il}} \right\rangle - 1

    One-vs-one is unbounded at hard assignments; the floor on probabilities bounds it.

    Parameters
    ----------
    mode : {"ova", "ovo"}, default="ova"
        One-vs-all or one-vs-one.

    Examples
    --------
    >>> from gemclust.metrics import gemini_score
    >>> gemini_score([[0.0], [1.0]], [0, 1], objective=ChiSquared())
    1.0
    """

    def means(self, batch: Batch, *earlier: Tensor) -> tuple[Tensor, ...]:
        square = batch.proba.square()
        if self.mode == "ova":
            return batch.proportions, batch.mean(square)
        inverse = (-batch.floored_log_proba).exp()
        return batch.proportions, (batch.weight[:, None] * square).transpose(1, 2) @ inverse

    def value(self, *means: Tensor) -> Tensor:
        proportions, ratios = means
        inverse = 1 / proportions.clamp(min=PROBABILITY_FLOOR)
        if self.mode == "ova":
            return (inverse * ratios).sum(-1) - 1
        return torch.einsum("rk,rkl,rl->r", inverse, ratios, proportions.square()) - 1

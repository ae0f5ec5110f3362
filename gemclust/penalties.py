"""What training adds to a GEMINI: weight decay, balance, and adversarial smoothness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gemclust.models import Model, log_probabilities_of
from gemclust.objectives import PROBABILITY_FLOOR

PROBE = 10.0
"""Where the adversarial direction is looked for, in radii: the papers' choice."""


@dataclass(frozen=True)
class Penalties:
    """Weights of what training adds to the objective, or takes from it.

    Parameters
    ----------
    alpha : float
        Of the sum of squared weights of the model, subtracted.
    entropy : float
        Of the entropy of p(y), added.
    vat : float
        Of the virtual adversarial divergence, subtracted.
    radius : float
        Length of adversarial perturbations of the model's input.
    """

    alpha: float = 0.0
    entropy: float = 0.0
    vat: float = 0.0
    radius: float = 0.0


NO_PENALTIES = Penalties()


def adversarial_divergence(
    model: Model,
    parameters: Tensor,
    X: Tensor,
    weight: Tensor,
    radius: float,
    seed: int,
    clusters: Sequence[Sequence[int]] | None = None,
    log_proba: Tensor | None = None,
) -> Tensor:
    r"""Mean divergence of p(y|x) from that at the worst point within a radius.

    .. math:: \langle KL(p(y|x_i) \| p(y|x_i + r_i)) \rangle, \qquad
              r_i = \epsilon \frac{g_i}{\|g_i\|}, \qquad
              g_i = \nabla_r KL(p(y|x_i) \| p(y|x_i + r)) |_{r = \xi d_i}

    with random directions :math:`d_i`, the same for all restarts. Only the second p(y|x) has a
    gradient. Source: Miyato et al., Virtual Adversarial Training, TPAMI 2019, with one power
    iteration.

    Parameters
    ----------
    model : Model
        p(y|x).
    parameters : tensor of shape (n_restarts, n_parameters)
        Of each restart.
    X : tensor of shape (n_samples, n_features)
        What the model sees, dense.
    weight : tensor of shape (n_samples,)
        Of the samples in the mean.
    radius : float
        Length of the perturbations.
    seed : int
        Draws the directions.
    clusters : sequence of sequence of int, optional
        The units of each cluster; each is one by default.
    log_proba : tensor of shape (n_restarts, n_samples, n_clusters), optional
        log p(y|x) of these samples where the caller has them.

    Returns
    -------
    divergence : tensor of shape (n_restarts,)
    """

    def at(points: Tensor, parameters: Tensor) -> Tensor:
        logits = model.logits(parameters, points, training=True)
        return log_probabilities_of(logits, clusters).clamp(min=math.log(PROBABILITY_FLOOR))

    if log_proba is None:
        with torch.no_grad():
            log_proba = at(X, parameters)
    reference = log_proba.detach().clamp(min=math.log(PROBABILITY_FLOOR))
    joint = weight[:, None] * log_proba.detach().exp()

    def divergence(log_proba: Tensor) -> Tensor:
        return (joint * (reference - log_proba)).sum((1, 2))

    with model.without_traces():
        chance = torch.Generator().manual_seed(seed)
        draws = torch.rand(X.shape, generator=chance, dtype=X.dtype) - 0.5
        step = _unit_length(draws.to(X.device)).expand(len(parameters), *X.shape)
        step = (PROBE * radius * step).requires_grad_()
        (slope,) = torch.autograd.grad(divergence(at(X + step, parameters.detach())).sum(), step)
        worst = _unit_length(torch.where(slope.abs().amax(-1, keepdim=True) > 0, slope, step))
        return divergence(at(X + radius * worst.detach(), parameters))


def _unit_length(rows: Tensor) -> Tensor:
    # Divided by the largest number first, since squares of slopes may underflow.
    rows = rows.detach()
    rows = rows / rows.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)
    return rows / rows.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)

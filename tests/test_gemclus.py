"""Values and gradients against gemclus, the authors' own package, where it is installed."""

import numpy as np
import pytest
import torch

from gemclust.objectives import OBJECTIVES, Batch, get_objective

gemini = pytest.importorskip("gemclus.gemini")

CLASSES = {
    "kl": gemini.KLGEMINI,
    "tv": gemini.TVGEMINI,
    "hellinger": gemini.HellingerGEMINI,
    "chi2": gemini.ChiSquareGEMINI,
    "mmd": gemini.MMDGEMINI,
    "wasserstein": gemini.WassersteinGEMINI,
}


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if "sliced" not in name])
@pytest.mark.parametrize("n_clusters", [2, 4])
def test_value_and_gradient_equal_those_of_gemclus(name, n_clusters, make_problem):
    problem = make_problem(25, n_clusters, seed=n_clusters, uniform=True)
    logits = problem.logits.requires_grad_()
    affinity = torch.cdist(problem.X, problem.X)
    objective = get_objective(name)
    batch = Batch(
        logits.log_softmax(-1),
        problem.weight,
        features=problem.X if objective.affinity == "kernel" else None,
        matrix=affinity if objective.affinity == "distance" else None,
        triangle=True,
    )
    value = objective.evaluate(batch)[0]
    (gradient,) = torch.autograd.grad(value, logits)

    family, mode = ("kl_ova" if name == "mi" else name).rsplit("_", 1)
    peer = CLASSES[family](ovo=mode == "ovo")
    proba = logits[0].detach().softmax(-1).numpy()
    peer_affinity = peer.compute_affinity(problem.X.numpy())
    expected, to_proba = peer.evaluate(proba, peer_affinity, return_grad=True)
    # On the simplex a gradient has no meaning but through the softmax.
    expected_gradient = proba * (to_proba - (proba * to_proba).sum(1, keepdims=True))
    if family == "chi2":  # gemclus has (D + 1) / 2
        expected, expected_gradient = 2 * expected - 1, 2 * expected_gradient
    assert value.item() == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(gradient[0].numpy(), expected_gradient, atol=1e-9)

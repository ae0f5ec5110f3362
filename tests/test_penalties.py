"""Virtual adversarial training and the entropy of p(y), next to their formulas."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from references import gemini_by_name
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from torch import nn

from gemclust import GeminiClustering
from gemclust import chunks as chunks_module
from gemclust.geometry import Geometry
from gemclust.models import Perceptron
from gemclust.modules import ModuleModel
from gemclust.objectives import OBJECTIVES, PROBABILITY_FLOOR, Batch, get_objective
from gemclust.objectives.balanced import Balanced
from gemclust.penalties import PROBE, Penalties, adversarial_divergence
from gemclust.problem import Problem
from gemclust.samples import Samples
from gemclust.seeding import start
from gemclust.selection import best_restart
from gemclust.training import Run, Settings
from gemclust.units import UnitModel

N_SAMPLES, RADIUS, SEED = 9, 0.3, 5
SETTINGS = Settings("lbfgs", None, 0.01, max_iter=20, tol=1e-4, n_iter_no_change=10)


def small_module(n_features, n_units):
    return nn.Sequential(nn.Linear(n_features, 5), nn.Tanh(), nn.Linear(5, n_units))


class Normalised(nn.Module):
    def __init__(self, n_features, n_units):
        super().__init__()
        self.norm = nn.BatchNorm1d(n_features)
        self.linear = nn.Linear(n_features, n_units)

    def forward(self, x):
        return self.linear(self.norm(x))


MODELS = {
    "linear": lambda: Perceptron((3, 4)),
    "mlp": lambda: Perceptron((3, 6, 4), "tanh"),
    "module": lambda: ModuleModel(small_module, 3, 4),
}


def setting(model, n_restarts=1):
    rng = np.random.default_rng(0)
    X = torch.as_tensor(rng.normal(size=(N_SAMPLES, 3)))
    weight = torch.as_tensor(rng.dirichlet(np.ones(N_SAMPLES)))
    parameters = 2 * model.initialise(list(range(n_restarts)), torch.float64)
    return X, weight, parameters


def reference(model, parameters, X, weight, clusters=None):
    """Sample by sample, restart by restart, through the module of each."""
    draws = torch.rand(X.shape, generator=torch.Generator().manual_seed(SEED), dtype=X.dtype)
    total = []
    for flat in parameters:
        module = model.module(flat)

        def proba(x, module=module):
            p = module(x[None])[0].softmax(0)
            return p if clusters is None else torch.stack([p[units].sum() for units in clusters])

        divergence = 0.0
        for x, w, draw in zip(X, weight, draws - 0.5, strict=True):
            p = proba(x).detach()
            step = (PROBE * RADIUS * draw / draw.norm()).requires_grad_()
            kl = (p * (p / proba(x + step)).log()).sum()
            (slope,) = torch.autograd.grad(kl, step)
            worst = x + RADIUS * slope / slope.norm()
            divergence = divergence + w * (p * (p / proba(worst)).log()).sum()
        total.append(float(divergence.detach()))
    return total


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("clusters", [None, [[0, 2], [1], [3]]], ids=["units", "clusters"])
@pytest.mark.parametrize("n_restarts", [1, 3])
def test_adversarial_divergence_is_its_formula(model, clusters, n_restarts):
    model = MODELS[model]()
    X, weight, parameters = setting(model, n_restarts)
    found = adversarial_divergence(model, parameters, X, weight, RADIUS, SEED, clusters)
    assert min(found.tolist()) > 1e-4
    np.testing.assert_allclose(found, reference(model, parameters, X, weight, clusters), rtol=1e-9)


def test_worst_direction_is_worse_than_a_random_one():
    model = MODELS["mlp"]()
    X, weight, parameters = setting(model)

    def divergence(moved):
        log_p, log_q = (model.logits(parameters, x)[0].log_softmax(1) for x in (X, moved))
        return float((weight[:, None] * log_p.exp() * (log_p - log_q)).sum())

    draws = torch.randn(200, *X.shape, generator=torch.Generator().manual_seed(0)).double()
    steps = RADIUS * draws / draws.norm(dim=-1, keepdim=True)
    typical = np.median([divergence(X + step) for step in steps])
    found = adversarial_divergence(model, parameters, X, weight, RADIUS, SEED)
    assert float(found) > 1.2 * typical


def test_gradient_holds_directions_and_p_constant():
    """Finite differences of the divergence at the perturbed points, which stay where they are."""
    model = MODELS["mlp"]()
    X, weight, parameters = setting(model)
    leaf = parameters.clone().requires_grad_()
    value = adversarial_divergence(model, leaf, X, weight, RADIUS, SEED)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    seen = []
    spy = Perceptron(model.sizes, model.activation)
    spy.logits = lambda p, x, training=False: seen.append(x) or model.logits(p, x, training)
    adversarial_divergence(spy, parameters, X, weight, RADIUS, SEED)
    reference = model.logits(parameters, X).log_softmax(2)

    def moved(flat):
        other = model.logits(flat, seen[-1]).log_softmax(2)
        return float((weight[:, None] * reference.exp() * (reference - other)).sum())

    for i in range(0, parameters.shape[1], 7):
        step = torch.zeros_like(parameters)
        step[0, i] = 1e-6
        slope = (moved(parameters + step) - moved(parameters - step)) / 2e-6
        assert slope == pytest.approx(float(gradient[0, i]), rel=1e-4, abs=1e-8)


def test_flat_models_have_no_divergence():
    model = MODELS["linear"]()
    X, weight, parameters = setting(model)
    flat = torch.zeros_like(parameters).requires_grad_()
    found = adversarial_divergence(model, flat, X, weight, RADIUS, SEED)
    (gradient,) = torch.autograd.grad(found.sum(), flat)
    assert found.item() == 0
    assert gradient.isfinite().all()


def test_running_statistics_do_not_see_perturbed_samples():
    model = ModuleModel(Normalised, 3, 4)
    X, weight, parameters = setting(model)
    model.logits(parameters, X, training=True)
    before = {name: b.clone() for name, b in model.template.named_buffers()}
    adversarial_divergence(
        model, parameters, X, weight, RADIUS, SEED, log_proba=torch.zeros(1, N_SAMPLES, 4)
    )
    for name, buffer in model.template.named_buffers():
        assert torch.equal(buffer, before[name])


@pytest.mark.parametrize("batch_size", ["auto", 20])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_modules_with_running_statistics_are_trained(dtype, batch_size):
    X = np.random.RandomState(0).normal(size=(50, 3)).astype(dtype)
    given = {"model": Normalised, "max_iter": 3, "batch_size": batch_size, "random_state": 0}
    without, with_vat = (GeminiClustering(4, vat=vat, **given).fit(X) for vat in (0.0, 1.0))
    assert not np.array_equal(without.predict_proba(X), with_vat.predict_proba(X))
    clean, seen = (dict(fit.module_.inner.norm.named_buffers()) for fit in (without, with_vat))
    assert seen["num_batches_tracked"] == clean["num_batches_tracked"] > 0
    if batch_size == "auto":  # else the samples come in another order
        assert all(torch.equal(seen[name], clean[name]) for name in clean)


# The entropy of p(y)


@pytest.mark.parametrize("name", ["mi", "tv_ovo", "mmd_ovo", "wasserstein_ova"])
def test_balanced_adds_the_entropy(name, make_problem):
    given = make_problem(n_restarts=2)
    objective = get_objective(name)
    geometry = {"kernel": given.X @ given.X.T, "distance": torch.cdist(given.X, given.X)}
    matrix = geometry.get(objective.affinity)
    batch = Batch(given.logits.log_softmax(2), given.weight, matrix=matrix)
    found = Balanced(objective, 0.7).evaluate(batch)
    for value, logits in zip(found, given.logits, strict=True):
        proba, weight = logits.softmax(1).numpy(), given.weight.numpy()
        proportions = weight @ proba
        expected = gemini_by_name(name, proba, weight, None if matrix is None else matrix.numpy())
        expected -= 0.7 * (proportions * np.log(proportions)).sum()
        assert float(value) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", [n for n in OBJECTIVES if get_objective(n).n_stages])
def test_balanced_is_the_same_from_means(name, make_problem):
    given = make_problem(n_restarts=2)
    objective = Balanced(get_objective(name), 0.7)
    batch = Batch(given.logits.log_softmax(2), given.weight, features=given.X)
    means = ()
    for _ in range(objective.n_stages):
        means += objective.means(batch, *means)
    torch.testing.assert_close(objective.value(*means), objective.evaluate(batch))


# Training


def problem(n_samples=60):
    X, _ = make_blobs(n_samples, centers=3, random_state=0)
    X = (X - X.mean(0)) / X.std()
    weight = np.random.default_rng(0).dirichlet(np.ones(n_samples))
    return Problem(
        Perceptron((2, 5, 3), "tanh"),
        Samples(X),
        torch.as_tensor(weight),
        geometry=Geometry(),
        objective=get_objective("mi"),
        penalties=Penalties(alpha=0.01, entropy=0.2, vat=0.4, radius=RADIUS),
    )


def test_loss_subtracts_the_divergence(monkeypatch):
    whole = problem()
    parameters = whole.model.initialise([0, 1], torch.float64)
    which = torch.arange(2)
    without = replace(whole, penalties=replace(whole.penalties, vat=0.0))
    rng = np.random.RandomState(3)
    seed = np.random.RandomState(3).randint(2**31)
    loss, gradient = whole.loss_and_gradient(parameters, which, rng=rng)
    plain, plain_gradient = without.loss_and_gradient(parameters, which)
    leaf = parameters.clone().requires_grad_()
    X = whole.inputs.take()
    divergence = adversarial_divergence(whole.model, leaf, X, whole.weight, RADIUS, seed)
    (slope,) = torch.autograd.grad(divergence.sum(), leaf)
    torch.testing.assert_close(loss, plain + 0.4 * divergence.detach())
    torch.testing.assert_close(gradient, plain_gradient + 0.4 * slope)
    # In chunks, each with directions of its own, the sum of their divergences.
    monkeypatch.setattr(chunks_module, "WHOLE", 0)
    monkeypatch.setattr(chunks_module, "CHUNK", 25 * (2 * whole.model.width + whole.inputs.width))
    parts, _ = whole.parts(None, 2)
    assert len(parts) > 2
    rng = np.random.RandomState(3)
    loss, gradient = whole.loss_and_gradient(parameters, which, rng=rng)
    divergence = sum(
        adversarial_divergence(
            whole.model, leaf, X[part], whole.weight[part], RADIUS, (seed + i) % 2**31
        )
        for i, part in enumerate(parts)
    )
    (slope,) = torch.autograd.grad(divergence.sum(), leaf)
    torch.testing.assert_close(loss, plain + 0.4 * divergence.detach())
    torch.testing.assert_close(gradient, plain_gradient + 0.4 * slope)


def stripes(n_samples=300):
    """Two long clusters side by side; the longest cut is across both."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], n_samples // 2)
    return np.c_[rng.uniform(-4, 4, n_samples), 4 * y - 2 + rng.normal(0, 0.2, n_samples)], y


def test_imsat_cuts_where_there_are_no_samples():
    X, y = stripes()
    given = {"objective": "mi", "vat": 1.0, "vat_radius": 1.0, "max_iter": 200, "n_init": 4}
    for seed in range(3):
        model = GeminiClustering(2, **given, random_state=seed)
        assert adjusted_rand_score(y, model.fit_predict(X)) == 1


def test_vat_makes_the_fitted_model_smooth():
    X, _ = make_blobs(200, centers=[[-1, 0], [1, 0]], cluster_std=1, random_state=0)
    moved = np.random.default_rng(0).normal(size=(50, 200, 2))
    moved = X + 0.5 * moved / np.linalg.norm(moved, axis=2, keepdims=True)

    def change(vat):
        given = {"objective": "mi", "vat_radius": 0.5, "solver": "adam", "max_iter": 100}
        model = GeminiClustering(2, vat=vat, **given, random_state=0).fit(X)
        before = np.maximum(model.predict_log_proba(X), np.log(PROBABILITY_FLOOR))
        after = [np.maximum(model.predict_log_proba(x), np.log(PROBABILITY_FLOOR)) for x in moved]
        return np.mean([(np.exp(before) * (before - other)).sum(1) for other in after])

    assert change(1.0) < 0.5 * change(0.0)


@pytest.mark.parametrize(
    "objective", ["tv_ovo", "mmd_ova", "wasserstein_ova", "sliced_wasserstein_ova"]
)
@pytest.mark.parametrize("model", ["linear", "mlp", small_module], ids=["linear", "mlp", "module"])
def test_vat_works_with_every_objective_and_model(objective, model):
    X, y = make_blobs(90, centers=3, cluster_std=0.4, random_state=0)
    model = GeminiClustering(
        3, objective=objective, model=model, vat=0.1, vat_radius=0.2, n_init=2, random_state=0
    )
    model.set_params(max_iter=60, learning_rate=0.03)
    assert adjusted_rand_score(y, model.fit(X).labels_) > 0.9
    again = model.fit(X).predict_proba(X)
    np.testing.assert_array_equal(again, model.fit(X).predict_proba(X))


def test_auto_with_vat_trains_units_of_the_mlp():
    X, y = make_blobs(120, centers=3, cluster_std=0.4, random_state=0)
    model = GeminiClustering(vat=0.1, random_state=0, max_iter=30).fit(X)
    assert not isinstance(model._frame.model, UnitModel)
    assert model.n_clusters_ == 3
    assert adjusted_rand_score(y, model.labels_) > 0.9


def test_radius_follows_the_scale_of_x():
    X, _ = make_blobs(90, centers=3, random_state=0)
    given = {"objective": "mi", "vat": 1.0, "random_state": 0, "max_iter": 20}
    small = GeminiClustering(3, **given).fit(X)
    large = GeminiClustering(3, **given).fit(1024 * X)
    np.testing.assert_allclose(small.predict_proba(X), large.predict_proba(1024 * X), atol=1e-9)
    given |= {"vat_radius": 0.5}
    large = GeminiClustering(3, **given | {"vat_radius": 512.0}).fit(1024 * X)
    small = GeminiClustering(3, **given).fit(X)
    np.testing.assert_allclose(small.predict_proba(X), large.predict_proba(1024 * X), atol=1e-9)


def test_entropy_balances_clusters():
    X, _ = make_blobs([150, 20], centers=[[-1, 0], [1, 0]], cluster_std=0.3, random_state=0)
    given = {"n_clusters": 2, "model": "linear", "random_state": 0}
    plain = GeminiClustering(**given).fit(X).cluster_proportions_
    balanced = GeminiClustering(**given, entropy=5.0).fit(X).cluster_proportions_
    assert abs(balanced[0] - 0.5) < 0.1 < abs(plain[0] - 0.5)


def test_objective_value_is_the_gemini_alone():
    X, _ = make_blobs(90, centers=3, random_state=0)
    model = GeminiClustering(3, entropy=1.0, vat=0.5, alpha=0.01, random_state=0, max_iter=20)
    assert model.fit(X).objective_value_ == pytest.approx(model.score(X), rel=1e-9)


def test_the_best_restart_is_the_best_with_its_penalties():
    """Sharp boundaries have the higher GEMINI, gentle ones the lower divergence."""
    without = replace(problem(), penalties=Penalties())
    gentle = start(without, np.array([0]), SETTINGS).parameters
    run = Run(torch.cat([gentle, 8 * gentle]))
    assert best_restart(without, run) == 1
    smooth = replace(without, penalties=Penalties(vat=100.0, radius=RADIUS))
    assert best_restart(smooth, run) == 0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"vat": -1.0}, "vat=-1.0"),
        ({"vat_radius": 0.0}, "vat_radius=0.0"),
        ({"entropy": -0.1}, "entropy=-0.1"),
        ({"vat": 1.0, "solver": "lbfgs"}, "solver='lbfgs'"),
        ({"vat": 1.0, "model": "local"}, "model='local'"),
        ({"vat": 1.0, "model": "categorical"}, "model='categorical'"),
    ],
)
def test_bad_penalties(parameters, message):
    with pytest.raises(ValueError, match=message):
        GeminiClustering(2, **parameters).fit([[0.0], [1.0], [2.0]])


def test_vat_needs_dense_samples():
    with pytest.raises(ValueError, match="toarray"):
        GeminiClustering(2, vat=1.0).fit(sp.csr_matrix(np.eye(5)))

"""Models: the same logits as scikit-learn's and torch's own modules, restarts side by side."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.neural_network import MLPClassifier
from torch import nn

from gemclust import GeminiClustering
from gemclust.models import ACTIVATIONS, Perceptron, log_probabilities_of
from gemclust.modules import ClusterLogits, ModuleModel
from gemclust.samples import Samples, Scaling
from gemclust.units import LocalFeatures, UnitModel

HIDDEN = [(), (5,), (7, 4)]
every_shape = pytest.mark.parametrize("hidden", HIDDEN, ids=str)


def make_input(n_samples=12, n_features=3, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n_samples, n_features)))


def make_perceptron(hidden=(5,), activation="tanh", n_restarts=3):
    model = Perceptron((3, *hidden, 4), activation)
    return model, model.initialise(list(range(n_restarts)), torch.float64)


# Multilayer perceptrons


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", HIDDEN[1:], ids=str)
def test_perceptron_is_that_of_scikit_learn(hidden, activation):
    X = make_input(30).numpy()
    y = np.arange(30) % 4
    peer = MLPClassifier(hidden, activation=activation, max_iter=3, random_state=0).fit(X, y)
    layers = zip(peer.coefs_, peer.intercepts_, strict=True)
    flat = np.concatenate([part.ravel() for layer in layers for part in layer])
    model = Perceptron((3, *hidden, 4), activation)
    logits = model.logits(torch.from_numpy(flat)[None], torch.from_numpy(X))
    assert logits.shape == (1, 30, 4)
    np.testing.assert_allclose(logits[0].softmax(-1), peer.predict_proba(X), atol=1e-12)


def test_without_hidden_layers_it_is_linear():
    model, parameters = make_perceptron(())
    X = make_input()
    for flat, logits in zip(parameters.numpy(), model.logits(parameters, X), strict=True):
        weights, biases = flat[:12].reshape(3, 4), flat[12:]
        np.testing.assert_allclose(logits, X.numpy() @ weights + biases, atol=1e-14)


@pytest.mark.parametrize("hidden", [(), (5,)])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_pull_back_is_the_product_with_the_derivative_of_the_logits(hidden, container):
    model, parameters = make_perceptron(hidden)
    X = Samples(container(make_input().numpy())).take()
    leaf = parameters.clone().requires_grad_()
    logits = model.logits(leaf, X)
    outer = torch.randn(logits.shape, dtype=logits.dtype, generator=torch.manual_seed(0))
    (expected,) = torch.autograd.grad(logits, leaf, outer)
    torch.testing.assert_close(model.pull_back(parameters, X, outer), expected)


@every_shape
def test_restarts_side_by_side_are_the_same_one_by_one(hidden):
    model, parameters = make_perceptron(hidden)
    X = make_input()
    parameters.requires_grad_()
    together = model.logits(parameters, X)
    (gradient,) = torch.autograd.grad(together.square().sum(), parameters)
    for r in range(3):
        alone = parameters[r : r + 1].detach().requires_grad_()
        logits = model.logits(alone, X)
        torch.testing.assert_close(logits[0], together[r], rtol=1e-12, atol=1e-12)
        (own,) = torch.autograd.grad(logits.square().sum(), alone)
        torch.testing.assert_close(own[0], gradient[r], rtol=1e-12, atol=1e-12)


@every_shape
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_sparse_input_gives_the_logits_and_gradients_of_dense_input(hidden, dtype):
    model, parameters = make_perceptron(hidden)
    X = make_input().to(dtype)
    X[X < 0] = 0
    parameters = parameters.to(dtype).requires_grad_()
    results = []
    for array in (X.numpy(), sp.csr_array(X.numpy())):
        logits = model.logits(parameters, Samples(array).take())
        assert logits.dtype == dtype
        results.append((logits, *torch.autograd.grad(logits.square().sum(), parameters)))
    for dense, sparse in zip(*results, strict=True):
        tolerance = 1e-12 if dtype == torch.float64 else 1e-4
        torch.testing.assert_close(sparse, dense, rtol=tolerance, atol=tolerance)


def test_wide_sparse_input_never_becomes_dense():
    # Dense, these samples would take 320 GB.
    n_samples, n_features = 20_000, 2_000_000
    entries = np.ones(n_samples), np.arange(n_samples), np.arange(n_samples + 1)
    X = Samples(sp.csr_array(entries, shape=(n_samples, n_features)))
    model = Perceptron((n_features, 2))
    parameters = torch.zeros(1, 2 * n_features + 2)
    parameters[0, -2:] = torch.tensor([1.0, 2.0])
    assert (model.logits(parameters.double(), X.take())[0] == torch.tensor([1.0, 2.0])).all()


@every_shape
@pytest.mark.parametrize("activation", ["tanh", "logistic", "identity"])
def test_gradients_are_those_of_finite_differences(hidden, activation):
    model, parameters = make_perceptron(hidden, activation, n_restarts=2)
    X = make_input(5)
    assert torch.autograd.gradcheck(lambda p: model.logits(p, X), parameters.requires_grad_())


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_reach_every_layer(activation):
    model, parameters = make_perceptron((7, 4), activation)
    parameters.requires_grad_()
    loss = model.logits(parameters, make_input()).log_softmax(-1).square().sum()
    (gradient,) = torch.autograd.grad(loss, parameters)
    for weights, biases in model.layers(gradient):
        assert (weights.abs().sum((1, 2)) > 0).all()
        assert (biases.abs().sum(1) > 0).all()


@every_shape
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_module_gives_the_logits_of_its_restart(hidden, activation):
    model, parameters = make_perceptron(hidden, activation)
    X = make_input()
    expected = model.logits(parameters, X)
    for r in range(3):
        module = model.module(parameters[r])
        torch.testing.assert_close(module(X), expected[r], rtol=1e-12, atol=1e-12)
    before = parameters.clone()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert torch.equal(parameters, before)


@every_shape
def test_penalty_is_the_sum_of_squared_weights_without_biases(hidden):
    model, parameters = make_perceptron(hidden)
    for r in range(3):
        state = model.module(parameters[r]).state_dict()
        weights = [value for name, value in state.items() if name.endswith("weight")]
        expected = sum(float(entry) ** 2 for w in weights for entry in w.flatten())
        assert model.penalty(parameters)[r].item() == pytest.approx(expected, rel=1e-12)


@every_shape
def test_initial_parameters_belong_to_their_seed_alone(hidden):
    model = Perceptron((3, *hidden, 4))
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    together = model.initialise([7, 8, 9], torch.float64)
    assert torch.equal(model.initialise([8], torch.float64)[0], together[1])
    assert not (together[0] == together[2]).any()
    assert model.initialise([8], torch.float32).dtype == torch.float32
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


@pytest.mark.parametrize(("activation", "factor"), [("relu", 6), ("tanh", 6), ("logistic", 2)])
def test_initial_parameters_fill_glorot_and_bengio_s_bound(activation, factor):
    model = Perceptron((30, 20, 10), activation)
    for weights, biases in model.layers(model.initialise([0], torch.float64)):
        bound = (factor / sum(weights.shape[1:])) ** 0.5
        assert 0.95 * bound < weights.abs().max() <= bound
        assert biases.abs().max() <= bound


# A user's modules


class Temperature(nn.Module):
    """Parameters of no, one and two axes."""

    def __init__(self, n_features, n_units):
        super().__init__()
        self.linear = nn.Linear(n_features, n_units)
        self.scale = nn.Parameter(torch.rand(()) + 0.5)
        self.shift = nn.Parameter(torch.randn(n_units))

    def forward(self, x):
        return self.scale * self.linear(x).tanh() + self.shift


def deep(n_features, n_units):
    return nn.Sequential(
        nn.Linear(n_features, 6), nn.LayerNorm(6), nn.GELU(), nn.Linear(6, n_units, bias=False)
    )


class Image(nn.Module):
    """Reshapes its rows and convolves them."""

    def __init__(self, n_features, n_units):
        super().__init__()
        self.convolution = nn.Conv1d(1, n_units, n_features)

    def forward(self, x):
        return self.convolution(x[:, None]).squeeze(-1)


FACTORIES = [Temperature, deep, Image]
every_factory = pytest.mark.parametrize("factory", FACTORIES)


def squared_logits(module, X):
    loss = module(X).square().sum()
    gradients = torch.autograd.grad(loss, list(module.parameters()))
    return torch.cat([gradient.flatten() for gradient in gradients])


@every_factory
@pytest.mark.parametrize("n_restarts", [1, 3])
def test_restarts_of_a_module_equal_loops_over_modules(factory, n_restarts):
    model = ModuleModel(factory, 3, 4)
    X = make_input()
    parameters = model.initialise(list(range(n_restarts)), torch.float64).requires_grad_()
    logits = model.logits(parameters, X, training=True)
    assert logits.shape == (n_restarts, 12, 4)
    (gradient,) = torch.autograd.grad(logits.square().sum(), parameters)
    for r in range(n_restarts):
        with torch.random.fork_rng():
            torch.manual_seed(r)
            module = factory(3, 4).double()
        torch.testing.assert_close(logits[r], module(X), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradient[r], squared_logits(module, X), rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(model.module(parameters[r].detach())(X), logits[r])


@every_factory
def test_initial_parameters_of_a_module_belong_to_their_seed_alone(factory):
    before = torch.get_rng_state()
    model = ModuleModel(factory, 3, 4)
    together = model.initialise([7, 8, 9], torch.float64)
    assert torch.equal(model.initialise([8], torch.float64)[0], together[1])
    assert not torch.equal(together[0], together[2])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_module_takes_the_dtype_of_its_input(dtype):
    model = ModuleModel(deep, 3, 4)
    parameters = model.initialise([0, 1], dtype)
    assert parameters.dtype == dtype
    assert model.logits(parameters, make_input().to(dtype)).dtype == dtype


def test_instance_is_copied_and_starts_as_it_is():
    module = deep(3, 4)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    model = ModuleModel(module, 3, 4)
    assert not model.restartable
    parameters = model.initialise([5], torch.float64)
    X = make_input()
    logits = model.logits(parameters, X, training=True)
    torch.testing.assert_close(logits[0], module(X.float()).double(), rtol=1e-5, atol=1e-5)
    model.module(parameters[0] * 2)
    for name, value in module.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name])


def with_buffers(n_features, n_units):
    return nn.Sequential(nn.BatchNorm1d(n_features), nn.Linear(n_features, n_units))


def test_buffers_forbid_restarts():
    assert ModuleModel(deep, 3, 4).restartable
    assert not ModuleModel(with_buffers, 3, 4).restartable


def test_module_with_batch_normalisation_learns_its_statistics_in_training_only():
    model = ModuleModel(with_buffers, 3, 4)
    parameters = model.initialise([0], torch.float64)
    X = 5 + make_input(200)
    normalised = model.logits(parameters, X, training=True)
    torch.testing.assert_close(normalised.mean(1), model.logits(parameters, X, True).mean(1))
    for _ in range(100):
        model.logits(parameters, X, training=True)
    learned = model.logits(parameters, X)
    torch.testing.assert_close(learned, normalised, rtol=0.02, atol=0.02)
    torch.testing.assert_close(model.logits(parameters, X), learned)
    torch.testing.assert_close(model.module(parameters[0])(X)[None], learned)


def with_dropout(n_features, n_units):
    return nn.Sequential(nn.Dropout(0.5), nn.Linear(n_features, n_units))


def test_dropout_differs_between_restarts_and_rests_after_training():
    model = ModuleModel(with_dropout, 3, 4)
    parameters = model.initialise([0], torch.float64).expand(2, -1)
    X = make_input()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = model.logits(parameters, X, training=True)
    assert not torch.allclose(first, second)
    first, second = model.logits(parameters, X)
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(first, model.module(parameters[0])(X))


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        (Temperature, lambda m: m.linear.weight.square().sum()),
        (deep, lambda m: m[0].weight.square().sum() + m[3].weight.square().sum()),
        (Image, lambda m: m.convolution.weight.square().sum()),
    ],
)
def test_penalty_of_a_module_counts_weights_and_no_biases(factory, expected):
    model = ModuleModel(factory, 3, 4)
    parameters = model.initialise([0, 1, 2], torch.float64)
    penalty = model.penalty(parameters)
    for r in range(3):
        torch.testing.assert_close(penalty[r], expected(model.module(parameters[r])).detach())


class Slopes(nn.Module):
    """A module all of whose parameters have one axis."""

    def __init__(self, n_features, n_units):
        super().__init__()
        self.slopes = nn.Parameter(torch.randn(n_units))

    def forward(self, x):
        return x[:, :1] * self.slopes


def test_module_without_a_matrix_has_no_penalty():
    model = ModuleModel(Slopes, 3, 4)
    parameters = model.initialise([0, 1], torch.float64)
    assert model.penalty(parameters).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("n_restarts", [1, 2])
@pytest.mark.parametrize(
    "factory",
    [
        lambda n_features, n_units: nn.Linear(n_features, n_units + 1),
        lambda n_features, n_units: nn.Sequential(nn.Linear(n_features, n_units), nn.Flatten(0)),
        lambda n_features, n_units: nn.Sequential(
            nn.Linear(n_features, n_units), nn.Unflatten(1, (n_units, 1))
        ),
    ],
    ids=["one more", "flat", "one more axis"],
)
def test_module_of_a_wrong_shape_is_refused_by_its_shape(factory, n_restarts):
    model = ModuleModel(factory, 3, 4)
    parameters = model.initialise(list(range(n_restarts)), torch.float64)
    with pytest.raises(ValueError, match=r"returned shape .* 12 samples.*4 clusters.*\(12, 4\)"):
        model.logits(parameters, make_input())


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"returned int; a model must be a torch\.nn\.Module"):
        ModuleModel(lambda n_features, n_units: 3, 3, 4)
    with pytest.raises(ValueError, match="no parameters to train"):
        ModuleModel(nn.Softmax(1), 3, 4)


def test_cluster_logits_centre_scale_and_choose():
    inner = nn.Linear(3, 4).double()
    centre = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    X = make_input()
    logits = ClusterLogits(inner, centre, 2.5, [[3], [1]])(X)
    torch.testing.assert_close(logits, inner((X - centre) / 2.5)[:, [3, 1]])


def test_probability_of_a_cluster_is_the_sum_of_those_of_its_units():
    inner, X = nn.Linear(3, 5).double(), make_input()
    clusters = [[3, 0], [4], [1]]
    logits = ClusterLogits(inner, torch.zeros(3, dtype=torch.float64), 1.0, clusters)(X)
    # The third unit is in none and does not count.
    proba = inner(X)[:, [3, 0, 4, 1]].softmax(1)
    expected = torch.stack([proba[:, 0] + proba[:, 1], proba[:, 2], proba[:, 3]], 1)
    torch.testing.assert_close(logits.softmax(1), expected)
    log_proba = log_probabilities_of(inner(X)[None], clusters)
    torch.testing.assert_close(log_proba[0].exp(), expected)


def test_probability_of_a_cluster_neither_over_nor_underflows():
    logits = torch.tensor([[[800.0, 799.0, -800.0, -801.0]]], dtype=torch.float64)
    log_proba = log_probabilities_of(logits.requires_grad_(), [[0, 1], [2, 3]])
    lost = np.log1p(np.exp(-1))
    np.testing.assert_allclose(log_proba[0, 0].detach(), [0, -1600 + lost - lost], atol=1e-12)
    (gradient,) = torch.autograd.grad(log_proba.sum(), logits)
    assert gradient.isfinite().all()


def test_radial_features_are_those_that_the_model_is_fitted_with():
    X = make_input(60).numpy()
    features = LocalFeatures(X, np.ones(60), Scaling(X, np.ones(60)), 7, 0)
    scaled = torch.from_numpy(features.scaling(X))
    torch.testing.assert_close(features.module()(scaled), torch.from_numpy(features(X)))
    model = UnitModel(features, 7)
    parameters = model.initialise([0], torch.float64)
    logits = model.logits(parameters, torch.from_numpy(features(X)))
    torch.testing.assert_close(model.module(parameters[0])(scaled), logits[0])


def test_frozen_parameters_stay():
    def make(n_features, n_units):
        module = nn.Sequential(nn.Linear(n_features, 4), nn.Tanh(), nn.Linear(4, n_units))
        module[0].requires_grad_(False)
        return module

    model = ModuleModel(make, 3, 2)
    assert model.initialise([0, 1], torch.float64).shape == (2, 4 * 2 + 2)
    fitted = GeminiClustering(2, model=make, random_state=0, max_iter=5, tol=1.0)
    fitted.fit(np.random.default_rng(0).normal(size=(30, 3)))
    torch.testing.assert_close(
        fitted.module_.inner[0].weight, model.template[0].weight.double(), check_dtype=False
    )

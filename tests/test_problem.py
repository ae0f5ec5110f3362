"""Losses and gradients in chunks, in parts and over shards are those of the whole."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.datasets import make_blobs
from torch import nn

from gemclust import chunks as chunks_module
from gemclust import geometry as geometry_module
from gemclust import gradients as gradients_module
from gemclust.chunks import WHOLE, chunk_size, chunks, sum_chunks
from gemclust.distributed import Processes
from gemclust.evaluation import evaluate, log_probabilities
from gemclust.geometry import Affinity
from gemclust.means import RunningMeans, adjoint, stages
from gemclust.models import Perceptron
from gemclust.modules import ModuleModel
from gemclust.objectives import MMD, OBJECTIVES, Batch, get_objective
from gemclust.penalties import Penalties
from gemclust.problem import Problem
from gemclust.samples import Samples, Scaling

N_SAMPLES = 54
BY_MEANS = [name for name in OBJECTIVES if get_objective(name).n_stages]
KERNELS = {
    "matrix": MMD("ovo", kernel="rbf", n_components=None),
    "nystroem": MMD("ova", kernel="rbf", n_components=9),
    "cosine": MMD("ovo", kernel="cosine"),
}
every_objective = pytest.mark.parametrize("objective", [*BY_MEANS, *KERNELS])


def with_dropout(n_features, n_units):
    return nn.Sequential(
        nn.Linear(n_features, 7), nn.Tanh(), nn.Dropout(0.4), nn.Linear(7, n_units)
    )


MODELS = {
    "linear": lambda: Perceptron((2, 4)),
    "mlp": lambda: Perceptron((2, 5, 4), "tanh"),
    "dropout": lambda: ModuleModel(with_dropout, 2, 4),
}


# None: each unit is a cluster. The last but one leaves a unit out.
CLUSTERS = [None, [[0], [2]], [[2, 0], [3]], [[1], [3, 0, 2]]]


def make_problem(
    objective, model="mlp", X=None, clusters=None, alpha=0.0, entropy=0.0, dtype=np.float64
):
    """Overlapping blobs with weights."""
    if X is None:
        X, _ = make_blobs(N_SAMPLES, centers=3, cluster_std=2, random_state=0)
    if not sp.issparse(X):
        X = X.astype(dtype)
    weight = np.random.default_rng(0).uniform(0.1, 2, X.shape[0]).astype(dtype)
    objective = get_objective(KERNELS.get(objective, objective))
    scaling = Scaling(X, weight)
    inputs = Samples(X, transform=scaling)
    affinity = Affinity(objective, X, weight, scaling=scaling)
    geometry = affinity.geometry(X, weight, inputs=inputs)
    mass = torch.as_tensor(weight / weight.sum())
    return Problem(
        MODELS[model](), inputs, mass, geometry, objective, Penalties(alpha, entropy), clusters
    )


def starts(problem, n_restarts):
    return 2 * problem.model.initialise(list(range(n_restarts)), problem.weight.dtype)


def loss_and_gradient(problem, parameters, rows=None):
    """What a module draws is the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return problem.loss_and_gradient(parameters, torch.arange(len(parameters)), rows)


whole = loss_and_gradient


@pytest.fixture
def in_chunks(monkeypatch):
    """Make chunks of so many samples for a problem and so many restarts."""

    def shrink(problem, n_restarts, size):
        width = n_restarts * problem.model.width + problem.inputs.width
        monkeypatch.setattr(chunks_module, "WHOLE", 0)
        monkeypatch.setattr(chunks_module, "CHUNK", size * width)
        parts, _ = problem.parts(None, n_restarts)
        assert len(parts) == -(-len(problem) // size)

    return shrink


def assert_equal(actual, expected, rtol=1e-12):
    for a, b in zip(actual, expected, strict=True):
        scale = b.abs().max().item()
        torch.testing.assert_close(a, b, rtol=0, atol=rtol * scale)


# Chunks


@every_objective
@pytest.mark.parametrize("model", ["linear", "mlp"])
@pytest.mark.parametrize(("size", "n_restarts"), [(7, 3), (9, 2), (N_SAMPLES - 1, 1), (1, 1)])
@pytest.mark.parametrize("clusters", [None, CLUSTERS[2]], ids=str)
def test_gradient_in_chunks_is_that_of_the_whole(
    in_chunks, objective, model, clusters, size, n_restarts
):
    problem = make_problem(objective, model, clusters=clusters, alpha=0.03, entropy=0.2)
    parameters = starts(problem, n_restarts)
    expected = whole(problem, parameters)
    assert (expected[1].norm(dim=1) > 1e-3).all()
    in_chunks(problem, n_restarts, size)
    assert_equal(loss_and_gradient(problem, parameters), expected)


@every_objective
@pytest.mark.parametrize("model", ["linear", "mlp", "dropout"])
@pytest.mark.parametrize("clusters", CLUSTERS, ids=str)
def test_gradient_does_not_depend_on_what_is_kept(
    in_chunks, monkeypatch, objective, model, clusters
):
    problem = make_problem(objective, model, clusters=clusters)
    parameters = starts(problem, 2)
    in_chunks(problem, 2, 7)
    expected = loss_and_gradient(problem, parameters)
    monkeypatch.setattr(gradients_module, "KEPT_LOG_PROBA", 0)
    assert_equal(loss_and_gradient(problem, parameters), expected)


@every_objective
@pytest.mark.parametrize("model", ["linear", "dropout"])
def test_chunks_on_several_threads_are_those_on_one(in_chunks, objective, model):
    problem = make_problem(objective, model)
    parameters = starts(problem, 2)
    in_chunks(problem, 2, 5)
    before = torch.get_num_threads()
    results = []
    try:
        for n_threads in (1, 3):
            torch.set_num_threads(n_threads)
            results.append((*loss_and_gradient(problem, parameters), problem.value(parameters)))
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    for one, three in zip(*results, strict=True):
        np.testing.assert_array_equal(one, three)


@every_objective
@pytest.mark.parametrize("clusters", CLUSTERS[2:], ids=str)
@pytest.mark.parametrize("size", [N_SAMPLES, 11], ids=["whole", "chunks"])
def test_gradient_with_clusters_of_several_units_is_that_of_finite_differences(
    in_chunks, objective, clusters, size
):
    problem = make_problem(objective, clusters=clusters, alpha=0.03, entropy=0.2)
    parameters = starts(problem, 2)
    if size < N_SAMPLES:
        in_chunks(problem, 2, size)
    _, gradient = loss_and_gradient(problem, parameters)
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(parameters.shape, dtype=torch.float64, generator=generator)
    up, down = (whole(problem, parameters + s * direction)[0] for s in (1e-6, -1e-6))
    slope = (gradient * direction).sum(1)
    torch.testing.assert_close((up - down) / 2e-6, slope, rtol=1e-5, atol=1e-8)


@every_objective
@pytest.mark.parametrize("size", [9, 10])
@pytest.mark.parametrize("clusters", [[[3], [0], [1]], [[3, 1], [0]]], ids=str)
def test_gradient_of_a_mini_batch_in_chunks(in_chunks, objective, clusters, size):
    problem = make_problem(objective, clusters=clusters)
    rows = np.sort(np.random.default_rng(1).permutation(N_SAMPLES)[:30])
    parameters = starts(problem, 2)
    expected = whole(problem, parameters, rows)
    in_chunks(problem, 2, size)
    assert_equal(loss_and_gradient(problem, parameters, rows), expected)


@every_objective
def test_gradient_of_a_mini_batch_is_that_of_its_samples_alone(objective):
    problem = make_problem(objective)
    rows = np.sort(np.random.default_rng(1).permutation(N_SAMPLES)[:30])
    parameters = starts(problem, 2)
    expected = whole(problem.subset(rows), parameters)
    assert_equal(loss_and_gradient(problem, parameters, rows), expected)


@every_objective
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_chunks_of_sparse_and_of_float32_samples(in_chunks, objective, container):
    X = np.random.default_rng(0).exponential(size=(N_SAMPLES, 2)).astype(np.float32)
    X[X < 0.5] = 0
    problem = make_problem(objective, X=container(X), dtype=np.float32)
    parameters = starts(problem, 2)
    expected = whole(problem, parameters)
    in_chunks(problem, 2, 11)
    actual = loss_and_gradient(problem, parameters)
    assert [part.dtype for part in actual] == [torch.float32] * 2
    assert_equal(actual, expected, 2e-5)


@pytest.mark.parametrize("family", ["wasserstein", "sliced_wasserstein"])
@pytest.mark.parametrize("mode", ["ova", "ovo"])
@pytest.mark.parametrize("clusters", CLUSTERS, ids=str)
def test_transport_with_the_model_in_chunks(in_chunks, family, mode, clusters):
    problem = make_problem(f"{family}_{mode}", clusters=clusters, alpha=0.01, entropy=0.2)
    parameters = starts(problem, 2)
    expected = whole(problem, parameters)
    in_chunks(problem, 2, 8)
    fresh = make_problem(f"{family}_{mode}", clusters=clusters, alpha=0.01, entropy=0.2)
    assert_equal(loss_and_gradient(fresh, parameters), expected, 1e-9)


@pytest.mark.parametrize("objective", ["kl_ova", "tv_ova", "tv_ovo", "mmd_ovo", "matrix"])
@pytest.mark.parametrize("n_restarts", [1, 2])
def test_every_visit_of_a_chunk_draws_the_same_dropout(in_chunks, objective, n_restarts):
    problem = make_problem(objective, "dropout")
    parameters = starts(problem, n_restarts)
    in_chunks(problem, n_restarts, 11)

    def value(parameters):
        return loss_and_gradient(problem, parameters)[0]

    loss, gradient = loss_and_gradient(problem, parameters)
    repeated, _ = loss_and_gradient(problem, parameters)
    assert torch.equal(loss, repeated)
    direction = torch.randn(parameters.shape, dtype=torch.float64, generator=torch.Generator())
    step = 1e-6 * direction
    slope = (value(parameters + step) - value(parameters - step)) / 2e-6
    torch.testing.assert_close(slope, (gradient * direction).sum(1), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("objective", ["tv_ova", "tv_ovo"])
@pytest.mark.parametrize("clusters", [None, [[2, 0], [3], [1]]], ids=str)
def test_gradient_in_chunks_is_that_of_finite_differences(in_chunks, objective, clusters):
    # The proportions of the first stage move with the parameters, in which the second is taken.
    problem = make_problem(objective, "linear", clusters=clusters)
    parameters = starts(problem, 1)
    in_chunks(problem, 1, 11)
    _, gradient = loss_and_gradient(problem, parameters)
    numeric = torch.zeros_like(gradient)
    for i in range(parameters.shape[1]):
        step = torch.zeros_like(parameters)
        step[0, i] = 1e-6
        up, down = (loss_and_gradient(problem, parameters + s * step)[0] for s in (1, -1))
        numeric[0, i] = (up - down).item() / 2e-6
    torch.testing.assert_close(gradient, numeric, rtol=1e-6, atol=1e-8)
    # Without that part the gradient is a different one, so that the test above would fail.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradients_module, "adjoint", adjoint_without_the_earlier_stages)
        _, wrong = loss_and_gradient(problem, parameters)
    assert (wrong - gradient).norm() > 0.02 * gradient.norm()


def adjoint_without_the_earlier_stages(objective, means, sweep, processes):
    value, adjoints = adjoint(objective, means, sweep, processes)
    return value, [[torch.zeros_like(a) for a in stage] for stage in adjoints[:-1]] + adjoints[-1:]


@every_objective
@pytest.mark.parametrize("clusters", CLUSTERS[1:], ids=str)
def test_value_in_chunks_is_that_of_the_whole(in_chunks, objective, clusters):
    problem = make_problem(objective, clusters=clusters)
    parameters = starts(problem, 2)
    value, (winners, proportions) = problem.value(parameters), problem.survey(parameters)
    log_proba = log_probabilities(problem.model, parameters, problem.inputs, clusters)
    in_chunks(problem, 2, 8)
    np.testing.assert_allclose(problem.value(parameters), value, rtol=1e-12)
    again = evaluate(problem.objective, log_proba, problem.weight, problem.geometry)
    np.testing.assert_allclose(again, value, rtol=1e-12)
    survey = problem.survey(parameters)
    assert torch.equal(survey[0], winners)
    torch.testing.assert_close(survey[1], proportions, rtol=1e-12, atol=0)
    expected = torch.einsum("n,rnk->rk", problem.weight, log_proba.exp())
    torch.testing.assert_close(proportions, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", [*BY_MEANS, *KERNELS])
def test_loss_is_minus_the_value_in_its_unit(name):
    problem = make_problem(name)
    parameters = starts(problem, 3)
    loss, _ = whole(problem, parameters)
    np.testing.assert_allclose(-problem.unit * loss, problem.value(parameters), rtol=1e-12)


@pytest.mark.parametrize(
    ("n_samples", "size", "n_parts"), [(10, 10, 1), (10, 11, 1), (10, 5, 2), (11, 5, 3)]
)
def test_chunks_partition_the_samples(n_samples, size, n_parts):
    parts = chunks(n_samples, size)
    assert len(parts) == n_parts
    rows = [np.arange(n_samples)[slice(None) if part is None else part] for part in parts]
    np.testing.assert_array_equal(np.concatenate(rows), np.arange(n_samples))
    assert max(map(len, rows)) <= size


def test_chunks_hold_a_bounded_number_of_numbers():
    assert chunk_size(1_000, 100) == 1_000
    size = chunk_size(10**9, 100)
    assert 1 <= size <= WHOLE / 100
    assert chunk_size(10, 10**9) == 1  # one sample is the least


@pytest.mark.parametrize("kept", [True, False])
def test_features_that_are_not_kept_count_in_the_size_of_a_chunk(monkeypatch, kept):
    """The feature map may be much wider than the samples and the model."""
    n_samples = 30_000
    monkeypatch.setattr(geometry_module, "KEPT_FEATURES", 10**9 if kept else 1_000)
    X = np.random.default_rng(0).normal(size=(n_samples, 5))
    objective = MMD(kernel="rbf", n_components=200)
    some, weight = X[:1_000], np.ones(1_000)
    affinity = Affinity(objective, some, weight, n_total=n_samples)
    inputs = Samples(X, transform=affinity.scaling)
    geometry = affinity.geometry(X, np.ones(n_samples), inputs=inputs)
    mass = torch.full((n_samples,), 1 / n_samples, dtype=torch.float64)
    problem = Problem(Perceptron((5, 2)), inputs, mass, geometry, objective)
    assert geometry.features.width > 190
    parts, _ = problem.parts(None, 1)
    if kept:
        assert parts == [None]
    else:
        assert len(parts) > 1
        assert all((part.stop - part.start) * geometry.features.width <= WHOLE for part in parts)


class CountingSamples(Samples):
    """Counts the rows that are made ready."""

    made = 0

    def _transformed(self, rows):
        part = super()._transformed(rows)
        self.made += part.shape[0]
        return part


@pytest.mark.parametrize("objective", BY_MEANS)
def test_samples_are_visited_twice(in_chunks, objective):
    """For log p, which is kept from stage to stage, and for the gradient of the model."""
    problem = make_problem(objective)
    X = problem.inputs.source
    inputs = CountingSamples(X, transform=problem.inputs.transform, keep=0)
    geometry = problem.geometry
    if geometry.features is not None:
        geometry = replace(geometry, features=inputs)
    problem = replace(problem, inputs=inputs, geometry=geometry)
    in_chunks(problem, 2, 8)
    loss_and_gradient(problem, starts(problem, 2))
    assert inputs.made == 2 * N_SAMPLES
    problem.value(starts(problem, 2))
    assert inputs.made == (2 + problem.objective.n_stages) * N_SAMPLES


@pytest.mark.parametrize("objective", [*BY_MEANS, "nystroem", "cosine"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_inner_product_is_that_of_the_means(objective, container):
    problem = make_problem(objective, X=container(np.random.default_rng(0).normal(size=(30, 2))))
    log_proba = problem.log_proba(starts(problem, 2))
    batch = Batch(log_proba, problem.weight, features=problem.geometry.take()["features"])
    earlier = []
    for _ in range(problem.objective.n_stages):
        means = problem.objective.means(batch, *earlier)
        factors = [torch.randn(mean.shape, dtype=mean.dtype) for mean in means]
        expected = sum((mean * factor).sum() for mean, factor in zip(means, factors, strict=True))
        actual = problem.objective.inner_product(batch, earlier, factors)
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
        earlier += means


# Over processes, by the collectives of one alone


@pytest.mark.parametrize("objective", BY_MEANS)
def test_stages_and_adjoints_are_sums_over_shards(objective):
    """What two processes would exchange: their means and adjoints sum to those of the whole."""
    problem = make_problem(objective)
    parameters = starts(problem, 2)
    log_proba = problem.log_proba(parameters)
    seen = problem.geometry.take()["features"]

    def batch(part):
        features = None if seen is None else seen[part]
        return Batch(log_proba[:, part].detach(), problem.weight[part], features=features)

    shards = [slice(0, 20), slice(20, N_SAMPLES)]
    together, apart = [batch(slice(None))], [batch(shard) for shard in shards]
    expected = stages(problem.objective, lambda function: sum_chunks(function, together))
    actual = stages(problem.objective, lambda function: sum_chunks(function, apart))
    for a, b in zip(expected, actual, strict=True):
        assert_equal(a, b)
    _, expected = adjoint(
        problem.objective, expected, lambda function: sum_chunks(function, together)
    )
    _, actual = adjoint(problem.objective, actual, lambda function: sum_chunks(function, apart))
    for a, b in zip(expected, actual, strict=True):
        assert_equal(a, b, 1e-11)


def test_one_process_asks_no_other():
    assert not make_problem("mmd_ovo").processes.several
    assert Processes(1, 3).several


# Running means


@pytest.mark.parametrize("objective", ["mmd_ovo", "kl_ova", "tv_ovo"])
def test_running_means_of_one_batch_change_nothing(objective):
    problem = make_problem(objective)
    parameters = starts(problem, 2)
    which = torch.arange(2)
    running = RunningMeans(0.1)
    expected = problem.loss_and_gradient(parameters, which)
    for _ in range(3):
        assert_equal(problem.loss_and_gradient(parameters, which, None, running), expected, 1e-11)


@pytest.mark.parametrize("objective", ["mmd_ovo", "mmd_ova", "hellinger_ova", "kl_ova"])
def test_running_means_take_the_bias_from_small_batches(objective):
    problem = make_problem(objective)
    parameters = 0.3 * starts(problem, 1)
    which = torch.arange(1)
    truth = problem.loss_and_gradient(parameters, which)[0].item()
    rng = np.random.RandomState(0)
    running, alone, averaged = RunningMeans(0.05), [], []
    for _ in range(400):
        rows = np.sort(rng.permutation(N_SAMPLES)[:5])
        alone.append(problem.loss_and_gradient(parameters, which, rows)[0].item())
        averaged.append(problem.loss_and_gradient(parameters, which, rows, running)[0].item())
    bias = [abs(np.mean(losses[100:]) - truth) for losses in (alone, averaged)]
    assert bias[1] < 0.5 * bias[0]


@pytest.mark.parametrize("objective", ["mmd_ovo", "kl_ova", "tv_ovo"])
def test_running_means_in_chunks_are_those_of_the_whole(in_chunks, objective):
    problem = make_problem(objective)
    parameters = starts(problem, 2)
    batches = np.array_split(np.random.RandomState(0).permutation(N_SAMPLES), 3)

    def walk():
        running = RunningMeans(0.3)
        return [
            problem.loss_and_gradient(parameters, torch.arange(2), np.sort(rows), running)
            for rows in batches
        ]

    expected = walk()
    in_chunks(problem, 2, 5)
    for actual, wanted in zip(walk(), expected, strict=True):
        assert_equal(actual, wanted, 1e-11)


# Subsets


@every_objective
def test_subset_is_the_problem_of_these_samples(objective):
    problem = make_problem(objective)
    rows = np.sort(np.random.default_rng(2).permutation(N_SAMPLES)[:20])
    part = problem.subset(rows)
    parameters = starts(problem, 2)
    assert len(part) == 20
    assert part.weight.sum().item() == pytest.approx(1)
    log_proba = log_probabilities(problem.model, parameters, problem.inputs)[:, rows]
    expected = log_probabilities(problem.model, parameters, part.inputs)
    torch.testing.assert_close(log_proba, expected, rtol=1e-12, atol=1e-12)
    twice = part.subset(np.arange(3, 11))
    again = problem.subset(rows[3:11])
    assert_equal(whole(twice, parameters), whole(again, parameters), 1e-11)


def test_problems_share_no_memory_of_batches():
    problem = make_problem("wasserstein_ova")
    whole(problem, starts(problem, 1))
    assert problem.memory
    part = problem.subset(np.arange(20))
    assert not part.memory
    whole(part, starts(problem, 1))
    expected = whole(make_problem("wasserstein_ova"), starts(problem, 1))
    assert_equal(whole(problem, starts(problem, 1)), expected, 1e-9)


# Probabilities and values of all samples


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_probabilities_in_chunks_are_those_of_the_whole(container):
    X = np.random.default_rng(0).normal(size=(3000, 2))
    model = Perceptron((2, 4, 700))
    parameters = model.initialise([0, 1, 2], torch.float64)
    assert WHOLE < 3 * 3000 * 700
    inputs = Samples(container(X))
    log_proba = log_probabilities(model, parameters, inputs)
    expected = model.logits(parameters, torch.from_numpy(X)).log_softmax(-1)
    torch.testing.assert_close(log_proba, expected)
    some = log_probabilities(model, parameters, inputs, [[5], [0]])
    torch.testing.assert_close(some, expected[..., [5, 0]].log_softmax(-1))
    assert not log_proba.requires_grad


class CountingPerceptron(Perceptron):
    calls = 0

    def logits(self, parameters, X, training=False):
        self.calls += 1
        return super().logits(parameters, X, training)


def test_wide_sparse_samples_make_few_chunks():
    # Their products with the weights are small, however many features there are.
    n_features = 200_000
    entries = np.ones(300), np.arange(300), np.arange(301)
    inputs = Samples(sp.csr_array(entries, shape=(300, n_features)))
    model = CountingPerceptron((n_features, 2))
    log_probabilities(model, model.initialise([0, 1, 2], torch.float64), inputs)
    assert model.calls <= 3


def test_value_is_in_the_units_of_x_and_the_loss_is_not():
    X, labels = make_blobs(50, centers=3, random_state=0)
    log_proba = torch.from_numpy(np.log(np.eye(3)[labels] * 0.9 + 1 / 30))[None]
    values, losses = [], []
    for factor in (1.0, 1e6):
        problem = make_problem("mmd_ovo", X=factor * X)
        weight = 7 * problem.weight  # of any sum
        values.append(evaluate(problem.objective, log_proba, weight, problem.geometry)[0])
        losses.append(whole(problem, starts(problem, 3))[0])
    assert values[1] == pytest.approx(1e6 * values[0], rel=1e-9)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-9)
